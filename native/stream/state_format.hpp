#pragma once

#include <cstdint>

namespace driftlock {

/// The format of snapshots and of the states in recordings. It is raised with each change of what a state holds or means.
inline constexpr std::uint32_t kStateFormat = 13;

}  // namespace driftlock
