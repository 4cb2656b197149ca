#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/common_clock.hpp"
#include "channels/active_hours.hpp"
#include "channels/calibration.hpp"
#include "channels/channel_id.hpp"

namespace driftlock {

/// Learns how long a stream is usually silent, by its tenant's clock, between requests that hold records of it. So
/// batches, exporters that flush once per minute, and late records are part of what is usual.
///
/// A unit is 10 s of the clock in which the stream was active, or a longer gap; its score is the longest gap that ended
/// in it, in octaves of 10 s, and at least 0. Calibration computes a gap's p-value among those.
class Silence {
 public:
  /// The channel of silences, because they concern the number of records.
  static constexpr ChannelId kChannel = ChannelId::Volume;

  /// Notes a request with records of the stream. Returns true if that ended a unit.
  bool hear(const Moment& moment);

  /// The part of the current silence that counts, because the stream is usually active in those hours.
  std::uint64_t counted(const Moment& moment) const;
  /// The time by the clock at which so much of it counts; 0 if that is never.
  std::uint64_t when(std::uint64_t counted) const;
  /// The nanoseconds since the stream was last active, by the clock; 0 if it never was.
  std::uint64_t lasting(const Moment& moment) const;
  /// The same as shown to people: at least the gap in event time, which the clock may leave out.
  std::uint64_t shown(const Moment& moment) const;

  /// The probability of a silence of this length or a longer one, given that the stream has come to the end of a unit.
  double chance(std::uint64_t nanos) const { return gaps_.pValue(octaves(nanos)); }
  /// The shortest silence whose probability is at most `p`, at least 45 s and twice the usual median; 0 if there is
  /// none.
  std::uint64_t after(double p) const;

  /// The length of a silence from which the sender has gone, if others like it go on: eight times the usual one, and at least
  /// two minutes.
  std::uint64_t leavesAfter() const;

  /// Notes that the current silence has been judged: it will be learned as at most two octaves longer than it is now,
  /// so that an outage does not hide the next one, yet recurring silences become usual.
  void judged(const Moment& moment);
  bool isJudged() const { return judged_ > 0; }
  /// Accepts the current silence as usual: it is learned at its full length.
  void accept() { judged_ = kAnything; }
  /// Forgets when the stream was active last: no silence is open until it has records again.
  void forget() { heard_ = {}, began_ = longest_ = 0, judged_ = 0; }
  /// Learns a silence that is over as usual.
  void learn(double octaves) { gaps_.learn(octaves); }

  static double octaves(std::uint64_t nanos);
  const Moment& heard() const { return heard_; }
  std::uint64_t learnt() const { return gaps_.learnt(); }
  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const { return gaps_.memory() - sizeof gaps_; }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false if the bytes are not a snapshot; the object is then unusable.
  bool restore(Bytes in);

 private:
  static constexpr double kAnything = 64;

  Moment heard_;
  ActiveHours hours_;
  /// The latest answer of `when`, and what was asked.
  struct Due {
    std::uint64_t heard = 0, counted = 0, at = 0;
  };
  mutable Due due_;
  /// The time at which the unit began.
  std::uint64_t began_ = 0;
  std::uint64_t longest_ = 0;
  /// The most octaves as which the current silence is learned; 0 while it is not judged.
  double judged_ = 0;
  /// The calibration of gaps, in octaves. Its tail falls at most by a factor of 1/e per half octave.
  Calibration gaps_{0.125};
};

}  // namespace driftlock
