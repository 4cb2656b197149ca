#include "channels/calibration.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/work.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kGrowthBits = 2;  // a block of level j holds 4^j scores
/// The logarithm of the smallest p-value.
constexpr double kLeastChance = -230;
/// The number of blocks that must reach a score before their share is trusted.
constexpr std::size_t kEnough = 8;
/// The fewest blocks with which a level is used.
constexpr std::size_t kFewest = 16;
constexpr std::uint8_t kSnapshotVersion = 1;

float stored(double score) {
  constexpr double kLargest = std::numeric_limits<float>::max();
  return static_cast<float>(std::clamp(score, -kLargest, kLargest));
}

std::size_t reached(std::span<const float> scores, float score) {
  countWork(scores.size());
  std::uint32_t k = 0;  // 32 bits, like a float, so that this becomes vector code
  for (const float s : scores) k += s >= score;
  return k;
}

double blockOf(int level) { return static_cast<double>(std::uint64_t{1} << (kGrowthBits * static_cast<unsigned>(level))); }

/// The p-value of a score that k of n blocks of a level reach: 1 - (1 - (k + 1) / (n + 1))^(1 / block).
double rank(int level, std::size_t k, std::size_t n) {
  if (k >= n) return 1;
  const double share = static_cast<double>(k + 1) / static_cast<double>(n + 1);
  if (level == 0) return share;
  const double x = -portableLog(1 - share) / blockOf(level);
  return x < 1e-5 ? x * (1 - x / 2) : 1 - portableExp(-x);
}

/// The same, from a table if possible: scores far above all others need these values at every level.
double rankOf(int level, std::size_t k, std::size_t n) {
  constexpr std::size_t kMost = 32;
  static const auto ranks = [] {
    std::array<std::array<std::array<double, kMost + 1>, 13>, 2> all{};
    for (std::size_t trusted : {0, 1}) {
      for (std::size_t j = 0; j < all[trusted].size(); ++j) {
        for (std::size_t size = 0; size <= kMost; ++size)
          all[trusted][j][size] = rank(static_cast<int>(j), trusted * kEnough, size);
      }
    }
    return all;
  }();
  if (n > kMost || (k != 0 && k != kEnough)) return rank(level, k, n);
  return ranks[k / kEnough][static_cast<std::size_t>(level)][n];
}

}  // namespace

Calibration::Calibration(double unit, ScoreLaw law) : unit_(unit > 0 ? unit : 1), law_(law) {
  open_.fill(-std::numeric_limits<float>::infinity());
}

/// The number of finished blocks of a level.
std::uint64_t Calibration::filled(int j) const { return learnt_ >> (kGrowthBits * static_cast<unsigned>(j)); }

std::span<const float> Calibration::level(int j) const {
  const std::uint64_t n = filled(j);
  if (j == 0) return scores_;
  if (n == 0) return {};
  return std::span(maxima_[static_cast<std::size_t>(j - 1)]).first(static_cast<std::size_t>(std::min<std::uint64_t>(n, kBlocks)));
}

/// The scores that a level remembers. Its first block is left out once there are enough others.
std::span<const float> Calibration::past(int j) const {
  const bool begun = j > 0 && filled(j) > kFewest && filled(j) <= kBlocks;
  return level(j).subspan(begun ? 1 : 0);
}

double Calibration::pValue(double score) const {
  if (std::isnan(score) || learnt_ == 0) return 1;
  const float s = stored(score);
  if (tail_.learnt == learnt_ && s > tail_.largest) return tail_.chance(score, unit_);
  float open = -std::numeric_limits<float>::infinity();
  double ceiling = 1;  // what the level below would have given at most, so that p falls with the score
  for (int j = 0;; ++j) {
    const std::span<const float> scores = past(j);
    open = std::max(open, open_[static_cast<std::size_t>(j)]);
    // The unfinished block counts only against the score.
    const std::size_t k = reached(scores, s) + (open >= s);
    const bool top = j + 1 == kLevels || filled(j + 1) <= kFewest;
    if (k == 0 && top) return tail(j).chance(score, unit_);
    if (k >= kEnough || top) return std::min(ceiling, rankOf(j, k, scores.size()));
    ceiling = std::min(ceiling, rankOf(j, kEnough, scores.size()));
  }
}

/// The highest level that is used.
int Calibration::top() const {
  int j = 0;
  while (j + 1 < kLevels && filled(j + 1) > kFewest) ++j;
  return j;
}

const Calibration::Tail& Calibration::tail(int j) const {
  if (tail_.learnt == learnt_) return tail_;
  double rank = rankOf(j, 0, past(j).size());
  for (int below = 0; below < j; ++below) rank = std::min(rank, rankOf(below, kEnough, past(below).size()));
  float most = std::ranges::max(past(j));
  for (int below = 0; below <= j; ++below) most = std::max(most, open_[static_cast<std::size_t>(below)]);
  // The next level has too few blocks to be used, but reaches further back. That there was nothing larger counts all the same.
  const std::span<const float> before = j + 1 < kLevels ? level(j + 1) : std::span<const float>();
  if (!before.empty() && std::ranges::max(before) <= most) rank = std::min(rank, rankOf(j + 1, 0, before.size()));
  const double log = portableLog(rank);
  return tail_ = {.learnt = learnt_,
                  .from = static_cast<float>(median()),
                  .largest = most,
                  .rank = log,
                  .exponent = law_ == ScoreLaw::Exponential ? log : log / 2};
}

double Calibration::Tail::chance(double score, double unit) const {
  const double above = score - static_cast<double>(largest), spread = static_cast<double>(largest - from);
  // The two laws are equal at the largest score; the one that falls more slowly is believed.
  const double power = spread > 0 ? exponent * portableLog(1 + above / spread) : -std::numeric_limits<double>::infinity();
  return portableExp(std::max(kLeastChance, rank + std::max(power, -above / (kLeastScale * unit))));
}

