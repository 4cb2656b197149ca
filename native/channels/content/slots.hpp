#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace driftlock {

/// The tables that a thread made last, one for each of a few owners: a table is too large for each of ten thousand
/// streams, and takes long to fill. `Slot` has an `owner`, which is 0 in a fresh one.
template <class Slot, std::size_t kMost>
class Slots {
 public:
  /// Finds the owner's slot, or one that it may take. `hint` is where it was found last.
  Slot& find(std::uint64_t owner, std::uint32_t& hint) {
    if (hint >= entries_.size() || entries_[hint].slot->owner != owner) hint = place(owner);
    entries_[hint].usedAt = ++uses_;
    return *entries_[hint].slot;
  }

 private:
  struct Entry {
    std::unique_ptr<Slot> slot;
    std::uint64_t usedAt = 0;
  };

  std::uint32_t place(std::uint64_t owner) {
    std::uint32_t oldest = 0;
    for (std::uint32_t i = 0; i < entries_.size(); ++i) {
      if (entries_[i].slot->owner == owner) return i;
      if (entries_[i].usedAt < entries_[oldest].usedAt) oldest = i;
    }
    if (entries_.size() == kMost) return oldest;
    entries_.push_back({std::make_unique<Slot>()});
    return static_cast<std::uint32_t>(entries_.size() - 1);
  }

  std::vector<Entry> entries_;
  std::uint64_t uses_ = 0;
};

}  // namespace driftlock
