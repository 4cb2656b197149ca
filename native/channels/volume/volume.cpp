#include "channels/volume/volume.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/tags.hpp"

namespace driftlock {
namespace {

/// The number of ticks that rates cover.
constexpr double kHorizon = 4096;
/// The weights of the base measures of counts and gaps against what was observed.
constexpr double kCountPrior = 8, kGapPrior = 2;
/// The weight, in ticks, of the stream's own dispersion in that of a template.
constexpr double kDispersionPrior = 4;
/// The speed of a burst, in octaves above the usual one, in the alternative that the CUSUM tests for.
constexpr int kBurstOctaves = 5;
/// The number of ticks before anything is judged.
constexpr double kFewestTicks = 4;
/// The number of ticks of a gap that are processed one by one; the rest is learnt at once.
constexpr std::uint64_t kStepwise = 16;
/// The usual records in a tick with which it is long enough, and with which it is too long; the ticks that show which is true,
/// and how many times longer than the shortest it may be.
constexpr double kFewRecords = 4, kManyRecords = 64, kEnoughTicks = 16;
constexpr std::uint64_t kLongest = 256;
/// The fewest records of a burst, and the fewest that a silence lacks.
constexpr std::uint32_t kFewestInBurst = 10;
constexpr double kFewestMissed = 3;
/// The bits of two standard deviations, where the usual range ends.
constexpr double kEdge = 2 / kLn2;
/// The bits from which a burst is remembered, because it may recur.
constexpr double kRemarkable = 10;
constexpr std::uint32_t kMostPooled = 1u << 16;
constexpr std::uint16_t kMostCounts = 4096;
/// The bits at which the CUSUM over gaps is capped, so that it recovers soon from a burst.
constexpr float kMostRun = 64;
constexpr double kSilencePrior = 1;
/// The weight of a template's rate in the expected frequency of silences never seen: small, because rates change.
constexpr double kRateShare = 0.25;
constexpr std::uint8_t kSnapshotVersion = 4;

/// The bucket of a count, by half-octaves: 1, 2, 3, 4-5, 6-7, 8-11, 12-15, ...
std::size_t countBucket(std::uint32_t count, std::size_t buckets) {
  if (count <= 1) return 0;
  const unsigned octave = static_cast<unsigned>(std::bit_width(count)) - 1;
  return std::min<std::size_t>(2 * octave - 1 + (count >> (octave - 1) & 1), buckets - 1);
}

/// The share of a double geometric distribution over octaves with its peak at `centre`: 2^-|b - centre| / 3.
double around(int bucket, int centre) { return (1.0 / 3) * powerOfTwo(-std::abs(bucket - centre)); }

/// std::bit_width(gap / unit) without a division.
int octaveOf(std::uint64_t gap, std::uint64_t unit) {
  const int longer = std::bit_width(gap) - std::bit_width(unit);
  return longer < 0 ? 0 : longer + (gap >> longer >= unit ? 1 : 0);
}

std::uint32_t whole(double count) { return static_cast<std::uint32_t>(std::min(count + 0.5, 4e9)); }

}  // namespace

VolumeModel::VolumeModel(std::uint64_t tick, std::uint64_t unitsPerDay)
    : shortest_(std::max<std::uint64_t>(tick, 1)),
      tick_(shortest_),
      unitsPerDay_(std::max<std::uint64_t>(unitsPerDay, 24)),
      season_(unitsPerDay_),
      entries_(1) {}

std::optional<VolumeTick> VolumeModel::advance(std::uint64_t time) {
  if (!started_) {
    start_ = time - time % tick_;
    started_ = true;
    return std::nullopt;
  }
  if (time < start_ || time - start_ < tick_) return std::nullopt;
  learn();
  std::optional<VolumeTick> strangest;
  // Ticks may change their length as they are learned.
  for (std::uint64_t i = 0; i < kStepwise && time - start_ >= tick_; ++i) {
    const VolumeTick closed = close();
    if (!strangest || closed.score > strangest->score) strangest = closed;
    if (time - start_ >= tick_) learn();
  }
  // A silence of which several ticks end at once is known to have lasted until now.
  if (strangest && strangest->strangest.kind == VolumeKind::Silence) prolong(strangest->strangest, time - strangest->end);
  if (time - start_ >= tick_) {
    const std::uint64_t passed = (time - start_) / tick_;
    season_.learn(start_, passed * tick_, 0);
    learnEmpty(passed);
    start_ += passed * tick_;
  }
  return strangest;
}

void VolumeModel::count(std::uint64_t time, std::uint32_t id) {
  time = std::max(time, start_);
  for (const std::size_t at : {std::size_t{0}, entry(id)}) {
    Entry& e = entries_[at];
    if (e.last != 0) observeGap(e, time + 1 - std::min(time + 1, e.last));
    e.last = std::max(time + 1, e.last);
    ++e.count;
    if (at > 0) weights_[at] = e.weight();
  }
}

/// Finds the place of a template's entry; the one with the fewest recent records makes room.
std::size_t VolumeModel::entry(std::uint32_t id) {
  std::uint8_t& hint = hints_[(id * 0x9E3779B1u) >> 26];
  if (hint > 0 && hint < entries_.size() && entries_[hint].id == id) return hint;
  const auto templates = std::span(tags_).subspan(1, entries_.size() - 1);
  std::size_t at = 1 + findTagged(templates, tagOf(id), [&](std::size_t i) { return entries_[1 + i].id == id; });
  if (at == entries_.size()) {
    if (at < kEntries) {
      if (at == entries_.capacity()) entries_.reserve(std::min(at + kEntriesAtOnce, kEntries));
      entries_.emplace_back();
    } else {
      at = lightest();
      entries_[at] = {};
    }
    entries_[at].id = id;
    tags_[at] = tagOf(id);
  }
  hint = static_cast<std::uint8_t>(at);
  return at;
}

/// The place of the first template with the fewest recent records.
std::size_t VolumeModel::lightest() {
  if (!weighed_) {
    std::ranges::transform(entries_, weights_.begin(), &Entry::weight);
    weights_[0] = std::numeric_limits<float>::infinity();
    weighed_ = true;
  }
  return firstLeast(weights_);
}

/// Learns a gap, and its evidence of a burst: log2 of its share if gaps were 2^5 times shorter over its usual share.
void VolumeModel::observeGap(Entry& e, std::uint64_t gap) {
  const std::uint64_t unit = std::max<std::uint64_t>(tick_ >> 10, 1);
  const int bucket = std::min<int>(octaveOf(gap, unit), kGapBuckets - 1);
  if (e.gaps > 0) {
    const double mean = static_cast<double>(e.gapSum) / e.gaps * static_cast<double>(tick_) / static_cast<double>(unit);
    const int centre = std::min<int>(std::bit_width(static_cast<std::uint64_t>(std::min(mean, 1e15))), kGapBuckets - 1);
    const double usual =
        (e.gapCounts[static_cast<std::size_t>(bucket)] + kGapPrior * around(bucket, centre)) / (e.gaps + kGapPrior);
    const double burst = around(bucket, std::max(centre - kBurstOctaves, 1));
    // A usual gap leaves a run of 0 unchanged, which needs no logarithm to find.
    if (e.run > 0 || burst > usual) {
      e.run = std::clamp(e.run + static_cast<float>(portableLog2(burst / usual)), 0.0f, kMostRun);
      e.peak = std::max(e.peak, e.run);
    }
  }
  const float ticks = static_cast<float>(static_cast<double>(gap) / static_cast<double>(tick_));
  ++e.gaps;
  ++e.gapCounts[static_cast<std::size_t>(bucket)];
  e.gapSum += ticks;
  e.gapSquares += ticks * ticks;
  if (e.gaps < kMostCounts) return;
  e.gaps = 0;
  for (std::uint16_t& n : e.gapCounts) e.gaps = static_cast<std::uint16_t>(e.gaps + (n /= 2));
  const float kept = static_cast<float>(e.gaps) / kMostCounts;
  e.gapSum *= kept;
  e.gapSquares *= kept;
}

VolumeModel::Usual VolumeModel::usual(const Entry& e, double season) const {
  const double flat = (e.sum + 0.5) / (ticks_ + 1);
  const double mean = ticks_ > 0 ? e.sum / ticks_ : 0;
  const double variance = ticks_ > 0 ? std::max(0.0, e.squares / ticks_ - mean * mean) : 0;
  const double pooled = dispersionWeight_ > 0 ? std::max(1.0, dispersionSum_ / dispersionWeight_) : 1;
  const double own = variance / std::max(flat, 1e-9);
  const double dispersion = (ticks_ * own + kDispersionPrior * pooled) / (ticks_ + kDispersionPrior);
  return {flat * season, std::max(1.0, dispersion)};
}

/// The evidence of a silence, in bits: by the template's rate, or by how rarely it was silent for so long, whichever is less.
double VolumeModel::silenceBits(const Entry& e, std::uint64_t gap, const Usual& expect) const {
  const double ticks = static_cast<double>(gap) / static_cast<double>(tick_);
  // Gaps more regular than chance make counts more regular: the variance of a renewal process's count goes with the
  // squared variation of its gaps.
  double regular = 1;
  if (e.gaps >= 8 && e.gapSum > 0) {
    const double mean = static_cast<double>(e.gapSum) / e.gaps;
    regular = std::clamp((e.gapSquares / e.gaps - mean * mean) / (mean * mean), 0.1, 1.0);
  }
  const double byRate = expect.mean * ticks / (expect.dispersion * regular) / kLn2;
  const std::size_t bucket = countBucket(static_cast<std::uint32_t>(std::clamp(ticks, 1.0, 1e9)), kSilenceBuckets);
  double asLong = 0;
  for (std::size_t b = bucket; b < kSilenceBuckets; ++b) asLong += e.silences[b];
  const double base = portableExp(-byRate * kLn2 * kRateShare) / std::sqrt(1 + ticks);
  const double share = (asLong + kSilencePrior * base) / (e.positive + kSilencePrior);
  const double bits = std::min(byRate, share < 1 ? -portableLog2(share) : 0.0);
  // A silence becomes less novel with time.
  return bits * std::min(1.0, std::max(2.0, 10 / expect.mean) / ticks);
}

/// Whether a silence has lasted so long that it is no longer novel: the template is then gone until it comes back.
bool VolumeModel::gone(const Entry& e, std::uint64_t gap) const {
  std::size_t longest = 0;
  for (std::size_t b = 0; b < kSilenceBuckets; ++b)
    if (e.silences[b] > 0) longest = b;
  return static_cast<double>(gap) / static_cast<double>(tick_) > 8 + std::ldexp(4.0, static_cast<int>(longest + 1) / 2);
}

VolumeFinding VolumeModel::judge(const Entry& e, std::uint64_t end, double season) const {
  const Usual expect = usual(e, season);
  VolumeFinding finding;
  finding.total = &e == &entries_[0];
  finding.id = e.id;
  finding.count = e.count;
  finding.expected = expect.mean;
  finding.lasted = tick_;
  const auto range = [&](double mean) {
    const double deviation = 2 * std::sqrt(mean * expect.dispersion);
    finding.low = std::floor(std::max(0.0, mean - deviation));
    finding.high = std::ceil(mean + deviation);
  };
  range(expect.mean);
  // What is within the usual range, or too few records, counts as no stranger than the edge of the range, and is no finding.
  finding.bits = std::min(kEdge, poissonDeviance(e.count, expect.mean) / expect.dispersion);
  if (e.count > finding.high && e.count >= kFewestInBurst) {
    finding.kind = VolumeKind::Burst;
    finding.bits = burstBits(e, expect, season);
  } else if (e.count < finding.low && (e.count > 0 || e.last == 0)) {
    finding.kind = VolumeKind::Drop;
    finding.bits = poissonDeviance(e.count, expect.mean) / expect.dispersion;
  } else if (e.count == 0 && e.last != 0) {
    const std::uint64_t gap = end + 1 - std::min(end + 1, e.last);
    const double missed = expect.mean * static_cast<double>(gap) / static_cast<double>(tick_);
    finding.bits = gone(e, gap) ? 0 : silenceBits(e, gap, expect);
    if (missed < kFewestMissed) finding.bits = std::min(kEdge, finding.bits);
    if (missed < kFewestMissed || finding.bits == 0) return finding;
    finding.kind = VolumeKind::Silence;
    finding.lasted = gap;
    finding.expected = missed;
    range(missed);
    finding.low = std::max(1.0, finding.low);
  }
  return finding;
}

void VolumeModel::prolong(VolumeFinding& silence, std::uint64_t by) {
  const double factor = 1 + static_cast<double>(by) / static_cast<double>(silence.lasted);
  const double deviation = (silence.high - silence.expected) * std::sqrt(factor);
  silence.lasted += by;
  silence.expected *= factor;
  silence.low = std::max(1.0, std::floor(silence.expected - deviation));
  silence.high = std::ceil(silence.expected + deviation);
}

/// The evidence of a burst, in bits: how unusual the count is, or how rare among the template's own, whichever is less, and how
/// quickly its records follow each other.
double VolumeModel::burstBits(const Entry& e, const Usual& expect, double season) const {
  const double unusual = poissonDeviance(e.count, expect.mean) / expect.dispersion;
  const double level = std::max(1.0, e.count / season);
  const std::size_t bucket = countBucket(whole(level), kCountBuckets);
  double own = 0, pooled = 1.0 / e.count;
  for (std::size_t b = bucket; b < kCountBuckets; ++b) {
    own += e.counts[b];
    pooled += pooledCounts_[b];
  }
  pooled /= pooled_ + 1.0;
  // While it is absent most of the time, its own mean is that of the ticks in which it was there.
  double there =
      e.positive > 0 ? e.sum / std::max(1.0, std::min<double>(e.positive, ticks_)) : (pooled_ > 0 ? pooledSum_ / pooled_ : 1);
  there = std::max(1.0, there);
  const double geometric = portableExp((level - 1) * portableLog((there - 0.5) / (there + 0.5)));
  const double tail = (own + kCountPrior * (0.1 * pooled + 0.9 * geometric)) / (e.positive + kCountPrior);
  return std::min(unusual, tail > 0 ? -portableLog2(tail) : unusual) + (e.peak - e.before) / 2;
}

/// Ends the open tick: judges its counts, and keeps them for `learn`.
VolumeTick VolumeModel::close() {
  learn();
  weighed_ = false;
  VolumeTick closed;
  closed.start = start_;
  closed.end = start_ + tick_;
  closed.records = entries_[0].count;
  const bool whole = !std::exchange(partial_, false);
  bool recurring = false;
  if (whole && ticks_ >= kFewestTicks) {
    const double factor = season_.factor(start_, tick_);
    // The local clock may have changed by an hour, so what was usual an hour before or after is usual as well.
    const std::uint64_t hour = unitsPerDay_ / 24;
    const auto [least, most] =
        std::minmax({factor, season_.factor(start_ - std::min(start_, hour), tick_), season_.factor(start_ + hour, tick_)});
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      VolumeFinding finding = judge(entries_[i], closed.end, factor);
      if (finding.kind != VolumeKind::None && least < most) {
        finding = judge(entries_[i], closed.end, finding.kind == VolumeKind::Burst ? most : least);
      }
      if (finding.kind == VolumeKind::Burst && finding.bits >= kRemarkable) {
        // What recurs in all recurs in its templates.
        const std::uint32_t kind = i == 0 ? 0 : std::max(finding.id, 1u);
        if (recurring || recurrence_.recurs(kind, closed.start, closed.end, finding.count)) {
          if (i == 0) recurring = true;
          recurrence_.add(kind, closed.start, closed.end, finding.count);
          finding.bits = 0;
          // It is usual at this time, and says nothing about others.
          entries_[i].count = 0;
        }
      }
      if (finding.bits > closed.strangest.bits) closed.strangest = finding;
    }
    closed.score = closed.strangest.bits - portableLog2(static_cast<double>(entries_.size()));
    const VolumeFinding& strangest = closed.strangest;
    if (strangest.kind == VolumeKind::Burst && strangest.bits >= kRemarkable) {
      recurrence_.add(strangest.total ? 0 : std::max(strangest.id, 1u), closed.start, closed.end, strangest.count);
    }
  }
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    e.previous = whole && !recurring ? e.count : 0;
    e.count = 0;
    e.peak = e.before = e.run;
  }
  pending_ = whole && !recurring;
  pendingStart_ = start_;
  start_ += tick_;
  return closed;
}

