#include "recording/recompute.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <utility>

#include "base/state_bytes.hpp"
#include "cbad/entropy.hpp"
#include "codec/codec.hpp"
#include "recording/recording.hpp"
#include "report/describe.hpp"
#include "report/group_state.hpp"
#include "report/measure.hpp"
#include "report/report.hpp"
#include "stream/stream.hpp"

namespace driftlock {
namespace {

using Take = std::function<void(const Report&)>;

/// Adds the measures of the window to the first report of an anomaly, as far as this build has the codec.
void measure(Stream& stream, const Settings& settings, Report& report) {
  const WindowTexts texts(stream);
  report.baselineText = joined(texts.baseline);
  report.windowText = joined(texts.window);
  addNearest(texts, *makeCodec(CodecName::Lz4), report);
  if (!isAvailable(settings.codec)) {
    const Bytes window = bytesOf(report.windowText);
    addMetrics(stream, {.windowBytes = window.size(), .entropy = entropy(window)}, settings.codec, report);
    report.codec = {};
    return;
  }
  const std::unique_ptr<const Codec> codec = makeCodec(settings.codec);
  const WindowMetrics* const metrics = stream.metrics(*codec);
  if (!metrics) refuseDamaged("there is nothing to measure");
  addMetrics(stream, *metrics, settings.codec, report);
  if (settings.permutations > 0) report.permutation = testWindow(texts, *codec, settings);
}

/// A stream on its own, as it was when its verdict was recorded.
class Again {
 public:
  explicit Again(const Recording& recording)
      : recording_(recording),
        group_(recording.settings.alarmsPerStreamPerDay, recording.settings.alarmsPerGroupPerDay, recording.settings.stepNanos) {
    StateReader read(recording.state);
    const Bytes group = read.getBytes();
    std::optional<StreamKey> key = Stream::keyOf(read);
    if (!read.ok() || !key || key->signal != recording.signal) refuseDamaged("its state is not that of a stream");
    stream_.emplace(std::move(*key), recording.settings, group_, KeyedHash(recording.hashKey));
    requireChannels();
    stream_->apply(std::make_shared<const Policy>(recording.policy));
    if (!group_.restore(group) || !stream_->restore(read)) refuseDamaged("its state cannot be restored");
    if (!group_.accompany(recording.share, stream_->key().family)) refuseDamaged("the shares of the group are wrong");
  }

  /// Judges again. `take` receives the report that begins an anomaly or is news in it, while what it refers to is there. Returns
  /// false if there is none.
  bool judge(const Take& take, bool measures) {
    take_ = &take;
    measures_ = measures && recording_.measured;
    std::vector<Event> events;
    if (!recording_.request.empty()) {
      observe(events);
    } else {
      if (recording_.unit == ChannelId::None) stream_->elapse(recording_.moment, events);
      else stream_->judgeAgain(recording_.unit, recording_.now, events);
      for (Event& event : events) tell(event);
    }
    return taken_;
  }

 private:
  /// Requires that the states of the stream's channels are what they were when it was recorded.
  void requireChannels() const {
    for (std::size_t i = 0; i < kChannelCount; ++i) {
      const auto id = static_cast<ChannelId>(i);
      if (!stream_->has(id) || recording_.format >= readableSince(id)) continue;
      refuseFormat(recording_.format, recording_.version,
                   "the channel " + std::string(infoOf(id).name) + " of such streams from format " +
                       std::to_string(readableSince(id)) + " on");
    }
  }

  void observe(std::vector<Event>& events) {
    otlp::Index index;
    otlp::WireError error;
    const StreamKey& key = stream_->key();
    if (!otlp::index(key.signal, recording_.request, index, error) || index.records.size() != 1) {
      refuseDamaged("its request does not hold one record");
    }
    const otlp::Record& record = index.records[0];
    if (key.signal == otlp::Signal::Metrics && index.metricOf(record).type != key.metricType) {
      refuseDamaged("its record is not of the stream");
    }
    Observation observation;
    readFields(index, record, observation.record, recording_.settings.callTexts());
    observation.record.date(recording_.arrival);
    stream_->policy().strip(observation.record);
    observation.raw = index.bytes(record);
    observation.request = recording_.first ? stream_->request() + 1 : stream_->request();
    const Verdict verdict = stream_->observeAgain(observation, recording_.resumed, events);
    for (Event& event : events) tell(event);
    if (verdict.flagged) tell(verdict, &observation, observation.record.timeUnixNano, nullptr);
  }

