#pragma once

#include <charconv>
#include <cstddef>
#include <cstdio>
#include <string>

namespace driftlock::text {

/// Pieces of the sentences that explain anomalies.

/// The length in bytes to which quotations are truncated.
inline constexpr std::size_t kMostQuoted = 96;
/// Returns a piece of a record's text in quotes, on one line, truncated to that length.
std::string quoted(std::string piece);

/// Formats a number as printf does with %.*f or %.*g, but several times faster: each flagged record has several.
std::string number(double value, std::chars_format format, int precision);
/// Formats a number with `precision` digits after the point.
std::string fixed(double value, int precision = 2);

/// The number of characters that suffices for most explanations.
inline constexpr std::size_t kUsualSentence = 320;
/// Appends pieces to a sentence without a copy for each.
void append(std::string& sentence, const auto&... pieces) { (sentence.append(pieces), ...); }

/// Formats a share of one as a percentage.
std::string percent(double share);
/// Formats a time span in a suitable unit: "2 s", "4 min".
std::string duration(double seconds);

/// Formats like printf, for texts of fewer than 256 bytes.
std::string format(const char* pattern, auto... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, pattern, values...);
  return buffer;
}

}  // namespace driftlock::text
