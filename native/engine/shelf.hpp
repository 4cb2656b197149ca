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

/// Of tenants that share something of a limited size, the one that gives of it to a newcomer: that one itself where it has
/// an equal share or more, else the one that has most. So whatever a tenant asks for, one that has no more than an equal
/// share loses nothing.
/// @param tenants a map by name, not empty; `sizeOf` tells what one of them has, `total` what all have.
template <typename Tenants, typename SizeOf>
auto crowding(Tenants& tenants, std::string_view newcomer, std::size_t total, SizeOf&& sizeOf) {
  if (const auto own = tenants.find(newcomer); own != tenants.end() && sizeOf(own->second) * tenants.size() >= total) return own;
  return std::max_element(tenants.begin(), tenants.end(),
                          [&](const auto& a, const auto& b) { return sizeOf(a.second) < sizeOf(b.second); });
}

/// Packed snapshots of streams that had to give way, so that one that comes back has not forgotten what it learned. At
/// most `capacity` bytes, shared by tenants; of a tenant, the one that was put first goes first.
class Shelf {
 public:
  explicit Shelf(std::size_t capacity) : capacity_(capacity) {}

  /// False where it is too large to be kept. What has to go for it is told to `dropped`, as (id, packed).
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

  /// The snapshot, which is here no more.
  std::optional<std::vector<std::uint8_t>> take(const StreamId& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return {};
    const auto entry = found->second;
    count(rows_.find(id.tenant)->second, -entry->packed.size());
    std::vector<std::uint8_t> packed = std::exchange(entry->packed, {});
    remove(entry);
    return packed;
  }

  /// Visits all, a tenant's after another's, first put first, as (id, packed).
  template <typename Visit>
  void forEach(Visit&& visit) const {
    for (const auto& [tenant, row] : rows_) {
      for (auto entry = row.order.rbegin(); entry != row.order.rend(); ++entry) visit(entry->id(), entry->packed);
    }
  }

  std::size_t size() const { return places_.size(); }
  std::size_t bytes() const { return bytes_; }

 private:
  /// Of a stream, besides its bytes: the nodes of list and table.
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
    /// Put last first.
    Order order;
    std::size_t bytes = 0;
  };

  /// Unsigned numbers wrap: a negative one is taken off.
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
  /// By tenant.
  std::map<std::string, Row, std::less<>> rows_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
};

}  // namespace driftlock
