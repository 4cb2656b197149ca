#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/recency_table.hpp"
#include "stream/keys.hpp"

namespace driftlock {

/// The streams that each tenant may have judged at once: so many, whoever comes first. A new one beyond them takes the
/// place of the tenant's least recently seen one where that has been silent for an hour of event time; else it has none.
///
/// Used in the order of requests, by one thread at a time, so that it does not depend on the engine's threads.
class Quota {
 public:
  /// @param perTenant 0 for no limit.
  /// @param inAll places of all tenants that are remembered; beyond it the tenants that were silent longest start anew.
  Quota(std::uint32_t perTenant, std::size_t inAll) : perTenant_(perTenant), inAll_(inAll) {}

  /// Sets a flag for each record whose stream has no place, and gives how many those are; where there are none, `refused`
  /// is empty.
  std::uint32_t admit(const otlp::Index& index, const StreamKeys& keys, std::string_view tenant,
                      std::vector<std::uint8_t>& refused);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh quota. Where the limit is lower now, the latest seen keep their places. False where the bytes are no
  /// snapshot; the quota is of no use then.
  bool restore(Bytes in);

 private:
  struct Tenant {
    StreamClock clock;
    /// By the hash of the stream: when it was used, by the tenant's clock.
    RecencyTable<std::uint64_t, std::uint64_t> places;
  };

  Tenant& find(std::string_view name);
  bool admit(Tenant& tenant, std::uint64_t hash);
  void makeRoom();

  std::uint32_t perTenant_;
  std::size_t inAll_;
  std::size_t places_ = 0;
  RecencyTable<std::string, Tenant> tenants_;
};

}  // namespace driftlock
