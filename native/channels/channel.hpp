#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/window.hpp"
#include "channels/channel_id.hpp"
#include "channels/evidence.hpp"
#include "channels/finding.hpp"
#include "channels/observation.hpp"
#include "channels/policy.hpp"
#include "privacy/policy.hpp"
#include "record/stream_key.hpp"

namespace driftlock {

/// What the verdict on a unit means for one channel.
struct Outcome {
  /// The stream is not judged yet, or a policy leaves the score out, so everything counts as normal.
  bool learning = false;
  /// The number of records to learn from was stated, so that a model that is uncertain after them stays so.
  bool exact = false;
  /// The unit was flagged, and this channel is to blame.
  bool flagged = false, blamed = false;
  /// A person accepted units like this one, so it is learned whether strange or not.
  bool pardoned = false;
  /// A person accepted units like this `Lapsing` one, whether it needed the pardon or not.
  bool accepted = false;
  /// The channel's own score is beyond what one unit in a hundred exceeds, or within what nine in ten do not exceed.
  bool strange = false, usual = false;
  /// The channel's own score in the measure that all channels share.
  double strangeness = 0;
};

/// What a stream does for its channels while they learn from a record.
class Host {
 public:
  /// The stream is not judged yet.
  virtual bool learning() const = 0;
  /// Scores are being collected: from the second half of learning on.
  virtual bool calibrating() const = 0;
  /// The open anomaly has lasted for so long that what it shows counts as normal.
  virtual bool settled() const = 0;
  /// Notes how strange the stream is here, for the verdict on the window: a single unit, or a mix of many by its bits.
  virtual void notice(ChannelId channel, double strangeness) = 0;
  virtual void noticeMix(ChannelId channel, double bits) = 0;

  /// How a unit that is no record is judged.
  enum class Unit : std::uint8_t {
    /// It belongs to the records that the stream's budget has counted already.
    Plain,
    /// The budget counts it like a record.
    Counted,
    /// A pardon lapses with each unit, needed or not, and calibration does not learn from what is pardoned.
    Lapsing,
  };
  /// Judges a unit that has ended, and learns its score.
  virtual Outcome judge(const Score& score, Unit unit = Unit::Plain) = 0;
  /// Learns the score of a unit that has ended together with one that was judged because it is stranger.
  virtual void calibrate(const Score& score) = 0;
  /// Whether the last judged unit, if it is flagged, will be reported with a finding of this kind, not only counted.
  virtual bool reportsNext(std::uint64_t kind) const = 0;
  /// Whether verdicts are recorded, so that a channel keeps its state from before a unit until the unit is judged.
  virtual bool records() const = 0;
  /// Adds the last judged unit to what is flagged. `at` is when it ended by the stream's clock, if that is known. If
  /// there is no finding, the channel's `find` is called when the unit is described.
  virtual void raise(std::optional<std::uint64_t> at, std::unique_ptr<Finding> finding) = 0;

  virtual Texts texts() const = 0;
  /// The stream's latest records.
  virtual const Window& latest() const = 0;

 protected:
  ~Host() = default;
};

/// What a channel is made from. The references live as long as the stream.
struct ChannelContext {
  const StreamKey& key;
  const std::shared_ptr<const Policy>& policy;
  const KeyedHash& hash;
  const privacy::Policy& privacy;
  std::uint32_t dictionarySize, windowHop;
  std::uint64_t acceptAfterNanos;
  /// Whether verdicts are recorded, so that channels keep what `observe` changes until `learn`.
  bool records = false;
  /// Whether records are read with the texts of calls of language models.
  CallTexts callTexts = CallTexts::Read;
};

/// One way to look at a stream. README.md says how to add one.
///
/// For each record the stream calls `observe`, judges the scores of all channels together, and calls `learn` and `expire`.
class Channel {
 public:
  virtual ~Channel() = default;

  /// Looks at a record before it is judged. Adds the channel's score to `record.scores`, if it has one.
  virtual void observe(Observation& record) = 0;
  /// Learns from the record, or refuses to, now that its verdict is known. Judges a tick or block that the record completes.
  virtual void learn(Observation& record, const Outcome& outcome, Host& host) = 0;
  /// Judges what ended in the meantime, such as sessions, once the record is counted.
  virtual void expire(const Observation&, Host&) {}
  /// Judges again, at this time of the stream's clock, what was being judged when `snapshot` was called within Host::judge.
  virtual void judgeAgain(std::uint64_t /*now*/, Host&) {}
  /// Called when the stream has learned its baseline and is judged from now on.
  virtual void learned() {}
  /// Called when the stream goes on as that of another instance: what was learned stays, and what belongs to the instance, such
  /// as its last point, is dropped.
  virtual void succeed() {}

  /// Returns what the channel found in a flagged record, or in the unit passed to `raise`, which has no record (null).
  virtual std::unique_ptr<Finding> find(const Observation* record) const = 0;
  /// Distinguishes what the channel finds in a flagged record from its other findings: within an anomaly, another kind is news.
  virtual std::uint64_t kind(const Observation& record) const { return record.content.templateHash; }
  /// Adds to an anomaly's evidence what is needed to learn the record if a person accepts the anomaly.
  virtual void remember(const Observation&, Evidence&) const {}
  /// Learns what an anomaly showed, because a person accepted it. If the channel returns false, later units like those
  /// of the anomaly are pardoned instead.
  virtual bool accept(const Evidence&) { return false; }
  /// Returns the baseline's text if this is the channel that has it: see Texts::known.
  virtual Bytes text() const { return {}; }

  /// The memory that the channel uses, in bytes.
  virtual std::size_t memory() const = 0;
  /// Appends the channel's state. It is called between records; between `observe` and `learn`, to write the state from before
  /// `observe`; and within Host::judge, to write one from which `judgeAgain` judges the same.
  virtual void snapshot(std::vector<std::uint8_t>& out) const = 0;
  /// Restores the state of a fresh channel. Returns false if the bytes are not such a state; the channel is then unusable.
  virtual bool restore(Bytes in) = 0;
};

/// Channels by ChannelId; null if the stream has no such channel.
using Channels = std::array<std::unique_ptr<Channel>, kChannelCount>;

Channels makeChannels(const ChannelContext& context);

/// Make one channel each, defined in its folder; null for streams that have no such channel.
#define CHANNEL(id, name, number, unit, law) std::unique_ptr<Channel> make##id##Channel(const ChannelContext& context);
#include "channels/registry.def"
#undef CHANNEL

}  // namespace driftlock
