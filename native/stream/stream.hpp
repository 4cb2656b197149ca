#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/silence.hpp"
#include "record/stream_key.hpp"
#include "stream/anomalies.hpp"
#include "stream/judge.hpp"
#include "stream/settings.hpp"
#include "stream/verdict.hpp"
#include "stream/windows.hpp"
#include "stream/witness.hpp"

namespace driftlock {

/// One stream: its clock, its channels, their judge, its windows and its anomalies.
class Stream {
 public:
  /// @param group the resource group that the stream belongs to, which outlives it
  Stream(StreamKey key, const Settings& settings, Group& group);
  /// @param hash the stream's own hash, if it is known without the key of the engine
  Stream(StreamKey key, const Settings& settings, Group& group, const KeyedHash& hash);
  // Channels refer to the key and the hash.
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Judges the next record and learns from it. `events` receives what ended with it or in the meantime.
  /// @param witness sees the verdicts that may begin an anomaly, or be news in the one that is open, if the settings say that
  /// verdicts are recorded
  Verdict observe(Observation& record, std::vector<Event>& events, Witness* witness = nullptr);
  /// Judges again what a witness has seen: a record, with which a silence may end, or a unit that is no record. The state that a
  /// witness sees has the record in its window.
  Verdict observeAgain(Observation& record, bool resumed, std::vector<Event>& events) {
    resumed_ = resumed;
    record.inWindow = true;
    return observe(record, events);
  }
  void judgeAgain(ChannelId channel, std::uint64_t now, std::vector<Event>& events);
  /// Notes a request that holds records of the stream, at this moment of its tenant's clock, before its first record is
  /// judged. If that ends a silence, `events` receives the end.
  void touch(const Moment& moment, std::vector<Event>& events);
  /// The time by that clock at which its silence must be judged; 0 if it must not.
  std::uint64_t silentAt() const;
  /// Judges its silence once that is due. After a flagged silence there is no other until records come again.
  void elapse(const Moment& moment, std::vector<Event>& events);
  /// Lets its silence pass once that is due, because a replica has been heard since.
  void excuse(const Moment& moment) { silence_.judged(moment); }
  /// The time by that clock at which it has left if a replica is heard then or later; 0 if it has not been heard itself.
  std::uint64_t leavesAt() const { return silence_.heard().now == 0 ? 0 : silence_.heard().now + silence_.leavesAfter(); }
  /// The time by that clock at which it was heard last; 0 if it has not been.
  std::uint64_t heardAt() const { return silence_.heard().now; }
  /// Ends what is open, because the instance has left. The heir is a replica that remembers its anomalies from now on.
  void leave(Stream& heir, std::vector<Event>& events);
  /// Goes on with what a replica, or a former stream of the family, has learned. Returns false if the bytes of its `snapshot`
  /// after the key are none; the stream is then unusable.
  bool succeed(StateReader& snapshot);
  /// Notes that records were missed, such as while the process did not run: what is open, such as ticks and sessions, is
  /// dropped unjudged where it is over by the next records. `resumes`: the stream is expected to go on, so that its silence
  /// is judged from where it was; otherwise it is not silent until it has records again.
  void interrupt(bool resumes);
  /// Judges by this policy from now on.
  void apply(std::shared_ptr<const Policy> policy);
  const Policy& policy() const { return *policy_; }
  /// The verdict on the window that the last record completed, if any: one per hop, once the stream is judged.
  std::optional<WindowVerdict> window() const;

  /// Counts a flagged verdict in the open anomaly, or in one that it begins. The anomaly is reported with its 1st, 2nd, 4th,
  /// 8th … verdict, and at once with news: see Shown.
  /// @param record null if the verdict is about no record
  /// @param finding what was found if that is known already; else null
  Growth report(const Verdict& verdict, const Observation* record, const Finding* finding = nullptr);
  /// Returns what such a verdict shows, as it shows whenever it happens again: by the record's template rather than by what of
  /// it is new. The parameters are those of `report`.
  Sight sight(const Verdict& verdict, const Observation* record, const Finding* finding) const;
  /// Returns what the verdict's channel found in the record, or in a unit that is no record (null). Null if there is no finding.
  std::unique_ptr<Finding> find(const Verdict& verdict, const Observation* record) const;
  /// Applies a person's feedback: novelty is learned, and what other channels flagged may pass for a while so that they
  /// learn it; or the limit treats the scores as normal. If the anomaly is open, it ends, and `events` receives the
  /// end. Returns false if the anomaly is neither open nor one of the last few.
  bool applyFeedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events);
  /// Applies feedback on an anomaly of a replica.
  void learn(const Evidence& evidence, Feedback feedback);
  /// What was flagged in an anomaly; null if it is neither open nor one of the last few.
  const Evidence* evidenceOf(std::string_view anomalyId) const { return anomalies_.find(anomalyId); }

