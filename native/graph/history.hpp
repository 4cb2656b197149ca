#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace driftlock {

/// The time that figures are counted in, in nanoseconds of event time.
inline constexpr std::uint64_t kGraphTick = 10'000'000'000;

/// What spans or calls took in a tick.
struct Figures {
  double count = 0, seconds = 0, failures = 0;
  /// The seconds of the longest.
  double longest = 0;

  void add(const Figures& other) {
    longest = std::max(longest, other.longest);
    count += other.count;
    seconds += other.seconds;
    failures += other.failures;
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.count), v(self.seconds), v(self.failures), v(self.longest);
  }
  /// Whether the fields read by `visit` are possible.
  bool sound() const {
    return std::ranges::all_of(std::array{count, seconds, failures, longest},
                               [](double each) { return each >= 0 && std::isfinite(each); });
  }
};

/// What is usual for an operation or for the calls between two, by sums over its past that fade with a time constant of one day
/// in which it is active. The latest ten to twelve minutes wait before they count, so that a fault does not become its own usual.
/// Only as long as there is nothing else, they count as well, but for the latest stretch, which is 30 s at first and longer
/// later.
class History {
 public:
  /// What is usual for a number of spans, and the variance of the seconds of one.
  struct Usual {
    Figures figures;
    double variance = 0;
  };
  /// @param callers the number of spans that it is usual for: of its own, or of the operation that makes the calls
  /// @return false if nothing is known
  bool usual(double callers, std::uint64_t tick, Usual& out);
  /// Counts a tick that is over.
  void close(const Figures& figures, double callers, std::uint64_t tick);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.ticksPerStretch_), Sums<double>::visit(self.past_, v);
    for (auto& each : self.recent_) v(each.number), Sums<float>::visit(each.sums, v);
  }
  /// Whether the fields read by `visit` are possible.
  bool sound() const;

 private:
  /// Stretches of so many ticks move to the past at once. They are short at first, and two become one when there is no room.
  static constexpr std::uint8_t kFirstTicksPerStretch = 3, kTicksPerStretch = 12;
  static constexpr std::size_t kStretches = 6;

  template <class Number>
  struct Sums {
    Number ticks = 0, callers = 0, count = 0, seconds = 0, failures = 0;
    /// The sum of the squares of the ticks' seconds, each divided by the tick's count.
    Number squares = 0;

    /// Sums stay finite, or a snapshot of them would be refused.
    template <class Other>
    void add(const Sums<Other>& other) {
      const auto sum = [](Number& own, Other more) {
        own = std::min(own + static_cast<Number>(more), std::numeric_limits<Number>::max());
      };
      sum(ticks, other.ticks);
      sum(callers, other.callers);
      sum(count, other.count);
      sum(seconds, other.seconds);
      sum(failures, other.failures);
      sum(squares, other.squares);
    }
    void fade(Number keep) {
      for (Number* each : {&ticks, &callers, &count, &seconds, &failures, &squares}) *each *= keep;
    }
    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.ticks), v(self.callers), v(self.count), v(self.seconds), v(self.failures), v(self.squares);
    }
  };
  struct Stretch {
    std::uint64_t number = 0;
    Sums<float> sums;
  };

  /// Moves what is old enough to the past. Returns the number of the stretch of this tick.
  std::uint64_t advance(std::uint64_t tick);
  void lengthen();
  void add(std::uint64_t stretch, const Sums<float>& sums);

  std::uint8_t ticksPerStretch_ = kFirstTicksPerStretch;
  Sums<double> past_;
  std::array<Stretch, kStretches> recent_;
};

}  // namespace driftlock
