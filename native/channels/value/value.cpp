#include "channels/value/value.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr std::uint8_t kSnapshotVersion = 3;

/// The largest value; larger ones are clamped to it, so that squares and distances stay finite.
constexpr double kLargestValue = 1e30;
/// The largest distance that a histogram keeps as a float, until it has a scale.
constexpr double kLargestKept = 1e37;
/// The smallest difference between values.
constexpr double kLeastResolution = 1e-12;

// The histogram: bins of 0.2 in asinh units reach from a tenth of the scale to 200,000 scales on either side.
constexpr double kBinWidth = 0.2;
constexpr double kMiddle = AdaptiveHistogram::kBins / 2;
constexpr std::uint32_t kFirstFit = 16;
constexpr std::uint32_t kFitEvery = 256;
constexpr std::uint32_t kSettled = 256;
/// The rate at which counts fade: their half-life is about 7,000 values.
constexpr double kFading = 1e-4;
/// The mass of the prior, a Cauchy density with a scale of 4 asinh units: that of one value.
constexpr double kPriorMass = 1;
constexpr double kPriorScale = 4;
/// The weight at which weights are rescaled, before they outgrow a float's 24 bits.
constexpr double kLargestWeight = 1 << 12;

// The calibrator: bins of half a bit from -16 to 48 bits.
constexpr double kSurpriseBin = 0.5;
constexpr double kLowestSurprise = -16;
constexpr double kCalibratorMinimum = 32;
/// The share of the past that lies in the exponential tail. The tail starts from a mean excess of one bit, with the
/// weight of ten values.
constexpr double kTailShare = 0.1;
constexpr double kTailPrior = 1;
constexpr double kTailPriorWeight = 10;
/// The largest rarity of one view: an exponential tail is credible only so far, and more needs several views that agree.
constexpr double kMostRarity = 16;
constexpr double kMostBits = kMostRarity * kValueViews;

/// The views that predict the value itself, in the order of trust_; their densities are mixed.
constexpr ValueView kModels[5] = {ValueView::Level, ValueView::Step, ValueView::Day, ValueView::Hour, ValueView::Week};
/// The probability that a value comes from another model than the previous one (fixed share).
constexpr double kShare = 0.005;

/// The learning rate of a season, which follows its last five visits.
constexpr double kSeasonRate = 0.2;

// Peaks: the usual one is the quadratic mean of the maxima of blocks of 150 values.
constexpr std::uint32_t kBlock = 150;
constexpr double kBlockFading = 0.1;
constexpr double kBlockPrior = 18;
constexpr double kBlockPriorWeight = 4;
/// The largest peak of a block, in usual peaks: an anomaly must not hide the next one.
constexpr double kBlockLimit = 1.5;
/// The longest wake of a peak, in values.
constexpr double kWake = 200;
/// The number of values from which a single one far out counts in full at once.
constexpr double kTrusted = 768;

// Episodes: two peaks are alike at a distance of about this, in asinh units (a factor of 1.4 in the tails).
constexpr double kLikeness = 0.35;
/// Their memory fades by 1/e per week: what recurs more often than that becomes usual.
constexpr double kForgotten = 604'800;
constexpr ValueView kPeakViews[4] = {ValueView::Level, ValueView::Step, ValueView::Mean16, ValueView::Mean64};

constexpr std::size_t at(ValueView view) { return static_cast<std::size_t>(view); }

double sinhOf(double y) {
  const double e = portableExp(y);
  return (e - 1 / e) / 2;
}

/// The smoothing kernel over distances in bins, from -bins to bins: three Laplace densities.
struct Kernel {
  std::array<float, 2 * AdaptiveHistogram::kBins> weight;

  Kernel() {
    constexpr double kWidths[3] = {0.1, 0.5, 2};
    constexpr double kShares[3] = {0.6, 0.3, 0.1};
    std::array<double, 2 * AdaptiveHistogram::kBins> raw{};
    double sum = 0;
    for (std::size_t i = 1; i < raw.size(); ++i) {
      const double y = std::fabs(static_cast<double>(i) - AdaptiveHistogram::kBins) * kBinWidth;
      for (int k = 0; k < 3; ++k) raw[i] += kShares[k] / kWidths[k] * portableExp(-y / kWidths[k]);
      sum += raw[i];
    }
    for (std::size_t i = 0; i < raw.size(); ++i) weight[i] = static_cast<float>(raw[i] / sum);
  }
};

