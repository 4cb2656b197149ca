#pragma once

#include <cstdint>
#include <span>

namespace driftlock {

/// A read-only view of bytes that somebody else owns: a request, a record, a window.
using Bytes = std::span<const std::uint8_t>;

}  // namespace driftlock
