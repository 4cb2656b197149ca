#include "engine/active_groups.hpp"

#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kMinute = 60 * kSecond, kDay = 1440 * kMinute;

/// Counts the groups of a tenant, heard by their services' names.
class Count {
 public:
  explicit Count(std::size_t most = 1'000) : groups(most) { settings_.groupBy = {"service.name"}; }

  std::uint32_t operator()(const std::vector<std::string>& services, std::uint64_t now, const std::string& tenant = "t") {
    Message request;
    for (const std::string& service : services) {
      const Message resource = Message().add(1, attribute("service.name", service));
      request.add(1, Message().add(1, resource).add(2, Message().add(2, logRecord("started", {.time = kStart}))));
    }
    otlp::Index index;
    otlp::WireError error;
    CHECK(otlp::index(otlp::Signal::Logs, request, index, error));
    StreamKeys keys;
    keys.find(index, tenant, settings_, streamHash(settings_.hashKey));
    return groups.hear(tenant, keys, now);
  }

  ActiveGroups groups;

 private:
  Settings settings_ = settingsOf();
};

/// Checks that groups count from their fifth minute until a day after they were heard last, for their own tenant.
TEST(countsActiveGroups) {
  Count count;
  CHECK(count({}, 1) == 1);
  CHECK(count({"a", "b", "c"}, 1) == 1);
  CHECK(count({"a", "b", "b"}, 1 + 5 * kMinute) == 2);
  CHECK(count({"c"}, 1 + 6 * kMinute) == 3);
  CHECK(count({"d"}, 1 + 6 * kMinute, "other") == 1);
  CHECK(count({"a"}, 1 + kDay) == 3);
  CHECK(count({"a"}, 1 + 5 * kMinute + kDay) == 3);
  CHECK(count({"a"}, 2 + 5 * kMinute + kDay) == 2);
  CHECK(count({"a"}, 2 + 6 * kMinute + kDay) == 1);
  // Names that appear once, such as those of jobs, do not count.
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(count({"a", "job-" + std::to_string(i)}, 2 * kDay + i * kMinute) == 1);
}

/// Checks that the groups that are remembered are bounded, and that whoever sends many names only displaces others of its own
/// while they are heard.
TEST(forgetsTheOldestGroups) {
  Count count(10);
  count({"x"}, 1, "quiet");
  for (std::uint64_t i = 0; i < 50; ++i) CHECK(count({"s" + std::to_string(i)}, 1 + i * 10 * kMinute) == 1);
  CHECK(count({"s49"}, 1 + 500 * kMinute) == 1);
  CHECK(count({"s45", "s46"}, 1 + 500 * kMinute) == 3);
  CHECK(count({"s5"}, 1 + 510 * kMinute) == 3);
  CHECK(count({"x"}, 1 + 520 * kMinute, "quiet") == 1);
}

TEST(countsOfGroupsAreKept) {
  Count count;
  count({"a", "b", "c"}, 1), count({"x"}, 1, "other");
  count({"b", "c"}, 1 + 10 * kMinute);
  std::vector<std::uint8_t> bytes, again;
  count.groups.snapshot(bytes);
  Count same;
  CHECK(same.groups.restore(bytes));
  same.groups.snapshot(again);
  CHECK(bytes == again);
  for (const std::uint64_t now : {11 * kMinute, kDay + kMinute, kDay + 11 * kMinute, 3 * kDay}) {
    CHECK(count({"a", "d"}, now) == same({"a", "d"}, now));
  }
  // A smaller bound forgets the oldest.
  Count less(2);
  CHECK(less.groups.restore(bytes));
  CHECK(less({"b"}, 11 * kMinute) == 2);
  for (std::size_t i = 0; i < bytes.size(); ++i) CHECK(!Count().groups.restore(Bytes(bytes).first(i)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto odd = bytes;
    odd[i] ^= 0xff;
    Count victim;
    if (victim.groups.restore(odd)) CHECK(victim({"a"}, kDay) >= 1);
  }
}

}  // namespace
