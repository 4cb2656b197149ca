#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"
#include "base/window.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// The records of a window as it was once. They are compressed, because they stay for as long as the stream and are read only to
/// explain a verdict.
class Excerpt {
 public:
  Excerpt() = default;
  explicit Excerpt(const Window& window);

  /// Visits the records, the oldest first. What a visit gets ends with it.
  template <typename Visit>
  void forEach(Visit&& visit) const {
    const OwnedBytes state = unpack();
    StateReader read(state);
    for (auto left = read.get<std::uint32_t>(); left > 0; --left) visit(read.getBytes());
  }

  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const { return packed_.capacity(); }
  /// Appends what the window's own `snapshot` would.
  void snapshot(std::vector<std::uint8_t>& out) const;

 private:
  OwnedBytes unpack() const;

  /// The window's snapshot, and how long it is; an excerpt without records may have none.
  std::vector<std::uint8_t> packed_;
  std::uint32_t size_ = 0;
};

}  // namespace driftlock
