#include "channels/volume/mix.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/tags.hpp"

namespace driftlock {
namespace {

/// The number of blocks that rates cover.
constexpr float kHorizon = 32;
/// The weight, in blocks, of the stream's own dispersion in that of a template.
constexpr double kDispersionPrior = 16;
/// The number of blocks before anything is judged.
constexpr float kFewestBlocks = 4;
/// The number of blocks, or of usual records, after which an absence is no longer novel.
constexpr double kOldNews = 3;
/// The count that a held block without a record of a template lets expect.
constexpr double kLeastCount = 0.5;
constexpr std::uint8_t kSnapshotVersion = 2;

}  // namespace

void TemplateMix::add(std::uint32_t id) {
  if (open_ == 0 && seen_ > 0) settle();
  ++seen_;
  if (const auto at = entry(id)) {
    // No count exceeds the block's records, even if an altered snapshot was restored.
    if (std::uint32_t& count = entries_[*at].count; count < block_) ++count;
    weights_[*at] = entries_[*at].weight();
  }
}

std::optional<VolumeTick> TemplateMix::end() {
  if (++open_ < block_) return std::nullopt;
  open_ = 0;
  return close();
}

/// Finds the place of a template's entry; the one with the fewest recent records makes room, unless it has come in this block.
std::optional<std::size_t> TemplateMix::entry(std::uint32_t id) {
  const std::size_t found =
      findTagged(std::span(tags_).first(used_), tagOf(id), [&](std::size_t i) { return entries_[i].id == id; });
  if (found < used_) {
    crowded_ = false;
    // Frequent templates move to the front, so that they are found soon.
    if (found > 0) {
      std::swap(entries_[found], entries_[found / 2]);
      std::swap(tags_[found], tags_[found / 2]);
      std::swap(weights_[found], weights_[found / 2]);
    }
    return found / 2;
  }
  if (used_ < kEntries) return replace(used_++, id);
  if (crowded_) return std::nullopt;
  if (!std::exchange(weighed_, true)) std::ranges::transform(entries_, weights_.begin(), &Entry::weight);
  const std::size_t least = firstLeast(weights_);
  crowded_ = entries_[least].count > 0;
  if (crowded_) return std::nullopt;
  return replace(least, id);
}

std::size_t TemplateMix::replace(std::size_t at, std::uint32_t id) {
  tags_[at] = tagOf(id);
  entries_[at] = {};
  entries_[at].id = id;
  return at;
}

double TemplateMix::pooled() const { return weight_ > 0 ? std::max(1.0f, dispersion_ / weight_) : 1; }

double TemplateMix::dispersion(const Entry& e) const {
  const double plain = e.sum / blocks_;
  const double variance = std::max(0.0, e.squares / blocks_ - plain * plain);
  return std::max(1.0, (blocks_ * variance / usual(e) + kDispersionPrior * pooled()) / (blocks_ + kDispersionPrior));
}

VolumeFinding TemplateMix::judge(const Entry& e) const {
  const double mean = usual(e), dispersion = this->dispersion(e);
  const double deviation = 2 * std::sqrt(mean * dispersion);
  VolumeFinding finding{.id = e.id,
                        .count = e.count,
                        .expected = mean,
                        .low = std::floor(std::max(0.0, mean - deviation)),
                        .high = std::ceil(mean + deviation),
                        .lasted = block_,
                        .bits = poissonDeviance(e.count, mean) / dispersion};
  finding.kind = e.count > mean ? VolumeKind::Burst : VolumeKind::Drop;
  if (e.count == 0 && e.sum > 0) {
    const double absent = e.absent + 1.0;
    finding.kind = VolumeKind::Silence;
    finding.lasted = static_cast<std::uint64_t>(absent) * block_;
    // What would have been usual in all of that time.
    const double missed = mean * absent, apart = 2 * std::sqrt(missed * dispersion);
    finding.low = std::max(1.0, std::floor(missed - apart));
    finding.high = std::ceil(missed + apart);
    finding.bits = mean / (dispersion * kLn2) * std::min(absent, std::max(kOldNews, kOldNews / mean));
  }
  return finding;
}

VolumeTick TemplateMix::judge() const {
  VolumeTick closed{.start = seen_ - block_, .end = seen_, .records = block_};
  if (blocks_ < kFewestBlocks) return closed;
  for (std::size_t i = 0; i < used_; ++i) {
    const VolumeFinding finding = judge(entries_[i]);
    if (finding.bits > closed.strangest.bits) closed.strangest = finding;
  }
  closed.score = closed.strangest.bits - portableLog2(static_cast<double>(used_));
  return closed;
}

VolumeTick TemplateMix::close() {
  if (holds_) {
    if (lasts()) learn(&Entry::held);
    holds_ = false;
  }
  return judge();
}

bool TemplateMix::lasts() const {
  double gained = 0;
  for (std::size_t i = 0; i < used_; ++i) {
    const Entry& e = entries_[i];
    const double changed = std::max(kLeastCount, static_cast<double>(e.held));
    gained += (poissonDeviance(e.count, usual(e)) - poissonDeviance(e.count, changed)) / dispersion(e);
  }
  return gained > 0;
}

void TemplateMix::settle() {
  crowded_ = weighed_ = false;
  if (!rejected_) learn(&Entry::count);
  holds_ = std::exchange(rejected_, false);
  for (std::size_t i = 0; i < used_; ++i) {
    Entry& e = entries_[i];
    e.absent = e.count > 0 ? 0 : std::min(e.absent + 1, 1u << 30);
    e.held = holds_ ? e.count : 0;
    e.count = 0;
  }
}

void TemplateMix::learn(std::uint32_t Entry::* counts) {
  const float keep = blocks_ >= kHorizon ? 1 - 1 / kHorizon : 1;
  dispersion_ *= 1 - 1 / kHorizon;
  weight_ *= 1 - 1 / kHorizon;
  for (std::size_t i = 0; i < used_; ++i) {
    Entry& e = entries_[i];
    const auto k = static_cast<float>(e.*counts);
    if (blocks_ >= 2) {
      const float mean = (e.sum + 0.5f) / (blocks_ + 1);
      dispersion_ += (k - mean) * (k - mean) / mean;
      weight_ += 1;
    }
    e.sum = e.sum * keep + k;
    e.squares = e.squares * keep + k * k;
  }
  blocks_ = blocks_ * keep + 1;
}

void TemplateMix::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter v(out);
  v(kSnapshotVersion), v(block_), v(static_cast<std::uint8_t>(used_));
  visit(*this, v);
  for (std::size_t i = 0; i < used_; ++i) Entry::visit(entries_[i], v);
}

