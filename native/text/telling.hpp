#pragma once

#include <cstddef>
#include <string_view>

namespace driftlock::text {

/// Returns how telling the part [begin, end) of a text is to a person: the number of letters in its words, as opposed to
/// digits, punctuation and identifiers, and much more if one of the words speaks of a failure.
std::size_t telling(std::string_view text, std::size_t begin, std::size_t end);

}  // namespace driftlock::text
