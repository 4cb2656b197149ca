#pragma once

// Logarithms and exponentials that give the same bits on every machine. The C library's do not: glibc picks variants by
// processor. These use only IEEE 754's exact operations in a fixed order, so that a replayed verdict is the same verdict.

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace driftlock {

inline constexpr double kLn2 = 0.693147180559945309417232;

/// 2^exponent for exponents from -1022 to 1023.
constexpr double powerOfTwo(int exponent) { return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52); }

/// std::frexp of an x > 0: x = m 2^exponent with m in [1/2, 1). Only subnormal and infinite numbers need a call.
inline double fractionOf(double x, int& exponent) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  if ((bits >> 52) - 1 >= 0x7fe) [[unlikely]]
    return std::frexp(x, &exponent);
  exponent = static_cast<int>(bits >> 52) - 1022;
  return std::bit_cast<double>((bits & 0x000fffffffffffff) | 0x3fe0000000000000);
}

/// Natural logarithm of a finite x > 0, within 3e-16 relative to max(1, |result|); minus infinity at and below 0.
/// ln x = k ln 2 + 2 atanh(s), s = (m - 1) / (m + 1), x = m 2^k, m in [sqrt(1/2), sqrt(2)).
inline double portableLog(double x) {
  if (!(x > 0)) return -std::numeric_limits<double>::infinity();
  int k = 0;
  double m = fractionOf(x, k);
  if (m < 0.70710678118654752440) {
    m *= 2;
    --k;
  }
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double sum = 1.0 / 21;
  for (int odd = 19; odd >= 1; odd -= 2) sum = sum * z + 1.0 / odd;
  return k * kLn2 + 2 * s * sum;
}

inline double portableLog2(double x) { return portableLog(x) / kLn2; }

/// e^x, within 1e-15 relative; 0 below -745 and infinity above 709.
inline double portableExp(double x) {
  if (!(x > -745)) return 0;
  if (x > 709.7) return std::numeric_limits<double>::infinity();
  const double k = std::floor(x / kLn2 + 0.5);
  // ln 2 in two parts, so that k ln 2 loses nothing: the first has 21 trailing zero bits.
  const double r = (x - k * 0.693147180369123816490) - k * 1.90821492927058770002e-10;
  double sum = 1;
  for (int n = 14; n >= 1; --n) sum = 1 + sum * r / n;
  const int exponent = static_cast<int>(k);
  return exponent >= -1022 && exponent <= 1023 ? sum * powerOfTwo(exponent) : std::ldexp(sum, exponent);
}

/// A fast log2, linear between whole numbers: within .09 of the exact value, for x >= 1. `roughExp2` is its inverse.
inline double roughLog2(double x) { return static_cast<double>(std::bit_cast<std::uint64_t>(x)) * 0x1p-52 - 1023; }
inline double roughExp2(double y) {
  return std::bit_cast<double>(static_cast<std::uint64_t>((std::max(0.0, y) + 1023) * 0x1p52));
}

/// The distance of a count from the mean of a Poisson law, in bits: half the deviance over ln 2 (P. McCullagh, J. A. Nelder,
/// Generalized linear models, 1989). `mean` is above 0.
inline double poissonDeviance(double count, double mean) {
  return (count > 0 ? count * portableLog2(count / mean) : 0) - (count - mean) / kLn2;
}

}  // namespace driftlock
