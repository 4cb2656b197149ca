#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cbad/window_metrics.hpp"
#include "otlp/reader.hpp"
#include "stream/content.hpp"
#include "stream/fields.hpp"
#include "stream/limit.hpp"
#include "stream/settings.hpp"
#include "stream/window.hpp"

namespace driftlock {

enum class Channel : std::uint8_t { None = 0, Content = 1 };

/// What makes a stream; constant for its life.
struct StreamKey {
  std::uint64_t hash = 0;
  otlp::Signal signal = otlp::Signal::Logs;
  otlp::MetricType metricType = otlp::MetricType::None;
  std::string tenant{};
  /// As shown to people: "logs service.name=checkout".
  std::string name{};
};

/// What the engine says of one record.
struct Verdict {
  bool learning = false;
  bool flagged = false;
  Channel channel = Channel::None;
  double score = 0;
  double pValue = 1;
};

/// An anomaly that is going on: flagged records of one stream that follow one another are one anomaly.
struct OpenAnomaly {
  std::string id;
  std::uint64_t startUnixNano = 0;
  std::uint64_t records = 0;
};

/// One stream: its baseline, its window, its limits.
class Stream {
 public:
  Stream(StreamKey key, const Settings& settings);

  /// Judges the next record and learns from it. `scratch` then holds what the content channel found.
  Verdict observe(const RecordView& record, Bytes raw, ContentScore& scratch);

  /// Counts a flagged record in; true where it is to be reported: at the 1st, 2nd, 4th, 8th … of an anomaly.
  bool report(std::uint64_t timeUnixNano, std::uint64_t signature);

  /// The window's figures against the baseline: made anew when a hop has passed. Null where either is empty.
  const WindowMetrics* metrics(const Codec& codec);
  /// Texts of the records of the window and of the baseline's excerpt, as `render` gives them.
  void texts(std::vector<std::string>& baseline, std::vector<std::string>& window) const;

  const StreamKey& key() const { return key_; }
  const OpenAnomaly& anomaly() const { return anomaly_; }
  double limit() const { return limit_.limit(); }
  /// Median bits of held-out records.
  double baselineBits() const { return baselineBits_; }
  bool learning() const { return seen_ < settings_.baselineRecords; }
  /// Records judged or learned from.
  std::uint64_t seen() const { return seen_; }
  std::size_t windowRecords() const { return window_.records(); }
  std::size_t memory() const;
  /// Of `memory`, what the shard has counted in.
  std::size_t accounted = 0;

 private:
  void learn(const RecordView& record, const ContentScore& content, Verdict& verdict);
  void adapt(const RecordView& record, const ContentScore& content);

  StreamKey key_;
  const Settings& settings_;
  std::uint64_t seen_ = 0;
  std::uint64_t firstUnixNano_ = 0, lastUnixNano_ = 0;
  ContentChannel content_;
  Limit limit_;
  std::vector<float> heldOutBits_;
  double baselineBits_ = 0;
  Window baseline_, window_;

  /// Unflagged news and how often it came: what keeps coming becomes normal.
  struct Sighting {
    std::uint32_t signature = 0;
    std::uint32_t count = 0;
  };
  std::vector<Sighting> sightings_;

  OpenAnomaly anomaly_;
  std::uint64_t anomalies_ = 0;
  std::uint64_t lastFlaggedUnixNano_ = 0, lastFlaggedSeen_ = 0;

  std::optional<WindowMetrics> metrics_;
  std::uint64_t metricsSeen_ = 0;
};

}  // namespace driftlock
