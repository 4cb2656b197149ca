#include "stream/stream.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "cbad/portable_math.hpp"
#include "otlp/views.hpp"
#include "stream/hash.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

/// Of a window and of a baseline's excerpt; codecs with the shortest reach still see both whole.
constexpr std::uint32_t kExcerptBytes = 8 * 1024;

/// News of hardly any bits is learned at once. Other news becomes normal once it has come so often, for as long as the
/// settings say: until then it stays news, and only its p-value tells how common it has become.
constexpr double kHarmless = 0.5;
constexpr std::uint8_t kSightings = 16;
/// Units that a channel may learn from, strange as they are, once a person has accepted what it flagged.
constexpr std::uint32_t kPardons = 8;

/// An anomaly is over when nothing was flagged for so long.
constexpr std::uint64_t kQuietNanos = 300'000'000'000;

constexpr std::uint64_t kTickNanos = 10'000'000'000;
constexpr std::uint64_t kDayNanos = 86'400'000'000'000;

/// How far beyond all that a young stream has shown counts as strange: n scores show p-values down to about 1 / n by rank.
constexpr double kFarOut = 16;
/// Nothing more usual is an anomaly, however little is known.
constexpr double kLargestLimit = 0.001;

/// Scores that more than one in ten exceeds count as p = 1; where that lies is asked again every so many scores.
constexpr double kUsualChance = 0.1;
constexpr std::uint64_t kUsualEvery = 4096;

/// What one in a hundred exceeds is no model for what follows what, or how long things take, alarm or not: learning from
/// everything, anomalies included, costs the sequence channel an AUC of .87 instead of .9997 on OpenStack. The mark is
/// set when learning ends and then as often as news may become normal, so that a flood of anomalies does not move it.
/// It is also the measure that makes the scores of channels comparable.
constexpr double kStrangeChance = 0.01;

/// In a window, each bit a byte of news, or each measure of strangeness, makes a record 2^3 times rarer.
constexpr double kBitsPerMeasure = 3;

/// Of what the budget lets be flagged by chance, the part that silences of the whole stream may take. Their limit is asked
/// again every so many gaps.
constexpr double kSilenceShare = 0.25;
constexpr std::uint64_t kSilenceEvery = 16;
/// A silence four times as long as its limit counts as 128 times rarer at the least, whatever ranks can show: the
/// stream is gone, and its budget may be overdrawn for that.
constexpr std::uint64_t kGone = 4;
constexpr double kGoneMargin = 128;

constexpr std::size_t kExpiredAtOnce = 2;

/// Of a span's duration, which is a field as well: no attribute's name has this hash.
const std::uint64_t kDuration = hash(bytesOf("duration"), 1);

/// log2 by its whole part, with a straight line from each to the next: within .09, which no bin tells apart, in no time.
double roughLog2(double x) { return static_cast<double>(std::bit_cast<std::uint64_t>(x)) * 0x1p-52 - 1023; }
double roughExp2(double y) { return std::bit_cast<double>(static_cast<std::uint64_t>((std::max(0.0, y) + 1023) * 0x1p52)); }

std::string hexId(std::uint64_t a, std::uint64_t b) {
  constexpr char digits[] = "0123456789abcdef";
  std::string id;
  for (std::uint64_t half : {a, b}) {
    for (int shift = 60; shift >= 0; shift -= 4) id += digits[half >> shift & 15];
  }
  return id;
}

std::uint32_t idOf(std::uint64_t templateHash) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(templateHash & 0xffffffff, largest_id));
}

}  // namespace

Stream::Stream(StreamKey key, const Settings& settings)
    : key_(std::move(key)),
      settings_(settings),
      budget_(settings.alarmsPerStreamPerDay),
      baseline_(settings.windowRecords, kExcerptBytes),
      window_(settings.windowRecords, kExcerptBytes) {
  if (key_.signal == otlp::Signal::Metrics) {
    value_ = std::make_unique<ValueChannel>();
    shape_ = makeShape();
  } else {
    content_ = std::make_unique<ContentChannel>(settings.dictionarySize);
    if (key_.signal == otlp::Signal::Traces) paths_ = std::make_unique<PathModel>();
  }
}

