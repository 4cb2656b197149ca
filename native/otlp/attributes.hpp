#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace driftlock::otlp {

/// Encodes attributes as consecutive KeyValue fields of one number at the end of `out`.
class AttributeEncoder {
 public:
  /// @param number the number of the field that holds them: see `attributesField`
  AttributeEncoder(std::vector<std::uint8_t>& out, std::uint32_t number) : out_(out), number_(number) {}

  /// Receivers refuse a request whose strings are not UTF-8, so every byte of `value` that is not part of a well-formed sequence
  /// becomes U+FFFD. Keys are ours and not checked.
  void string(std::string_view key, std::string_view value);
  void integer(std::string_view key, std::int64_t value);
  void real(std::string_view key, double value);
  void boolean(std::string_view key, bool value);

 private:
  std::vector<std::uint8_t>& out_;
  std::uint32_t number_;
};

}  // namespace driftlock::otlp
