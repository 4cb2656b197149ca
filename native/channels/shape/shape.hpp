#pragma once

// The shape of a metric's points: how the values that a histogram has counted lie, and the quantiles of a summary, whatever
// their mean and number. docs/algorithms/shape.md derives the score.

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/latency/latency.hpp"

namespace driftlock {

/// Where the values of one point lie: buckets with a count, ascending, or quantiles. Bounded whatever the point holds: more
/// buckets than `mostBuckets` are joined with their neighbours, always the same ones for the same bounds.
class ShapePoint {
 public:
  static constexpr std::size_t mostBuckets = 64;
  static constexpr std::size_t mostQuantiles = 16;
  /// Exponential histograms are brought to this scale, base 2^(1/4), where theirs is finer.
  static constexpr std::int32_t finestScale = 2;

  struct Bucket {
    /// Orders buckets: that of an upper bound, or of an exponential bucket at `scale()`.
    std::int64_t key = 0;
    std::uint64_t count = 0;
  };
  struct Quantile {
    double quantile = 0, value = 0;
  };

  void clear();
  /// Explicit buckets, by their upper bounds, ascending; the last with infinity. A NaN or a bound that does not ascend
  /// makes the point one without a shape.
  void bucket(double upper, std::uint64_t count);
  /// Exponential buckets of one scale, in any order: values in (base^index, base^(index + 1)], base = 2^(2^-scale), or
  /// their negatives; and those around zero.
  void exponential(std::int32_t scale, std::int64_t index, bool negative, std::uint64_t count);
  void zero(std::int32_t scale, std::uint64_t count);
  void quantile(double quantile, double value);
  /// The point says of itself that it is none, or its parts do not fit.
  void spoil() { sound_ = false; }
  /// To be called when all is in.
  void finish();

  const std::vector<Bucket>& buckets() const { return buckets_; }
  const std::vector<Quantile>& quantiles() const { return quantiles_; }
  std::int32_t scale() const { return scale_; }
  /// The point has a shape; buckets may all be empty.
  bool has() const { return has_; }

 private:
  void fit(std::size_t most);

  std::vector<Bucket> buckets_;
  std::vector<Quantile> quantiles_;
  std::int32_t scale_ = 0;
  double upper_ = -std::numeric_limits<double>::infinity();
  /// Explicit bounds that a bucket joins, and those in the last.
  std::size_t stride_ = 1, joined_ = 0;
  bool has_ = false, sound_ = true;
};

/// What is strangest in a point's shape.
struct ShapeFinding {
  /// Bits less log2 of the number of cuts or quantiles looked at. Higher is stranger.
  double score = 0;
  double bits = 0;
  /// Of a histogram: the share of values above `edge` (else below it), and its usual value and range.
  double share = 0, usualShare = 0;
  double edge = 0;
  bool above = false;
  /// Of a summary: the quantile; the range is then that of its value.
  double quantile = -1, value = 0;
  double low = 0, high = 0;
};

/// The shape channel of one metric stream.
///
/// A histogram is compared with the stream's usual one at each cut between two buckets: of n values, k lie above it where a
/// share p is usual. That is worth (k log2(k/np) + (n-k) log2((n-k)/n(1-p))) / (1 + (n-1) r) bits, the binomial deviance (at
/// its largest over the cuts, R. H. Berk, D. H. Jones, 1979) over the variance that n values have when they come in clusters
/// of correlation r (D. A. Williams, 1982), which each cut has shown. Usual is the past with forgetting, about 256 points.
///
/// A summary's quantiles are levels: each is compared with its own past as a log-normal one, as a span's duration is.
class ShapeChannel {
 public:
  enum class Kind : std::uint8_t { Explicit, Exponential, Quantiles };
  explicit ShapeChannel(Kind kind) : kind_(kind) {}

  /// Judges what the point adds; to be followed by `learn` unless that is no model of what is normal. Nothing where it adds
  /// no values, begins anew, or the past is too short. `cumulative`: counts are since the stream's start.
  std::optional<ShapeFinding> observe(const ShapePoint& point, bool cumulative);
  void learn();

  std::size_t memory() const;
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh channel. False where the bytes are no snapshot of one of this kind; the channel is of no use then.
  bool restore(Bytes in);

 private:
  struct Cell {
    std::int64_t key = 0;
    /// Values lately, and how much more than by chance those above the cell's upper bound have varied: sums with forgetting.
    float sum = 0, spread = 0;
  };
  struct Level {
    double quantile = 0;
    LatencyModel model;
  };

  double edge(std::int64_t key) const;
  void coarsen(std::int32_t scale);
  void align(const ShapePoint& point);
  double pooled() const;
  double correlation(float spread) const;
  template <class Each>
  void cuts(Each&& each) const;
  ShapeFinding judge() const;
  std::optional<ShapeFinding> judgeQuantiles(const ShapePoint& point);
  void learnBuckets();

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.begun_), v(self.finer_), v(self.points_), v(self.weight_), v(self.spread_);
  }

  Kind kind_;
  std::int32_t scale_ = ShapePoint::finestScale;
  bool begun_ = false;
  /// Points in a row of a finer scale.
  std::uint32_t finer_ = 0;
  /// Points learnt, their weights and spread, with forgetting.
  float points_ = 0, weight_ = 0, spread_ = 0;
  std::vector<Cell> cells_;
  /// The last point of a stream that accumulates.
  std::vector<ShapePoint::Bucket> last_;
  std::vector<Level> levels_;

  // What `learn` learns; not part of the state between points.
  std::vector<ShapePoint::Bucket> added_;
  std::vector<ShapePoint::Quantile> values_;
  double count_ = 0;
};

}  // namespace driftlock
