#include "text/mask.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <numeric>

#include "base/words.hpp"
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
  if ((classes & kDigit) == 0) return classes == kHexLetter && word.size() >= kShortestHexLetters;
  if ((classes & kLetter) == 0) return word.size() >= kShortestHexWord;
  if (word.size() > 2 && word[0] == '0' && (word[1] | 0x20) == 'x') {
    std::uint8_t rest = 0;
    for (std::uint8_t c : word.subspan(2)) rest |= kClasses[c];
    if ((rest & kLetter) == 0) return true;
  }
  return word.size() >= kShortestIdentifier && turns(word) >= kIdentifierTurns;
}

/// Marks, each in its highest bit, those of eight bytes that may begin a variable or several asterisks: the digits, the
/// asterisks, and a half that may be hexadecimal letters throughout, as every eight of them in a row have one.
std::uint64_t suspects(std::uint64_t bytes) {
  constexpr std::uint64_t kEach = 0x0101010101010101, kHigh = 0x80 * kEach, kLow = 0x7f * kEach;
  const std::uint64_t digits = bytes ^ '0' * kEach, asterisks = bytes ^ '*' * kEach;
  const std::uint64_t letters = ((bytes | 0x20 * kEach) ^ 0x60 * kEach) & 0xf8 * kEach;
  std::uint64_t found = ~(((digits & kLow) + 0x76 * kEach) | digits) | ~(((asterisks & kLow) + kLow) | asterisks);
  found &= kHigh;
  if (static_cast<std::uint32_t>(letters) == 0) found |= 0x80;
  if (letters >> 32 == 0) found |= std::uint64_t{0x80} << 32;
  return found;
}

/// Copies the text from `at` on, up to the first suspect or some bytes further, and returns the suspect's place; the text's size
/// if there is none. `out` has room for what is left of the text.
std::size_t copyToSuspect(Bytes text, std::size_t at, std::uint8_t* out) {
  static_assert(std::endian::native == std::endian::little);
  const auto placeOf = [](std::uint64_t found) { return static_cast<std::size_t>(std::countr_zero(found)) / 8; };
  for (; at + 8 <= text.size(); at += 8, out += 8) {
    const std::uint64_t bytes = loadWord(&text[at]);
    std::memcpy(out, &bytes, sizeof bytes);
    if (const std::uint64_t found = suspects(bytes); found != 0) return at + placeOf(found);
  }
  const std::size_t left = text.size() - at;
  if (left == 0) return at;
  std::memcpy(out, &text[at], left);
  return std::min(text.size(), at + placeOf(suspects(lastBytes(text, left))));
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
    // Most words are no variables and need no look at each character.
    std::size_t start = copyToSuspect(text, i, out + o);
    if (start < text.size() && kClasses[text[start]] != kOther) {
      while (start > i && kClasses[text[start - 1]] != kOther) --start;
    }
    if constexpr (kWithOrigin) std::iota(origin + o, origin + o + (start - i), static_cast<std::uint32_t>(i));
    o += start - i;
    i = start;
    if (i == text.size()) break;
    if (kClasses[text[i]] == kOther) {
      put(text[i], i);
      if (text[i++] != '*') continue;
      while (i < text.size() && text[i] == '*') ++i;
      continue;
    }
    std::uint8_t classes = 0;
    for (; i < text.size() && kClasses[text[i]] != kOther; ++i) classes |= kClasses[text[i]];
    const Bytes word = text.subspan(start, i - start);
    if (word.size() == 8 && (classes & kLetter) == 0 && i < text.size() && text[i] == '-' && isUuid(text, start)) {
      put('0', start);
      i = start + kUuidSize;
      continue;
    }
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
