#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace driftlock {

/// A stream's time. Records carry their times, but clocks are wrong and records arrive late: one that is hours ahead must not
/// stop the stream's time until the others have caught up, nor may one of the year 2106 or of 1970 move it anywhere.
///
/// So a time is believed at once only if it is within a minute of the latest one, or within four times the usual step from record
/// to record in a stream with few records. One that is further ahead is believed when most of the latest nine records are; one
/// that is further behind when 32 records in a row are. Until then such records count as arriving now.
///
/// `now` never runs backwards, whatever is believed: what happened lately stays recent. A jump as far ahead as the time was last
/// set back moves `now` only by what lies beyond: a sender whose clock is wrong moves it once.
class StreamClock {
 public:
  /// Advances to a record's time; false if that is not believed. 0, and what lies beyond the year 2262, is no time; records that
  /// never had any are assumed to arrive once per second.
  bool observe(std::uint64_t timeUnixNano) {
    if (timeUnixNano == 0 || timeUnixNano > kLatest) {
      if (latest_ == 0) now_ += kStep;
      return false;
    }
    recent_[count_++ % kRecent] = timeUnixNano;
    if (latest_ == 0) {
      latest_ = timeUnixNano;
      now_ = std::max(now_, timeUnixNano);
      return true;
    }
    if (near(timeUnixNano)) {
      behind_ = 0;
      step(timeUnixNano);
      return true;
    }
    if (timeUnixNano > latest_) {
      if (const std::uint64_t most = median(); most > latest_ && !near(most)) jump(most);
    } else if (++behind_ >= kConvincing) {
      behind_ = 0;
      setBack_ = latest_ - timeUnixNano;
      latest_ = timeUnixNano;
    }
    if (!near(timeUnixNano)) return false;
    step(timeUnixNano);
    return true;
  }

  /// The time in nanoseconds, which advances with event time from the first one on.
  std::uint64_t now() const { return now_; }
  /// The event time at a `now`, in nanoseconds since 1970, for display.
  std::uint64_t eventAt(std::uint64_t now) const { return latest_ == 0 ? now : latest_ - (now_ - now); }

  /// The latest event time that is believed, in nanoseconds since 1970; 0 if there is none.
  std::uint64_t latest() const { return latest_; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.latest_), v(self.now_), v(self.setBack_), v(self.count_), v(self.behind_);
    for (auto& time : self.recent_) v(time);
  }

 private:
  static constexpr std::uint64_t kStep = 1'000'000'000;
  static constexpr std::uint64_t kMinute = 60 * kStep;
  static constexpr std::uint64_t kLongest = 30 * 86'400 * kStep;
  static constexpr std::uint64_t kLatest = UINT64_MAX / 2;
  static constexpr std::size_t kRecent = 9;
  static constexpr std::uint64_t kUsualSteps = 4;
  static constexpr std::uint32_t kConvincing = 32;

  bool near(std::uint64_t time) const {
    const std::uint64_t gap = time > latest_ ? time - latest_ : latest_ - time;
    return gap <= kMinute || gap / kUsualSteps <= usualStep();
  }
  void step(std::uint64_t time) {
    if (time <= latest_) return;
    now_ += time - latest_;
    latest_ = time;
  }
  void jump(std::uint64_t time) {
    const std::uint64_t gap = time - latest_;
    now_ += std::min(gap + kMinute >= setBack_ ? gap - std::min(gap, setBack_) : gap, kLongest);
    latest_ = time;
  }

  std::size_t recent() const { return static_cast<std::size_t>(std::min<std::uint64_t>(count_, kRecent)); }
  /// The median of the latest times; of an even number of them, the lower one.
  std::uint64_t median() const {
    auto times = recent_;
    return lowerMedian(times.begin(), recent());
  }
  /// The median step from one of the latest records to the next; a step back counts as none.
  std::uint64_t usualStep() const {
    std::array<std::uint64_t, kRecent> steps{};
    const std::size_t n = recent();
    for (std::size_t i = 1; i < n; ++i) {
      const std::uint64_t from = recent_[(count_ - n + i - 1) % kRecent], to = recent_[(count_ - n + i) % kRecent];
      steps[i - 1] = to > from ? to - from : 0;
    }
    return n < 2 ? 0 : lowerMedian(steps.begin(), n - 1);
  }
  static std::uint64_t lowerMedian(std::array<std::uint64_t, kRecent>::iterator begin, std::size_t n) {
    const auto middle = begin + static_cast<std::ptrdiff_t>((n - 1) / 2);
    std::nth_element(begin, middle, begin + static_cast<std::ptrdiff_t>(n));
    return *middle;
  }

  /// The latest event time that is believed; 0 before any.
  std::uint64_t latest_ = 0;
  std::uint64_t now_ = 0;
  /// The nanoseconds by which it was last set back.
  std::uint64_t setBack_ = 0;
  /// The number of records that had a time, and the times of the latest.
  std::uint64_t count_ = 0;
  std::array<std::uint64_t, kRecent> recent_{};
  /// The number of consecutive records that are too far behind.
  std::uint32_t behind_ = 0;
};

}  // namespace driftlock
