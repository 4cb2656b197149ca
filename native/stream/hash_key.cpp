#include "stream/hash_key.hpp"

#include "cbad/chacha20.hpp"

namespace driftlock {
namespace {

/// The uses of the key, each with its own nonces.
enum class Use : std::uint32_t { Fingerprint, StreamIds, Stream };

std::array<std::uint64_t, 2> derive(const HashKey& key, Use use, std::uint64_t id = 0) {
  std::array<std::uint32_t, 8> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    words[i] = 0;
    for (std::size_t byte = 0; byte < 4; ++byte) words[i] |= std::uint32_t{key[4 * i + byte]} << 8 * byte;
  }
  const std::array nonce{static_cast<std::uint32_t>(use), static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(id >> 32)};
  const auto block = chacha20Block(words, 0, nonce);
  return {block[0] | std::uint64_t{block[1]} << 32, block[2] | std::uint64_t{block[3]} << 32};
}

}  // namespace

std::uint64_t fingerprintOf(const HashKey& key) { return derive(key, Use::Fingerprint)[0]; }

KeyedHash streamHash(const HashKey& key) { return KeyedHash(derive(key, Use::StreamIds)); }

KeyedHash hashOfStream(const HashKey& key, std::uint64_t stream) { return KeyedHash(keyOfStream(key, stream)); }

std::array<std::uint64_t, 2> keyOfStream(const HashKey& key, std::uint64_t stream) { return derive(key, Use::Stream, stream); }

}  // namespace driftlock
