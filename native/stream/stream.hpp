#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/window.hpp"
#include "cbad/window_metrics.hpp"
#include "channels/calibration.hpp"
#include "channels/content/content.hpp"
#include "channels/fields/fields.hpp"
#include "channels/latency/latency.hpp"
#include "channels/paths/paths.hpp"
#include "channels/sequence/sessions.hpp"
#include "channels/shape/shape.hpp"
#include "channels/value/value.hpp"
#include "channels/volume/mix.hpp"
#include "channels/volume/volume.hpp"
#include "engine/shelf.hpp"
#include "otlp/reader.hpp"
#include "record/record.hpp"
#include "stream/hash_key.hpp"
#include "stream/settings.hpp"
#include "stream/silence.hpp"

namespace driftlock {

enum class Channel : std::uint8_t {
  None, Content, Sequence, Volume, Value, Fields,
  /// Part of the value channel, with a past of its own to be compared with.
  Shape,
  /// Likewise, part of the sequence channel: whose child a span is.
  Paths,
};
inline constexpr std::size_t channelCount = 8;
/// The channel that people are told.
constexpr Channel shown(Channel channel) {
  return channel == Channel::Shape ? Channel::Value : channel == Channel::Paths ? Channel::Sequence : channel;
}
/// A difference that means something, in the unit of each channel's score. Of volume it is one that makes a tick e times rarer, of shapes a point.
inline constexpr std::array<double, channelCount> channelUnits = {1, 0.5, 1, 1 / ln2, 2, 0.5, 1 / ln2, 0.5};

/// What makes a stream; constant for its life.
struct StreamKey {
  std::uint64_t hash = 0;
  otlp::Signal signal = otlp::Signal::Logs;
  /// Of metrics: the type of its points, whether they accumulate, and whether they only rise.
  otlp::MetricType metricType = otlp::MetricType::None;
  bool cumulative = false, monotonic = false;
  std::string tenant{};
  /// As shown to people: "logs service.name=checkout".
  std::string name{};
  /// Value of service.name, where the resource has one.
  std::string service{};
};

/// What the engine says of one record, or of something that ended between records.
struct Verdict {
  bool learning = false;
  Alarm alarm = Alarm::none;
  /// Strange enough, and within the budget or part of an anomaly that is open.
  bool flagged = false;
  /// Of all channels together.
  double pValue = 1;
  /// Higher is stranger: the largest of the channels' scores, each by the measure that its learning period gave. It does not
  /// wear off as the p-value does when strange things become common.
  double score = 0;

  /// The channel with the smallest p-value, and what it has to say in its own unit.
  Channel channel = Channel::None;
  double channelScore = 0;
  double bits = 0;
  double usualBits = 0;
  /// How many times rarer it is than it must be to be strange enough.
  double margin = 0;
  /// Of a whole stream that has fallen silent: nanoseconds of event time; 0 for all else.
  std::uint64_t silentFor = 0;
};

/// Flagged verdicts of one stream that follow one another are one anomaly.
struct OpenAnomaly {
  std::string id;
  std::uint64_t startUnixNano = 0, endUnixNano = 0;
  /// Flagged verdicts.
  std::uint64_t occurrences = 0;
};

/// Why an anomaly is over.
enum class Ending : std::uint8_t { Quiet, Resumed, Accepted, FalseAlarm };

/// What a person says of an anomaly: that what it showed is normal from now on, or that there was nothing to it.
enum class Feedback : std::uint8_t { Accept, FalseAlarm };

/// What was flagged in an anomaly, kept so that a person's word on it can be acted on.
struct Evidence {
  std::string id;
  /// The largest flagged score of each channel; 0 where none was.
  std::array<double, channelCount> scores{};
  /// Fields that were news, by their hashes, and records with the first of them.
  std::vector<std::uint64_t> news;
  Window examples{4, 1024};
  /// Octaves of a silence of the stream, as Silence has them; 0 where there was none.
  double silence = 0;

  static constexpr std::size_t mostNews = 32;
  void add(Bytes record, const ContentScore& content);
};

/// A field whose values are not as usual, as people read it.
struct FieldShift {
  FieldFinding finding{};
  std::string name{};
  /// The value that the finding is about, or one like it, and the one that is usual the most; empty where they are numbers,
  /// or not at hand.
  std::string value{}, usual{};
  /// Its numbers are nanoseconds.
  bool time = false;
};

/// A verdict about no record: a session that broke off, a tick, a block of records, or an anomaly that is over.
struct Event {
  Verdict verdict;
  std::uint64_t timeUnixNano = 0;
  /// Of a tick.
  VolumeFinding volume{};
  /// Of a block of records.
  FieldShift fields{};
  /// True: `anomaly` is over.
  bool ended = false;
  OpenAnomaly anomaly{};
  Ending ending = Ending::Quiet;
};

/// A window's verdict: what is strangest in it, by each channel, and all of them together.
struct WindowVerdict {
  /// In bits; may be negative, where all is as usual.
  double score = 0;
  double pValue = 1;
  bool flagged = false;
  Channel channel = Channel::None;
};

/// What was heard in one hop of a window.
struct Hop {
  /// The strangest of each channel: density of news; mixes of templates and of values in bits; others by the measure that
  /// learning gave.
  std::array<double, channelCount> strangest;
  double pValue = 1;
  bool flagged = false;

