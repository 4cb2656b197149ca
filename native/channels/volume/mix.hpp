#pragma once

// The mix of templates in a window compares the count of each with those in the windows before.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/volume/volume.hpp"

namespace driftlock {

/// Learns which templates make up a stream, by blocks of records, and finds bursts, drops and silences of a template if
/// the records carry no times, or if the mix matters and not the number.
///
/// A template of which m are usual, with dispersion f, deviates by (k log2(k/m) - (k - m)/ln 2) / f bits when k come
/// (quasi-Poisson, as for VolumeModel). f is shrunk towards the stream's own: templates come in runs, so that counts
/// vary far more than by chance, and the few remembered blocks do not show by how much. One that is absent for g blocks
/// is worth m g / (f ln 2) bits, up to three blocks or three usual records; from then on it counts less and less. Rates
/// follow the latest 32 blocks. The 63 busiest templates are tracked.
///
/// A block that was an anomaly may be the first of a lasting change. It is therefore held back until the next one. If the counts
/// of that have a shorter code given the held block than given the past, the change lasts: the held block is learnt before
/// the next is judged. Otherwise it is forgotten.
class TemplateMix {
 public:
  /// @param records the number of records in a block, at least 1
  explicit TemplateMix(std::uint32_t records) : block_(records > 0 ? records : 1) {}

  /// Counts a record, and returns the block that it completes, if any. `start` and `end` are record numbers, from 0.
  std::optional<VolumeTick> count(std::uint32_t id) {
    add(id);
    return end();
  }
  /// The two steps of `count`.
  void add(std::uint32_t id);
  std::optional<VolumeTick> end();
  /// Whether `end` completes a block.
  bool ends() const { return open_ + 1 == block_; }
  /// Marks the block that `count` returned last as an anomaly, so that it is learnt only if the next one is like it. Must be
  /// called before the next `count`.
  void reject() { rejected_ = true; }

  static constexpr std::size_t bytes() { return sizeof(TemplateMix); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a mix with such blocks.
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kEntries = 63;

  struct Entry {
    std::uint32_t id = 0;
    std::uint32_t count = 0;     // records in the open block, until that is learnt
    std::uint32_t held = 0;      // records in the block that is held back
    std::uint32_t absent = 0;    // blocks since the last record
    float sum = 0, squares = 0;  // sums over counts, with forgetting

    /// The number of recent records.
    float weight() const { return sum + static_cast<float>(count); }

    template <class Self, class Visitor>
    static void visit(Self& e, Visitor& v) {
      v(e.id), v(e.count), v(e.held), v(e.absent), v(e.sum), v(e.squares);
    }
  };

  std::optional<std::size_t> entry(std::uint32_t id);
  /// Reuses an entry for another template.
  std::size_t replace(std::size_t at, std::uint32_t id);
  double pooled() const;
  /// The usual number of records in a block, and its variance over its mean.
  double usual(const Entry& e) const { return (e.sum + 0.5) / (blocks_ + 1); }
  double dispersion(const Entry& e) const;
  VolumeFinding judge(const Entry& e) const;
  /// Judges the block that has ended by what was learnt.
  VolumeTick judge() const;
  /// Whether the held block predicts the block that has ended better than the past does.
  bool lasts() const;
  VolumeTick close();
  /// Makes room for the next block: the last one is learnt, or held back if it was rejected.
  void settle();
  void learn(std::uint32_t Entry::* counts);

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.seen_), v(self.open_), v(self.rejected_), v(self.holds_), v(self.blocks_), v(self.dispersion_), v(self.weight_);
  }

  std::uint32_t block_;
  std::uint64_t seen_ = 0;
  std::uint32_t open_ = 0;  // records of the open block
  bool rejected_ = false;   // the block that has ended is an anomaly
  bool holds_ = false;      // a block is held back
  float blocks_ = 0;        // blocks learnt, with forgetting
  float dispersion_ = 0, weight_ = 0;
  std::size_t used_ = 0;
  std::array<Entry, kEntries> entries_{};
  // These are not part of the state; they only speed up the search:
  std::array<std::uint8_t, kEntries> tags_{};
  std::array<float, kEntries> weights_{};  // the weights of the entries, valid if `weighed_`
  bool weighed_ = false;
  bool crowded_ = false;  // no entry makes room, until one of them or the block changes
};

}  // namespace driftlock