void VolumeModel::interrupt(std::uint64_t time) {
  learn();
  weighed_ = false;
  start_ = time - time % tick_;
  started_ = partial_ = true;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    e.count = 0;
    e.run = e.before = e.peak = 0;
    if (e.last != 0) e.last = time + 1;
  }
}

void VolumeModel::reject() {
  if (!pending_) return;
  pending_ = weighed_ = false;
  for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].previous = 0;
}

/// Learns the counts of the tick that ended last.
void VolumeModel::learn() {
  if (!pending_) return;
  pending_ = weighed_ = false;
  const double records = entries_[0].previous;
  const Usual flat = usual(entries_[0], 1);
  if (ticks_ >= kFewestTicks) {
    season_.weigh(pendingStart_, tick_,
                  [&](double each) { return poissonDeviance(records, std::max(flat.mean * each, 1e-9)) / flat.dispersion; });
  }
  const double factor = season_.factor(pendingStart_, tick_);
  season_.learn(pendingStart_, tick_, records);
  const double keep = ticks_ >= kHorizon ? 1 - 1 / kHorizon : 1;
  dispersionSum_ *= 1 - 1 / kHorizon;
  dispersionWeight_ *= 1 - 1 / kHorizon;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    const double k = e.previous / factor;  // the count at a usual hour
    e.previous = 0;
    if (i > 0 && ticks_ >= 2) {
      const double mean = (e.sum + 0.5) / (ticks_ + 1);
      dispersionSum_ += (k - mean) * (k - mean) / mean;
      dispersionWeight_ += 1;
    }
    e.sum = static_cast<float>(e.sum * keep + k);
    e.squares = static_cast<float>(e.squares * keep + k * k);
    if (k == 0) {
      if (e.positive > 0) ++e.silent;
      continue;
    }
    if (e.silent > 0) ++e.silences[countBucket(e.silent, kSilenceBuckets)];
    e.silent = 0;
    const std::size_t bucket = countBucket(whole(std::max(1.0, k)), kCountBuckets);
    ++e.positive;
    ++e.counts[bucket];
    if (e.positive >= kMostCounts) {
      e.positive = 0;
      for (std::uint16_t& n : e.counts) e.positive = static_cast<std::uint16_t>(e.positive + (n /= 2));
      for (std::uint16_t& n : e.silences) n /= 2;
    }
    if (i == 0) continue;
    ++pooled_;
    ++pooledCounts_[bucket];
    pooledSum_ += k;
    if (pooled_ < kMostPooled) continue;
    pooled_ = 0;
    for (std::uint32_t& n : pooledCounts_) pooled_ += n /= 2;
    pooledSum_ /= 2;
  }
  // Half a tick may be left from when ticks were made longer.
  ticks_ = std::min(kHorizon, ticks_ * keep + 1);
  suit();
}

