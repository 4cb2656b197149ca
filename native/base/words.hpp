#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"

namespace driftlock {

/// Reads a word from bytes in the machine's order.
template <typename Word = std::uint64_t>
Word loadWord(const std::uint8_t* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}

/// Reads the last `count` bytes, fewer than eight, as a word, without a loop; its other bytes are 0.
inline std::uint64_t lastBytes(Bytes bytes, std::size_t count) {
  if (count == 0) return 0;
  const std::uint8_t* const from = bytes.data() + bytes.size() - count;
  if (bytes.size() >= 8) return loadWord(from + count - 8) >> (64 - 8 * count);
  if (count >= 4)
    return loadWord<std::uint32_t>(from) | std::uint64_t{loadWord<std::uint32_t>(from + count - 4)} << 8 * (count - 4);
  return from[0] | std::uint64_t{from[count / 2]} << 8 * (count / 2) | std::uint64_t{from[count - 1]} << 8 * (count - 1);
}

}  // namespace driftlock
