#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// What is unusual about many spans.
enum class ShiftKind : std::uint8_t { None, Slower, Faster, Tail, Errors, More, Fewer };

/// An operation whose spans have changed.
struct ShiftFinding {
  ShiftKind kind = ShiftKind::None;
  /// Whether it concerns all spans of the stream; `id` and `spanKind` are then meaningless, and durations are relative
  /// to those usual for their operations.
  bool total = false;
  /// The template of the operation's name, and the kind of its spans as OTLP numbers it.
  std::uint32_t id = 0;
  std::uint8_t spanKind = 0;
  /// The number of spans, and the time in which they came, in nanoseconds.
  std::uint32_t spans = 0;
  std::uint64_t nanos = 0;
  /// What is unusual, and the range of what is usual (two standard deviations): log2 of a duration in nanoseconds, a
  /// share of the spans, or their number.
  double value = 0, low = 0, high = 0;
  /// The duration beyond which spans count as slow, as log2 of nanoseconds.
  double slow = 0;
  /// The evidence against the usual, in bits.
  double bits = 0;
};

/// The spans of one operation, or of all: those of the open tick, and what is usual in a tick.
///
/// It looks at the mean of log2 of the duration; the share of spans that are slower than a standard deviation and a
/// quarter above that mean; the share of errors; and the number of spans. Each is compared with the ticks before, for
/// the tick alone and for some of the latest ticks together: the mean by its distance from their mean, over the variance
/// between ticks and that of a mean of so many spans; shares and numbers by their deviance (binomial and Poisson), over
/// their dispersion. All are squared distances z^2 in standard deviations, which k ticks know only roughly: the code
/// length under Student's law with k - 1 degrees of freedom, k / 2 log2(1 + z^2 / (k - 1)), takes that into account, so
/// that a tick can be judged after a few others. Locations follow the latest 64 ticks, spreads the latest 256.
class Operation {
 public:
  /// The length of the shortest tick. Those of an operation are twice as long as long as they hold too few spans.
  static constexpr std::uint64_t kTickNanos = 10'000'000'000;

  /// The kind of those that are no spans but figures, whose number means nothing.
  static constexpr std::uint8_t kFigure = 16;

  Operation() = default;
  Operation(std::uint32_t id, std::uint8_t spanKind) : id_(id), spanKind_(spanKind) {}

  std::uint32_t id() const { return id_; }
  bool is(std::uint32_t id, std::uint8_t spanKind) const { return id_ == id && spanKind_ == spanKind; }
  /// The number of the tick at a time, which is given as a number of the shortest ticks.
  std::uint64_t tickAt(std::uint64_t time) const { return time >> octave_; }
  /// The number of its spans in one of the shortest ticks: what is usual, and what has come.
  double weight() const;
  bool came() const { return now_.count > 0; }

  /// Counts a span by log2 of its duration. Returns its distance from the usual mean in `distance` if that is known.
  bool count(float duration, bool error, float& distance);
  /// Counts a span of another operation: whether it failed, whether its distance is known, and whether it is slow.
  void countOther(bool error, const float* distance, bool slow);
  bool slow(float distance) const { return distance > beyond_; }

  /// Finds what is strangest about the tick. The kind is None if too few ticks are known.
  ShiftFinding judge() const;
  /// Ends the tick, and learns from it or not. `lasting`: it should become usual soon, not gradually. `empty` ticks
  /// without spans follow, and the next one begins at `next`, in the shortest ticks.
  enum class Lesson : std::uint8_t { None, Learn, Lasting };
  void end(Lesson lesson, std::uint64_t empty, std::uint64_t next);

  /// Drops the open tick: what is left of it counts as the first, which is neither judged nor learned.
  void interrupt() {
    begun_ = false;
    now_ = {};
    squares_ = 0;
  }

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.id_), v(self.spanKind_), v(self.octave_), v(self.begun_), v(self.kept_), v(self.squares_), v(self.ticks_),
        v(self.filled_);
    v(self.number_), v(self.mean_), v(self.variance_), v(self.beyond_);
    const auto sums = [&](auto& s) { v(s.count), v(s.errors), v(s.measured), v(s.slow), v(s.distance); };
    sums(self.now_);
    for (auto& each : self.before_) sums(each);
    for (auto* share : {&self.errors_, &self.slow_}) v(share->part), v(share->all);
    for (auto& spread : self.spreads_) v(spread.number), v(spread.errors), v(spread.slow), v(spread.mean);
  }
  /// Whether the fields read by `visit` are possible.
  bool sound() const;

 private:
  static constexpr std::size_t kMostBefore = 5;
  /// The most spans of a tick that are counted.
  static constexpr std::uint32_t kMostSpans = UINT32_MAX;

  /// The spans of a tick: all, those that failed, those whose distance from the usual mean was measured, those of them
  /// that were slow, and the sum of these distances.
  struct Sums {
    std::uint32_t count = 0, errors = 0, measured = 0, slow = 0;
    float distance = 0;
  };
  /// A share of the spans, by fading sums.
  struct Share {
    float part = 0, all = 0;

    double usual() const { return (part + 0.5) / (all + 1.0); }
    double deviation(double k, double n) const;
    double squared(double k, double n) const;
    void learn(double k, double n, double keep);
  };
  /// How far the statistics of a time are usually from their means: the dispersions of counts, 1 if they are as chance
  /// has it, and the variance of the mean duration beyond that of a mean of so many spans.
  struct Spreads {
    float number = 1, errors = 1, slow = 1, mean = 0;
  };

  /// The number of ticks that are judged together; 1 while too few are known.
  std::uint32_t together() const;
  Sums latest(std::uint32_t ticks) const;
  double usualNumber() const { return (number_ * static_cast<double>(ticks_) + 0.5) / (ticks_ + 1.0); }
  double varianceOf(const Sums& sums, const Spreads& spreads) const;
  void look(const Sums& sums, std::uint32_t ticks, const Spreads& spreads, ShiftFinding& strangest) const;
  void learn(bool lasting);
  void learn(Spreads& spreads, const Sums& sums, std::uint32_t ticks) const;
  void adapt(std::uint64_t next);

  std::uint32_t id_ = 0;
  std::uint8_t spanKind_ = 0;
  /// A tick is as many octaves longer than the shortest.
  std::uint8_t octave_ = 0;
  /// Whether the open tick is not the first, which began before the first span.
  bool begun_ = false;
  Sums now_;
  /// The sum of the squares of the distances in the open tick.
  float squares_ = 0;
  /// The ticks before the open one, the latest first, and how many there are.
  std::array<Sums, kMostBefore> before_{};
  std::uint8_t kept_ = 0;

  /// The number of ticks learned, and of those with spans; both are bounded.
  std::uint32_t ticks_ = 0, filled_ = 0;
  /// The mean number of spans, the mean of log2 of durations, their variance within a tick, and the distance from the
  /// mean from which a span is slow.
  float number_ = 0, mean_ = 0, variance_ = 0, beyond_ = 0;
  Share errors_, slow_;
  /// Those of a tick, and of some ticks together.
  std::array<Spreads, 2> spreads_{};
};

}  // namespace driftlock
