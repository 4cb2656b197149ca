#pragma once

// Encodings of requests that are read and never written.

#include <cstddef>

#include "codec/codec.hpp"

namespace driftlock {

/// LZ4 frames, one after another (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md).
/// @throws std::length_error when the output is larger than `maxSize`; std::runtime_error when the input is damaged.
OwnedBytes decompressLz4Frames(Bytes bytes, std::size_t maxSize);

/// Snappy: the framing format if the bytes begin as that does, and otherwise one block. Throws likewise.
OwnedBytes decompressSnappy(Bytes bytes, std::size_t maxSize);

}  // namespace driftlock
