#include "privacy/scanner.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/work.hpp"
#include "privacy/byte_classes.hpp"
#include "privacy/checksums.hpp"
#include "privacy/context.hpp"
#include "privacy/national_ids.hpp"
#include "privacy/secrets.hpp"

namespace driftlock::privacy {
namespace {

/// What a byte may start.
enum Trigger : std::uint8_t { kNothing, kTokenStart, kDigit, kAt, kColon, kEquals, kDash, kPlus, kParenthesis };

constexpr std::size_t kLongestLocalPart = 64, kLongestDomain = 253, kLongestUserInfo = 256, kLongestKeyWord = 40,
                      kLongestPassword = 256, kLongestNumber = 40, kMostGroups = 12, kMostDigits = 24;

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLetter(char c) { return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80) != 0; }
bool isCapital(char c) { return c >= 'A' && c <= 'Z'; }
bool isAlnum(char c) { return isDigit(c) || isLetter(c); }
bool isWord(char c) { return isAlnum(c) || c == '_'; }
bool isHex(char c) { return isDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }
char lower(char c) { return isCapital(c) ? static_cast<char>(c + ('a' - 'A')) : c; }

/// A set of ASCII characters.
struct Set {
  std::uint64_t low = 0, high = 0;

  constexpr Set(std::string_view characters) {
    for (const char c : characters) (c < 64 ? low : high) |= std::uint64_t{1} << (c & 63);
  }
};
constexpr bool contains(const Set& set, char c) {
  return (c & 0x80) == 0 && ((c < 64 ? set.low : set.high) >> (c & 63) & 1) != 0;
}

/// The characters of a set, as an argument of a template.
template <std::size_t kSize>
struct Characters {
  constexpr Characters(const char (&of)[kSize]) { std::ranges::copy(of, text); }
  char text[kSize];
};
template <Characters kOf>
bool isOneOf(char c) {
  static constexpr Set kSet(std::string_view(kOf.text, sizeof kOf.text - 1));
  return contains(kSet, c);
}

const std::array<std::uint8_t, 256> kTriggers = [] {
  std::array<std::uint8_t, 256> triggers{};
  for (int c = 0; c < 256; ++c) {
    const auto byte = static_cast<std::uint8_t>(c);
    const auto character = static_cast<char>(c);
    triggers[c] = isDigit(character) ? kDigit : beginsToken(byte) ? kTokenStart : kNothing;
  }
  triggers['@'] = kAt, triggers[':'] = kColon, triggers['='] = kEquals, triggers['-'] = kDash, triggers['+'] = kPlus;
  triggers['('] = kParenthesis;
  return triggers;
}();

/// A word that ends the name of a secret, or of a token, which must be random; without separators. Names of persons are those of
/// the semantic conventions, whole.
struct Name {
  std::string_view word;
  Naming naming;
};
constexpr auto kNames = [] {
  using enum Naming;
  auto names = std::to_array<Name>(
      {{"password", Secret},    {"passwd", Secret},         {"pwd", Secret},          {"passphrase", Secret},
       {"passcode", Secret},    {"secret", Secret},         {"clientsecret", Secret}, {"privatekey", Secret},
       {"secretkey", Secret},   {"credentials", Secret},    {"cvv", Secret},          {"cvc", Secret},
       {"token", Token},        {"apikey", Token},          {"accesskey", Token},     {"authorization", Token},
       {"auth", Token},         {"cookie", Token},          {"sessionid", Token},     {"signature", Token},
       {"authkey", Token},      {"bearer", Token},          {"enduserid", Person},    {"userid", Person},
       {"username", Person},    {"userfullname", Person},   {"useremail", Person},    {"emailaddress", Person},
       {"phonenumber", Person}, {"enduserpseudoid", Person}});
  std::ranges::sort(names, {}, [](const Name& name) { return name.word.back(); });
  return names;
}();

/// For each letter, where the names that end with it begin, and the letters before it.
constexpr std::array<std::uint8_t, 27> kNamesOf = [] {
  std::array<std::uint8_t, 27> begins{};
  for (std::size_t letter = 0; letter <= 26; ++letter) {
    while (begins[letter] < kNames.size() && static_cast<std::size_t>(kNames[begins[letter]].word.back() - 'a') < letter)
      ++begins[letter];
  }
  return begins;
}();

/// The letters of ASCII as numbers from 0, upper and lower case alike; other bytes are kNoLetter.
constexpr std::uint8_t kNoLetter = 31;
constexpr std::array<std::uint8_t, 256> kLetters = [] {
  std::array<std::uint8_t, 256> letters;
  letters.fill(kNoLetter);
  for (std::uint8_t i = 0; i < 26; ++i) letters['a' + i] = letters['A' + i] = i;
  return letters;
}();
std::uint8_t letterOf(char c) { return kLetters[static_cast<std::uint8_t>(c)]; }

/// For the last letter of those words and the one before it, the bits of the third letters from the end.
constexpr auto kEnds = [] {
  std::array<std::array<std::uint32_t, kNoLetter + 1>, kNoLetter + 1> ends{};
  for (const Name& name : kNames) {
    const auto fromEnd = [&](std::size_t i) { return static_cast<std::size_t>(name.word[name.word.size() - i] - 'a'); };
    ends[fromEnd(1)][fromEnd(2)] |= std::uint32_t{1} << fromEnd(3);
  }
  return ends;
}();

/// Whether a name of a secret may end with two characters; others than letters may stand between its letters.
bool mayBeLast(char second, char last) {
  const std::uint8_t a = letterOf(second), b = letterOf(last);
  return a == kNoLetter || b == kNoLetter || kEnds[b][a] != 0;
}

/// Whether the last three letters of a name are those of such a word. Most names have others.
bool mayEndName(std::string_view name) {
  std::size_t i = name.size() - 1;
  const auto& ends = kEnds[letterOf(name[i])];
  const auto previous = [&] {
    // The end of a name is within so many bytes.
    while (i > 0 && name.size() - i < kLongestKeyWord) {
      const char c = name[--i];
      if (const std::uint8_t letter = letterOf(c); letter != kNoLetter) return letter;
      if (isAlnum(c)) break;
    }
    return kNoLetter;
  };
  const std::uint32_t thirds = ends[previous()];
  return thirds != 0 && (thirds >> previous() & 1) != 0;
}

/// Returns where a word begins that ends a name, whatever separates its letters there; npos if it does not.
std::size_t findEnd(std::string_view name, std::string_view word) {
  std::size_t at = name.size();
  for (std::size_t left = word.size(); left > 0; --left) {
    while (at > 0 && !isAlnum(name[at - 1])) --at;
    if (at == 0 || lower(name[at - 1]) != word[left - 1]) return std::string_view::npos;
    --at;
  }
  return at;
}

/// What a name says, by its end.
Naming readNaming(std::string_view name) {
  const std::size_t last = letterOf(name.back());
  for (std::size_t i = kNamesOf[last]; i < kNamesOf[last + 1]; ++i) {
    const auto& [word, naming] = kNames[i];
    const std::size_t begin = findEnd(name, word);
    if (begin == std::string_view::npos) continue;
    if (naming != Naming::Person ||
        (name.find('.') != std::string_view::npos && std::ranges::none_of(name.substr(0, begin), isAlnum)))
      return naming;
  }
  return Naming::Nothing;
}

/// A number in groups of digits, with what separates them.
struct Number {
  struct Group {
    std::uint8_t begin, size;
    /// The separator before it; 0 before the first, 'x' if it has several characters.
    char separator;
  };
  std::array<Group, kMostGroups> groups;
  std::size_t count = 0;
  std::array<char, kMostDigits> digits;
  std::size_t size = 0;
  /// The end of each group, by offsets in the text.
  std::size_t begin = 0;
  std::array<std::size_t, kMostGroups> ends;

