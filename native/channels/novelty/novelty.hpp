#pragma once

// The novelty channel adds up what is strange: records that are no reason for an alarm one by one, but keep coming.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// The latest minutes of a stream.
struct NoveltyWindow {
  /// In nanoseconds.
  std::uint64_t end = 0;
  /// The number of seconds with records, and of those with a strange one.
  std::uint32_t seconds = 0, strange = 0;
  /// How many of so many are usually strange at most (two standard deviations).
  double usual = 0;
  /// The evidence that more are strange than usual, in bits.
  double bits = 0;
  /// Whether enough is known for a score.
  bool judged = false;
};

/// Counts the seconds that have a strange record, in the latest five minutes, and compares their share with the past.
///
/// Seconds count rather than records, so that a burst is no sustained novelty. A record is strange if its strangeness is
/// beyond a mark that one second in twenty exceeds, and at least beyond that of one record in a hundred. The number of
/// strange seconds deviates by its binomial deviance over the dispersion of the windows before.
class NoveltyModel {
 public:
  static constexpr std::uint64_t kTickNanos = 10'000'000'000;
  static constexpr std::size_t kTicks = 30;

  /// Moves the clock, in nanoseconds. Returns the window that a tick of 10 s completed, if any; `settle` must follow.
  std::optional<NoveltyWindow> advance(std::uint64_t now);
  /// Learns the tick that has ended, or not.
  void settle(bool learns);
  /// Notes a record at this time. Call `advance` first. Returns true if it is the first strange one of its second.
  bool note(std::uint64_t now, double strangeness);

  static constexpr std::size_t bytes() { return sizeof(NoveltyModel); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh model. Returns false if the bytes are not a snapshot of one; the model is then unusable.
  bool restore(Bytes in);

 private:
  struct Tick {
    std::uint8_t seconds = 0, strange = 0;
  };

  double share() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.tick_), v(self.second_), v(self.strange_), v(self.known_), v(self.mark_), v(self.part_), v(self.all_),
        v(self.dispersion_);
    for (auto& tick : self.ticks_) v(tick.seconds), v(tick.strange);
  }

  /// One more than the number of ticks that had passed when the open one began, and than the number of seconds when the
  /// latest one did; 0 before the first record.
  std::uint64_t tick_ = 0, second_ = 0;
  /// Whether the latest second has a strange record.
  bool strange_ = false;
  /// The number of ticks learned, at most 2^20.
  std::uint32_t known_ = 0;
  /// The strangeness from which a record is strange.
  float mark_ = 1;
  /// The strange seconds and all seconds of the past, with forgetting, and the dispersion of windows.
  float part_ = 0, all_ = 0, dispersion_ = 1;
  /// The open tick and those before it, the latest first.
  std::array<Tick, kTicks> ticks_{};

  // These belong to the tick that has just ended, and are no part of the state.
  std::uint64_t next_ = 0;
  NoveltyWindow window_;
};

}  // namespace driftlock
