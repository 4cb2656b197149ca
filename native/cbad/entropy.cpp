#include "cbad/entropy.hpp"

#include <array>
#include <cstddef>

#include "base/portable_math.hpp"

namespace driftlock {

double entropy(Bytes bytes) {
  // There are four histograms because repeated bytes would otherwise wait for each other's increment.
  std::array<std::array<std::size_t, 256>, 4> counts{};
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4)
    for (std::size_t lane = 0; lane < 4; ++lane) ++counts[lane][bytes[i + lane]];
  for (; i < bytes.size(); ++i) ++counts[0][bytes[i]];

  double bits = 0;
  for (std::size_t value = 0; value < 256; ++value) {
    const auto count = counts[0][value] + counts[1][value] + counts[2][value] + counts[3][value];
    if (count == 0 || count == bytes.size()) continue;
    const double p = static_cast<double>(count) / static_cast<double>(bytes.size());
    bits -= p * portableLog2(p);
  }
  return bits;
}

}  // namespace driftlock
