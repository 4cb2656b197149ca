#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"
#include "record/identity.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// The length of a tick of event time.
inline constexpr std::uint64_t kEvidenceTick = 10'000'000'000;

/// A verdict that was strange enough, whether or not a budget withheld it.
struct Sighting {
  const Verdict& verdict;
  /// The event time at which it was strange.
  std::uint64_t timeUnixNano = 0;
  Bytes traceId;
  /// See Sight.
  std::uint64_t finding = 0;
  std::uint32_t severity = 0;
};

/// What was strange about one stream, by one channel and on one resource, in one tick of one request: what incidents are formed
/// from. It names no record, so that it stays small however many there are.
class TickEvidence {
 public:
  /// The most ids of anomalies and of traces that are kept.
  static constexpr std::size_t kMostIds = 4;

  /// @param lasts whether it is about values that stay unusual: see Score::lasting
  TickEvidence(const StreamKey& key, const Identity& identity, ChannelId channel, bool lasts, std::uint64_t tick);

  bool isOf(const StreamKey& key, const Identity& identity, ChannelId channel, bool lasts, std::uint64_t tick) const {
    return tick_ == tick && channel_ == channel && lasts_ == lasts && stream_ == key.hash && identity_ == identity;
  }
  void add(const Sighting& sighting);
  /// Turns a flagged verdict into one that a budget withheld.
  void withhold() { --flagged_, ++withheld_; }
  /// Notes the anomaly of a flagged verdict.
  void belongsTo(std::string_view anomaly);

  /// The number of its verdicts.
  std::uint32_t verdicts() const { return flagged_ + withheld_; }
  /// The order by time and names, which is the same on any number of threads.
  bool operator<(const TickEvidence& other) const;
  /// Returns the driftlock.v1.Evidence message.
  std::vector<std::uint8_t> encode() const;

 private:
  std::uint64_t stream_;
  std::uint64_t tick_;
  ChannelId channel_;
  bool lasts_;
  otlp::Signal signal_;
  std::string tenant_, name_;
  Identity identity_;
  std::uint32_t flagged_ = 0, withheld_ = 0, severity_ = 0;
  /// Of the rarest verdict.
  double margin_ = 0, pValue_ = 1, score_ = 0;
  std::uint64_t finding_ = 0;
  std::vector<std::string> anomalies_;
  std::vector<std::array<std::uint8_t, 16>> traces_;
};

/// The evidence of a request in one shard, which is bounded.
class EvidencePage {
 public:
  static constexpr std::size_t kMost = 256;

  /// Adds a verdict on a stream. Returns where it counts; null if there is no room for more ticks, streams and resources.
  TickEvidence* add(const StreamKey& key, const Identity& identity, const Sighting& sighting);
  void clear() { all_.clear(), leftOut_ = 0; }
  /// Moves the evidence to the end of `out`, and returns the number of verdicts for which there was no room.
  std::uint32_t take(std::vector<std::unique_ptr<TickEvidence>>& out);

 private:
  /// Flags refer to their evidence, which therefore stays where it is.
  std::vector<std::unique_ptr<TickEvidence>> all_;
  std::uint32_t leftOut_ = 0;
};

}  // namespace driftlock
