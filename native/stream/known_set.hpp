#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace driftlock {

/// Hashes seen before, bounded: two generations of at most `capacity` each. When the young one is full it becomes the old
/// one, and what has not been asked for since then is forgotten. Grows from nothing.
class KnownSet {
 public:
  explicit KnownSet(std::size_t capacity) : capacity_(capacity) {}

  bool contains(std::uint64_t hash) {
    hash += hash == 0;
    if (find(young_, hash)) return true;
    if (!find(old_, hash)) return false;
    insert(hash);
    return true;
  }

  void insert(std::uint64_t hash) {
    hash += hash == 0;
    if (find(young_, hash)) return;
    if (count_ == capacity_) {
      old_ = std::move(young_);
      young_.clear();
      count_ = 0;
    }
    if ((count_ + 1) * 2 > young_.size()) grow();
    place(young_, hash);
    ++count_;
  }

  std::size_t memory() const { return (young_.capacity() + old_.capacity()) * sizeof(std::uint64_t); }

  const std::vector<std::uint64_t>& young() const { return young_; }
  const std::vector<std::uint64_t>& old() const { return old_; }

 private:
  // Open addressing, linear probing, a power of two and at most half full; 0 is an empty slot.
  static bool find(const std::vector<std::uint64_t>& table, std::uint64_t hash) {
    if (table.empty()) return false;
    const std::size_t last = table.size() - 1;
    for (std::size_t i = hash & last; table[i] != 0; i = (i + 1) & last) {
      if (table[i] == hash) return true;
    }
    return false;
  }
  static void place(std::vector<std::uint64_t>& table, std::uint64_t hash) {
    const std::size_t last = table.size() - 1;
    std::size_t i = hash & last;
    while (table[i] != 0) i = (i + 1) & last;
    table[i] = hash;
  }
  void grow() {
    std::vector<std::uint64_t> larger(young_.empty() ? 32 : young_.size() * 2);
    for (std::uint64_t hash : young_) {
      if (hash != 0) place(larger, hash);
    }
    young_ = std::move(larger);
  }

  std::size_t capacity_;
  std::size_t count_ = 0;
  std::vector<std::uint64_t> young_, old_;
};

}  // namespace driftlock