/// Makes ticks longer or shorter if they usually hold too few or too many records.
void VolumeModel::suit() {
  if (ticks_ < kEnoughTicks) return;
  const Entry& total = entries_[0];
  while (total.sum < kFewRecords * ticks_ && tick_ < kLongest * shortest_) lengthen();
  while (total.sum > kManyRecords * ticks_ && tick_ > shortest_) shorten();
}

/// Doubles the ticks. Counts of two ticks are taken for independent; how they are distributed is learned anew.
void VolumeModel::lengthen() {
  tick_ *= 2;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    e.squares += static_cast<float>(e.sum * e.sum / ticks_);
    e.counts = {};
    e.positive = 0;
    e.silent /= 2;
    std::shift_left(e.silences.begin(), e.silences.end(), 2);
    e.silences[kSilenceBuckets - 1] = e.silences[kSilenceBuckets - 2] = 0;
    e.gapCounts[0] = static_cast<std::uint16_t>(e.gapCounts[0] + e.gapCounts[1]);
    std::shift_left(e.gapCounts.begin() + 1, e.gapCounts.end(), 1);
    e.gapCounts[kGapBuckets - 1] = 0;
    e.gapSum /= 2;
    e.gapSquares /= 4;
  }
  ticks_ /= 2;
  pooledCounts_ = {};
  pooled_ = 0;
  pooledSum_ = 0;
}

