#include "stream/stream.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/portable_math.hpp"
#include "base/tags.hpp"

namespace driftlock {
namespace {

/// Of a window and of a baseline's excerpt; codecs with the shortest reach still see both whole.
constexpr std::uint32_t kExcerptBytes = 8 * 1024;

/// News of hardly any bits is learned at once. Other news becomes normal once it has come so often, for as long as the
/// settings say: until then it stays news, and only its p-value tells how common it has become.
constexpr double kHarmless = 0.5;
constexpr std::uint8_t kSightings = 16;

constexpr std::uint64_t kTickNanos = 10'000'000'000;

/// In a window, each bit a byte of news, or each measure of strangeness, makes a record 2^3 times rarer.
constexpr double kBitsPerMeasure = 3;

constexpr std::size_t kExpiredAtOnce = 2;

}  // namespace

Stream::Stream(StreamKey key, const Settings& settings)
    : key_(std::move(key)),
      settings_(settings),
      hash_(hashOfStream(settings.hashKey, key_.hash)),
      budget_(settings.alarmsPerStreamPerDay),
      baseline_(settings.windowRecords, kExcerptBytes),
      window_(settings.windowRecords, kExcerptBytes) {
  if (key_.signal == otlp::Signal::Metrics) {
    value_ = std::make_unique<ValueChannel>();
    shape_ = makeShape();
  } else {
    content_ = std::make_unique<ContentChannel>(settings.dictionarySize, hash_);
    if (key_.signal == otlp::Signal::Traces) paths_ = std::make_unique<PathModel>();
  }
}

Verdict Stream::observe(const RecordView& record, Bytes raw, ContentScore& content, std::vector<Event>& events) {
  const bool believed = clock_.observe(record.timeUnixNano);
  Verdict verdict;
  verdict.learning = learning();
  says_.clear();
  latency_ = nullptr;
  budget_.observe(clock_.now());
  if (quiet()) endAnomaly(Ending::Quiet, events);

  std::optional<SequenceVerdict> ordered;
  content.clear();
  const std::uint64_t session = record.inSession() ? hash_(record.session.bytes, record.session.bits) : 0;
  if (content_) {
    content_->score(record, content);
    sayContent(content);
    if (sequence_ && sequence_->trivial()) {
      sequence_.reset();
      unordered_ = true;
    }
    if (record.inSession() && !unordered_) {
      if (!sequence_) sequence_ = std::make_unique<SequenceChannel>();
      ordered = sequence_->observe(session, idOf(content.templateHash), record.last, clock_.now());
      saySession(*ordered);
    }
    if (key_.signal == otlp::Signal::Traces) observeLatency(record, content.templateHash);
    if (paths_) observePath(record, session, idOf(content.templateHash));
  }
  if (value_) observeValue(record, believed);
  if (shape_) observeShape(record);
  window_.push(raw);
  if (hops_.empty() || seen_ % settings_.windowHop == 0) {
    hops_.emplace_back();
    if (hops_.size() > hopsPerWindow()) hops_.pop_front();
  }

  for (const Say& say : says_) {
    // The value channel knows by itself when it has seen enough to score; to judge, its scores must be calibrated as well.
    if (verdict.learning && say.channel != Channel::Value) continue;
    const double strangeness = comparable(say.channel, say.score);
    verdict.score = std::max(verdict.score, strangeness);
    // Severity says that a record is worth an alarm, not that a window is unlike others.
    hops_.back().hear(say.channel, say.channel == Channel::Content ? content.density : strangeness);
  }
  if (!verdict.learning) judge(verdict);
  if (calibrating()) learnScores(verdict);
  if (latency_ && !verdict.flagged && (pardoned_ || !strange(Channel::Value))) latency_->learn(record.duration);
  if (ordered) sequence_->accept(lesson(*ordered, verdict));
  if (paths_) settlePath(verdict);
  if (shape_) settleShape(verdict);
  if (content_) settleContent(record, content, verdict.flagged);

  hops_.back().include(verdict);
  if (content_) observeVolume(record.timeUnixNano != 0, idOf(content.templateHash), events);
  if (content_) observeFields(record, content, events);

  ++seen_;
  if (verdict.learning && !learning()) {
    if (content_) content_->anchor();
    baseline_ = window_;
    baseline_.compact();
    markStrange();
  }
  if (!learning() && clock_.now() - markedAt_ > settings_.acceptAfterNanos) markStrange();
  if (sequence_) expireSessions(events);
  return verdict;
}

Stream::Say& Stream::say(Channel channel, double score, double bits, double usualBits) {
  return says_.emplace_back(Say{channel, score, bits, usualBits, score});
}

void Stream::sayContent(const ContentScore& content) {
  Say& news = say(Channel::Content, content.score, content.bits, 0);
  if (content.score < kHarmless) return;
  const Sighting* sighting = sightingOf(content);
  if (!sighting) return;
  news.whole = false;
  news.reported = sighting->reported && seconds() - sighting->last < acceptAfterSeconds();
}

Stream::Sighting* Stream::sightingOf(const ContentScore& content) {
  const std::size_t found = findTagged(sightingTags_, tagOf(idOf(content.signature)),
                                       [&](std::size_t i) { return sightings_[i].signature == content.signature; });
  return found == sightings_.size() ? nullptr : &sightings_[found];
}

Stream::Sighting& Stream::addSighting(std::uint64_t signature) {
  const bool full = sightings_.size() == mostSightings;
  const std::size_t at = full ? oldestSighting() : sightings_.size();
  if (!full) {
    sightings_.emplace_back();
    sightingTags_.emplace_back();
  }
  sightingTags_[at] = tagOf(idOf(signature));
  return sightings_[at] = {.signature = signature, .first = seconds()};
}

/// The first of those that were seen least lately.
std::size_t Stream::oldestSighting() {
  const auto begin = sightings_.begin(), end = sightings_.end();
  // A sighting only becomes younger: while some of the oldest second are left, the first of them is where the last one was
  // found, or behind it. In 2106 the seconds begin anew.
  auto found = seconds() < oldestSeconds_ ? end : std::find_if(begin + static_cast<std::ptrdiff_t>(oldestSighting_), end, [&](const Sighting& s) { return s.last == oldestSeconds_; });
  if (found == end) found = std::ranges::min_element(sightings_, {}, &Sighting::last);
  oldestSeconds_ = found->last;
  return oldestSighting_ = static_cast<std::size_t>(found - begin);
}

void Stream::saySession(const SequenceVerdict& session) {
  Say& order = say(Channel::Sequence, session.score, session.bits, session.usualBits);
  order.lesson = session.peak;
  order.whole = session.ended;
}

void Stream::observeLatency(const RecordView& record, std::uint64_t operation) {
  auto found = std::find_if(operations_.begin(), operations_.end(), [&](const Operation& o) { return o.hash == operation; });
  if (found == operations_.end()) {
    if (operations_.size() >= mostOperations) return;
    operations_.push_back({operation, {}});
    found = operations_.end() - 1;
  }
  latency_ = &found->latency;
  const double bits = latency_->cost(record.duration);
  expected_ = {.low = latency_->low(), .high = latency_->high()};
  say(Channel::Value, bits, bits, 0);
}

void Stream::observeValue(const RecordView& record, bool believed) {
  if (!record.hasValue) return;
  double value = record.value;
  // Where a summary's sum and count are there at all, they are those of Prometheus: since the process began.
  const bool summary = key_.metricType == otlp::MetricType::Summary;
  const std::uint64_t time = believed ? record.timeUnixNano : clock_.latest();
  if (summary || (key_.cumulative && (key_.monotonic || key_.metricType != otlp::MetricType::Sum))) {
    // A counter's rate, or the mean of what a histogram has taken in since its last point. A reset gives none, nor does a
    // point whose time says nothing of how long that took.
    if (!believed && record.timeUnixNano != 0) return;
    const double seconds = static_cast<double>(record.timeUnixNano - pointUnixNano_) / 1e9;
    const double count = record.count - pointCount_, rise = record.sum - pointValue_;
    const bool continues = pointUnixNano_ != 0 && record.timeUnixNano > pointUnixNano_ && count >= 0 && rise >= 0;
    pointUnixNano_ = record.timeUnixNano;
    pointValue_ = record.sum;
    pointCount_ = record.count;
    if (!continues) return;
    if (key_.metricType != otlp::MetricType::Sum && count == 0) return;
    value = key_.metricType == otlp::MetricType::Sum ? rise / seconds : rise / count;
  }
  observed_ = value;
  expected_ = value_->expected(time);
  const ValueResult result = value_->observe(time, value);
  if (result.scored) say(Channel::Value, result.score, result.rarity_bits, result.usual_bits);
}

void Stream::observePath(const RecordView& record, std::uint64_t session, std::uint32_t id) {
  const auto nameOf = [&](Bytes span) { return span.empty() ? 0 : hash_(span, session) | 1; };
  pathFinding_ = paths_->observe(nameOf(record.spanId), nameOf(record.parentSpanId), id);
  if (pathFinding_) say(Channel::Paths, pathFinding_->bits, pathFinding_->bits, 0);
}

void Stream::settlePath(const Verdict& verdict) {
  using Lesson = PathModel::Lesson;
  const bool strange = (verdict.flagged && verdict.channel == Channel::Paths) || this->strange(Channel::Paths);
  paths_->settle(pardoned_ ? Lesson::Accept : strange ? Lesson::Strange : Lesson::Learn, seconds(), acceptAfterSeconds());
}

void Stream::observeShape(const RecordView& record) {
  shapeFinding_ = shape_->observe(record.shape, key_.cumulative);
  if (shapeFinding_) say(Channel::Shape, shapeFinding_->score, shapeFinding_->bits, 0);
}

/// A strange shape is no model of what is normal, unless all have been for as long as news takes to become so.
void Stream::settleShape(const Verdict& verdict) {
  const bool strange = !pardoned_ && (verdict.flagged || this->strange(Channel::Shape));
  if (strange && strangeShapeSince_ == 0) strangeShapeSince_ = clock_.now();
  if (!strange) strangeShapeSince_ = 0;
  if (!strange || clock_.now() - strangeShapeSince_ >= settings_.acceptAfterNanos) shape_->learn();
}

void Stream::settleContent(const RecordView& record, const ContentScore& content, bool flagged) {
  if (content.unknown.empty() && !content.nameUnknown) return;
  if (!learning() && content.score >= kHarmless) {
    Sighting* sighting = sightingOf(content);
    if (!sighting) sighting = &addSighting(content.signature);
    if (seconds() - sighting->last >= acceptAfterSeconds()) sighting->reported = false;
    sighting->last = seconds();
    sighting->reported |= flagged;
    if (sighting->count < kSightings) ++sighting->count;
    if (sighting->count < kSightings || seconds() - sighting->first < acceptAfterSeconds()) return;
  }
  content_->learn(record, content);
}

void Stream::observeVolume(bool timed, std::uint32_t id, std::vector<Event>& events) {
  if (!mix_) {
    mix_ = makeMix();
    if (timed) volume_ = makeVolume();
  }
  std::optional<VolumeTick> tick = mix_->count(id);
  if (tick && !learning()) hops_.back().hear(Channel::Volume, tick->score);
  if (volume_) tick = volume_->advance(clock_.now());
  if (std::exchange(resumed_, false) && volume_ && tick) {
    volume_->reject();
    tick.reset();
  }
  if (tick && calibrating()) {
    says_.clear();
    say(Channel::Volume, tick->score, tick->strangest.bits, 0);
    const Verdict verdict = judgeUnit();
    learnScores(verdict);
    if (verdict.flagged) {
      volume_ ? volume_->reject() : mix_->reject();
      events.push_back({.verdict = verdict, .timeUnixNano = volume_ ? clock_.eventAt(tick->end) : 0, .volume = tick->strangest});
    }
  }
  if (volume_) volume_->count(clock_.now(), id);
}

std::unique_ptr<VolumeChannel> Stream::makeVolume() const { return std::make_unique<VolumeChannel>(kTickNanos, kDayNanos); }

std::unique_ptr<TemplateMix> Stream::makeMix() const { return std::make_unique<TemplateMix>(settings_.windowHop); }

std::unique_ptr<ShapeChannel> Stream::makeShape() const {
  using Kind = ShapeChannel::Kind;
  switch (key_.metricType) {
    case otlp::MetricType::Histogram:
      return std::make_unique<ShapeChannel>(Kind::Explicit);
    case otlp::MetricType::ExponentialHistogram:
      return std::make_unique<ShapeChannel>(Kind::Exponential);
    case otlp::MetricType::Summary:
      return std::make_unique<ShapeChannel>(Kind::Quantiles);
    default:
      return nullptr;
  }
}

std::size_t Stream::hopsPerWindow() const {
  return std::max<std::size_t>(1, (settings_.windowRecords + settings_.windowHop - 1) / settings_.windowHop);
}

std::optional<WindowVerdict> Stream::window() const {
  if (learning() || seen_ % settings_.windowHop != 0) return {};
  Hop window;
  for (const Hop& hop : hops_) {
    window.include(hop);
    for (std::size_t c = 0; c < channelCount; ++c) window.hear(static_cast<Channel>(c), hop.strangest[c]);
  }
  // All in bits: a mix of templates or values is one thing to be strange by, single records are as many as the window has. Channels
  // add as the harmonic mean of their p-values does (combine_p_values).
  WindowVerdict verdict{.score = -std::numeric_limits<double>::infinity(), .pValue = window.pValue, .flagged = window.flagged};
  const double chances = portable_log2(settings_.windowRecords);
  double most = verdict.score, sum = 0;
  std::array<double, channelCount> bits = window.strangest;
  for (std::size_t c = 0; c < channelCount; ++c) {
    const bool mix = static_cast<Channel>(c) == Channel::Volume || static_cast<Channel>(c) == Channel::Fields;
    if (!mix) bits[c] = kBitsPerMeasure * bits[c] - chances;
    if (bits[c] <= most) continue;
    most = bits[c];
    verdict.channel = static_cast<Channel>(c);
  }
  if (!std::isfinite(most)) return WindowVerdict{.pValue = window.pValue, .flagged = window.flagged};
  for (const double channel : bits) sum += portable_exp((channel - most) * ln2);
  verdict.score = most + portable_log2(sum);
  return verdict;
}

void Stream::expireSessions(std::vector<Event>& events) {
  for (std::size_t i = 0; i < kExpiredAtOnce; ++i) {
    const std::optional<SequenceVerdict> ended = sequence_->expire(clock_.now());
    if (!ended) return;
    if (!calibrating()) {
      sequence_->accept(SequenceChannel::Lesson::Learn);
      continue;
    }
    says_.clear();
    saySession(*ended);
    if (!learning()) budget_.observe(clock_.now());
    const Verdict verdict = judgeUnit();
    learnScores(verdict);
    sequence_->accept(lesson(*ended, verdict));
    if (!verdict.learning) hops_.back().hear(Channel::Sequence, verdict.score);
    if (verdict.flagged) events.push_back({.verdict = verdict, .timeUnixNano = clock_.eventAt(clock_.now())});
  }
}

std::size_t Stream::memory() const {
  std::size_t bytes = sizeof *this + key_.name.capacity() + key_.tenant.capacity() + baseline_.memory() + window_.memory() +
                      sightings_.capacity() * sizeof(Sighting) + sightingTags_.capacity() + operations_.capacity() * sizeof(Operation);
  if (content_) bytes += content_->memory();
  if (volume_) bytes += VolumeChannel::bytes();
  if (mix_) bytes += TemplateMix::bytes();
  if (fields_) bytes += fields_->memory();
  if (sequence_) bytes += sequence_->memory();
  if (value_) bytes += sizeof(ValueChannel);
  if (shape_) bytes += shape_->memory();
  if (paths_) bytes += paths_->memory();
  for (const auto& calibration : calibrations_) bytes += calibration ? Calibration::bytes() : 0;
  for (const Evidence& evidence : evidence_) {
    bytes += sizeof evidence + evidence.news.capacity() * sizeof(std::uint64_t) + evidence.examples.memory();
  }
  return bytes;
}

}  // namespace driftlock
