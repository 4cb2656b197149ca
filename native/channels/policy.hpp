#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "channels/channel_id.hpp"
#include "channels/observation.hpp"
#include "record/record.hpp"

namespace driftlock {

/// What operators have decided about a stream. The default decides nothing.
struct Policy {
  /// The side of the usual range on which a number is strange.
  enum class Direction : std::uint8_t { Both, Up, Down };
  static constexpr std::uint32_t kAllChannels = ~std::uint32_t{0};

  /// Whether the stream is judged. Otherwise its records pass, and are counted.
  bool judge = true;
  /// The alarms per day of the stream alone; 0 for those of the settings, which it shares with its resource group.
  double alarmsPerDay = 0;
  /// The channels that may flag something, by the bits of their ids.
  std::uint32_t channels = kAllChannels;
  Direction direction = Direction::Both;
  /// How far a value or duration must be beyond the usual range, in the unit in which people see it, and as a share of
  /// the end of that range.
  double leastDeviation = 0, leastShare = 0;
  /// The number of records that a burst must have, or that must be usual where they are missing.
  double leastCount = 0;
  /// The keys of the fields that are not read. `body` and `name` are the text of a log record and the name of a span.
  std::vector<std::string> ignoredFields{};

  bool allows(ChannelId channel) const { return (channels >> indexOf(channel) & 1) != 0; }
  /// Whether `admits` depends on deviations, and whether it depends on anything.
  bool measures() const { return direction != Direction::Both || leastDeviation > 0 || leastShare > 0 || leastCount > 0; }
  bool selects() const { return channels != kAllChannels || measures(); }
  /// Whether a score may flag its unit.
  bool admits(const Score& score) const;
  /// Takes the fields out of a record that are not read.
  void strip(RecordView& record) const;
};

}  // namespace driftlock
