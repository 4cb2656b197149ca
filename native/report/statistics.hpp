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

/// learning: not judged yet. watching: judged. shelved: gave way, packed, and goes on where it was when it comes back.
/// evicted: gave way and is forgotten. limited: beyond its tenant's quota, its records pass unjudged.
enum class StreamState : std::uint8_t { Learning, Watching, Shelved, Evicted, Limited };

/// What came in a stream since its statistics were last read.
struct Tally {
  std::uint64_t records = 0, flagged = 0;
  /// Verdicts that were strange enough, but the stream's budget was spent.
  std::uint64_t withheld = 0;
  /// Of the strangest verdict.
  double score = 0;
  ChannelId channel = ChannelId::None;
  double pValue = 1;

  /// Besides the count of records.
  void add(const Verdict& verdict) {
    flagged += verdict.flagged;
    if (verdict.score > score) {
      score = verdict.score;
      channel = verdict.channel;
    }
    pValue = std::min(pValue, verdict.pValue);
  }
  void add(const Tally& other);
};

/// A stream's event times, in nanoseconds since 1970; 0 for unknown.
struct StreamTimes {
  std::uint64_t first = 0, last = 0;
  /// The end of learning.
  std::uint64_t baseline = 0;
};

/// A stream, and what was counted of it since its statistics were last read.
struct StreamStatistics {
  StreamState state = StreamState::Learning;
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant{}, name{}, service{};
  /// Of learning, from 0 to 1.
  double progress = 0;
  StreamTimes times{};
  Tally tally{};
};

/// A driftlock.v1.StreamStatisticsPage message. `left`: streams that have changed and are on no page yet.
std::vector<std::uint8_t> encodeStatistics(std::span<const std::vector<StreamStatistics>> streams, std::size_t left);

/// Statistics of streams that are not held, until they are read: of those that gave way, and of those that had no place.
/// Of either kind there are at most `capacity`; those of more streams are lost, and counted.
class AbsentStreams {
 public:
  explicit AbsentStreams(std::size_t capacity) : capacity_(capacity) {}

  /// A stream gives way, or goes from the shelf; the oldest make room for it.
  void gone(std::uint64_t hash, StreamStatistics statistics);
  /// A stream is limited; if there is no room, its records are not counted.
  void limited(std::uint64_t hash, StreamStatistics statistics);
  /// Counts a record of a limited stream that is here already; false if it is not.
  bool another(const StreamId& id);
  /// What was counted of a stream that comes back.
  Tally take(const StreamId& id);

  /// Moves up to `most` to `out`, the oldest first. Returns how many.
  std::size_t drain(std::size_t most, std::vector<StreamStatistics>& out);

  std::size_t size() const { return places_.size(); }
  /// Streams whose statistics were lost, so far.
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
  /// Put first first.
  Order gone_, limited_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
  std::uint64_t lost_ = 0;
};

}  // namespace driftlock