void VolumeModel::shorten() {
  tick_ /= 2;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    Entry& e = entries_[i];
    e.squares = std::max(0.0f, e.squares - static_cast<float>(e.sum * e.sum / (2 * ticks_)));
    e.counts = {};
    e.positive = 0;
    e.silent *= 2;
    std::shift_right(e.silences.begin(), e.silences.end(), 2);
    e.silences[0] = e.silences[1] = 0;
    e.gapCounts[kGapBuckets - 2] = static_cast<std::uint16_t>(e.gapCounts[kGapBuckets - 2] + e.gapCounts[kGapBuckets - 1]);
    std::shift_right(e.gapCounts.begin(), e.gapCounts.end(), 1);
    e.gapCounts[0] = 0;
    e.gapSum *= 2;
    e.gapSquares *= 4;
  }
  ticks_ = std::min(kHorizon, ticks_ * 2);
  pooledCounts_ = {};
  pooled_ = 0;
  pooledSum_ = 0;
}

/// Learns a number of ticks without a record.
void VolumeModel::learnEmpty(std::uint64_t ticks) {
  weighed_ = false;
  const double n = static_cast<double>(ticks);
  // The effect is that of learning each tick: what was known fades once the horizon is full.
  const double room = std::max(0.0, kHorizon - ticks_);
  const double keep = n > room ? portableExp(-(n - room) / kHorizon) : 1;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    entries_[i].sum = static_cast<float>(entries_[i].sum * keep);
    entries_[i].squares = static_cast<float>(entries_[i].squares * keep);
    if (entries_[i].positive > 0)
      entries_[i].silent = static_cast<std::uint32_t>(std::min<std::uint64_t>(entries_[i].silent + ticks, 1u << 30));
  }
  ticks_ = std::min(kHorizon, ticks_ + n);
}

