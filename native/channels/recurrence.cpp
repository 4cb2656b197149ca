#include "channels/recurrence.hpp"

#include <algorithm>
#include <bit>

namespace driftlock {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint32_t kHour = 3'600;
constexpr std::array<std::uint32_t, 3> kPeriods = {kHour, 24 * kHour, 7 * 24 * kHour};
constexpr std::uint32_t kTolerance = 600, kLooksBack = 4;
constexpr int kLearned = 3;

std::uint32_t seconds(std::uint64_t nanos) { return static_cast<std::uint32_t>(nanos / kSecond); }

}  // namespace

std::uint32_t Recurrence::before(const Burst& burst, std::uint32_t period) const {
  std::uint32_t found = 0;
  for (const Burst& other : bursts_) {
    if (other.kind != burst.kind || other.count == 0 || other.count < burst.count / 2) continue;
    // A burst that goes on is none before itself.
    if (burst.begin <= std::uint64_t{other.end} + kTolerance) continue;
    // Between days, the local clock may have been changed by an hour.
    const std::int64_t clock = period > kHour ? kHour : 0;
    for (std::uint32_t k = 1; k <= kLooksBack; ++k) {
      for (const std::int64_t changed : {std::int64_t{0}, -clock, clock}) {
        const std::int64_t by = std::int64_t{k} * period + changed, begin = burst.begin - by, end = burst.end - by;
        if (other.begin <= end + kTolerance && begin <= std::int64_t{other.end} + kTolerance) found |= 1u << k;
      }
    }
  }
  return found;
}

bool Recurrence::recurs(std::uint32_t kind, std::uint64_t begin, std::uint64_t end, std::uint32_t count) const {
  const Burst burst{kind, count, seconds(begin), seconds(end)};
  return std::ranges::any_of(kPeriods, [&](std::uint32_t period) { return std::popcount(before(burst, period)) >= kLearned; });
}

void Recurrence::add(std::uint32_t kind, std::uint64_t begin, std::uint64_t end, std::uint32_t count) {
  const Burst burst{kind, count, seconds(begin), seconds(end)};
  Burst* oldest = &bursts_[0];
  Burst* expired = nullptr;
  for (Burst& other : bursts_) {
    if (other.kind == kind && other.count > 0 && burst.begin <= other.end + kTolerance) {
      other.count = std::max(other.count, count);
      other.end = std::max(other.end, burst.end);
      return;
    }
    if (other.count == 0 ? oldest->count > 0 : oldest->count > 0 && other.end < oldest->end) oldest = &other;
  }
  // Of what recurs, no more than what it is recognised by is kept, so that other bursts are remembered for longer.
  for (const std::uint32_t period : kPeriods) {
    if (std::popcount(before(burst, period)) < kLearned) continue;
    for (Burst& other : bursts_) {
      if (other.kind == kind && other.count > 0 &&
          std::uint64_t{other.end} + kTolerance < burst.begin - std::uint64_t{3} * period &&
          (!expired || other.end < expired->end))
        expired = &other;
    }
    break;
  }
  *(expired ? expired : oldest) = burst;
}

}  // namespace driftlock
