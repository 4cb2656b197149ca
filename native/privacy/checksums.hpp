#pragma once

#include <cstdint>
#include <string_view>

namespace driftlock::privacy {

/// Whether digits end with their check digit by Luhn's formula (ISO/IEC 7812-1).
bool luhn(std::string_view digits);
/// Whether digits are a number that a payment network issues: their first digits and length are of one, and Luhn's formula holds.
/// @param named whether the text speaks of a card, so that ranges count that are hardly in use
bool isCard(std::string_view digits, bool named);
/// Whether letters and digits without separators are an IBAN (ISO 13616): the length of its country, and 1 modulo 97.
bool isIban(std::string_view text);
/// The length of a country's IBAN by its two letters, in capitals; 0 if it has none.
std::size_t ibanLength(char first, char second);
/// Whether nine digits may be a US social security number.
bool isSsn(std::string_view digits);

}  // namespace driftlock::privacy
