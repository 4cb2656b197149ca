#include "channels/calibration.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/work.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kGrowthBits = 2;  // a block of level j holds 4^j scores
/// The number of blocks that must reach a score before their share is trusted.
constexpr std::size_t kEnough = 8;
/// The fewest blocks with which a level is used.
constexpr std::size_t kFewest = 16;
/// The least capacity of a bank, in alarms: as many may be raised at once.
constexpr double kLeastCapacity = 3;
constexpr double kDay = 86400;
/// The largest p-value of an anomaly, however rarely units come.
constexpr double kLargestLimit = 0.01;
/// A unit may overdraw the bank when it is so many times stranger than it must be.
constexpr double kOverdraft = 100;
/// Seconds that a new stream is assumed to have lasted, so that its first batch does not look like a flood.
constexpr double kGrace = 10;
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

Calibration::Calibration(double unit) : unit_(unit > 0 ? unit : 1) { open_.fill(-std::numeric_limits<float>::infinity()); }

/// The number of finished blocks of a level.
std::uint64_t Calibration::filled(int j) const { return learnt_ >> (kGrowthBits * static_cast<unsigned>(j)); }

std::span<const float> Calibration::level(int j) const {
  const std::uint64_t n = filled(j);
  if (j == 0) return std::span(scores_).first(static_cast<std::size_t>(std::min<std::uint64_t>(n, kLatest)));
  const auto& maxima = maxima_[static_cast<std::size_t>(j - 1)];
  return std::span(maxima).first(static_cast<std::size_t>(std::min<std::uint64_t>(n, kBlocks)));
}

/// The scores that a level remembers. Its first block is left out once there are enough others.
std::span<const float> Calibration::past(int j) const {
  const bool begun = j > 0 && filled(j) > kFewest && filled(j) <= kBlocks;
  return level(j).subspan(begun ? 1 : 0);
}

