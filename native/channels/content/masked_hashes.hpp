#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/words.hpp"

namespace driftlock {

/// The hashes of the short texts that a thread met lately, with their variables masked. Most attributes repeat a few values, and
/// finding one by its bytes is cheaper than masking and hashing it; what is found is the same.
class MaskedHashes {
 public:
  /// Returns the hash of a text under a key; `make` computes it if it is not among them.
  /// @param key the hash of the key
  std::uint64_t find(std::uint64_t key, Bytes text, auto&& make) {
    if (text.size() > kLongest || text.empty()) return make();
    auto& [latest, older] = entries_[placeOf(key, text)];
    if (latest.holds(key, text)) return latest.hash;
    if (older.holds(key, text)) return older.hash;
    older = latest;
    latest.key = key;
    latest.hash = make();
    latest.size = static_cast<std::uint8_t>(text.size());
    std::ranges::copy(text, latest.bytes.begin());
    return latest.hash;
  }

 private:
  /// The names of browsers and their versions, which most requests come with, have about a hundred bytes.
  static constexpr std::size_t kLongest = 111, kBits = 8;

  /// Fills two lines of the processor's cache; short texts need the first. The keys of two streams have different hashes.
  struct Entry {
    std::uint64_t key = 0, hash = 0;
    /// 0 if there is no text.
    std::uint8_t size = 0;
    std::array<std::uint8_t, kLongest> bytes;

    bool holds(std::uint64_t other, Bytes text) const {
      return key == other && size == text.size() && std::ranges::equal(text, Bytes(bytes).first(size));
    }
  };

  static std::size_t placeOf(std::uint64_t key, Bytes text) {
    const std::uint64_t first = text.size() < 8 ? lastBytes(text, text.size()) : loadWord(text.data());
    const std::uint64_t last = text.size() < 8 ? 0 : loadWord(text.data() + text.size() - 8);
    return (first * 0x9e3779b97f4a7c15 + last * 0xd6e8feb86659fd93 + key) >> (64 - kBits);
  }

  /// Two texts have room in each place.
  alignas(64) std::array<std::array<Entry, 2>, std::size_t{1} << kBits> entries_;
};

}  // namespace driftlock
