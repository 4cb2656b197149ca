#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// The views of a metric that the value channel encodes, each against its own past.
enum class ValueView : std::uint8_t {
  Step,    ///< change since the last value
  Mean16,  ///< mean of about the last 16 values
  Mean64,  ///< mean of about the last 64 values
  Hour,    ///< distance from the usual value at this minute of the hour
  Day,     ///< distance from the usual value at this time of the day
  Week,    ///< distance from the usual value at this hour of the week
  Level,   ///< the value itself, under the mixture of all models of it
};
inline constexpr std::size_t kValueViews = 7;

/// A histogram that finds its own scale. Bins are even in asinh((x - centre) / scale): linear in the bulk, logarithmic
/// in the tails, so that neither units nor heavy tails need a setting. Its density is smoothed over three distances,
/// so the code of an unseen value lengthens with the distance to the seen ones.
class AdaptiveHistogram {
 public:
  static constexpr std::size_t kBins = 128;

  /// The probability of the bin of x, and where that bin is (for add).
  struct Estimate {
    double probability;
    double density;  ///< per unit of x
    std::uint32_t bin;
  };

  /// Makes a histogram of distances, which have their centre at zero, or of levels, which have it at their median.
  explicit AdaptiveHistogram(bool centredAtZero) : centred_(centredAtZero) {}

  bool ready() const { return scale_ > 0; }
  double centre() const { return centre_; }
  double scale() const { return scale_; }
  /// The position of x on the axis of the bins: asinh((x - centre) / scale).
  double position(double x) const;
  Estimate estimate(double x) const;
  /// Adds x, whose bin `estimate` has found. `resolution`: the smallest useful scale.
  void add(double x, std::uint32_t bin, double resolution);

  /// The value below which the share q of the (decayed) past lies; NaN before ready().
  double quantile(double q) const;
  /// The same for people: distances that the bins do not tell from zero are zero.
  double edge(double q) const;
  /// The share of the past that lies below x, without half of what lies in its bin.
  double below(double x) const;

  /// Passes the whole state to v, for snapshots.
  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.counts_), v(self.total_), v(self.weight_), v(self.centre_), v(self.scale_), v(self.seen_), v(self.nextFit_);
  }
  bool valid() const;

 private:
  static std::uint32_t binOf(double x, double centre, double scale);
  double valueOf(double bin) const;
  void fit(double resolution);

  std::array<float, kBins> counts_{};
  double total_ = 0;
  double weight_ = 1;  ///< weight of the next count: it grows, so that old counts fade without being touched
  double centre_ = 0;
  double scale_ = 0;
  std::uint32_t seen_ = 0;
  std::uint32_t nextFit_ = 16;
  bool centred_;
};

/// Turns a code length into the bits of its rarity, -log2 P(S >= s), by its own past: by rank within the past, by an
/// exponential tail beyond it.
class SurpriseCalibrator {
 public:
  static constexpr std::size_t kBins = 128;

  bool ready() const;
  /// The rarity in bits, at least 0; 0 before ready().
  double rarity(double surpriseBits) const;
  void add(double surpriseBits);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.counts_), v(self.total_), v(self.weight_), v(self.highest_);
  }
  bool valid() const;

 private:
  std::array<float, kBins> counts_{};
  double total_ = 0;
  double weight_ = 1;
  std::uint32_t highest_ = 0;  ///< no bin above was ever hit
};

/// What is unusual about a value, in terms of one view.
struct ValueDeviation {
  ValueView view = ValueView::Level;
  /// What was observed: a level, a change or a mean.
  double observed = 0;
  /// The usual range, which does not include it: the 0.5 % and 99.5 % quantiles of the past. Or, if `between`, the range
  /// about it in which hardly any values lie.
  double low = 0, high = 0;
  bool between = false;
};

/// The result for one value. All numbers come from the past alone: the value is scored before it is learned.
struct ValueResult {
  bool scored = false;      ///< false for NaN and infinities, which change nothing
  bool learning = true;     ///< too little past: score and excess are 0
  double progress = 0;      ///< progress of learning, 0..1
  double surpriseBits = 0;  ///< code length of the value at the resolution of the stream's spread
  double rarityBits = 0;    ///< rarity over all views, summed
  double usualBits = 0;     ///< rarity of the strangest value of a usual stretch of the stream
  double excessBits = 0;    ///< rarityBits - usualBits
  double similar = 0;       ///< past episodes like this one; each makes it less of a novelty
  double score = 0;         ///< the novel excess, at a new peak of an episode; below 1 in its wake
  double lesson = 0;        ///< what is to be learned about scores: that of a single value when the next one is known
  /// The rarest view that can explain the score; none if all are usual by themselves, and only their sum is not.
  std::optional<ValueDeviation> deviation{};
  std::array<float, kValueViews> viewBits{};  ///< rarity per view
};

