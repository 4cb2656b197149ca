#pragma once

#include <cstddef>

#include "base/bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// NCD = (C_BW - min(C_B, C_W)) / max(C_B, C_W), from compressed sizes in bytes; `joined` is C of B followed by W. It is about 0
/// for equal texts and about 1 for unrelated ones. Codecs are not ideal: some hundredths below 0 occur and, if text and noise
/// share a table of symbols, up to .2 above 1. The value is not clamped. R. Cilibrasi and P. Vitanyi, Clustering by Compression,
/// IEEE Trans. Inf. Theory 51(4), 2005.
double ncd(std::size_t joined, std::size_t baseline, std::size_t window);

/// NCD of two texts, `a` compressed before `b`. It is as symmetric as the codec. @throws std::length_error if either is longer
/// than the codec's reach: `b` could not match the beginning of `a`, and even NCD(x, x) would jump from 0 to 1. M. Cebrian, M.
/// Alfonseca and A. Ortega, Common Pitfalls Using the Normalized Compression Distance, Commun. Inf. Syst. 5(4), 2005.
double ncd(Bytes a, Bytes b, const Codec& codec);

/// NCD of the window and the newest |W| bytes of the baseline (all of it if it is shorter). With |B| >> |W| the textbook's
/// distance is (C_BW - C_W) / C_B, which measures the size of the window rather than its strangeness. @throws std::length_error
/// if `window` is longer than the codec's reach.
double ncdSizeMatched(Bytes baseline, Bytes window, const Codec& codec);

/// Returns `a` followed by `b`.
OwnedBytes join(Bytes a, Bytes b);

/// @throws std::length_error, naming `what`, if `size` bytes exceed the codec's reach.
void requireReach(const Codec& codec, const char* what, std::size_t size);

}  // namespace driftlock
