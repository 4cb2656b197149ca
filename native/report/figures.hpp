#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

#include "stream/stream.hpp"

namespace driftlock {

/// learning: not judged yet. watching: judged. shelved: gave way, packed, and goes on where it was when it comes back.
/// evicted: gave way and is forgotten. limited: beyond its tenant's quota, its records pass unjudged.
enum class StreamState : std::uint8_t { Learning, Watching, Shelved, Evicted, Limited };

/// What came in a stream since it was last told.
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
  /// When it had learned.
  std::uint64_t baseline = 0;
};

/// All that is told of a stream.
struct StreamFigures {
  StreamState state = StreamState::Learning;
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant{}, name{}, service{};
  /// Of learning, from 0 to 1.
  double progress = 0;
  StreamTimes times{};
  Tally tally{};

  /// Appends, little-endian: state, signal and channel, a byte each; progress (double); first, last and baseline time,
  /// records, flagged and withheld (64 bits each); score and p-value (double); tenant, name and service, each behind its length in
  /// 32 bits.
  void encode(std::vector<std::uint8_t>& out) const;
};

/// Figures of streams that are not held, until they are told: of those that gave way, and of those that had no place. Of
/// either kind so many; of more than that the figures are lost, and counted.
class AbsentStreams {
 public:
  explicit AbsentStreams(std::size_t capacity) : capacity_(capacity) {}

  /// A stream gives way, or goes from the shelf; the oldest make room for it.
  void gone(std::uint64_t hash, StreamFigures figures);
  /// A stream is limited; where there is no room, its records are not told.
  void limited(std::uint64_t hash, StreamFigures figures);
  /// Counts a record of a limited stream that is here already; false where it is not.
  bool another(const StreamId& id);
  /// What is not told yet of a stream that comes back.
  Tally take(const StreamId& id);

  /// Appends up to `most`, the oldest first, which are here no more. Returns how many.
  std::size_t tell(std::size_t most, std::vector<std::uint8_t>& out);

  std::size_t size() const { return places_.size(); }
  /// Streams whose figures were lost, so far.
  std::uint64_t lost() const { return lost_; }

 private:
  struct Entry {
    std::uint64_t hash;
    StreamFigures figures;

    StreamId id() const { return {hash, figures.tenant}; }
  };
  using Order = std::list<Entry>;

  Order& orderOf(StreamState state) { return state == StreamState::Limited ? limited_ : gone_; }
  void put(Order& order, std::uint64_t hash, StreamFigures figures);
  StreamFigures remove(Order::iterator entry);

  std::size_t capacity_;
  /// Put first first.
  Order gone_, limited_;
  std::unordered_map<StreamId, Order::iterator, StreamId::Hash> places_;
  std::uint64_t lost_ = 0;
};

}  // namespace driftlock
