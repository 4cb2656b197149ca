#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// A point of a CommonClock, in nanoseconds.
struct Moment {
  /// By the clock.
  std::uint64_t now = 0;
  /// Event time since 1970; 0 where no record has any.
  std::uint64_t event = 0;
};

/// The time that the streams of a tenant share, so that one which says nothing can be missed while others speak.
///
/// Each request tells the time of its last record; what counts is the median of the latest nine, so that a few senders whose
/// clocks are wrong move nothing. `now` moves on by at most 60 s a request: a time in which nobody spoke, such as an outage of
/// what collects, is no silence of one stream. It never runs backwards; event time goes back once 32 requests in a row have
/// been more than 60 s behind it, for then it was ahead. A jump as far ahead as it was set back last counts for
/// what lies beyond.
class CommonClock {
 public:
  /// A request's time; 0, and what lies beyond the year 2262, is none.
  void observe(std::uint64_t timeUnixNano) {
    if (timeUnixNano == 0 || timeUnixNano > kLatest) return;
    recent_[count_++ % kRecent] = timeUnixNano;
    auto sorted = recent_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(count_, kRecent));
    const auto median = sorted.begin() + (end - sorted.begin()) / 2;
    std::nth_element(sorted.begin(), median, end);
    if (*median >= event_) {
      if (event_ != 0) now_ += std::min(unlived(*median - event_), kLongest);
      event_ = *median;
      behind_ = 0;
    } else if (event_ - *median <= kLongest) {
      behind_ = 0;
    } else if (++behind_ >= kConvincing) {
      setBack_ = event_ - *median;
      event_ = *median;
      behind_ = 0;
    }
  }

  /// So much time has passed without a request: at most 60 s count.
  void pass(std::uint64_t nanos) {
    nanos = std::min(nanos, kLongest);
    now_ += nanos;
    if (event_ != 0) event_ = std::min(event_ + nanos, kLatest);
  }

  Moment moment() const { return {now_, event_}; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.now_), v(self.event_), v(self.setBack_), v(self.count_), v(self.behind_);
    for (auto& time : self.recent_) v(time);
  }

 private:
  static constexpr std::uint64_t kLongest = 60'000'000'000;
  static constexpr std::uint64_t kLatest = UINT64_MAX / 2;
  static constexpr std::size_t kRecent = 9;
  static constexpr std::uint32_t kConvincing = 32;

  /// What of a step ahead does not only take back that it was set back.
  std::uint64_t unlived(std::uint64_t step) const {
    return step > kLongest && step + kLongest >= setBack_ ? step - std::min(step, setBack_) : step;
  }

  /// From 1 on: 0 is before all.
  std::uint64_t now_ = 1;
  std::uint64_t event_ = 0;
  /// By how much event time was set back last.
  std::uint64_t setBack_ = 0;
  std::uint64_t count_ = 0;
  std::uint32_t behind_ = 0;
  std::array<std::uint64_t, kRecent> recent_{};
};

}  // namespace driftlock