/// The value channel scores the strangeness of a number in a stream of numbers (a metric, a latency, a numeric
/// attribute) by code length. It works online, in bounded memory (less than 16 KiB) and without settings.
/// docs/algorithms/value.md derives it.
class ValueModel {
 public:
  /// The number of values before any is scored; until then there are too few ranks.
  static constexpr std::uint32_t kLearningPoints = 64;
  static constexpr std::size_t kRememberedPeaks = 16;

  ValueModel();

  /// Scores a value, then learns it. Times place a value in the hour, day and week (UTC); 0 is "unknown".
  /// @param gap whether values are missing before this one, so that the change since the last one says nothing
  /// @param mean whether the value is the mean of others, one of which may be all that moves it
  ValueResult observe(std::uint64_t timeUnixNano, double value, bool gap = false, bool mean = false);

  /// Appends the whole state, with the same bytes on every machine.
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a snapshot's state and continues as if never stopped. Returns false, and changes nothing, if the bytes
  /// are not a snapshot.
  bool restore(Bytes snapshot);

 private:
  /// The usual value at each phase of a cycle, learned once per visit.
  template <std::size_t Phases, std::uint32_t PhaseSeconds>
  struct Season {
    std::array<float, Phases> mean{};
    std::array<std::uint8_t, Phases> visits{};
    std::uint64_t current = 0;  ///< phases since the epoch
    double sum = 0;
    std::uint32_t count = 0;

    bool knows(std::uint64_t seconds) const { return visits[(seconds / PhaseSeconds) % Phases] > 0; }
    double usual(std::uint64_t seconds, double offset) const { return offset + mean[(seconds / PhaseSeconds) % Phases]; }
    void add(std::uint64_t seconds, double value, double offset);

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.mean), v(self.visits), v(self.current), v(self.sum), v(self.count);
    }
  };

  struct Cycle {
    bool known;
    double usual;
  };
  /// An episode's peak, as the values of four views.
  using Peak = std::array<double, 4>;

  std::array<Cycle, 3> cycles(std::uint64_t seconds) const;
  std::optional<ValueDeviation> explain(const ValueResult& result, const std::array<double, kValueViews>& view,
                                        const std::array<bool, kValueViews>& coded, double x) const;
  double similar(const Peak& peak, std::uint64_t seconds) const;
  /// Whether a value is on the same side of the usual level as another one, and at least half as far away.
  bool goesOn(double from, double to) const;
  void judge(ValueResult& result, const Peak& peak, std::uint64_t seconds, bool gap, bool mean);
  double usualPeak() const;
  bool valid() const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    for (auto& h : self.histograms_) AdaptiveHistogram::visit(h, v);
    for (auto& c : self.calibrators_) SurpriseCalibrator::visit(c, v);
    self.hour_.visit(self.hour_, v), self.day_.visit(self.day_, v), self.week_.visit(self.week_, v);
    v(self.seen_), v(self.offset_), v(self.last_), v(self.mean16_), v(self.mean64_), v(self.trust_);
    v(self.peakMass_), v(self.peakBlocks_), v(self.blockPeak_), v(self.blockCount_);
    v(self.envelope_), v(self.envelopeStep_), v(self.single_), v(self.peaks_), v(self.peakTimes_), v(self.peakCount_);
  }

  std::array<AdaptiveHistogram, kValueViews> histograms_;
  std::array<SurpriseCalibrator, kValueViews> calibrators_;
  Season<60, 60> hour_;
  Season<288, 300> day_;
  Season<168, 3600> week_;
  std::uint64_t seen_ = 0;
  double offset_ = 0;  ///< the first value: seasons are stored as floats around it
  double last_ = 0, mean16_ = 0, mean64_ = 0;
  std::array<double, 5> trust_;  ///< posterior weights of the models of the level
  double peakMass_ = 0;          ///< sum of the squares of the blocks' peaks, and their number, both fading
  double peakBlocks_ = 0;
  double blockPeak_ = 0;
  std::uint32_t blockCount_ = 0;
  double envelope_ = 0;  ///< what a value must exceed to be a new peak, and how fast it falls
  double envelopeStep_ = 0;
  double single_ = 0;  ///< what the last value is worth if the next one goes on like it
  /// A ring, and the event times of its episodes in seconds; 0 if unknown.
  std::array<Peak, kRememberedPeaks> peaks_{};
  std::array<std::uint64_t, kRememberedPeaks> peakTimes_{};
  std::uint32_t peakCount_ = 0;
};

}  // namespace driftlock
