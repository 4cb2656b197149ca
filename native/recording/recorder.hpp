#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/common_clock.hpp"
#include "codec/codec.hpp"
#include "group/group.hpp"
#include "otlp/reader.hpp"
#include "recording/recording.hpp"
#include "report/group_state.hpp"
#include "report/report.hpp"
#include "stream/settings.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// Records what the verdicts depend on that begin anomalies, or are news in them, so that they can be computed again. It changes
/// no verdict.
class Recorder final : public Witness {
 public:
  /// @param packer packs states (zstd)
  Recorder(const Settings& settings, const Codec& packer) : settings_(settings), packer_(packer) {}

  /// Begins a request, of which a bounded number of verdicts is recorded.
  void begin() { left_ = kMost; }
  /// Begins a record or a silence. Returns the witness of its verdicts; null if none is recorded.
  Witness* witness() {
    kept_ = 0;
    return settings_.recordings && left_ > 0 ? this : nullptr;
  }
  void see(const Stream& stream, const Group& group, const Seen& seen) override;
  /// Keeps the state of a stream whose silence will be judged at this moment.
  void beforeSilence(const Stream& stream, const Group& group, const Moment& moment);

  /// Adds to a report that begins an anomaly, or is news in it, what its verdict depends on, or why that is not recorded. The
  /// measures of the window belong to the first report: those of later ones may be of some records before.
  /// @param index the request with the record that was judged last; null after a silence
  void record(const Stream& stream, const otlp::Index* index, std::uint32_t record, std::uint64_t arrival, Report& report);
  /// The same for the report that begins an anomaly of a group.
  /// @param state the group's snapshot from before its tick was judged
  void record(const GroupState& group, Bytes state, Report& report);

 private:
  /// The most recordings of a request in a shard.
  static constexpr std::uint32_t kMost = 8;

  /// What the verdict on a record depends on, or on what ended with it.
  struct Kept {
    std::vector<std::uint8_t> state;
    Group::Share share;
    /// The verdict; a silence has no other with it.
    double pValue = 1, score = 0;
    bool first = false, resumed = false;
    ChannelId channel = ChannelId::None, unit = ChannelId::None;
    std::uint64_t now = 0;
    Moment moment;
  };
  /// Returns a place for another state; null if there is none.
  Kept* keep(const Stream& stream, const Group& group);
  /// Adds the recording to the report if the report is computed again from it. Returns false if it is not.
  bool add(const Recording& recording, Bytes state, Report& report) const;
  /// Gives a recording what the privacy policy finds in its texts and cannot be found again: what is masked, what patterns of
  /// users find, and what allow-lists permit.
  /// @param received the request as it was received
  void give(Recording& recording, std::vector<std::uint8_t> received, const privacy::Scope& scope) const;

  const Settings& settings_;
  const Codec& packer_;
  std::uint32_t left_ = 0;
  /// What was seen since `witness`. The memory is used again.
  std::array<Kept, 3> all_;
  std::size_t kept_ = 0;
};

}  // namespace driftlock
