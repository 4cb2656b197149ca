#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "channels/alarm_budget.hpp"
#include "channels/channel_id.hpp"
#include "channels/finding.hpp"
#include "group/group.hpp"

namespace driftlock {

/// What a stream's budget has withheld since the stream's last alarm.
struct Withheld {
  std::uint64_t count = 0;
  /// The strangest of it: its channel, its score in the measure that all channels share, and its time by the stream's clock.
  ChannelId channel = ChannelId::None;
  double score = 0;
  std::uint64_t at = 0;
};

/// The verdict on one record, or on something that ended between records.
struct Verdict {
  bool learning = false;
  /// Whether it is a report of an anomaly that came back, which is not judged.
  bool returned = false;
  /// Whether the record passed unjudged because a policy says so; nothing else is valid then.
  bool excluded = false;
  Alarm alarm = Alarm::None;
  /// Whether it is strange enough, and within the budget or part of an open anomaly.
  bool flagged = false;
  /// The p-value of all channels together.
  double pValue = 1;
  /// Higher is stranger: the largest of the channels' scores, each in the measure of its learning period. Unlike the
  /// p-value, it does not become less strange when strange things become common.
  double score = 0;

  /// The channel that is to blame, and its score in its own unit.
  ChannelId channel = ChannelId::None;
  double channelScore = 0;
  double bits = 0;
  double usualBits = 0;
  /// How many times rarer it is than it must be to be strange enough; 0 if no channel finds it strange by itself.
  double margin = 0;
  /// Greater than 0 if it is strange enough for a young group alone, but not for one among as many as the tenant has: how
  /// many times rarer or graver it is than a young group alone requires.
  double early = 0;
  /// The score of the channel from which it would have been strange enough, everything else being equal.
  double limit = 0;
  /// See Score::lasting: evidence of an incident, but no reason to flag the record.
  double lasting = 0;
  /// The time for which the whole stream has been silent, in nanoseconds of event time; 0 for other verdicts.
  std::uint64_t silentFor = 0;
  /// Whether the record's time was wrong, so that it was read in another unit or dated otherwise.
  bool redated = false;
  /// Set when it raises an alarm.
  Withheld withheld{};
};

/// Returns the severity of a flagged verdict, from 1 (low) to 4 (critical), by how far its score exceeds the limit and by
/// the gravity that its record states.
inline std::uint32_t severityOf(const Verdict& verdict, Gravity gravity) {
  const std::uint32_t grave = gravity == Gravity::Fatal ? 2 : gravity == Gravity::Error ? 1 : 0;
  const std::uint32_t far = verdict.channelScore > 2 * verdict.limit ? 2 : verdict.channelScore > 1.25 * verdict.limit ? 1 : 0;
  return std::min(4u, 1 + grave + far);
}
/// A stream that was strange together with others, with its name and its instance.
struct NamedMember {
  Member member;
  std::string stream, instance;
};

/// The open anomaly of a stream, which consists of successive flagged verdicts.
struct OpenAnomaly {
  std::string id;
  std::uint64_t startUnixNano = 0, endUnixNano = 0;
  /// The number of flagged verdicts.
  std::uint64_t occurrences = 0;
};

/// The reason why an anomaly is over.
enum class Ending : std::uint8_t { Quiet, Resumed, Superseded, Left, Accepted, FalseAlarm };

/// A person's feedback on an anomaly: what it showed is normal from now on, or it was a false alarm.
enum class Feedback : std::uint8_t { Accept, FalseAlarm };

/// A verdict about no record: a session that broke off, a tick, a block of records, a silence, or an anomaly that is over. One
/// that is not flagged was strange enough, but a budget withheld it.
struct Event {
  Verdict verdict;
  std::uint64_t timeUnixNano = 0;
  /// The finding; null if the channel's `find` is to be called when the event is described.
  std::unique_ptr<Finding> finding;
  /// Whether `anomaly` is over.
  bool ended = false;
  OpenAnomaly anomaly{};
  Ending ending = Ending::Quiet;
  /// The streams that were strange together, if it is about a resource group.
  std::vector<NamedMember> members{};
};

/// What a flagged verdict is to the open anomaly.
struct Growth {
  /// Whether the anomaly is to be reported with it.
  bool reported = false;
  /// Whether it is the first, or shows what the anomaly has not shown yet.
  bool news = false;
  /// The end of the anomaly that was open before, if this verdict begins another.
  std::optional<Event> ended;
};

/// The verdict on a window: what is strangest in it, by each channel and by all of them together.
struct WindowVerdict {
  /// The score in bits; negative if everything is as usual.
  double score = 0;
  double pValue = 1;
  bool flagged = false;
  ChannelId channel = ChannelId::None;
};

}  // namespace driftlock
