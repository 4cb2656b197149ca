#include "text/telling.hpp"

#include <algorithm>
#include <array>

namespace driftlock::text {
namespace {

/// Beginnings of words that speak of failures.
constexpr std::array<std::string_view, 32> kGrave = {
    "abort",   "bad",     "broke",  "cannot",  "corrupt", "crash",    "critical", "deadlock", "denied",  "died",  "emerg",
    "error",   "exceed",  "except", "exhaust", "fail",    "fatal",    "forbid",   "illegal",  "invalid", "kill",  "lost",
    "missing", "offline", "panic",  "refuse",  "reject",  "segfault", "timed",    "timeout",  "unavail", "violat"};
/// What a word of failure is worth, in letters.
constexpr std::size_t kGraveLetters = 200;
/// Words of a language have between so many letters; shorter and longer ones are abbreviations and identifiers.
constexpr std::size_t kShortestWord = 3, kLongestWord = 24;
/// A part of a text may begin and end within words, of which so many letters are looked at.
constexpr std::size_t kReach = kLongestWord;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
bool isLetter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isVowel(char c) { return std::string_view("aeiouy").find(lower(c)) != std::string_view::npos; }

bool grave(std::string_view word) {
  return std::ranges::any_of(kGrave, [&](std::string_view stem) {
    if (word.size() < stem.size()) return false;
    return std::equal(stem.begin(), stem.end(), word.begin(), [](char a, char b) { return a == lower(b); });
  });
}

}  // namespace

std::size_t telling(std::string_view text, std::size_t begin, std::size_t end) {
  const std::size_t first = begin > kReach ? begin - kReach : 0, last = std::min(text.size(), end + kReach);
  std::size_t from = begin, to = std::min(end, text.size());
  while (from > first && isLetter(text[from - 1])) --from;
  while (to < last && isLetter(text[to])) ++to;
  std::size_t letters = 0, most = 0;
  for (std::size_t i = from; i < to;) {
    if (!isLetter(text[i])) {
      ++i;
      continue;
    }
    // CamelCase is several words.
    std::size_t stop = i + 1;
    while (stop < to && isLetter(text[stop]) && (lower(text[stop]) == text[stop] || lower(text[stop - 1]) != text[stop - 1]))
      ++stop;
    const std::string_view word = text.substr(i, stop - i);
    const bool inIdentifier = (i > 0 && isDigit(text[i - 1])) || (stop < text.size() && isDigit(text[stop]));
    // Of a word that the part touches, all counts; of the others, nothing.
    const bool touched = i < end && stop > begin;
    const bool speaks = touched && word.size() >= kShortestWord && word.size() <= kLongestWord && !inIdentifier &&
                        std::ranges::any_of(word, isVowel);
    if (speaks) letters += std::min(stop, end) - std::max(i, begin);
    if (speaks && grave(word)) most = kGraveLetters;
    i = stop;
  }
  return letters + most;
}

}  // namespace driftlock::text
