#pragma once

#include <cstdint>

namespace driftlock {

/// A half-open range of bytes of a text that no match explains.
struct LiteralRun {
  std::uint32_t start;
  std::uint32_t end;
};

}  // namespace driftlock
