#pragma once

// Turns scores into a p-value against the stream's own past, and several p-values into one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "channels/alarm_budget.hpp"
#include "channels/score_law.hpp"

namespace driftlock {

/// Computes p-values of scores against the scores of the past, down to rates far smaller than one in the number remembered.
///
/// It keeps a pyramid of block maxima: level 0 keeps the latest 256 scores, level j the largest score of each of the
/// latest 32 blocks of 4^j. A score that k of m blocks of B scores reach has p = 1 - (1 - (k + 1) / (m + 1))^(1 / B);
/// the search climbs until 8 blocks reach it. So ranks reach down to one in 10^8 from 2.5 KiB, which grow with what is learnt. It
/// keeps maxima of blocks, not single scores, because large scores come in clusters, and a cluster should count once (block
/// maxima: E. J. Gumbel, Statistics of extremes, 1958). A level leaves out its first block once it has 16 others: much is seen
/// for the first time while a stream is young, which indicates little about how often that happens later.
///
/// Above all that is remembered, where ranks end with the p-value `r`, a power law takes over: a score `x` times as far
/// above the median as the largest has p = r x^(ln(r) / 2). That is a generalised Pareto tail whose index grows with
/// the number of scores: heavier than that of any law with an exponential tail, so that a stream which has shown little
/// claims little, yet p falls without end. Where scores are known to follow an exponential law, p = r x^ln(r), which still
/// falls more slowly. It never falls faster than by 1/e per `kLeastScale` units, because what a
/// stream has never shown has no scale of its own. Ties count as reached. Nothing is random.
class Calibration {
 public:
  /// @param unit a meaningful difference of scores; the tail never falls faster than by 1/e per `kLeastScale` units.
  explicit Calibration(double unit, ScoreLaw law = ScoreLaw::Heavy);

  /// The probability of such a score or a larger one; 1 before anything was learnt, and for NaN.
  double pValue(double score) const;
  /// Adds a score to what is known of the stream's past.
  void learn(double score);
  /// Learns a judged score. One that raised an alarm is learned as if it had just reached the limit on p-values: an
  /// anomaly does not hide the next, yet false alarms raise the limit. A related one is not learned; others are learned as they
  /// are (what the budget withholds is too common to be strange).
  void learn(double score, Alarm judged, double pLimit);
  /// The smallest score whose p-value is at most `p`; infinite if there is none.
  double limit(double p) const;
  /// The median of the latest 256 scores; 0 if there is none yet.
  double median() const;

  std::uint64_t learnt() const { return learnt_; }
  /// The memory in bytes.
  std::size_t memory() const { return sizeof *this + scores_.capacity() * sizeof(float) + maxima_.capacity() * sizeof(Maxima); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a calibration.
  bool restore(Bytes in);

 private:
  static constexpr double kLeastScale = 4;
  static constexpr int kLevels = 13;
  static constexpr std::size_t kLatest = 256;
  static constexpr std::size_t kBlocks = 32;

  std::span<const float> level(int j) const;
  std::span<const float> past(int j) const;
  std::uint64_t filled(int j) const;
  /// The tail above all scores that are remembered.
  struct Tail {
    /// The number of scores learnt when it was made.
    std::uint64_t learnt = 0;
    /// The median of the latest scores, the largest score, the logarithm of the p-value that ranks give above it, and the
    /// exponent of the power law that follows.
    float from = 0, largest = 0;
    double rank = 0, exponent = 0;

    double chance(double score, double unit) const;
    /// The approximate score whose p-value is `p`.
    double scoreOf(double p, double unit) const;
  };

  static float scoreAt(std::int64_t place);
  static std::int64_t placeOf(float score);
  /// The tail beyond the highest level, made once for all scores until the next one is learnt.
  const Tail& tail(int j) const;
  int top() const;

  double unit_;
  ScoreLaw law_;
  std::uint64_t learnt_ = 0;
  using Maxima = std::array<float, kBlocks>;
  std::vector<float> scores_;
  /// From level 1 on, those that have a block.
  std::vector<Maxima> maxima_;
  /// The largest score of each level's unfinished block, without what lies in the unfinished blocks of lower levels.
  std::array<float, kLevels> open_{};
  mutable Tail tail_;
  /// The latest answer of `limit`, and the p-values for which it holds until another score is learnt: [at, above).
  struct Limit {
    std::uint64_t learnt = 0;
    double score = 0, at = 0, above = 0;
  };
  mutable Limit limit_;
};

/// Combines p-values that may depend on each other into one: their harmonic mean (D. J. Wilson, PNAS 116(4), 2019), at
/// most 1. For small values it is nearly exact whether they are independent or equal; for none it is 1.
double combinePValues(std::span<const double> pValues);

}  // namespace driftlock