Verdict Stream::observe(const RecordView& record, Bytes raw, ContentScore& content, std::vector<Event>& events) {
  clock_.observe(record.timeUnixNano);
  Verdict verdict;
  verdict.learning = learning();
  says_.clear();
  latency_ = nullptr;
  budget_.observe(clock_.now());
  if (quiet()) endAnomaly(Ending::Quiet, events);

  std::optional<SequenceVerdict> ordered;
  content.clear();
  if (content_) {
    content_->score(record, content);
    sayContent(content);
    if (sequence_ && sequence_->trivial()) {
      sequence_.reset();
      unordered_ = true;
    }
    if (record.session != 0 && !unordered_) {
      if (!sequence_) sequence_ = std::make_unique<SequenceChannel>();
      ordered = sequence_->observe(record.session, idOf(content.templateHash), record.last, clock_.now());
      saySession(*ordered);
    }
    if (key_.signal == otlp::Signal::Traces) observeLatency(record, content.templateHash);
    if (paths_) observePath(record, idOf(content.templateHash));
  }
  if (value_) observeValue(record);
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
  if (sightings_.empty() || content.score < kHarmless) return;
  const Sighting& sighting = sightings_[content.signature % sightingSlots];
  if (sighting.count == 0 || sighting.signature != Sighting::nameOf(content)) return;
  news.whole = false;
  news.reported = sighting.reported && seconds() - sighting.last < acceptAfterSeconds();
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

void Stream::observeValue(const RecordView& record) {
  if (!record.hasValue) return;
  double value = record.value;
  // Where a summary's sum and count are there at all, they are those of Prometheus: since the process began.
  const bool summary = key_.metricType == otlp::MetricType::Summary;
  if (summary || (key_.cumulative && (key_.monotonic || key_.metricType != otlp::MetricType::Sum))) {
    // A counter's rate, or the mean of what a histogram has taken in since its last point. A reset gives none.
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
  expected_ = value_->expected(record.timeUnixNano);
  const ValueResult result = value_->observe(record.timeUnixNano, value);
  if (result.scored) say(Channel::Value, result.score, result.rarity_bits, result.usual_bits);
}

void Stream::observePath(const RecordView& record, std::uint32_t id) {
  const auto nameOf = [&](Bytes span) { return span.empty() ? 0 : hash(span, record.session) | 1; };
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

void Stream::judge(Verdict& verdict) {
  pardoned_ = false;
  const bool open = anomaly_.occurrences > 0;
  std::array<double, channelCount> p;
  // Channels that have no say on this unit count as well, so that the units of all share one budget.
  p.fill(1);
  double least = std::numeric_limits<double>::infinity();
  std::size_t n = 0;
  for (Say& say : says_) {
    const auto channel = static_cast<std::size_t>(say.channel);
    // Most scores are usual, and how usual they are does not matter: asking is dear.
    const bool usual = !calibrations_[channel] || say.score <= marks_[channel].usual || (say.reported && !open);
    if (!usual) say.pValue = calibrations_[channel]->p_value(say.score);
    p[n++] = say.pValue;
    // Units differ, so what counts is how far each is beyond the limit of its own.
    const double beyond = usual ? least : say.pValue / strangeEnough(say.channel);
    if (say.score <= 0 || (verdict.channel != Channel::None && beyond >= least)) continue;
    least = beyond;
    verdict.channel = say.channel;
    verdict.channelScore = say.score;
    verdict.bits = say.bits;
    verdict.usualBits = say.usualBits;
  }
  if (!std::isfinite(least)) return;
  verdict.pValue = combine_p_values({p.data(), std::max(n, channels())});
  const double limit = strangeEnough(verdict.channel);
  if (verdict.pValue <= limit && pardon(verdict)) return;
  verdict.margin = limit / verdict.pValue;
  verdict.alarm = budget_.judge(verdict.pValue, limit, open);
  verdict.flagged = verdict.alarm == Alarm::raised || verdict.alarm == Alarm::related;
}

bool Stream::pardon(const Verdict& verdict) {
  Pardon& pardon = pardons_[static_cast<std::size_t>(verdict.channel)];
  if (pardon.left == 0 || verdict.channelScore > pardon.score) return false;
  --pardon.left;
  return pardoned_ = true;
}

std::size_t Stream::channels() const {
  return static_cast<std::size_t>(std::ranges::count_if(calibrations_, [](const auto& calibration) { return calibration != nullptr; }));
}

double Stream::strangeEnough(Channel channel) const {
  const auto& calibration = calibrations_[static_cast<std::size_t>(channel)];
  if (!calibration) return 0;
  // The budget counts records; of a channel's units there are fewer, sessions or ticks, and each may cost as much more.
  const double units = static_cast<double>(std::max<std::uint64_t>(1, calibration->learnt()));
  const double records = static_cast<double>(seen_ - std::min<std::uint64_t>(seen_, settings_.baselineRecords / 2));
  double limit = budget_.limit() * std::max(1.0, records / units);
  // A young stream cannot show p-values as small as a busy stream's budget asks for. What lies far beyond all that it has
  // shown is strange enough all the same; the budget's bank still limits how many alarms that makes.
  limit = std::max(limit, static_cast<double>(channels()) / (kFarOut * units));
  return std::min(limit, std::max(budget_.limit(), kLargestLimit));
}

void Stream::learnScores(const Verdict& verdict) {
  for (const Say& say : says_) {
    if (!say.whole) continue;
    auto& calibration = calibrations_[static_cast<std::size_t>(say.channel)];
    Marks& marks = marks_[static_cast<std::size_t>(say.channel)];
    if (!calibration) calibration = std::make_unique<Calibration>(channelUnits[static_cast<std::size_t>(say.channel)]);
    // What another channel was flagged for says nothing against this one's score. A session that ends well after it went
    // astray was judged when it did.
    Alarm judged = say.channel == verdict.channel ? verdict.alarm : Alarm::none;
    if (judged == Alarm::none && say.lesson > std::max(say.score, marks.strange)) judged = Alarm::raised;
    calibration->learn(say.lesson, judged, strangeEnough(say.channel));
    if (const std::uint64_t n = calibration->learnt(); std::has_single_bit(n) || n % kUsualEvery == 0) {
      marks.usual = std::max(0.0, calibration->limit(kUsualChance));
    }
  }
}

void Stream::settleContent(const RecordView& record, const ContentScore& content, bool flagged) {
  if (content.unknown.empty() && !content.nameUnknown) return;
  if (!learning() && content.score >= kHarmless) {
    if (sightings_.empty()) sightings_.resize(sightingSlots);
    Sighting& sighting = sightings_[content.signature % sightingSlots];
    if (sighting.signature != Sighting::nameOf(content)) sighting = {.signature = Sighting::nameOf(content), .first = seconds()};
    if (seconds() - sighting.last >= acceptAfterSeconds()) sighting.reported = false;
    sighting.last = seconds();
    sighting.reported |= flagged;
    if (sighting.count < kSightings) ++sighting.count;
    if (sighting.count < kSightings || seconds() - sighting.first < acceptAfterSeconds()) return;
  }
  content_->learn(record, content);
}

SequenceChannel::Lesson Stream::lesson(const SequenceVerdict& sequence, const Verdict& verdict) const {
  using Lesson = SequenceChannel::Lesson;
  if (verdict.learning) return Lesson::Learn;
  const Marks& marks = marks_[static_cast<std::size_t>(Channel::Sequence)];
  if (!pardoned_ && (verdict.flagged || sequence.score > marks.strange)) return Lesson::Strange;
  return sequence.score > marks.usual ? Lesson::Learn : Lesson::Known;
}

bool Stream::strange(Channel channel) const {
  return std::any_of(says_.begin(), says_.end(), [&](const Say& say) {
    return say.channel == channel && say.score > marks_[static_cast<std::size_t>(channel)].strange;
  });
}

void Stream::markStrange() {
  markedAt_ = clock_.now();
  for (std::size_t c = 0; c < channelCount; ++c) {
    if (calibrations_[c]) marks_[c].strange = std::max(channelUnits[c], calibrations_[c]->limit(kStrangeChance));
  }
}

double Stream::comparable(Channel channel, double score) const {
  // The value channel's own score is calibrated already.
  if (channel == Channel::Value && value_) return score;
  const double strange = marks_[static_cast<std::size_t>(channel)].strange;
  return score / (std::isfinite(strange) ? strange : channelUnits[static_cast<std::size_t>(channel)]);
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
    Verdict verdict;
    if (!learning()) {
      verdict.score = comparable(Channel::Volume, tick->score);
      judge(verdict);
      hops_.back().include(verdict);
    }
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

void Stream::observeFields(const RecordView& record, const ContentScore& content, std::vector<Event>& events) {
  if (!fields_) {
    // A body alone is for the other channels. Blocks begin where hops do.
    const bool begins = seen_ % settings_.windowHop == 0 && settings_.windowHop >= FieldsChannel::min_block;
    if (!begins || record.fields.size() < 2) return;
    fields_ = makeFields();
  }
  for (std::size_t i = 0; i < record.fields.size(); ++i) {
    const Field& field = record.fields[i];
    const auto [key, value] = content.fields[i];
    if (field.kind == Field::Kind::Integer || field.kind == Field::Kind::Real) {
      fields_->number(key, numberOf(field));
    } else {
      fields_->word(key, value, field.text);
    }
  }
  if (key_.signal == otlp::Signal::Traces) fields_->number(kDuration, roughLog2(1 + static_cast<double>(record.duration)));
  if (!fields_->end()) return;

  const FieldsVerdict block = fields_->judge();
  if (!block.judged || !calibrating()) return fields_->learn(block);
  says_.clear();
  say(Channel::Fields, block.score, block.bits, block.usual_bits);
  Verdict verdict;
  pardoned_ = false;
  // What a person accepted is to be usual soon: by the blocks that come now, strange or not, and by no later ones.
  std::uint32_t& left = pardons_[static_cast<std::size_t>(Channel::Fields)].left;
  const bool accepted = left > 0;
  if (!learning()) {
    verdict.score = comparable(Channel::Fields, block.score);
    judge(verdict);
    hops_.back().include(verdict);
    // A spread is about a bit: what one in a hundred exceeds is near three, a measure of strangeness.
    hops_.back().hear(Channel::Fields, block.score);
  }
  if (!pardoned_) {
    learnScores(verdict);
    if (accepted) --left;
  }
  if (verdict.flagged) {
    const std::uint64_t time = clock_.eventAt(clock_.now());
    events.push_back({.verdict = verdict, .timeUnixNano = time, .fields = shiftOf(fields_->explain(block))});
  }
  // What lasts for as long as the settings say becomes normal.
  if (verdict.flagged && !settled()) return fields_->reject();
  fields_->learn(block, accepted || verdict.flagged);
}

std::unique_ptr<FieldsChannel> Stream::makeFields() const {
  // Longer hops in equal parts.
  const std::uint32_t parts = (settings_.windowHop + FieldsChannel::max_block - 1) / FieldsChannel::max_block;
  return std::make_unique<FieldsChannel>(settings_.windowHop / parts);
}

FieldShift Stream::shiftOf(FieldFinding finding) const {
  FieldShift shift{.finding = finding};
  if (finding.key == kDuration) {
    shift.name = "duration";
    shift.time = true;
    for (double* nanos : {&shift.finding.number, &shift.finding.low, &shift.finding.high}) *nanos = roughExp2(*nanos) - 1;
    return shift;
  }
  const auto name = [&](Bytes key) { shift.name = fieldName(key, key_.signal); };
  const auto text = [&](Bytes value, std::uint64_t hash) {
    if (fields_->shows(finding, hash)) shift.value.assign(value.begin(), value.end());
    if (FieldsChannel::word_of(hash) == finding.usual_word) shift.usual.assign(value.begin(), value.end());
  };
  // The channel has hashes alone. Texts are in what the dictionary keeps, masked, and, as they came, in the latest records.
  const Bytes known = content_->dictionary().text();
  const bool plain = finding.key == hash(Bytes());
  for (std::size_t begin = 0, end; begin < known.size(); begin = end + 1) {
    end = begin;
    std::size_t value = begin;
    while (end < known.size() && known[end] != '\n') ++end;
    if (!plain) value = static_cast<std::size_t>(std::find(known.begin() + begin, known.begin() + end, '=') - known.begin());
    const Bytes key = known.subspan(begin, value - begin);
    if (hash(key) != finding.key || (!plain && value == end)) continue;
    if (!plain) ++value;
    const Bytes masked = known.subspan(value, end - value);
    name(key);
    text(masked, hash(masked, finding.key));
  }
  thread_local RecordView record;
  window_.forEach([&](Bytes raw) {
    readFields(key_.signal, key_.metricType, raw, record);
    for (const Field& field : record.fields) {
      if (hash(field.key) != finding.key) continue;
      name(field.key);
      if (field.kind == Field::Kind::Text || field.kind == Field::Kind::Word) {
        text(field.text, hash(maskedText(field), finding.key));
        continue;
      }
      std::string digits;
      renderValue(field, digits);
      if (fields_->shows(finding, numberOf(field))) shift.value = digits;
    }
  });
  for (std::string* each : {&shift.value, &shift.usual}) text::makeReadable(*each);
  return shift;
}

bool Stream::settled() const {
  return anomaly_.occurrences > 0 && clock_.eventAt(clock_.now()) >= anomaly_.startUnixNano + settings_.acceptAfterNanos;
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
    Verdict verdict{.learning = learning()};
    if (!verdict.learning) {
      verdict.score = comparable(Channel::Sequence, ended->score);
      budget_.observe(clock_.now());
      judge(verdict);
    }
    learnScores(verdict);
    sequence_->accept(lesson(*ended, verdict));
    hops_.back().include(verdict);
    if (!verdict.learning) hops_.back().hear(Channel::Sequence, verdict.score);
    if (verdict.flagged) events.push_back({.verdict = verdict, .timeUnixNano = clock_.eventAt(clock_.now())});
  }
}

void Stream::hear(const Moment& moment, std::vector<Event>& events) {
  if (moment.now == silence_.heard().now) return;
  resumed_ = silence_.isJudged();
  silentAgain_ = 0;
  if (resumed_ && anomaly_.occurrences > 0 && evidence_.back().silence > 0) {
    evidence_.back().silence = Silence::octaves(silence_.lasting(moment));
    if (anomaly_.occurrences == 1) {
      anomaly_.endUnixNano = std::max(anomaly_.endUnixNano, anomaly_.startUnixNano + silence_.shown(moment));
      endAnomaly(Ending::Resumed, events);
    }
  }
  if (silence_.hear(moment) && silence_.learnt() % kSilenceEvery == 0) silentAfter_ = silence_.after(silenceChance());
}

void Stream::elapse(const Moment& moment, std::vector<Event>& events) {
  const double limit = silenceChance();
  silentAfter_ = silence_.after(limit);
  if (silentAt() == 0 || silentAt() > moment.now) return;
  const std::uint64_t lasted = silence_.lasting(moment);
  // What was flagged before it has long been quiet, though no record says so.
  if (anomaly_.occurrences > 0 && clock_.now() + lasted - flaggedAt_ > kQuietNanos) endAnomaly(Ending::Quiet, events);
  Verdict verdict{.channel = Channel::Volume, .silentFor = silence_.shown(moment)};
  verdict.pValue = std::min(limit, silence_.chance(lasted));
  if (lasted >= kGone * silentAfter_) verdict.pValue = std::min(verdict.pValue, limit / kGoneMargin);
  verdict.channelScore = verdict.bits = -portable_log2(verdict.pValue);
  verdict.score = verdict.bits / -portable_log2(kStrangeChance);
  verdict.margin = limit / verdict.pValue;
  const double expected = budget_.units_per_day() * static_cast<double>(verdict.silentFor) / static_cast<double>(kDayNanos);
  budget_.observe(clock_.now() + lasted);
  verdict.alarm = budget_.judge(verdict.pValue, limit, anomaly_.occurrences > 0);
  verdict.flagged = verdict.alarm == Alarm::raised || verdict.alarm == Alarm::related;
  if (!verdict.flagged) {
    // It grows stranger as it lasts.
    silentAgain_ = 2 * lasted;
    return;
  }
  silence_.judged(moment);
  events.push_back({.verdict = verdict,
                    .timeUnixNano = clock_.latest() == 0 ? moment.event : clock_.latest() + verdict.silentFor,
                    .volume = {.kind = VolumeKind::silence, .total = true, .expected = expected, .silent_for = lasted, .bits = verdict.bits}});
}

/// The largest chance of a silence that is strange enough.
double Stream::silenceChance() const {
  const double records = static_cast<double>(seen_) / static_cast<double>(std::max<std::uint64_t>(1, silence_.learnt()));
  return std::min(kLargestLimit, kSilenceShare * budget_.limit() * std::max(1.0, records));
}

bool Stream::quiet() const { return anomaly_.occurrences > 0 && clock_.now() - flaggedAt_ > kQuietNanos; }

void Stream::endAnomaly(Ending ending, std::vector<Event>& events) {
  events.push_back({.verdict = {}, .timeUnixNano = clock_.eventAt(clock_.now()), .ended = true, .anomaly = anomaly_, .ending = ending});
  anomaly_ = {};
}

bool Stream::report(const Verdict& verdict, Bytes record, const ContentScore* content) {
  const std::uint64_t time = clock_.eventAt(clock_.now());
  if (anomaly_.occurrences == 0) {
    const std::uint64_t a = hash(content ? content->signature : 0, hash(settings_.seed, key_.hash));
    anomaly_ = {hexId(a, hash(++anomalies_, hash(time, a))), time, time, 0};
    metrics_.reset();
    if (evidence_.size() == mostEvidence) evidence_.erase(evidence_.begin());
    evidence_.emplace_back().id = anomaly_.id;
  }
  flaggedAt_ = clock_.now();
  anomaly_.endUnixNano = std::max(anomaly_.endUnixNano, time + verdict.silentFor);

  Evidence& evidence = evidence_.back();
  if (verdict.silentFor > 0) {
    evidence.silence = std::max(evidence.silence, Silence::octaves(verdict.silentFor));
  } else {
    double& score = evidence.scores[static_cast<std::size_t>(verdict.channel)];
    score = std::max(score, verdict.channelScore);
  }
  if (content) evidence.add(record, *content);
  return std::has_single_bit(++anomaly_.occurrences);
}

void Evidence::add(Bytes record, const ContentScore& content) {
  bool fresh = false;
  for (const ContentScore::Unknown& unknown : content.unknown) {
    if (news.size() == mostNews || std::ranges::find(news, unknown.hash) != news.end()) continue;
    news.push_back(unknown.hash);
    fresh = true;
  }
  // The first of their kind: none gives way to a later one.
  if (!fresh || !examples.fits(record)) return;
  examples.push(record);
  examples.compact();
}

bool Stream::feedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events) {
  const auto found = std::ranges::find(evidence_, anomalyId, &Evidence::id);
  if (found == evidence_.end()) return false;
  if (feedback == Feedback::Accept) {
    accept(*found);
  } else {
    for (std::size_t c = 0; c < channelCount; ++c) {
      if (found->scores[c] > 0 && calibrations_[c]) calibrations_[c]->learn(found->scores[c]);
    }
  }
  if (found->silence > 0) {
    silence_.isJudged() ? silence_.accept() : silence_.learn(found->silence);
  }
  evidence_.erase(found);
  const bool open = anomaly_.occurrences > 0 && anomaly_.id == anomalyId;
  if (open) endAnomaly(feedback == Feedback::Accept ? Ending::Accepted : Ending::FalseAlarm, events);
  return true;
}

void Stream::accept(const Evidence& evidence) {
  for (std::size_t c = 0; c < channelCount; ++c) {
    if (evidence.scores[c] > 0 && static_cast<Channel>(c) != Channel::Content) pardons_[c] = {kPardons, evidence.scores[c]};
  }
  if (!content_) return;
  thread_local RecordView record;
  thread_local ContentScore content;
  evidence.examples.forEach([&](Bytes raw) {
    readFields(key_.signal, key_.metricType, raw, record);
    content_->score(record, content);
    content_->learn(record, content);
  });
  for (const std::uint64_t field : evidence.news) content_->know(field);
}

double Stream::limit(Channel channel) const {
  const auto& calibration = calibrations_[static_cast<std::size_t>(channel)];
  return calibration ? calibration->limit(strangeEnough(channel)) : std::numeric_limits<double>::infinity();
}

std::string Stream::templateText(std::uint32_t id) const {
  if (!content_) return {};
  const Bytes text = content_->dictionary().text();
  constexpr std::string_view eventName = "event_name=";
  for (std::size_t begin = 0, end; begin < text.size(); begin = end + 1) {
    end = begin;
    while (end < text.size() && text[end] != '\n') ++end;
    // A line is `key=value`, or the value alone where the field has no key: a body, a span's name.
    const std::string_view line(reinterpret_cast<const char*>(text.data()) + begin, end - begin);
    const std::string_view key = line.starts_with(eventName) ? eventName.substr(0, eventName.size() - 1) : std::string_view();
    const std::string_view value = line.substr(key.empty() ? 0 : eventName.size());
    if (idOf(hash(bytesOf(value), hash(bytesOf(key)))) == id) return std::string(value);
  }
  return {};
}

std::vector<ExpectedId> Stream::expectedNext(std::size_t most) const {
  return sequence_ ? sequence_->expected(most) : std::vector<ExpectedId>{};
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
  if (metrics_ && seen_ < metricsAt_ + settings_.windowHop) return &*metrics_;
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
  metrics_ = windowMetrics(bytesOf(b), bytesOf(w), codec);
  metricsAt_ = seen_;
  return &*metrics_;
}

std::size_t Stream::memory() const {
  std::size_t bytes = sizeof *this + key_.name.capacity() + key_.tenant.capacity() + baseline_.memory() + window_.memory() +
                      sightings_.capacity() * sizeof(Sighting) + operations_.capacity() * sizeof(Operation);
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
