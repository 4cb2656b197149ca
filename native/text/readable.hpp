#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/literal_run.hpp"

namespace driftlock::text {

/// The largest number of bytes of a text that a report holds.
inline constexpr std::size_t kMaxReadable = 4096;

/// Truncates a text to `maxReadable` bytes, at a character, and replaces every byte that is not UTF-8 with '?', so that offsets
/// stay. `runs` are widened to whole characters, and truncated with the text.
void makeReadable(std::string& text, std::vector<LiteralRun>* runs = nullptr);

}  // namespace driftlock::text
