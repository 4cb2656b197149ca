#pragma once

#include <cstdint>

#include "base/bytes.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// The CBAD metrics of a window relative to its baseline. They explain an anomaly, but raise no alarm.
struct WindowMetrics {
  std::uint64_t windowBytes = 0;  ///< |W|
  double compressionRatio = 0;    ///< C_W / |W|
  double baselineRatio = 0;       ///< C_B / |B|
  double deltaBits = 0;           ///< ((C_B - C_W) x 8) / |W|, bits per byte
  double entropy = 0;             ///< of the window, bits per byte
  double ncd = 0;                 ///< textbook, baseline before window
  double ncdSizeMatched = 0;      ///< of the window and the baseline's last |W| bytes
};

/// Computes all of them at once: five compressions (three if the baseline is no longer than the window). @throws
/// std::length_error if either is empty or longer than `codec.reach()`.
WindowMetrics windowMetrics(Bytes baseline, Bytes window, const Codec& codec);

}  // namespace driftlock
