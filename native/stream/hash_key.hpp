#pragma once

#include <array>
#include <cstdint>

#include "base/hash.hpp"

namespace driftlock {

/// The secret that all hashes of an engine come from: 32 bytes. Engines with equal keys give equal verdicts.
using HashKey = std::array<std::uint8_t, 32>;

/// What replays and the library use unless they are given a key. It is documented, so it protects nobody.
inline constexpr HashKey kPublicHashKey{};

/// Tells keys apart and reveals nothing of them: the first 8 bytes of ChaCha20's key stream, counter and nonce 0.
std::uint64_t fingerprintOf(const HashKey& key);

/// Tells streams apart, and says which shard they are in.
KeyedHash streamHash(const HashKey& key);

/// What a stream hashes its records with. The key of each is its own: what one stream holds says nothing of another's.
KeyedHash hashOfStream(const HashKey& key, std::uint64_t stream);

}  // namespace driftlock
