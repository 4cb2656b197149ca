#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace driftlock::privacy {

/// What a word near a number says about it.
enum Hint : std::uint8_t {
  kPhoneHint = 1,
  /// People also use the word of other things, so that only a grouped number counts.
  kWeakPhoneHint = 2,
  kCardHint = 4,
  kSsnHint = 8,
  kIdHint = 16,
  /// What looks like an address is the number of a version.
  kVersionHint = 32,
};

/// The words of a text and of its attribute's name that say what numbers near them are. They are read when they are first needed.
class Context {
 public:
  Context(std::string_view text, std::string_view key) : text_(text), key_(key) {}

  /// The hints at most 64 bytes before a part of the text, or 16 after it, and those of the attribute's name.
  std::uint8_t around(std::size_t begin, std::size_t end);

 private:
  struct Word {
    std::uint32_t begin, end;
    std::uint8_t hints;
  };

  std::string_view text_, key_;
  bool read_ = false;
  std::uint8_t ofKey_ = 0;
  std::vector<Word> words_;
};

}  // namespace driftlock::privacy
