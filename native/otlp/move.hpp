#pragma once

#include <cstdint>
#include <span>

#include "otlp/reader.hpp"

namespace driftlock::otlp {

/// The bytes [begin, end) of a request, which became `size` others.
struct Replacement {
  std::uint32_t begin, end, size;
};

/// Returns the index of a request that differs from another by ascending replacements, without reading it. No position of the
/// index may lie within one, and what is replaced must leave records, their types and their keys what they were.
Index move(const Index& index, Bytes request, std::span<const Replacement> replacements);

}  // namespace driftlock::otlp
