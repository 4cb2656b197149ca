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
#include "stream/shown.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// The anomalies of one stream: the one that is open, if there is one, and the evidence of the latest four.
class Anomalies {
 public:
  const OpenAnomaly& current() const { return current_; }
  bool open() const { return current_.occurrences > 0; }
  /// Whether nothing has been flagged for so long, by the stream's clock, that the open anomaly is over.
  bool quiet(std::uint64_t now) const;
  /// Whether the open anomaly has lasted for so long, by the stream's clock, that another finding is an anomaly of its own.
  bool old(std::uint64_t now) const;
  /// The event time since which something has been flagged again and again, in the open anomaly and in those it followed.
  std::uint64_t sinceUnixNano() const { return sinceUnixNano_; }
  /// Closes the open anomaly, and returns it.
  OpenAnomaly close();
  /// Closes the open anomaly because another begins, for which what it has shown is no news, and returns it.
  OpenAnomaly supersede();

  /// Opens an anomaly at this time of the stream's clock and this event time. `origin` is a hash of the stream and of what begins
  /// the anomaly.
  void begin(std::uint64_t now, std::uint64_t unixNanos, std::uint64_t origin, const KeyedHash& hash);
  /// Adds a flagged verdict, and what it shows, to the open anomaly.
  Growth add(const Verdict& verdict, const Sight& sight, std::uint64_t now, std::uint64_t unixNanos);
  /// What the open anomaly has shown; nothing if none is open.
  const Shown& shown() const { return shown_; }
  /// Extends the open anomaly to an event time.
  void extend(std::uint64_t unixNanos);

  /// The evidence of the open anomaly.
  Evidence& latest() { return evidence_.back(); }
  /// Returns the evidence of an anomaly; null if it is not one of the latest.
  const Evidence* find(std::string_view id) const;
  /// Takes over the evidence of another stream's anomalies that are over, as far as there is room.
  void inherit(const Anomalies& other);
  /// Drops the evidence of an anomaly. Returns true if the anomaly is open.
  bool forget(std::string_view id);

  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const;
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false if the bytes are not a snapshot of a stream's anomalies; the object is then unusable.
  bool restore(Bytes in, const StreamKey& key);

 private:
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.current_.id), v(self.current_.startUnixNano), v(self.current_.endUnixNano), v(self.current_.occurrences);
    v(self.count_), v(self.beganAt_), v(self.flaggedAt_), v(self.sinceUnixNano_);
  }

  OpenAnomaly current_;
  /// The number of anomalies so far.
  std::uint64_t count_ = 0;
  /// The times at which the open anomaly began and at which something was flagged last, by the stream's clock.
  std::uint64_t beganAt_ = 0, flaggedAt_ = 0;
  std::uint64_t sinceUnixNano_ = 0;
  Shown shown_;
  /// The evidence of the latest anomalies; that of the open one is the last.
  std::vector<Evidence> evidence_;
};

}  // namespace driftlock
