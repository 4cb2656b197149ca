#pragma once

// The shape of a metric's points: how the values that a histogram has counted lie, and the quantiles of a summary, whatever
// their mean and number. docs/algorithms/shape.md derives the score.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/latency/latency.hpp"
#include "record/shape_point.hpp"

namespace driftlock {

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
class ShapeModel {
 public:
  enum class Kind : std::uint8_t { Explicit, Exponential, Quantiles };
  explicit ShapeModel(Kind kind) : kind_(kind) {}

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
  std::int32_t scale_ = ShapePoint::kFinestScale;
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
