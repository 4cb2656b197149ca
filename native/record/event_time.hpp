#pragma once

#include <array>
#include <cstdint>

namespace driftlock {

/// What was wrong with a record's time.
enum class TimeFault : std::uint8_t {
  None,
  /// It is given in microseconds, milliseconds or seconds.
  Unit,
  /// There is none, or one that is not of this century in any unit.
  Absent,
};

/// The first nanosecond of the years 2000 and 2100: no record of OpenTelemetry data is of another time.
inline constexpr std::uint64_t kEarliestTime = 946'684'800'000'000'000, kLatestTime = 4'102'444'800'000'000'000;

inline bool isPlausible(std::uint64_t unixNanos) { return unixNanos >= kEarliestTime && unixNanos < kLatestTime; }

/// The nanoseconds in the unit of a time since 1970, which should be 1: the unit in which the time is of this century. 0 if there
/// is none. The ranges of the units do not overlap.
inline std::uint64_t unitOf(std::uint64_t time) {
  if (isPlausible(time)) return 1;
  for (const std::uint64_t unit : std::array<std::uint64_t, 3>{1'000, 1'000'000, 1'000'000'000}) {
    if (time < kLatestTime / unit && isPlausible(time * unit)) return unit;
  }
  return 0;
}

}  // namespace driftlock