  Hop() { strangest.fill(-std::numeric_limits<double>::infinity()); }
  void hear(Channel channel, double strangeness) {
    double& most = strangest[static_cast<std::size_t>(channel)];
    most = std::max(most, strangeness);
  }
  /// Of a Verdict or a Hop.
  void include(const auto& verdict) {
    pValue = std::min(pValue, verdict.pValue);
    flagged |= verdict.flagged;
  }
};

/// One stream: its baseline, its channels, its window, its decisions.
class Stream {
 public:
  Stream(StreamKey key, const Settings& settings);

  /// Judges the next record and learns from it. `content` then holds what the content channel found, `events` what ended.
  Verdict observe(const RecordView& record, Bytes raw, ContentScore& content, std::vector<Event>& events);

  /// A request that holds records of the stream has come at that moment of its tenant's clock: before its first record is
  /// judged. `events` says where that ends a silence.
  void hear(const Moment& moment, std::vector<Event>& events);
  /// When its silence is to be judged, by that clock; 0 where it is not.
  std::uint64_t silentAt() const {
    if (learning() || silence_.isJudged() || silentAfter_ == 0) return 0;
    return silence_.heard().now + std::max(silentAfter_, silentAgain_);
  }
  /// Judges its silence, once it is time to. One that is flagged is the only one until records come again.
  void elapse(const Moment& moment, std::vector<Event>& events);

  /// The verdict of the window that the last record completed, if it did: one every hop, once the stream is judged.
  std::optional<WindowVerdict> window() const;

  /// Counts a flagged verdict in; true where it is to be reported: at the 1st, 2nd, 4th, 8th … of an anomaly.
  /// `record` and `content`: as it came, and what the content channel found; empty and null where it is about none.
  bool report(const Verdict& verdict, Bytes record, const ContentScore* content);

  /// Acts on a person's word: what was news is learned, and what other channels flagged is let pass for a while so that they
  /// learn it; or the limit takes the scores for normal. An open anomaly is over then, which `events` says. False where the
  /// anomaly is neither open nor one of the last few.
  bool feedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events);

  /// The window's figures against the baseline: made anew when a hop has passed. Null where either is empty.
  const WindowMetrics* metrics(const Codec& codec);
  /// They are not older than so many hops.
  bool measured(std::uint32_t hops = 1) const { return metrics_ && seen_ < metricsAt_ + std::uint64_t{hops} * settings_.windowHop; }
  /// As they were made last.
  const WindowMetrics& measuredMetrics() const { return *metrics_; }
  /// Texts of the records of the window and of the baseline's excerpt, as `render` gives them, a line each.
  void texts(std::vector<std::string>& baseline, std::vector<std::string>& window) const;

  /// The channel's score at which its p-value alone is strange enough.
  double limit(Channel channel) const;
  /// The masked text of a template, as far as the baseline still holds it.
  std::string templateText(std::uint32_t id) const;
  std::vector<ExpectedId> expectedNext(std::size_t most) const;
  /// Usual range of the value, or of the span's latency in nanoseconds, as it was before the last record.
  const ValueRange& expectedRange() const { return expected_; }
  /// What the value channel made of the last point: its value, a rate, or a mean.
  double observedValue() const { return observed_; }
  /// What was strangest in the shape of the last point, where it had one.
  const std::optional<ShapeFinding>& shapeFinding() const { return shapeFinding_; }
  /// The strangest pair of parent and child that the last span completed, if it did one.
  const std::optional<PathFinding>& pathFinding() const { return pathFinding_; }

