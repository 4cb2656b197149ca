#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cbad/permutation.hpp"
#include "codec/codec.hpp"
#include "report/report.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// The records of a stream's window and of its baseline as texts, one line each.
struct WindowTexts {
  explicit WindowTexts(const Stream& stream) { stream.windows().texts(stream.key(), stream.policy(), baseline, window); }

  std::vector<std::string> baseline, window;
};

/// Returns the lines as one text.
std::string joined(const std::vector<std::string>& lines);

/// Adds metrics of the stream's window, measured with a codec of this name.
void addMetrics(const Stream& stream, const WindowMetrics& metrics, CodecName codec, Report& report);

/// Adds the record of the baseline that is nearest to the flagged one, if the report's channel asks for it.
/// @param matcher LZ4
void addNearest(const WindowTexts& texts, const Codec& matcher, Report& report);

/// Tests whether the window has more that is new than chance would put there. The result has no permutations if there are too few
/// records for a test.
PermutationResult testWindow(const WindowTexts& texts, const Codec& codec, const Settings& settings);

}  // namespace driftlock