const Kernel& kernel() {
  static const Kernel k;
  return k;
}

/// The upper ends of the bins from the middle outwards: sinh((k + 1/2) kBinWidth).
const std::array<double, AdaptiveHistogram::kBins / 2 - 1>& binEnds() {
  static const auto ends = [] {
    std::array<double, AdaptiveHistogram::kBins / 2 - 1> e;
    for (std::size_t k = 0; k < e.size(); ++k) e[k] = sinhOf((static_cast<double>(k) + 0.5) * kBinWidth);
    return e;
  }();
  return ends;
}

/// Multiplies the weights down when they have grown, which changes no share.
template <class Counts>
void rescale(Counts& counts, double& total, double& weight) {
  if (weight < kLargestWeight) return;
  for (auto& c : counts) c = static_cast<float>(c / weight);
  total /= weight;
  weight = 1;
}

// Whatever is valid must stay so while it learns, or a later snapshot of it would be refused. So each bound below is one that
// learning does not cross.

bool validCounts(std::span<const float> counts, double total, double weight) {
  double sum = 0;
  for (const float c : counts) {
    if (!(c >= 0)) return false;
    sum += c;
  }
  // A sum of weights of which each is smaller than the next by the fading is at most this.
  return weight >= 1 && weight <= 2 * kLargestWeight && sum <= 1.01 * weight / kFading && total >= 0 &&
         std::fabs(total - sum) <= 1e-3 * (1 + sum);
}

bool within(double x, double most) { return std::fabs(x) <= most; }
bool bounded(double x) { return within(x, 2 * kLargestValue); }

struct Writer {
  std::vector<std::uint8_t>& out;

  template <class T>
  void operator()(const T& x) {
    if constexpr (std::is_same_v<T, double>) putDouble(out, x);
    else if constexpr (std::is_same_v<T, float>) put(out, std::bit_cast<std::uint32_t>(x));
    else if constexpr (std::is_unsigned_v<T>) put(out, x);
    else
      for (const auto& e : x) (*this)(e);
  }
};

struct Reader {
  StateReader& in;

  template <class T>
  void operator()(T& x) {
    if constexpr (std::is_same_v<T, double>) x = in.getDouble();
    else if constexpr (std::is_same_v<T, float>) x = std::bit_cast<float>(in.get<std::uint32_t>());
    else if constexpr (std::is_unsigned_v<T>) x = in.get<T>();
    else
      for (auto& e : x) (*this)(e);
  }
};

}  // namespace

// --- AdaptiveHistogram ---

std::uint32_t AdaptiveHistogram::binOf(double x, double centre, double scale) {
  const double z = (x - centre) / scale;
  const auto& ends = binEnds();
  const auto out = static_cast<std::int32_t>(std::upper_bound(ends.begin(), ends.end(), std::fabs(z)) - ends.begin());
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(kBins / 2) + (z < 0 ? -out : out));
}

double AdaptiveHistogram::position(double x) const {
  const double z = (x - centre_) / scale_;
  const double y = portableLog(std::fabs(z) + std::sqrt(z * z + 1));
  return z < 0 ? -y : y;
}

double AdaptiveHistogram::valueOf(double bin) const { return centre_ + scale_ * sinhOf((bin - kMiddle) * kBinWidth); }

AdaptiveHistogram::Estimate AdaptiveHistogram::estimate(double x) const {
  const std::uint32_t bin = binOf(x, centre_, scale_);
  const float* k = kernel().weight.data() + kBins - bin;
  // Eight sums side by side: a fixed order of additions that a compiler may still vectorise.
  float part[8] = {};
  for (std::size_t i = 0; i < kBins; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) part[j] += counts_[i + j] * k[i + j];
  }
  const double seen = ((part[0] + part[4]) + (part[1] + part[5])) + ((part[2] + part[6]) + (part[3] + part[7]));
  const double u = (bin - kMiddle) * kBinWidth / kPriorScale;
  const double prior = kBinWidth / (3.14159265358979323846 * kPriorScale * (1 + u * u));
  const double p = (seen / weight_ + kPriorMass * prior) / (total_ / weight_ + kPriorMass);
  const double z = (x - centre_) / scale_;
  return {p, p / (kBinWidth * scale_ * std::sqrt(1 + z * z)), bin};
}

