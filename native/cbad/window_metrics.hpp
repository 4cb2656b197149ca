#pragma once

#include "base/bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// The CBAD figures of a window beside its baseline. They explain; they raise no alarm.
struct WindowMetrics {
  double compressionRatio = 0;  ///< C_W / |W|
  double baselineRatio = 0;     ///< C_B / |B|
  double deltaBits = 0;         ///< ((C_B - C_W) x 8) / |W|, bits a byte
  double entropy = 0;           ///< of the window, bits a byte
  double ncd = 0;               ///< textbook, baseline before window
  double ncdSizeMatched = 0;    ///< of the window and the baseline's last |W| bytes
};

/// All of them at once: five compressions (three where the baseline is no longer than the window).
/// @throws std::length_error when either is empty or longer than `codec.reach()`.
WindowMetrics windowMetrics(Bytes baseline, Bytes window, const Codec& codec);

}  // namespace driftlock
