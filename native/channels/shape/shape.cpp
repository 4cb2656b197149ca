#include "channels/shape/shape.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {

using namespace shape;

namespace {

using Bucket = ShapePoint::Bucket;

/// The number of points that the usual shape covers, and the number of points before anything is judged.
constexpr float kHorizon = 256;
constexpr float kFewestPoints = 16;
/// The number of points before residuals are meaningful.
constexpr float kFewestResiduals = 4;
/// The least correlation of values in one point: however many there are, they are worth at most 10,000 independent ones.
constexpr double kLeastCorrelation = 1e-4;
/// The weight, in points, of the histogram's own correlation in that of a cut.
constexpr double kCorrelationPrior = 16;
/// The number of successive finer points after which a stream's scale becomes finer.
constexpr std::uint32_t kFinerPoints = 256;
constexpr std::uint8_t kSnapshotVersion = 2;

/// Subtracts the last point's counts; returns false if they are not contained in these.
bool subtract(std::vector<Bucket>& buckets, const std::vector<Bucket>& last) {
  auto at = buckets.begin();
  for (const Bucket& before : last) {
    while (at != buckets.end() && at->key < before.key) ++at;
    if (at == buckets.end() || at->key != before.key || at->count < before.count) return false;
    at->count -= before.count;
  }
  std::erase_if(buckets, [](const Bucket& bucket) { return bucket.count == 0; });
  return true;
}

/// Of joined cells, the upper cut remains.
void joinCells(auto& cells) {
  mergeEqual(cells, [](auto& a, const auto& b) { a = {b.key, a.sum + b.sum, b.spread}; });
}

}  // namespace

double ShapeModel::edge(std::int64_t key) const {
  if (kind_ == Kind::Explicit) return boundOf(key);
  if (key == 0) return 0;
  const auto index = static_cast<double>(std::abs(key) - kSides + (key > 0 ? 1 : 0));
  const double exponent = std::clamp(std::ldexp(index, -scale_), -2000.0, 2000.0);
  const double value = portableExp(exponent * kLn2);
  return key > 0 ? value : -value;
}

void ShapeModel::coarsen(std::int32_t scale) {
  const std::int32_t steps = scale_ - scale;
  scale_ = scale;
  zero_ = coarserZero(zero_, steps);
  coarsenBuckets(last_, steps);
  for (Cell& cell : cells_) cell.key = coarser(cell.key, steps);
  joinCells(cells_);
}

void ShapeModel::widenZero(std::int64_t index) {
  zero_ = index;
  shape::widenZero(last_, index);
  for (Cell& cell : cells_) cell.key = outsideOfZero(cell.key, index);
  joinCells(cells_);
}

/// Brings the point and the past to one scale and one zero bucket, the coarser and the wider of the two. Shapes with
/// other explicit bounds cannot be compared, so the past is forgotten.
void ShapeModel::align(const ShapePoint& point) {
  if (begun_ && point.bounds() != bounds_) *this = ShapeModel(kind_);
  bounds_ = point.bounds();
  added_ = point.buckets();
  if (kind_ != Kind::Exponential) return;
  if (!begun_) scale_ = point.scale(), zero_ = point.zeroIndex();
  const std::int32_t scale = std::min(scale_, point.scale());
  const std::int64_t zero = coarserZero(point.zeroIndex(), point.scale() - scale);
  finer_ = point.scale() > scale_ || zero < coarserZero(zero_, scale_ - scale) ? finer_ + 1 : 0;
  if (finer_ >= kFinerPoints) {
    // One coarse point must not blind the stream forever.
    *this = ShapeModel(kind_);
    scale_ = point.scale(), zero_ = point.zeroIndex();
    added_ = point.buckets();
    return;
  }
  if (point.scale() > scale) coarsenBuckets(added_, point.scale() - scale);
  if (scale_ > scale) coarsen(scale);
  if (zero > zero_) widenZero(zero);
  shape::widenZero(added_, zero_);
}

std::optional<ShapeFinding> ShapeModel::observe(const ShapePoint& point, PointPart::Kind part, bool total) {
  added_.clear();
  values_.clear();
  count_ = 0;
  if (!point.has() || part == PointPart::Kind::None) return {};
  if (kind_ == Kind::Quantiles) return judgeQuantiles(point);
  align(point);
  std::vector<Bucket> now;
  if (total) now = added_;
  const bool known = part == PointPart::Kind::Whole || (part == PointPart::Kind::Difference && begun_ && subtract(added_, last_));
  last_ = std::move(now);
  begun_ = true;
  if (!known) {
    added_.clear();
    return {};
  }
  for (const Bucket& bucket : added_) count_ += static_cast<double>(bucket.count);
  if (count_ == 0 || points_ < kFewestPoints) return {};
  return judge();
}

