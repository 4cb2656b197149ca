#pragma once

// The shape of a metric's points: how the values that a histogram has counted lie, and the quantiles of a summary, whatever
// their mean and number. docs/algorithms/shape.md derives the score.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/latency/latency.hpp"
#include "record/point_sequence.hpp"
#include "record/shape_point.hpp"

namespace driftlock {

/// What is strangest in a point's shape.
struct ShapeFinding {
  /// The bits less log2 of the number of cuts or quantiles examined. Higher is stranger.
  double score = 0;
  double bits = 0;
  /// For a histogram: the share of values above `edge` (or below it), and the usual share and its range.
  double share = 0, usualShare = 0;
  double edge = 0;
  bool above = false;
  /// For a summary: the quantile and its value; the range is then that of the value.
  double quantile = -1, value = 0;
  double low = 0, high = 0;
};

/// The shape channel of one metric stream.
///
/// A histogram is compared with the stream's usual one at each cut between two buckets: of n values, k lie above it
/// while a share p is usual. That is worth (k log2(k/np) + (n-k) log2((n-k)/n(1-p))) / (1 + (n-1) r) bits, the binomial
/// deviance (at its largest over the cuts, R. H. Berk, D. H. Jones, 1979) over the variance that n values have when
/// they come in clusters of correlation r (D. A. Williams, 1982), which each cut has shown. The usual shape is the past
/// with forgetting, about 256 points.
///
/// A summary's quantiles are levels: each is compared with its own past, taken as log-normal like a span's duration.
class ShapeModel {
 public:
  enum class Kind : std::uint8_t { Explicit, Exponential, Quantiles };
  explicit ShapeModel(Kind kind) : kind_(kind) {}

  /// Judges what the point adds; `learn` should follow unless that is not normal. Returns nothing if the point adds no
  /// values or an unknown part of them, or if the past is too short.
  /// @param total whether later points may be differences to this one
  std::optional<ShapeFinding> observe(const ShapePoint& point, PointPart::Kind part, bool total = false);
  void learn();

  std::size_t memory() const;
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh channel. Returns false if the bytes are not a snapshot of one of this kind; the channel is then unusable.
  bool restore(Bytes in);

 private:
  struct Cell {
    std::int64_t key = 0;
    /// The recent values, and how much more than by chance those above the cell's upper bound have varied: sums with forgetting.
    float sum = 0, spread = 0;
  };
  struct Level {
    double quantile = 0;
    LatencyModel model;
  };

  double edge(std::int64_t key) const;
  void coarsen(std::int32_t scale);
  void widenZero(std::int64_t index);
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
    v(self.begun_), v(self.bounds_), v(self.finer_), v(self.points_), v(self.weight_), v(self.spread_);
  }

  Kind kind_;
  std::int32_t scale_ = ShapePoint::kFinestScale;
  /// The reach of the zero bucket, as in a point.
  std::int64_t zero_ = ShapePoint::kNoZero;
  bool begun_ = false;
  /// The explicit bounds, as a hash.
  std::uint64_t bounds_ = 0;
  /// The number of successive points with a finer scale or a narrower zero bucket.
  std::uint32_t finer_ = 0;
  /// The points learnt, their weights and spread, with forgetting.
  float points_ = 0, weight_ = 0, spread_ = 0;
  std::vector<Cell> cells_;
  /// The last point of a stream that accumulates.
  std::vector<ShapePoint::Bucket> last_;
  std::vector<Level> levels_;

  // These are what `learn` learns; not part of the state between points.
  std::vector<ShapePoint::Bucket> added_;
  std::vector<ShapePoint::Quantile> values_;
  double count_ = 0;
};

}  // namespace driftlock