  std::string_view all() const { return {digits.data(), size}; }
  /// Whether it is masked already.
  bool masked() const { return all().find_first_not_of('0') == std::string_view::npos; }
  std::string_view group(std::size_t i) const { return {digits.data() + groups[i].begin, groups[i].size}; }
  bool separatedBy(char c, std::size_t from, std::size_t to) const {
    for (std::size_t i = from; i < to; ++i) {
      if (groups[i].separator != c) return false;
    }
    return true;
  }
};

/// A class of bytes in a block and in the one after it.
struct Ahead {
  std::uint64_t here, next;

  /// The bytes that come so many before one of the class.
  Ahead by(unsigned n) const { return {here >> n | next << (64 - n), next >> n}; }
  Ahead operator&(Ahead other) const { return {here & other.here, next & other.next}; }
  Ahead operator|(Ahead other) const { return {here | other.here, next | other.next}; }
};

/// The bytes of a block at which a detector may find something. It leaves out most of those at which none does: digits that are
/// too few, and words that are shorter than all tokens.
[[gnu::always_inline]] inline std::uint64_t startsIn(const ByteClasses& before, const ByteClasses& here,
                                                     const ByteClasses& after) {
  // The bytes that come so many after one of a class.
  const auto behind = [](std::uint64_t earlier, std::uint64_t bits, unsigned n) { return bits << n | earlier >> (64 - n); };
  const Ahead digit{here.digit, after.digit}, separator{here.separator, after.separator}, word{here.word(), after.word()};
  const std::uint64_t wordBefore = before.word();
  std::uint64_t starts = here.sign;
  // A private key begins with five dashes.
  if (const Ahead pairs = separator & separator.by(1); pairs.here) starts |= (pairs & pairs.by(2) & separator.by(4)).here;

  if (here.digit) {
    const Ahead two = digit & digit.by(1), four = two & two.by(2);
    const auto letter = [&](unsigned n) { return behind(before.letter, here.letter, n); };
    // Six digits, or fewer with others behind a separator or two; but what belongs to a word is at most an address.
    const Ahead others = separator & (digit.by(1) | digit.by(2));
    const Ahead last = digit & others.by(1), lastTwo = last | (digit & last.by(1));
    const std::uint64_t followed = (lastTwo | (two & lastTwo.by(2)) | (four & last.by(4))).here;
    const std::uint64_t joined = behind(before.joint, here.joint, 1) & behind(wordBefore, word.here, 2);
    const std::uint64_t first = here.digit & ~behind(before.digit, here.digit, 1);
    const std::uint64_t numbers = ((four & two.by(4)).here | (followed & ~letter(1))) & ~(joined & four.here);
    starts |= first & numbers;
    // An identifier that begins with two letters and goes on with two digits, or with six letters.
    if (const std::uint64_t lettered = first & letter(1) & letter(2); lettered)
      starts |= lettered & ((two.here & ~behind(before.digit | before.letter, here.digit | here.letter, 3)) |
                            (letter(3) & letter(4) & letter(5) & letter(6)));
  }

  // No token is shorter than fourteen of these; but `Bearer` stands by itself.
  const Ahead token = word | Ahead{here.joint, after.joint};
  const Ahead two = token & token.by(1), four = two & two.by(2), eight = four & four.by(4);
  return starts | (here.letter & ~behind(wordBefore, word.here, 1) & ((eight & eight.by(6)).here | here.b));
}

class Scanner {
 public:
  Scanner(Bytes text, Bytes key, std::vector<Found>& out)
      : text_(reinterpret_cast<const char*>(text.data()), text.size()),
        context_(text_, {reinterpret_cast<const char*>(key.data()), key.size()}),
        out_(out) {}

