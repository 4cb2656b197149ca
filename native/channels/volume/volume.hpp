#pragma once

// The volume channel compares the number of records, in all and of each template, with the stream's own past.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/recurrence.hpp"
#include "channels/volume/season.hpp"

namespace driftlock {

enum class VolumeKind : std::uint8_t { None, Burst, Drop, Silence };

/// What a tick's counts show.
struct VolumeFinding {
  VolumeKind kind = VolumeKind::None;
  /// Whether it concerns all records of the stream; `id` is then meaningless.
  bool total = false;
  std::uint32_t id = 0;
  /// The number of records in the tick.
  std::uint32_t count = 0;
  /// The usual number of records in such a tick, and its usual range in whole records (two standard deviations): in a tick, or
  /// for a silence in all of its time. `count` lies outside of it.
  double expected = 0, low = 0, high = 0;
  /// The length of the tick, or for a silence the time since the last record, in clock units.
  std::uint64_t lasted = 0;
  /// The evidence against the usual, in bits.
  double bits = 0;
};

/// A tick that has ended.
struct VolumeTick {
  /// The tick covers [start, end), in clock units.
  std::uint64_t start = 0, end = 0;
  std::uint32_t records = 0;
  /// The bits of the strangest finding less log2 of the number of counts examined. Higher is stranger.
  double score = 0;
  VolumeFinding strangest{};
};

/// Finds bursts, drops and silences, in all and of up to 39 templates, from counts per tick and gaps between records.
/// If there are more templates, the busiest are tracked.
///
/// Ticks double until four records are usual in one, up to 256 times their shortest length, and halve when more than 64 are: two
/// records in ten seconds are no burst where one in ten minutes is usual. What is known is carried over.
///
/// The clock is the caller's, such as nanoseconds of event time. Only the clock ends ticks, so that a replay gives the
/// same verdicts. For records without times, see TemplateMix.
///
/// A count k, with m usual and dispersion f (variance over mean, at least 1, shrunk towards the stream's own), deviates
/// by (k log2(k/m) - (k - m)/ln 2) / f bits: the quasi-Poisson log-likelihood ratio (P. McCullagh, J. A. Nelder,
/// Generalized linear models, 1989). A burst must also be rare among the template's own non-zero counts: by a Dirichlet
/// predictive over half-octaves, whose base is geometric with a share of the stream's pooled counts. The score is the
/// smaller of the two, plus half of the rise of Page's CUSUM over the gaps between records, which detects runs that a
/// tick's count hides. A silence is worth the bits of so long a gap by the rate, or by how rarely the template was
/// silent for so long, whichever is less; it becomes less novel with time, and in the end the template counts as gone.
///
/// A burst has at least ten records, and more than is usual; a drop has fewer than is usual; and a silence lacks at least three
/// records. Expected counts follow the hour of the day or the week once that has proved useful (VolumeSeason). A burst that
/// recurs each hour, day or week at the same time is usual (Recurrence).
class VolumeModel {
 public:
  /// @param tick the shortest length of a tick in clock units, at least 1
  explicit VolumeModel(std::uint64_t tick, std::uint64_t unitsPerDay);

  /// Moves the clock to `time`; a time before the current tick counts as the tick's start. Returns the tick that this
  /// ended, if any: the strangest of several.
  std::optional<VolumeTick> advance(std::uint64_t time);
  /// Whether `advance` to this time ends a tick.
  bool ends(std::uint64_t time) const { return started_ && time >= start_ && time - start_ >= tick_; }
  /// Counts a record at this time. Call `advance` first.
  void count(std::uint64_t time, std::uint32_t id);
  /// Marks the tick that `advance` returned last as an anomaly, so that its counts are not learnt. Must be called
  /// before the next `advance`, which otherwise learns them.
  void reject();

  /// Notes that records before `time` were missed: the open tick is dropped, the next full one is the first that is judged,
  /// and silences begin here.
  void interrupt(std::uint64_t time);

  /// The number of ticks learnt, with forgetting: at most 4,096. Nothing is judged before 4.
  double ticks() const { return ticks_; }
  /// Whether expected counts follow the hour of the day or of the week.
  bool seasonal() const { return season_.believed(); }
  /// The length of a tick in clock units.
  std::uint64_t tick() const { return tick_; }
  /// The memory in bytes, which grows with the number of templates.
  std::size_t memory() const { return sizeof *this + entries_.capacity() * sizeof(Entry); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a channel with this tick.
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kEntries = 40, kEntriesAtOnce = 4;
  static constexpr std::size_t kCountBuckets = 24;
  static constexpr std::size_t kGapBuckets = 24;
  static constexpr std::size_t kSilenceBuckets = 24;

  struct Entry {
    std::uint64_t last = 0;  // 1 + time of the latest record
    std::uint32_t id = 0;
    std::uint32_t count = 0;              // records in the open tick
    std::uint32_t previous = 0;           // records in the tick that ended last, until it is learnt
    float sum = 0, squares = 0;           // sums over counts per tick, with forgetting
    std::uint32_t silent = 0;             // learnt ticks without a record, up to now
    float run = 0, before = 0, peak = 0;  // CUSUM over gaps: now, when the tick began, its largest value since
    float gapSum = 0, gapSquares = 0;     // sums over gaps in ticks, with forgetting by halving
    std::uint16_t positive = 0, gaps = 0;
    std::array<std::uint16_t, kCountBuckets> counts{};  // non-zero counts per tick
    std::array<std::uint16_t, kGapBuckets> gapCounts{};
    std::array<std::uint16_t, kSilenceBuckets> silences{};  // past silences, by length in ticks

    /// The number of recent records.
    float weight() const { return sum + static_cast<float>(previous) + static_cast<float>(count); }
  };
  struct Usual {
    double mean, dispersion;
  };

  std::size_t entry(std::uint32_t id);
  std::size_t lightest();
  void observeGap(Entry& e, std::uint64_t gap);
  Usual usual(const Entry& e, double season) const;
  VolumeFinding judge(const Entry& e, std::uint64_t end, double season) const;
  double burstBits(const Entry& e, const Usual& expect, double season) const;
  double silenceBits(const Entry& e, std::uint64_t gap, const Usual& expect) const;
  static void prolong(VolumeFinding& silence, std::uint64_t by);
  bool gone(const Entry& e, std::uint64_t gap) const;
  VolumeTick close();
  void suit();
  void lengthen();
  void shorten();
  void learn();
  void learnEmpty(std::uint64_t ticks);

  std::uint64_t shortest_, tick_;
  std::uint64_t unitsPerDay_;
  std::uint64_t start_ = 0;  // start of the open tick
  bool started_ = false;
  bool pending_ = false;  // a tick has ended and is not learnt
  bool partial_ = false;  // records of the open tick were missed
  double ticks_ = 0;
  double dispersionSum_ = 0, dispersionWeight_ = 0;
  double pooledSum_ = 0;
  std::uint32_t pooled_ = 0;
  std::array<std::uint32_t, kCountBuckets> pooledCounts_{};
  VolumeSeason season_;
  Recurrence recurrence_;
  std::uint64_t pendingStart_ = 0;
  std::vector<Entry> entries_;  // the first is the total
  // These are not part of the state; they only speed up the search:
  std::array<std::uint8_t, 64> hints_{};  // where a template was found last
  std::array<std::uint8_t, kEntries> tags_{};
  std::array<float, kEntries> weights_{};  // the weights of the entries, valid if `weighed_`
  bool weighed_ = false;
};

}  // namespace driftlock
