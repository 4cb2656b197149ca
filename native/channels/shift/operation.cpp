#include "channels/shift/operation.hpp"

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"

namespace driftlock {
namespace {

/// The longest tick, in octaves above the shortest, and the number of spans that a tick is to have.
constexpr std::uint8_t kMostOctaves = 4;
constexpr float kWanted = 8;
/// The number of ticks that are judged together, by octave: one minute or two, but no more than the longest tick.
constexpr std::array<std::uint32_t, kMostOctaves + 1> kTogether = {6, 4, 3, 2, 1};
/// The same for figures, of which there are few: up to five minutes.
constexpr std::array<std::uint32_t, kMostOctaves + 1> kTogetherOfFigures = {6, 6, 6, 4, 2};
/// The number of ticks that locations and spreads follow; with which they are known well enough to be judged, and to
/// bound what a single tick teaches; and that are counted at most.
constexpr std::uint32_t kLocation = 64, kSpread = 256, kFewest = 4, kKnown = 8, kMostTicks = 1u << 20;
/// The weight, in ticks, of a dispersion of 1 in those measured.
constexpr std::uint32_t kDispersionPrior = 4;
/// A tick moves a location by so many standard deviations at most, and a spread by the square of so many.
constexpr double kMostDeviations = 3;
/// Spans count as slow from so many standard deviations above the mean, and as no further away than so many.
constexpr float kSlow = 1.25f, kFurthest = 4;
/// The least standard deviations of log2 of a duration within a tick, and of its mean between ticks: clocks tick, and a
/// change of a few percent is not worth a word.
constexpr double kLeastWithin = 0.1, kLeastBetween = 0.03;
/// The share that a change which is there to stay has in what is usual.
constexpr double kLasting = 0.25;
/// The number of empty ticks in a row that are learned.
constexpr std::uint64_t kMostEmpty = 4;
/// Beyond these, what is learned is clamped, so that it is sound whatever was restored.
constexpr double kMostMean = 1e3, kMostVariance = 1e6;

float meanOf(double value) { return static_cast<float>(std::clamp(value, -kMostMean, kMostMean)); }
float varianceWithin(double least, double value) { return static_cast<float>(std::clamp(value, least, kMostVariance)); }

/// The code length of a squared distance in standard deviations that `ticks` ticks have shown.
double bitsOf(double squared, std::uint32_t ticks) {
  const double freedom = std::min(ticks, kSpread) - 1.0;
  return (freedom + 1) / 2 * portableLog2(1 + squared / freedom);
}

/// The weight of the next tick in a mean over at most `memory` ticks, of which `ticks` are known.
double weightOf(std::uint32_t ticks, std::uint32_t memory) { return 1.0 / std::min(ticks + 1, memory); }

double atLeastOne(float dispersion) { return std::max(1.0f, dispersion); }

}  // namespace

/// The squared distance of `k` of `n` spans from the usual share, in standard deviations; 0 if it is not above it.
double Operation::Share::deviation(double k, double n) const {
  const double share = usual(), rest = n - k;
  if (k <= share * n) return 0;
  const double nats = k * portableLog(k / (share * n)) + (rest > 0 ? rest * portableLog(rest / ((1 - share) * n)) : 0);
  // The usual share is known from `all` spans only.
  return 2 * nats / (1 + n / std::max(1.0f, all));
}

/// The same for the measure of the dispersion, on both sides (Pearson's).
double Operation::Share::squared(double k, double n) const {
  const double share = usual(), expected = share * n;
  return (k - expected) * (k - expected) / std::max(expected * (1 - share), 0.5);
}

void Operation::Share::learn(double k, double n, double keep) {
  part = static_cast<float>(part * keep + k);
  all = static_cast<float>(all * keep + n);
}

double Operation::weight() const { return (number_ + static_cast<double>(now_.count)) * powerOfTwo(-octave_); }

bool Operation::count(float duration, bool error, float& distance) {
  if (now_.count == kMostSpans) return false;
  ++now_.count, ++now_.measured;
  now_.errors += error;
  // Before the mean is known, the distances are those from the first span.
  const bool known = filled_ > 0;
  if (!known && now_.count == 1) mean_ = duration;
  distance = duration - mean_;
  if (known) {
    const float most = beyond_ * (kFurthest / kSlow);
    distance = std::clamp(distance, -most, most);
    now_.slow += slow(distance);
  }
  now_.distance += distance;
  squares_ += distance * distance;
  return known;
}

void Operation::countOther(bool error, const float* distance, bool slow) {
  if (now_.count == kMostSpans) return;
  ++now_.count;
  now_.errors += error;
  if (!distance) return;
  ++now_.measured;
  now_.slow += slow;
  now_.distance += *distance;
  squares_ += *distance * *distance;
}

std::uint32_t Operation::together() const {
  const std::uint32_t ticks = (spanKind_ == kFigure ? kTogetherOfFigures : kTogether)[octave_];
  return kept_ + 1u >= ticks && ticks_ >= ticks + kFewest ? ticks : 1;
}

/// The spans of the open tick and those before it.
Operation::Sums Operation::latest(std::uint32_t ticks) const {
  Sums sums = now_;
  for (std::uint32_t i = 0; i + 1 < ticks; ++i) {
    const Sums& each = before_[i];
    sums.count += each.count, sums.errors += each.errors, sums.measured += each.measured, sums.slow += each.slow;
    sums.distance += each.distance;
  }
  return sums;
}

/// The usual variance of the mean distance of so many spans.
double Operation::varianceOf(const Sums& sums, const Spreads& spreads) const {
  return std::max(spreads.mean, 0.0f) + variance_ / static_cast<double>(sums.measured) + kLeastBetween * kLeastBetween;
}

ShiftFinding Operation::judge() const {
  ShiftFinding strangest{.id = id_, .spanKind = spanKind_};
  if (!begun_) return strangest;
  if (ticks_ >= kFewest) look(now_, 1, spreads_[0], strangest);
  if (const std::uint32_t ticks = together(); ticks > 1) look(latest(ticks), ticks, spreads_[1], strangest);
  return strangest;
}

void Operation::look(const Sums& sums, std::uint32_t ticks, const Spreads& spreads, ShiftFinding& strangest) const {
  const auto consider = [&](ShiftKind kind, double squared, std::uint32_t known, double value, double low, double high) {
    const double bits = bitsOf(squared, known);
    if (strangest.kind != ShiftKind::None && bits <= strangest.bits) return;
    strangest.kind = kind;
    strangest.spans = sums.count;
    strangest.nanos = ticks * (kTickNanos << octave_);
    strangest.value = value, strangest.low = low, strangest.high = high;
    strangest.slow = mean_ + beyond_;
    strangest.bits = bits;
  };
  const double n = sums.count;
  // Means of the past are not known exactly either.
  const auto unsure = [&](std::uint32_t known) { return 1 + static_cast<double>(ticks) / std::min(known, kLocation); };
  const double mean = usualNumber() * ticks, f = atLeastOne(spreads.number);
  // The square root of a count has half of the square root of the dispersion as its standard deviation.
  const double low = std::max(0.0, std::sqrt(mean) - std::sqrt(f)), high = std::sqrt(mean) + std::sqrt(f);
  if (spanKind_ != kFigure)
    consider(n > mean ? ShiftKind::More : ShiftKind::Fewer, 2 * kLn2 * poissonDeviance(n, mean) / f / unsure(ticks_), ticks_, n,
             low * low, high * high);
  if (filled_ < kFewest || sums.measured == 0) return;
  const double measured = sums.measured, distance = sums.distance / measured;
  const double variance = varianceOf(sums, spreads) * unsure(filled_), deviation = 2 * std::sqrt(variance);
  consider(distance > 0 ? ShiftKind::Slower : ShiftKind::Faster, distance * distance / variance, filled_, mean_ + distance,
           mean_ - deviation, mean_ + deviation);
  const auto share = [&](ShiftKind kind, const Share& s, double dispersion, double k, double of) {
    const double usual = s.usual(), width = 2 * std::sqrt(usual * (1 - usual) * dispersion / of);
    // What is so of one call of a model does not depend on others, as errors of a server do, so that chance gives the spread.
    const std::uint32_t known = spanKind_ == kFigure && kind == ShiftKind::Errors ? kSpread : filled_;
    consider(kind, s.deviation(k, of) / dispersion, known, k / of, std::max(0.0, usual - width), std::min(1.0, usual + width));
  };
  share(ShiftKind::Tail, slow_, atLeastOne(spreads.slow), sums.slow, measured);
  share(ShiftKind::Errors, errors_, atLeastOne(spreads.errors), sums.errors, n);
}

void Operation::end(Lesson lesson, std::uint64_t empty, std::uint64_t next) {
  const bool learns = lesson != Lesson::None;
  if (learns) learn(lesson == Lesson::Lasting);
  for (std::uint64_t i = 0; i <= std::min(empty, kMostEmpty); ++i) {
    // The first tick is incomplete.
    if (begun_ || i > 0) {
      std::copy_backward(before_.begin(), before_.end() - 1, before_.end());
      before_[0] = now_;
      kept_ = static_cast<std::uint8_t>(std::min<std::size_t>(kept_ + 1u, kMostBefore));
    }
    now_ = {};
    if (i > 0 && learns) learn(false);
  }
  squares_ = 0;
  begun_ = true;
  if (learns) adapt(next);
}

void Operation::learn(bool lasting) {
  if (!lasting && ticks_ >= kFewest) {
    learn(spreads_[0], now_, 1);
    if (const std::uint32_t ticks = together(); ticks > 1) learn(spreads_[1], latest(ticks), ticks);
  }
  const double least = lasting ? kLasting : 0;
  const auto bounded = [&](double step, double variance, std::uint32_t known) {
    const double most = kMostDeviations * std::sqrt(variance);
    return known >= kKnown && !lasting ? std::clamp(step, -most, most) : step;
  };
  const double n = now_.count;
  if (begun_) {
    const double step = bounded(n - number_, usualNumber() * atLeastOne(spreads_[0].number), ticks_);
    number_ = static_cast<float>(number_ + step * std::max(weightOf(ticks_, kLocation), least));
    ticks_ = std::min(ticks_ + 1, kMostTicks);
  }
  const double keep = lasting ? 1 - kLasting : filled_ >= kLocation ? 1 - 1.0 / kLocation : 1;
  if (n > 0) errors_.learn(now_.errors, n, keep);
  if (now_.measured == 0) return;
  const double measured = now_.measured, distance = now_.distance / measured;
  const double within = std::max<double>(squares_ / measured, kLeastWithin * kLeastWithin);
  if (filled_ == 0) {
    mean_ = meanOf(mean_ + distance);
    variance_ = varianceWithin(kLeastWithin * kLeastWithin, within - distance * distance);
  } else {
    slow_.learn(now_.slow, measured, keep);
    mean_ =
        meanOf(mean_ + bounded(distance, varianceOf(now_, spreads_[0]), filled_) * std::max(weightOf(filled_, kLocation), least));
    const double most = filled_ < kKnown ? within : kMostDeviations * kMostDeviations * variance_;
    if (!lasting) variance_ = varianceWithin(0, variance_ + (std::min(within, most) - variance_) * weightOf(filled_, kSpread));
  }
  beyond_ = kSlow * std::sqrt(variance_);
  filled_ = std::min(filled_ + 1, kMostTicks);
}

/// Learns how far from the usual the spans of a time are.
void Operation::learn(Spreads& spreads, const Sums& sums, std::uint32_t ticks) const {
  constexpr double kMost = kMostDeviations * kMostDeviations;
  const double weight = weightOf(ticks_ + kDispersionPrior, kSpread);
  const auto dispersion = [&](float& own, double squared) {
    own = static_cast<float>(own + (std::min(squared, kMost * atLeastOne(own)) - own) * weight);
  };
  const double mean = usualNumber() * ticks, away = static_cast<double>(sums.count) - mean;
  dispersion(spreads.number, away * away / mean);
  if (filled_ < kFewest || sums.measured == 0) return;
  const double measured = sums.measured, distance = sums.distance / measured;
  dispersion(spreads.slow, slow_.squared(sums.slow, measured));
  dispersion(spreads.errors, errors_.squared(sums.errors, sums.count));
  const double squared = std::min(distance * distance, kMost * varianceOf(sums, spreads));
  spreads.mean =
      varianceWithin(-kMostVariance, spreads.mean + (squared - variance_ / measured - spreads.mean) * weightOf(filled_, kSpread));
}

/// Makes ticks longer or shorter if they hold too few or many more spans than needed.
void Operation::adapt(std::uint64_t next) {
  if (ticks_ < kFewest) return;
  const std::uint8_t before = octave_;
  while (number_ < kWanted && octave_ < kMostOctaves && next % (std::uint64_t{2} << octave_) == 0) {
    ++octave_;
    number_ *= 2;
    ticks_ = std::max(kFewest / 2, ticks_ / 2);
    filled_ = std::min(filled_, ticks_);
  }
  while (number_ > 4 * kWanted && octave_ > 0) {
    --octave_;
    number_ /= 2;
  }
  if (octave_ == before) return;
  // The ticks before were of another length.
  before_ = {};
  kept_ = 0;
  spreads_[1] = spreads_[0];
}

bool Operation::sound() const {
  const auto within = [](double value, double least, double most) { return value >= least && value <= most; };
  const auto possible = [&](const Sums& s) {
    return s.errors <= s.count && s.measured <= s.count && s.slow <= s.measured && std::fabs(s.distance) <= 1e30f;
  };
  for (const Share* share : {&errors_, &slow_}) {
    if (!within(share->part, 0, share->all) || !within(share->all, 0, 1e30f)) return false;
  }
  for (const Spreads& s : spreads_) {
    if (!within(s.number, 0, 1e30f) || !within(s.errors, 0, 1e30f) || !within(s.slow, 0, 1e30f) ||
        !within(s.mean, -kMostVariance, kMostVariance))
      return false;
  }
  return octave_ <= kMostOctaves && kept_ <= kMostBefore && ticks_ <= kMostTicks && filled_ <= kMostTicks && possible(now_) &&
         std::ranges::all_of(before_, possible) && within(squares_, 0, 1e30f) && within(number_, 0, 1e10f) &&
         within(mean_, -kMostMean, kMostMean) && within(variance_, 0, kMostVariance) && within(beyond_, 0, 1e6f) &&
         (filled_ == 0 || variance_ > 0);
}

}  // namespace driftlock
