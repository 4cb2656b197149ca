#pragma once

// What the four codecs share, and how codec.cpp reaches them. Other rooms do not use it.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "codec/codec.hpp"

namespace driftlock::codecs {

/// Both ends belong to the range.
struct Levels {
  int lowest, highest, usual;
};

/// @throws std::out_of_range if the level is outside.
int checkedLevel(CodecName name, std::optional<int> level, Levels levels);

/// Returns the calling thread's output buffer, with room for `size` bytes; its previous content is lost.
std::span<std::uint8_t> scratch(std::size_t size);

OwnedBytes allocate(std::size_t size);

/// Returns the first `size` bytes in no more memory than they need.
OwnedBytes shrunk(OwnedBytes bytes, std::size_t size);

/// Returns the error "zstd: <what>" for input that no `compress` wrote.
DamagedInput damaged(CodecName name, std::string_view what);

/// Returns the error for output larger than the caller allows.
std::length_error tooLarge(CodecName name, std::size_t maxSize);

std::unique_ptr<const Codec> makeOpenzl(std::optional<int> level);
std::unique_ptr<const Codec> makeZstd(std::optional<int> level);
std::unique_ptr<const Codec> makeLz4(std::optional<int> level);
std::unique_ptr<const Codec> makeGzip(std::optional<int> level);

OwnedBytes decompressOpenzl(Bytes bytes, std::size_t maxSize);
OwnedBytes decompressZstd(Bytes bytes, std::size_t maxSize);
OwnedBytes decompressLz4(Bytes bytes, std::size_t maxSize);
OwnedBytes decompressGzip(Bytes bytes, std::size_t maxSize);

}  // namespace driftlock::codecs
