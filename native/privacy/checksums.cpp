#include "privacy/checksums.hpp"

#include <algorithm>
#include <array>

namespace driftlock::privacy {
namespace {

/// The numbers from `low` to `high` begin cards of a network, which have from `shortest` to `longest` digits.
struct IssuerRange {
  std::uint32_t low, high;
  std::uint8_t prefix, shortest, longest;
  /// Whether it counts only in a text that speaks of a card.
  bool rare = false;
};

constexpr std::array kIssuers = std::to_array<IssuerRange>({
    {4, 4, 1, 13, 13},          // Visa, former
    {4, 4, 1, 16, 16},          // Visa
    {4, 4, 1, 19, 19},          // Visa
    {51, 55, 2, 16, 16},        // Mastercard
    {2221, 2720, 4, 16, 16},    // Mastercard
    {34, 34, 2, 15, 15},        // American Express
    {37, 37, 2, 15, 15},        // American Express
    {6011, 6011, 4, 16, 19},    // Discover
    {644, 659, 3, 16, 19},      // Discover
    {300, 305, 3, 14, 19},      // Diners Club
    {3095, 3095, 4, 14, 19},    // Diners Club
    {36, 36, 2, 14, 19},        // Diners Club
    {38, 39, 2, 14, 19},        // Diners Club
    {3528, 3589, 4, 16, 19},    // JCB
    {35, 35, 2, 16, 16, true},  // JCB, around that
    {1800, 1800, 4, 15, 15},    // JCB, former
    {2131, 2131, 4, 15, 15},    // JCB, former
    {62, 62, 2, 16, 19},        // UnionPay
    {2200, 2204, 4, 16, 19},    // Mir
    {5018, 5018, 4, 12, 19},    // Maestro
    {5020, 5020, 4, 12, 19},    // Maestro
    {5038, 5038, 4, 12, 19},    // Maestro
    {5893, 5893, 4, 12, 19},    // Maestro
    {604, 604, 4, 12, 19},      // Maestro, 0604
    {6304, 6304, 4, 12, 19},    // Maestro
    {6390, 6390, 4, 12, 19},    // Maestro
    {6759, 6759, 4, 12, 19},    // Maestro
    {6761, 6763, 4, 12, 19},    // Maestro
});

struct IbanCountry {
  char first, second;
  std::uint8_t length;
};

/// The IBAN registry of SWIFT.
constexpr std::array kIbanCountries = std::to_array<IbanCountry>({
    {'A', 'D', 24}, {'A', 'E', 23}, {'A', 'L', 28}, {'A', 'T', 20}, {'A', 'Z', 28}, {'B', 'A', 20}, {'B', 'E', 16},
    {'B', 'G', 22}, {'B', 'H', 22}, {'B', 'I', 27}, {'B', 'R', 29}, {'B', 'Y', 28}, {'C', 'H', 21}, {'C', 'R', 22},
    {'C', 'Y', 28}, {'C', 'Z', 24}, {'D', 'E', 22}, {'D', 'J', 27}, {'D', 'K', 18}, {'D', 'O', 28}, {'E', 'E', 20},
    {'E', 'G', 29}, {'E', 'S', 24}, {'F', 'I', 18}, {'F', 'K', 18}, {'F', 'O', 18}, {'F', 'R', 27}, {'G', 'B', 22},
    {'G', 'E', 22}, {'G', 'I', 23}, {'G', 'L', 18}, {'G', 'R', 27}, {'G', 'T', 28}, {'H', 'N', 28}, {'H', 'R', 21},
    {'H', 'U', 28}, {'I', 'E', 22}, {'I', 'L', 23}, {'I', 'Q', 23}, {'I', 'S', 26}, {'I', 'T', 27}, {'J', 'O', 30},
    {'K', 'W', 30}, {'K', 'Z', 20}, {'L', 'B', 28}, {'L', 'C', 32}, {'L', 'I', 21}, {'L', 'T', 20}, {'L', 'U', 20},
    {'L', 'V', 21}, {'L', 'Y', 25}, {'M', 'C', 27}, {'M', 'D', 24}, {'M', 'E', 22}, {'M', 'K', 19}, {'M', 'N', 20},
    {'M', 'R', 27}, {'M', 'T', 31}, {'M', 'U', 30}, {'N', 'I', 28}, {'N', 'L', 18}, {'N', 'O', 15}, {'O', 'M', 23},
    {'P', 'K', 24}, {'P', 'L', 28}, {'P', 'S', 29}, {'P', 'T', 25}, {'Q', 'A', 29}, {'R', 'O', 24}, {'R', 'S', 22},
    {'R', 'U', 33}, {'S', 'A', 24}, {'S', 'C', 31}, {'S', 'D', 18}, {'S', 'E', 24}, {'S', 'I', 19}, {'S', 'K', 24},
    {'S', 'M', 27}, {'S', 'O', 23}, {'S', 'T', 25}, {'S', 'V', 28}, {'T', 'L', 23}, {'T', 'N', 24}, {'T', 'R', 26},
    {'U', 'A', 29}, {'V', 'A', 22}, {'V', 'G', 24}, {'X', 'K', 20}, {'Y', 'E', 30},
});

int numberOf(std::string_view digits) {
  int number = 0;
  for (const char c : digits) number = 10 * number + (c - '0');
  return number;
}

}  // namespace

bool luhn(std::string_view digits) {
  int sum = 0;
  bool doubled = false;
  for (std::size_t i = digits.size(); i-- > 0; doubled = !doubled) {
    const int digit = digits[i] - '0';
    sum += doubled ? 2 * digit - (digit > 4 ? 9 : 0) : digit;
  }
  return sum % 10 == 0;
}

bool isCard(std::string_view digits, bool named) {
  if (digits.size() < 12 || digits.size() > 19) return false;
  const auto issued = [&](const IssuerRange& range) {
    if ((range.rare && !named) || digits.size() < range.shortest || digits.size() > range.longest) return false;
    const auto number = static_cast<std::uint32_t>(numberOf(digits.substr(0, range.prefix)));
    return number >= range.low && number <= range.high;
  };
  return std::ranges::any_of(kIssuers, issued) && luhn(digits);
}

std::size_t ibanLength(char first, char second) {
  for (const IbanCountry& country : kIbanCountries) {
    if (country.first == first && country.second == second) return country.length;
  }
  return 0;
}

bool isIban(std::string_view text) {
  if (text.size() < 5 || ibanLength(text[0], text[1]) != text.size()) return false;
  // Identifiers in hexadecimal digits may begin with the codes of these countries, whose accounts are numbers: in Andorra, the
  // first eight characters are.
  if (text[0] <= 'F' && text[1] <= 'F') {
    const std::string_view account = text.substr(4, text[1] == 'D' ? 8 : text.size());
    if (!std::ranges::all_of(account, [](char c) { return c >= '0' && c <= '9'; })) return false;
  }
  int rest = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[(i + 4) % text.size()];
    if (c >= '0' && c <= '9') rest = (10 * rest + (c - '0')) % 97;
    else if (c >= 'A' && c <= 'Z') rest = (100 * rest + (c - 'A' + 10)) % 97;
    else return false;
  }
  // Check digits are from 02 to 98.
  const int check = numberOf(text.substr(2, 2));
  return rest == 1 && check >= 2 && check <= 98;
}

bool isSsn(std::string_view digits) {
  const int area = numberOf(digits.substr(0, 3));
  return area != 0 && area != 666 && area < 900 && digits.substr(3, 2) != "00" && digits.substr(5, 4) != "0000";
}

}  // namespace driftlock::privacy
