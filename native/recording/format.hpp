#pragma once

#include <cstdint>

#include "channels/channel_id.hpp"

namespace driftlock {

/// The format of recordings. It has a number of its own: snapshots, whose format is kStateFormat, change more often, and bundles
/// of evidence outlive them. It is raised if a recording gets a field without which its verdict would be computed differently, or
/// if a state in it holds or means something else. What else a snapshot has, such as graphs, does not matter.
inline constexpr std::uint32_t kRecordingFormat = 14;

/// The oldest format that this version reads; it reads all later ones up to its own. It follows kRecordingFormat only if the
/// states of all streams or groups have changed. Recordings up to format 13 had the number of the snapshots of their time.
inline constexpr std::uint32_t kOldestRecordingFormat = 12;

/// The format since which the state of a channel is what it is now: recordings of streams that have the channel are read from
/// this format on. Whoever changes what one channel holds or means raises kRecordingFormat and this number of that channel.
constexpr std::uint32_t readableSince(ChannelId channel) {
  switch (channel) {
    // Counts the calls whose paths had a cost.
    case ChannelId::ToolPath: return 13;
    default: return kOldestRecordingFormat;
  }
}

}  // namespace driftlock
