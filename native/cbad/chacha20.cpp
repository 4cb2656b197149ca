#include "cbad/chacha20.hpp"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace driftlock {
namespace {

std::uint32_t littleEndian(const std::uint8_t* bytes) {
  return bytes[0] | std::uint32_t{bytes[1]} << 8 | std::uint32_t{bytes[2]} << 16 | std::uint32_t{bytes[3]} << 24;
}

/// The quarter round of RFC 8439, section 2.1.
void quarterRound(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c, std::uint32_t& d) {
  a += b, d = std::rotl(d ^ a, 16);
  c += d, b = std::rotl(b ^ c, 12);
  a += b, d = std::rotl(d ^ a, 8);
  c += d, b = std::rotl(b ^ c, 7);
}

}  // namespace

std::array<std::uint32_t, 16> chacha20Block(std::span<const std::uint32_t, 8> key, std::uint32_t counter,
                                            std::span<const std::uint32_t, 3> nonce) {
  // The state is "expand 32-byte k", then key, counter and nonce.
  std::array<std::uint32_t, 16> initial{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
  std::copy(key.begin(), key.end(), initial.begin() + 4);
  initial[12] = counter;
  std::copy(nonce.begin(), nonce.end(), initial.begin() + 13);

  auto state = initial;
  for (int doubleRound = 0; doubleRound < 10; ++doubleRound) {
    for (std::size_t i = 0; i < 4; ++i) quarterRound(state[i], state[4 + i], state[8 + i], state[12 + i]);
    for (std::size_t i = 0; i < 4; ++i)
      quarterRound(state[i], state[4 + (i + 1) % 4], state[8 + (i + 2) % 4], state[12 + (i + 3) % 4]);
  }
  for (std::size_t i = 0; i < 16; ++i) state[i] += initial[i];
  return state;
}

void chacha20(std::span<const std::uint8_t, 32> key, std::uint32_t counter, std::span<const std::uint8_t, 12> nonce,
              std::span<std::uint8_t> out) {
  const std::uint64_t blocks = (std::uint64_t{out.size()} + 63) / 64;
  if (counter + blocks > std::uint64_t{1} << 32)
    throw std::length_error("length passes the last block of this nonce: at most 2^32 - counter blocks of 64 bytes");
  std::array<std::uint32_t, 8> keyWords;
  for (std::size_t i = 0; i < 8; ++i) keyWords[i] = littleEndian(&key[4 * i]);
  std::array<std::uint32_t, 3> nonceWords;
  for (std::size_t i = 0; i < 3; ++i) nonceWords[i] = littleEndian(&nonce[4 * i]);

  for (std::size_t offset = 0; offset < out.size(); offset += 64) {
    const auto block = chacha20Block(keyWords, counter++, nonceWords);
    const auto end = std::min<std::size_t>(64, out.size() - offset);
    for (std::size_t i = 0; i < end; ++i) out[offset + i] = static_cast<std::uint8_t>(block[i / 4] >> 8 * (i % 4));
  }
}

ChaCha20Random::ChaCha20Random(std::uint64_t seed)
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {}

std::uint32_t ChaCha20Random::next() {
  if (used_ == block_.size()) {
    block_ = chacha20Block(key_, counter_, nonce_);
    used_ = 0;
    if (++counter_ == 0) ++nonce_[0];
  }
  return block_[used_++];
}

std::uint32_t ChaCha20Random::below(std::uint32_t bound) {
  // The high word of a product is uniform once low words that occur once too often are rejected: 2^32 mod bound of them.
  auto product = std::uint64_t{next()} * bound;
  if (static_cast<std::uint32_t>(product) < bound) {
    const std::uint32_t surplus = (0u - bound) % bound;
    while (static_cast<std::uint32_t>(product) < surplus) product = std::uint64_t{next()} * bound;
  }
  return static_cast<std::uint32_t>(product >> 32);
}

}  // namespace driftlock
