#include "codec/codec.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>
#include <string>

#include "base/work.hpp"
#include "codec/implementations.hpp"

namespace driftlock {
namespace {

constexpr std::array<std::string_view, 4> kNames{"openzl", "zstd", "lz4", "gzip"};

void check(Bytes bytes, const Column& column) {
  switch (column.kind) {
    case Column::Kind::Bytes: return;
    case Column::Kind::Numeric:
      if (column.width != 1 && column.width != 2 && column.width != 4 && column.width != 8)
        throw std::invalid_argument("column.width is " + std::to_string(column.width) + ": numbers are 1, 2, 4 or 8 bytes wide");
      break;
    case Column::Kind::Fixed:
      if (column.width == 0) throw std::invalid_argument("column.width is 0: a struct is at least 1 byte wide");
      break;
    case Column::Kind::String: {
      const auto sum = std::accumulate(column.lengths.begin(), column.lengths.end(), std::uint64_t{0});
      if (sum != bytes.size())
        throw std::invalid_argument("column.lengths sum to " + std::to_string(sum) + ", but there are " +
                                    std::to_string(bytes.size()) + " bytes");
      return;
    }
  }
  if (bytes.size() % column.width != 0)
    throw std::invalid_argument(std::to_string(bytes.size()) + " bytes are not a whole number of values of column.width " +
                                std::to_string(column.width));
}

}  // namespace

std::string_view toString(CodecName name) { return kNames[static_cast<std::size_t>(name)]; }

std::optional<CodecName> codecNamed(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<CodecName>(i);
  return {};
}

bool isAvailable([[maybe_unused]] CodecName name) {
#ifdef DRIFTLOCK_WITHOUT_OPENZL
  return name != CodecName::Openzl;
#else
  return true;
#endif
}

Bytes Codec::compress(Bytes bytes, const Column& column) const {
  if (bytes.size() > kMaxInput || column.lengths.size() > kMaxInput / sizeof(std::uint32_t))
    throw std::length_error("more than " + std::to_string(kMaxInput) + " bytes in one call: compress them in pieces");
  check(bytes, column);
  countWork(bytes.size());
  // Empty input may have a null address, but the libraries count back from its end.
  static constexpr std::uint64_t kNothing[8]{};
  if (bytes.empty()) bytes = {reinterpret_cast<const std::uint8_t*>(kNothing + 4), 0};
  return encode(bytes, column);
}

std::unique_ptr<const Codec> makeCodec(CodecName name, std::optional<int> level) {
  switch (name) {
    case CodecName::Openzl: return codecs::makeOpenzl(level);
    case CodecName::Zstd: return codecs::makeZstd(level);
    case CodecName::Lz4: return codecs::makeLz4(level);
    case CodecName::Gzip: return codecs::makeGzip(level);
  }
  throw std::invalid_argument("unknown codec");
}

OwnedBytes decompress(CodecName name, Bytes bytes, std::size_t maxSize) {
  switch (name) {
    case CodecName::Openzl: return codecs::decompressOpenzl(bytes, maxSize);
    case CodecName::Zstd: return codecs::decompressZstd(bytes, maxSize);
    case CodecName::Lz4: return codecs::decompressLz4(bytes, maxSize);
    case CodecName::Gzip: return codecs::decompressGzip(bytes, maxSize);
  }
  throw std::invalid_argument("unknown codec");
}

namespace codecs {

int checkedLevel(CodecName name, std::optional<int> level, Levels levels) {
  if (!level) return levels.usual;
  if (*level < levels.lowest || *level > levels.highest)
    throw std::out_of_range("level " + std::to_string(*level) + " is out of range: " + std::string(toString(name)) + " takes " +
                            std::to_string(levels.lowest) + " to " + std::to_string(levels.highest));
  return *level;
}

std::span<std::uint8_t> scratch(std::size_t size) {
  // A thread that once compressed something huge releases the memory at its next call.
  constexpr std::size_t kKeep = 16 << 20;
  thread_local OwnedBytes buffer;
  if (size > buffer.size || (buffer.size > kKeep && size <= kKeep)) {
    buffer = {};
    buffer = allocate(size);
  }
  return {buffer.data.get(), buffer.size};
}

OwnedBytes allocate(std::size_t size) { return {std::make_unique_for_overwrite<std::uint8_t[]>(size), size}; }

OwnedBytes shrunk(OwnedBytes bytes, std::size_t size) {
  if (size == bytes.size) return bytes;
  auto exact = allocate(size);
  std::copy_n(bytes.data.get(), size, exact.data.get());
  return exact;
}

DamagedInput damaged(CodecName name, std::string_view what) {
  return DamagedInput(std::string(toString(name)) + ": the input is damaged: " + std::string(what));
}

std::length_error tooLarge(CodecName name, std::size_t maxSize) {
  return std::length_error(std::string(toString(name)) + ": the output is larger than maxSize, " + std::to_string(maxSize) +
                           " bytes");
}

}  // namespace codecs
}  // namespace driftlock
