#include "privacy/context.hpp"

#include <algorithm>
#include <array>

#include "base/work.hpp"

namespace driftlock::privacy {
namespace {

constexpr std::size_t kBefore = 64, kAfter = 16;
constexpr std::size_t kLongestWord = 24;

struct Entry {
  std::string_view word;
  std::uint8_t hints;
  /// Whether longer words that begin so count as well.
  bool begins = false;
};

/// In the order of the first letters, in lower case.
constexpr std::array kEntries = std::to_array<Entry>({
    {"amex", kCardHint},
    {"amka", kIdHint},
    {"answering", kWeakPhoneHint},
    {"asmens", kIdHint},
    {"bsn", kIdHint},
    {"build", kVersionHint},
    {"burgerservice", kIdHint, true},
    {"call", kWeakPhoneHint},
    {"card", kCardHint},
    {"cards", kCardHint},
    {"carte", kCardHint},
    {"cc", kCardHint},
    {"cell", kPhoneHint},
    {"cellphone", kPhoneHint},
    {"cnp", kIdHint},
    {"contact", kWeakPhoneHint},
    {"cpr", kIdHint},
    {"credit", kCardHint, true},
    {"debit", kCardHint},
    {"desk", kWeakPhoneHint},
    {"dial", kWeakPhoneHint},
    {"dni", kIdHint},
    {"egn", kIdHint},
    {"emso", kIdHint},
    {"fax", kPhoneHint},
    {"gsm", kPhoneHint},
    {"identifikation", kIdHint, true},
    {"idnr", kIdHint},
    {"insee", kIdHint},
    {"isikukood", kIdHint},
    {"kreditkarte", kCardHint, true},
    {"maestro", kCardHint},
    {"mastercard", kCardHint},
    {"mobile", kPhoneHint},
    {"msisdn", kPhoneHint},
    {"national", kIdHint, true},
    {"nie", kIdHint},
    {"nif", kIdHint},
    {"nir", kIdHint},
    {"office", kWeakPhoneHint},
    {"oib", kIdHint},
    {"pan", kCardHint},
    {"personnummer", kIdHint},
    {"personnumber", kIdHint},
    {"pesel", kIdHint},
    {"phone", kPhoneHint, true},
    {"release", kVersionHint},
    {"rijksregister", kIdHint, true},
    {"rodne", kIdHint},
    {"sms", kPhoneHint},
    {"social", kSsnHint | kIdHint},
    {"sozialversicherung", kIdHint, true},
    {"ssn", kSsnHint},
    {"steuer", kIdHint, true},
    {"svnr", kIdHint},
    {"tax", kIdHint},
    {"taxid", kIdHint},
    {"tel", kPhoneHint},
    {"telefon", kPhoneHint, true},
    {"telephone", kPhoneHint},
    {"tin", kIdHint},
    {"ver", kVersionHint},
    {"version", kVersionHint},
    {"visa", kCardHint},
    {"whatsapp", kPhoneHint},
});
static_assert(std::ranges::is_sorted(kEntries, {}, [](const Entry& e) { return e.word[0]; }));

/// Where the entries of each letter begin.
constexpr std::array<std::uint8_t, 27> kBegins = [] {
  std::array<std::uint8_t, 27> begins{};
  for (std::size_t letter = 0; letter <= 26; ++letter) {
    std::uint8_t n = 0;
    while (n < kEntries.size() && static_cast<std::size_t>(kEntries[n].word[0] - 'a') < letter) ++n;
    begins[letter] = n;
  }
  return begins;
}();

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
bool isLetter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool isCapital(char c) { return c >= 'A' && c <= 'Z'; }

std::uint8_t hintsOf(std::string_view word) {
  if (word.size() < 2 || word.size() > kLongestWord) return 0;
  const auto letter = static_cast<std::size_t>(lower(word[0]) - 'a');
  for (std::size_t i = kBegins[letter]; i < kBegins[letter + 1]; ++i) {
    const Entry& entry = kEntries[i];
    if (entry.begins ? word.size() < entry.word.size() : word.size() != entry.word.size()) continue;
    if (std::ranges::equal(entry.word, word.substr(0, entry.word.size()), {}, {}, lower)) return entry.hints;
  }
  return 0;
}

/// Visits the words, which are letters; `fooBar` is two.
template <class Visit>
void forEachWord(std::string_view text, Visit&& visit) {
  countWork(text.size());
  for (std::size_t i = 0; i < text.size();) {
    if (!isLetter(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < text.size() && isLetter(text[end]) && !(isCapital(text[end]) && !isCapital(text[end - 1]))) ++end;
    visit(i, end);
    i = end;
  }
}

}  // namespace

std::uint8_t Context::around(std::size_t begin, std::size_t end) {
  if (!read_) {
    read_ = true;
    forEachWord(key_, [&](std::size_t from, std::size_t to) { ofKey_ |= hintsOf(key_.substr(from, to - from)); });
    forEachWord(text_, [&](std::size_t from, std::size_t to) {
      if (const std::uint8_t hints = hintsOf(text_.substr(from, to - from)))
        words_.push_back({static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to), hints});
    });
  }
  std::uint8_t hints = ofKey_;
  // At most so many words fit into what is looked at.
  for (auto word = std::ranges::lower_bound(words_, begin > kBefore ? begin - kBefore : 0, {}, &Word::begin);
       word != words_.end() && word->begin <= end + kAfter; ++word) {
    hints |= word->hints;
  }
  return hints;
}

}  // namespace driftlock::privacy
