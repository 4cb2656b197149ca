#pragma once

#include <cstdint>

namespace driftlock {

/// The format of snapshots. It is raised with each change of what a state holds or means. If that is the state of a stream or of
/// a group, the format of recordings changes as well (recording/format.hpp).
inline constexpr std::uint32_t kStateFormat = 13;

}  // namespace driftlock
