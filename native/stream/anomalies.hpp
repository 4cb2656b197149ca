#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/state_bytes.hpp"
#include "channels/evidence.hpp"
#include "record/stream_key.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// The anomalies of one stream: the one that is open, if there is one, and the evidence of the latest four.
class Anomalies {
 public:
  const OpenAnomaly& current() const { return current_; }
  bool open() const { return current_.occurrences > 0; }
  /// Nothing has been flagged for so long, by the stream's clock, that the open anomaly is over.
  bool quiet(std::uint64_t now) const;
  /// Closes the open anomaly, and gives it back.
  OpenAnomaly close() { return std::exchange(current_, {}); }

  /// Opens an anomaly at that event time. `origin`: a hash of the stream and of what begins it.
  void begin(std::uint64_t unixNanos, std::uint64_t origin, const KeyedHash& hash);
  /// Counts a flagged verdict in. Returns the evidence of the open anomaly.
  Evidence& add(const Verdict& verdict, std::uint64_t now, std::uint64_t unixNanos);
  /// Moves the end of the open anomaly on to an event time.
  void extend(std::uint64_t unixNanos);

  /// The evidence of the open anomaly.
  Evidence& latest() { return evidence_.back(); }
  /// Null if the anomaly is not one of the latest.
  const Evidence* find(std::string_view id) const;
  /// Drops the evidence of an anomaly. True if that one is open.
  bool forget(std::string_view id);

  /// Bytes beyond the object's own.
  std::size_t memory() const;
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False if the bytes are no snapshot of a stream's anomalies; they are of no use then.
  bool restore(Bytes in, const StreamKey& key);

 private:
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.current_.id), v(self.current_.startUnixNano), v(self.current_.endUnixNano), v(self.current_.occurrences);
    v(self.count_), v(self.flaggedAt_);
  }

  OpenAnomaly current_;
  /// Anomalies so far.
  std::uint64_t count_ = 0;
  /// When something was flagged last, by the stream's clock.
  std::uint64_t flaggedAt_ = 0;
  /// That of the open anomaly is the last.
  std::vector<Evidence> evidence_;
};

}  // namespace driftlock
