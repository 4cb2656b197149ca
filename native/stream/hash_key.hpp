#pragma once

#include <array>
#include <cstdint>

#include "base/hash.hpp"

namespace driftlock {

/// The 32-byte secret from which all hashes of an engine are derived. Engines with equal keys give equal verdicts.
using HashKey = std::array<std::uint8_t, 32>;

/// The key that replays and the library use unless they are given one. It is public, so it protects nobody.
inline constexpr HashKey kPublicHashKey{};

/// Returns a fingerprint that distinguishes keys and reveals nothing about them: the first 8 bytes of ChaCha20's key
/// stream, with counter and nonce 0.
std::uint64_t fingerprintOf(const HashKey& key);

/// The hash that identifies streams and assigns them to shards.
KeyedHash streamHash(const HashKey& key);

/// The hash that a stream uses for its records. Each stream has its own key, so one stream's state reveals nothing
/// about another's.
KeyedHash hashOfStream(const HashKey& key, std::uint64_t stream);
/// The key of that hash, which reveals nothing about the engine's key.
std::array<std::uint64_t, 2> keyOfStream(const HashKey& key, std::uint64_t stream);

}  // namespace driftlock
