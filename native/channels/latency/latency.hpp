#pragma once

#include <cstdint>

namespace driftlock {

/// Scores how unusual a duration, or another positive value, is among those of its kind, such as an operation's. The
/// score is the code length of its distance from the mean in logarithms: z^2 / 2 nats under a log-normal law whose
/// spreads above and below the mean are measured separately. The spread fades with a half-life of about 700 durations.
/// If a share of the values has been further than 4.5 standard deviations above the mean, they have a heavy tail: a value
/// there costs what that share and a power law tell, if that is less. A model takes 20 bytes.
///
/// One limit: two modes (hits and misses of a cache) widen the spread and hide what lies between and near them.
class LatencyModel {
 public:
  /// Returns log2 of a positive value, as which values are given.
  static float octavesOf(double value);
  /// The cost in bits above the mean's own code length; 0 while fewer than 16 values are known.
  double cost(float octaves) const;
  /// Learns a value; a strange one as if it were less far away, so that it neither moves what is usual by much nor,
  /// because it was left out, makes the next one stranger.
  void learn(float octaves, bool strange = false);
  /// Whether a value is below the mean.
  bool isShort(float octaves) const { return octaves < mean; }
  /// Whether enough values are known for a cost.
  bool known() const;
  /// The lower end of the range of 99 % of the values, in their unit.
  double low() const;
  double high() const;

  /// The mean of log2 of the values.
  float mean = 0;
  /// The mean squares of the distances above and below the mean.
  float above = 0, below = 0;
  /// The share of the values that are in the tail.
  float tail = 0;
  std::uint32_t count = 0;
};

}  // namespace driftlock
