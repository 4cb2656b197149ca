#pragma once

#include <string_view>

namespace driftlock {

/// Whether a pattern matches the whole text; `*` stands for any text, and `?` for any byte. The work is at most the product of
/// their lengths.
bool matchesPattern(std::string_view pattern, std::string_view text);

}  // namespace driftlock
