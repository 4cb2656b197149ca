#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// CR = C / raw: compressed bytes per byte. It exceeds 1 if headers outweigh repetition. @throws std::length_error if `bytes` is
/// empty.
double compressionRatio(Bytes bytes, const Codec& codec);

/// ((C_B - C_W) x 8) / |W|: the bits by which the compressed baseline is larger than the compressed window, per byte of the
/// window. Sizes are of the whole of each, so that a baseline longer than the window always gives a positive number; its change
/// from window to window is what matters: it falls when the window compresses worse. `baselineSize` and `windowSize` are C_B and
/// C_W in bytes, `windowLength` is |W| > 0.
double deltaBits(std::size_t baselineSize, std::size_t windowSize, std::size_t windowLength);

/// Computes the same from the bytes. @throws std::length_error if `window` is empty.
double deltaBits(Bytes baseline, Bytes window, const Codec& codec);

}  // namespace driftlock