  const StreamKey& key() const { return key_; }
  /// Of the content channel; null for metrics.
  const Dictionary* dictionary() const { return content_ ? &content_->dictionary() : nullptr; }
  StreamId id() const { return {key_.hash, key_.tenant}; }
  const OpenAnomaly& anomaly() const { return anomaly_; }
  bool learning() const { return seen_ < settings_.baselineRecords; }
  /// Records judged or learned from.
  std::uint64_t seen() const { return seen_; }
  /// Verdicts that its budget has withheld.
  std::uint64_t withheld() const { return budget_.withheld(); }
  /// Bits at which a silence is strange enough.
  double silenceLimit() const { return -portable_log2(silenceChance()); }
  /// Event time, in nanoseconds since 1970; 0 where records carry none.
  std::uint64_t latestUnixNano() const { return clock_.latest(); }
  std::size_t windowRecords() const { return window_.records(); }
  std::size_t memory() const;

  /// Appends the key and all that the stream holds. Taken between records; what it says next is then the same, bit for bit.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// The key in a snapshot's bytes, which are left behind it.
  static std::optional<StreamKey> keyOf(StateReader& snapshot);
  /// Takes over what follows the key; of a fresh stream with that key and the settings of the one that was written. False
  /// where the bytes are no such snapshot; the stream is of no use then.
  bool restore(StateReader& snapshot);

  /// Of `memory`, what the shard has counted in.
  std::size_t accounted = 0;

 private:
  /// One channel's say on the unit at hand.
  struct Say {
    Channel channel;
    double score, bits, usualBits;
    /// What is learned of it: the score, or the largest that a session came to.
    double lesson;
    /// One unit of what the channel judges, so to be learned: a session that has ended, news that is seen for the first time.
    bool whole = true;
    /// News that was reported, and has not been away for long since: no reason for another alarm.
    bool reported = false;
    double pValue = 1;
  };

  /// An anomaly is over when nothing was flagged for so long.
  static constexpr std::uint64_t kQuietNanos = 300'000'000'000;
  static constexpr std::uint64_t kDayNanos = 86'400'000'000'000;
  /// No p-value above it is an anomaly's, however little is known.
  static constexpr double kLargestLimit = 0.001;
  /// What one in a hundred exceeds is no model for what follows what, or how long things take, alarm or not: learning from
  /// everything, anomalies included, costs the sequence channel an AUC of .87 instead of .9997 on OpenStack. The mark is
  /// set when learning ends and then as often as news may become normal, so that a flood of anomalies does not move it.
  /// It is also the measure that makes the scores of channels comparable.
  static constexpr double kStrangeChance = 0.01;

  static constexpr std::size_t mostOperations = 64;
  static constexpr std::size_t mostSightings = 256;
  static constexpr std::size_t mostEvidence = 4;

