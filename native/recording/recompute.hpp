#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "recording/recording.hpp"
#include "report/report.hpp"

namespace driftlock {

/// Computes the verdict of a recording again, and returns its report, as a driftlock.v1.Anomaly,
/// with the measures of the window if the report had them. The texts of the window stand there as they are.
/// @throws DamagedInput if the bytes are no recording, or one whose verdict neither begins an anomaly nor is news in one;
/// OtherFormat if another version of Driftlock has recorded it
std::vector<std::uint8_t> recompute(Bytes recording);

/// Whether the verdict of a recording is that of a report, with the same explanation: it is not if what masks personal and secret
/// values has changed something in the record on which they depend.
bool recomputes(const Recording& recording, const Report& report);

/// Judges a recording again, for what its privacy policy notes meanwhile.
void judgeAgain(const Recording& recording);

}  // namespace driftlock