void AdaptiveHistogram::add(double x, std::uint32_t bin, double resolution) {
  if (!ready()) {
    // Before a scale is known the counts' own room holds the first values, halved exactly into two floats each.
    const float high = static_cast<float>(std::clamp(x, -kLargestKept, kLargestKept));
    counts_[2 * seen_] = high;
    counts_[2 * seen_ + 1] = static_cast<float>(std::clamp(x - high, -kLargestKept, kLargestKept));
  } else {
    weight_ *= 1 + kFading;
    counts_[bin] += static_cast<float>(weight_);
    total_ += weight_;
    rescale(counts_, total_, weight_);
  }
  if (seen_ < std::numeric_limits<std::uint32_t>::max()) ++seen_;
  if (seen_ >= nextFit_ && seen_ < std::numeric_limits<std::uint32_t>::max()) {
    fit(resolution);
    nextFit_ = seen_ < kFitEvery ? 2 * seen_ : std::max(seen_, seen_ + kFitEvery);
  }
}

void AdaptiveHistogram::fit(double resolution) {
  struct Item {
    double x;
    double count;
  };
  std::array<Item, kBins> items;
  std::size_t n = 0;
  if (!ready()) {
    for (; n < kFirstFit; ++n) items[n] = {static_cast<double>(counts_[2 * n]) + counts_[2 * n + 1], 1};
  } else {
    for (std::size_t b = 0; b < kBins; ++b) {
      if (counts_[b] > 0) items[n++] = {valueOf(static_cast<double>(b)), counts_[b]};
    }
  }
  const auto median = [&items, n](double total) {
    std::sort(items.begin(), items.begin() + n, [](const Item& a, const Item& b) { return a.x < b.x; });
    double below = 0;
    for (std::size_t i = 0; i < n; ++i) {
      below += items[i].count;
      if (below >= total / 2) return items[i].x;
    }
    return items[n - 1].x;
  };
  double total = 0;
  for (std::size_t i = 0; i < n; ++i) total += items[i].count;
  const double centre = centred_ ? 0 : std::clamp(median(total), -2 * kLargestValue, 2 * kLargestValue);
  double mean = 0;
  const std::array<Item, kBins> values = items;
  for (std::size_t i = 0; i < n; ++i) {
    items[i].x = std::fabs(items[i].x - centre);
    mean += items[i].x * items[i].count / total;
  }
  // If most distances are zero, the scale is a hundredth of their mean; if all are, it is the stream's resolution.
  const double scale = std::min(std::max({median(total), 0.01 * mean, resolution}), 2 * kLargestValue);
  if (!ready()) {
    centre_ = centre;
    scale_ = scale;
    counts_ = {};
    for (std::size_t i = 0; i < n; ++i) counts_[binOf(values[i].x, centre, scale)] += 1;
    total_ = static_cast<double>(n);
    return;
  }
  // Each move blurs the counts by up to a bin, so once there is much to blur, only a worthwhile move is made.
  if (seen_ > kSettled && scale < 1.5 * scale_ && 1.5 * scale > scale_ && std::fabs(centre - centre_) < 0.5 * scale_) return;
  counts_ = {};
  for (std::size_t i = 0; i < n; ++i) counts_[binOf(values[i].x, centre, scale)] += static_cast<float>(values[i].count);
  centre_ = centre;
  scale_ = scale;
}

double AdaptiveHistogram::quantile(double q) const {
  if (!ready()) return kNan;
  double below = 0;
  for (std::size_t b = 0; b < kBins; ++b) {
    const double next = below + counts_[b];
    if (counts_[b] > 0 && next >= q * total_) {
      return valueOf(static_cast<double>(b) - 0.5 + (q * total_ - below) / counts_[b]);
    }
    below = next;
  }
  return valueOf(kBins - 0.5);
}

double AdaptiveHistogram::edge(double q) const {
  const double x = quantile(q);
  return centred_ && std::fabs(x) < kBinWidth * scale_ ? 0 : x;
}

