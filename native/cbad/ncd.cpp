#include "cbad/ncd.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace driftlock {

double ncd(std::size_t joined, std::size_t baseline, std::size_t window) {
  return (static_cast<double>(joined) - static_cast<double>(std::min(baseline, window))) /
         static_cast<double>(std::max(baseline, window));
}

double ncd(Bytes a, Bytes b, const Codec& codec) {
  requireReach(codec, "a", a.size());
  requireReach(codec, "b", b.size());
  const auto both = join(a, b);
  const auto joined = codec.compressedSize(both);
  const auto sizeOfA = codec.compressedSize(a);
  return ncd(joined, sizeOfA, codec.compressedSize(b));
}

double ncdSizeMatched(Bytes baseline, Bytes window, const Codec& codec) {
  requireReach(codec, "window", window.size());
  return ncd(baseline.last(std::min(baseline.size(), window.size())), window, codec);
}

OwnedBytes join(Bytes a, Bytes b) {
  OwnedBytes both{std::make_unique_for_overwrite<std::uint8_t[]>(a.size() + b.size()), a.size() + b.size()};
  std::copy(b.begin(), b.end(), std::copy(a.begin(), a.end(), both.data.get()));
  return both;
}

void requireReach(const Codec& codec, const char* what, std::size_t size) {
  if (size <= codec.reach()) return;
  const std::string name(toString(codec.name()));
  throw std::length_error(std::string(what) + " is " + std::to_string(size) + " bytes long, but " + name + " at level " +
                          std::to_string(codec.level()) + " finds no match more than " + std::to_string(codec.reach()) +
                          " bytes back: shorten it, or choose a codec or level that reaches farther");
}

}  // namespace driftlock
