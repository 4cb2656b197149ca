#pragma once

#include <cstdint>
#include <vector>

namespace driftlock {

/// A channel's score turned into a p-value by the stream's own held-out records.
///
/// Up to the highest held-out score: the rank, p = (1 + #{>= s}) / (1 + n). Beyond it, where ranks run out, the excesses
/// over the 90 % quantile are taken as exponential: p falls by e for each mean excess (Pickands-Balkema-de Haan with shape 0).
class Limit {
 public:
  void add(double score) { scores_.push_back(static_cast<float>(score)); }
  /// Once all held-out scores are there. @param p the chance that a normal record may have of crossing the limit.
  void fit(double p);

  double pValue(double score) const;
  /// Scores above it are flagged.
  double limit() const { return limit_; }
  std::size_t memory() const { return scores_.capacity() * sizeof(float); }

 private:
  std::vector<float> scores_;
  double scale_ = 1;
  double limit_ = 0;
};

}  // namespace driftlock