double AdaptiveHistogram::below(double x) const {
  const std::uint32_t bin = binOf(x, centre_, scale_);
  double sum = counts_[bin] / 2;
  for (std::size_t b = 0; b < bin; ++b) sum += counts_[b];
  return sum / total_;
}

bool AdaptiveHistogram::valid() const {
  if (!(scale_ == 0 || scale_ >= kLeastResolution) || !bounded(scale_) || !bounded(centre_)) return false;
  if (!ready()) {
    return seen_ < kFirstFit && nextFit_ == kFirstFit && total_ == 0 && weight_ == 1 &&
           std::all_of(counts_.begin(), counts_.end(), [](float c) { return within(c, kLargestKept); });
  }
  return seen_ >= kFirstFit && nextFit_ > kFirstFit && total_ > 0 && validCounts(counts_, total_, weight_);
}

// --- SurpriseCalibrator ---

bool SurpriseCalibrator::ready() const { return total_ / weight_ >= kCalibratorMinimum; }

double SurpriseCalibrator::rarity(double s) const {
  if (!ready()) return 0;
  const double position = std::clamp((s - kLowestSurprise) / kSurpriseBin, 0.0, kBins - 1e-9);
  const auto bin = static_cast<std::size_t>(position);
  // The tail is the highest bins that together hold at most kTailShare, but at least one value.
  double tail = 0;
  double moment = 0;
  std::size_t k = highest_ + 1;
  while (k > 0 && (tail == 0 || tail + counts_[k - 1] <= kTailShare * total_)) {
    --k;
    tail += counts_[k];
    moment += counts_[k] * ((k + 0.5) * kSurpriseBin + kLowestSurprise);
  }
  const double n = total_ / weight_ + 1;
  if (bin >= k) {
    const double start = k * kSurpriseBin + kLowestSurprise;
    const double excess =
        ((moment - tail * start) / weight_ + kTailPrior * kTailPriorWeight) / (tail / weight_ + kTailPriorWeight);
    return -portableLog2((tail / weight_ + 1) / n) + std::max(0.0, s - start) / (excess * kLn2);
  }
  double above = tail;
  for (std::size_t b = bin + 1; b < k; ++b) above += counts_[b];
  above += counts_[bin] * (1 - (position - static_cast<double>(bin)));
  return std::max(0.0, -portableLog2((above / weight_ + 1) / n));
}

void SurpriseCalibrator::add(double s) {
  const double position = std::clamp((s - kLowestSurprise) / kSurpriseBin, 0.0, kBins - 1.0);
  const auto bin = static_cast<std::uint32_t>(position);
  weight_ *= 1 + kFading;
  counts_[bin] += static_cast<float>(weight_);
  highest_ = std::max(highest_, bin);
  total_ += weight_;
  rescale(counts_, total_, weight_);
}

bool SurpriseCalibrator::valid() const {
  return highest_ < kBins &&
         std::all_of(
             counts_.begin() + highest_ + 1, counts_.end(), [](float c) { return c == 0; }) &&
         validCounts(counts_, total_, weight_);
}

// --- ValueModel ---

template <std::size_t Phases, std::uint32_t PhaseSeconds>
void ValueModel::Season<Phases, PhaseSeconds>::add(std::uint64_t seconds, double value, double offset) {
  const std::uint64_t phase = seconds / PhaseSeconds;
  if (phase != current && count > 0) {
    // A visit is over, or time ran backwards; its mean is learned in either case.
    const std::size_t i = current % Phases;
    if (visits[i] < 255) ++visits[i];
    const double visitMean = std::clamp(sum / count - offset, -kLargestKept, kLargestKept);
    mean[i] += static_cast<float>((visitMean - mean[i]) * std::max(kSeasonRate, 1.0 / visits[i]));
    sum = 0;
    count = 0;
  }
  current = phase;
  if (count < std::numeric_limits<std::uint32_t>::max()) {
    sum += value;
    ++count;
  }
}

ValueModel::ValueModel()
    : histograms_{AdaptiveHistogram(true), AdaptiveHistogram(false), AdaptiveHistogram(false), AdaptiveHistogram(true),
                  AdaptiveHistogram(true), AdaptiveHistogram(true),  AdaptiveHistogram(false)} {
  trust_.fill(1.0 / trust_.size());
}