  static std::uint32_t idOf(std::uint64_t templateHash) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(templateHash & 0xffffffff, largest_id));
  }
  std::size_t hopsPerWindow() const;
  std::unique_ptr<VolumeChannel> makeVolume() const;
  std::unique_ptr<TemplateMix> makeMix() const;
  /// Null where points have no shape.
  std::unique_ptr<ShapeChannel> makeShape() const;
  std::unique_ptr<FieldsChannel> makeFields() const;
  /// By the stream's clock.
  std::uint32_t seconds() const { return static_cast<std::uint32_t>(clock_.now() / 1'000'000'000); }
  std::uint32_t acceptAfterSeconds() const { return static_cast<std::uint32_t>(settings_.acceptAfterNanos / 1'000'000'000); }
  bool calibrating() const { return seen_ >= settings_.baselineRecords / 2; }
  Say& say(Channel channel, double score, double bits, double usualBits);
  void judge(Verdict& verdict);
  /// Judges a unit that is no record, of which `says_` has one channel's say: a session, a tick, a block of fields.
  Verdict judgeUnit();
  /// Asks the budget about a p-value that is strange enough up to `limit`.
  void decide(Verdict& verdict, double limit);
  bool pardon(const Verdict& verdict);
  void accept(const Evidence& evidence);
  SequenceChannel::Lesson lesson(const SequenceVerdict& sequence, const Verdict& verdict) const;
  /// The unit at hand is no model for what is normal. Never so while learning.
  bool strange(Channel channel) const;
  void markStrange();
  double comparable(Channel channel, double score) const;
  /// Channels that judge the stream.
  std::size_t channels() const;
  double strangeEnough(Channel channel) const;
  void learnScores(const Verdict& verdict);
  void observeLatency(const RecordView& record, std::uint64_t operation);
  void observeValue(const RecordView& record, bool believed);
  void observePath(const RecordView& record, std::uint64_t session, std::uint32_t id);
  void settlePath(const Verdict& verdict);
  void observeShape(const RecordView& record);
  void settleShape(const Verdict& verdict);
  void sayContent(const ContentScore& content);
  void saySession(const SequenceVerdict& session);
  struct Sighting;
  Sighting* sightingOf(const ContentScore& content);
  /// A fresh one, in place of the one that was seen least lately if there are too many.
  Sighting& addSighting(std::uint64_t signature);
  std::size_t oldestSighting();
  void settleContent(const RecordView& record, const ContentScore& content, bool flagged);
  double silenceChance() const;
  void observeVolume(bool timed, std::uint32_t id, std::vector<Event>& events);
  void observeFields(const RecordView& record, const ContentScore& content, std::vector<Event>& events);
  FieldShift shiftOf(FieldFinding finding) const;
  void expireSessions(std::vector<Event>& events);
  void endAnomaly(Ending ending, std::vector<Event>& events);
  /// Whether the next flagged event is to be reported, behind those.
  bool reportsNext(const std::vector<Event>& events) const;
  /// Nothing was flagged for so long that the open anomaly is over.
  bool quiet() const;
  /// The open anomaly has lasted for so long that what it shows is normal.
  bool settled() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);

  StreamKey key_;
  const Settings& settings_;
  KeyedHash hash_;
  std::uint64_t seen_ = 0;
  StreamClock clock_;

  // Channels; each is there where the signal has one.
  std::unique_ptr<ContentChannel> content_;
  std::unique_ptr<SequenceChannel> sequence_;
  /// Its sessions hold a record each: their order says nothing.
  bool unordered_ = false;
  /// Of traces.
  std::unique_ptr<PathModel> paths_;
  std::optional<PathFinding> pathFinding_;
  std::unique_ptr<ValueChannel> value_;
  /// Of histograms and summaries.
  std::unique_ptr<ShapeChannel> shape_;
  std::optional<ShapeFinding> shapeFinding_;
  /// Shapes have been strange since then, by the stream's clock; 0 where the last was not.
  std::uint64_t strangeShapeSince_ = 0;
  /// Counts by ticks of event time, where records have times.
  std::unique_ptr<VolumeChannel> volume_;
  Silence silence_;
  /// As Silence::after says; asked again from time to time, for it is dear.
  std::uint64_t silentAfter_ = 0;
  /// One that was withheld is judged again when it has come to so much.
  std::uint64_t silentAgain_ = 0;
  /// A silence that was judged ends with the record at hand: what it did to the ticks has been said.
  bool resumed_ = false;
  /// Counts by hops of records. It judges where there are no times; what it says of a window is heard in any case.
  std::unique_ptr<TemplateMix> mix_;
  /// Shares of values by blocks of records, where records have more than a body.
  std::unique_ptr<FieldsChannel> fields_;
  struct Operation {
    std::uint64_t hash;
    LatencyModel latency;
  };
  std::vector<Operation> operations_;

  std::array<std::unique_ptr<Calibration>, channelCount> calibrations_;
  /// Scores of a channel that are reached with a chance of 10 % lately, and of 1 % when learning ended.
  struct Marks {
    double usual = 0;
    double strange = std::numeric_limits<double>::infinity();
  };
  std::array<Marks, channelCount> marks_{};
  std::uint64_t markedAt_ = 0;
  /// Units of a channel that are let pass since a person accepted what it flagged: so many, none stranger than that.
  struct Pardon {
    std::uint32_t left = 0;
    double score = 0;
  };
  std::array<Pardon, channelCount> pardons_{};
  /// The unit at hand was let pass: it is to be learned, strange or not.
  bool pardoned_ = false;
  AlarmBudget budget_;
  std::vector<Say> says_;
  LatencyModel* latency_ = nullptr;
  ValueRange expected_;
  double observed_ = 0;

  /// The last point of a metric that accumulates.
  std::uint64_t pointUnixNano_ = 0;
  double pointValue_ = 0, pointCount_ = 0;

  Window baseline_, window_;
  /// The strangest of each hop of the current window, latest last.
  std::deque<Hop> hops_;

  /// News and how often it came: what keeps coming becomes normal.
  struct Sighting {
    std::uint64_t signature = 0;
    /// Seconds, by the stream's clock.
    std::uint32_t first = 0, last = 0;
    std::uint8_t count = 0;
    /// It was flagged.
    bool reported = false;
  };
  /// In no order.
  std::vector<Sighting> sightings_;
  // No part of the state, only what makes it quick to search:
  std::vector<std::uint8_t> sightingTags_;
  std::size_t oldestSighting_ = 0;
  std::uint32_t oldestSeconds_ = 0;

  OpenAnomaly anomaly_;
  std::uint64_t anomalies_ = 0;
  /// Of the last flagged verdict, by the stream's clock.
  std::uint64_t flaggedAt_ = 0;
  /// Of the latest anomalies, the open one last.
  std::vector<Evidence> evidence_;

  std::optional<WindowMetrics> metrics_;
  std::uint64_t metricsAt_ = 0;
};

}  // namespace driftlock
