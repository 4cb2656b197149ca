#include "privacy/national_ids.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "privacy/checksums.hpp"

namespace driftlock::privacy {
namespace {

bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isCapital(char c) { return c >= 'A' && c <= 'Z'; }
int at(std::string_view digits, std::size_t i) { return digits[i] - '0'; }

std::uint64_t numberOf(std::string_view digits) {
  std::uint64_t number = 0;
  for (const char c : digits) number = 10 * number + static_cast<std::uint64_t>(c - '0');
  return number;
}

int weighted(std::string_view digits, std::span<const int> weights) {
  int sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * at(digits, i);
  return sum;
}

/// Whether two digits each may be a month and a day.
bool isDate(std::uint64_t month, std::uint64_t day) { return month >= 1 && month <= 12 && day >= 1 && day <= 31; }

/// ISO/IEC 7064, MOD 11,10: Germany and Croatia.
bool mod11Of10(std::string_view digits) {
  int product = 10;
  for (std::size_t i = 0; i + 1 < digits.size(); ++i) {
    const int sum = (at(digits, i) + product) % 10;
    product = 2 * (sum == 0 ? 10 : sum) % 11;
  }
  return (11 - product) % 10 == at(digits, digits.size() - 1);
}

bool german(std::string_view d) {
  // Of the first ten digits one occurs twice or three times, and the first is not 0.
  std::array<int, 10> counts{};
  for (std::size_t i = 0; i < 10; ++i) ++counts[static_cast<std::size_t>(at(d, i))];
  const auto repeated = std::ranges::count_if(counts, [](int n) { return n > 1; });
  return d[0] != '0' && repeated == 1 && std::ranges::max(counts) <= 3 && mod11Of10(d);
}

bool dutch(std::string_view d) {
  constexpr std::array kWeights{9, 8, 7, 6, 5, 4, 3, 2, -1};
  return weighted(d, kWeights) % 11 == 0;
}

bool portuguese(std::string_view d) {
  constexpr std::array kWeights{9, 8, 7, 6, 5, 4, 3, 2};
  if (d[0] != '1' && d[0] != '2' && d[0] != '3') return false;
  const int rest = weighted(d, kWeights) % 11;
  return (rest < 2 ? 0 : 11 - rest) == at(d, 8);
}

bool bulgarian(std::string_view d) {
  constexpr std::array kWeights{2, 4, 8, 5, 10, 9, 7, 3, 6};
  // The month tells the century by 20 or 40.
  return isDate(numberOf(d.substr(2, 2)) % 20, numberOf(d.substr(4, 2))) && weighted(d, kWeights) % 11 % 10 == at(d, 9);
}

bool czech(std::string_view d) {
  // Women have 50 added to the month, and exhausted days 20.
  return isDate(numberOf(d.substr(2, 2)) % 50 % 20, numberOf(d.substr(4, 2))) && numberOf(d) % 11 == 0;
}

bool danish(std::string_view d) {
  constexpr std::array kWeights{4, 3, 2, 7, 6, 5, 4, 3, 2, 1};
  return isDate(numberOf(d.substr(2, 2)), numberOf(d.substr(0, 2))) && weighted(d, kWeights) % 11 == 0;
}

bool swedish(std::string_view d) {
  // Coordination numbers have 60 added to the day.
  return isDate(numberOf(d.substr(2, 2)), numberOf(d.substr(4, 2)) % 60) && luhn(d);
}

bool austrian(std::string_view d) {
  constexpr std::array kWeights{3, 7, 9, 0, 5, 8, 4, 2, 1, 6};
  return d[0] != '0' && isDate(numberOf(d.substr(6, 2)), numberOf(d.substr(4, 2))) && weighted(d, kWeights) % 11 == at(d, 3);
}

bool polish(std::string_view d) {
  constexpr std::array kWeights{1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1};
  return isDate(numberOf(d.substr(2, 2)) % 20, numberOf(d.substr(4, 2))) && weighted(d, kWeights) % 10 == 0;
}

bool baltic(std::string_view d) {
  constexpr std::array kFirst{1, 2, 3, 4, 5, 6, 7, 8, 9, 1}, kSecond{3, 4, 5, 6, 7, 8, 9, 1, 2, 3};
  if (d[0] < '1' || d[0] > '6' || !isDate(numberOf(d.substr(3, 2)), numberOf(d.substr(5, 2)))) return false;
  int rest = weighted(d, kFirst) % 11;
  if (rest == 10) rest = weighted(d, kSecond) % 11 % 10;
  return rest == at(d, 10);
}

bool greek(std::string_view d) { return isDate(numberOf(d.substr(2, 2)), numberOf(d.substr(0, 2))) && luhn(d); }

bool romanian(std::string_view d) {
  constexpr std::array kWeights{2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9};
  const int rest = weighted(d, kWeights) % 11;
  return d[0] != '0' && isDate(numberOf(d.substr(3, 2)), numberOf(d.substr(5, 2))) && (rest == 10 ? 1 : rest) == at(d, 12);
}

bool slovenian(std::string_view d) {
  constexpr std::array kWeights{7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2};
  const int rest = weighted(d, kWeights) % 11;
  return isDate(numberOf(d.substr(2, 2)), numberOf(d.substr(0, 2))) && rest != 1 && (rest == 0 ? 0 : 11 - rest) == at(d, 12);
}

}  // namespace

bool isBelgianId(std::string_view d) {
  if (!isDate(numberOf(d.substr(2, 2)) % 20, numberOf(d.substr(4, 2)))) return false;
  const std::uint64_t number = numberOf(d.substr(0, 9)), check = numberOf(d.substr(9));
  // Numbers of those born since 2000 are checked with a 2 in front.
  return 97 - number % 97 == check || 97 - (2'000'000'000 + number) % 97 == check;
}

bool isFrenchId(std::string_view d) {
  const std::uint64_t month = numberOf(d.substr(3, 2));
  const bool known = (month >= 1 && month <= 12) || (month >= 20 && month <= 42);
  return (d[0] == '1' || d[0] == '2') && known && 97 - numberOf(d.substr(0, 13)) % 97 == numberOf(d.substr(13));
}

bool isNationalId(std::string_view d) {
  if (d.empty() || d.find_first_not_of(d[0]) == std::string_view::npos) return false;
  switch (d.size()) {
    case 9: return dutch(d) || portuguese(d);
    case 10: return bulgarian(d) || czech(d) || danish(d) || swedish(d) || austrian(d);
    case 11: return german(d) || (d[0] != '0' && mod11Of10(d)) || isBelgianId(d) || polish(d) || baltic(d) || greek(d);
    case 12: return swedish(d.substr(2));
    case 13: return romanian(d) || slovenian(d);
    case 15: return isFrenchId(d);
    default: return false;
  }
}

bool isFinnishId(std::string_view text) {
  constexpr std::string_view kLetters = "0123456789ABCDEFHJKLMNPRSTUVWXY", kCenturies = "-+ABCDEFYXWVU";
  if (text.size() != 11 || kCenturies.find(text[6]) == std::string_view::npos) return false;
  for (std::size_t i = 0; i < 10; ++i) {
    if (i != 6 && !isDigit(text[i])) return false;
  }
  if (!isDate(numberOf(text.substr(2, 2)), numberOf(text.substr(0, 2)))) return false;
  const std::uint64_t number = numberOf(text.substr(0, 6)) * 1000 + numberOf(text.substr(7, 3));
  return kLetters[number % 31] == text[10];
}

bool isItalianId(std::string_view text) {
  if (text.size() != 16) return false;
  constexpr std::string_view kShape = "LLLLLLDDLDDLDDDL", kMonths = "ABCDEHLMPRST";
  for (std::size_t i = 0; i < 16; ++i) {
    if (kShape[i] == 'L' ? !isCapital(text[i]) : !isDigit(text[i])) return false;
  }
  if (kMonths.find(text[8]) == std::string_view::npos) return false;
  constexpr std::array kOdd{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
  int sum = 0;
  for (std::size_t i = 0; i < 15; ++i) {
    const int value = isDigit(text[i]) ? text[i] - '0' : text[i] - 'A';
    sum += i % 2 == 0 ? kOdd[static_cast<std::size_t>(value)] : value;
  }
  return text[15] - 'A' == sum % 26;
}

bool isSpanishId(std::string_view text) {
  constexpr std::string_view kLetters = "TRWAGMYFPDXBNJZSQVHLCKE";
  if (text.size() != 9) return false;
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < 8; ++i) {
    const bool foreign = i == 0 && text[0] >= 'X' && text[0] <= 'Z';
    if (!foreign && !isDigit(text[i])) return false;
    number = 10 * number + static_cast<std::uint64_t>(foreign ? text[0] - 'X' : text[i] - '0');
  }
  return number != 0 && kLetters[number % 23] == text[8];
}

}  // namespace driftlock::privacy
