#include "cbad/ratio.hpp"

#include <stdexcept>

namespace driftlock {

double compressionRatio(Bytes bytes, const Codec& codec) {
  if (bytes.empty()) throw std::length_error("bytes is empty: a ratio needs at least one byte");
  return static_cast<double>(codec.compressedSize(bytes)) / static_cast<double>(bytes.size());
}

double deltaBits(std::size_t baselineSize, std::size_t windowSize, std::size_t windowLength) {
  return (static_cast<double>(baselineSize) - static_cast<double>(windowSize)) * 8 / static_cast<double>(windowLength);
}

double deltaBits(Bytes baseline, Bytes window, const Codec& codec) {
  if (window.empty()) throw std::length_error("window is empty: bits a byte need at least one byte");
  const auto baselineSize = codec.compressedSize(baseline);
  return deltaBits(baselineSize, codec.compressedSize(window), window.size());
}

}  // namespace driftlock
