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
  explicit Shelf(std::size_t capacity) : capacity_(capacity) {}

  /// Stores a snapshot. Returns false if it is too large to be kept. `dropped` is called with (id, packed) for each one
  /// that is dropped to make room.
  template <typename Dropped>
  bool put(const StreamId& id, std::vector<std::uint8_t> packed, Dropped&& dropped) {
    take(id);
    if (packed.size() + id.tenant.size() + kOverhead > capacity_) return false;
    Row& row = rows_[std::string(id.tenant)];
    row.order.push_front({id.hash, std::string(id.tenant), std::move(packed)});
    places_[row.order.front().id()] = row.order.begin();
    count(row, row.order.front().bytes());
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
    count(rows_.find(id.tenant)->second, -entry->packed.size());
    std::vector<std::uint8_t> packed = std::exchange(entry->packed, {});
    remove(entry);
    return packed;
  }

  /// Visits all snapshots as (id, packed), tenant by tenant, oldest first.
  template <typename Visit>
  void forEach(Visit&& visit) const {
    for (const auto& [tenant, row] : rows_) {
      for (auto entry = row.order.rbegin(); entry != row.order.rend(); ++entry) visit(entry->id(), entry->packed);
    }
  }

  std::size_t size() const { return places_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  /// The overhead of a stream besides its bytes: the nodes of list and table.
  static constexpr std::size_t kOverhead = 192;

  struct Entry {
    std::uint64_t hash;
    std::string tenant;
    std::vector<std::uint8_t> packed;

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

  void remove(Order::iterator entry) {
    const auto row = rows_.find(entry->tenant);
    count(row->second, -entry->bytes());
    places_.erase(entry->id());
    row->second.order.erase(entry);
    if (row->second.order.empty()) rows_.erase(row);
  }

  std::size_t capacity_;
  std::size_t bytes_ = 0;
  /// The snapshots of each tenant.
  std::map<std::string, Row, std::less<>> rows_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
};

}  // namespace driftlock
