#include "graph/history.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace driftlock {
namespace {

/// What is left of the past when another stretch of two minutes joins it.
constexpr double kKeep = 1 - 2.0 / 1440;
/// A past of few ticks says little about how much they differ. Until then a span is assumed to vary by its mean, as if so many
/// ticks had shown it.
constexpr double kAssumedTicks = 3;

}  // namespace

std::uint64_t History::advance(std::uint64_t tick) {
  const auto isTooOld = [&](const Stretch& each) {
    return each.sums.ticks > 0 && each.number + kStretches <= tick / ticksPerStretch_;
  };
  while (ticksPerStretch_ < kTicksPerStretch && std::ranges::any_of(recent_, isTooOld)) lengthen();
  const std::uint64_t stretch = tick / ticksPerStretch_;
  for (std::size_t i = 1; i <= kStretches; ++i) {
    Stretch& each = recent_[(stretch + i) % kStretches];
    if (!isTooOld(each)) continue;
    past_.fade(kKeep);
    past_.add(each.sums);
    each = {};
  }
  return stretch;
}

void History::lengthen() {
  ticksPerStretch_ *= 2;
  for (const Stretch& each : std::exchange(recent_, {})) {
    if (each.sums.ticks > 0) add(each.number / 2, each.sums);
  }
}

void History::add(std::uint64_t stretch, const Sums<float>& sums) {
  Stretch& own = recent_[stretch % kStretches];
  // A clock that was set back may find the place taken by a later time.
  if (own.sums.ticks == 0) own.number = stretch;
  own.sums.add(sums);
}

bool History::usual(double callers, std::uint64_t tick, Usual& out) {
  const std::uint64_t now = advance(tick);
  Sums<double> sums = past_;
  if (past_.ticks == 0) {
    for (const Stretch& each : recent_) {
      if (each.sums.ticks > 0 && each.number < now) sums.add(each.sums);
    }
  }
  if (!(sums.callers > 0) || !(sums.count > 0)) return false;
  const double part = callers / sums.callers, count = part * sums.count;
  // By the rule of succession (Laplace): that no span of a short past has failed does not mean that none ever will.
  out.figures = {count, part * sums.seconds, count * (sums.failures + 1) / (sums.count + 2)};
  const double mean = sums.seconds / sums.count;
  // The means of ticks differ by the variance of a span divided by their numbers of spans. What is usual is a mean as well.
  const double between = std::max(0.0, sums.squares - sums.count * mean * mean) + kAssumedTicks * mean * mean;
  out.variance = between / (std::max(0.0, sums.ticks - 1) + kAssumedTicks) * (1 + count / sums.count);
  return true;
}

void History::close(const Figures& figures, double callers, std::uint64_t tick) {
  const double square = figures.count > 0 ? figures.seconds * figures.seconds / figures.count : 0;
  add(advance(tick), {.ticks = 1,
                      .callers = static_cast<float>(callers),
                      .count = static_cast<float>(figures.count),
                      .seconds = static_cast<float>(figures.seconds),
                      .failures = static_cast<float>(figures.failures),
                      .squares = static_cast<float>(square)});
}

bool History::sound() const {
  const auto possible = [](const auto& s) {
    return std::ranges::all_of(std::array<double, 6>{s.ticks, s.callers, s.count, s.seconds, s.failures, s.squares},
                               [](double each) { return each >= 0 && std::isfinite(each); });
  };
  const bool isLength = ticksPerStretch_ == kTicksPerStretch || ticksPerStretch_ == kTicksPerStretch / 2 ||
                        ticksPerStretch_ == kFirstTicksPerStretch;
  return isLength && possible(past_) && std::ranges::all_of(recent_, [&](const Stretch& each) { return possible(each.sums); });
}

}  // namespace driftlock
