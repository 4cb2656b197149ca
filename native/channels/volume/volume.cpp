#include "channels/volume/volume.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/tags.hpp"

namespace driftlock {
namespace {

/// Ticks that rates look back on.
constexpr double horizon = 4096;
/// Weight of the base measures against what was seen: counts, gaps.
constexpr double count_prior = 8, gap_prior = 2;
/// Ticks' worth of the stream's own dispersion in a template's.
constexpr double dispersion_prior = 4;
/// A burst is this many octaves faster than usual, in the alternative that the CUSUM tests for.
constexpr int burst_octaves = 5;
/// Ticks before anything is judged.
constexpr double fewest_ticks = 4;
/// Ticks of a gap that are gone through one by one; the rest is learnt at once.
constexpr std::uint64_t stepwise = 16;
/// Bits that the hours of the day must have saved before they are believed, and the most that is kept.
constexpr double season_threshold = 16, season_most = 64;
/// Days that the hours look back on.
constexpr float season_days = 14;
constexpr std::uint32_t most_pooled = 1u << 16;
constexpr std::uint16_t most_counts = 4096;
/// Bits at which the CUSUM over gaps stops, so that it lets go of a burst soon.
constexpr float most_run = 64;
constexpr double silence_prior = 1;
/// The share of its rate in how seldom a silence is expected where none was seen: little, for rates change.
constexpr double rate_share = 0.25;
constexpr std::uint8_t snapshot_version = 1;

/// Half-octaves: 1, 2, 3, 4-5, 6-7, 8-11, 12-15, ...
std::size_t count_bucket(std::uint32_t count, std::size_t buckets) {
  if (count <= 1) return 0;
  const unsigned octave = static_cast<unsigned>(std::bit_width(count)) - 1;
  return std::min<std::size_t>(2 * octave - 1 + (count >> (octave - 1) & 1), buckets - 1);
}

/// Share of a double geometric over octaves with its peak at `centre`: 2^-|b - centre| / 3.
double around(int bucket, int centre) {
  return (1.0 / 3) / static_cast<double>(std::uint64_t{1} << std::abs(bucket - centre));
}

std::uint32_t whole(double count) { return static_cast<std::uint32_t>(std::min(count + 0.5, 4e9)); }

}  // namespace

VolumeModel::VolumeModel(std::uint64_t tick, std::uint64_t units_per_day)
    : tick_(std::max<std::uint64_t>(tick, 1)), units_per_day_(std::max<std::uint64_t>(units_per_day, 1)) {}

std::optional<VolumeTick> VolumeModel::advance(std::uint64_t time) {
  if (!started_) {
    start_ = time - time % tick_;
    started_ = true;
    return std::nullopt;
  }
  if (time < start_ || time - start_ < tick_) return std::nullopt;
  std::optional<VolumeTick> strangest;
  std::uint64_t passed = (time - start_) / tick_;
  for (std::uint64_t i = 0; i < std::min(passed, stepwise); ++i) {
    const VolumeTick closed = close();
    if (!strangest || closed.score > strangest->score) strangest = closed;
  }
  if (passed > stepwise) {
    passed -= stepwise;
    learn();
    learn_empty(passed);
    start_ += passed * tick_;
  }
  return strangest;
}

void VolumeModel::count(std::uint64_t time, std::uint32_t id) {
  time = std::max(time, start_);
  for (const std::size_t at : {std::size_t{0}, entry(id)}) {
    Entry& e = entries_[at];
    if (e.last != 0) observe_gap(e, time + 1 - std::min(time + 1, e.last));
    e.last = std::max(time + 1, e.last);
    ++e.count;
    if (at > 0) weights_[at] = e.weight();
  }
}

/// The place of a template's entry; the one with the fewest records lately makes room.
std::size_t VolumeModel::entry(std::uint32_t id) {
  std::uint8_t& hint = hints_[(id * 0x9E3779B1u) >> 26];
  if (hint > 0 && hint < used_ && entries_[hint].id == id) return hint;
  const auto templates = std::span(tags_).subspan(1, used_ - 1);
  std::size_t at = 1 + findTagged(templates, tagOf(id), [&](std::size_t i) { return entries_[1 + i].id == id; });
  if (at == used_) {
    if (used_ < entries) {
      ++used_;
    } else {
      at = lightest();
    }
    entries_[at] = {};
    entries_[at].id = id;
    tags_[at] = tagOf(id);
  }
  hint = static_cast<std::uint8_t>(at);
  return at;
}

/// The first of the templates with the fewest records lately.
std::size_t VolumeModel::lightest() {
  if (!weighed_) {
    std::ranges::transform(entries_, weights_.begin(), &Entry::weight);
    weights_[0] = std::numeric_limits<float>::infinity();
    weighed_ = true;
  }
  return firstLeast(weights_);
}

/// Learns a gap, and how much it speaks for a burst: log2 of its share if gaps were 2^5 times shorter over its usual one.
void VolumeModel::observe_gap(Entry& e, std::uint64_t gap) {
  const std::uint64_t unit = std::max<std::uint64_t>(tick_ >> 10, 1);
  const int bucket = std::min<int>(std::bit_width(gap / unit), gap_buckets - 1);
  if (e.gaps > 0) {
    const double mean = static_cast<double>(e.gap_sum) / e.gaps * static_cast<double>(tick_) / static_cast<double>(unit);
    const int centre = std::min<int>(std::bit_width(static_cast<std::uint64_t>(std::min(mean, 1e15))), gap_buckets - 1);
    const double usual =
        (e.gap_counts[static_cast<std::size_t>(bucket)] + gap_prior * around(bucket, centre)) / (e.gaps + gap_prior);
    const double burst = around(bucket, std::max(centre - burst_octaves, 1));
    // A usual gap lets a run of 0 be: no logarithm is needed to see that.
    if (e.run > 0 || burst > usual) {
      e.run = std::clamp(e.run + static_cast<float>(portable_log2(burst / usual)), 0.0f, most_run);
      e.peak = std::max(e.peak, e.run);
    }
  }
  const float ticks = static_cast<float>(static_cast<double>(gap) / static_cast<double>(tick_));
  ++e.gaps;
  ++e.gap_counts[static_cast<std::size_t>(bucket)];
  e.gap_sum += ticks;
  e.gap_squares += ticks * ticks;
  if (e.gaps < most_counts) return;
  e.gaps = 0;
  for (std::uint16_t& n : e.gap_counts) e.gaps = static_cast<std::uint16_t>(e.gaps + (n /= 2));
  const float kept = static_cast<float>(e.gaps) / most_counts;
  e.gap_sum *= kept;
  e.gap_squares *= kept;
}

bool VolumeModel::seasonal() const { return season_bits_ >= season_threshold; }

/// How the hour of the day changes the expected count; 1 until that has proved itself.
double VolumeModel::season(std::uint64_t time) const {
  double records = 0, ticks = 0;
  for (std::size_t h = 0; h < hour_records_.size(); ++h) {
    records += hour_records_[h];
    ticks += hour_ticks_[h];
  }
  if (!(records > 0) || !(ticks > 0)) return 1;
  const std::size_t hour = static_cast<std::size_t>((time % units_per_day_) * hour_records_.size() / units_per_day_);
  const double mean = records / ticks;
  // One tick's worth of the flat rate, so that an hour never seen is as any other.
  return std::max(0.01, (hour_records_[hour] + mean) / (hour_ticks_[hour] + 1) / mean);
}

VolumeModel::Usual VolumeModel::usual(const Entry& e, double season) const {
  const double flat = (e.sum + 0.5) / (ticks_ + 1);
  const double mean = ticks_ > 0 ? e.sum / ticks_ : 0;
  const double variance = ticks_ > 0 ? std::max(0.0, e.squares / ticks_ - mean * mean) : 0;
  const double pooled = dispersion_weight_ > 0 ? std::max(1.0, dispersion_sum_ / dispersion_weight_) : 1;
  const double own = variance / std::max(flat, 1e-9);
  const double dispersion = (ticks_ * own + dispersion_prior * pooled) / (ticks_ + dispersion_prior);
  return {flat * season, std::max(1.0, dispersion)};
}

/// Evidence of a silence, in bits: what its rate says, or how seldom it fell silent so long, whichever is less.
double VolumeModel::silence_bits(const Entry& e, std::uint64_t gap, const Usual& expect) const {
  const double ticks = static_cast<double>(gap) / static_cast<double>(tick_);
  // Gaps more regular than chance make counts more regular: the variance of a renewal process's count goes with the
  // squared variation of its gaps.
  double regular = 1;
  if (e.gaps >= 8 && e.gap_sum > 0) {
    const double mean = static_cast<double>(e.gap_sum) / e.gaps;
    regular = std::clamp((e.gap_squares / e.gaps - mean * mean) / (mean * mean), 0.1, 1.0);
  }
  const double by_rate = expect.mean * ticks / (expect.dispersion * regular) / ln2;
  const std::size_t bucket = count_bucket(static_cast<std::uint32_t>(std::clamp(ticks, 1.0, 1e9)), silence_buckets);
  double as_long = 0;
  for (std::size_t b = bucket; b < silence_buckets; ++b) as_long += e.silences[b];
  const double base = portable_exp(-by_rate * ln2 * rate_share) / std::sqrt(1 + ticks);
  const double share = (as_long + silence_prior * base) / (e.positive + silence_prior);
  const double bits = std::min(by_rate, share < 1 ? -portable_log2(share) : 0.0);
  // News grows old.
  return bits * std::min(1.0, std::max(2.0, 10 / expect.mean) / ticks);
}

/// True when a silence has lasted so long that it is no news: then the template is gone, until it comes back.
bool VolumeModel::gone(const Entry& e, std::uint64_t gap) const {
  std::size_t longest = 0;
  for (std::size_t b = 0; b < silence_buckets; ++b)
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
  const double deviation = 2 * std::sqrt(expect.mean * expect.dispersion);
  finding.low = std::max(0.0, expect.mean - deviation);
  finding.high = expect.mean + deviation;
  const double unusual = poisson_deviance(e.count, expect.mean) / expect.dispersion;
  if (e.count > expect.mean) {
    const double level = std::max(1.0, e.count / season);
    const std::size_t bucket = count_bucket(whole(level), count_buckets);
    double own = 0, pooled = 1.0 / e.count;
    for (std::size_t b = bucket; b < count_buckets; ++b) {
      own += e.counts[b];
      pooled += pooled_counts_[b];
    }
    pooled /= pooled_ + 1.0;
    // While it is absent most of the time, its own mean is that of the ticks in which it was there.
    double there = e.positive > 0 ? e.sum / std::max(1.0, std::min<double>(e.positive, ticks_))
                                  : (pooled_ > 0 ? pooled_sum_ / pooled_ : 1);
    there = std::max(1.0, there);
    const double geometric = portable_exp((level - 1) * portable_log((there - 0.5) / (there + 0.5)));
    const double tail = (own + count_prior * (0.1 * pooled + 0.9 * geometric)) / (e.positive + count_prior);
    finding.kind = VolumeKind::burst;
    finding.bits = std::min(unusual, tail > 0 ? -portable_log2(tail) : unusual) + (e.peak - e.before) / 2;
  } else if (e.count > 0 || e.last == 0) {
    finding.kind = VolumeKind::drop;
    finding.bits = unusual;
  } else {
    finding.kind = VolumeKind::silence;
    finding.silent_for = end + 1 - std::min(end + 1, e.last);
    if (!gone(e, finding.silent_for)) finding.bits = silence_bits(e, finding.silent_for, expect);
  }
  return finding;
}

/// Ends the open tick: judges its counts, and keeps them for `learn`.
VolumeTick VolumeModel::close() {
  learn();
  weighed_ = false;
  VolumeTick closed;
  closed.start = start_;
  closed.end = start_ + tick_;
  closed.records = entries_[0].count;
  if (ticks_ >= fewest_ticks) {
    const double factor = seasonal() ? season(start_) : 1;
    for (std::size_t i = 0; i < used_; ++i) {
      const VolumeFinding finding = judge(entries_[i], closed.end, factor);
      if (finding.bits > closed.strangest.bits) closed.strangest = finding;
    }
    closed.score = closed.strangest.bits - portable_log2(used_);
  }
  for (std::size_t i = 0; i < used_; ++i) {
    Entry& e = entries_[i];
    e.previous = e.count;
    e.count = 0;
    e.peak = e.before = e.run;
  }
  pending_ = true;
  pending_start_ = start_;
  start_ += tick_;
  return closed;
}

void VolumeModel::reject() {
  if (!pending_) return;
  pending_ = weighed_ = false;
  for (std::size_t i = 0; i < used_; ++i) entries_[i].previous = 0;
}

/// Learns the counts of the tick that ended last.
void VolumeModel::learn() {
  if (!pending_) return;
  pending_ = weighed_ = false;
  const double records = entries_[0].previous;
  const double factor = seasonal() ? season(pending_start_) : 1;
  const Usual flat = usual(entries_[0], 1);
  if (ticks_ >= fewest_ticks) {
    const double seasonal = std::max(flat.mean * season(pending_start_), 1e-9);
    const double saved = (poisson_deviance(records, flat.mean) - poisson_deviance(records, seasonal)) / flat.dispersion;
    season_bits_ = std::clamp(season_bits_ + saved, -season_most, season_most);
  }
  const std::size_t hour =
      static_cast<std::size_t>((pending_start_ % units_per_day_) * hour_records_.size() / units_per_day_);
  const float most = season_days * static_cast<float>(units_per_day_ / tick_) / static_cast<float>(hour_records_.size());
  if (hour_ticks_[hour] >= std::max(most, 1.0f)) {
    const float keep = 1 - 1 / hour_ticks_[hour];
    hour_ticks_[hour] *= keep;
    hour_records_[hour] *= keep;
  }
  hour_ticks_[hour] += 1;
  hour_records_[hour] += static_cast<float>(records);
  const double keep = ticks_ >= horizon ? 1 - 1 / horizon : 1;
  dispersion_sum_ *= 1 - 1 / horizon;
  dispersion_weight_ *= 1 - 1 / horizon;
  for (std::size_t i = 0; i < used_; ++i) {
    Entry& e = entries_[i];
    const double k = e.previous / factor;  // at the usual hour
    e.previous = 0;
    if (i > 0 && ticks_ >= 2) {
      const double mean = (e.sum + 0.5) / (ticks_ + 1);
      dispersion_sum_ += (k - mean) * (k - mean) / mean;
      dispersion_weight_ += 1;
    }
    e.sum = static_cast<float>(e.sum * keep + k);
    e.squares = static_cast<float>(e.squares * keep + k * k);
    if (k == 0) {
      if (e.positive > 0) ++e.silent;
      continue;
    }
    if (e.silent > 0) ++e.silences[count_bucket(e.silent, silence_buckets)];
    e.silent = 0;
    const std::size_t bucket = count_bucket(whole(std::max(1.0, k)), count_buckets);
    ++e.positive;
    ++e.counts[bucket];
    if (e.positive >= most_counts) {
      e.positive = 0;
      for (std::uint16_t& n : e.counts) e.positive = static_cast<std::uint16_t>(e.positive + (n /= 2));
      for (std::uint16_t& n : e.silences) n /= 2;
    }
    if (i == 0) continue;
    ++pooled_;
    ++pooled_counts_[bucket];
    pooled_sum_ += k;
    if (pooled_ < most_pooled) continue;
    pooled_ = 0;
    for (std::uint32_t& n : pooled_counts_) pooled_ += n /= 2;
    pooled_sum_ /= 2;
  }
  ticks_ = ticks_ * keep + 1;
}

/// Learns so many ticks without a record.
void VolumeModel::learn_empty(std::uint64_t ticks) {
  weighed_ = false;
  const double n = static_cast<double>(ticks);
  // As if each tick took its share: what was known fades once the horizon is full.
  const double room = std::max(0.0, horizon - ticks_);
  const double keep = n > room ? portable_exp(-(n - room) / horizon) : 1;
  for (std::size_t i = 0; i < used_; ++i) {
    entries_[i].sum = static_cast<float>(entries_[i].sum * keep);
    entries_[i].squares = static_cast<float>(entries_[i].squares * keep);
    if (entries_[i].positive > 0)
      entries_[i].silent = static_cast<std::uint32_t>(std::min<std::uint64_t>(entries_[i].silent + ticks, 1u << 30));
  }
  ticks_ = std::min(horizon, ticks_ + n);
}

void VolumeModel::snapshot(std::vector<std::uint8_t>& out) const {
  const auto put_float = [&](float value) { put(out, std::bit_cast<std::uint32_t>(value)); };
  put<std::uint8_t>(out, snapshot_version);
  put<std::uint64_t>(out, tick_);
  put<std::uint64_t>(out, units_per_day_);
  put<std::uint64_t>(out, start_);
  put<std::uint64_t>(out, pending_start_);
  put<std::uint8_t>(out, static_cast<std::uint8_t>(started_ | pending_ << 1));
  put<std::uint8_t>(out, static_cast<std::uint8_t>(used_));
  for (const double value : {ticks_, dispersion_sum_, dispersion_weight_, pooled_sum_, season_bits_}) put_double(out, value);
  for (const std::uint32_t n : pooled_counts_) put(out, n);
  for (const float value : hour_records_) put_float(value);
  for (const float value : hour_ticks_) put_float(value);
  for (std::size_t i = 0; i < used_; ++i) {
    const Entry& e = entries_[i];
    for (const std::uint32_t value : {e.id, e.count, e.previous, e.silent}) put(out, value);
    put(out, e.last);
    for (const float value : {e.sum, e.squares, e.run, e.before, e.peak, e.gap_sum, e.gap_squares}) put_float(value);
    for (const std::uint16_t n : e.counts) put(out, n);
    for (const std::uint16_t n : e.gap_counts) put(out, n);
    for (const std::uint16_t n : e.silences) put(out, n);
  }
}

bool VolumeModel::restore(Bytes in) {
  StateReader read(in);
  bool sane = true;
  const auto get_double = [&] {
    const double value = read.get_double();
    sane = sane && std::isfinite(value) && std::fabs(value) < 1e30;
    return value;
  };
  const auto get_float = [&] {
    const float value = std::bit_cast<float>(read.get<std::uint32_t>());
    sane = sane && value >= 0 && value < 1e30f;
    return value;
  };
  if (read.get<std::uint8_t>() != snapshot_version) return false;
  if (read.get<std::uint64_t>() != tick_ || read.get<std::uint64_t>() != units_per_day_) return false;
  VolumeModel fresh(tick_, units_per_day_);
  fresh.start_ = read.get<std::uint64_t>();
  fresh.pending_start_ = read.get<std::uint64_t>();
  const std::uint8_t flags = read.get<std::uint8_t>();
  fresh.started_ = flags & 1;
  fresh.pending_ = flags >> 1 & 1;
  fresh.used_ = read.get<std::uint8_t>();
  if (!read.ok() || flags > 3 || fresh.used_ < 1 || fresh.used_ > entries) return false;
  fresh.ticks_ = get_double();
  fresh.dispersion_sum_ = get_double();
  fresh.dispersion_weight_ = get_double();
  fresh.pooled_sum_ = get_double();
  fresh.season_bits_ = get_double();
  if (!sane || !(fresh.ticks_ >= 0 && fresh.ticks_ <= horizon) || fresh.dispersion_sum_ < 0 || fresh.dispersion_weight_ < 0 ||
      fresh.pooled_sum_ < 0)
    return false;
  for (std::uint32_t& n : fresh.pooled_counts_) {
    n = read.get<std::uint32_t>();
    if (n >= most_pooled || (fresh.pooled_ += n) >= most_pooled) return false;
  }
  for (float& value : fresh.hour_records_) value = get_float();
  for (float& value : fresh.hour_ticks_) value = get_float();
  for (std::size_t i = 0; i < fresh.used_; ++i) {
    Entry& e = fresh.entries_[i];
    for (std::uint32_t* value : {&e.id, &e.count, &e.previous, &e.silent}) *value = read.get<std::uint32_t>();
    e.last = read.get<std::uint64_t>();
    for (float* value : {&e.sum, &e.squares, &e.run, &e.before, &e.peak, &e.gap_sum, &e.gap_squares}) *value = get_float();
    std::uint32_t positive = 0, gaps = 0;
    for (std::uint16_t& n : e.counts) positive += n = read.get<std::uint16_t>();
    for (std::uint16_t& n : e.gap_counts) gaps += n = read.get<std::uint16_t>();
    for (std::uint16_t& n : e.silences) n = std::min(read.get<std::uint16_t>(), most_counts);
    if (!sane || positive >= most_counts || gaps >= most_counts) return false;
    e.positive = static_cast<std::uint16_t>(positive);
    e.gaps = static_cast<std::uint16_t>(gaps);
    for (std::size_t j = 1; j < i; ++j)
      if (fresh.entries_[j].id == e.id) return false;
    fresh.tags_[i] = tagOf(e.id);
  }
  if (!read.done()) return false;
  *this = fresh;
  return true;
}

}  // namespace driftlock
