#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/recency_table.hpp"
#include "stream/keys.hpp"

namespace driftlock {

/// Limits the number of streams that each tenant may have judged at once, first come, first served. A new stream beyond
/// the limit takes the place of the tenant's least recently seen one if that has been silent for an hour of event time;
/// otherwise it has none. Streams of instances come and go with their processes: one that has been silent for ten minutes makes
/// room.
///
/// It is used in the order of requests, by one thread at a time, so that it does not depend on the engine's threads.
class Quota {
 public:
  /// @param perTenant 0 for no limit.
  /// @param inAll the most places of all tenants that are remembered; beyond it the tenants that were silent longest start anew.
  Quota(std::uint32_t perTenant, std::size_t inAll) : perTenant_(perTenant), inAll_(inAll) {}

  /// Sets a flag for each record whose stream has no place, and returns the number of those records; if there are none,
  /// `refused` is empty. `received` is when the request was received, in nanoseconds since 1970; 0 if that is unknown.
  std::uint32_t admit(const otlp::Index& index, const StreamKeys& keys, std::string_view tenant, std::uint64_t received,
                      std::vector<std::uint8_t>& refused);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh quota. If the limit is lower now, the most recently seen streams keep their places. Returns false
  /// if the bytes are not a snapshot; the quota is then unusable.
  bool restore(Bytes in);

 private:
  struct Tenant {
    StreamClock clock;
    /// The times of last use by the tenant's clock, by the hash of the stream: of those of instances, and of others.
    RecencyTable<std::uint64_t, std::uint64_t> instances, others;

    std::size_t places() const { return instances.size() + others.size(); }
  };

  Tenant& find(std::string_view name);
  bool admit(Tenant& tenant, std::uint64_t hash, bool instance);
  void makeRoom();

  std::uint32_t perTenant_;
  std::size_t inAll_;
  std::size_t places_ = 0;
  RecencyTable<std::string, Tenant> tenants_;
};

}  // namespace driftlock
