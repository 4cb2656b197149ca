#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace driftlock {

/// How long and how far a stream's values stay away from their slow mean: the sum of their distances beyond what is allowed,
/// which falls when they come back (CUSUM, Page 1954). A value that jumps and stays is one surprise for the value channel, which
/// gets used to it; here it becomes the rarer the longer it stays.
class LastingLevel {
 public:
  /// Adds the distance of a value from the slow mean, in standard deviations.
  /// @param known whether the slow mean has seen a whole day: before, the daily rise and fall of the load would be news
  /// @return the bits that it is rarer than what counts, whenever they have grown by one; 0 otherwise
  double observe(double distance, bool known) {
    most_ *= kKeep;
    sum_ = known ? std::max(0.0, sum_ + std::min(distance, kMostEach) - kAllowed) : 0;
    peak_ = std::max(peak_, sum_);
    if (sum_ == 0) {
      // What has happened before must be exceeded; a single episode does not make everything usual.
      most_ = std::max(most_, std::min(peak_, 2 * limit()));
      peak_ = told_ = 0;
      return 0;
    }
    const double bits = std::min(kMostBits, std::floor(kBitsPerLimit * (sum_ / limit() - 1)));
    if (bits <= told_) return 0;
    return told_ = bits;
  }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.sum_), v(self.peak_), v(self.most_), v(self.told_);
  }

 private:
  /// What each value adds at most, so that it takes three or more, and what is taken from that.
  static constexpr double kMostEach = 8, kAllowed = 3;
  /// The least sum that counts, what remains of the largest one with each value, and how the bits grow with the sum.
  static constexpr double kLeast = 10, kKeep = 1 - 1e-5, kBitsPerLimit = 4;
  static constexpr double kMostBits = 16;

  double limit() const { return std::max(kLeast, 2 * most_); }

  double sum_ = 0, peak_ = 0, most_ = 0, told_ = 0;
};

}  // namespace driftlock
