#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/words.hpp"
#include "privacy/scanner.hpp"

namespace driftlock {

/// What a field's key stands for in a stream: the hashes under it, and what it says about its values.
struct FieldKey {
  KeyedHash::Name name;
  privacy::Naming naming;
};

/// The keys that the streams of a thread met lately. They are few, and finding one by its bytes is cheaper than hashing it; what
/// is found is the same.
class FieldKeys {
 public:
  /// Returns a key of a stream, which is valid until the next call.
  /// @param stream a number that stands for the hash, and for no other, as long as the process runs; not 0
  const FieldKey& find(std::uint64_t stream, const KeyedHash& hash, Bytes key) {
    if (key.size() > kLongest) return other_.emplace(make(hash, key));
    auto& [latest, older] = entries_[placeOf(stream, key)];
    if (latest.holds(stream, key)) return *latest.key;
    if (older.holds(stream, key)) return *older.key;
    older = latest;
    latest.key.emplace(make(hash, key));
    latest.stream = stream;
    latest.size = static_cast<std::uint8_t>(key.size());
    std::ranges::copy(key, latest.bytes.begin());
    return *latest.key;
  }

 private:
  static constexpr std::size_t kLongest = 55, kBits = 8;

  /// Fills two lines of the processor's cache.
  struct Entry {
    /// 0 if there is no key.
    std::uint64_t stream = 0;
    std::uint8_t size = 0;
    std::array<std::uint8_t, kLongest> bytes;
    std::optional<FieldKey> key;

    bool holds(std::uint64_t other, Bytes text) const {
      return stream == other && size == text.size() && std::ranges::equal(text, Bytes(bytes).first(size));
    }
  };

  static FieldKey make(const KeyedHash& hash, Bytes key) { return {hash.name(key), privacy::namingOf(textOf(key))}; }

  static std::size_t placeOf(std::uint64_t stream, Bytes key) {
    const std::uint64_t first = key.size() < 8 ? lastBytes(key, key.size()) : loadWord(key.data());
    const std::uint64_t last = key.size() < 8 ? 0 : loadWord(key.data() + key.size() - 8);
    return (first * 0x9e3779b97f4a7c15 + last * 0xd6e8feb86659fd93 + (stream + key.size()) * 0xff51afd7ed558ccd) >> (64 - kBits);
  }

  /// Two keys have room in each place.
  alignas(64) std::array<std::array<Entry, 2>, std::size_t{1} << kBits> entries_;
  std::optional<FieldKey> other_;
};

}  // namespace driftlock
