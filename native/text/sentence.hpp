#pragma once

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <string>

namespace driftlock::text {

/// Pieces of the sentences that explain anomalies.

/// A piece of a record's text in quotes, on one line, truncated to 96 bytes.
std::string quoted(std::string piece);

/// A number as printf writes it with %.*f or %.*g, but several times faster: each flagged record has some of them.
std::string number(double value, std::chars_format format, int precision);
/// A number with two digits behind the point, or with none.
std::string fixed(double value, int precision = 2);

/// Characters that most explanations have room in.
inline constexpr std::size_t kUsualSentence = 320;
/// Appends pieces to a sentence, without a copy of it for each.
void append(std::string& sentence, const auto&... pieces) { (sentence.append(pieces), ...); }

/// A share of one in percent.
std::string percent(double share);
/// A time span in the unit that suits it: "2 s", "4 min".
std::string duration(double seconds);

/// As printf, for texts of fewer than 256 bytes.
std::string format(const char* pattern, auto... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, pattern, values...);
  return buffer;
}

}  // namespace driftlock::text
