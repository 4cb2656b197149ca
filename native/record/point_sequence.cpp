#include "record/point_sequence.hpp"

#include <algorithm>

namespace driftlock {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
/// A point that comes later than after so many usual intervals comes after a gap.
constexpr double kGap = 3;
/// The number of successive late points after which time has indeed been set back.
constexpr std::uint32_t kConvincing = 8;
/// The number of successive totals with new start times after which the sender's start times mean nothing.
constexpr std::uint32_t kMeaningless = 3;
/// The rate at which the usual interval follows the latest ones.
constexpr double kIntervalRate = 1.0 / 16;

using Kind = PointPart::Kind;

}  // namespace

double PointSequence::shareOf(double seconds) const { return seconds > 0 && usual_ > 0 ? std::min(1.0, seconds / usual_) : 1; }

/// Judges a point that is not newer than the last one, which it leaves in place.
PointPart PointSequence::late(const RecordView& point, std::uint64_t time) {
  const PointPart whole{.kind = Kind::Whole, .sum = point.sum, .count = point.count};
  switch (point.accounting) {
    case Accounting::Level: return since(time, time_) > kGap * usual_ ? PointPart{} : whole;
    // A delta that states its interval is complete by itself.
    case Accounting::Delta:
      if (point.startUnixNano == 0 || point.startUnixNano >= time || time == time_) return {};
      return {.kind = Kind::Whole,
              .sum = point.sum,
              .count = point.count,
              .seconds = since(point.startUnixNano, time),
              .share = shareOf(since(point.startUnixNano, time))};
    case Accounting::Total: return {};
  }
  return {};
}

/// Whether a total is lower than the last one.
bool PointSequence::fell(const RecordView& point, std::uint64_t start) const {
  if (point.count < count_) return true;
  // The sum of a histogram falls when it counts negative values, so a stated start time is believed.
  return point.sum < sum_ && (point.count == 0 || start == 0);
}

PointPart PointSequence::total(const RecordView& point, std::uint64_t time, std::uint64_t start) {
  const bool moved = start != 0 && start != start_;
  moves_ = moved && start_ != 0 ? std::min(moves_ + 1, kMeaningless) : 0;
  if (time_ == 0 || !total_) return {.kind = Kind::Unknown};
  if (moved && moves_ < kMeaningless) {
    if (start >= time_) {
      // A sequence whose first point has its start time has counted before, for an unknown time.
      if (start == time) return {.kind = Kind::Unknown};
      return {.kind = Kind::Whole, .sum = point.sum, .count = point.count, .seconds = since(start, time)};
    }
    // Start times that are computed anew for each point jitter. Beyond that, it is another sequence that overlaps.
    const double distance = start > start_ ? since(start_, start) : since(start, start_);
    if (start_ != 0 && distance > std::max(usual_, 1.0)) return {.kind = Kind::Unknown};
  }
  if (fell(point, start)) return {.kind = Kind::Unknown};
  return {.kind = Kind::Difference, .sum = point.sum - sum_, .count = point.count - count_, .seconds = since(time_, time)};
}

PointPart PointSequence::observe(const RecordView& point, bool believed) {
  if (!point.recorded) return {};
  // As the stream's clock does, points without a time are assumed to arrive once per second.
  const std::uint64_t time = point.timeUnixNano != 0 ? point.timeUnixNano : time_ + kSecond;
  if (time_ != 0 && time <= time_) {
    if (time == time_ && point.sum == sum_ && point.count == count_) return {};
    const PointPart part = late(point, time);
    if (part.known()) return part;
    if (++behind_ < kConvincing) return {};
    // The time was set back, so whatever was known of the sequence is over.
    time_ = start_ = 0;
  }
  behind_ = 0;
  const bool gap = time_ != 0 && usual_ > 0 && since(time_, time) > kGap * usual_;
  if (!believed && point.timeUnixNano != 0) {
    if (point.accounting != Accounting::Level) return {};
    return {.kind = Kind::Whole, .sum = point.sum, .count = point.count, .gap = gap};
  }

  // A start after the point's own time means nothing.
  const std::uint64_t start = point.startUnixNano <= time ? point.startUnixNano : 0;
  PointPart part{.kind = Kind::Whole, .sum = point.sum, .count = point.count};
  switch (point.accounting) {
    case Accounting::Level:
      if (time_ != 0) part.seconds = since(time_, time);
      break;
    case Accounting::Delta:
      if (const std::uint64_t begin = std::max(start < time ? start : 0, time_); begin != 0) part.seconds = since(begin, time);
      break;
    case Accounting::Total: part = total(point, time, start);
  }
  part.gap = gap;
  part.share = shareOf(part.seconds);
  if (part.seconds > 0) {
    usual_ = usual_ > 0 ? usual_ + kIntervalRate * (std::clamp(part.seconds, usual_ / 2, 2 * usual_) - usual_) : part.seconds;
  }
  time_ = time;
  start_ = start;
  sum_ = point.sum;
  count_ = point.count;
  total_ = point.accounting == Accounting::Total;
  return part;
}

}  // namespace driftlock
