#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/state_bytes.hpp"

namespace driftlock {

/// A table of values by key, which is a keyed hash. A value keeps its slot until it is erased, so whoever remembers slot and key
/// finds it without a search. Values are in one of some orders, by when they were touched.
template <typename Value, std::size_t Orders = 1>
class SlotTable {
 public:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  std::size_t size() const { return size_; }
  /// The memory used beyond the object itself and by what values hold elsewhere, in bytes.
  std::size_t memory() const { return slots_.capacity() * sizeof(Slot) + index_.capacity() * sizeof(std::uint32_t); }
  Value& operator[](std::uint32_t slot) { return slots_[slot].value; }
  const Value& operator[](std::uint32_t slot) const { return slots_[slot].value; }
  std::uint64_t keyOf(std::uint32_t slot) const { return slots_[slot].key; }
  /// Whether the slot still has the value of that key.
  bool has(std::uint32_t slot, std::uint64_t key) const {
    return slot < slots_.size() && slots_[slot].used && slots_[slot].key == key;
  }

  /// The slot of a value; kNone if there is none.
  std::uint32_t find(std::uint64_t key) const {
    if (size_ == 0) return kNone;
    for (std::size_t at = home(key);; at = (at + 1) & (index_.size() - 1)) {
      const std::uint32_t slot = index_[at];
      if (slot == kNone || slots_[slot].key == key) return slot;
    }
  }
  /// Adds a value whose key is not in the table, as the one that was touched last. References to values are void then.
  std::uint32_t add(std::uint64_t key, std::size_t order = 0) {
    if (2 * (size_ + 1) > index_.size()) rehash(std::max(kLeast, 2 * index_.size()));
    std::uint32_t slot = free_;
    if (slot == kNone) {
      slot = static_cast<std::uint32_t>(slots_.size());
      slots_.emplace_back();
    } else {
      free_ = slots_[slot].after;
    }
    slots_[slot].key = key;
    slots_[slot].used = true;
    place(slot);
    ++size_;
    link(slot, order);
    return slot;
  }
  /// Moves a value to the end of an order.
  void touch(std::uint32_t slot, std::size_t order = 0) {
    if (ends_[order].last == slot && slots_[slot].order == order) return;
    unlink(slot);
    link(slot, order);
  }
  void erase(std::uint32_t slot) {
    unlink(slot);
    std::size_t at = home(slots_[slot].key);
    while (index_[at] != slot) at = next(at);
    // Those behind it move up, as far as they may.
    for (std::size_t from = next(at); index_[from] != kNone; from = next(from)) {
      const std::size_t wanted = home(slots_[index_[from]].key);
      const bool stays = at <= from ? at < wanted && wanted <= from : at < wanted || wanted <= from;
      if (stays) continue;
      index_[at] = index_[from];
      at = from;
    }
    index_[at] = kNone;
    slots_[slot] = {};
    slots_[slot].after = free_;
    free_ = slot;
    --size_;
  }

  /// The slot that was touched first, and the one that was touched after another; kNone if there is none.
  std::uint32_t oldest(std::size_t order = 0) const { return ends_[order].first; }
  std::uint32_t after(std::uint32_t slot) const { return slots_[slot].after; }

  /// Gives back memory that a storm has left behind.
  void shrink() {
    if (slots_.size() <= kLeast || 8 * size_ > slots_.size()) return;
    SlotTable smaller;
    for (std::size_t order = 0; order < Orders; ++order) {
      for (std::uint32_t slot = oldest(order); slot != kNone; slot = after(slot)) {
        smaller.slots_[smaller.add(slots_[slot].key, order)].value = std::move(slots_[slot].value);
      }
    }
    *this = std::move(smaller);
  }

  /// Appends all values in their orders. `Value::visit` lists its fields.
  void snapshot(std::vector<std::uint8_t>& out) const {
    StateWriter write(out);
    for (std::size_t order = 0; order < Orders; ++order) {
      std::uint32_t count = 0;
      for (std::uint32_t slot = oldest(order); slot != kNone; slot = after(slot)) ++count;
      write(count);
      for (std::uint32_t slot = oldest(order); slot != kNone; slot = after(slot)) {
        write(slots_[slot].key);
        Value::visit(slots_[slot].value, write);
      }
    }
  }
  /// Restores an empty table. Returns false if the bytes are no snapshot of at most so many values, each of which is `sound`; the
  /// table is then unusable.
  bool restore(Bytes in, std::size_t most) {
    StateReader read(in);
    for (std::size_t order = 0; order < Orders; ++order) {
      const auto count = read.get<std::uint32_t>();
      for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
        const auto key = read.get<std::uint64_t>();
        Value value;
        Value::visit(value, read);
        if (!read.ok() || size_ == most || find(key) != kNone || !value.sound(order)) return false;
        slots_[add(key, order)].value = std::move(value);
      }
    }
    return read.done();
  }

 private:
  static constexpr std::size_t kLeast = 16;

  struct Slot {
    std::uint64_t key = 0;
    std::uint32_t before = kNone, after = kNone;
    std::uint8_t order = 0;
    bool used = false;
    Value value{};
  };
  struct Ends {
    std::uint32_t first = kNone, last = kNone;
  };

  std::size_t home(std::uint64_t key) const { return static_cast<std::size_t>(key) & (index_.size() - 1); }
  std::size_t next(std::size_t at) const { return (at + 1) & (index_.size() - 1); }
  void place(std::uint32_t slot) {
    std::size_t at = home(slots_[slot].key);
    while (index_[at] != kNone) at = next(at);
    index_[at] = slot;
  }
  void rehash(std::size_t size) {
    index_.assign(size, kNone);
    for (const Ends& ends : ends_) {
      for (std::uint32_t slot = ends.first; slot != kNone; slot = slots_[slot].after) place(slot);
    }
  }
  void link(std::uint32_t slot, std::size_t order) {
    Ends& ends = ends_[order];
    Slot& own = slots_[slot];
    own.order = static_cast<std::uint8_t>(order);
    own.before = ends.last;
    own.after = kNone;
    (ends.last == kNone ? ends.first : slots_[ends.last].after) = slot;
    ends.last = slot;
  }
  void unlink(std::uint32_t slot) {
    const Slot& own = slots_[slot];
    Ends& ends = ends_[own.order];
    (own.before == kNone ? ends.first : slots_[own.before].after) = own.after;
    (own.after == kNone ? ends.last : slots_[own.after].before) = own.before;
  }

  std::vector<Slot> slots_;
  /// The slots by key, with linear probing. Its size is a power of two, and at most half of it is used.
  std::vector<std::uint32_t> index_;
  std::size_t size_ = 0;
  /// The first free slot; `after` leads to the others.
  std::uint32_t free_ = kNone;
  std::array<Ends, Orders> ends_;
};

}  // namespace driftlock
