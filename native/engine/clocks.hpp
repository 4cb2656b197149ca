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

/// The clocks of tenants, each moved by its own requests alone, and that of the process, moved by all.
///
/// Used in the order of requests, by one thread at a time.
class Clocks {
 public:
  /// A request of the tenant, with the time of its last record. Gives the tenant's moment then; true where its clock has
  /// come to another second.
  bool observe(std::string_view tenant, std::uint64_t timeUnixNano, Moment& moment);
  /// So much time has passed in which no tenant was heard but those. Returns the others and their moments.
  std::vector<std::pair<std::string, Moment>> pass(std::uint64_t nanos, const std::vector<std::string>& heard);

  /// Of the process.
  Moment moment() const { return process_.moment(); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of fresh clocks. False where the bytes are no snapshot; they are of no use then.
  bool restore(Bytes in);

 private:
  CommonClock& find(std::string_view tenant);

  CommonClock process_;
  RecencyTable<std::string, CommonClock> tenants_;
};

}  // namespace driftlock
