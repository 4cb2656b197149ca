#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/state_bytes.hpp"
#include "base/window.hpp"
#include "cbad/window_metrics.hpp"
#include "channels/channel_id.hpp"
#include "record/stream_key.hpp"
#include "stream/settings.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// The latest records of a stream and an excerpt of its baseline: the verdict on the window, hop by hop, and the metrics that
/// compare the two.
class Windows {
 public:
  explicit Windows(const Settings& settings);

  /// The next record, of which so many came before.
  void push(Bytes record, std::uint64_t seen);
  /// The channel's strangeness somewhere in the hop at hand: that of a single unit, or the bits of a mix of many.
  void notice(ChannelId channel, double strangeness) { noticeMix(channel, kBitsPerMeasure * strangeness - chances_); }
  void noticeMix(ChannelId channel, double bits) { hops_.back().notice(channel, bits); }
  /// A verdict within the hop at hand.
  void include(const Verdict& verdict) { hops_.back().include(verdict); }
  /// The baseline is what the window holds now.
  void setBaseline();

  /// The verdict on the window as it is now.
  WindowVerdict verdict() const;

  const Window& latest() const { return window_; }
  std::size_t records() const { return window_.records(); }
  /// Texts of the records of the baseline and of the window, as `render` gives them, a line each.
  void texts(const StreamKey& key, std::vector<std::string>& baseline, std::vector<std::string>& window) const;

  /// The window's metrics against the baseline: made anew when a hop has passed. Null if either is empty.
  const WindowMetrics* metrics(const StreamKey& key, const Codec& codec, std::uint64_t seen);
  /// Metrics were made, at most so many hops ago.
  bool measured(std::uint64_t seen, std::uint32_t hops) const {
    return metrics_ && seen < metricsAt_ + std::uint64_t{hops} * settings_.windowHop;
  }
  /// As they were made last.
  const WindowMetrics& measuredMetrics() const { return *metrics_; }
  void forgetMetrics() { metrics_.reset(); }

  /// Bytes beyond the object's own.
  std::size_t memory() const { return baseline_.memory() + window_.memory(); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of fresh windows. False if the bytes are no snapshot of some with these settings; they are of no use then.
  bool restore(Bytes in, const StreamKey& key, std::uint64_t seen);

 private:
  /// In a window, each bit a byte of news, or each measure of strangeness, makes a record 2^3 times rarer.
  static constexpr double kBitsPerMeasure = 3;

  /// What is strangest in one hop of a window.
  struct Hop {
    /// Of each channel, in bits.
    std::array<double, kChannelCount> strangest;
    double pValue = 1;
    bool flagged = false;

    Hop() { strangest.fill(-std::numeric_limits<double>::infinity()); }
    void notice(ChannelId channel, double bits) {
      double& most = strangest[indexOf(channel)];
      most = std::max(most, bits);
    }
    /// Of a Verdict or a Hop.
    void include(const auto& verdict) {
      pValue = std::min(pValue, verdict.pValue);
      flagged |= verdict.flagged;
    }

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      for (auto& strangest : self.strangest) v(strangest);
      v(self.pValue), v(self.flagged);
    }
  };
  std::size_t hopsPerWindow() const;

  const Settings& settings_;
  /// log2 of the records of a window: a single record is as many times less rare in it.
  double chances_;
  Window baseline_, window_;
  /// Of the current window, latest last.
  std::deque<Hop> hops_;
  std::optional<WindowMetrics> metrics_;
  std::uint64_t metricsAt_ = 0;
};

/// Views read a record without checking it again, so records from a snapshot must be as sound as those of a request.
bool sound(const Window& window, const StreamKey& key);

}  // namespace driftlock
