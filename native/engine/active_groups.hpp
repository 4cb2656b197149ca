#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "base/recency_table.hpp"
#include "stream/keys.hpp"

namespace driftlock {

/// Counts the resource groups of each tenant that can raise alarms: those that were heard within a day, and for longer
/// than streams learn at least. They share what the tenant's budget leaves to chance.
///
/// It is used in the order of requests, by one thread at a time, so that it does not depend on the engine's threads.
class ActiveGroups {
 public:
  /// @param most the most groups of all tenants that are remembered. Beyond it, the tenants that were silent longest are
  /// forgotten, and of a single tenant its groups that were.
  explicit ActiveGroups(std::size_t most = 20'000) : most_(most) {}

  /// Notes the groups of a request with the time of its last record. Returns the number of the tenant's groups, at least 1.
  std::uint32_t hear(std::string_view tenant, const StreamKeys& keys, std::uint64_t timeUnixNano);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores fresh counts. Returns false if the bytes are not a snapshot; the counts are then unusable.
  bool restore(Bytes in);

 private:
  struct Heard {
    std::uint64_t first = 0, last = 0;

    bool counts() const;
  };
  struct Tenant {
    /// Unlike the tenant's common clock, it does not stop while nothing is received.
    StreamClock clock;
    RecencyTable<std::uint64_t, Heard> groups;
    std::uint32_t active = 0;

    void forget();
  };

  Tenant& find(std::string_view name);
  void makeRoom();

  std::size_t most_, groups_ = 0;
  RecencyTable<std::string, Tenant> tenants_;
};

}  // namespace driftlock