std::array<ValueModel::Cycle, 3> ValueModel::cycles(std::uint64_t seconds) const {
  const auto cycle = [&](const auto& season) {
    const bool known = seconds > 0 && season.knows(seconds);
    return Cycle{known, known ? season.usual(seconds, offset_) : 0};
  };
  return {cycle(hour_), cycle(day_), cycle(week_)};
}

double ValueModel::usualPeak() const {
  return std::sqrt((peakMass_ + kBlockPriorWeight * kBlockPrior * kBlockPrior) / (peakBlocks_ + kBlockPriorWeight));
}

double ValueModel::similar(const Peak& peak, std::uint64_t seconds) const {
  double sum = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(peakCount_, kRememberedPeaks); ++i) {
    double squares = 0;
    for (std::size_t k = 0; k < peak.size(); ++k) {
      const AdaptiveHistogram& h = histograms_[at(kPeakViews[k])];
      if (!h.ready()) continue;
      const double d = (h.position(peak[k]) - h.position(peaks_[i][k])) / kLikeness;
      squares += d * d;
    }
    const double age = seconds > peakTimes_[i] ? static_cast<double>(seconds - peakTimes_[i]) / kForgotten : 0;
    sum += portableExp(-squares - age);
  }
  return sum;
}

bool ValueModel::goesOn(double from, double to) const {
  const double centre = histograms_[at(ValueView::Level)].centre();
  return (from - centre) * (to - centre) > 0 && 2 * std::fabs(to - centre) >= std::fabs(from - centre);
}

void ValueModel::judge(ValueResult& result, const Peak& peak, std::uint64_t seconds, bool gap, bool mean) {
  result.excessBits = result.rarityBits - result.usualBits;
  double worth = std::max(0.0, result.excessBits);
  if (worth > 0) {
    // Novelty has half a count against the episodes of this kind, as in the estimator of Krichevsky and Trofimov.
    result.similar = similar(peak, seconds);
    worth *= 0.5 / (0.5 + result.similar);
  }
  const double wakeLevel = std::max(0.0, envelope_ - envelopeStep_);
  const bool rises = worth > wakeLevel;
  if (rises) {
    envelope_ = worth;
    envelopeStep_ = worth / kWake;
    peaks_[peakCount_ % kRememberedPeaks] = peak;
    peakTimes_[peakCount_ % kRememberedPeaks] = seconds;
    // The count stays within the ring's second turn, so that it never overflows.
    peakCount_ = peakCount_ + 1 < 2 * kRememberedPeaks ? peakCount_ + 1 : static_cast<std::uint32_t>(kRememberedPeaks);
  } else {
    envelope_ = wakeLevel;
    worth = worth / (1 + worth);
  }
  result.score = result.lesson = worth;
  // A few values do not show how often single ones lie far out.
  const double trust = std::min(1.0, std::sqrt(static_cast<double>(seen_) / kTrusted)), x = peak[0];
  const double single = std::exchange(single_, 0);
  if (rises && trust < 1 && !gap && !goesOn(x, last_)) {
    single_ = worth;
    result.score = mean ? 0 : trust * worth;
    result.lesson = 0;
  }
  if (single > 0 && goesOn(last_, x)) result.score = result.lesson = std::max(result.score, single);
  else result.lesson = std::max(result.lesson, trust * single);
}

