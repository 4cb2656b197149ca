#pragma once

#include <string_view>

namespace driftlock::privacy {

/// Whether digits are a national identification or tax number of a member state of the European Union, by length, date of birth
/// and check digits: Austria (SVNR), Belgium, Bulgaria (EGN), Croatia (OIB), the Czech Republic and Slovakia (rodné číslo),
/// Denmark (CPR), Estonia and Lithuania, France (NIR), Germany (Steuer-ID), Greece (AMKA), the Netherlands (BSN), Poland
/// (PESEL), Portugal (NIF), Romania (CNP), Slovenia (EMŠO), Sweden. One number in several has valid check digits by chance, so
/// that the text around it must speak of such a number.
bool isNationalId(std::string_view digits);

/// Belgium: eleven digits, written as 85.07.30-033.28.
bool isBelgianId(std::string_view digits);
/// France: fifteen digits (NIR), written as 1 85 05 78 006 084 36.
bool isFrenchId(std::string_view digits);
/// Finland: 131052-308T (HETU).
bool isFinnishId(std::string_view text);
/// Italy: sixteen letters and digits (codice fiscale).
bool isItalianId(std::string_view text);
/// Spain: eight digits, or X, Y or Z and seven digits, and a letter (DNI, NIE).
bool isSpanishId(std::string_view text);

}  // namespace driftlock::privacy
