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

/// What a field's key stands for: the hashes under it, and what it says about its values.
struct FieldKey {
  KeyedHash::Name name;
  privacy::Naming naming;
};

/// The keys that a thread met lately. They are few, and finding one by its bytes is cheaper than hashing it; what is found is
/// the same.
class FieldKeys {
 public:
  /// Returns the thread's keys under a hash.
  static FieldKeys& of(const KeyedHash& hash) {
    thread_local FieldKeys keys(hash);
    if (!(keys.hash_ == hash)) keys = FieldKeys(hash);
    return keys;
  }

  /// Valid until the next call.
  const FieldKey& find(Bytes key) {
    if (key.size() > kLongest) return other_.emplace(make(key));
    auto& [latest, older] = entries_[placeOf(key)];
    if (latest.holds(key)) return *latest.key;
    if (older.holds(key)) return *older.key;
    older = latest;
    std::ranges::copy(key, latest.bytes.begin());
    latest.size = key.size();
    return latest.key.emplace(make(key));
  }

 private:
  static constexpr std::size_t kLongest = 48, kBits = 7;

  struct Entry {
    std::array<std::uint8_t, kLongest> bytes;
    std::size_t size = 0;
    std::optional<FieldKey> key;

    bool holds(Bytes other) const { return key && std::ranges::equal(other, Bytes(bytes).first(size)); }
  };

  explicit FieldKeys(const KeyedHash& hash) : hash_(hash) {}

  FieldKey make(Bytes key) const { return {hash_.name(key), privacy::namingOf(textOf(key))}; }

  static std::size_t placeOf(Bytes key) {
    const std::uint64_t first = key.size() < 8 ? lastBytes(key, key.size()) : loadWord(key.data());
    const std::uint64_t last = key.size() < 8 ? 0 : loadWord(key.data() + key.size() - 8);
    return (first * 0x9e3779b97f4a7c15 + last * 0xd6e8feb86659fd93 + key.size()) >> (64 - kBits);
  }

  KeyedHash hash_;
  /// Two keys have room in each place.
  std::array<std::array<Entry, 2>, std::size_t{1} << kBits> entries_;
  std::optional<FieldKey> other_;
};

}  // namespace driftlock
