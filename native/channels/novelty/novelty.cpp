#include "channels/novelty/novelty.hpp"

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kSecondNanos = 1'000'000'000;
/// The share of seconds that exceed the mark, and how fast the mark follows.
constexpr float kMarkedShare = 0.05f, kMarkRate = 1.0f / 256, kFirstRate = 1.0f / 32;
/// The number of ticks that the usual share and the dispersion cover.
constexpr float kMemory = 512;
constexpr std::uint32_t kMostKnown = 1u << 20;
/// The fewest strange seconds that are sustained novelty.
constexpr std::uint32_t kFewest = 5;
/// A window counts as no further away from the usual number than so many standard deviations.
constexpr double kMostDeviations = 3;
constexpr std::uint8_t kSnapshotVersion = 1;

}  // namespace

/// The usual share of strange seconds.
double NoveltyModel::share() const { return (part_ + 0.5) / (all_ + 1.0); }

std::optional<NoveltyWindow> NoveltyModel::advance(std::uint64_t now) {
  next_ = 1 + now / kTickNanos;
  if (tick_ == 0) tick_ = next_;
  if (next_ <= tick_) return {};
  window_ = {.end = tick_ * kTickNanos, .judged = known_ >= 2 * kTicks};
  for (const Tick& tick : ticks_) window_.seconds += tick.seconds, window_.strange += tick.strange;
  const double n = window_.seconds, k = window_.strange, q = share(), f = std::max(1.0f, dispersion_);
  window_.usual = std::min(n, n * q + 2 * std::sqrt(n * q * (1 - q) * f));
  // What was strange minutes ago goes on only if there is something strange now.
  if (ticks_[0].strange > 0 && window_.strange >= kFewest && k > window_.usual) {
    const double rest = n - k, bits = k * portableLog2(k / (q * n)) + (rest > 0 ? rest * portableLog2(rest / ((1 - q) * n)) : 0);
    window_.bits = bits / f;
  }
  return window_;
}

void NoveltyModel::settle(bool learns) {
  if (learns) {
    const Tick& now = ticks_[0];
    const double q = share(), n = window_.seconds, expected = n * q;
    if (known_ >= 2 * kTicks && n > 0) {
      const double squared = (window_.strange - expected) * (window_.strange - expected) / std::max(expected * (1 - q), 0.5);
      const double most = kMostDeviations * kMostDeviations * std::max(1.0f, dispersion_);
      dispersion_ = static_cast<float>(dispersion_ + (std::min(squared, most) - dispersion_) / static_cast<double>(kMemory));
    }
    // The mark is found first.
    const bool marked = known_ >= kTicks;
    const float keep = !marked ? 0 : known_ > kMemory ? 1 - 1 / kMemory : 1;
    part_ = part_ * keep + static_cast<float>(now.strange);
    all_ = all_ * keep + static_cast<float>(now.seconds);
    const float calm = static_cast<float>(now.seconds - now.strange), strange = now.strange;
    const float rate = marked ? kMarkRate : kFirstRate;
    mark_ = std::max(1.0f, mark_ * (1 + rate * (strange * (1 - kMarkedShare) - calm * kMarkedShare)));
    known_ = std::min(known_ + 1, kMostKnown);
  }
  const std::size_t passed = static_cast<std::size_t>(std::min<std::uint64_t>(next_ - tick_, kTicks));
  std::copy_backward(ticks_.begin(), ticks_.end() - static_cast<std::ptrdiff_t>(passed), ticks_.end());
  std::fill_n(ticks_.begin(), passed, Tick{});
  tick_ = next_;
}

bool NoveltyModel::note(std::uint64_t now, double strangeness) {
  const std::uint64_t second = 1 + now / kSecondNanos;
  if (second != second_) {
    second_ = second;
    strange_ = false;
    ++ticks_[0].seconds;
  }
  if (strange_ || strangeness <= static_cast<double>(mark_)) return false;
  ++ticks_[0].strange;
  return strange_ = true;
}

void NoveltyModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kSnapshotVersion);
  visit(*this, write);
}

bool NoveltyModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  visit(*this, read);
  const auto within = [](float value, float least, float most) { return value >= least && value <= most; };
  const auto possible = [](const Tick& tick) { return tick.seconds <= 10 && tick.strange <= tick.seconds; };
  return read.done() && known_ <= kMostKnown && within(mark_, 1, 1e30f) && within(all_, 0, 1e9f) && within(part_, 0, all_) &&
         within(dispersion_, 0, 1e30f) && std::ranges::all_of(ticks_, possible);
}

}  // namespace driftlock
