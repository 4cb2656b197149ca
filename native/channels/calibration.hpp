#pragma once

// From a score to an alarm: a p-value on the stream's own past, several p-values as one, and a budget of alarms.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// What a budget says of a unit.
enum class Alarm : std::uint8_t {
  /// Not strange enough.
  None,
  /// Strange enough, and part of an anomaly that is open: no new alarm.
  Related,
  /// Strange enough to raise an alarm.
  Raised,
  /// Strange enough, but the budget is spent: to be counted and shown, not to be raised.
  Withheld,
};

/// P-values of scores among the scores of the past, down to rates far below one in what is remembered.
///
/// A pyramid of block maxima: level 0 keeps the latest 256 scores, level j the largest score of each of the latest 32
/// blocks of 4^j. A score that k of m blocks of B scores reach has p = 1 - (1 - (k + 1) / (m + 1))^(1 / B); the search
/// climbs until 8 blocks reach it. So ranks answer for one in 10^8 from 2.5 KiB. Maxima of blocks, not single scores, because
/// large scores come in clusters: a cluster counts once (block maxima: E. J. Gumbel, Statistics of extremes, 1958).
/// A level leaves its first block out once it has 16 others: while a stream is young much is seen for the first time, which
/// says little of how often that happens later.
///
/// Where ranks run out, above all that is remembered, a generalised Pareto tail goes on: fitted to the block maxima above
/// their median by probability-weighted moments (J. R. M. Hosking, J. R. Wallis, Technometrics 29(3), 1987), the shape
/// raised by its standard error and never below 0. It claims at most the square of what ranks show: n scores never give
/// less than about n^-2. Ties count as reached, nothing is random.
class Calibration {
 public:
  /// `unit`: a difference of scores that means something, in their own unit. The tail never falls faster than by 1/e a unit.
  explicit Calibration(double unit);

  /// Probability of such a score or a larger one; 1 before anything was learnt, and for what is not a number.
  double pValue(double score) const;
  /// Takes a score for part of the stream's past.
  void learn(double score);
  /// Takes a judged score as far as it says what is usual: one that raised an alarm as if it had just reached the limit on
  /// p-values (so an anomaly does not hide the next, yet false alarms push the limit up), or one unit above all that is
  /// remembered where no score reaches it; a related one not at all, others as they are (what the budget withholds is too
  /// common to be called strange).
  void learn(double score, Alarm judged, double pLimit);
  /// The smallest score whose p-value is at most `p`; infinite when no score is.
  double limit(double p) const;
  /// Median of the latest 256 scores; 0 before any.
  double median() const;

  std::uint64_t learnt() const { return learnt_; }
  static constexpr std::size_t bytes() { return sizeof(Calibration); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False, with nothing changed, when the bytes are no snapshot of a calibration.
  bool restore(Bytes in);

 private:
  static constexpr int kLevels = 13;
  static constexpr std::size_t kLatest = 256;
  static constexpr std::size_t kBlocks = 32;

  std::span<const float> level(int j) const;
  std::span<const float> past(int j) const;
  float largest() const;
  std::uint64_t filled(int j) const;
  /// The fitted tail above the block maxima of a level: scores above `from` exceed it by e with a chance of
  /// share (1 + shape e / scale)^(-1 / shape), or of share exp(-e / scale) where `shape` is 0.
  struct Tail {
    /// Scores learnt when it was fitted.
    std::uint64_t learnt = 0;
    /// The largest score that was remembered then, and what ranks say of all above it.
    float largest = 0;
    double rank = 1;
    double from = 0, scale = 0, shape = 0, share = 0;
    /// There are too few maxima to fit anything.
    bool none = true;

    double chance(double score) const;
    /// About where the chance is `p`.
    double scoreOf(double p) const;
  };

  static float scoreAt(std::int64_t place);
  static std::int64_t placeOf(float score);
  /// P-value of a score above all that is remembered.
  static double beyond(const Tail& tail, double score);
  /// The tail of the highest level, fitted once for all scores until the next one is learnt.
  const Tail& tail(int j) const;
  int top() const;

  double unit_;
  std::uint64_t learnt_ = 0;
  std::array<float, kLatest> scores_{};
  std::array<std::array<float, kBlocks>, kLevels - 1> maxima_{};
  /// Largest score of each level's unfinished block, without what lies in the unfinished blocks of lower levels.
  std::array<float, kLevels> open_{};
  mutable Tail tail_;
  /// The latest answer of `limit`, and the p-values for which it holds until another score is learnt: [at, above).
  struct Limit {
    std::uint64_t learnt = 0;
    double score = 0, at = 0, above = 0;
  };
  mutable Limit limit_;
};

/// One p-value from several that may depend on each other: their harmonic mean (D. J. Wilson, PNAS 116(4), 2019), at most 1.
/// For small values it is nearly exact whether they are independent or the same; 1 for none.
double combinePValues(std::span<const double> pValues);

/// Keeps alarms within so many a day of event time.
///
/// A unit (what is scored: a record, a session, a tick) is strange enough when p <= perDay / (2 U), for U units a day as
/// the stream itself has shown lately, and p <= 1/100: so half the budget is spent by chance if p-values are right. Where
/// they are not, a bank limits the damage: it fills by `perDay` a day up to a day's worth (at least 3), and an alarm
/// takes 1 out. A unit a hundred times stranger than it must be may overdraw it by as much. So over T days a stream
/// raises at most perDay x (T + 1) + 1 alarms (for perDay >= 3; below, 4 more than perDay x T), whatever its scores do.
/// After the wealth of D. P. Foster, R. A. Stine, Alpha-investing, J. R. Stat. Soc. B 70(2), 2008.
class AlarmBudget {
 public:
  /// Alarms a day, clamped to [0.001, 1e6].
  explicit AlarmBudget(double perDay);

  /// Counts a unit at its event time (nanoseconds; time that runs backwards counts as no time).
  void observe(std::uint64_t timeUnixNano);
  /// Judges a unit that is strange enough at a p-value of `limit`. `related`: it belongs to an anomaly that is open.
  Alarm judge(double p, double limit, bool related);

  /// The largest p-value of one of the units observed that is strange enough now.
  double limit() const;
  /// Units a day, lately.
  double unitsPerDay() const;
  std::uint64_t raised() const { return raised_; }
  std::uint64_t withheld() const { return withheld_; }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False, with nothing changed, when the bytes are no snapshot of a budget. `perDay` stays as it was configured.
  bool restore(Bytes in);

 private:
  double perDay_;
  double capacity_;
  double bank_;
  std::uint64_t time_ = 0;
  double units_ = 0;    // with exponential forgetting over a day
  double seconds_ = 0;  // likewise
  std::uint64_t raised_ = 0;
  std::uint64_t withheld_ = 0;
};

}  // namespace driftlock
