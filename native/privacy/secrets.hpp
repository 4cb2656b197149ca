#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "privacy/kind.hpp"

namespace driftlock::privacy {

/// The length of the token that begins the text, by the prefix that its issuer gives it, and its kind; 0 if there is none.
struct Token {
  std::size_t size = 0;
  Kind kind = Kind::ApiKey;
};
Token tokenAt(std::string_view text);

/// Whether a token may begin with this byte.
bool beginsToken(std::uint8_t byte);

/// Whether a text is as random as a key: at least sixteen characters, of which many differ, letters and digits among them.
bool isRandom(std::string_view text);

/// Whether a value stands for one that is absent or hidden: `null`, `***`, `<redacted>`, `${PASSWORD}`.
bool isPlaceholder(std::string_view text);

}  // namespace driftlock::privacy
