#pragma once

// Snapshots as bytes: little-endian, fixed widths, read with bounds.

#include <bit>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "bytes.hpp"

namespace driftlock {

/// Appends an integer.
template <class T>
void put(std::vector<std::uint8_t>& out, T value) {
  static_assert(std::is_unsigned_v<T>);
  for (std::size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

inline void put_double(std::vector<std::uint8_t>& out, double value) { put(out, std::bit_cast<std::uint64_t>(value)); }

/// Reads what `put` wrote. Past the end it gives zeros and `ok()` turns false for good.
class StateReader {
 public:
  explicit StateReader(Bytes in) : in_(in) {}

  template <class T>
  T get() {
    static_assert(std::is_unsigned_v<T>);
    if (in_.size() < sizeof(T)) ok_ = false;
    if (!ok_) return 0;
    T value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) value = static_cast<T>(value | static_cast<T>(in_[i]) << (8 * i));
    in_ = in_.subspan(sizeof(T));
    return value;
  }
  double get_double() { return std::bit_cast<double>(get<std::uint64_t>()); }

  bool ok() const { return ok_; }
  /// All was read, and nothing is left.
  bool done() const { return ok_ && in_.empty(); }
  std::size_t left() const { return in_.size(); }

 private:
  Bytes in_;
  bool ok_ = true;
};

}  // namespace driftlock
