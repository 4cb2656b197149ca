#include "engine/active_groups.hpp"

#include <map>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kMinute = 60 * kSecond;
/// In minutes.
constexpr std::uint64_t kDay = 1440;

/// Counts the groups of a tenant, heard by their services' names, at a minute.
class Count {
 public:
  explicit Count(std::size_t most = 1'000) : groups(most) { settings_.groupBy = {"service.name"}; }

  std::uint32_t operator()(const std::vector<std::string>& services, std::uint64_t minute, const std::string& tenant = "t") {
    // A clock follows steps of a minute, in which the tenant's requests have no records of these services.
    for (std::uint64_t& at = minutes[tenant]; at < minute; ++at) hear({}, at, tenant);
    return hear(services, minute, tenant);
  }

  ActiveGroups groups;
  /// The latest minute of each tenant.
  std::map<std::string, std::uint64_t> minutes;

 private:
  std::uint32_t hear(const std::vector<std::string>& services, std::uint64_t minute, const std::string& tenant) {
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
    return groups.hear(tenant, keys, kStart + minute * kMinute);
  }

  Settings settings_ = settingsOf();
};

/// Checks that groups count from their fifth minute until a day after they were heard last, for their own tenant.
TEST(countsActiveGroups) {
  Count count;
  CHECK(count({}, 0) == 1);
  CHECK(count({"a", "b", "c"}, 0) == 1);
  CHECK(count({"a", "b", "b"}, 5) == 2);
  CHECK(count({"c"}, 6) == 3);
  CHECK(count({"d"}, 6, "other") == 1);
  CHECK(count({"a"}, kDay) == 3);
  CHECK(count({"a"}, kDay + 5) == 3);
  CHECK(count({"a"}, kDay + 6) == 2);
  CHECK(count({"a"}, kDay + 7) == 1);
  // Names that appear once, such as those of jobs, do not count.
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(count({"a", "job-" + std::to_string(i)}, 2 * kDay + i) == 1);
}

/// Checks that the groups that are remembered are bounded: the oldest give way, those of tenants that are silent first.
TEST(forgetsTheOldestGroups) {
  Count count(10);
  count({"x"}, 0, "quiet"), count({"x"}, 10, "quiet");
  for (std::uint64_t i = 0; i < 50; ++i) CHECK(count({"s" + std::to_string(i)}, i * 10) == 1);
  CHECK(count({"s49"}, 500) == 1);
  CHECK(count({"s45", "s46"}, 500) == 3);
  CHECK(count({"s5"}, 510) == 3);
  CHECK(count({"x"}, 520, "quiet") == 1);
}

TEST(countsOfGroupsAreKept) {
  Count count;
  count({"a", "b", "c"}, 0), count({"x"}, 0, "other");
  count({"b", "c"}, 10);
  std::vector<std::uint8_t> bytes, again;
  count.groups.snapshot(bytes);
  Count same;
  CHECK(same.groups.restore(bytes));
  same.minutes = count.minutes;
  same.groups.snapshot(again);
  CHECK(bytes == again);
  // A smaller bound forgets the oldest.
  Count less(2);
  CHECK(less.groups.restore(bytes));
  CHECK(less({"b"}, 11) == 2);
  for (std::uint64_t minute = 10; minute < 3 * kDay; minute += 60) CHECK(count({"a"}, minute) == same({"a"}, minute));
  for (std::size_t i = 0; i < bytes.size(); ++i) CHECK(!Count().groups.restore(Bytes(bytes).first(i)));
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto odd = bytes;
    odd[i] ^= 0xff;
    // The times at which a group was heard first and last are next to each other.
    if (i % 2 == 0 && i + 8 < odd.size()) odd[i + 8] ^= 0xff;
    Count victim;
    if (!victim.groups.restore(odd)) continue;
    CHECK(victim({"a"}, 60) >= 1);
    // What was accepted can be kept and restored again.
    std::vector<std::uint8_t> later;
    victim.groups.snapshot(later);
    CHECK(Count().groups.restore(later));
  }
}

}  // namespace
