#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/common_clock.hpp"
#include "channels/calibration.hpp"
#include "channels/channel_id.hpp"

namespace driftlock {

/// How long a stream usually keeps silent, by its tenant's clock: between requests that hold records of it. So batches,
/// exporters that flush once a minute, and records that come late are part of what is usual.
///
/// A unit is 10 s of the clock in which it was heard, or a longer gap; its score is the longest gap that ended in it, in
/// octaves of 30 s, and at least 0. Calibration gives a gap's p-value among those.
class Silence {
 public:
  /// A silence is a matter of how many records come.
  static constexpr ChannelId kChannel = ChannelId::Volume;

  /// A request with records of the stream. True where that ended a unit.
  bool hear(const Moment& moment);

  /// Since the stream was heard last, in nanoseconds by the clock; 0 where it never was.
  std::uint64_t lasting(const Moment& moment) const;
  /// Likewise in event time, for people: also what the clock leaves out.
  std::uint64_t shown(const Moment& moment) const;

  /// The chance of such a silence or a longer one, given that the stream has come to the end of a unit.
  double chance(std::uint64_t nanos) const { return gaps_.pValue(octaves(nanos)); }
  /// The shortest silence whose chance is at most `p`, at least a minute and twice the median of what is usual; 0 where
  /// there is none.
  std::uint64_t after(double p) const;

  /// The silence that lasts has been judged: it will be learned as at most two octaves more than it has come to, so that an
  /// outage does not hide the next one, yet silences that keep coming become usual.
  void judged(const Moment& moment);
  bool isJudged() const { return judged_ > 0; }
  /// It is usual, a person says: it is learned as long as it comes to.
  void accept() { judged_ = kAnything; }
  /// Likewise one that is over.
  void learn(double octaves) { gaps_.learn(octaves); }

  static double octaves(std::uint64_t nanos);
  const Moment& heard() const { return heard_; }
  std::uint64_t learnt() const { return gaps_.learnt(); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// False where the bytes are no snapshot; it is of no use then.
  bool restore(Bytes in);

 private:
  static constexpr double kAnything = 64;

  Moment heard_;
  /// When the unit began.
  std::uint64_t began_ = 0;
  std::uint64_t longest_ = 0;
  /// Most octaves that the silence at hand is learned as; 0 while it is not judged.
  double judged_ = 0;
  /// Of gaps, in octaves. Its tail falls by 1/e in half an octave at the fastest.
  Calibration gaps_{0.5};
};

}  // namespace driftlock
