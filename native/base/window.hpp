#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"
#include "base/work.hpp"

namespace driftlock {

/// The latest records of a stream as received, bounded in number and bytes: copying them costs less than reading them, and they
/// are read only to explain a verdict.
class Window {
 public:
  Window(std::uint32_t maxRecords, std::uint32_t maxBytes) : maxRecords_(maxRecords), maxBytes_(maxBytes) {}

  /// Appends a record; one longer than the window's bytes is left out.
  void push(Bytes record) {
    const auto size = static_cast<std::uint32_t>(record.size());
    if (size > maxBytes_) return;
    countWork(size);
    while (records() > 0 && (records() >= maxRecords_ || used_ + size > maxBytes_)) {
      begin_ += sizes_[first_];
      used_ -= sizes_[first_++];
    }
    // The bytes slide back once the buffer is a quarter larger than necessary: each is moved four times at most.
    if (begin_ > maxBytes_ / 4) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + begin_);
      begin_ = 0;
    }
    if (first_ > sizes_.size() / 2 && first_ > kSlack) {
      sizes_.erase(sizes_.begin(), sizes_.begin() + first_);
      first_ = 0;
    }
    // The buffer doubles, but never beyond its largest possible size.
    if (const std::size_t needed = bytes_.size() + size; needed > bytes_.capacity()) {
      bytes_.reserve(std::max(needed, std::min<std::size_t>(2 * needed, maxBytes_ + maxBytes_ / 4)));
    }
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    sizes_.push_back(size);
    used_ += size;
  }

  /// Whether a record can be pushed without removing any other.
  bool fits(Bytes record) const { return records() < maxRecords_ && record.size() <= maxBytes_ - used_; }

  /// Releases memory beyond what the content needs.
  void compact() {
    bytes_.erase(bytes_.begin(), bytes_.begin() + begin_);
    sizes_.erase(sizes_.begin(), sizes_.begin() + first_);
    begin_ = first_ = 0;
    bytes_.shrink_to_fit();
    sizes_.shrink_to_fit();
  }

  /// Visits the records, the oldest first.
  template <typename Visit>
  void forEach(Visit&& visit) const {
    std::size_t at = begin_;
    for (std::size_t i = first_; i < sizes_.size(); ++i) {
      visit(Bytes(bytes_).subspan(at, sizes_[i]));
      at += sizes_[i];
    }
  }

  std::size_t records() const { return sizes_.size() - first_; }
  std::size_t memory() const { return bytes_.capacity() + sizes_.capacity() * sizeof(std::uint32_t); }

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
    return read.done() && records() == count;
  }

 private:
  static constexpr std::uint32_t kSlack = 64;

  std::uint32_t maxRecords_, maxBytes_;
  /// The position of the oldest record in `bytes_` and in `sizes_`.
  std::uint32_t begin_ = 0, first_ = 0;
  std::uint32_t used_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::uint32_t> sizes_;
};

}  // namespace driftlock
