#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string_view>

#include "base/bytes.hpp"

namespace driftlock {

/// How bytes are interpreted as a column: its kind selects the OpenZL graph. The other codecs only see the bytes.
struct Column {
  enum class Kind : std::uint8_t { Bytes, Numeric, Fixed, String };

  Kind kind = Kind::Bytes;
  /// The number of bytes of one value. numeric: 1, 2, 4 or 8, little-endian. fixed (a struct): any but 0.
  std::size_t width = 1;
  /// Whether numeric values are ascending, as timestamps and counters are.
  bool sorted = false;
  /// The length of each string in bytes; they sum to the input's length.
  std::span<const std::uint32_t> lengths{};
};

enum class CodecName : std::uint8_t { Openzl, Zstd, Lz4, Gzip };

std::string_view toString(CodecName name);
std::optional<CodecName> codecNamed(std::string_view name);

/// Thrown for compressed bytes that no compressor wrote, or that were changed or truncated since.
class DamagedInput : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Bytes on the heap with one owner. Unlike a vector's, they are not zeroed before they are written.
struct OwnedBytes {
  std::unique_ptr<std::uint8_t[]> data;
  std::size_t size = 0;

  operator Bytes() const { return {data.get(), size}; }
};

/// A compressor at one level. It is immutable, so that any number of threads may share it; each has its own contexts and scratch.
/// The same bytes, column and level always give the same output, on every thread.
class Codec {
 public:
  virtual ~Codec() = default;

  /// Returns the compressed bytes in the calling thread's scratch, which are valid until this thread compresses again. @throws
  /// std::invalid_argument if the column does not fit the bytes; std::length_error beyond `maxInput` bytes.
  Bytes compress(Bytes bytes, const Column& column = {}) const;

  /// Returns the number of bytes that `compress` returns.
  std::size_t compressedSize(Bytes bytes, const Column& column = {}) const { return compress(bytes, column).size(); }

  /// The largest distance of a match in bytes. A distance between longer texts measures the codec, not the texts.
  virtual std::size_t reach() const = 0;

  CodecName name() const { return name_; }
  int level() const { return level_; }

  /// The largest input of one call in bytes: LZ4's own limit, used for all.
  static constexpr std::size_t kMaxInput = 0x7E000000;

 protected:
  Codec(CodecName name, int level) : name_(name), level_(level) {}

 private:
  /// Compresses bytes that `column` fits.
  virtual Bytes encode(Bytes bytes, const Column& column) const = 0;

  CodecName name_;
  int level_;
};

/// Whether this build has the codec: that for WebAssembly has no OpenZL.
bool isAvailable(CodecName name);

/// Creates a codec. Levels: openzl 1..9 (6 by default), zstd 1..19 (3), lz4 1..12 (1; from 2 on, the high-compression searches),
/// gzip 1..9 (6). @throws std::out_of_range for another level.
std::unique_ptr<const Codec> makeCodec(CodecName name, std::optional<int> level = {});

/// Returns the original bytes of what `compress` returned, for any level and column; strings are end to end. It never holds more
/// than `maxSize` bytes of output, however much a frame claims or expands to. @throws std::length_error if the output is larger
/// than `maxSize`; DamagedInput if the input is damaged.
OwnedBytes decompress(CodecName name, Bytes bytes, std::size_t maxSize);

}  // namespace driftlock
