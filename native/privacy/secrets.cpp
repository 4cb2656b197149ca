#include "privacy/secrets.hpp"

#include <algorithm>
#include <array>
#include <bit>

#include "base/work.hpp"

namespace driftlock::privacy {
namespace {

enum Alphabet : std::uint8_t { kAlnum, kWord, kDotted };

struct Prefix {
  std::string_view text;
  std::size_t shortest;
  Alphabet alphabet = kAlnum;
};

/// The prefixes of issuers, and the fewest characters after them. Longer ones come before those that they begin with.
constexpr std::array kPrefixes = std::to_array<Prefix>({
    {"A3T", 17},
    {"ABIA", 16},
    {"ACCA", 16},
    {"AGE-SECRET-KEY-1", 50},
    {"AIza", 35, kWord},
    {"AKIA", 16},
    {"ASIA", 16},
    {"PMAK-", 40, kWord},
    {"SG.", 50, kDotted},
    {"dapi", 32},
    {"dckr_pat_", 20, kWord},
    {"dop_v1_", 40},
    {"figd_", 30, kWord},
    {"ghp_", 30},
    {"gho_", 30},
    {"ghu_", 30},
    {"ghs_", 30},
    {"ghr_", 30},
    {"github_pat_", 22, kWord},
    {"glpat-", 16, kWord},
    {"glrt-", 16, kWord},
    {"glsa_", 30, kWord},
    {"hf_", 30},
    {"hvb.", 24, kWord},
    {"hvs.", 24, kWord},
    {"lin_api_", 30},
    {"npm_", 30},
    {"pypi-", 50, kWord},
    {"rk_live_", 16},
    {"rk_test_", 16},
    {"shpat_", 30},
    {"shpss_", 30},
    {"sk-ant-", 20, kWord},
    {"sk-proj-", 20, kWord},
    {"sk-", 32, kWord},
    {"sk_live_", 16},
    {"sk_test_", 16},
    {"whsec_", 24},
    {"xapp-", 20, kWord},
    {"xoxa-", 10, kWord},
    {"xoxb-", 10, kWord},
    {"xoxe-", 10, kWord},
    {"xoxp-", 10, kWord},
    {"xoxr-", 10, kWord},
    {"xoxs-", 10, kWord},
    {"ya29.", 20, kWord},
});

static_assert(std::ranges::is_sorted(kPrefixes, {}, [](const Prefix& prefix) { return prefix.text[0]; }));

/// Where the prefixes of each first byte begin among all; equal to the next if there are none.
constexpr std::array<std::uint8_t, 129> kBegins = [] {
  std::array<std::uint8_t, 129> begins{};
  for (int byte = 0; byte <= 128; ++byte) {
    std::uint8_t n = 0;
    while (n < kPrefixes.size() && kPrefixes[n].text[0] < byte) ++n;
    begins[byte] = n;
  }
  return begins;
}();

constexpr std::size_t kLongestToken = 4096;
/// No token is shorter.
constexpr std::size_t kShortest = 14;
constexpr std::size_t kShortestBearer = 16;

bool isAlnum(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }
bool isWord(char c) { return isAlnum(c) || c == '_' || c == '-'; }

/// The number of characters of an alphabet from a place on.
template <class Is>
std::size_t run(std::string_view text, std::size_t from, Is&& is) {
  std::size_t end = from;
  while (end < text.size() && end - from < kLongestToken && is(text[end])) ++end;
  countWork(end - from);
  return end - from;
}

int distinct(std::string_view text) {
  std::array<std::uint64_t, 4> seen{};
  for (const char c : text.substr(0, 64)) seen[static_cast<std::uint8_t>(c) >> 6] |= std::uint64_t{1} << (c & 63);
  return std::popcount(seen[0]) + std::popcount(seen[1]) + std::popcount(seen[2]) + std::popcount(seen[3]);
}

/// The length of a JSON web token: three parts in base64url, the first of which is a JSON object. The last may be empty, and a
/// text may be truncated within one.
std::size_t jwtAt(std::string_view text) {
  const std::size_t head = run(text, 0, isWord);
  if (head >= 20 && head == text.size()) return head;
  if (head < 10 || head >= text.size() || text[head] != '.') return 0;
  const std::size_t body = run(text, head + 1, isWord);
  const std::size_t dot = head + 1 + body;
  if (dot == text.size()) return dot;
  if (body < 4 || text[dot] != '.') return 0;
  return dot + 1 + run(text, dot + 1, isWord);
}

/// What stands where there is no secret.
constexpr std::array<std::string_view, 16> kPlaceholders{"null",     "nil",    "none",   "true",     "false",   "undefined",
                                                         "redacted", "masked", "hidden", "filtered", "removed", "required",
                                                         "empty",    "unset",  "yes",    "no"};
/// The letters that those of each length begin with, by the lowest bits of the letters.
constexpr std::array<std::uint32_t, 10> kPlaceholderLetters = [] {
  std::array<std::uint32_t, 10> letters{};
  for (const std::string_view word : kPlaceholders) letters[word.size()] |= std::uint32_t{1} << (word[0] & 31);
  return letters;
}();

bool equalsLower(std::string_view text, std::string_view word) {
  return text.size() >= word.size() &&
         std::equal(word.begin(), word.end(), text.begin(), [](char a, char b) { return a == (b | 0x20); });
}

}  // namespace

bool beginsToken(std::uint8_t byte) {
  // eyJ and Bearer are no prefixes of issuers.
  return byte < 128 && (kBegins[byte] != kBegins[byte + 1] || byte == 'e' || (byte | 0x20) == 'b');
}

bool isRandom(std::string_view text) {
  if (text.size() < 16) return false;
  const bool digit = std::ranges::any_of(text, [](char c) { return c >= '0' && c <= '9'; });
  const bool letter = std::ranges::any_of(text, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
  return digit && letter && distinct(text) >= 8;
}

Token tokenAt(std::string_view text) {
  if (text.size() < kShortest || !beginsToken(static_cast<std::uint8_t>(text[0]))) return {};
  if (text[0] == 'e') return text[1] == 'y' && text[2] == 'J' ? Token{jwtAt(text), Kind::Jwt} : Token{};
  if ((text[0] | 0x20) == 'b') {
    if (!equalsLower(text, "bearer") || text[6] != ' ') return {};
    const std::size_t size =
        run(text, 7, [](char c) { return isWord(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '='; });
    if (size < kShortestBearer || !isRandom(text.substr(7, size))) return {};
    return {7 + size, Kind::ApiKey};
  }
  const auto first = static_cast<std::uint8_t>(text[0]);
  for (std::size_t i = kBegins[first]; i < kBegins[first + 1]; ++i) {
    const Prefix& prefix = kPrefixes[i];
    if (prefix.text[1] != text[1] || !text.starts_with(prefix.text)) continue;
    const std::size_t size = run(text, prefix.text.size(), [&](char c) {
      return prefix.alphabet == kAlnum ? isAlnum(c) : isWord(c) || (prefix.alphabet == kDotted && c == '.');
    });
    if (size < prefix.shortest || distinct(text.substr(prefix.text.size(), size)) < 6) continue;
    return {prefix.text.size() + size, Kind::ApiKey};
  }
  return {};
}

bool isPlaceholder(std::string_view text) {
  if (text.empty()) return true;
  switch (text[0]) {
    case '<':
    case '[':
    case '{':
    case '$':
    case '%':
    case '(':
    case '*': return true;
    default: break;
  }
  if (text.find_first_not_of(text[0]) == std::string_view::npos) return true;
  if (text.size() >= kPlaceholderLetters.size() || (kPlaceholderLetters[text.size()] >> (text[0] & 31) & 1) == 0) return false;
  return std::ranges::any_of(kPlaceholders,
                             [&](std::string_view word) { return word.size() == text.size() && equalsLower(text, word); });
}

}  // namespace driftlock::privacy