/// Calls each(key, values of the point above it, usual share above it, spread) for every cut between two buckets.
template <class Each>
void ShapeModel::cuts(Each&& each) const {
  double total = 0;
  for (const Cell& cell : cells_) total += cell.sum;
  double above = count_, below = 0;
  const float born = static_cast<float>(pooled() * weight_);
  for (std::size_t c = 0, b = 0; c < cells_.size() || b < added_.size();) {
    const bool usual = c < cells_.size() && (b == added_.size() || cells_[c].key <= added_[b].key);
    const bool come = b < added_.size() && (c == cells_.size() || added_[b].key <= cells_[c].key);
    const std::int64_t key = usual ? cells_[c].key : added_[b].key;
    const float spread = usual ? cells_[c].spread : born;
    if (usual) below += cells_[c++].sum;
    if (come) above -= static_cast<double>(added_[b++].count);
    if (c == cells_.size() && b == added_.size()) return;
    each(key, std::max(0.0, above), (std::max(0.0, total - below) + 0.5) / (total + 1), spread);
  }
}

double ShapeModel::pooled() const {
  return weight_ > 0 ? std::clamp<double>(spread_ / weight_, kLeastCorrelation, 1) : kLeastCorrelation;
}

double ShapeModel::correlation(float spread) const {
  const double prior = points_ > 0 ? kCorrelationPrior * weight_ / points_ : 0;
  if (!(weight_ + prior > 0)) return kLeastCorrelation;
  return std::clamp((spread + prior * pooled()) / (weight_ + prior), kLeastCorrelation, 1.0);
}

ShapeFinding ShapeModel::judge() const {
  ShapeFinding finding;
  std::size_t looked = 0;
  const double n = count_;
  cuts([&](std::int64_t key, double k, double p, float spread) {
    ++looked;
    double deviance = k > 0 ? k * portableLog2(k / (n * p)) : 0;
    if (k < n) deviance += (n - k) * portableLog2((n - k) / (n * (1 - p)));
    const double inflation = 1 + (n - 1) * correlation(spread);
    const double bits = deviance / inflation;
    if (bits <= finding.bits) return;
    finding.bits = bits;
    finding.edge = edge(key);
    finding.above = k > n * p;
    finding.share = finding.above ? k / n : 1 - k / n;
    finding.usualShare = finding.above ? p : 1 - p;
    const double deviation = 2 * std::sqrt(p * (1 - p) * inflation / n);
    finding.low = std::max(0.0, finding.usualShare - deviation);
    finding.high = std::min(1.0, finding.usualShare + deviation);
  });
  finding.score = finding.bits - (looked > 0 ? portableLog2(static_cast<double>(looked)) : 0);
  return finding;
}

std::optional<ShapeFinding> ShapeModel::judgeQuantiles(const ShapePoint& point) {
  values_ = point.quantiles();
  std::optional<ShapeFinding> strangest;
  for (const auto& [quantile, value] : values_) {
    const auto level = std::ranges::find(levels_, quantile, &Level::quantile);
    if (level == levels_.end() || !level->model.known()) continue;
    const double bits = level->model.cost(LatencyModel::octavesOf(value));
    if (strangest && bits <= strangest->bits) continue;
    strangest = {.bits = bits, .quantile = quantile, .value = value, .low = level->model.low(), .high = level->model.high()};
  }
  if (strangest) strangest->score = strangest->bits - portableLog2(static_cast<double>(levels_.size()));
  return strangest;
}

void ShapeModel::learn() {
  for (const auto& [quantile, value] : values_) {
    auto level = std::ranges::find(levels_, quantile, &Level::quantile);
    if (level == levels_.end()) {
      if (levels_.size() == ShapePoint::kMostQuantiles) continue;
      level = levels_.insert(levels_.end(), {quantile, {}});
    }
    level->model.learn(LatencyModel::octavesOf(value));
  }
  if (count_ > 0) learnBuckets();
}

void ShapeModel::learnBuckets() {
  const double n = count_;
  // Values that come in clusters are worth less than their number.
  const double weight = n / (1 + n * kLeastCorrelation);
  const float keep = points_ >= kHorizon ? 1 - 1 / kHorizon : 1;
  const float born = static_cast<float>(pooled() * weight_);

  if (points_ >= kFewestResiduals && n > 1) {
    double sum = 0, of = 0;
    auto cell = cells_.begin();
    cuts([&](std::int64_t key, double k, double p, float) {
      const double variance = p * (1 - p);
      const double residual = k - n * p;
      const double r = std::clamp((residual * residual / (n * variance) - 1) / (n - 1), -1.0, 1.0);
      sum += variance * r;
      of += variance;
      while (cell != cells_.end() && cell->key < key) ++cell;
      if (cell != cells_.end() && cell->key == key) cell->spread = cell->spread * keep + static_cast<float>(weight * r);
    });
    if (of > 0) {
      spread_ = spread_ * keep + static_cast<float>(weight * sum / of);
      weight_ = weight_ * keep + static_cast<float>(weight);
    }
  }

  for (Cell& cell : cells_) cell.sum *= keep;
  auto cell = cells_.begin();
  for (const Bucket& bucket : added_) {
    while (cell != cells_.end() && cell->key < bucket.key) ++cell;
    if (cell == cells_.end() || cell->key != bucket.key) cell = cells_.insert(cell, {bucket.key, 0, born});
    cell->sum += static_cast<float>(weight * (static_cast<double>(bucket.count) / n));
  }
  while (cells_.size() > ShapePoint::kMostBuckets) {
    const auto least = std::ranges::min_element(cells_, {}, &Cell::sum);
    const auto next = least + 1 == cells_.end() ? least - 1 : least + 1;
    next->sum += least->sum;
    cells_.erase(least);
  }
  points_ = points_ * keep + 1;
}

