#pragma once

#include <array>
#include <cstdint>

namespace driftlock {

/// How often a stream is active in each hour of the day and of the week, in UTC: a silence of the hours in which it usually rests
/// counts for little, one of its busy hours in full.
///
/// An hour counts as active if it has a record. What was seen in an hour of the week counts once there is something, and until
/// then what was seen in that hour of other days.
class ActiveHours {
 public:
  ActiveHours() { day_.fill(kFull), week_.fill(kUnknown); }

  /// Notes that the stream is active at this event time, and was not between the last one and this.
  void observe(std::uint64_t eventUnixNano);
  /// The part of a span of time that counts.
  std::uint64_t weigh(std::uint64_t from, std::uint64_t to) const;
  /// How long a span of time from here must be for so much of it to count; 0 if that takes more than two weeks.
  std::uint64_t reach(std::uint64_t from, std::uint64_t counted) const;

  /// Whether a restored state is one that `observe` can lead to.
  bool valid() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& share : self.day_) v(share);
    for (auto& share : self.week_) v(share);
    v(self.hour_);
  }

 private:
  static constexpr std::uint64_t kHour = 3'600'000'000'000;
  static constexpr std::size_t kDayHours = 24, kWeekHours = 7 * 24;
  static constexpr std::uint8_t kFull = 240, kUnknown = 255;

  std::uint8_t share(std::uint64_t hour) const;
  void learn(std::uint64_t hour, bool active);

  std::array<std::uint8_t, kDayHours> day_;
  std::array<std::uint8_t, kWeekHours> week_;
  /// The latest hour with a record, since 1970.
  std::uint32_t hour_ = 0;
};

}  // namespace driftlock
