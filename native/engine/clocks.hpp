#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/common_clock.hpp"
#include "base/recency_table.hpp"

namespace driftlock {

/// The clocks of the tenants, each advanced by its own requests only, and the clock of the process, advanced by all requests.
///
/// They are used in the order of requests, by one thread at a time.
class Clocks {
 public:
  /// Notes a request of the tenant with the time of its last record, and sets the tenant's moment. Returns true if the
  /// tenant's clock has reached another second.
  bool observe(std::string_view tenant, std::uint64_t timeUnixNano, Moment& moment);
  /// Notes that `nanos` have passed in which only the tenants `heard` were active. Returns the others and their moments.
  std::vector<std::pair<std::string, Moment>> pass(std::uint64_t nanos, const std::vector<std::string>& heard);

  /// Notes that time passed of which nothing is known.
  void interrupt();

  /// The moment by the clock of the process.
  Moment moment() const { return process_.moment(); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores fresh clocks. Returns false if the bytes are not a snapshot; the clocks are then unusable.
  bool restore(Bytes in);

 private:
  CommonClock& find(std::string_view tenant);

  CommonClock process_;
  RecencyTable<std::string, CommonClock> tenants_;
};

}  // namespace driftlock