ValueResult ValueModel::observe(std::uint64_t timeUnixNano, double value, bool gap, bool mean) {
  ValueResult result;
  result.learning = seen_ < kLearningPoints;
  result.progress = std::min(1.0, static_cast<double>(seen_) / kLearningPoints);
  if (!std::isfinite(value)) return result;
  result.scored = true;
  const double x = std::clamp(value, -kLargestValue, kLargestValue);
  const std::uint64_t seconds = timeUnixNano / 1'000'000'000;
  if (seen_ == 0) offset_ = last_ = mean16_ = mean64_ = x;

  // Compute the views of this value. The means include it: they are what a smoothed chart would show now.
  const double n = static_cast<double>(seen_) + 1;
  mean16_ += (x - mean16_) * std::max(1.0 / 16, 1 / n);
  mean64_ += (x - mean64_) * std::max(1.0 / 64, 1 / n);
  const auto cycle = cycles(seconds);
  std::array<double, kValueViews> view{};
  std::array<bool, kValueViews> seen{};
  const auto look = [&](ValueView v, bool there, double what) {
    seen[at(v)] = there;
    view[at(v)] = there ? what : 0;
  };
  look(ValueView::Step, seen_ > 0 && !gap, x - last_);
  look(ValueView::Mean16, seen_ > 16, mean16_);
  look(ValueView::Mean64, seen_ > 16, mean64_);
  look(ValueView::Hour, cycle[0].known, x - cycle[0].usual);
  look(ValueView::Day, cycle[1].known, x - cycle[1].usual);
  look(ValueView::Week, cycle[2].known, x - cycle[2].usual);
  look(ValueView::Level, true, x);

  // Compute the code length of each view under its histogram, and of the value under the mixture of all its models.
  std::array<AdaptiveHistogram::Estimate, kValueViews> estimate{};
  std::array<double, kValueViews> bits{};
  std::array<bool, kValueViews> coded{};
  for (std::size_t i = 0; i < kValueViews; ++i) {
    coded[i] = seen[i] && histograms_[i].ready();
    if (!coded[i]) continue;
    estimate[i] = histograms_[i].estimate(view[i]);
    bits[i] = -portableLog2(estimate[i].probability);
  }
  double mixed = 0;
  double trusted = 0;
  for (std::size_t m = 0; m < trust_.size(); ++m) {
    if (!coded[at(kModels[m])]) continue;
    mixed += trust_[m] * estimate[at(kModels[m])].density;
    trusted += trust_[m];
  }
  coded[at(ValueView::Level)] = coded[at(ValueView::Level)] && mixed > 0;
  if (coded[at(ValueView::Level)]) {
    bits[at(ValueView::Level)] = -portableLog2(mixed / trusted * histograms_[at(ValueView::Level)].scale());
    result.surpriseBits = bits[at(ValueView::Level)];
  }

  // Compute the rarity per view and over all: a sum as if every view were present.
  double sum = 0;
  std::size_t judges = 0;
  for (std::size_t i = 0; i < kValueViews; ++i) {
    if (!coded[i] || !calibrators_[i].ready()) continue;
    const double r = std::min(kMostRarity, calibrators_[i].rarity(bits[i]));
    result.viewBits[i] = static_cast<float>(r);
    sum += r;
    ++judges;
  }
  result.rarityBits = judges > 0 ? sum * kValueViews / static_cast<double>(judges) : 0;
  result.usualBits = usualPeak();

  if (!result.learning) {
    judge(result, {x, view[at(ValueView::Step)], mean16_, mean64_}, seconds, gap, mean);
    if (result.score > 0) result.deviation = explain(result, view, coded, x);
  }

  // Learn. Differences below a thousandth of the stream's spread, or a millionth of its level, are not distinguished.
  const AdaptiveHistogram& level = histograms_[at(ValueView::Level)];
  const double resolution = std::max({kLeastResolution, 1e-6 * std::fabs(x), 1e-3 * level.scale()});
  if (!result.learning) {
    blockPeak_ = std::max(blockPeak_, result.rarityBits);
    if (++blockCount_ >= kBlock) {
      const double peak = std::min(blockPeak_, kBlockLimit * result.usualBits);
      peakMass_ = peakMass_ * (1 - kBlockFading) + peak * peak;
      peakBlocks_ = peakBlocks_ * (1 - kBlockFading) + 1;
      blockPeak_ = 0;
      blockCount_ = 0;
    }
  }
  for (std::size_t i = 0; i < kValueViews; ++i) {
    if (seen[i]) histograms_[i].add(view[i], estimate[i].bin, resolution);
    if (coded[i]) calibrators_[i].add(bits[i]);
  }
  if (mixed > 0) {
    double all = 0;
    for (std::size_t m = 0; m < trust_.size(); ++m) {
      if (coded[at(kModels[m])]) trust_[m] *= estimate[at(kModels[m])].density * (trusted / mixed);
      all += trust_[m];
    }
    for (double& t : trust_) t = (1 - kShare) * t / all + kShare / static_cast<double>(trust_.size());
  }
  if (seconds > 0) {
    hour_.add(seconds, x, offset_);
    day_.add(seconds, x, offset_);
    week_.add(seconds, x, offset_);
  }
  last_ = x;
  ++seen_;
  return result;
}

