#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// NCD = (C_BW - min(C_B, C_W)) / max(C_B, C_W), from compressed sizes in bytes; `joined` is C of B with W behind it.
/// About 0 for equal texts, about 1 for unrelated ones. Codecs are not ideal: some hundredths below 0 and, where text and
/// noise share a table of symbols, up to .2 above 1 occur. It is given as computed, not clamped.
/// R. Cilibrasi and P. Vitanyi, Clustering by Compression, IEEE Trans. Inf. Theory 51(4), 2005.
double ncd(std::size_t joined, std::size_t baseline, std::size_t window);

/// NCD of two texts, `a` compressed before `b`. Symmetric as far as the codec is.
/// @throws std::length_error when either is longer than the codec's reach: `b` could not match what `a` begins with, and
/// even NCD(x, x) would jump from 0 to 1. M. Cebrian, M. Alfonseca and A. Ortega, Common Pitfalls Using the Normalized
/// Compression Distance, Commun. Inf. Syst. 5(4), 2005.
double ncd(Bytes a, Bytes b, const Codec& codec);

/// NCD of the window and the last |W| bytes of the baseline, its newest (the whole of it where it is shorter).
/// With |B| >> |W| the textbook's distance is (C_BW - C_W) / C_B: it tells how large the window is rather than how strange.
/// @throws std::length_error when `window` is longer than the codec's reach.
double ncdSizeMatched(Bytes baseline, Bytes window, const Codec& codec);

/// `b` behind `a`.
OwnedBytes join(Bytes a, Bytes b);

/// @throws std::length_error, naming `what`, when `size` bytes are more than the codec's reach.
void requireReach(const Codec& codec, const char* what, std::size_t size);

}  // namespace driftlock
