#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "base/state_bytes.hpp"
#include "base/window.hpp"
#include "cbad/window_metrics.hpp"
#include "channels/channel_id.hpp"
#include "channels/policy.hpp"
#include "record/stream_key.hpp"
#include "stream/excerpt.hpp"
#include "stream/settings.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// The latest records of a stream and an excerpt of its baseline: the verdict on the window, hop by hop, and the metrics that
/// compare the two.
class Windows {
 public:
  /// @param key that of the stream, which outlives the windows
  Windows(const Settings& settings, const StreamKey& key);

  /// Adds the next record; `seen` records came before it.
  void push(Bytes record, std::uint64_t seen);
  /// Notes the channel's strangeness somewhere in the current hop: that of a single unit, or the bits of a mix of many.
  void notice(ChannelId channel, double strangeness) { noticeMix(channel, kBitsPerMeasure * strangeness - chances_); }
  void noticeMix(ChannelId channel, double bits) { hops_.back().notice(channel, bits); }
  /// Adds a verdict within the current hop.
  void include(const Verdict& verdict) { hops_.back().include(verdict); }
  /// Makes the current window the baseline.
  void setBaseline();

  /// Returns the verdict on the current window.
  WindowVerdict verdict() const;

  /// The current window, with personal and secret values masked.
  const Window& latest() const { return conceal(), window_; }
  std::size_t records() const { return window_.records(); }
  /// Renders the records of the baseline and of the window, one line each.
  void texts(const StreamKey& key, const Policy& policy, std::vector<std::string>& baseline,
             std::vector<std::string>& window) const;

  /// Returns the window's metrics against the baseline, recomputed when a hop has passed. Null if either is empty.
  const WindowMetrics* metrics(const StreamKey& key, const Policy& policy, const Codec& codec, std::uint64_t seen);
  /// Whether metrics were computed at most `hops` hops ago.
  bool measured(std::uint64_t seen, std::uint32_t hops) const {
    return metrics_ && seen < metricsAt_ + std::uint64_t{hops} * settings_.windowHop;
  }
  /// The metrics as they were last computed.
  const WindowMetrics& measuredMetrics() const { return *metrics_; }
  void forgetMetrics() { metrics_.reset(); }

  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const { return baseline_.memory() + window_.memory() + hops_.capacity() * sizeof(Hop); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores fresh windows. Returns false if the bytes are not a snapshot of windows with these settings; the object
  /// is then unusable.
  bool restore(Bytes in, const StreamKey& key, std::uint64_t seen);

 private:
  /// The bits in a window that correspond to one bit per byte of novelty, or to one measure of strangeness: each makes
  /// a record 2^3 times rarer.
  static constexpr double kBitsPerMeasure = 3;

  /// The strangest scores in one hop of a window.
  struct Hop {
    /// The highest score of each channel, in bits.
    std::array<double, kChannelCount> strangest;
    double pValue = 1;
    bool flagged = false;

    Hop() { strangest.fill(-std::numeric_limits<double>::infinity()); }
    void notice(ChannelId channel, double bits) {
      double& most = strangest[indexOf(channel)];
      most = std::max(most, bits);
    }
    /// Includes a Verdict or a Hop.
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
  /// Masks personal and secret values in the records since the last call: records are kept as they were received until they are
  /// read, which most never are.
  void conceal() const;

  const Settings& settings_;
  const StreamKey& key_;
  /// log2 of the number of records in a window, by which a single record is less rare in it.
  double chances_;
  Excerpt baseline_;
  mutable Window window_;
  /// The hops of the current window, latest last.
  std::vector<Hop> hops_;
  /// The number of records before the next hop, if it is known; no part of the state.
  std::uint64_t nextHop_ = 0;
  std::optional<WindowMetrics> metrics_;
  std::uint64_t metricsAt_ = 0;
};

/// Checks that records from a snapshot are as sound as those of a request, because views read them without checking again.
bool sound(const Window& window, const StreamKey& key);

}  // namespace driftlock
