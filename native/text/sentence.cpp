#include "text/sentence.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "text/readable.hpp"

namespace driftlock::text {
std::string quoted(std::string piece) {
  const bool truncated = piece.size() > kMostQuoted;
  if (truncated) piece.resize(kMostQuoted);
  makeReadable(piece);
  std::replace_if(piece.begin(), piece.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  piece.insert(0, 1, '"');
  return piece += truncated ? "…\"" : "\"";
}

std::string number(double value, std::chars_format format, int precision) {
  char digits[400];
  return {digits, std::to_chars(digits, digits + sizeof digits, value, format, precision).ptr};
}

std::string fixed(double value, int precision) {
  constexpr std::uint64_t kScales[] = {1, 10, 100};
  const bool usual = precision <= 2 && value >= 0x1p-10 && value < 0x1p52;
  if (!usual) return number(value, std::chars_format::fixed, precision);
  // Numbers of usual size are rounded as integers, which is exact.
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  const int shift = 53 - exponent;  // value = mantissa x 2^53 / 2^shift, from 1 to 62
  const std::uint64_t scale = kScales[precision];
  const std::uint64_t scaled = static_cast<std::uint64_t>(std::ldexp(mantissa, 53)) * scale;
  const std::uint64_t half = std::uint64_t{1} << (shift - 1), rest = scaled & (2 * half - 1);
  std::uint64_t rounded = scaled >> shift;
  if (rest > half || (rest == half && rounded % 2 == 1)) ++rounded;
  if (precision == 0) return std::to_string(rounded);
  char digits[24];
  char* end = std::to_chars(digits, digits + sizeof digits, rounded / scale).ptr;
  *end++ = '.';
  if (precision == 2) *end++ = static_cast<char>('0' + rounded / 10 % 10);
  *end++ = static_cast<char>('0' + rounded % 10);
  return {digits, end};
}

std::string percent(double share) { return format(share > 0 && share < 0.1 ? "%.1f %%" : "%.0f %%", 100 * share); }

std::string duration(double seconds) {
  if (seconds < 1) return format("%.0f ms", seconds * 1e3);
  if (seconds < 100) return format(seconds < 10 ? "%.2g s" : "%.0f s", seconds);
  if (seconds < 6'000) return format("%.0f min", seconds / 60);
  if (seconds < 172'800) return format("%.0f h", seconds / 3'600);
  return format("%.0f days", seconds / 86'400);
}

}  // namespace driftlock::text