void VolumeModel::snapshot(std::vector<std::uint8_t>& out) const {
  const auto putFloat = [&](float value) { put(out, std::bit_cast<std::uint32_t>(value)); };
  put<std::uint8_t>(out, kSnapshotVersion);
  put<std::uint64_t>(out, shortest_);
  put<std::uint64_t>(out, tick_);
  put<std::uint64_t>(out, unitsPerDay_);
  put<std::uint64_t>(out, start_);
  put<std::uint64_t>(out, pendingStart_);
  put<std::uint8_t>(out, static_cast<std::uint8_t>(started_ | pending_ << 1 | partial_ << 2));
  put<std::uint8_t>(out, static_cast<std::uint8_t>(entries_.size()));
  for (const double value : {ticks_, dispersionSum_, dispersionWeight_, pooledSum_}) putDouble(out, value);
  for (const std::uint32_t n : pooledCounts_) put(out, n);
  StateWriter write(out);
  VolumeSeason::visit(season_, write);
  Recurrence::visit(recurrence_, write);
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    for (const std::uint32_t value : {e.id, e.count, e.previous, e.silent}) put(out, value);
    put(out, e.last);
    for (const float value : {e.sum, e.squares, e.run, e.before, e.peak, e.gapSum, e.gapSquares}) putFloat(value);
    for (const std::uint16_t n : e.counts) put(out, n);
    for (const std::uint16_t n : e.gapCounts) put(out, n);
    for (const std::uint16_t n : e.silences) put(out, n);
  }
}

