#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/work.hpp"
#include "otlp/wire.hpp"

namespace driftlock::otlp {

/// Appends the fields of one protobuf message. Defaults are left out, as proto3 does.
class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& out) : out_(out) {}

  void integer(std::uint32_t number, std::uint64_t value) {
    if (value == 0) return;
    varint(tag(number, Wire::Varint));
    varint(value);
  }
  /// Writes a number even if it is 0: an optional field is there.
  void present(std::uint32_t number, std::uint64_t value) {
    varint(tag(number, Wire::Varint));
    varint(value);
  }
  void fixed(std::uint32_t number, std::uint64_t bits) {
    if (bits == 0) return;
    varint(tag(number, Wire::Fixed64));
    for (int shift = 0; shift < 64; shift += 8) out_.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  void real(std::uint32_t number, double value) { fixed(number, std::bit_cast<std::uint64_t>(value)); }
  /// Writes a number even if it is 0: an optional field is there.
  void optional(std::uint32_t number, double value) {
    if (std::bit_cast<std::uint64_t>(value) != 0) return real(number, value);
    varint(tag(number, Wire::Fixed64));
    out_.insert(out_.end(), sizeof value, 0);
  }
  void bytes(std::uint32_t number, Bytes value) {
    if (!value.empty()) message(number, value);
  }
  void string(std::uint32_t number, std::string_view value) { bytes(number, bytesOf(value)); }
  /// Writes a message even if it is empty.
  void message(std::uint32_t number, Bytes value) {
    varint(tag(number, Wire::Length));
    varint(value.size());
    countWork(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
  }

 private:
  void varint(std::uint64_t value) {
    std::uint8_t buffer[10];
    out_.insert(out_.end(), buffer, writeVarint(value, buffer));
  }

  std::vector<std::uint8_t>& out_;
};

}  // namespace driftlock::otlp
