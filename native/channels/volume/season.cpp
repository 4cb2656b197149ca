#include "channels/volume/season.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

namespace driftlock {
namespace {

/// The number of days over which the hours of the day look back.
constexpr float kDays = 14;
/// The share of the latest week in the usual one.
constexpr float kWeekRate = 1.0f / 3;
/// The least factor, so that an hour without records does not make a single one impossible.
constexpr double kLeast = 0.01;

float wide(std::uint16_t half) { return std::bit_cast<float>(std::uint32_t{half} << 16); }
std::uint16_t half(float value) { return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16); }

}  // namespace

double VolumeSeason::factor(std::uint64_t begin, std::uint64_t length) const {
  return over(begin, length, [&](std::uint64_t time) {
    if (weekBits_ >= kThreshold && weekBits_ >= dayBits_ && knowsWeek(time)) return week(time);
    return dayBits_ >= kThreshold ? day(time) : 1;
  });
}

double VolumeSeason::day(std::uint64_t time) const {
  double records = 0, hours = 0;
  for (std::size_t h = 0; h < kHours; ++h) {
    records += dayRecords_[h];
    hours += dayHours_[h];
  }
  if (!(records > 0) || !(hours > 0)) return 1;
  const std::size_t hour = hourOf(time) % kHours;
  const double mean = records / hours;
  // The flat rate has the weight of half a minute, so that an hour never seen counts like any other.
  constexpr double kPrior = 1.0 / 120;
  return std::max(kLeast, (dayRecords_[hour] + mean * kPrior) / (dayHours_[hour] + kPrior) / mean);
}

double VolumeSeason::week(std::uint64_t time) const {
  double records = 0, hours = 0;
  for (const std::uint16_t each : week_) {
    if (each == kUnknown) continue;
    records += wide(each);
    ++hours;
  }
  return records > 0 ? std::max(kLeast, wide(week_[hourOf(time) % kWeek]) * hours / records) : 1;
}

void VolumeSeason::learn(std::uint64_t begin, std::uint64_t length, double records) {
  const std::uint64_t units = hourLong();
  // Hours before the last week would be overwritten.
  if (length > kWeek * units) {
    begin += length - kWeek * units;
    length = kWeek * units;
  }
  for (std::uint64_t left = length; left > 0;) {
    if (const std::uint64_t hour = hourOf(begin); hour != hour_) {
      endHour();
      hour_ = hour;
    }
    const std::uint64_t step = std::min(left, units - begin % units);
    const float share = static_cast<float>(static_cast<double>(step) / static_cast<double>(units));
    const float part = static_cast<float>(records * (static_cast<double>(step) / static_cast<double>(length)));
    const std::size_t h = hour_ % kHours;
    if (dayHours_[h] >= kDays) {
      const float keep = 1 - share / dayHours_[h];
      dayHours_[h] *= keep;
      dayRecords_[h] *= keep;
    }
    dayHours_[h] += share;
    dayRecords_[h] += part;
    hourLength_ += share;
    hourRecords_ += part;
    begin += step;
    left -= step;
  }
}

void VolumeSeason::endHour() {
  // An hour that was hardly seen says little about its rate.
  if (hourLength_ > 0.25f) {
    std::uint16_t& usual = week_[hour_ % kWeek];
    const float rate = hourRecords_ / hourLength_;
    usual = half(usual == kUnknown ? rate : wide(usual) + kWeekRate * (rate - wide(usual)));
  }
  hourLength_ = hourRecords_ = 0;
}

bool VolumeSeason::valid() const {
  const auto sane = [](float value) { return value >= 0 && value < 1e30f; };
  return std::ranges::all_of(dayRecords_, sane) && std::ranges::all_of(dayHours_, sane) &&
         std::ranges::all_of(week_, [&](std::uint16_t each) { return each == kUnknown || sane(wide(each)); }) &&
         std::fabs(dayBits_) <= kMost && std::fabs(weekBits_) <= kMost && earlierBits_ >= 0 && earlierBits_ < kThreshold &&
         laterBits_ >= 0 && laterBits_ < kThreshold && clock_ <= 2 && sane(hourRecords_) && sane(hourLength_);
}

}  // namespace driftlock
