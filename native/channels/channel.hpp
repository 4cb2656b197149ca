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
#include "record/stream_key.hpp"

namespace driftlock {

/// What the verdict on a unit means for one channel.
struct Outcome {
  /// The stream is not judged yet: everything is a model of what is normal.
  bool learning = false;
  /// The unit was flagged, and this channel is to blame.
  bool flagged = false, blamed = false;
  /// A person accepted units like this one: it is to be learned, strange or not.
  bool pardoned = false;
  /// Likewise of a `Lapsing` unit, whether it needed the pardon or not.
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
  /// Scores are being gathered: in the second half of learning, and ever after.
  virtual bool calibrating() const = 0;
  /// The open anomaly has lasted for so long that what it shows counts as normal.
  virtual bool settled() const = 0;
  /// Says how strange the stream is here, for the verdict of the window: a single unit, or a mix of many by its bits.
  virtual void notice(ChannelId channel, double strangeness) = 0;
  virtual void noticeMix(ChannelId channel, double bits) = 0;

  /// How a unit that is no record is judged.
  enum class Unit : std::uint8_t {
    /// It belongs to the records that the stream's budget has counted already.
    Plain,
    /// The budget counts it like a record.
    Counted,
    /// A pardon lapses with each unit, needed or not, and what is pardoned is no lesson for calibration.
    Lapsing,
  };
  /// Judges a unit that ended, and learns its score.
  virtual Outcome judge(const Score& score, Unit unit = Unit::Plain) = 0;
  /// True if a unit that was flagged now would be reported, not only counted.
  virtual bool reportsNext() const = 0;
  /// Adds the unit that was judged last to what is flagged. `at`: when it ended by the stream's clock, if that is known.
  /// Without a finding the channel is asked for it when the unit is described.
  virtual void raise(std::optional<std::uint64_t> at, std::unique_ptr<Finding> finding) = 0;

  virtual Texts texts() const = 0;
  /// The latest records.
  virtual const Window& latest() const = 0;

 protected:
  ~Host() = default;
};

/// What a channel is made from. The references live as long as the stream.
struct ChannelContext {
  const StreamKey& key;
  const KeyedHash& hash;
  std::uint32_t dictionarySize, windowHop;
  std::uint64_t acceptAfterNanos;
};

/// One way to look at a stream. README.md says how to add one.
///
/// For each record the stream calls `observe`, judges the scores of all channels together, and calls `learn` and `expire`.
class Channel {
 public:
  virtual ~Channel() = default;

  /// Looks at a record before it is judged. Adds the channel's score to `record.scores`, if it has one.
  virtual void observe(Observation& record) = 0;
  /// Learns from the record, or refuses to, now that its verdict is known. Judges a tick or block that it completes.
  virtual void learn(Observation& record, const Outcome& outcome, Host& host) = 0;
  /// Judges what ended in the meantime, such as sessions, once the record is counted.
  virtual void expire(const Observation&, Host&) {}
  /// The stream has learned its baseline: from now on it is judged.
  virtual void learned() {}

  /// What it found in a record that was flagged, or in the unit of `raise`, which is about no record (null).
  virtual std::unique_ptr<Finding> find(const Observation* record) const = 0;
  /// Adds to the evidence of an anomaly what it takes to learn what the record showed, should a person accept it.
  virtual void remember(const Observation&, Evidence&) const {}
  /// A person accepts what an anomaly showed. True if the channel has learned it; otherwise the units to come that are
  /// like those of the anomaly are pardoned.
  virtual bool accept(const Evidence&) { return false; }
  /// The baseline's text, of the one channel that has it: see Texts::known.
  virtual Bytes text() const { return {}; }

  /// Bytes that the channel takes.
  virtual std::size_t memory() const = 0;
  /// Appends the channel's state. Called between records.
  virtual void snapshot(std::vector<std::uint8_t>& out) const = 0;
  /// Takes over a state; of a fresh channel. False if the bytes are no such state; the channel is of no use then.
  virtual bool restore(Bytes in) = 0;
};

/// Channels by ChannelId; null if the stream has no such channel.
using Channels = std::array<std::unique_ptr<Channel>, kChannelCount>;

Channels makeChannels(const ChannelContext& context);

/// Each channel's folder defines its own; null for streams that have no such channel.
#define CHANNEL(id, name, number, unit) std::unique_ptr<Channel> make##id##Channel(const ChannelContext& context);
#include "channels/registry.def"
#undef CHANNEL

}  // namespace driftlock
