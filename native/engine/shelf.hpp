#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"
#include "engine/saves.hpp"
#include "record/stream_key.hpp"

namespace driftlock {

/// Chooses which of the tenants that share a limited resource makes room for a newcomer: its own tenant if that has an
/// equal share or more, otherwise the one that has most. So whatever one tenant requests, a tenant with no more than an
/// equal share loses nothing.
/// @param tenants a map by name, not empty; `sizeOf` returns what one of them has, and `total` is what all have.
template <typename Tenants, typename SizeOf>
auto crowding(Tenants& tenants, std::string_view newcomer, std::size_t total, SizeOf&& sizeOf) {
  if (const auto own = tenants.find(newcomer); own != tenants.end() && sizeOf(own->second) * tenants.size() >= total) return own;
  return std::max_element(tenants.begin(), tenants.end(),
                          [&](const auto& a, const auto& b) { return sizeOf(a.second) < sizeOf(b.second); });
}

/// Packed snapshots of evicted streams, so that one that comes back has not forgotten what it learned. It holds at most
/// `capacity` bytes, shared by tenants; within a tenant, the oldest snapshot is dropped first.
class Shelf {
 public:
  Shelf(std::size_t capacity, Saves& saves) : capacity_(capacity), saves_(saves) {}

  /// Stores a snapshot. Returns false if it is too large to be kept. `dropped` is called with (id, packed) for each one
  /// that is dropped to make room.
  template <typename Dropped>
  bool put(const StreamId& id, std::vector<std::uint8_t> packed, Dropped&& dropped) {
    take(id);
    if (packed.size() + id.tenant.size() + kOverhead > capacity_) return false;
    saves_.change(add(id, std::move(packed), saves_.use()));
    while (bytes_ > capacity_) {
      const auto crowded = crowding(rows_, id.tenant, bytes_, [](const Row& each) { return each.bytes; });
      const auto last = std::prev(crowded->second.order.end());
      dropped(last->id(), Bytes(last->packed));
      remove(last);
    }
    return places_.contains(id);
  }

  /// Removes and returns the snapshot of a stream.
  std::optional<std::vector<std::uint8_t>> take(const StreamId& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return {};
    const auto entry = found->second;
    saves_.remove(*entry);
    count(rows_.find(id.tenant)->second, -entry->packed.size());
    std::vector<std::uint8_t> packed = std::exchange(entry->packed, {});
    remove(entry);
    return packed;
  }

  /// Adds a snapshot from a record that `save` of it wrote, in any order; `settle` comes after the last. Returns false if it is
  /// none, or is there already.
  bool restore(const SavedKey& key, Bytes value, std::uint64_t digest) {
    StateReader read(value);
    const auto order = read.get<std::uint64_t>();
    const StreamId id{key.number, key.tenant};
    if (!read.ok() || places_.contains(id)) return false;
    const Bytes packed = value.last(read.left());
    if (packed.size() + id.tenant.size() + kOverhead > capacity_) return false;
    saves_.restored(add(id, {packed.begin(), packed.end()}, order), digest);
    return true;
  }
  /// Puts what was restored in order. Returns false if it is more than fits, or comes later than the latest.
  bool settle(std::uint64_t latest) {
    for (auto& [tenant, row] : rows_) {
      row.order.sort([](const Entry& a, const Entry& b) { return a.order > b.order; });
      if (row.order.front().order > latest) return false;
    }
    return bytes_ <= capacity_;
  }

  /// Visits all snapshots as Savable.
  template <typename Visit>
  void forEach(Visit&& visit) {
    for (auto& [tenant, row] : rows_) {
      for (Entry& entry : row.order) visit(entry);
    }
  }

  std::size_t size() const { return places_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  /// The overhead of a stream besides its bytes: the nodes of list and table.
  static constexpr std::size_t kOverhead = 192;

  struct Entry final : Savable {
    Entry(const StreamId& id, std::vector<std::uint8_t> packed, std::uint64_t order)
        : hash(id.hash), tenant(id.tenant), packed(std::move(packed)), order(order) {}

    SavedKey savedKey() const override { return {SavedKind::PutAside, hash, tenant}; }
    void save(const Codec&, std::vector<std::uint8_t>& value) const override {
      driftlock::put(value, order);
      value.insert(value.end(), packed.begin(), packed.end());
    }

    std::uint64_t hash;
    std::string tenant;
    std::vector<std::uint8_t> packed;
    /// Its place in the order of `put`.
    std::uint64_t order;

    StreamId id() const { return {hash, tenant}; }
    std::size_t bytes() const { return packed.size() + tenant.size() + kOverhead; }
  };

  using Order = std::list<Entry>;
  struct Row {
    /// The snapshots, newest first.
    Order order;
    std::size_t bytes = 0;
  };

  /// Adds bytes to the counts. Unsigned numbers wrap, so a negated number is subtracted.
  void count(Row& row, std::size_t bytes) {
    row.bytes += bytes;
    bytes_ += bytes;
  }

  Entry& add(const StreamId& id, std::vector<std::uint8_t> packed, std::uint64_t order) {
    Row& row = rows_[std::string(id.tenant)];
    Entry& entry = row.order.emplace_front(id, std::move(packed), order);
    places_[entry.id()] = row.order.begin();
    count(row, entry.bytes());
    return entry;
  }

  void remove(Order::iterator entry) {
    saves_.remove(*entry);
    const auto row = rows_.find(entry->tenant);
    count(row->second, -entry->bytes());
    places_.erase(entry->id());
    row->second.order.erase(entry);
    if (row->second.order.empty()) rows_.erase(row);
  }

  std::size_t capacity_;
  Saves& saves_;
  std::size_t bytes_ = 0;
  /// The snapshots of each tenant.
  std::map<std::string, Row, std::less<>> rows_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
};

}  // namespace driftlock
