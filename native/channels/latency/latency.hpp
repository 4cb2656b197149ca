#pragma once

#include <cstdint>

namespace driftlock {

/// How unusual a duration, or another positive value, is among those of its kind, such as an operation's: the code length of its
/// distance from the mean in logarithms, z^2 / 2 nats under a log-normal law whose spread above and below the mean is measured
/// apart. The spread fades with a half-life of about 700 durations. 16 bytes an operation.
///
/// What it cannot see: two modes (hits and misses of a cache) widen the spread and hide what lies between and near them.
class LatencyModel {
 public:
  /// Bits above the mean's own code length; 0 while fewer than 16 durations are known. `nanos` 0 counts as 1.
  double cost(std::uint64_t nanos) const;
  void learn(std::uint64_t nanos);
  /// The same of any positive value.
  double costOf(double value) const;
  void learnOf(double value);
  /// Enough values are known for a cost.
  bool known() const;
  /// The range of 99 % of them, in the unit of what was learned.
  double low() const;
  double high() const;

  /// log2 of the unit.
  float mean = 0;
  /// Mean squares of the distances above and below the mean.
  float above = 0, below = 0;
  std::uint32_t count = 0;
};

}  // namespace driftlock
