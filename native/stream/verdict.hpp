#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "channels/calibration.hpp"
#include "channels/channel_id.hpp"
#include "channels/finding.hpp"

namespace driftlock {

/// The verdict on one record, or on something that ended between records.
struct Verdict {
  bool learning = false;
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
  /// How many times rarer it is than it must be to be strange enough.
  double margin = 0;
  /// The time for which the whole stream has been silent, in nanoseconds of event time; 0 for other verdicts.
  std::uint64_t silentFor = 0;
};

/// The open anomaly of a stream, which consists of successive flagged verdicts.
struct OpenAnomaly {
  std::string id;
  std::uint64_t startUnixNano = 0, endUnixNano = 0;
  /// The number of flagged verdicts.
  std::uint64_t occurrences = 0;
};

/// The reason why an anomaly is over.
enum class Ending : std::uint8_t { Quiet, Resumed, Accepted, FalseAlarm };

/// A person's feedback on an anomaly: what it showed is normal from now on, or it was a false alarm.
enum class Feedback : std::uint8_t { Accept, FalseAlarm };

/// A verdict about no record: a session that broke off, a tick, a block of records, a silence, or an anomaly that is over.
struct Event {
  Verdict verdict;
  std::uint64_t timeUnixNano = 0;
  /// The finding; null if the channel's `find` is to be called when the event is described.
  std::unique_ptr<Finding> finding;
  /// Whether `anomaly` is over.
  bool ended = false;
  OpenAnomaly anomaly{};
  Ending ending = Ending::Quiet;
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
