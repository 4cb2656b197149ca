#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

#include "bytes.hpp"

namespace driftlock {

/// The last records of a stream as they came, bounded in number and bytes: copying them costs less than reading them,
/// and they are read only where a verdict is explained.
class Window {
 public:
  Window(std::uint32_t maxRecords, std::uint32_t maxBytes) : maxRecords_(maxRecords), maxBytes_(maxBytes) {}

  /// A record longer than the bytes there are is left out.
  void push(Bytes record) {
    const auto size = static_cast<std::uint32_t>(record.size());
    if (size > maxBytes_) return;
    while (!sizes_.empty() && (sizes_.size() >= maxRecords_ || used_ + size > maxBytes_)) {
      begin_ += sizes_.front();
      used_ -= sizes_.front();
      sizes_.pop_front();
    }
    // The bytes slide back once the buffer is a half longer than it must be: each is moved twice at the most.
    if (begin_ > maxBytes_ / 2) {
      bytes_.erase(bytes_.begin(), bytes_.begin() + begin_);
      begin_ = 0;
    }
    // Doubling, but never beyond what it can come to.
    if (const std::size_t needed = bytes_.size() + size; needed > bytes_.capacity()) {
      bytes_.reserve(std::max(needed, std::min<std::size_t>(2 * needed, maxBytes_ + maxBytes_ / 2 + size)));
    }
    bytes_.insert(bytes_.end(), record.begin(), record.end());
    sizes_.push_back(size);
    used_ += size;
  }

  /// Gives back what growing has taken too much.
  void compact() {
    bytes_.erase(bytes_.begin(), bytes_.begin() + begin_);
    begin_ = 0;
    bytes_.shrink_to_fit();
  }

  /// Oldest first.
  template <typename Visit>
  void forEach(Visit&& visit) const {
    std::size_t at = begin_;
    for (std::uint32_t size : sizes_) {
      visit(Bytes(bytes_).subspan(at, size));
      at += size;
    }
  }

  std::size_t records() const { return sizes_.size(); }
  std::size_t memory() const { return bytes_.capacity() + sizes_.size() * sizeof(std::uint32_t); }

 private:
  std::uint32_t maxRecords_, maxBytes_;
  std::uint32_t begin_ = 0, used_ = 0;
  std::vector<std::uint8_t> bytes_;
  std::deque<std::uint32_t> sizes_;
};

}  // namespace driftlock
