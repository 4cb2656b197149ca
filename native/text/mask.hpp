#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace driftlock::text {

/// Writes `text` to `out` with its variables replaced by one '0' each, and returns the number of bytes written, at most
/// text.size().
///
/// Variables are what differs between records without being new: numbers; hexadecimal words of four characters and more with a
/// digit among them, or of eight and more without, 0x or not; UUIDs; long words in which letters and digits alternate
/// (identifiers, tokens). Punctuation stays, so that addresses and timestamps keep their shape: 10.1.2.3:80 becomes 0.0.0.0:0.
/// Several asterisks, which hide something, become one. Digits never survive, hence a '0' in the output always stands for a
/// variable.
std::size_t mask(Bytes text, std::uint8_t* out);

/// Does the same; origin[i] is the offset in `text` of the first byte that out[i] stands for.
std::size_t mask(Bytes text, std::uint8_t* out, std::uint32_t* origin);

}  // namespace driftlock::text
