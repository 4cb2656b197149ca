#include "channels/active_hours.hpp"

#include <algorithm>

namespace driftlock {

std::uint8_t ActiveHours::share(std::uint64_t hour) const {
  const std::uint8_t week = week_[hour % kWeekHours];
  return week != kUnknown ? week : day_[hour % kDayHours];
}

/// The latest day and the latest week have half of the weight.
void ActiveHours::learn(std::uint64_t hour, bool active) {
  std::uint8_t& day = day_[hour % kDayHours];
  std::uint8_t& week = week_[hour % kWeekHours];
  const int now = active ? kFull : 0;
  week = static_cast<std::uint8_t>(((week == kUnknown ? day : week) + now) / 2);
  day = static_cast<std::uint8_t>((day + now) / 2);
}

void ActiveHours::observe(std::uint64_t eventUnixNano) {
  const auto hour = static_cast<std::uint32_t>(eventUnixNano / kHour);
  if (hour == hour_) return;
  if (hour_ != 0 && hour > hour_) {
    learn(hour_, true);
    for (std::uint64_t rest = std::max<std::uint64_t>(hour_ + 1, hour > kWeekHours ? hour - kWeekHours : 0); rest < hour; ++rest)
      learn(rest, false);
  }
  hour_ = hour;
}

bool ActiveHours::valid() const {
  return std::ranges::all_of(day_, [](std::uint8_t share) { return share <= kFull; }) &&
         std::ranges::all_of(week_, [](std::uint8_t share) { return share <= kFull || share == kUnknown; });
}

std::uint64_t ActiveHours::weigh(std::uint64_t from, std::uint64_t to) const {
  std::uint64_t counted = 0;
  for (std::size_t i = 0; i < 2 * kWeekHours && from < to; ++i) {
    const std::uint64_t until = std::min(to, from - from % kHour + kHour);
    counted += (until - from) / kFull * share(from / kHour);
    from = until;
  }
  return counted;
}

std::uint64_t ActiveHours::reach(std::uint64_t from, std::uint64_t counted) const {
  std::uint64_t at = from;
  for (std::size_t i = 0; i < 2 * kWeekHours; ++i) {
    const std::uint64_t left = kHour - at % kHour, each = share(at / kHour), counts = left / kFull * each;
    if (each > 0 && counts >= counted) return at - from + counted / each * kFull + kFull;
    counted -= std::min(counts, counted);
    at += left;
  }
  return 0;
}

}  // namespace driftlock
