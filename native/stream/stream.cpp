#include "stream/stream.hpp"

#include <algorithm>
#include <cmath>

#include "stream/hash.hpp"

namespace driftlock {
namespace {

/// Of a window and of a baseline's excerpt; codecs with the shortest reach still see both whole.
constexpr std::uint32_t kExcerptBytes = 12 * 1024;

constexpr double kNanosPerDay = 86'400e9;
/// Where records carry no times, or all the same, one a second is assumed.
constexpr double kAssumedPerDay = 86'400;
constexpr double kMostChance = 0.01;
constexpr double kLeastChance = 1e-12;

/// News that costs less than this share of the limit is learned at once; other news once it has come so often.
constexpr double kHarmless = 0.25;
constexpr std::uint32_t kSightings = 16;
constexpr std::size_t kSightingSlots = 256;

/// An anomaly is over when nothing was flagged for so long, or for so many records where there are no times.
constexpr std::uint64_t kQuietNanos = 300'000'000'000;
constexpr std::uint64_t kQuietRecords = 1000;

std::string hexId(std::uint64_t a, std::uint64_t b) {
  constexpr char digits[] = "0123456789abcdef";
  std::string id;
  for (std::uint64_t half : {a, b}) {
    for (int shift = 60; shift >= 0; shift -= 4) id += digits[half >> shift & 15];
  }
  return id;
}

}  // namespace

Stream::Stream(StreamKey key, const Settings& settings)
    : key_(std::move(key)),
      settings_(settings),
      content_(settings.dictionarySize),
      baseline_(settings.windowRecords, kExcerptBytes),
      window_(settings.windowRecords, kExcerptBytes) {}

Verdict Stream::observe(const RecordView& record, Bytes raw, ContentScore& content) {
  Verdict verdict;
  if (record.timeUnixNano != 0) {
    if (firstUnixNano_ == 0) firstUnixNano_ = record.timeUnixNano;
    lastUnixNano_ = std::max(lastUnixNano_, record.timeUnixNano);
  }
  content_.score(record, content);
  verdict.score = content.score;
  verdict.channel = content.score > 0 ? Channel::Content : Channel::None;
  window_.push(raw);
  if (learning()) {
    learn(record, content, verdict);
  } else {
    verdict.pValue = limit_.pValue(content.score);
    verdict.flagged = content.score > limit_.limit();
    if (!verdict.flagged && !content.unknown.empty()) adapt(record, content);
  }
  ++seen_;
  return verdict;
}

void Stream::learn(const RecordView& record, const ContentScore& content, Verdict& verdict) {
  verdict.learning = true;
  if (seen_ >= settings_.baselineRecords / 2) {
    limit_.add(content.score);
    heldOutBits_.push_back(static_cast<float>(content.bits));
  }
  content_.learn(record, content);
  if (seen_ + 1 < settings_.baselineRecords) return;

  content_.anchor();
  baseline_ = window_;
  const auto median = heldOutBits_.begin() + static_cast<std::ptrdiff_t>(heldOutBits_.size() / 2);
  std::nth_element(heldOutBits_.begin(), median, heldOutBits_.end());
  baselineBits_ = *median;
  heldOutBits_ = {};
  const double days = static_cast<double>(lastUnixNano_ - firstUnixNano_) / kNanosPerDay;
  const double perDay = days > 0 ? static_cast<double>(seen_ + 1) / days : kAssumedPerDay;
  limit_.fit(std::clamp(settings_.alarmsPerStreamPerDay / perDay, kLeastChance, kMostChance));
}

void Stream::adapt(const RecordView& record, const ContentScore& content) {
  if (content.score > kHarmless * limit_.limit()) {
    if (sightings_.empty()) sightings_.resize(kSightingSlots);
    Sighting& sighting = sightings_[content.signature % kSightingSlots];
    const auto signature = static_cast<std::uint32_t>(content.signature >> 32);
    if (sighting.signature != signature) sighting = {signature, 0};
    if (++sighting.count < kSightings) return;
  }
  content_.learn(record, content);
}

bool Stream::report(std::uint64_t timeUnixNano, std::uint64_t signature) {
  const bool timed = timeUnixNano != 0 && lastFlaggedUnixNano_ != 0;
  const bool quiet = timed ? timeUnixNano > lastFlaggedUnixNano_ + kQuietNanos : seen_ > lastFlaggedSeen_ + kQuietRecords;
  if (anomaly_.records == 0 || quiet) {
    ++anomalies_;
    const std::uint64_t a = hash(signature, hash(settings_.seed, key_.hash));
    anomaly_ = {hexId(a, hash(anomalies_, hash(timeUnixNano, a))), timeUnixNano, 0};
    metrics_.reset();
  }
  lastFlaggedUnixNano_ = std::max(lastFlaggedUnixNano_, timeUnixNano);
  lastFlaggedSeen_ = seen_;
  ++anomaly_.records;
  return (anomaly_.records & (anomaly_.records - 1)) == 0;
}

void Stream::texts(std::vector<std::string>& baseline, std::vector<std::string>& window) const {
  thread_local RecordView record;
  auto renderInto = [&](std::vector<std::string>& out) {
    out.clear();
    return [&](Bytes raw) {
      readFields(key_.signal, key_.metricType, raw, record);
      render(record, out.emplace_back());
      out.back() += '\n';
    };
  };
  baseline_.forEach(renderInto(baseline));
  window_.forEach(renderInto(window));
}

const WindowMetrics* Stream::metrics(const Codec& codec) {
  if (metrics_ && seen_ < metricsSeen_ + settings_.windowHop) return &*metrics_;
  thread_local std::vector<std::string> baseline, window;
  texts(baseline, window);
  auto join = [&](const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text;
    // Text may be longer than the record it was read from; what the codec does not reach is not compared.
    if (all.size() > codec.reach()) all.erase(0, all.size() - codec.reach());
    return all;
  };
  const std::string b = join(baseline), w = join(window);
  if (b.empty() || w.empty()) return nullptr;
  auto bytes = [](const std::string& s) { return Bytes(reinterpret_cast<const std::uint8_t*>(s.data()), s.size()); };
  metrics_ = windowMetrics(bytes(b), bytes(w), codec);
  metricsSeen_ = seen_;
  return &*metrics_;
}

std::size_t Stream::memory() const {
  return sizeof *this + key_.name.capacity() + key_.tenant.capacity() + content_.memory() + limit_.memory() +
         heldOutBits_.capacity() * sizeof(float) + baseline_.memory() + window_.memory() +
         sightings_.capacity() * sizeof(Sighting);
}

}  // namespace driftlock
