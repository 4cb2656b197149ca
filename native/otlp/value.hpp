#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/bytes.hpp"

namespace driftlock::otlp {

/// An attribute's value or a log record's body. A value that arrives in several pieces is the last member set; arrays and lists
/// in pieces are not joined.
struct AnyValue {
  enum class Type : std::uint8_t { None, String, Bool, Int, Double, Array, List, Bytes };

  Type type = Type::None;
  /// The bits of a Bool, Int or Double.
  std::uint64_t bits = 0;
  /// The content of a String or Bytes; the encoded message of an Array or List, for `arrayOf` and `listOf`.
  Bytes bytes;

  bool boolean() const { return bits != 0; }
  std::int64_t integer() const { return static_cast<std::int64_t>(bits); }
  double real() const { return std::bit_cast<double>(bits); }
};

struct KeyValue {
  Bytes key;
  AnyValue value;
};

/// Reads an AnyValue that is one string or one small number, as nearly all are, without a loop. For every other it returns false
/// and leaves `value` unchanged: the general reader must be used then.
inline bool readPlain(Bytes message, AnyValue& value) {
  const std::uint8_t* at = message.data();
  const std::size_t size = message.size();
  if (size < 2) return false;
  switch (at[0]) {
    case 0x0a:  // string_value, shorter than 128 bytes or than 16 KiB
      if (at[1] == size - 2 && size < 130) {
        value = {AnyValue::Type::String, 0, message.subspan(2)};
        return true;
      }
      if (size < 3 || at[1] < 0x80 || at[2] >= 0x80 || ((at[1] & 0x7fu) | (at[2] << 7)) != size - 3) return false;
      value = {AnyValue::Type::String, 0, message.subspan(3)};
      return true;
    case 0x10:  // bool_value
      if (size != 2 || at[1] >= 0x80) return false;
      value = {AnyValue::Type::Bool, at[1] != 0, {}};
      return true;
    case 0x18:  // int_value, of one byte or two
      if (size == 2 && at[1] < 0x80) {
        value = {AnyValue::Type::Int, at[1], {}};
        return true;
      }
      if (size != 3 || at[1] < 0x80 || at[2] >= 0x80) return false;
      value = {AnyValue::Type::Int, (at[1] & 0x7fu) | (static_cast<unsigned>(at[2]) << 7), {}};
      return true;
  }
  return false;
}

/// Reads a KeyValue that is key, then value, each shorter than 128 bytes, and nothing else.
inline bool readPlain(Bytes message, KeyValue& attribute) {
  const std::uint8_t* at = message.data();
  const std::size_t size = message.size();
  if (size < 4 || at[0] != 0x0a) return false;
  const std::size_t key = at[1];
  if (key >= 0x80 || key + 4 > size || at[2 + key] != 0x12) return false;
  const std::size_t value = at[3 + key];
  if (value >= 0x80 || key + 4 + value != size) return false;
  if (!readPlain(message.subspan(4 + key), attribute.value)) return false;
  attribute.key = message.subspan(2, key);
  return true;
}

}  // namespace driftlock::otlp
