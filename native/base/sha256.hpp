#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace driftlock {

using Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4).
class Sha256 {
 public:
  void update(Bytes bytes);
  Digest finish();

 private:
  void block(const std::uint8_t* bytes);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> rest_{};
  std::uint64_t size_ = 0;
};

/// HMAC-SHA-256 (RFC 2104).
Digest hmacSha256(Bytes key, Bytes message);

}  // namespace driftlock
