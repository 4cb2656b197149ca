#include "stream/limit.hpp"

#include <algorithm>
#include <cmath>

namespace driftlock {
namespace {

// Held-out scores that hardly differ would put the limit right on top of them.
constexpr double kLeastScale = 0.25;

}  // namespace

void Limit::fit(double p) {
  std::sort(scores_.begin(), scores_.end());
  const std::size_t n = scores_.size();
  if (n == 0) return;
  const std::size_t tail = n - std::max<std::size_t>(1, n / 10);
  double excess = 0;
  for (std::size_t i = tail; i < n; ++i) excess += scores_[i] - scores_[tail];
  scale_ = std::max(kLeastScale, excess / static_cast<double>(n - tail));
  const double floor = 1.0 / static_cast<double>(n + 1);
  limit_ = p >= floor ? scores_[n - 1 - std::min(n - 1, static_cast<std::size_t>(p / floor) - 1)]
                      : scores_[n - 1] + scale_ * std::log(floor / p);
}

double Limit::pValue(double score) const {
  const std::size_t n = scores_.size();
  if (n == 0) return 1;
  const double floor = 1.0 / static_cast<double>(n + 1);
  if (score > scores_[n - 1]) return floor * std::exp((scores_[n - 1] - score) / scale_);
  const auto atLeast = scores_.end() - std::lower_bound(scores_.begin(), scores_.end(), static_cast<float>(score));
  return floor * static_cast<double>(1 + atLeast);
}

}  // namespace driftlock
