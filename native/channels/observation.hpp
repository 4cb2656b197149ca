#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.hpp"
#include "channels/channel_id.hpp"
#include "channels/content/content_score.hpp"
#include "record/point_sequence.hpp"
#include "record/record.hpp"

namespace driftlock {

/// What was observed beside what is usual, of a score that is about a number.
struct Deviation {
  enum class Of : std::uint8_t {
    /// A value or a duration, in the unit in which people see it.
    Value,
    /// A share of values or records.
    Share,
    /// A number of records.
    Records,
  };
  Of of = Of::Value;
  double observed = 0;
  /// The usual range.
  double low = 0, high = 0;
};

/// The score of one channel on a unit: a record, or what ends between records, such as a tick or a session.
struct Score {
  ChannelId channel = ChannelId::None;
  /// Higher is stranger, in the channel's own unit.
  double score = 0;
  /// The cost of the unit and the usual cost of units, in bits.
  double bits = 0, usualBits = 0;
  /// What calibration learns from the unit: the score, or the largest score of a session.
  double lesson = score;
  /// Whether calibration learns from it. It does not learn from part of a unit, such as an unfinished session, or from
  /// novelty seen before.
  bool whole = true;
  /// Novelty that was reported, and has not been absent for long since, or no finding at all: no reason for an alarm.
  bool reported = false;
  /// The score is due to earlier records of the unit, such as a session, and this one adds nothing to it.
  bool stands = false;
  /// The score counts while the stream is learning, because the channel knows by itself when it has seen enough.
  bool early = false;
  /// Whether the score is already comparable with those of other channels.
  bool calibrated = false;
  /// The unit's contribution to its window, if that is not the score in the measure of all channels.
  std::optional<double> inWindow{};
  /// Set if the score is about a number, and the observation is `measured` if it is about a record.
  std::optional<Deviation> deviation{};
  /// The distance from the stream's slow mean in standard deviations, if the channel knows it; otherwise a resource group
  /// goes by the p-value.
  std::optional<double> fromSlowMean{};
  /// Greater than 0 if values have stayed away from what is usual for so long that it counts, and for longer than when that was
  /// last said: in bits of rarity.
  double lasting = 0;
  double pValue = 1;

  /// Whether the score may flag its unit. Otherwise a policy leaves it out, and its channel learns the unit as usual.
  bool admitted = true;

  /// Leaves the score out of the verdict.
  void leaveOut() { admitted = false, inWindow = 0; }
};

/// The scores of a record, one per channel at most, in the order of channels.
class Scores {
 public:
  Score& add(const Score& score) { return scores_[size_++] = score; }
  void clear() { size_ = 0; }
  Score* begin() { return scores_.data(); }
  Score* end() { return scores_.data() + size_; }
  std::span<Score> all() { return {scores_.data(), size_}; }

 private:
  std::array<Score, kChannelCount> scores_;
  std::size_t size_ = 0;
};

/// The largest id of a template.
inline constexpr std::uint32_t kLargestTemplateId = 0xFFFFFFFD;

/// The id of a template by its hash, as channels that count and order templates know it.
inline std::uint32_t templateId(std::uint64_t templateHash) {
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(templateHash & 0xffffffff, kLargestTemplateId));
}

/// A record on its way through the channels of its stream. It is reused from record to record.
struct Observation {
  RecordView record;
  /// The record's bytes in the request.
  Bytes raw;
  /// The number of the request, which no other request has while the engine runs.
  std::uint64_t request = 0;
  /// Whether the stream's window has the record already: see Stream::observeAgain.
  bool inWindow = false;

  // These are set by the stream.
  /// The number of records that the stream has seen before.
  std::uint64_t seen = 0;
  /// The stream's clock and the latest event time that it believes, in nanoseconds, and whether it believes the record's time.
  std::uint64_t now = 0, latest = 0;
  bool believed = false;
  /// The hash of the record's session; 0 if it is in none.
  std::uint64_t session = 0;
  /// Whether a judged silence of the stream ends with this record.
  bool resumed = false;
  /// Whether records before this one were missed (Stream::interrupt).
  bool interrupted = false;
  /// Whether scores need their deviations, because the stream's policy depends on them.
  bool measured = false;
  Scores scores;
  /// How strange the record is by itself, in the measure that all channels share; set when it is judged.
  double strangeness = 0;

  /// Set by the content channel, which is the first: the hashes of the record's fields and its template, and what is new in it.
  ContentScore content;
  /// Set by the value channel, which comes before that of shapes: what a metric point adds.
  PointPart part;

  std::uint32_t id() const { return templateId(content.templateHash); }
  /// The stream's clock in seconds.
  std::uint32_t seconds() const { return static_cast<std::uint32_t>(now / 1'000'000'000); }
};

}  // namespace driftlock
