#include "cbad/window_metrics.hpp"

#include <algorithm>
#include <stdexcept>

#include "cbad/entropy.hpp"
#include "cbad/ncd.hpp"
#include "cbad/ratio.hpp"

namespace driftlock {

WindowMetrics windowMetrics(Bytes baseline, Bytes window, const Codec& codec) {
  if (baseline.empty()) throw std::length_error("baseline is empty: a ratio needs at least one byte");
  if (window.empty()) throw std::length_error("window is empty: a ratio needs at least one byte");
  requireReach(codec, "baseline", baseline.size());
  requireReach(codec, "window", window.size());

  const auto both = join(baseline, window);
  const auto ofBaseline = codec.compressedSize(baseline);
  const auto ofWindow = codec.compressedSize(window);
  const auto ofBoth = codec.compressedSize(both);

  WindowMetrics metrics{
      .windowBytes = window.size(),
      .compressionRatio = static_cast<double>(ofWindow) / static_cast<double>(window.size()),
      .baselineRatio = static_cast<double>(ofBaseline) / static_cast<double>(baseline.size()),
      .deltaBits = deltaBits(ofBaseline, ofWindow, window.size()),
      .entropy = entropy(window),
      .ncd = ncd(ofBoth, ofBaseline, ofWindow),
  };
  metrics.ncdSizeMatched = metrics.ncd;
  if (baseline.size() > window.size()) {
    // The newest piece of the baseline and the window are adjacent in the joined bytes already.
    const auto piece = baseline.last(window.size());
    const auto ofPiece = codec.compressedSize(piece);
    metrics.ncdSizeMatched = ncd(codec.compressedSize(Bytes(both).last(2 * window.size())), ofPiece, ofWindow);
  }
  return metrics;
}

}  // namespace driftlock