  /// The window's metrics against the baseline, made anew when a hop has passed; null if there are none. See Windows.
  const WindowMetrics* metrics(const Codec& codec) { return windows_.metrics(key_, *policy_, codec, seen()); }
  bool measured(std::uint32_t hops) const { return windows_.measured(seen(), hops); }
  const Windows& windows() const { return windows_; }
  /// The score that is strange enough by itself in the channel; infinite if there is none yet.
  double limit(ChannelId channel) const { return judge_.limit(channel); }
  /// The score from which a unit that was not strange enough would have been.
  double limit(const Verdict& verdict) const { return judge_.limit(verdict); }
  Texts texts() const;
  CallTexts callTexts() const { return settings_.callTexts(); }
  /// Masks personal and secret values in what the stream keeps and shows.
  privacy::Masking masking() const { return {*settings_.privacy, privacy::Place::Stored, key_.scope()}; }

  const StreamKey& key() const { return key_; }
  StreamId id() const { return {key_.hash, key_.tenant}; }
  const OpenAnomaly& anomaly() const { return anomalies_.current(); }
  /// The request of the last record; 0 if it came before the stream was restored.
  std::uint64_t request() const { return request_; }
  bool has(ChannelId channel) const { return channels_[indexOf(channel)] != nullptr; }
  bool learning() const { return judge_.learning(); }
  /// How much of its learning is done, from 0 to 1.
  double progress() const { return learning() ? std::min(1.0, judge_.progress(clock_.now())) : 1; }
  /// The number of records judged or learned from.
  std::uint64_t seen() const { return judge_.seen(); }
  /// The number of verdicts that its budget and that of its group have withheld, and those of its group alone.
  std::uint64_t withheld() const { return judge_.withheld(); }
  std::uint64_t withheldByGroup() const { return judge_.withheldByGroup(); }
  /// The event time at a time of the stream's clock.
  std::uint64_t eventAt(std::uint64_t now) const { return clock_.eventAt(now); }
  /// The latest event time, in nanoseconds since 1970; 0 if records carry none.
  std::uint64_t latestUnixNano() const { return clock_.latest(); }
  std::size_t memory() const;

  /// Appends the key and all that the stream holds. It is called between records; later verdicts of the restored stream
  /// are equal, bit for bit.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Reads the key of a snapshot, and leaves the reader after it.
  static std::optional<StreamKey> keyOf(StateReader& snapshot);
  /// Restores what follows the key, in a fresh stream with this key and the settings of the one that was written.
  /// Returns false if the bytes are not such a snapshot; the stream is then unusable.
  bool restore(StateReader& snapshot);

  /// The part of `memory` that the shard has counted.
  std::size_t accounted = 0;

 private:
  class Desk;

  /// Whether the policy lets silences be judged.
  bool judgesSilence() const;
  /// Whether what is flagged belongs to an anomaly that is open already.
  bool open() const { return anomalies_.open() || group_.open(); }
  /// The largest probability of a silence that is strange enough.
  double silenceChance() const;
  /// What a flagged verdict adds to an anomaly. `finding` is its kind: see Channel::kind.
  Sight sight(const Verdict& verdict, std::uint64_t finding, Gravity gravity) const;
  std::uint64_t kindOf(const Verdict& verdict, const Observation* record, const Finding* finding) const;
  /// Whether a flagged verdict may begin an anomaly, or be news in the one that is open.
  bool mayBeNews(const Verdict& verdict, const Observation* record) const;
  /// Shows a witness the stream and its group as they were before the verdict.
  void show(const Seen& seen, bool counted, Witness& witness);
  Event ended(OpenAnomaly anomaly, Ending ending) const;
  void endAnomaly(Ending ending, std::vector<Event>& events);
  /// Whether the open anomaly has lasted for so long that what it shows is normal.
  bool settled() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);

  StreamKey key_;
  /// Never null.
  std::shared_ptr<const Policy> policy_ = std::make_shared<const Policy>();
  const Settings& settings_;
  Group& group_;
  KeyedHash hash_;
  StreamClock clock_;
  Channels channels_;
  Judge judge_;
  Windows windows_;
  Anomalies anomalies_;

  Silence silence_;
  /// The result of Silence::after, which is recomputed only from time to time because it is expensive.
  std::uint64_t silentAfter_ = 0;
  /// The length at which a withheld silence is judged again.
  std::uint64_t silentAgain_ = 0;
  /// Whether a judged silence ends with the next record.
  bool resumed_ = false;
  /// The request of the last record. A snapshot is taken between requests and leaves it out.
  std::uint64_t request_ = 0;
};

}  // namespace driftlock
