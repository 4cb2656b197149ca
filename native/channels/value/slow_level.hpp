#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>

#include "base/portable_math.hpp"

namespace driftlock {

/// The slow mean and spread of a stream's values, with a half-life of a day. It is what the streams of a resource group are
/// compared by: unlike the value channel, it neither forgets a level after some hundred values nor tires of repetitions.
class SlowLevel {
 public:
  /// The most standard deviations that a value counts for, as a distance and when it is learned.
  static constexpr double kMost = 20;

  /// Learns a value. Returns its distance from the mean before, in standard deviations; nothing for the first values, and 0 for
  /// the first of another instance.
  std::optional<double> observe(std::uint64_t timeUnixNano, double value) {
    const double seconds = timeUnixNano > time_ && time_ != 0 ? static_cast<double>(timeUnixNano - time_) * 1e-9 : 0;
    age_ = std::min(age_ + seconds, kHalfLife);
    time_ = std::max(time_, timeUnixNano);
    if (fresh_ > 0) {
      mean_ += (value - mean_) / (kFresh + 1 - fresh_--);
      if (!std::isfinite(mean_)) *this = {};
      return 0;
    }
    double change = value - mean_;
    const double deviation = std::max(std::sqrt(variance_), kLeastShare * std::sqrt(mean_ * mean_ + variance_));
    std::optional<double> distance;
    if (count_ >= kYoung) {
      distance = change == 0 ? 0 : std::min(kMost, std::fabs(change) / deviation);
      // What has never varied has no spread that could limit what is learned.
      if (deviation > 0) change = std::clamp(change, -kMost * deviation, kMost * deviation);
    }
    ++count_;
    weight_ = weight_ * portableExp(-std::min(seconds / kHalfLife, 1.0) * kLn2) + 1;
    mean_ += change / weight_;
    variance_ = (1 - 1 / weight_) * (variance_ + change * change / weight_);
    if (!std::isfinite(mean_) || !std::isfinite(variance_)) *this = {};
    return distance;
  }

  /// Expects the values of another instance: it has the same spread, but may have a level of its own.
  void restart() { fresh_ = kFresh; }

  /// Whether it has seen a whole day.
  bool knowsDay() const { return age_ >= kHalfLife; }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.time_), v(self.age_), v(self.count_), v(self.weight_), v(self.mean_), v(self.variance_), v(self.fresh_);
  }

 private:
  static constexpr double kHalfLife = 86'400;
  static constexpr std::uint64_t kYoung = 100;
  /// The number of values that make the mean of another instance.
  static constexpr std::uint32_t kFresh = 16;
  /// The least standard deviation, as a share of the values' usual size.
  static constexpr double kLeastShare = 1e-3;

  std::uint64_t time_ = 0, count_ = 0;
  /// In seconds, at most a day.
  double age_ = 0;
  double weight_ = 0, mean_ = 0, variance_ = 0;
  /// How many of those are still to come.
  std::uint32_t fresh_ = 0;
};

}  // namespace driftlock
