#pragma once

#include <algorithm>
#include <cstdint>

namespace driftlock {

/// A stream's time. Records say when they were, but clocks are wrong and records come late: one from the year 2106 must not
/// make all that follow it late, nor one from 1970 end every session. So a time more than a day away from the latest one is
/// believed only when 16 records in a row are as far off to that side; until then they count as coming now.
///
/// `now` never runs backwards, whatever is believed: what has happened lately goes on having happened lately.
class StreamClock {
 public:
  /// Moves on to a record's time. 0, and what lies beyond the year 2262, is no time; records that never had any are taken
  /// to come one a second.
  void observe(std::uint64_t timeUnixNano) {
    if (timeUnixNano == 0 || timeUnixNano > kLatest) {
      if (latest_ == 0) now_ += kStep;
      return;
    }
    if (latest_ == 0) {
      latest_ = timeUnixNano;
      now_ = std::max(now_, timeUnixNano);
      return;
    }
    const bool ahead = timeUnixNano > latest_;
    const std::uint64_t gap = ahead ? timeUnixNano - latest_ : latest_ - timeUnixNano;
    if (gap > kDay) {
      odd_ = ahead == oddAhead_ ? odd_ + 1 : 1;
      oddAhead_ = ahead;
      if (odd_ < kConvincing) return;
    }
    odd_ = 0;
    if (!ahead && gap <= kDay) return;
    if (ahead) now_ += std::min(gap, kLongest);
    latest_ = timeUnixNano;
  }

  /// Nanoseconds; runs with event time from the first one on.
  std::uint64_t now() const { return now_; }
  /// Event time at a `now`, in nanoseconds since 1970; for people.
  std::uint64_t eventAt(std::uint64_t now) const { return latest_ == 0 ? now : latest_ - (now_ - now); }

  /// The latest event time that is believed, in nanoseconds since 1970; 0 where there is none.
  std::uint64_t latest() const { return latest_; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.latest_), v(self.now_), v(self.odd_), v(self.oddAhead_);
  }

 private:
  static constexpr std::uint64_t kStep = 1'000'000'000;
  static constexpr std::uint64_t kDay = 86'400 * kStep;
  static constexpr std::uint64_t kLongest = 30 * kDay;
  static constexpr std::uint64_t kLatest = UINT64_MAX / 2;
  static constexpr std::uint32_t kConvincing = 16;

  /// The latest event time that is believed; 0 before any.
  std::uint64_t latest_ = 0;
  std::uint64_t now_ = 0;
  /// Records in a row that are far off, all ahead or all behind.
  std::uint32_t odd_ = 0;
  bool oddAhead_ = false;
};

}  // namespace driftlock
