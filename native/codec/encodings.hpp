#pragma once

// Encodings of requests that are only read, never written.

#include <cstddef>

#include "codec/codec.hpp"

namespace driftlock {

/// Decompresses consecutive LZ4 frames (https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md). @throws std::length_error
/// if the output is larger than `maxSize`; std::runtime_error if the input is damaged.
OwnedBytes decompressLz4Frames(Bytes bytes, std::size_t maxSize);

/// Decompresses Snappy: the framing format if the bytes begin like it, otherwise one block. Throws the same exceptions.
OwnedBytes decompressSnappy(Bytes bytes, std::size_t maxSize);

}  // namespace driftlock
