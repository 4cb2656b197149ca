#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/portable_math.hpp"
#include "channels/score_law.hpp"

namespace driftlock {

/// The channels of the registry; `None` stands for no channel.
enum class ChannelId : std::uint8_t {
  None,
#define CHANNEL(id, name, number, unit, law) id,
#include "channels/registry.def"
#undef CHANNEL
};

/// A channel's entry in the registry.
struct ChannelInfo {
  std::string_view name;
  std::uint8_t number;
  double unit;
  ScoreLaw law;
};

/// The registry's entries, indexed by ChannelId.
inline constexpr ChannelInfo kChannels[] = {
    {"none", 0, 1, ScoreLaw::Heavy},
#define CHANNEL(id, name, number, unit, law) {name, number, unit, ScoreLaw::law},
#include "channels/registry.def"
#undef CHANNEL
};
inline constexpr std::size_t kChannelCount = std::size(kChannels);

constexpr std::size_t indexOf(ChannelId id) { return static_cast<std::size_t>(id); }
constexpr const ChannelInfo& infoOf(ChannelId id) { return kChannels[indexOf(id)]; }

}  // namespace driftlock
