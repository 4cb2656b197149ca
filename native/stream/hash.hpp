#pragma once

#include <cstdint>
#include <cstring>

#include "bytes.hpp"
#include "work.hpp"

namespace driftlock {

/// Folds the 128-bit product of two words: one multiplication mixes all their bits.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
#if defined(__SIZEOF_INT128__)
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
  std::uint64_t high;
  const std::uint64_t low = _umul128(a, b, &high);
  return low ^ high;
#endif
}

/// A 64-bit hash for tables, equal on every machine; not for secrets. In the manner of wyhash (Wang Yi, public domain).
inline std::uint64_t hash(Bytes bytes, std::uint64_t seed = 0) {
  constexpr std::uint64_t k0 = 0xa0761d6478bd642f, k1 = 0xe7037ed1a0b428db, k2 = 0x8ebc6af09c88c6e3;
  countWork(bytes.size());
  const std::uint8_t* p = bytes.data();
  std::size_t n = bytes.size();
  auto word = [](const std::uint8_t* from, std::size_t size) {
    std::uint64_t v = 0;
    std::memcpy(&v, from, size);
    return v;
  };
  std::uint64_t h = seed ^ k0;
  for (; n > 16; n -= 16, p += 16) h = mix(word(p, 8) ^ k1, word(p + 8, 8) ^ h);
  const std::uint64_t a = n >= 8 ? word(p, 8) : n > 0 ? word(p, n) : 0;
  const std::uint64_t b = n > 8 ? word(p + 8, n - 8) : 0;
  return mix(k2 ^ bytes.size(), mix(a ^ k1, b ^ h));
}

inline std::uint64_t hash(std::uint64_t value, std::uint64_t seed) { return mix(value ^ 0xe7037ed1a0b428db, seed ^ 0xa0761d6478bd642f); }

}  // namespace driftlock
