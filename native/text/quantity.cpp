#include "text/quantity.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/sentence.hpp"

namespace driftlock::text {
namespace {

constexpr int kFewest = 3;
/// So many digits tell any two numbers apart.
constexpr int kMost = 17;
/// Numbers from here on, and below the inverse, have an exponent.
constexpr double kLarge = 1e15, kSmall = 1e-6;

double valueOf(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

bool outside(double value, double low, double high) { return value < low || value > high; }

}  // namespace

std::string quantity(double value, int digits) {
  if (value == 0) return "0";
  const double size = std::fabs(value);
  if (!(size >= kSmall && size < kLarge)) return number(value, std::chars_format::general, digits);
  int decimals = digits - 1;
  for (double power = 10; power <= size; power *= 10) --decimals;
  for (double power = 1; power > size; power /= 10) ++decimals;
  std::string text = number(value, std::chars_format::fixed, decimals > 0 ? decimals : 0);
  if (decimals > 0) {
    while (text.back() == '0') text.pop_back();
    if (text.back() == '.') text.pop_back();
  }
  return text == "-0" ? "0" : text;
}

Compared compared(double value, double low, double high) {
  for (int digits = kFewest;; ++digits) {
    Compared text{quantity(value, digits), quantity(low, digits)};
    const std::string end = quantity(high, digits);
    const double shown = valueOf(text.value);
    const bool clear = outside(shown, low, high) && outside(shown, valueOf(text.range), valueOf(end));
    if (!clear && outside(value, low, high) && digits < kMost) continue;
    if (end != text.range) text.range += (low < 0 ? " to " : "–") + end;
    return text;
  }
}

}  // namespace driftlock::text
