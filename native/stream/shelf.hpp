#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace driftlock {

/// Tells streams apart. The hash alone does not: its function is public, so a tenant could name a resource such that it
/// met another tenant's stream.
struct StreamId {
  std::uint64_t hash = 0;
  std::string_view tenant;

  bool operator==(const StreamId&) const = default;
  struct Hash {
    std::size_t operator()(const StreamId& id) const { return static_cast<std::size_t>(id.hash); }
  };
};

/// Packed snapshots of streams that had to give way, so that one that comes back has not forgotten what it learned. At
/// most `capacity` bytes; the one that was put first goes first.
class Shelf {
 public:
  explicit Shelf(std::size_t capacity) : capacity_(capacity) {}

  void put(const StreamId& id, std::vector<std::uint8_t> packed) {
    take(id);
    if (packed.size() + kOverhead > capacity_) return;
    order_.push_front({id.hash, std::string(id.tenant), std::move(packed)});
    places_[order_.front().id()] = order_.begin();
    bytes_ += order_.front().bytes();
    while (bytes_ > capacity_) remove(std::prev(order_.end()));
  }

  /// The snapshot, which is here no more.
  std::optional<std::vector<std::uint8_t>> take(const StreamId& id) {
    const auto found = places_.find(id);
    if (found == places_.end()) return {};
    const auto entry = found->second;
    bytes_ -= entry->packed.size();
    std::vector<std::uint8_t> packed = std::exchange(entry->packed, {});
    remove(entry);
    return packed;
  }

  /// Visits all, first put first, as (id, packed).
  template <typename Visit>
  void forEach(Visit&& visit) const {
    for (auto entry = order_.rbegin(); entry != order_.rend(); ++entry) visit(entry->id(), entry->packed);
  }

  std::size_t size() const { return order_.size(); }
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

  void remove(std::list<Entry>::iterator entry) {
    bytes_ -= entry->bytes();
    places_.erase(entry->id());
    order_.erase(entry);
  }

  std::size_t capacity_;
  std::size_t bytes_ = 0;
  /// Put last first.
  std::list<Entry> order_;
  std::unordered_map<StreamId, std::list<Entry>::iterator, StreamId::Hash> places_;
};

}  // namespace driftlock
