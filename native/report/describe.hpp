#pragma once

#include <memory>

#include "report/report.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Completes a report whose verdict, time and anomaly are set, without measuring the window.
/// @param record the flagged one; null if the report is about none
/// @param finding what the channel found; null if there is nothing
void describe(const Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report);

/// The same for a verdict about a resource group, or its end: with what names the group in place of a stream.
void describe(const StreamKey& group, const KeyedHash& hash, const Finding* finding, Report& report);

}  // namespace driftlock
