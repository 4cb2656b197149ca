#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "stream/stream.hpp"

namespace driftlock {

/// learning: not judged yet. watching: judged. shelved: removed and packed; it continues from its state when it returns. evicted:
/// removed and forgotten. limited: beyond its tenant's quota, so that its records pass unjudged. excluded: its policy says that
/// it is not judged.
enum class StreamState : std::uint8_t { Learning, Watching, Shelved, Evicted, Limited, Excluded };

/// The counts of a stream since its statistics were last read.
struct Tally {
  std::uint64_t records = 0, flagged = 0;
  /// The number of verdicts that were strange enough while the stream's budget was spent.
  std::uint64_t withheld = 0;
  /// The score of the strangest verdict.
  double score = 0;
  ChannelId channel = ChannelId::None;
  /// The score of that verdict in its channel's own unit.
  double channelScore = 0;
  double pValue = 1;

  /// Adds a verdict, except for the count of records.
  void add(const Verdict& verdict) {
    flagged += verdict.flagged;
    if (verdict.score > score) {
      score = verdict.score;
      channel = verdict.channel;
      channelScore = verdict.channelScore;
    }
    pValue = std::min(pValue, verdict.pValue);
  }
  void add(const Tally& other);
};

/// A stream's event times, in nanoseconds since 1970; 0 if unknown.
struct StreamTimes {
  std::uint64_t first = 0, last = 0;
  /// The time when learning ended.
  std::uint64_t baseline = 0;
};

/// A stream, and what was counted of it since its statistics were last read.
struct StreamStatistics {
  StreamState state = StreamState::Learning;
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant{}, name{}, service{};
  /// The progress of learning, from 0 to 1.
  double progress = 0;
  StreamTimes times{};
  Tally tally{};
  /// The alarm limit of the strangest verdict's channel; 0 if it has none yet.
  double limit = 0;
};

/// Encodes a driftlock.v1.StreamStatisticsPage message. `left` is the number of changed streams that are on no page yet.
std::vector<std::uint8_t> encodeStatistics(std::span<const std::vector<StreamStatistics>> streams, std::size_t left);

/// Statistics of streams that are not held, until they are read: of those that were removed, and of those that had no room. There
/// are at most `capacity` of either kind; those of more streams are lost, and counted.
class AbsentStreams {
 public:
  explicit AbsentStreams(std::size_t capacity) : capacity_(capacity) {}

  /// Adds a stream that was removed, or that left the shelf; the oldest make room for it.
  void gone(std::uint64_t hash, StreamStatistics statistics);
  /// Adds a limited stream; if there is no room, its records are not counted.
  void limited(std::uint64_t hash, StreamStatistics statistics);
  /// Counts a record of a limited stream that was added already; returns false if it was not.
  bool another(const StreamId& id);
  /// Takes what was counted of a stream that returns.
  Tally take(const StreamId& id);

  /// Moves up to `most` to `out`, the oldest first; returns their number.
  std::size_t drain(std::size_t most, std::vector<StreamStatistics>& out);

  std::size_t size() const { return places_.size(); }
  /// The number of streams whose statistics were lost so far.
  std::uint64_t lost() const { return lost_; }

 private:
  struct Entry {
    std::uint64_t hash;
    StreamStatistics statistics;

    StreamId id() const { return {hash, statistics.tenant}; }
  };
  using Order = std::list<Entry>;

  Order& orderOf(StreamState state) { return state == StreamState::Limited ? limited_ : gone_; }
  void put(Order& order, std::uint64_t hash, StreamStatistics statistics);
  StreamStatistics remove(Order::iterator entry);

  std::size_t capacity_;
  /// The streams in the order in which they were added.
  Order gone_, limited_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
  std::uint64_t lost_ = 0;
};

}  // namespace driftlock
