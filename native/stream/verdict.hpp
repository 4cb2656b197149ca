#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "channels/calibration.hpp"
#include "channels/channel_id.hpp"
#include "channels/finding.hpp"

namespace driftlock {

/// What the engine says of one record, or of something that ended between records.
struct Verdict {
  bool learning = false;
  Alarm alarm = Alarm::None;
  /// It is strange enough, and within the budget or part of an anomaly that is open.
  bool flagged = false;
  /// Of all channels together.
  double pValue = 1;
  /// Higher is stranger: the largest of the channels' scores, each by the measure that its learning period gave. It does not
  /// wear off as the p-value does when strange things become common.
  double score = 0;

  /// The channel that is to blame, and its score in its own unit.
  ChannelId channel = ChannelId::None;
  double channelScore = 0;
  double bits = 0;
  double usualBits = 0;
  /// How many times rarer it is than it must be to be strange enough.
  double margin = 0;
  /// How long the whole stream has been silent, in nanoseconds of event time; 0 for all else.
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

/// A verdict about no record: a session that broke off, a tick, a block of records, a silence, or an anomaly that is over.
struct Event {
  Verdict verdict;
  std::uint64_t timeUnixNano = 0;
  /// Null if the channel is to be asked when it is described.
  std::unique_ptr<Finding> finding;
  /// `anomaly` is over.
  bool ended = false;
  OpenAnomaly anomaly{};
  Ending ending = Ending::Quiet;
};

/// A window's verdict: what is strangest in it, by each channel, and all of them together.
struct WindowVerdict {
  /// In bits; negative if all is as usual.
  double score = 0;
  double pValue = 1;
  bool flagged = false;
  ChannelId channel = ChannelId::None;
};

}  // namespace driftlock
