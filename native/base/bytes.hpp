#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace driftlock {

/// A read-only view of bytes that have another owner: a request, a record, a window.
using Bytes = std::span<const std::uint8_t>;

inline Bytes bytesOf(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
inline std::string_view textOf(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

/// The memory that a text takes beyond the object itself, in bytes; a short one takes none.
inline std::size_t heapOf(const std::string& text) { return text.capacity() < sizeof text ? 0 : text.capacity() + 1; }

}  // namespace driftlock
