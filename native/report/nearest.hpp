#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "codec/codec.hpp"

namespace driftlock {

/// The line behind which the text costs the fewest bytes, C(line text) - C(line); the first of equals, without its end of
/// line; empty where there is none.
/// Lines that the codec does not reach across, text included, are left out. Compresses each distinct line alone and with the
/// text.
std::string nearestOf(const std::vector<std::string>& lines, std::string_view text, const Codec& codec);

}  // namespace driftlock
