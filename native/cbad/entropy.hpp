#pragma once

#include "base/bytes.hpp"

namespace driftlock {

/// H = -sum p log2 p over the byte histogram, in bits per byte: 0 (constant or empty) to 8 (all bytes equally frequent). It
/// ignores the order of bytes. C. E. Shannon, A Mathematical Theory of Communication, 1948.
double entropy(Bytes bytes);

}  // namespace driftlock
