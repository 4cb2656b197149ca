#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/literal_run.hpp"

namespace driftlock::text {

/// The most bytes of a text that a report holds.
inline constexpr std::size_t kMaxReadable = 4096;

/// Cuts a text to `maxReadable` bytes, at a character, and makes every byte that is not UTF-8 a '?', so that offsets stay.
/// `runs` are widened to whole characters, and cut with the text.
void makeReadable(std::string& text, std::vector<LiteralRun>* runs = nullptr);

}  // namespace driftlock::text
