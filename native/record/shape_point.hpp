#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace driftlock {

/// The distribution of one point's values: buckets with a count, ascending, or quantiles. It is bounded whatever the point holds:
/// more buckets than `mostBuckets` are joined with their neighbours, always the same ones for the same bounds.
class ShapePoint {
 public:
  static constexpr std::size_t kMostBuckets = 64;
  static constexpr std::size_t kMostQuantiles = 16;
  /// Exponential histograms of a finer scale are converted to this one, base 2^(1/4).
  static constexpr std::int32_t kFinestScale = 2;
  static constexpr std::int64_t kNoZero = std::numeric_limits<std::int64_t>::min();

  struct Bucket {
    /// The key that orders buckets: that of an upper bound, or of an exponential bucket at `scale()`.
    std::int64_t key = 0;
    std::uint64_t count = 0;
  };
  struct Quantile {
    double quantile = 0, value = 0;
  };

  void clear();
  /// Adds explicit buckets by their upper bounds, ascending; the last is infinity. After a NaN or a bound that does not ascend,
  /// the point has no shape.
  void bucket(double upper, std::uint64_t count);
  /// Adds exponential buckets of one scale, in any order: values in (base^index, base^(index + 1)], base = 2^(2^-scale), or their
  /// negatives; and those around zero.
  void exponential(std::int32_t scale, std::int64_t index, bool negative, std::uint64_t count);
  /// The values whose distance from zero is at most `threshold` are counted as zero.
  void zero(std::int32_t scale, std::uint64_t count, double threshold = 0);
  void quantile(double quantile, double value);
  /// Marks the point as having no value, or parts that do not fit together.
  void spoil() { sound_ = false; }
  /// Must be called after everything was added.
  void finish();

  const std::vector<Bucket>& buckets() const { return buckets_; }
  const std::vector<Quantile>& quantiles() const { return quantiles_; }
  std::int32_t scale() const { return scale_; }
  /// The index of the last exponential bucket at `scale()` that belongs to the zero bucket; `kNoZero` if there is none.
  std::int64_t zeroIndex() const { return zero_; }
  /// A hash of the explicit bounds, whatever the counts; 0 if there are none.
  std::uint64_t bounds() const { return bounds_; }
  /// Whether the point has a shape; buckets may all be empty.
  bool has() const { return has_; }

 private:
  void fit(std::size_t most);

  std::vector<Bucket> buckets_;
  std::vector<Quantile> quantiles_;
  std::int32_t scale_ = 0;
  std::int64_t zero_ = kNoZero;
  std::uint64_t bounds_ = 0;
  double upper_ = -std::numeric_limits<double>::infinity();
  /// The number of explicit bounds that a bucket joins, and of those in the last.
  std::size_t stride_ = 1, joined_ = 0;
  bool has_ = false, sound_ = true;
};

/// The keys of buckets, which order them.
namespace shape {

/// Separates exponential buckets on either side of zero; at no scale is a double in a bucket beyond 2^31.
inline constexpr std::int64_t kSides = std::int64_t{1} << 40;
inline constexpr std::int64_t kLargestIndex = std::int64_t{1} << 31;
/// At this scale one bucket per side holds every double.
inline constexpr std::int32_t kCoarsestScale = -40;

/// Returns the key of an explicit bound, or the bound of such a key. Keys are in the order of doubles.
std::int64_t keyOf(double bound);
double boundOf(std::int64_t key);
/// Returns the key of an exponential bucket at a scale that is `steps` coarser.
std::int64_t coarser(std::int64_t key, std::int32_t steps);
/// Returns the sum of two counts, at most the largest number.
std::uint64_t saturated(std::uint64_t a, std::uint64_t b);
/// Converts exponential buckets to a scale that is the given number of steps coarser.
void coarsenBuckets(std::vector<ShapePoint::Bucket>& buckets, std::int32_t steps);
/// Returns the index of a zero bucket's last exponential bucket at a scale that is `steps` coarser.
std::int64_t coarserZero(std::int64_t index, std::int32_t steps);
/// Returns the key of an exponential bucket, 0 if the zero bucket reaches as far as that.
std::int64_t outsideOfZero(std::int64_t key, std::int64_t zeroIndex);
/// Moves buckets into a zero bucket that reaches up to this index.
void widenZero(std::vector<ShapePoint::Bucket>& buckets, std::int64_t zeroIndex);

/// Joins neighbours of the same key.
template <class Items, class Join>
void mergeEqual(Items& items, Join&& join) {
  std::size_t n = 0;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (n > 0 && items[n - 1].key == items[i].key) {
      join(items[n - 1], items[i]);
    } else {
      items[n++] = items[i];
    }
  }
  items.resize(n);
}

}  // namespace shape

}  // namespace driftlock
