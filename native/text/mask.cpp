#include "text/mask.hpp"

#include <array>

#include "base/work.hpp"

namespace driftlock::text {
namespace {

enum Class : std::uint8_t { kOther = 0, kDigit = 1, kHexLetter = 2, kLetter = 4 };

constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
    const bool hex = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    classes[c] = c >= '0' && c <= '9' ? kDigit : hex ? kHexLetter : letter ? kLetter : kOther;
  }
  return classes;
}();

constexpr std::size_t kUuidSize = 36;
constexpr std::size_t kShortestHexWord = 4;
/// Of ten thousand random words of eight hexadecimal characters, four have no digit. No usual word is like them.
constexpr std::size_t kShortestHexLetters = 8;
constexpr std::size_t kShortestIdentifier = 12;
constexpr int kIdentifierTurns = 4;

/// Whether a UUID, whose first group has been read, is complete and ends the word.
bool isUuid(Bytes text, std::size_t start) {
  if (text.size() - start < kUuidSize) return false;
  for (std::size_t i = 8; i < kUuidSize; ++i) {
    const std::uint8_t c = text[start + i];
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? c != '-' : (kClasses[c] & (kDigit | kHexLetter)) == 0) return false;
  }
  return text.size() - start == kUuidSize || kClasses[text[start + kUuidSize]] == kOther;
}

int turns(Bytes word) {
  int n = 0;
  for (std::size_t i = 1; i < word.size(); ++i) n += (kClasses[word[i]] == kDigit) != (kClasses[word[i - 1]] == kDigit);
  return n;
}

/// Whether a word stands for one variable as a whole.
bool isVariable(Bytes word, std::uint8_t classes) {
  if (classes == kDigit) return true;
  if ((classes & kLetter) == 0) return word.size() >= kShortestHexWord;
  if (word.size() > 2 && word[0] == '0' && (word[1] | 0x20) == 'x') {
    std::uint8_t rest = 0;
    for (std::uint8_t c : word.subspan(2)) rest |= kClasses[c];
    if ((rest & kLetter) == 0) return true;
  }
  return word.size() >= kShortestIdentifier && turns(word) >= kIdentifierTurns;
}

template <bool kWithOrigin>
std::size_t maskInto(Bytes text, std::uint8_t* out, std::uint32_t* origin) {
  countWork(text.size());
  std::size_t o = 0;
  auto put = [&](std::uint8_t c, std::size_t from) {
    if constexpr (kWithOrigin) origin[o] = static_cast<std::uint32_t>(from);
    out[o++] = c;
  };
  for (std::size_t i = 0; i < text.size();) {
    if (kClasses[text[i]] == kOther) {
      put(text[i], i);
      ++i;
      continue;
    }
    // Words are copied while they are read: most are no variables and need no second look.
    const std::size_t start = i, wordOut = o;
    std::uint8_t classes = 0;
    do {
      classes |= kClasses[text[i]];
      put(text[i], i);
      ++i;
    } while (i < text.size() && kClasses[text[i]] != kOther);

    if (i - start == 8 && (classes & kLetter) == 0 && i < text.size() && text[i] == '-' && isUuid(text, start)) {
      o = wordOut;
      put('0', start);
      i = start + kUuidSize;
      continue;
    }
    if ((classes & kDigit) == 0 && (classes != kHexLetter || i - start < kShortestHexLetters)) continue;
    o = wordOut;
    const Bytes word = text.subspan(start, i - start);
    if (isVariable(word, classes)) {
      put('0', start);
      continue;
    }
    for (std::size_t k = 0; k < word.size(); ++k) {
      const bool digit = kClasses[word[k]] == kDigit;
      if (!digit || k == 0 || kClasses[word[k - 1]] != kDigit) put(digit ? '0' : word[k], start + k);
    }
  }
  return o;
}

}  // namespace

std::size_t mask(Bytes text, std::uint8_t* out) { return maskInto<false>(text, out, nullptr); }

std::size_t mask(Bytes text, std::uint8_t* out, std::uint32_t* origin) { return maskInto<true>(text, out, origin); }

}  // namespace driftlock::text