  void tell(Event& event) {
    if (!event.ended && event.verdict.flagged) tell(event.verdict, nullptr, event.timeUnixNano, std::move(event.finding));
  }

  /// Reports a flagged verdict, if it begins an anomaly of the stream or is news in it.
  void tell(const Verdict& verdict, const Observation* record, std::uint64_t timeUnixNano, std::unique_ptr<Finding> finding) {
    // It would be part of the anomaly of the group.
    if (stream_->anomaly().occurrences == 0 && group_.open()) return;
    const Growth growth = stream_->report(verdict, record, finding.get());
    if (!growth.news || taken_) return;
    Report report;
    if (record) report.record = recording_.record;
    report.verdict = verdict;
    report.timeUnixNano = timeUnixNano;
    report.reported = true;
    report.news = growth.news;
    report.anomaly = stream_->anomaly();
    if (!finding) finding = stream_->find(verdict, record);
    describe(*stream_, record, std::move(finding), report);
    if (measures_) measure(*stream_, recording_.settings, report);
    // Whoever measures has the texts of the window masked.
    else if (recording_.settings.privacy->findings()) WindowTexts texts(*stream_);
    taken_ = true;
    (*take_)(report);
  }

  const Recording& recording_;
  Group group_;
  std::optional<Stream> stream_;
  const Take* take_ = nullptr;
  bool measures_ = false, taken_ = false;
};

/// Judges the tick of a group again: see Again::judge.
bool judgeGroup(const Recording& recording, const Take& take) {
  const RecordedGroup& recorded = *recording.group;
  GroupState state(recording.settings, recorded.key, KeyedHash(recording.hashKey));
  if (!state.restore(recording.state)) refuseDamaged("its state cannot be restored");
  state.group.settle();
  const std::optional<StrangeTick> tick = state.group.take();
  if (!tick || state.anomalies.open()) return false;
  std::vector<NamedMember> members;
  for (const Member& member : tick->members) {
    const auto named = std::ranges::find(recorded.members, member.stream, &RecordedGroup::Member::stream);
    if (named != recorded.members.end()) members.push_back({member, named->name, named->instance});
  }
  Event event = state.eventOf(*tick, std::move(members));
  if (!event.verdict.flagged) return false;
  const Growth growth = state.grow(event, recording.settings.seed);
  Report report;
  state.describe(event, growth, report);
  take(report);
  return true;
}

bool judge(const Recording& recording, const Take& take, bool measures) {
  return recording.group ? judgeGroup(recording, take) : Again(recording).judge(take, measures);
}

}  // namespace

std::vector<std::uint8_t> recompute(Bytes bytes) {
  std::vector<std::uint8_t> out;
  if (!judge(readRecording(bytes), [&](const Report& report) { out = encodeAnomaly(report); }, true))
    refuseDamaged("its verdict begins no anomaly, and is no news in one");
  return out;
}

void judgeAgain(const Recording& recording) {
  judge(recording, [](const Report&) {}, false);
}

bool recomputes(const Recording& recording, const Report& report) {
  // All that a report shows of its verdict. The measures of the window depend on its records alone, which nothing masks again.
  const auto shown = [](const Report& r) {
    const Verdict& v = r.verdict;
    const Description& d = r.description;
    return std::tie(r.anomaly.id, r.anomaly.occurrences, v.channel, v.channelScore, v.limit, v.pValue, v.bits, v.usualBits,
                    v.margin, r.gravity, r.timeUnixNano, r.explanation, d.text, d.field, d.usual, d.next, d.value, d.unit);
  };
  const auto named = [](const Report& r) {
    std::vector<std::string_view> names;
    for (const NamedMember& each : r.members) names.insert(names.end(), {each.stream, each.instance});
    return names;
  };
  bool equal = false;
  judge(recording, [&](const Report& again) { equal = shown(again) == shown(report) && named(again) == named(report); }, false);
  return equal;
}

}  // namespace driftlock
