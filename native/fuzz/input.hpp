#pragma once

// A fuzzer's bytes as a sequence of values. After its end there are zeros.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/bytes.hpp"

namespace driftlock::fuzz {

[[noreturn]] inline void stop(const char* what) {
  std::fprintf(stderr, "wrong: %s\n", what);
  std::abort();
}

class Input {
 public:
  explicit Input(Bytes left) : left_(left) {}

  bool empty() const { return left_.empty(); }

  std::uint8_t byte() {
    const Bytes one = some(1);
    return one.empty() ? 0 : one[0];
  }

  std::uint32_t number() {
    const std::uint32_t low = byte();
    return low | static_cast<std::uint32_t>(byte()) << 8;
  }

  /// Returns up to `most` bytes.
  Bytes some(std::size_t most) {
    const Bytes taken = left_.first(std::min(most, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }

  /// Returns bytes that are preceded by their length.
  Bytes bytes() { return some(number()); }

 private:
  Bytes left_;
};

}  // namespace driftlock::fuzz
