#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>

namespace driftlock {

/// A table in the order of use, from which the least recently used entry can be removed. Entries stay at their place in memory.
/// Numeric keys are keyed hashes; names are sorted, since whoever chooses them could choose some that collide in a hash table.
template <typename Key, typename Value>
class RecencyTable {
 public:
  using Name = std::conditional_t<std::is_same_v<Key, std::string>, std::string_view, Key>;
  struct Entry {
    const Key key;
    Value value;
  };

  std::size_t size() const { return places_.size(); }
  bool empty() const { return places_.empty(); }
  bool contains(Name key) const { return places_.contains(key); }

  /// Marks an entry as the most recently used and returns it; null if there is none.
  Entry* use(Name key) {
    const auto place = places_.find(key);
    if (place == places_.end()) return nullptr;
    order_.splice(order_.begin(), order_, place->second);
    return &order_.front();
  }
  /// Returns an entry without marking it; null if there is none.
  Entry* find(Name key) {
    const auto place = places_.find(key);
    return place == places_.end() ? nullptr : &*place->second;
  }
  /// Adds an entry as the most recently used; `key` is not in the table.
  Entry& add(Name key, Value value = Value()) {
    order_.push_front(Entry{Key(key), std::move(value)});
    places_[order_.front().key] = order_.begin();
    return order_.front();
  }

  /// The least recently used entry of a table that is not empty.
  Entry& oldest() { return order_.back(); }
  /// Returns true if the key was in the table.
  bool erase(Name key) {
    const auto place = places_.find(key);
    if (place == places_.end()) return false;
    const auto entry = place->second;
    // The place goes first: the key may lie in the entry.
    places_.erase(place);
    order_.erase(entry);
    return true;
  }

  /// Iterates with the most recently used first; `rbegin` is the oldest.
  auto begin() { return order_.begin(); }
  auto end() { return order_.end(); }
  auto begin() const { return order_.begin(); }
  auto end() const { return order_.end(); }
  auto rbegin() const { return order_.rbegin(); }
  auto rend() const { return order_.rend(); }

 private:
  std::list<Entry> order_;
  using Place = typename std::list<Entry>::iterator;
  std::conditional_t<std::is_same_v<Key, std::string>, std::map<Name, Place>, std::unordered_map<Name, Place>> places_;
};

}  // namespace driftlock
