#pragma once

#include <string>

namespace driftlock::text {

/// Formats a number with `digits` significant digits, three by default: "50.6", "1234", "0.00123", "1.5e+20". Whole
/// numbers keep all of theirs.
std::string quantity(double value, int digits = 3);

/// A number and the range that is usual, as text, with the fewest digits, three at least, that show the number outside
/// of the range if it is outside.
struct Compared {
  std::string value;
  /// "6.19–18.5", "-2 to 3", or "5" if the range is a single number.
  std::string range;
};
Compared compared(double value, double low, double high);

}  // namespace driftlock::text
