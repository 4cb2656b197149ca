#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "bytes.hpp"
#include "cbad/state_bytes.hpp"

namespace driftlock {

/// Hashes seen before, bounded: two generations of at most `capacity` each. When the young one is full it becomes the old
/// one, and what has not been asked for since then is forgotten. Grows from nothing.
///
/// 32 bits of each hash are kept: something new is taken for known once in four million times.
class KnownSet {
 public:
  explicit KnownSet(std::size_t capacity) : capacity_(capacity) {}

  bool contains(std::uint64_t key) {
    const std::uint32_t hash = fold(key);
    if (find(young_, hash)) return true;
    if (!find(old_, hash)) return false;
    add(hash);
    return true;
  }

  void insert(std::uint64_t key) {
    const std::uint32_t hash = fold(key);
    if (!find(young_, hash)) add(hash);
  }

  std::size_t memory() const { return (young_.capacity() + old_.capacity()) * sizeof(std::uint32_t); }

  /// Ascending, so that sets that hold the same write the same.
  void snapshot(std::vector<std::uint8_t>& out) const {
    for (const auto* table : {&old_, &young_}) {
      std::vector<std::uint32_t> hashes;
      std::copy_if(table->begin(), table->end(), std::back_inserter(hashes), [](std::uint32_t hash) { return hash != 0; });
      std::sort(hashes.begin(), hashes.end());
      put(out, static_cast<std::uint32_t>(hashes.size()));
      for (const std::uint32_t hash : hashes) put(out, hash);
    }
  }

  /// False, with nothing changed, where the bytes are no snapshot of a set of at most this capacity.
  bool restore(Bytes in) {
    StateReader read(in);
    KnownSet fresh(capacity_);
    for (const bool old : {true, false}) {
      const std::uint32_t count = read.get<std::uint32_t>();
      if (count > capacity_ || count > read.left() / sizeof(std::uint32_t)) return false;
      std::uint32_t last = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const auto hash = read.get<std::uint32_t>();
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
  static std::uint32_t fold(std::uint64_t key) {
    const auto hash = static_cast<std::uint32_t>(key ^ key >> 32);
    return hash == 0 ? 1 : hash;
  }
  void age() {
    old_ = std::move(young_);
    young_.clear();
    count_ = 0;
  }
  void add(std::uint32_t hash) {
    if (count_ == capacity_) age();
    if ((count_ + 1) * 2 > young_.size()) grow();
    place(young_, hash);
    ++count_;
  }
  // Open addressing, linear probing, a power of two and at most half full; 0 is an empty slot.
  static bool find(const std::vector<std::uint32_t>& table, std::uint32_t hash) {
    if (table.empty()) return false;
    const std::size_t last = table.size() - 1;
    for (std::size_t i = hash & last; table[i] != 0; i = (i + 1) & last) {
      if (table[i] == hash) return true;
    }
    return false;
  }
  static void place(std::vector<std::uint32_t>& table, std::uint32_t hash) {
    const std::size_t last = table.size() - 1;
    std::size_t i = hash & last;
    while (table[i] != 0) i = (i + 1) & last;
    table[i] = hash;
  }
  void grow() {
    std::vector<std::uint32_t> larger(young_.empty() ? 32 : young_.size() * 2);
    for (std::uint32_t hash : young_) {
      if (hash != 0) place(larger, hash);
    }
    young_ = std::move(larger);
  }

  std::size_t capacity_;
  std::size_t count_ = 0;
  std::vector<std::uint32_t> young_, old_;
};

}  // namespace driftlock
