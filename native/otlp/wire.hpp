#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bytes.hpp"
#include "base/work.hpp"

/// The part of the protobuf wire format that proto3 uses: https://protobuf.dev/programming-guides/encoding/
namespace driftlock::otlp {

enum class Wire : std::uint8_t { Varint = 0, Fixed64 = 1, Length = 2, Fixed32 = 5 };

/// Returns the tag of a field: its number and wire type.
constexpr std::uint32_t tag(std::uint32_t number, Wire wire) { return number << 3 | static_cast<std::uint32_t>(wire); }

/// Reads one message, a tag and then its value, in wire order and never past its end. Anything that is not proto3 stops it: it is
/// then at the end as after the last field, values read as zero and empty, and `failure` returns the reason. So a loop over the
/// fields only needs to check the tag:
///
///     while (const std::uint32_t tag = cursor.tag()) switch (tag) { ...; default: cursor.skip(tag); }
class Cursor {
 public:
  Cursor() = default;
  explicit Cursor(Bytes message) : at_(message.data()), end_(at_ + message.size()) {}

  /// Returns the next field's tag; 0 at the end. Its value must be read or skipped next.
  std::uint32_t tag() {
    countWork(1);
    if (at_ == end_) return 0;
    start_ = at_;
    if (*at_ >= 8 && *at_ < 0x80) [[likely]]
      return *at_++;
    const std::uint64_t tag = varint();
    if (failure_) [[unlikely]]
      return 0;
    if (tag < 8 || tag > UINT32_MAX) [[unlikely]]
      return fail("field number out of range"), 0;
    return static_cast<std::uint32_t>(tag);
  }

  std::uint64_t varint() {
    if (at_ != end_ && *at_ < 0x80) [[likely]]
      return *at_++;
    if (end_ - at_ >= 2 && at_[1] < 0x80) {
      at_ += 2;
      return (at_[-2] & 0x7fu) | static_cast<std::uint64_t>(at_[-1]) << 7;
    }
    const Varint read = longVarint(at_, end_);
    if (!read.after) [[unlikely]]
      return fail(read.value ? "varint beyond 64 bits" : "truncated varint"), 0;
    at_ = read.after;
    return read.value;
  }

  std::uint64_t fixed64() {
    if (end_ - at_ < 8) [[unlikely]]
      return fail("truncated 64-bit value"), 0;
    at_ += 8;
    return littleEndian<std::uint64_t>(at_ - 8);
  }

  std::uint32_t fixed32() {
    if (end_ - at_ < 4) [[unlikely]]
      return fail("truncated 32-bit value"), 0;
    at_ += 4;
    return littleEndian<std::uint32_t>(at_ - 4);
  }

  double real() { return std::bit_cast<double>(fixed64()); }

  /// Returns the content of a length-delimited field.
  Bytes payload() {
    const std::uint64_t length = varint();
    if (length > static_cast<std::uint64_t>(end_ - at_)) [[unlikely]]
      fail("length beyond the enclosing message");
    else at_ += length;
    return Bytes(at_ - (failure_ ? 0 : length), at_);
  }

  /// Skips the value after `tag`.
  void skip(std::uint32_t tag) {
    switch (static_cast<Wire>(tag & 7)) {
      case Wire::Varint: varint(); return;
      case Wire::Fixed64: fixed64(); return;
      case Wire::Length: payload(); return;
      case Wire::Fixed32: fixed32(); return;
    }
    fail("group or unknown wire type");
  }

  /// Moves to the end of the message for the given reason.
  void fail(const char* what) {
    failure_ = what;
    at_ = end_;
  }

  bool done() const { return at_ == end_; }
  /// The reason why reading stopped before the end; null if it did not.
  const char* failure() const { return failure_; }
  /// The first byte of the last field read, its tag.
  const std::uint8_t* start() const { return start_; }
  /// The position at which reading continues.
  const std::uint8_t* at() const { return at_; }

 private:
  struct Varint {
    /// The byte after it; null if it is truncated, or, with `value` set, too long.
    const std::uint8_t* after;
    std::uint64_t value;
  };

  /// Takes its arguments by value and is static: a cursor whose address escapes would live in memory instead of registers.
  static Varint longVarint(const std::uint8_t* at, const std::uint8_t* end) {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at == end) return {nullptr, 0};
      const std::uint8_t byte = *at++;
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return {at, value};
    }
    return {nullptr, 1};
  }

  template <typename Unsigned>
  static Unsigned littleEndian(const std::uint8_t* from) {
    static_assert(std::endian::native == std::endian::little);
    Unsigned value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }

  const std::uint8_t* at_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  const std::uint8_t* start_ = nullptr;
  const char* failure_ = nullptr;
};

/// Returns the number of bytes of `value` as a varint of minimal length.
constexpr std::size_t varintSize(std::uint64_t value) { return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7; }

/// Writes `value` as a varint of minimal length and returns the byte after it.
inline std::uint8_t* writeVarint(std::uint64_t value, std::uint8_t* out) {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value) | 0x80;
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

}  // namespace driftlock::otlp