bool VolumeModel::restore(Bytes in) {
  StateReader read(in);
  bool sane = true;
  const auto getDouble = [&] {
    const double value = read.getDouble();
    sane = sane && std::isfinite(value) && std::fabs(value) < 1e30;
    return value;
  };
  const auto getFloat = [&] {
    const float value = std::bit_cast<float>(read.get<std::uint32_t>());
    sane = sane && value >= 0 && value < 1e30f;
    return value;
  };
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  const std::uint64_t shortest = read.get<std::uint64_t>(), tick = read.get<std::uint64_t>();
  if (shortest != shortest_ || tick < shortest || tick > kLongest * shortest || tick % shortest != 0) return false;
  if (read.get<std::uint64_t>() != unitsPerDay_) return false;
  VolumeModel fresh(shortest_, unitsPerDay_);
  fresh.tick_ = tick;
  fresh.start_ = read.get<std::uint64_t>();
  fresh.pendingStart_ = read.get<std::uint64_t>();
  const std::uint8_t flags = read.get<std::uint8_t>();
  fresh.started_ = flags & 1;
  fresh.pending_ = flags >> 1 & 1;
  fresh.partial_ = flags >> 2 & 1;
  const std::size_t entries = read.get<std::uint8_t>();
  if (!read.ok() || flags > 7 || entries < 1 || entries > kEntries) return false;
  fresh.entries_.resize(entries);
  fresh.ticks_ = getDouble();
  fresh.dispersionSum_ = getDouble();
  fresh.dispersionWeight_ = getDouble();
  fresh.pooledSum_ = getDouble();
  if (!sane || !(fresh.ticks_ >= 0 && fresh.ticks_ <= kHorizon) || fresh.dispersionSum_ < 0 || fresh.dispersionWeight_ < 0 ||
      fresh.pooledSum_ < 0)
    return false;
  for (std::uint32_t& n : fresh.pooledCounts_) {
    n = read.get<std::uint32_t>();
    if (n >= kMostPooled || (fresh.pooled_ += n) >= kMostPooled) return false;
  }
  VolumeSeason::visit(fresh.season_, read);
  Recurrence::visit(fresh.recurrence_, read);
  if (!fresh.season_.valid()) return false;
  for (std::size_t i = 0; i < entries; ++i) {
    Entry& e = fresh.entries_[i];
    for (std::uint32_t* value : {&e.id, &e.count, &e.previous, &e.silent}) *value = read.get<std::uint32_t>();
    e.last = read.get<std::uint64_t>();
    for (float* value : {&e.sum, &e.squares, &e.run, &e.before, &e.peak, &e.gapSum, &e.gapSquares}) *value = getFloat();
    std::uint32_t positive = 0, gaps = 0;
    for (std::uint16_t& n : e.counts) positive += n = read.get<std::uint16_t>();
    for (std::uint16_t& n : e.gapCounts) gaps += n = read.get<std::uint16_t>();
    for (std::uint16_t& n : e.silences) n = std::min(read.get<std::uint16_t>(), kMostCounts);
    if (!sane || positive >= kMostCounts || gaps >= kMostCounts) return false;
    e.positive = static_cast<std::uint16_t>(positive);
    e.gaps = static_cast<std::uint16_t>(gaps);
    for (std::size_t j = 1; j < i; ++j)
      if (fresh.entries_[j].id == e.id) return false;
    fresh.tags_[i] = tagOf(e.id);
  }
  if (!read.done()) return false;
  *this = std::move(fresh);
  return true;
}

}  // namespace driftlock