std::optional<ValueDeviation> ValueModel::explain(const ValueResult& result, const std::array<double, kValueViews>& view,
                                                  const std::array<bool, kValueViews>& coded, double x) const {
  constexpr double kBeyond = 0.005;
  std::array<ValueView, kValueViews> order{};
  std::size_t n = 0;
  for (std::size_t i = 0; i < kValueViews; ++i) {
    if (!coded[i]) continue;
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(n++);
    const auto place = std::find_if(order.begin(), end, [&](ValueView v) { return result.viewBits[i] > result.viewBits[at(v)]; });
    std::move_backward(place, end, end + 1);
    *place = static_cast<ValueView>(i);
  }
  for (const bool between : {false, true}) {
    for (std::size_t i = 0; i < n; ++i) {
      ValueView v = order[i];
      // The level is coded by the mixture, in which the model with the greatest weight speaks for all.
      if (v == ValueView::Level) {
        std::size_t best = 0;
        for (std::size_t m = 1; m < trust_.size(); ++m) {
          if (coded[at(kModels[m])] && trust_[m] > trust_[best]) best = m;
        }
        v = kModels[best];
      }
      const AdaptiveHistogram& past = histograms_[at(v)];
      const bool season = v == ValueView::Hour || v == ValueView::Day || v == ValueView::Week;
      const double base = season ? x - view[at(v)] : 0;
      const double share = between ? past.below(view[at(v)]) : 0;
      const ValueDeviation found{.view = v,
                                 .observed = base + view[at(v)],
                                 .low = base + past.edge(between ? share - kBeyond : kBeyond),
                                 .high = base + past.edge(between ? share + kBeyond : 1 - kBeyond),
                                 .between = between};
      const bool outside = found.observed < found.low || found.observed > found.high;
      // A gap is worth a sentence only if it is wide by the measure of the past.
      const bool gap = found.low < found.observed && found.observed < found.high && found.high - found.low > past.scale();
      if (between ? gap : outside) return found;
    }
  }
  return {};
}

void ValueModel::snapshot(std::vector<std::uint8_t>& out) const {
  out.push_back(kSnapshotVersion);
  Writer writer{out};
  visit(*this, writer);
}

bool ValueModel::restore(Bytes snapshot) {
  StateReader in(snapshot);
  if (in.get<std::uint8_t>() != kSnapshotVersion) return false;
  ValueModel next;
  Reader reader{in};
  visit(next, reader);
  if (!in.done() || !next.valid()) return false;
  *this = next;
  return true;
}

bool ValueModel::valid() const {
  for (const auto& h : histograms_) {
    if (!h.valid()) return false;
  }
  for (const auto& c : calibrators_) {
    if (!c.valid()) return false;
  }
  const auto sound = [](const auto& season) {
    return std::isfinite(season.sum) &&
           std::all_of(season.mean.begin(), season.mean.end(), [](float m) { return within(m, 2 * kLargestKept); });
  };
  if (!sound(hour_) || !sound(day_) || !sound(week_)) return false;
  for (const double t : trust_) {
    if (!(t > 0 && t <= 1)) return false;
  }
  if (!within(offset_, kLargestValue) || !within(last_, kLargestValue) || !bounded(mean16_) || !bounded(mean64_)) return false;
  for (const double bits : {blockPeak_, envelope_, envelopeStep_, single_}) {
    if (!(bits >= 0 && bits <= kMostBits)) return false;
  }
  // Their squares and their number fade by a tenth per block.
  if (!(peakMass_ >= 0 && peakMass_ <= 2 * kMostBits * kMostBits / kBlockFading)) return false;
  if (!(peakBlocks_ >= 0 && peakBlocks_ <= 2 / kBlockFading)) return false;
  for (const Peak& peak : peaks_) {
    if (!std::all_of(peak.begin(), peak.end(), bounded)) return false;
  }
  return blockCount_ < kBlock && peakCount_ < 2 * kRememberedPeaks;
}

}  // namespace driftlock