double Calibration::Tail::scoreOf(double p, double unit) const {
  const double further = rank - portableLog(p), spread = static_cast<double>(largest - from);
  return static_cast<double>(largest) + std::max(kLeastScale * unit * further, spread * (portableExp(-further / exponent) - 1));
}

void Calibration::learn(double score) {
  if (std::isnan(score)) return;
  const float s = stored(score);
  if (learnt_ < kLatest) {
    if (learnt_ == 0) scores_.reserve(kFewest);
    scores_.push_back(s);
  } else {
    scores_[learnt_ % kLatest] = s;
  }
  ++learnt_;
  float largest = s;
  for (std::size_t j = 1; j < kLevels; ++j) {
    largest = open_[j] = std::max(open_[j], largest);
    const std::uint64_t block = std::uint64_t{1} << (kGrowthBits * j);
    if (learnt_ % block != 0) break;
    if (j > maxima_.size()) {
      maxima_.reserve(j);
      maxima_.emplace_back();
    }
    maxima_[j - 1][(learnt_ / block - 1) % kBlocks] = largest;
    open_[j] = -std::numeric_limits<float>::infinity();
  }
}

void Calibration::learn(double score, Alarm judged, double pLimit) {
  if (judged == Alarm::Related) return;
  if (judged != Alarm::Raised) return learn(score);
  learn(std::min(score, limit(pLimit)));
}

/// The float at a place in the order of all finite floats; -0 comes before 0.
float Calibration::scoreAt(std::int64_t place) {
  return std::bit_cast<float>(place < 0 ? 0x80000000u | static_cast<std::uint32_t>(-(place + 1))
                                        : static_cast<std::uint32_t>(place));
}

std::int64_t Calibration::placeOf(float score) {
  const auto bits = std::bit_cast<std::uint32_t>(score);
  return bits < 0x80000000u ? std::int64_t{bits} : -static_cast<std::int64_t>(bits & 0x7FFFFFFFu) - 1;
}

double Calibration::limit(double p) const {
  if (limit_.learnt == learnt_ && p >= limit_.at && p < limit_.above) return limit_.score;
  constexpr std::int64_t kLargest = 0x7F7FFFFF;
  // The p-value falls as scores rise: the limit lies between `below` and `reached`.
  std::int64_t below = -kLargest - 2, reached = kLargest;
  Limit found{.learnt = learnt_, .above = std::numeric_limits<double>::infinity()};
  const auto reaches = [&](std::int64_t place) {
    const double value = pValue(scoreAt(place));
    const bool enough = value <= p;
    (enough ? reached : below) = place;
    (enough ? found.at : found.above) = value;
    return enough;
  };
  if (!reaches(kLargest)) return std::numeric_limits<double>::infinity();
  // The tail gives an estimate; from there, doubling steps find bounds on either side.
  if (p > 0) {
    const bool down = reaches(std::min(kLargest, placeOf(stored(tail(top()).scoreOf(p, unit_)))));
    for (std::int64_t step = 1; reached - below > step; step *= 2) {
      if (reaches(down ? reached - step : below + step) != down) break;
    }
  }
  while (reached - below > 1) reaches(below + (reached - below) / 2);
  found.score = scoreAt(reached);
  limit_ = found;
  return limit_.score;
}

double Calibration::median() const {
  const std::span<const float> past = level(0);
  if (past.empty()) return 0;
  std::array<float, kLatest> sorted;
  const auto end = std::copy(past.begin(), past.end(), sorted.begin());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(past.size() / 2);
  std::nth_element(sorted.begin(), middle, end);
  return *middle;
}

void Calibration::snapshot(std::vector<std::uint8_t>& out) const {
  put<std::uint8_t>(out, kSnapshotVersion);
  putDouble(out, unit_);
  put<std::uint64_t>(out, learnt_);
  for (int j = 0; j < kLevels; ++j)
    for (const float score : level(j)) put(out, std::bit_cast<std::uint32_t>(score));
  for (const float score : open_) put(out, std::bit_cast<std::uint32_t>(score));
}

bool Calibration::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  const double unit = read.getDouble();
  if (!read.ok() || !(unit > 0) || !std::isfinite(unit)) return false;
  Calibration fresh(unit, law_);
  fresh.learnt_ = read.get<std::uint64_t>();
  const auto get = [&](float& score) {
    score = std::bit_cast<float>(read.get<std::uint32_t>());
    return read.ok() && !std::isnan(score);
  };
  fresh.scores_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(fresh.learnt_, kLatest)));
  for (float& score : fresh.scores_)
    if (!get(score)) return false;
  for (int j = 1; j < kLevels && fresh.filled(j) > 0; ++j) {
    fresh.maxima_.reserve(static_cast<std::size_t>(j));
    Maxima& maxima = fresh.maxima_.emplace_back();
    for (std::size_t i = 0, n = fresh.level(j).size(); i < n; ++i)
      if (!get(maxima[i])) return false;
  }
  for (float& score : fresh.open_)
    if (!get(score)) return false;
  if (!read.done()) return false;
  *this = std::move(fresh);
  return true;
}

double combinePValues(std::span<const double> pValues) {
  if (pValues.empty()) return 1;
  double sum = 0;
  // Most are 1, which needs no division.
  for (const double p : pValues) sum += p == 1 ? 1 : 1 / std::clamp(p, 1e-300, 1.0);
  return std::min(1.0, static_cast<double>(pValues.size()) / sum);
}

}  // namespace driftlock
