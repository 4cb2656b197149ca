#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/state_bytes.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// The strangest of a tenant's verdicts in the current hour that were not flagged, so that people see something true although
/// nothing crossed its limit. A stream has one place.
class Notable {
 public:
  static constexpr std::size_t kMost = 8;

  /// Whether a verdict of a stream is among the strangest of its hour so far; if it is, it takes its place.
  /// @param unixNanos the event time
  bool note(std::uint64_t stream, const Verdict& verdict, std::uint64_t unixNanos);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false if the bytes are not a snapshot of one; the object is then unusable.
  bool restore(Bytes in);

 private:
  struct Place {
    std::uint64_t stream = 0;
    /// How many times rarer it is than it must be to be flagged, and its score in the measure that all channels share.
    double margin = 0, score = 0;
  };

  std::uint64_t hour_ = 0;
  std::vector<Place> places_;
};

}  // namespace driftlock
