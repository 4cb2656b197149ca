#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// A point of a CommonClock, in nanoseconds.
struct Moment {
  /// The time by the clock.
  std::uint64_t now = 0;
  /// Event time since 1970; 0 if no record has any.
  std::uint64_t event = 0;
  /// The event time that the foremost senders have reached, at most 60 s ahead of `event`.
  std::uint64_t front = 0;
};

/// The time that the streams of a tenant share, so that a silent one can be noticed while others are active.
///
/// Each request contributes the time of its last record; what counts is the median of the latest nine, so that a few senders
/// whose clocks are wrong move nothing. `now` advances by at most 60 s per request: a time without any requests, such as an
/// outage of a collector, is no silence of one stream. It never runs backwards; event time goes back once 32 requests in a row
/// have been more than 60 s behind it, because it was ahead then. Of a jump at least as far ahead as it was last set back, only
/// what lies beyond counts.
///
/// The median is several requests behind, which takes long if requests are rare. What only has to know that a time is over looks
/// at the front: the third latest of the nine, which two senders whose clocks are ahead do not move.
class CommonClock {
 public:
  /// Takes a request's time; 0, and what lies beyond the year 2262, is none.
  void observe(std::uint64_t timeUnixNano) {
    if (timeUnixNano == 0 || timeUnixNano > kLatest) return;
    recent_[count_++ % kRecent] = timeUnixNano;
    auto sorted = recent_;
    const auto end = sorted.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(count_, kRecent));
    const auto median = sorted.begin() + (end - sorted.begin()) / 2;
    std::sort(sorted.begin(), end);
    if (*median >= event_) {
      if (event_ != 0) now_ += std::min(unlived(*median - event_), kLongest);
      event_ = *median;
      behind_ = 0;
    } else if (event_ - *median <= kLongest) {
      behind_ = 0;
    } else if (++behind_ >= kConvincing) {
      setBack_ = event_ - *median;
      event_ = *median;
      front_ = 0;
      behind_ = 0;
    }
    front_ = std::max(front_, *std::max(median, end - std::min<std::ptrdiff_t>(kForemost, end - sorted.begin())));
  }

  /// Lets time pass without a request: at most 60 s count.
  void pass(std::uint64_t nanos) {
    nanos = std::min(nanos, kLongest);
    now_ += nanos;
    if (event_ != 0) event_ = std::min(event_ + nanos, kLatest);
    if (front_ != 0) front_ = std::min(front_ + nanos, kLatest);
  }

  /// Notes that time passed of which nothing is known: the next request's time is believed, and `now` does not advance to it.
  void interrupt() {
    event_ = front_ = setBack_ = count_ = 0;
    behind_ = 0;
  }

  Moment moment() const { return {now_, event_, event_ == 0 ? 0 : std::clamp(front_, event_, event_ + kLongest)}; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.now_), v(self.event_), v(self.front_), v(self.setBack_), v(self.count_), v(self.behind_);
    for (auto& time : self.recent_) v(time);
  }

 private:
  static constexpr std::uint64_t kLongest = 60'000'000'000;
  static constexpr std::uint64_t kLatest = UINT64_MAX / 2;
  static constexpr std::size_t kRecent = 9;
  static constexpr std::ptrdiff_t kForemost = 3;
  static constexpr std::uint32_t kConvincing = 32;

  /// The part of a step ahead that does not merely undo the last step back.
  std::uint64_t unlived(std::uint64_t step) const {
    return step > kLongest && step + kLongest >= setBack_ ? step - std::min(step, setBack_) : step;
  }

  /// The time starts at 1: 0 is before all.
  std::uint64_t now_ = 1;
  std::uint64_t event_ = 0, front_ = 0;
  /// The nanoseconds by which event time was last set back.
  std::uint64_t setBack_ = 0;
  std::uint64_t count_ = 0;
  std::uint32_t behind_ = 0;
  std::array<std::uint64_t, kRecent> recent_{};
};

}  // namespace driftlock
