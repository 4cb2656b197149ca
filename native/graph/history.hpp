#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// The time that figures are counted in, in nanoseconds of event time.
inline constexpr std::uint64_t kGraphTick = 10'000'000'000;

/// What spans or calls took in a tick.
struct Figures {
  double count = 0, seconds = 0, failures = 0;

  void add(const Figures& other) {
    count += other.count;
    seconds += other.seconds;
    failures += other.failures;
  }
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.count), v(self.seconds), v(self.failures);
  }
};

/// What is usual for an operation or for the calls between two, by sums over its past that fade with a time constant of one day
/// in which it is active. The latest ten to twelve minutes wait before they count, so that a fault does not become its own usual;
/// only as long as there is nothing else, all but the latest two to four count.
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
    Sums<double>::visit(self.past_, v);
    for (auto& each : self.recent_) v(each.number), Sums<float>::visit(each.sums, v);
  }
  /// Whether the fields read by `visit` are possible.
  bool sound() const;

 private:
  /// A stretch of ticks that moves to the past at once.
  static constexpr std::uint64_t kTicksPerStretch = 12;
  static constexpr std::size_t kStretches = 6;

  template <class Number>
  struct Sums {
    Number ticks = 0, callers = 0, count = 0, seconds = 0, failures = 0;
    /// The sum of the squares of the ticks' seconds, each divided by the tick's count.
    Number squares = 0;

    template <class Other>
    void add(const Sums<Other>& other) {
      ticks += static_cast<Number>(other.ticks);
      callers += static_cast<Number>(other.callers);
      count += static_cast<Number>(other.count);
      seconds += static_cast<Number>(other.seconds);
      failures += static_cast<Number>(other.failures);
      squares += static_cast<Number>(other.squares);
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

  void mature(std::uint64_t stretch);

  Sums<double> past_;
  std::array<Stretch, kStretches> recent_;
};

}  // namespace driftlock