double Calibration::pValue(double score) const {
  if (std::isnan(score) || learnt_ == 0) return 1;
  const float s = stored(score);
  if (tail_.learnt == learnt_ && s > tail_.largest) return beyond(tail_, score);
  float open = -std::numeric_limits<float>::infinity();
  double ceiling = 1;  // what the level below would have given at most, so that p falls with the score
  for (int j = 0;; ++j) {
    const std::span<const float> scores = past(j);
    open = std::max(open, open_[static_cast<std::size_t>(j)]);
    // The unfinished block counts only against the score.
    const std::size_t k = reached(scores, s) + (open >= s);
    const bool top = j + 1 == kLevels || filled(j + 1) <= kFewest;
    if (k == 0 && top) return beyond(tail(j), score);
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
  tail_ = {.learnt = learnt_, .largest = largest()};
  const std::span<const float> scores = past(j);
  tail_.rank = rankOf(j, 0, scores.size());
  for (int below = 0; below < j; ++below) tail_.rank = std::min(tail_.rank, rankOf(below, kEnough, past(below).size()));
  std::array<float, kLatest> sorted;
  const auto end = std::copy(scores.begin(), scores.end(), sorted.begin());
  std::sort(sorted.begin(), end);
  // The tail is fitted to the upper half of the scores, at level 0 to the upper tenth, and to at least 8.
  const std::size_t n = scores.size();
  const std::size_t m = std::min(n - 1, std::max<std::size_t>(kEnough, j == 0 ? n / 10 : n / 2));
  tail_.none = n < 2 || m == 0;
  if (tail_.none) return tail_;
  tail_.from = sorted[n - m - 1];
  double a0 = 0, a1 = 0;
  for (std::size_t i = 0; i < m; ++i) {
    const double excess = sorted[n - m + i] - tail_.from;
    a0 += excess;
    a1 += excess * (static_cast<double>(m - 1 - i) + 0.5) / static_cast<double>(m);
  }
  a0 /= static_cast<double>(m);
  a1 /= static_cast<double>(m);
  double shape = 0;
  if (a0 > 2 * a1 && a0 > 0) shape = std::clamp(2 - a0 / (a0 - 2 * a1), 0.0, 0.9);
  shape += 1 / std::sqrt(static_cast<double>(m));
  tail_.scale = std::max(unit_, a0 * (1 - std::min(shape, 0.9)));
  // Excesses of less than a unit do not determine the shape; the unit alone then sets the tail.
  tail_.shape = a0 < unit_ ? 0 : shape;
  tail_.share = static_cast<double>(m) / static_cast<double>(n) / blockOf(j);
  return tail_;
}

double Calibration::beyond(const Tail& tail, double score) {
  return tail.none ? tail.rank : std::clamp(tail.chance(score), tail.rank * tail.rank, tail.rank);
}

double Calibration::Tail::chance(double score) const {
  const double above = (score - from) / scale;
  return share * portableExp(-(shape == 0 ? above : portableLog(1 + shape * above) / shape));
}

double Calibration::Tail::scoreOf(double p) const {
  const double exponent = portableLog(share / p);
  return from + scale * (shape == 0 ? exponent : (portableExp(shape * exponent) - 1) / shape);
}

void Calibration::learn(double score) {
  if (std::isnan(score)) return;
  const float s = stored(score);
  scores_[learnt_ % kLatest] = s;
  ++learnt_;
  float largest = s;
  for (std::size_t j = 1; j < kLevels; ++j) {
    largest = open_[j] = std::max(open_[j], largest);
    const std::uint64_t block = std::uint64_t{1} << (kGrowthBits * j);
    if (learnt_ % block != 0) break;
    maxima_[j - 1][(learnt_ / block - 1) % kBlocks] = largest;
    open_[j] = -std::numeric_limits<float>::infinity();
  }
}

void Calibration::learn(double score, Alarm judged, double pLimit) {
  if (judged == Alarm::Related) return;
  if (judged != Alarm::Raised) return learn(score);
  const double most = limit(pLimit);
  learn(std::min(score, std::isfinite(most) ? most : static_cast<double>(largest()) + unit_));
}

float Calibration::largest() const {
  float most = -std::numeric_limits<float>::infinity();
  for (int j = 0; j < kLevels; ++j) {
    for (const float score : level(j)) most = std::max(most, score);
    most = std::max(most, open_[static_cast<std::size_t>(j)]);
  }
  return most;
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
  if (const Tail& tail = this->tail(top()); !tail.none && p > 0) {
    const bool down = reaches(std::min(kLargest, placeOf(stored(tail.scoreOf(p)))));
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
  Calibration fresh(unit);
  fresh.learnt_ = read.get<std::uint64_t>();
  const auto get = [&](float& score) {
    score = std::bit_cast<float>(read.get<std::uint32_t>());
    return read.ok() && !std::isnan(score);
  };
  for (std::size_t i = 0, n = fresh.level(0).size(); i < n; ++i)
    if (!get(fresh.scores_[i])) return false;
  for (int j = 1; j < kLevels; ++j)
    for (std::size_t i = 0, n = fresh.level(j).size(); i < n; ++i)
      if (!get(fresh.maxima_[static_cast<std::size_t>(j - 1)][i])) return false;
  for (float& score : fresh.open_)
    if (!get(score)) return false;
  if (!read.done()) return false;
  *this = fresh;
  return true;
}

double combinePValues(std::span<const double> pValues) {
  if (pValues.empty()) return 1;
  double sum = 0;
  for (const double p : pValues) sum += 1 / std::clamp(p, 1e-300, 1.0);
  return std::min(1.0, static_cast<double>(pValues.size()) / sum);
}

AlarmBudget::AlarmBudget(double perDay)
    : perDay_(perDay > 0 ? std::clamp(perDay, 0.001, 1e6) : 0.001), capacity_(std::max(kLeastCapacity, perDay_)), bank_(1) {}

void AlarmBudget::setPerDay(double perDay) {
  const AlarmBudget fresh(perDay);
  perDay_ = fresh.perDay_;
  capacity_ = fresh.capacity_;
  bank_ = std::clamp(bank_, -capacity_, capacity_);
}

void AlarmBudget::observe(std::uint64_t timeUnixNano) {
  double passed = 0;
  if (time_ != 0 && timeUnixNano > time_) passed = std::min(kDay, static_cast<double>(timeUnixNano - time_) * 1e-9);
  time_ = std::max(time_, timeUnixNano);
  if (passed > 0) {
    const double x = passed / kDay;
    const double keep = x < 1e-4 ? 1 - x + x * x / 2 : portableExp(-x);
    units_ *= keep;
    seconds_ = seconds_ * keep + passed;
    bank_ = std::min(capacity_, bank_ + perDay_ * passed / kDay);
  }
  units_ += 1;
}

double AlarmBudget::unitsPerDay() const { return units_ / (seconds_ + kGrace) * kDay; }

double AlarmBudget::limit() const { return std::min(kLargestLimit, perDay_ / (2 * std::max(unitsPerDay(), 1.0))); }

Alarm AlarmBudget::judge(double p, double limit, bool related) {
  if (!(p <= limit)) return Alarm::None;
  if (related) return Alarm::Related;
  const double needed = p * kOverdraft <= limit ? 1 - capacity_ : 1;
  if (bank_ < needed) {
    ++withheld_;
    return Alarm::Withheld;
  }
  bank_ -= 1;
  ++raised_;
  return Alarm::Raised;
}

void AlarmBudget::snapshot(std::vector<std::uint8_t>& out) const {
  put<std::uint8_t>(out, kSnapshotVersion);
  for (const double value : {perDay_, bank_, units_, seconds_}) putDouble(out, value);
  for (const std::uint64_t value : {time_, raised_, withheld_}) put(out, value);
}

bool AlarmBudget::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  const double perDay = read.getDouble();
  const double bank = read.getDouble();
  const double units = read.getDouble();
  const double seconds = read.getDouble();
  AlarmBudget fresh(perDay);
  fresh.bank_ = bank;
  fresh.units_ = units;
  fresh.seconds_ = seconds;
  fresh.time_ = read.get<std::uint64_t>();
  fresh.raised_ = read.get<std::uint64_t>();
  fresh.withheld_ = read.get<std::uint64_t>();
  if (!read.done() || fresh.perDay_ != perDay) return false;
  if (!(bank >= -fresh.capacity_ && bank <= fresh.capacity_)) return false;
  if (!(units >= 0 && units <= 1e18 && seconds >= 0 && seconds <= 1e9)) return false;
  // The budget comes from the configuration, not from the snapshot; savings are kept as far as the new budget allows.
  fresh.perDay_ = perDay_;
  fresh.capacity_ = capacity_;
  fresh.bank_ = std::clamp(bank, -capacity_, capacity_);
  *this = fresh;
  return true;
}

}  // namespace driftlock