  void run() {
    ByteClasses before, here = ByteClasses::of(text_, 0);
    if (text_.size() <= ByteClasses::kBlock) return lookAll(0, startsIn({}, here, {}));
    std::size_t block = 0;
    for (std::size_t next = ByteClasses::kBlock; next < text_.size(); next += ByteClasses::kBlock) {
      const ByteClasses after = ByteClasses::of(text_, next);
      lookAll(block, startsIn(before, here, after));
      before = here;
      here = after;
      block = next;
    }
    lookAll(block, startsIn(before, here, {}));
  }

 private:
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  char before(std::size_t i) const { return i > 0 ? text_[i - 1] : '\0'; }

  /// Adds a part, and returns where to go on. What overlaps a part that was found before is left out.
  std::size_t found(std::size_t begin, std::size_t end, Kind kind) {
    if (begin >= from_) {
      out_.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end), kind});
      from_ = end;
    }
    return end;
  }

  /// Looks at bytes of a block, behind what was read before.
  void lookAll(std::size_t block, std::uint64_t starts) {
    for (; starts != 0; starts &= starts - 1) {
      const std::size_t i = block + static_cast<std::size_t>(std::countr_zero(starts));
      if (i < read_) continue;
      // Most of what is looked at is behind names, and most of these are of nothing secret.
      if (text_[i] == '=' && !mayFollowName(i)) continue;
      read_ = look(i);
      // What is found may end within digits.
      while (isDigit(at(read_)) && isDigit(text_[read_ - 1])) read_ = number(read_);
    }
  }

  std::size_t look(std::size_t i) {
    switch (kTriggers[static_cast<std::uint8_t>(text_[i])]) {
      case kTokenStart: return token(i);
      case kDigit: return number(i);
      case kAt: return email(i);
      case kColon: return colon(i);
      case kEquals: return value(i, i + 1);
      case kDash: return text_.substr(i).starts_with("-----BEGIN ") ? privateKey(i) : i + 1;
      case kPlus: return isDigit(at(i + 1)) && !isAlnum(before(i)) ? plus(i) : i + 1;
      case kParenthesis: return isDigit(at(i + 1)) ? parenthesis(i) : i + 1;
      default: return i + 1;
    }
  }

  /// Reads groups of digits from a place on.
  void read(std::size_t i, Number& n) const {
    n.count = n.size = 0;
    n.begin = i;
    char separator = 0;
    const std::size_t last = i + kLongestNumber;
    countWork(std::min(kLongestNumber, text_.size() - i));
    while (n.count < kMostGroups && i < last) {
      Number::Group& group = n.groups[n.count];
      group = {static_cast<std::uint8_t>(n.size), 0, separator};
      while (isDigit(at(i)) && n.size < kMostDigits) n.digits[n.size++] = at(i++);
      group.size = static_cast<std::uint8_t>(n.size - group.begin);
      if (isDigit(at(i))) {  // Too long: it ends with the group before.
        n.size = group.begin;
        return;
      }
      n.ends[n.count++] = i;
      std::size_t next = i;
      while (next - i < 3 && isOneOf<" -./()">(at(next))) ++next;
      if (next == i || !isDigit(at(next))) return;
      separator = next - i == 1 ? at(i) : 'x';
      i = next;
    }
  }

  /// Whether what precedes a number belongs to it, as in an identifier or a decimal fraction.
  bool joined(std::size_t i) const {
    if (i == 0) return false;
    const char c = text_[i - 1];
    if (isWord(c)) return true;
    return isOneOf<"-./+$#%*">(c) && i > 1 && (isWord(text_[i - 2]) || isOneOf<"-_">(text_[i - 2]));
  }
  bool continues(std::size_t end) const { return isWord(at(end)) || (isOneOf<"-.:">(at(end)) && isAlnum(at(end + 1))); }

  std::size_t number(std::size_t i) {
    std::size_t end = i + 1;
    while (isDigit(at(end))) ++end;
    const std::size_t run = end - i;
    if (i > 0 && isLetter(text_[i - 1])) {
      if (const std::size_t after = lettered(i)) return after;
      return end;
    }
    if (run < 7 && (!isOneOf<" -./)">(at(end)) || !(isDigit(at(end + 1)) || isDigit(at(end + 2)))) &&
        !(run >= 6 && at(end) >= 'A'))
      return end;
    if (run > kMostDigits || (i > 0 && text_[i - 1] == '_')) return end;
    // A word that begins with digits is an identifier of Finland or Spain, or none; and what belongs to one an address, or
    // nothing.
    if (isWord(at(end)) && run != 6 && run != 8) return end;
    const bool joined = this->joined(i);
    if (joined && (run > 3 || at(end) != '.')) return end;
    if (run <= 3 && at(end) == '.') {
      if (const std::size_t after = specialAddress(i)) return after;
    }
    Number n;
    read(i, n);
    if (n.count == 0 || n.masked()) return end;
    if (n.groups[0].size <= 3 && n.count >= 4 && n.separatedBy('.', 1, 4)) {
      if (const std::size_t after = address(n)) return after;
    }
    // Of what follows, telephone numbers are the shortest; an identifier of Finland begins with six digits.
    if (n.size < 7 && run != 6) return end;
    if (const std::size_t after = joined ? 0 : fixed(n)) return after;
    if (run == 6 || run == 8) {
      if (const std::size_t after = joined ? 0 : marked(i)) return after;
    }
    if (!joined) {
      if (const std::size_t after = phone(n, i)) return after;
    }
    return end;
  }

  /// An IBAN, or another identifier with letters before its first digit.
  std::size_t lettered(std::size_t i) {
    const char* const t = text_.data();
    if (i >= 2 && isDigit(at(i + 1)) && isLetter(t[i - 1]) && isLetter(t[i - 2]) && (i == 2 || !isAlnum(t[i - 3]))) {
      const char first = static_cast<char>(t[i - 2] & ~0x20), second = static_cast<char>(t[i - 1] & ~0x20);
      if (const std::size_t length = ibanLength(first, second)) {
        std::array<char, 40> iban{};
        std::size_t size = 0, end = i - 2;
        // All groups before this place have four characters. Words and the parts of a UUID do not, and may have right check
        // digits together.
        const auto grouped = [&](std::size_t place) { return size % 4 == 0 && place - (i - 2) + 1 == size / 4 * 5; };
        while (size < length && end < text_.size()) {
          const char c = t[end];
          if (isAlnum(c) && (c & 0x80) == 0) iban[size++] = isDigit(c) ? c : static_cast<char>(c & ~0x20);
          else if (!isOneOf<" -">(c) || !isAlnum(at(end + 1)) || !grouped(end)) break;
          ++end;
        }
        const std::size_t separators = end - (i - 2) - size;
        if (size == length && (separators == 0 || separators == (length - 1) / 4) && !isAlnum(at(end)) &&
            isIban({iban.data(), size}))
          return found(i - 2, end, Kind::Iban);
      }
    }
    if (i >= 6 && text_.size() - i >= 10 && (i == 6 || !isWord(t[i - 7])) && !isWord(at(i + 10)) &&
        isItalianId(text_.substr(i - 6, 16)))
      return found(i - 6, i + 10, Kind::NationalId);
    if (text_.size() - i >= 8 && i >= 1 && t[i - 1] >= 'X' && t[i - 1] <= 'Z' && (i == 1 || !isWord(t[i - 2])) &&
        !isWord(at(i + 8)) && isSpanishId(text_.substr(i - 1, 9)))
      return found(i - 1, i + 8, Kind::NationalId);
    return 0;
  }

  /// Six or eight digits followed by a mark or a letter: Finland, Spain.
  std::size_t marked(std::size_t i) {
    if (text_.size() - i >= 11 && !isWord(at(i + 11)) && isFinnishId(text_.substr(i, 11)))
      return found(i, i + 11, Kind::NationalId);
    if (text_.size() - i >= 9 && !isWord(at(i + 9)) && isSpanishId(text_.substr(i, 9)) &&
        (context_.around(i, i + 9) & kIdHint) != 0)
      return found(i, i + 9, Kind::NationalId);
    return 0;
  }

  /// The end of an address that belongs to no one in public, which most of those in telemetry are; 0 if that is not plain.
  std::size_t specialAddress(std::size_t i) const {
    if (isWord(before(i)) || isOneOf<".-+">(before(i))) return 0;
    std::array<int, 4> parts{};
    std::size_t end = i;
    for (int& part : parts) {
      if (&part != parts.data() && at(end++) != '.') return 0;
      const std::size_t begin = end;
      while (end - begin < 3 && isDigit(at(end))) part = 10 * part + (text_[end++] - '0');
      if (end == begin || part > 255 || (text_[begin] == '0' && end - begin > 1)) return 0;
    }
    // What is all zeros may be a mask, and what goes on is no address.
    if (isWord(at(end)) || at(end) == '.' || parts == std::array<int, 4>{}) return 0;
    return isSpecial(parts) ? end : 0;
  }

  /// Whether an address is private, reserved or for examples.
  static bool isSpecial(const std::array<int, 4>& parts) {
    const auto [a, b, c, d] = parts;
    return a == 0 || a == 10 || a == 127 || a >= 224 || (a == 100 && b >= 64 && b < 128) || (a == 169 && b == 254) ||
           (a == 172 && b >= 16 && b < 32) || (a == 192 && b == 168) || (a == 192 && b == 0 && c <= 2) ||
           (a == 198 && (b == 18 || b == 19)) || (a == 198 && b == 51 && c == 100) || (a == 203 && b == 0 && c == 113);
  }

  std::size_t address(const Number& n) {
    std::array<int, 4> parts{};
    for (std::size_t g = 0; g < 4; ++g) {
      if (n.groups[g].size > 3) return 0;
      for (const char c : n.group(g)) parts[g] = 10 * parts[g] + (c - '0');
      if (parts[g] > 255 || (n.groups[g].size > 1 && n.group(g)[0] == '0')) return 0;
    }
    const std::size_t begin = n.begin, end = n.ends[3];
    if ((n.count > 4 && n.groups[4].separator == '.') || isWord(at(end)) || isWord(before(begin)) ||
        isOneOf<".-+">(before(begin)))
      return 0;
    const auto [a, b, c, d] = parts;
    // Small parts are those of versions, such as 1.2.3.4, more often than not.
    const bool small = a < 10 && b < 100 && (c < 10 || d < 10);
    if (isSpecial(parts)) return end;
    if (small || (context_.around(begin, begin) & kVersionHint) != 0) return 0;
    return found(begin, end, Kind::Ip);
  }

  /// The number of groups that make up this many digits; 0 if there is no such number.
  static std::size_t groupsOf(const Number& n, std::size_t digits) {
    for (std::size_t g = 0; g < n.count; ++g) {
      const std::size_t size = n.groups[g].begin + n.groups[g].size;
      if (size == digits) return g + 1;
      if (size > digits) return 0;
    }
    return 0;
  }

  /// Cards, social security numbers and national identification numbers.
  std::size_t fixed(const Number& n) {
    // A card is written in one piece or in groups of four, or of 4, 6 and 4 or 5 digits.
    if (n.groups[0].size >= 12) {
      if (const std::size_t after = card(n, 1)) return after;
    } else if (n.groups[0].size == 4 && n.count >= 3 && (n.groups[1].separator == ' ' || n.groups[1].separator == '-')) {
      const bool travel = n.groups[1].size == 6 && n.separatedBy(n.groups[1].separator, 1, 3);
      std::size_t groups = travel ? 3 : 1;
      while (!travel && groups < n.count && groups < 5 && n.groups[groups].separator == n.groups[1].separator &&
             (n.groups[groups].size == 4 || (groups >= 3 && n.groups[groups].size < 4)))
        ++groups;
      if (groups >= 3) {
        if (const std::size_t after = card(n, groups)) return after;
      }
    }
    if (n.count >= 3 && n.groups[0].size == 3 && n.groups[1].size == 2 && n.groups[2].size == 4 &&
        n.groups[1].separator == n.groups[2].separator && isOneOf<"- ">(n.groups[1].separator) && !continues(n.ends[2]) &&
        (n.count == 3 || n.groups[3].separator != n.groups[1].separator) && isSsn(n.all().substr(0, 9))) {
      if (n.groups[1].separator == '-' || (context_.around(n.begin, n.ends[2]) & kSsnHint) != 0)
        return found(n.begin, n.ends[2], Kind::Ssn);
    }
    if (n.groups[0].size == 9 && !continues(n.ends[0]) && isSsn(n.group(0)) &&
        (context_.around(n.begin, n.ends[0]) & kSsnHint) != 0)
      return found(n.begin, n.ends[0], Kind::Ssn);
    // 85.07.30-033.28
    if (n.count >= 5 && n.groups[0].size == 2 && n.groups[3].size == 3 && groupsOf(n, 11) == 5 && n.groups[3].separator == '-' &&
        n.groups[1].separator == '.' && n.groups[4].separator == '.' && !continues(n.ends[4]) &&
        isBelgianId(n.all().substr(0, 11)))
      return found(n.begin, n.ends[4], Kind::NationalId);
    // 1 85 05 78 006 084 36
    if (n.count >= 7 && n.groups[0].size == 1 && groupsOf(n, 15) == 7 && n.separatedBy(' ', 1, 7) && !continues(n.ends[6]) &&
        isFrenchId(n.all().substr(0, 15)))
      return found(n.begin, n.ends[6], Kind::NationalId);
    for (const std::size_t digits : {9u, 10u, 11u, 12u, 13u, 15u}) {
      const std::size_t groups = groupsOf(n, digits);
      if (groups == 0 || continues(n.ends[groups - 1]) || !isNationalId(n.all().substr(0, digits))) continue;
      if ((context_.around(n.begin, n.ends[groups - 1]) & kIdHint) != 0)
        return found(n.begin, n.ends[groups - 1], Kind::NationalId);
    }
    return 0;
  }

  std::size_t card(const Number& n, std::size_t groups) {
    const std::size_t digits = n.groups[groups - 1].begin + n.groups[groups - 1].size;
    const std::size_t end = n.ends[groups - 1];
    if (isWord(at(end)) || (isOneOf<"-">(at(end)) && isAlnum(at(end + 1))) || (at(end) == '.' && isDigit(at(end + 1)))) return 0;
    const std::string_view number = n.all().substr(0, digits);
    if (!isCard(number, true)) return 0;
    // Numbers of these lengths are cards more often than identifiers; of others the text must say so.
    const bool usual = (digits == 16 || digits == 15) && n.digits[0] != '0' && isCard(number, false);
    if (!usual && (context_.around(n.begin, end) & kCardHint) == 0) return 0;
    return found(n.begin, end, Kind::Card);
  }

  /// +46 (0)157 548 89
  std::size_t plus(std::size_t i) {
    Number n;
    read(i + 1, n);
    if (n.count == 0) return i + 1;
    // The country's code, perhaps with the number in one piece.
    if (n.digits[0] == '0') return i + 1;
    const std::size_t groups = wholeGroups(n, 8, 15);
    if (groups == 0 || continues(extension(n.ends[groups - 1])) || (groups == 1 && n.groups[0].size < 9)) return i + 1;
    // +0.5 and 1+12345678 are arithmetic.
    if (groups > 1 && n.groups[1].separator == '.' && n.count == 2) return i + 1;
    return found(i, extension(n.ends[groups - 1]), Kind::Phone);
  }

  /// (602)272-9781
  std::size_t parenthesis(std::size_t i) {
    Number n;
    read(i + 1, n);
    if (n.count < 2 || n.masked() || isAlnum(before(i)) || n.groups[0].size > 4 || at(n.ends[0]) != ')') return i + 1;
    const std::size_t begin = i, first = n.groups[1].size;
    if (n.groups[0].size == 3 && n.count >= 3 && first == 3 && n.groups[2].size == 4 && n.digits[0] >= '2' &&
        !continues(extension(n.ends[2])))
      return found(begin, extension(n.ends[2]), Kind::Phone);
    const std::size_t groups = wholeGroups(n, 8, 12);
    if (groups == 0 || continues(n.ends[groups - 1])) return i + 1;
    if ((context_.around(begin, n.ends[groups - 1]) & (kPhoneHint | kWeakPhoneHint)) == 0) return i + 1;
    return found(begin, n.ends[groups - 1], Kind::Phone);
  }

  /// The most groups that have no fewer and no more digits together; 0 if there are none.
  static std::size_t wholeGroups(const Number& n, std::size_t fewest, std::size_t most) {
    for (std::size_t g = n.count; g-- > 0;) {
      const std::size_t digits = n.groups[g].begin + n.groups[g].size;
      if (digits <= most) return digits >= fewest ? g + 1 : 0;
    }
    return 0;
  }

  /// The end of x4508 or ext. 12 after a number.
  std::size_t extension(std::size_t end) const {
    if (at(end) != 'x' || !isDigit(at(end + 1))) return end;
    std::size_t i = end + 1;
    while (isDigit(at(i)) && i - end < 7) ++i;
    return isWord(at(i)) ? end : i;
  }

  std::size_t phone(const Number& n, std::size_t i) {
    // 905-674-3793, 1-905-674-3793, 001-905-674-3793, 259.735.7502x459
    const bool country = n.count >= 4 && (n.group(0) == "1" || n.group(0) == "001") && n.groups[1].size == 3;
    const std::size_t g = country ? 1 : 0;
    if (n.count >= g + 3 && n.groups[g].size == 3 && n.groups[g + 1].size == 3 && n.groups[g + 2].size == 4) {
      const char separator = n.groups[g + 1].separator;
      const std::size_t end = extension(n.ends[g + 2]);
      if ((separator == '-' || separator == '.') && n.groups[g + 2].separator == separator && n.group(g)[0] >= '2' &&
          n.group(g + 1)[0] >= '2' && !continues(end))
        return found(i, end, Kind::Phone);
    }
    const std::size_t groups = wholeGroups(n, 7, 13);
    if (groups == 0 || (n.size == n.groups[0].size && n.size < 9)) return 0;
    const std::size_t end = n.ends[groups - 1];
    if (isWord(at(end)) || (isOneOf<"-.:/">(at(end)) && isDigit(at(end + 1)))) return 0;
    if (groups > 1 && (n.groups[1].separator == '/' || !plainDate(n, groups))) return 0;
    // Groups of one digit are lists, and a number in one piece needs a word that speaks of telephones only.
    for (std::size_t k = 1; k < groups; ++k) {
      if (n.groups[k].size < 2) return 0;
    }
    const std::uint8_t hints = context_.around(i, end);
    if ((hints & kPhoneHint) == 0 && (groups == 1 || (hints & kWeakPhoneHint) == 0)) return 0;
    return found(i, end, Kind::Phone);
  }

  /// Whether groups are not a date: 2003-08-28, 28.08.2003.
  static bool plainDate(const Number& n, std::size_t groups) {
    if (groups < 3) return true;
    const bool yearFirst =
        n.groups[0].size == 4 && n.groups[1].size == 2 && n.groups[2].size == 2 && isOneOf<"-.">(n.groups[1].separator);
    const bool yearLast =
        n.groups[0].size == 2 && n.groups[1].size == 2 && n.groups[2].size == 4 && isOneOf<"-.">(n.groups[1].separator);
    return !yearFirst && !yearLast;
  }

  std::size_t email(std::size_t i) {
    const auto isLocal = [](char c) { return isAlnum(c) || isOneOf<"._%+-'">(c); };
    std::size_t begin = i;
    while (begin > from_ && i - begin < kLongestLocalPart && isLocal(text_[begin - 1])) --begin;
    while (begin < i && isOneOf<"._%+-'">(text_[begin])) ++begin;
    std::size_t end = i + 1, label = end;
    bool dotted = false;
    while (end < text_.size() && end - i <= kLongestDomain) {
      const char c = text_[end];
      if (c == '.' && end > label && isAlnum(at(end + 1))) dotted = true, label = end + 1;
      else if (!isAlnum(c) && !(c == '-' && end > label)) break;
      ++end;
    }
    countWork(end - begin);
    if (begin == i || !dotted) return i + 1;
    while (end > label && text_[end - 1] == '-') --end;
    const std::string_view top = text_.substr(label, end - label), domain = text_.substr(i + 1, end - i - 1);
    if (top.size() < 2 || !std::ranges::all_of(top, isLetter) || text_[i - 1] == '.') return i + 1;
    if (isReserved(domain, top)) return end;
    // git@host:path is the address of a repository.
    if (at(end) == ':' && text_.substr(begin, i - begin) == "git") return end;
    return found(begin, end, Kind::Email);
  }

  /// Domains that belong to nobody (RFC 2606), and names of files.
  static bool isReserved(std::string_view domain, std::string_view top) {
    constexpr std::array<std::string_view, 14> kTops{"example", "test", "invalid", "localhost", "local", "internal", "cluster",
                                                     "png",     "jpg",  "svg",     "js",        "css",   "so",       "service"};
    const auto equals = [](std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, {}, lower); };
    if (std::ranges::any_of(kTops, [&](std::string_view each) { return equals(each, top); })) return true;
    for (const std::string_view name : {"example.com", "example.org", "example.net"}) {
      if (domain.size() >= name.size() && equals(name, domain.substr(domain.size() - name.size())) &&
          (domain.size() == name.size() || domain[domain.size() - name.size() - 1] == '.'))
        return true;
    }
    return false;
  }

  std::size_t colon(std::size_t i) {
    if (text_.substr(i).starts_with("://")) return credentials(i);
    if (i > 0 && isHex(text_[i - 1])) {
      if (const std::size_t after = hexGroups(i)) return after;
    } else if (at(i + 1) == ':') {
      return i + 2;
    }
    if (!mayFollowName(i)) return i + 1;
    return value(i, at(i + 1) == ' ' ? i + 2 : i + 1);
  }

  /// scheme://user:password@host
  std::size_t credentials(std::size_t i) {
    const std::size_t begin = i + 3;
    std::size_t end = begin, colon = 0;
    while (end < text_.size() && end - begin < kLongestUserInfo && static_cast<std::uint8_t>(text_[end]) > ' ' &&
           !isOneOf<"/?#\"'<>\\,;">(text_[end]) && text_[end] != '@') {
      if (text_[end] == ':' && colon == 0) colon = end;
      ++end;
    }
    countWork(end - begin);
    if (at(end) != '@' || colon == 0 || colon + 1 == end || isPlaceholder(text_.substr(colon + 1, end - colon - 1))) return begin;
    return found(begin, end, Kind::UrlCredentials);
  }

  /// A MAC address or an IPv6 address, by the first of its colons.
  std::size_t hexGroups(std::size_t i) {
    std::size_t begin = i;
    while (begin > 0 && i - begin < 5 && isHex(text_[begin - 1])) --begin;
    const std::size_t first = i - begin;
    if (first > 4 || (begin > 0 && (isWord(text_[begin - 1]) || isOneOf<":.">(text_[begin - 1])))) return 0;
    std::size_t end = i, groups = 1, size = first, pairs = first == 2 ? 1 : 0;
    bool shortened = false, zero = true;
    for (std::size_t k = begin; k < i; ++k) zero = zero && text_[k] == '0';
    while (at(end) == ':' && groups < 9) {
      std::size_t next = end + 1;
      if (at(next) == ':') {
        if (shortened) return 0;
        shortened = true;
        ++next;
      }
      size = 0;
      while (size < 5 && isHex(at(next + size))) zero = zero && text_[next + size] == '0', ++size;
      if (size > 4 || (size == 0 && !shortened)) return 0;
      end = next + size;
      if (size == 0) break;
      ++groups;
      pairs += size == 2;
    }
    countWork(end - begin);
    if (isWord(at(end)) || (at(end) == ':' && isAlnum(at(end + 1)))) return 0;
    if (groups == 6 && pairs == 6 && !shortened) return zero || isBroadcast(begin) ? end : found(begin, end, Kind::Mac);
    if (groups != 8 && !(shortened && groups < 8 && groups >= 2)) return 0;
    // Of the addresses, 2000::/3 are public; 2001:db8::/32 is for examples.
    const char head = text_[begin];
    if (first != 4 || (head != '2' && head != '3') || text_.substr(begin, 9) == "2001:db8:" ||
        text_.substr(begin, 9) == "2001:DB8:")
      return end;
    return found(begin, end, Kind::Ip);
  }
  bool isBroadcast(std::size_t begin) const {
    const std::string_view address = text_.substr(begin, 17);
    return std::ranges::all_of(address, [](char c) { return c == ':' || lower(c) == 'f'; });
  }

  std::size_t token(std::size_t i) {
    if (i > 0 && isWord(text_[i - 1])) return i + 1;
    const Token token = tokenAt(text_.substr(i));
    return token.size == 0 ? i + 1 : found(i, i + token.size, token.kind);
  }

  std::size_t privateKey(std::size_t i) {
    constexpr std::string_view kEnd = "PRIVATE KEY-----";
    const std::size_t head = text_.substr(i, 64).find(kEnd);
    if (head == std::string_view::npos) return i + 1;
    const std::size_t foot = text_.find("-----END ", i + head);
    countWork(std::min(foot, text_.size()) - i);
    if (foot == std::string_view::npos) return found(i, text_.size(), Kind::PrivateKey);
    const std::size_t last = text_.substr(foot, 64).find(kEnd);
    return found(i, last == std::string_view::npos ? text_.size() : foot + last + kEnd.size(), Kind::PrivateKey);
  }

  /// Whether the name of a secret may end before a place, perhaps in quotes. Most do not, by their last letters.
  bool mayFollowName(std::size_t i) const {
    if (i < 3) return false;
    if (!mayBeLast(text_[i - 2], text_[i - 1])) return false;
    if (text_[i - 1] == '"' || text_[i - 1] == '\'') --i;
    return i >= 3 && mayEndName(text_.substr(0, i));
  }

  /// The value behind a key word and `=` or `:`, such as `password=…` or `"api_key": "…"`. The word may be one, by its end.
  std::size_t value(std::size_t separator, std::size_t begin) {
    std::size_t end = separator;
    if (end > 0 && isOneOf<"\"'">(text_[end - 1])) --end;
    std::size_t name = end;
    while (name > from_ && end - name < kLongestKeyWord && (isWord(text_[name - 1]) || isOneOf<".-">(text_[name - 1]))) --name;
    const bool quotedName = end != separator;
    if (end - name < 3) return separator + 1;
    const Naming naming = namingOf(text_.substr(name, end - name));
    if (naming == Naming::Nothing) return separator + 1;
    const char quote = isOneOf<"\"'`">(at(begin)) && at(begin) != '\0' ? at(begin) : '\0';
    if (quote) ++begin;
    for (const std::string_view scheme : {"Bearer ", "Basic ", "Token ", "Digest ", "bearer ", "basic "}) {
      if (text_.substr(begin, scheme.size()) == scheme) begin += scheme.size();
    }
    const auto ends = [&](std::size_t i) {
      const char c = text_[i];
      return quote ? c == quote && text_[i - 1] != '\\' : static_cast<std::uint8_t>(c) <= ' ' || isOneOf<",;&\"'">(c);
    };
    std::size_t last = begin;
    while (last < text_.size() && last - begin < kLongestPassword && !ends(last)) ++last;
    countWork(last - name);
    const std::string_view secret = text_.substr(begin, last - begin);
    if (isPlaceholder(secret)) return separator + 1;
    // Behind a colon and a space comes prose as well: "Invalid password: expired".
    const bool prose = !quote && !quotedName && at(separator + 1) == ' ' && std::ranges::all_of(secret, isLetter);
    if (naming == Naming::Person) return prose ? separator + 1 : found(begin, last, Kind::Person);
    if (prose || secret.size() < 3) return separator + 1;
    if (naming == Naming::Token && !isRandom(secret)) return separator + 1;
    // What is found is read once only, so that it may be as long as it is.
    while (last < text_.size() && !ends(last)) ++last;
    countWork(last - begin);
    if (const Token token = beginsToken(static_cast<std::uint8_t>(secret[0])) ? tokenAt(secret) : Token{}; token.size > 0)
      return found(begin, begin + token.size, token.kind);
    return found(begin, last, naming == Naming::Token ? Kind::ApiKey : Kind::Password);
  }

  std::string_view text_;
  Context context_;
  std::vector<Found>& out_;
  /// The end of the part that was found last, and where detectors go on.
  std::size_t from_ = 0, read_ = 0;
};

}  // namespace

