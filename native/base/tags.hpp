#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

namespace driftlock {

/// A byte of an id. Tables that are searched linearly keep one of each entry side by side, so that an absent id is ruled out
/// without reading the entries.
inline std::uint8_t tagOf(std::uint32_t id) { return static_cast<std::uint8_t>(id * 0x9E3779B1u >> 24); }

/// Returns the first entry with that tag for which `matches(index)` holds; tags.size() if there is none.
template <class Matches>
std::size_t findTagged(std::span<const std::uint8_t> tags, std::uint8_t tag, Matches&& matches) {
  for (std::size_t at = 0; at < tags.size(); ++at) {
    const void* const found = std::memchr(tags.data() + at, tag, tags.size() - at);
    if (!found) break;
    at = static_cast<std::size_t>(static_cast<const std::uint8_t*>(found) - tags.data());
    if (matches(at)) return at;
  }
  return tags.size();
}

/// Returns the first of the least weights, none of which is below 0. Non-negative floats have the order of their bits, and
/// comparing integers becomes vector code.
template <std::size_t Size>
std::size_t firstLeast(const std::array<float, Size>& weights) {
  std::int32_t least = std::numeric_limits<std::int32_t>::max();
  for (const float weight : weights) least = std::min(least, std::bit_cast<std::int32_t>(weight));
  std::size_t at = 0;
  while (std::bit_cast<std::int32_t>(weights[at]) != least) ++at;
  return at;
}

}  // namespace driftlock
