#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>

namespace driftlock {

/// How the rate of a stream depends on the hour of the day and of the week.
///
/// Either profile is believed once it has saved 16 bits over a flat rate, counted as they come, so that it must predict, not fit.
/// Days look back over two weeks, weeks over about three of their own. Days and weeks are those of UTC until the counts show
/// that the local clock was changed: once the usual rates of an hour earlier or later have saved 16 bits over those of the hour,
/// the profiles move by that hour. They must have seen a week, and never move further than an hour from where they began, because
/// no clock is changed by more.
class VolumeSeason {
 public:
  explicit VolumeSeason(std::uint64_t unitsPerDay) : unitsPerDay_(unitsPerDay) { week_.fill(kUnknown); }

  /// The factor of a span of at most an hour in the usual rate; 1 until a profile has proved useful.
  double factor(std::uint64_t begin, std::uint64_t length) const;
  bool believed() const { return dayBits_ >= kThreshold || weekBits_ >= kThreshold; }

  /// Notes how many bits the profiles save, given the deviance of the latest count from a flat rate and from a rate that depends
  /// on the time: `deviance(factor)`.
  template <class Deviance>
  void weigh(std::uint64_t begin, std::uint64_t length, const Deviance& deviance) {
    if (believed() && knowsWeeks()) follow(begin, length, deviance);
    const double flat = deviance(1.0);
    dayBits_ = bounded(dayBits_ + flat - deviance(over(begin, length, [&](std::uint64_t time) { return day(time); })));
    if (knowsWeek(begin) && knowsWeek(begin + length)) {
      weekBits_ = bounded(weekBits_ + flat - deviance(over(begin, length, [&](std::uint64_t time) { return week(time); })));
    }
  }
  /// Learns the records of a span of time that does not reach beyond its hour, or of hours without any.
  void learn(std::uint64_t begin, std::uint64_t length, double records);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& value : self.dayRecords_) v(value);
    for (auto& value : self.dayHours_) v(value);
    for (auto& value : self.week_) v(value);
    v(self.dayBits_), v(self.weekBits_), v(self.earlierBits_), v(self.laterBits_), v(self.clock_);
    v(self.hour_), v(self.hourRecords_), v(self.hourLength_);
  }
  /// Whether a restored state is one that `learn` can lead to.
  bool valid() const;

 private:
  static constexpr std::size_t kHours = 24, kWeek = 7 * kHours;
  static constexpr double kThreshold = 16, kMost = 64;
  static constexpr std::uint16_t kUnknown = 0xffff;

  static double bounded(double bits) { return bits < -kMost ? -kMost : bits > kMost ? kMost : bits; }
  std::uint64_t hourLong() const { return unitsPerDay_ / kHours; }
  std::uint64_t hourOf(std::uint64_t time) const { return time / hourLong() + clock_; }
  /// Moves the profiles by an hour once that has proved useful.
  template <class Deviance>
  void follow(std::uint64_t begin, std::uint64_t length, const Deviance& deviance) {
    const double here = deviance(factor(begin, length));
    const auto saved = [&](std::uint64_t other) { return here - deviance(factor(other, length)); };
    earlierBits_ = clock_ == 0 ? 0 : std::max(0.0, earlierBits_ + saved(begin - std::min(begin, hourLong())));
    laterBits_ = clock_ == 2 ? 0 : std::max(0.0, laterBits_ + saved(begin + hourLong()));
    if (std::max(earlierBits_, laterBits_) < kThreshold) return;
    laterBits_ > earlierBits_ ? ++clock_ : --clock_;
    earlierBits_ = laterBits_ = 0;
  }
  /// Whether at least a week was seen.
  bool knowsWeeks() const { return std::accumulate(dayHours_.begin(), dayHours_.end(), 0.0f) >= kWeek; }
  bool knowsWeek(std::uint64_t time) const { return week_[hourOf(time) % kWeek] != kUnknown; }
  /// The mean of a factor over a span, which may reach into the next hour.
  template <class Factor>
  double over(std::uint64_t begin, std::uint64_t length, const Factor& factor) const {
    const std::uint64_t left = hourLong() - begin % hourLong();
    if (left >= length) return factor(begin);
    const double share = static_cast<double>(left) / static_cast<double>(length);
    return share * factor(begin) + (1 - share) * factor(begin + left);
  }
  double day(std::uint64_t time) const;
  double week(std::uint64_t time) const;
  void endHour();

  std::uint64_t unitsPerDay_;
  /// The records and the hours seen in each hour of the day.
  std::array<float, kHours> dayRecords_{}, dayHours_{};
  /// The records per hour in each hour of the week: the upper half of a float.
  std::array<std::uint16_t, kWeek> week_;
  double dayBits_ = 0, weekBits_ = 0;
  /// What the profiles would have saved lately if they were read an hour earlier or later (Page's CUSUM).
  double earlierBits_ = 0, laterBits_ = 0;
  /// The hours by which the local clock is ahead of what it was when it was furthest behind: 0 to 2, as it may move either way.
  std::uint8_t clock_ = 1;
  /// The hour of the latest record since 1970, its records so far, and how much of it has passed.
  std::uint64_t hour_ = 0;
  float hourRecords_ = 0, hourLength_ = 0;
};

}  // namespace driftlock