bool TemplateMix::restore(Bytes in) {
  StateReader v(in);
  if (v.get<std::uint8_t>() != kSnapshotVersion || v.get<std::uint32_t>() != block_) return false;
  TemplateMix fresh(block_);
  fresh.used_ = v.get<std::uint8_t>();
  if (fresh.used_ > kEntries) return false;
  visit(fresh, v);
  const auto sane = [](float value) { return value >= 0 && value < 1e30f; };
  if (fresh.open_ >= block_ || fresh.blocks_ > kHorizon + 1 || !sane(fresh.blocks_) || !sane(fresh.dispersion_) ||
      !sane(fresh.weight_))
    return false;
  for (std::size_t i = 0; i < fresh.used_; ++i) {
    Entry::visit(fresh.entries_[i], v);
    fresh.tags_[i] = tagOf(fresh.entries_[i].id);
    // Each block has added a count of at most its records, and its square.
    const Entry& e = fresh.entries_[i];
    const double block = block_, most = (fresh.blocks_ + 1.0) * block;
    if (e.count > block_ || e.held > block_ || !(e.sum >= 0 && e.sum <= most) || !(e.squares >= 0 && e.squares <= most * block))
      return false;
  }
  if (!v.done()) return false;
  *this = fresh;
  return true;
}

}  // namespace driftlock
