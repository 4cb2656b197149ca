#pragma once

#include <cstdint>

#include "record/record.hpp"

namespace driftlock {

/// What a metric point adds to those before it.
struct PointPart {
  enum class Kind : std::uint8_t {
    /// Nothing: the point has no recorded value, repeats an earlier one, or arrives too late.
    None,
    /// An unknown part: the point begins a sequence, and nothing says when.
    Unknown,
    /// All that the point contains: a level, a delta, or the first point of a sequence that began after the last point.
    Whole,
    /// The difference to the last point.
    Difference,
  };

  Kind kind = Kind::None;
  /// The sum and the number of values of the part.
  double sum = 0, count = 0;
  /// The time that the part covers; 0 if it is unknown.
  double seconds = 0;
  /// That time as a share of the stream's usual interval, at most 1.
  double share = 1;
  /// Whether points are missing before this one.
  bool gap = false;

  /// Whether the part is known.
  bool known() const { return kind == Kind::Whole || kind == Kind::Difference; }
};

/// Follows the points of one metric stream by the rules of the OpenTelemetry metrics data model ("Temporality", "Resets
/// and gaps", "Overlap"): a new start time begins a new sequence of a total, which counts from there, also if it is
/// higher than the old one; a total that falls without a new start time begins at an unknown time; a delta covers the
/// time from its start, but not from before the last point; points may be missing, repeated, or arrive out of order.
class PointSequence {
 public:
  PointSequence() = default;

  /// @param believed whether the stream's clock believes the point's time
  PointPart observe(const RecordView& point, bool believed);
  /// Expects the points of another sender, at the same interval.
  void restart() { *this = PointSequence(usual_); }

  /// Lists the fields, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.time_), v(self.start_), v(self.sum_), v(self.count_), v(self.usual_), v(self.total_), v(self.behind_), v(self.moves_);
  }

 private:
  explicit PointSequence(double usual) : usual_(usual) {}

  PointPart late(const RecordView& point, std::uint64_t time);
  PointPart total(const RecordView& point, std::uint64_t time, std::uint64_t start);
  bool fell(const RecordView& point, std::uint64_t start) const;
  double shareOf(double seconds) const;
  static double since(std::uint64_t from, std::uint64_t time) { return static_cast<double>(time - from) / 1e9; }

  /// The last point: its time, 0 before any; the start of its sequence, 0 if it stated none; its sum and its count.
  std::uint64_t time_ = 0, start_ = 0;
  double sum_ = 0, count_ = 0;
  /// The usual interval in seconds, 0 before any.
  double usual_ = 0;
  /// Whether the last point was a total.
  bool total_ = false;
  /// The number of successive points that came too late, and of successive totals whose start time moved.
  std::uint32_t behind_ = 0, moves_ = 0;
};

}  // namespace driftlock
