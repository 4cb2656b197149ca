#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {

/// A bounded set of hashes seen before: two generations of at most `capacity` each. When the young one is full it
/// becomes the old one, and hashes not looked up since then are forgotten. Memory grows from nothing.
///
/// Hashes are kept whole: one that collided with a known hash would pass as known, unnoticed.
class KnownSet {
 public:
  explicit KnownSet(std::size_t capacity) : capacity_(capacity) {}

  bool contains(std::uint64_t hash) {
    hash = named(hash);
    if (find(young_, hash)) return true;
    if (!std::ranges::binary_search(old_, hash)) return false;
    add(hash);
    return true;
  }

  void insert(std::uint64_t hash) {
    hash = named(hash);
    if (!find(young_, hash)) add(hash);
  }

  std::size_t memory() const { return (young_.capacity() + old_.capacity()) * sizeof(std::uint64_t); }

  /// Appends the hashes in ascending order, so that equal sets give equal snapshots.
  void snapshot(std::vector<std::uint8_t>& out) const {
    for (const auto& hashes : {old_, hashesOf(young_)}) {
      put(out, static_cast<std::uint32_t>(hashes.size()));
      for (const std::uint64_t hash : hashes) put(out, hash);
    }
  }

  /// Returns false, and changes nothing, if the bytes are not a snapshot of a set of at most this capacity.
  bool restore(Bytes in) {
    StateReader read(in);
    KnownSet fresh(capacity_);
    for (const bool old : {true, false}) {
      const std::uint32_t count = read.get<std::uint32_t>();
      if (count > capacity_ || count > read.left() / sizeof(std::uint64_t)) return false;
      std::uint64_t last = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto hash = read.get<std::uint64_t>();
        if (hash <= last) return false;
        fresh.add(last = hash);
      }
      if (old) fresh.age();
    }
    if (!read.done()) return false;
    *this = std::move(fresh);
    return true;
  }

 private:
  /// Replaces 0, which stands for an empty slot.
  static std::uint64_t named(std::uint64_t hash) { return hash == 0 ? 1 : hash; }
  void age() {
    old_ = hashesOf(young_);
    young_ = {};
    count_ = 0;
  }
  /// The hashes of a table in ascending order.
  static std::vector<std::uint64_t> hashesOf(const std::vector<std::uint64_t>& table) {
    std::vector<std::uint64_t> hashes;
    hashes.reserve(table.size());
    std::copy_if(table.begin(), table.end(), std::back_inserter(hashes), [](std::uint64_t hash) { return hash != 0; });
    std::ranges::sort(hashes);
    hashes.shrink_to_fit();
    return hashes;
  }
  void add(std::uint64_t hash) {
    if (count_ == capacity_) age();
    if ((count_ + 1) * 6 > young_.size() * 5) grow();
    place(young_, hash);
    ++count_;
  }
  // Open addressing, linear probing, at most five sixths full.
  static std::size_t home(const std::vector<std::uint64_t>& table, std::uint64_t hash) {
    return static_cast<std::size_t>((hash >> 32) * table.size() >> 32);
  }
  static std::size_t next(const std::vector<std::uint64_t>& table, std::size_t i) { return i + 1 == table.size() ? 0 : i + 1; }
  static bool find(const std::vector<std::uint64_t>& table, std::uint64_t hash) {
    if (table.empty()) return false;
    for (std::size_t i = home(table, hash); table[i] != 0; i = next(table, i)) {
      if (table[i] == hash) return true;
    }
    return false;
  }
  static void place(std::vector<std::uint64_t>& table, std::uint64_t hash) {
    std::size_t i = home(table, hash);
    while (table[i] != 0) i = next(table, i);
    table[i] = hash;
  }
  /// Doubles the table, but never beyond what the capacity needs.
  void grow() {
    const std::size_t most = capacity_ + capacity_ / 5 + 1;
    std::vector<std::uint64_t> larger(std::min(most, young_.empty() ? std::size_t{32} : young_.size() * 2));
    for (std::uint64_t hash : young_) {
      if (hash != 0) place(larger, hash);
    }
    young_ = std::move(larger);
  }

  std::size_t capacity_;
  std::size_t count_ = 0;
  /// A table, and the hashes of the generation before in ascending order.
  std::vector<std::uint64_t> young_, old_;
};

}  // namespace driftlock