std::size_t ShapeModel::memory() const {
  return sizeof *this + cells_.capacity() * sizeof(Cell) + (last_.capacity() + added_.capacity()) * sizeof(Bucket) +
         levels_.capacity() * sizeof(Level) + values_.capacity() * sizeof(ShapePoint::Quantile);
}

void ShapeModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter v(out);
  v(kSnapshotVersion), v(static_cast<std::uint8_t>(kind_)), v(static_cast<std::uint32_t>(scale_));
  v(static_cast<std::uint64_t>(zero_));
  visit(*this, v);
  v(static_cast<std::uint32_t>(cells_.size()));
  for (const Cell& cell : cells_) v(static_cast<std::uint64_t>(cell.key)), v(cell.sum), v(cell.spread);
  v(static_cast<std::uint32_t>(last_.size()));
  for (const Bucket& bucket : last_) v(static_cast<std::uint64_t>(bucket.key)), v(bucket.count);
  v(static_cast<std::uint32_t>(levels_.size()));
  for (const Level& level : levels_)
    v(level.quantile), v(level.model.mean), v(level.model.above), v(level.model.below), v(level.model.tail), v(level.model.count);
}

bool ShapeModel::restore(Bytes in) {
  StateReader v(in);
  if (v.get<std::uint8_t>() != kSnapshotVersion || v.get<std::uint8_t>() != static_cast<std::uint8_t>(kind_)) return false;
  scale_ = static_cast<std::int32_t>(v.get<std::uint32_t>());
  zero_ = static_cast<std::int64_t>(v.get<std::uint64_t>());
  visit(*this, v);
  const auto sane = [](float value) { return value >= -1e9f && value <= 1e9f; };
  // Buckets are compared with zero and shifted by the difference of scales.
  if (scale_ < 2 * kCoarsestScale || scale_ > ShapePoint::kFinestScale || !sane(points_) || !sane(weight_) || !sane(spread_) ||
      points_ < 0 || points_ > kHorizon + 1 || weight_ < 0 || (zero_ != ShapePoint::kNoZero && std::abs(zero_) > kLargestIndex)) {
    return false;
  }
  const auto sound = [&](std::int64_t key, std::int64_t before, bool first) {
    if (kind_ == Kind::Exponential && key != 0 && std::abs(key / 2 - (key > 0 ? kSides : -kSides) / 2) > kLargestIndex)
      return false;
    return (first || key > before) && key != std::numeric_limits<std::int64_t>::min();
  };
  const auto cells = v.get<std::uint32_t>();
  if (cells > ShapePoint::kMostBuckets) return false;
  for (std::uint32_t i = 0; i < cells; ++i) {
    Cell cell{static_cast<std::int64_t>(v.get<std::uint64_t>())};
    v(cell.sum), v(cell.spread);
    if (!v.ok() || !sound(cell.key, i > 0 ? cells_.back().key : 0, i == 0) || !(cell.sum >= 0) || !sane(cell.sum) ||
        !sane(cell.spread))
      return false;
    cells_.push_back(cell);
  }
  const auto last = v.get<std::uint32_t>();
  if (last > ShapePoint::kMostBuckets) return false;
  for (std::uint32_t i = 0; i < last; ++i) {
    Bucket bucket{static_cast<std::int64_t>(v.get<std::uint64_t>())};
    v(bucket.count);
    if (!v.ok() || !sound(bucket.key, i > 0 ? last_.back().key : 0, i == 0)) return false;
    last_.push_back(bucket);
  }
  const auto levels = v.get<std::uint32_t>();
  if (levels > ShapePoint::kMostQuantiles) return false;
  for (std::uint32_t i = 0; i < levels; ++i) {
    Level level;
    v(level.quantile), v(level.model.mean), v(level.model.above), v(level.model.below), v(level.model.tail), v(level.model.count);
    levels_.push_back(level);
  }
  return v.done();
}

}  // namespace driftlock
