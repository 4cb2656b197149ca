#pragma once

#include "base/bytes.hpp"

namespace driftlock {

/// H = -sum p log2 p over the byte histogram, in bits a byte: 0 (constant or empty) to 8 (all bytes equally often).
/// C. E. Shannon, A Mathematical Theory of Communication, 1948. Blind to order.
double entropy(Bytes bytes);

}  // namespace driftlock
