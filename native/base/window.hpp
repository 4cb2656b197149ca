#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"
#include "base/work.hpp"

namespace driftlock {

/// The latest records of a stream as received, bounded in number and bytes: copying them costs less than reading them, and they
/// are read only to explain a verdict.
class Window {
 public:
  /// @param maxBytes at most 65,535
  Window(std::uint32_t maxRecords, std::uint32_t maxBytes)
      : maxRecords_(maxRecords), maxBytes_(std::min<std::uint32_t>(maxBytes, UINT16_MAX)) {}

  /// Appends a record; one longer than the window's bytes is left out.
  void push(Bytes record) {
    const auto size = static_cast<std::uint32_t>(record.size());
    if (size > maxBytes_) return;
    countWork(size);
    while (records() > 0 && (records() >= maxRecords_ || used_ + size > maxBytes_)) {
      begin_ = wrap(begin_ + sizes_[first_]);
      used_ -= sizes_[first_++];
      if (rewritten_ > 0) --rewritten_;
    }
    if (first_ > sizes_.size() / 2 && first_ > kSlack) {
      sizes_.erase(sizes_.begin(), sizes_.begin() + first_);
      first_ = 0;
    }
    // The ring doubles, but never beyond its largest possible size.
    if (const std::size_t needed = used_ + size; needed > ring_.size())
      resize(std::max(needed, std::min<std::size_t>(2 * needed, maxBytes_)));
    const std::size_t at = wrap(begin_ + used_), whole = std::min<std::size_t>(size, ring_.size() - at);
    std::copy_n(record.begin(), whole, ring_.begin() + static_cast<std::ptrdiff_t>(at));
    std::copy(record.begin() + static_cast<std::ptrdiff_t>(whole), record.end(), ring_.begin());
    sizes_.push_back(static_cast<std::uint16_t>(size));
    used_ += size;
  }

  /// Whether a record can be pushed without removing any other.
  bool fits(Bytes record) const { return records() < maxRecords_ && record.size() <= maxBytes_ - used_; }

  /// Releases memory beyond what the content needs.
  void compact() {
    resize(used_);
    sizes_.erase(sizes_.begin(), sizes_.begin() + first_);
    sizes_.shrink_to_fit();
    first_ = 0;
  }

  /// Visits the records, the oldest first. What a visit gets ends with it.
  template <typename Visit>
  void forEach(Visit&& visit) const {
    thread_local std::vector<std::uint8_t> joined;
    std::size_t at = begin_;
    for (std::size_t i = first_; i < sizes_.size(); ++i) {
      const std::size_t size = sizes_[i], whole = std::min(size, ring_.size() - at);
      const Bytes bytes = Bytes(ring_).subspan(at, whole);
      at = wrap(at + size);
      if (whole == size) {
        visit(bytes);
        continue;
      }
      joined.assign(bytes.begin(), bytes.end());
      joined.insert(joined.end(), ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(at));
      visit(Bytes(joined));
    }
  }

  /// Lets a visit change the bytes of the records that were pushed since the last call, the oldest first. Sizes stay.
  template <typename Visit>
  void rewriteLatest(Visit&& visit) {
    std::vector<std::uint8_t> joined;
    std::size_t at = begin_;
    for (std::size_t i = first_; i < sizes_.size(); ++i) {
      const std::size_t size = sizes_[i], whole = std::min(size, ring_.size() - at), begin = at;
      at = wrap(at + size);
      if (i - first_ < rewritten_) continue;
      const auto from = ring_.begin() + static_cast<std::ptrdiff_t>(begin);
      if (whole == size) {
        visit(std::span(from, size));
        continue;
      }
      joined.assign(from, from + static_cast<std::ptrdiff_t>(whole));
      joined.insert(joined.end(), ring_.begin(), ring_.begin() + static_cast<std::ptrdiff_t>(at));
      visit(std::span(joined));
      std::copy_n(joined.begin(), whole, from);
      std::copy(joined.begin() + static_cast<std::ptrdiff_t>(whole), joined.end(), ring_.begin());
    }
    rewritten_ = records();
  }

  std::size_t records() const { return sizes_.size() - first_; }
  std::size_t memory() const { return ring_.capacity() + sizes_.capacity() * sizeof(std::uint16_t); }

  void snapshot(std::vector<std::uint8_t>& out) const {
    put(out, static_cast<std::uint32_t>(records()));
    forEach([&](Bytes record) { putBytes(out, record); });
  }

  /// Restores a fresh window. Returns false if the bytes are no snapshot of a window with these bounds; it is unusable then.
  bool restore(Bytes in) {
    StateReader read(in);
    const std::uint32_t count = read.get<std::uint32_t>();
    if (count > maxRecords_ || count > read.left() / sizeof(std::uint32_t)) return false;
    for (std::uint32_t i = 0; i < count; ++i) push(read.getBytes());
    rewritten_ = count;
    return read.done() && records() == count;
  }

 private:
  static constexpr std::uint32_t kSlack = 64;

  std::size_t wrap(std::size_t at) const { return at >= ring_.size() ? at - ring_.size() : at; }
  /// Gives the ring another size, with the oldest record at its beginning.
  void resize(std::size_t size) {
    std::vector<std::uint8_t> other;
    other.reserve(size);
    forEach([&](Bytes record) { other.insert(other.end(), record.begin(), record.end()); });
    other.resize(size);
    ring_ = std::move(other);
    begin_ = 0;
  }

  std::uint32_t maxRecords_, maxBytes_;
  /// The place of the oldest record's bytes in `ring_`, and of its size in `sizes_`.
  std::size_t begin_ = 0;
  std::uint32_t first_ = 0;
  std::uint32_t used_ = 0;
  /// The number of records, the oldest, that `rewriteLatest` has visited.
  std::size_t rewritten_ = 0;
  /// The bytes of the records, which continue at the beginning after the end.
  std::vector<std::uint8_t> ring_;
  std::vector<std::uint16_t> sizes_;
};

}  // namespace driftlock
