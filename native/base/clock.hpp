#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace driftlock {

/// A stream's time. Records carry their times, but clocks are wrong and records arrive late: a sender that is hours ahead must
/// not stop the stream's time until the others have caught up, nor may a time of the year 2106 or of 1970 move it anywhere.
///
/// So a time is believed at once only if it is near the latest one: within a minute, or within four times the usual step from
/// request to request in a stream with few requests. Times that are further away belong to another clock. They are read with its
/// offset, so that they still show how much time passes from one to the next. Such a clock is adopted after as many as eight
/// requests in which no time was near: without any other request in between if it is ahead, and on balance if it is behind.
///
/// `now` never runs backwards, whatever is believed: what happened lately stays recent. A jump as far ahead as the time was last
/// set back moves `now` only by what lies beyond: a sender whose clock is wrong moves it once.
class StreamClock {
 public:
  /// The time from record to record where records carry none, by default.
  static constexpr std::uint64_t kStep = 1'000'000'000;

  explicit StreamClock(std::uint64_t step = kStep) : step_(step) {}

  /// Advances to a record's time; false if that is not believed. 0, and what lies beyond the year 2262, is no time; a stream's
  /// records that never had any are a step apart.
  /// @param first whether the record is the stream's first of its request, which is the work of one sender
  bool observe(std::uint64_t timeUnixNano, bool first = true) {
    const bool interrupted = std::exchange(interrupted_, false);
    if (timeUnixNano == 0 || timeUnixNano > kLatest) {
      if (latest_ == 0) now_ += step_;
      return false;
    }
    if (latest_ == 0) {
      latest_ = timeUnixNano;
      now_ = std::max(now_, timeUnixNano);
    } else if (first) {
      begin(timeUnixNano);
    }
    if (first) recent_[count_++ % kRecent] = timeUnixNano;
    if (apart(timeUnixNano, latest_) <= reach_) {
      near_ = true;
      step(timeUnixNano);
      return true;
    }
    if (interrupted && timeUnixNano > latest_) {
      offset_ = timeUnixNano - latest_;
      jump();
      return near_ = true;
    }
    astray_ = true;
    if (apart(timeUnixNano - offset_, latest_) > reach_) offset_ = timeUnixNano - latest_;
    step(timeUnixNano - offset_);
    return false;
  }

  /// Notes that records were missed: a time ahead is believed at once.
  void interrupt() { interrupted_ = true; }
  bool interrupted() const { return interrupted_; }

  /// The time in nanoseconds, which advances with event time from the first one on.
  std::uint64_t now() const { return now_; }
  /// The event time at a `now`, in nanoseconds since 1970, for display.
  std::uint64_t eventAt(std::uint64_t now) const { return latest_ == 0 ? now : latest_ - (now_ - now); }

  /// Whether the time is a guess, because no record had one, and how often they come was not stated.
  bool guessed() const { return latest_ == 0 && step_ == kStep; }

  /// The latest event time that is believed, in nanoseconds since 1970; 0 if there is none.
  std::uint64_t latest() const { return latest_; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.latest_), v(self.now_), v(self.setBack_), v(self.offset_), v(self.reach_), v(self.count_);
    v(self.ahead_), v(self.behind_), v(self.near_), v(self.astray_), v(self.interrupted_);
    for (auto& time : self.recent_) v(time);
  }

 private:
  static constexpr std::uint64_t kMinute = 60'000'000'000;
  static constexpr std::uint64_t kLongest = 30 * 1440 * kMinute;
  static constexpr std::uint64_t kLatest = UINT64_MAX / 2;
  static constexpr std::size_t kRecent = 9;
  static constexpr std::uint64_t kUsualSteps = 4;
  static constexpr std::uint32_t kConvincing = 8;

  static std::uint64_t apart(std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; }

  void step(std::uint64_t time) {
    if (time <= latest_) return;
    now_ += time - latest_;
    latest_ = time;
  }

  /// Draws the conclusions from the last request before the first record of the next one.
  void begin(std::uint64_t time) {
    if (near_) {
      ahead_ = 0;
      behind_ -= behind_ > 0;
    } else if (astray_) {
      ++(offset_ <= kLatest ? ahead_ : behind_);
    }
    near_ = astray_ = false;
    if (apart(time, latest_) > reach_) {
      if (ahead_ >= kConvincing && offset_ <= kLatest) jump();
      if (behind_ >= kConvincing && offset_ > kLatest) setBack();
    }
    reach_ = std::max(kMinute, kUsualSteps * std::min(usualStep(time), kLongest));
  }
  /// Adopts the clock that is ahead.
  void jump() {
    now_ += std::min(offset_ + kMinute >= setBack_ ? offset_ - std::min(offset_, setBack_) : offset_, kLongest);
    adopt();
  }
  /// Adopts the clock that is behind.
  void setBack() {
    setBack_ = 0 - offset_;
    adopt();
  }
  void adopt() {
    latest_ += offset_;
    offset_ = 0;
    ahead_ = behind_ = 0;
  }

  /// The usual step from one of the latest requests to the next. Until there is one, the next step is taken for usual.
  std::uint64_t usualStep(std::uint64_t next) const {
    const std::size_t n = static_cast<std::size_t>(std::min<std::uint64_t>(count_, kRecent));
    if (n < 2) return next > latest_ ? next - latest_ : 0;
    std::array<std::uint64_t, kRecent> steps{};
    bool back = false;
    for (std::size_t i = 1; i < n; ++i) {
      const std::uint64_t from = recent_[(count_ - n + i - 1) % kRecent], to = recent_[(count_ - n + i) % kRecent];
      steps[i - 1] = to > from ? to - from : 0;
      back |= from > to + kMinute;
    }
    // Steps that vary are usual as far as the second longest of them, unless clocks disagree: then only the median is safe.
    const auto end = steps.begin() + static_cast<std::ptrdiff_t>(n - 1);
    std::sort(steps.begin(), end);
    return back ? steps[(n - 2) / 2] : steps[n < 4 ? n - 2 : n - 3];
  }

  std::uint64_t step_;
  /// The latest event time that is believed; 0 before any.
  std::uint64_t latest_ = 0;
  std::uint64_t now_ = 0;
  /// The nanoseconds by which it was last set back.
  std::uint64_t setBack_ = 0;
  /// How far the other clock that was read last is ahead of this one, modulo 2^64.
  std::uint64_t offset_ = 0;
  /// The distance up to which a time of the current request is near.
  std::uint64_t reach_ = kMinute;
  /// The number of requests that had a time, and the first times of the latest.
  std::uint64_t count_ = 0;
  std::array<std::uint64_t, kRecent> recent_{};
  /// The number of requests without a time near this clock: in a row if ahead of it, on balance if behind.
  std::uint32_t ahead_ = 0, behind_ = 0;
  /// Whether the current request has a time near this clock, and one that is not.
  bool near_ = false, astray_ = false;
  /// Whether records were missed since the last one.
  bool interrupted_ = false;
};

}  // namespace driftlock
