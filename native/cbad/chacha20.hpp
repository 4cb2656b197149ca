#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace driftlock {

/// The block function of ChaCha20, RFC 8439, section 2.3: 64 bytes of key stream from a key of 8 words, a block counter
/// and a nonce of 3 words (words are the little-endian reading of the RFC's bytes).
std::array<std::uint32_t, 16> chacha20Block(std::span<const std::uint32_t, 8> key, std::uint32_t counter,
                                            std::span<const std::uint32_t, 3> nonce);

/// Writes the key stream from block `counter` on (RFC 8439, section 2.4, of zeros) over the whole of `out`. @throws
/// std::length_error if the counter would pass 2^32 - 1.
void chacha20(std::span<const std::uint8_t, 32> key, std::uint32_t counter, std::span<const std::uint8_t, 12> nonce,
              std::span<std::uint8_t> out);

/// Seeded, reproducible uniform numbers: ChaCha20's key stream as words. The key is the seed, 8 bytes little-endian, followed by
/// 24 zeros; the nonce is 0 and counts the blocks of 2^38 bytes. The same seed gives the same numbers on every machine.
class ChaCha20Random {
 public:
  explicit ChaCha20Random(std::uint64_t seed);

  /// Returns a number that is uniform on [0, 2^32).
  std::uint32_t next();

  /// Returns a number that is uniform on [0, bound), without bias; `bound` > 0. D. Lemire, Fast Random Integer Generation in an
  /// Interval, ACM TOMACS 29(1), 2019.
  std::uint32_t below(std::uint32_t bound);

 private:
  std::array<std::uint32_t, 8> key_{};
  std::array<std::uint32_t, 3> nonce_{};
  std::array<std::uint32_t, 16> block_{};
  std::uint32_t counter_ = 0;
  std::size_t used_ = 16;
};

}  // namespace driftlock
