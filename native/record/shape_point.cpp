#include "record/shape_point.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/portable_math.hpp"

namespace driftlock {
namespace shape {

std::int64_t keyOf(double bound) {
  const auto bits = std::bit_cast<std::int64_t>(bound + 0.0);
  return bits >= 0 ? bits : bits ^ std::numeric_limits<std::int64_t>::max();
}
double boundOf(std::int64_t key) {
  return std::bit_cast<double>(key >= 0 ? key : key ^ std::numeric_limits<std::int64_t>::max());
}

std::int64_t coarser(std::int64_t key, std::int32_t steps) {
  if (key == 0) return 0;
  const std::int64_t index = (std::abs(key) - kSides) >> std::min(steps, 63);
  return key > 0 ? kSides + index : -(kSides + index);
}

std::uint64_t saturated(std::uint64_t a, std::uint64_t b) {
  return a + b < a ? std::numeric_limits<std::uint64_t>::max() : a + b;
}

namespace {

void join(std::vector<ShapePoint::Bucket>& buckets) {
  mergeEqual(buckets, [](ShapePoint::Bucket& a, const ShapePoint::Bucket& b) { a.count = saturated(a.count, b.count); });
}

}  // namespace

void coarsenBuckets(std::vector<ShapePoint::Bucket>& buckets, std::int32_t steps) {
  for (ShapePoint::Bucket& bucket : buckets) bucket.key = coarser(bucket.key, steps);
  join(buckets);
}

std::int64_t coarserZero(std::int64_t index, std::int32_t steps) {
  return index == ShapePoint::kNoZero ? index : index >> std::min(steps, 63);
}

std::int64_t outsideOfZero(std::int64_t key, std::int64_t zeroIndex) { return std::abs(key) - kSides <= zeroIndex ? 0 : key; }

void widenZero(std::vector<ShapePoint::Bucket>& buckets, std::int64_t zeroIndex) {
  if (zeroIndex == ShapePoint::kNoZero) return;
  for (ShapePoint::Bucket& bucket : buckets) bucket.key = outsideOfZero(bucket.key, zeroIndex);
  join(buckets);
}

}  // namespace shape

using namespace shape;

void ShapePoint::clear() {
  buckets_.clear();
  quantiles_.clear();
  scale_ = 0;
  zero_ = kNoZero;
  bounds_ = 0;
  upper_ = -std::numeric_limits<double>::infinity();
  stride_ = 1;
  joined_ = 0;
  has_ = false;
  sound_ = true;
}

void ShapePoint::bucket(double upper, std::uint64_t count) {
  if (!(upper > upper_)) spoil();
  if (!sound_) return;
  has_ = true;
  upper_ = upper;
  bounds_ = (bounds_ ^ std::bit_cast<std::uint64_t>(upper + 0.0)) * 0x9E3779B97F4A7C15u;
  bounds_ ^= bounds_ >> 29;
  if (joined_ > 0 && joined_ < stride_) {
    buckets_.back() = {keyOf(upper), saturated(buckets_.back().count, count)};
    ++joined_;
    return;
  }
  if (buckets_.size() == kMostBuckets) {
    for (std::size_t i = 0; i < kMostBuckets / 2; ++i) {
      buckets_[i] = {buckets_[2 * i + 1].key, saturated(buckets_[2 * i].count, buckets_[2 * i + 1].count)};
    }
    buckets_.resize(kMostBuckets / 2);
    stride_ *= 2;
  }
  buckets_.push_back({keyOf(upper), count});
  joined_ = 1;
}

void ShapePoint::exponential(std::int32_t scale, std::int64_t index, bool negative, std::uint64_t count) {
  zero(scale, 0);
  if (count == 0) return;
  index = std::clamp(index, -kLargestIndex, kLargestIndex);
  if (scale > kFinestScale) index >>= std::min<std::int64_t>(std::int64_t{scale} - kFinestScale, 63);
  // The scale is coarser by now than at the beginning, if there were too many.
  const std::int32_t begun = std::clamp(scale, kCoarsestScale, kFinestScale);
  const std::int64_t key = coarser(negative ? -(kSides + index) : kSides + index, begun - scale_);
  if (!buckets_.empty() && buckets_.back().key == key) {
    buckets_.back().count = saturated(buckets_.back().count, count);
    return;
  }
  buckets_.push_back({key, count});
  if (buckets_.size() >= 4 * kMostBuckets) fit(kMostBuckets);
}

void ShapePoint::zero(std::int32_t scale, std::uint64_t count, double threshold) {
  if (!has_) scale_ = std::clamp(scale, kCoarsestScale, kFinestScale);
  has_ = true;
  if (threshold > 0 && std::isfinite(threshold)) {
    // The bucket that contains the threshold belongs to the zero bucket as a whole, as when histograms are merged.
    const double index = std::ceil(std::ldexp(portableLog2(threshold), scale_)) - 1;
    zero_ = static_cast<std::int64_t>(std::clamp(index, -static_cast<double>(kLargestIndex), static_cast<double>(kLargestIndex)));
  }
  if (count > 0) buckets_.push_back({0, count});
}

void ShapePoint::quantile(double quantile, double value) {
  if (!(quantile >= 0 && quantile <= 1) || !(value > 0) || !std::isfinite(value) || quantiles_.size() == kMostQuantiles) return;
  has_ = true;
  quantiles_.push_back({quantile, value});
}

void ShapePoint::fit(std::size_t most) {
  std::ranges::stable_sort(buckets_, {}, &ShapePoint::Bucket::key);
  for (std::int32_t steps = 0;; steps = 1) {
    coarsenBuckets(buckets_, steps);
    zero_ = coarserZero(zero_, steps);
    scale_ -= steps;
    if (buckets_.size() <= most) return;
  }
}

void ShapePoint::finish() {
  if (!sound_) return clear();
  // Explicit bounds are ascending already, and few enough; their keys have no scale.
  if (joined_ == 0) fit(kMostBuckets);
  widenZero(buckets_, zero_);
  std::erase_if(buckets_, [](const Bucket& bucket) { return bucket.count == 0; });
}

}  // namespace driftlock
