#include "graph/history.hpp"

#include <algorithm>
#include <cmath>

namespace driftlock {
namespace {

/// What is left of the past when another stretch of two minutes joins it.
constexpr double kKeep = 1 - 2.0 / 1440;

}  // namespace

void History::mature(std::uint64_t stretch) {
  // At most one stretch with a number of ticks is in each place, and an older one is never behind a later one.
  for (std::size_t i = 1; i <= kStretches; ++i) {
    Stretch& each = recent_[(stretch + i) % kStretches];
    if (each.sums.ticks == 0 || each.number + kStretches > stretch) continue;
    past_.fade(kKeep);
    past_.add(each.sums);
    each = {};
  }
}

bool History::usual(double callers, std::uint64_t tick, Usual& out) {
  const std::uint64_t now = tick / kTicksPerStretch;
  mature(now);
  Sums<double> sums = past_;
  if (past_.ticks == 0) {
    for (const Stretch& each : recent_) {
      if (each.sums.ticks > 0 && each.number + 1 < now) sums.add(each.sums);
    }
  }
  if (!(sums.callers > 0) || !(sums.count > 0)) return false;
  const double part = callers / sums.callers, count = part * sums.count;
  out.figures = {count, part * sums.seconds, part * sums.failures};
  const double mean = sums.seconds / sums.count;
  // The means of ticks differ by the variance of a span divided by their numbers of spans. What is usual is a mean as well.
  const double between = (sums.squares - sums.count * mean * mean) / std::max(1.0, sums.ticks - 1);
  out.variance = std::max(0.0, between) * (1 + count / sums.count);
  return true;
}

void History::close(const Figures& figures, double callers, std::uint64_t tick) {
  const std::uint64_t now = tick / kTicksPerStretch;
  mature(now);
  Stretch& own = recent_[now % kStretches];
  // A clock that was set back may find the place taken by a later time.
  if (own.number != now && own.sums.ticks == 0) own.number = now;
  const double square = figures.count > 0 ? figures.seconds * figures.seconds / figures.count : 0;
  own.sums.add(Sums<double>{1, callers, figures.count, figures.seconds, figures.failures, square});
}

bool History::sound() const {
  const auto possible = [](const auto& s) {
    return std::ranges::all_of(std::array<double, 6>{s.ticks, s.callers, s.count, s.seconds, s.failures, s.squares},
                               [](double each) { return each >= 0 && std::isfinite(each); });
  };
  return possible(past_) && std::ranges::all_of(recent_, [&](const Stretch& each) { return possible(each.sums); });
}

}  // namespace driftlock
