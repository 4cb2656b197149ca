#include "channels/active_hours.hpp"

#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kHour = 3'600 * kSecond, kDay = 24 * kHour;

/// Checks that hours in which a stream usually rests count for less and less, by the day and by the week.
TEST(restCountsLess) {
  ActiveHours hours;
  const std::uint64_t monday = kStart - kStart % (7 * kDay) + 4 * kDay;  // 1970 began on a Thursday
  const auto works = [&](std::uint64_t time) {
    const std::uint64_t since = time - monday;
    return since / kDay % 7 < 5 && since % kDay >= 8 * kHour && since % kDay < 18 * kHour;
  };
  const auto until = [&](std::uint64_t from, std::uint64_t to) {
    for (std::uint64_t time = monday + from; time < monday + to; time += kHour / 6) {
      if (works(time)) hours.observe(time);
    }
  };
  const auto night = [&](std::uint64_t day) {
    return hours.weigh(monday + day * kDay + 18 * kHour, monday + (day + 1) * kDay + 8 * kHour);
  };
  const auto morning = [&](std::uint64_t day) {
    return hours.weigh(monday + day * kDay + 9 * kHour, monday + day * kDay + 11 * kHour);
  };
  CHECK(night(0) == 14 * kHour);
  until(0, 4 * kDay);
  CHECK(night(3) < 6 * kHour && morning(4) == 2 * kHour);
  until(4 * kDay, 28 * kDay);
  CHECK(night(28) < 2 * kHour && morning(28) == 2 * kHour);
  CHECK(morning(33) <= kHour / 4);
  // The time in which so much counts is the inverse.
  for (std::uint64_t from = monday + 28 * kDay; from < monday + 35 * kDay; from += kHour / 3) {
    for (const std::uint64_t counted : {60 * kSecond, kHour / 2, 3 * kHour}) {
      const std::uint64_t reach = hours.reach(from, counted);
      CHECK(reach >= counted && hours.weigh(from, from + reach) >= counted && hours.weigh(from, from + reach - 1'000) <= counted);
    }
  }
  ActiveHours never;
  never.observe(monday);
  never.observe(monday + 400 * kDay);
  CHECK(never.weigh(monday, monday + kHour) > 0);
}

}  // namespace
