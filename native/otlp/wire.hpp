#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../bytes.hpp"

/// The protobuf wire format, as far as proto3 uses it: https://protobuf.dev/programming-guides/encoding/
namespace driftlock::otlp {

enum class Wire : std::uint8_t { Varint = 0, Fixed64 = 1, Length = 2, Fixed32 = 5 };

/// The tag of a field: its number and how it is laid on the wire.
constexpr std::uint32_t tag(std::uint32_t number, Wire wire) { return number << 3 | static_cast<std::uint32_t>(wire); }

/// One field as read. `value` holds the bits of a varint or fixed field, `payload` the bytes of a length-delimited one;
/// the other of the two is stale.
struct Field {
  std::uint32_t tag = 0;
  std::uint64_t value = 0;
  Bytes payload;

  std::uint32_t number() const { return tag >> 3; }
  Wire wire() const { return static_cast<Wire>(tag & 7); }
  double real() const { return std::bit_cast<double>(value); }
};

/// Reads the fields of one message in wire order and never past its end.
class Cursor {
 public:
  explicit Cursor(Bytes message) : at_(message.data()), end_(at_ + message.size()) {}

  /// The next field, whole. False at the end of the message and where the bytes are no field: `failure` tells which.
  [[nodiscard]] bool next(Field& field) {
    if (at_ == end_) return false;
    start_ = at_;
    if (*at_ >= 8 && *at_ < 0x80) [[likely]] {
      field.tag = *at_++;
    } else if (!longTag(field)) {
      return false;
    }
    switch (field.wire()) {
      case Wire::Length: {
        std::uint64_t length;
        if (!varint(length)) return false;
        if (length > static_cast<std::uint64_t>(end_ - at_)) [[unlikely]] return fail("length beyond the enclosing message");
        field.payload = Bytes(at_, static_cast<std::size_t>(length));
        at_ += length;
        return true;
      }
      case Wire::Varint:
        return varint(field.value);
      case Wire::Fixed64:
        return fixed64(field.value) || fail("truncated 64-bit value");
      case Wire::Fixed32:
        if (end_ - at_ < 4) [[unlikely]] return fail("truncated 32-bit value");
        field.value = littleEndian<std::uint32_t>(at_);
        at_ += 4;
        return true;
    }
    return fail("group or unknown wire type");
  }

  /// A bare varint, as in a packed field.
  [[nodiscard]] bool varint(std::uint64_t& value) {
    if (at_ != end_ && *at_ < 0x80) [[likely]] {
      value = *at_++;
      return true;
    }
    return longVarint(value);
  }

  /// A bare 64-bit value, as in a packed field.
  [[nodiscard]] bool fixed64(std::uint64_t& value) {
    if (end_ - at_ < 8) return false;
    value = littleEndian<std::uint64_t>(at_);
    at_ += 8;
    return true;
  }

  /// Where the field last read begins: its tag.
  const std::uint8_t* start() const { return start_; }
  /// Where reading goes on.
  const std::uint8_t* at() const { return at_; }
  /// Why reading stopped before the end; null when it did not.
  const char* failure() const { return failure_; }

  template <typename Unsigned>
  static Unsigned littleEndian(const std::uint8_t* from) {
    static_assert(std::endian::native == std::endian::little);
    Unsigned value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }

 private:
  bool fail(const char* what) {
    failure_ = what;
    return false;
  }

  bool longVarint(std::uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) return fail("truncated varint");
      const std::uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) break;
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return fail("varint beyond 64 bits");
  }

  bool longTag(Field& field) {
    std::uint64_t value;
    field.tag = 0;
    if (!varint(value)) return false;
    if (value < 8 || value > UINT32_MAX) return fail("field number out of range");
    field.tag = static_cast<std::uint32_t>(value);
    return true;
  }

  const std::uint8_t* at_;
  const std::uint8_t* end_;
  const std::uint8_t* start_ = nullptr;
  const char* failure_ = nullptr;
};

/// Bytes of `value` as a varint of least length.
constexpr std::size_t varintSize(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

/// Writes `value` as a varint of least length and returns the byte after it.
inline std::uint8_t* writeVarint(std::uint64_t value, std::uint8_t* out) {
  while (value >= 0x80) {
    *out++ = static_cast<std::uint8_t>(value) | 0x80;
    value >>= 7;
  }
  *out++ = static_cast<std::uint8_t>(value);
  return out;
}

}  // namespace driftlock::otlp
