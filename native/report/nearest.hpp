#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/codec.hpp"

namespace driftlock {

/// Returns the line, without its end, after which the text costs the fewest bytes, C(line text) - C(line); the first of equals;
/// empty if there is none. Lines that exceed the codec's reach together with the text are left out. Compresses each distinct line
/// alone and with the text.
std::string nearestOf(const std::vector<std::string>& lines, std::string_view text, const Codec& codec);

}  // namespace driftlock
