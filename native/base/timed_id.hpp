#pragma once

#include <cstdint>
#include <string>

namespace driftlock {

/// Makes an id that begins with milliseconds, like a UUID of version 7, followed by 80 bits that make it unique: what happens at
/// the same time is neighbours in every index of a store.
inline std::string timedId(std::uint64_t unixNanos, std::uint64_t a, std::uint64_t b) {
  constexpr char kDigits[] = "0123456789abcdef";
  const std::uint64_t first = unixNanos / 1'000'000 << 16 | a >> 48;
  std::string id;
  for (std::uint64_t half : {first, b}) {
    for (int shift = 60; shift >= 0; shift -= 4) id += kDigits[half >> shift & 15];
  }
  return id;
}

}  // namespace driftlock
