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

namespace driftlock {

/// One stream: its clock, its channels, their judge, its windows and its anomalies.
class Stream {
 public:
  Stream(StreamKey key, const Settings& settings);
  // Channels refer to the key and the hash.
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  /// Judges the next record and learns from it. `events` says what ended with it or in the meantime.
  Verdict observe(Observation& record, std::vector<Event>& events);
  /// A request that holds records of the stream has come at that moment of its tenant's clock; called before its first
  /// record is judged. `events` says so if that ends a silence.
  void touch(const Moment& moment, std::vector<Event>& events);
  /// When its silence is to be judged, by that clock; 0 if it is not.
  std::uint64_t silentAt() const;
  /// Judges its silence, once it is time to. One that is flagged is the only one until records come again.
  void elapse(const Moment& moment, std::vector<Event>& events);
  /// The verdict of the window that the last record completed, if it did: one every hop, once the stream is judged.
  std::optional<WindowVerdict> window() const;

  /// Counts a flagged verdict in; true if it is to be reported: at the 1st, 2nd, 4th, 8th … of an anomaly.
  /// @param record null if the verdict is about no record
  bool report(const Verdict& verdict, const Observation* record);
  /// What the verdict's channel found in the record, or in a unit that is no record (null). Null if it has nothing to say.
  std::unique_ptr<Finding> find(const Verdict& verdict, const Observation* record) const;
  /// Applies a person's feedback: what was new is learned, and what other channels flagged is let pass for a while so that they
  /// learn it; or the limit takes the scores for normal. An open anomaly is over then, which `events` says. False if the
  /// anomaly is neither open nor one of the last few.
  bool applyFeedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events);

  /// The window's metrics against the baseline, made anew when a hop has passed; null if there are none. See Windows.
  const WindowMetrics* metrics(const Codec& codec) { return windows_.metrics(key_, codec, seen()); }
  bool measured(std::uint32_t hops) const { return windows_.measured(seen(), hops); }
  const Windows& windows() const { return windows_; }
  /// The score from which on a verdict like this one is strange enough.
  double limit(const Verdict& verdict) const;
  Texts texts() const;

  const StreamKey& key() const { return key_; }
  StreamId id() const { return {key_.hash, key_.tenant}; }
  const OpenAnomaly& anomaly() const { return anomalies_.current(); }
  bool learning() const { return judge_.learning(); }
  /// Records judged or learned from.
  std::uint64_t seen() const { return judge_.seen(); }
  /// Verdicts that its budget has withheld.
  std::uint64_t withheld() const { return judge_.budget().withheld(); }
  /// Event time, in nanoseconds since 1970; 0 if records carry none.
  std::uint64_t latestUnixNano() const { return clock_.latest(); }
  std::size_t memory() const;

  /// Appends the key and all that the stream holds. Taken between records; what it says next is then the same, bit for bit.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// The key in a snapshot's bytes, which are left behind it.
  static std::optional<StreamKey> keyOf(StateReader& snapshot);
  /// Takes over what follows the key; of a fresh stream with that key and the settings of the one that was written. False
  /// if the bytes are no such snapshot; the stream is of no use then.
  bool restore(StateReader& snapshot);

  /// Of `memory`, what the shard has counted in.
  std::size_t accounted = 0;

 private:
  class Desk;

  /// The largest chance of a silence that is strange enough.
  double silenceChance() const;
  void endAnomaly(Ending ending, std::vector<Event>& events);
  /// The open anomaly has lasted for so long that what it shows is normal.
  bool settled() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);

  StreamKey key_;
  const Settings& settings_;
  KeyedHash hash_;
  StreamClock clock_;
  Channels channels_;
  Judge judge_;
  Windows windows_;
  Anomalies anomalies_;

  Silence silence_;
  /// As Silence::after says; asked again from time to time, because it is expensive.
  std::uint64_t silentAfter_ = 0;
  /// A silence that was withheld is judged again when it has come to so much.
  std::uint64_t silentAgain_ = 0;
  /// A silence that was judged ends with the next record.
  bool resumed_ = false;
};

}  // namespace driftlock