Naming namingOf(std::string_view name) {
  if (name.size() < 3 || !mayBeLast(name[name.size() - 2], name.back()) || !mayEndName(name)) return Naming::Nothing;
  // The end of the name decides.
  if (name.size() > kLongestKeyWord) name.remove_prefix(name.size() - kLongestKeyWord);
  // A thread sees few names, and each of them often.
  struct Known {
    std::uint8_t size = 0;
    Naming naming = Naming::Nothing;
    std::array<char, kLongestKeyWord> name;
  };
  thread_local std::array<Known, 64> names;
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(name[i]); };
  Known& known = names[(name.size() + byte(0) * 7u + byte(name.size() / 2) * 5u + byte(name.size() - 3) * 3u) % names.size()];
  if (known.size == name.size() && std::memcmp(known.name.data(), name.data(), name.size()) == 0) return known.naming;
  known.size = static_cast<std::uint8_t>(name.size());
  std::ranges::copy(name, known.name.begin());
  return known.naming = readNaming(name);
}

void scan(Bytes text, Bytes key, std::vector<Found>& out, Names names) {
  out.clear();
  if (text.empty()) return;
  countWork(text.size());
  if (!key.empty() && names == Names::Decide) {
    const std::string_view value(reinterpret_cast<const char*>(text.data()), text.size());
    const Naming naming = namingOf({reinterpret_cast<const char*>(key.data()), key.size()});
    const auto whole = [&](Kind kind) { out.push_back({0, static_cast<std::uint32_t>(text.size()), kind}); };
    if (naming == Naming::Secret && !isPlaceholder(value)) return whole(Kind::Password);
    if (naming == Naming::Person && !isPlaceholder(value)) return whole(Kind::Person);
    if (naming == Naming::Token && value.size() >= 12 && !isPlaceholder(value)) return whole(Kind::ApiKey);
  }
  Scanner(text, key, out).run();
}

}  // namespace driftlock::privacy
