#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "channels/alarm_budget.hpp"
#include "channels/calibration.hpp"
#include "channels/channel_id.hpp"
#include "otlp/reader.hpp"

namespace driftlock {

/// The strangest unit of one stream in a tick of its group.
struct Member {
  /// The hashes of the stream and of its family.
  std::uint64_t stream = 0, family = 0;
  ChannelId channel = ChannelId::None;
  /// How far it is from what is usual: in standard deviations for a value, in bits of rarity for others.
  double distance = 0;
  double score = 0, pValue = 1;
  std::uint64_t timeUnixNano = 0;
};

/// A tick in which the streams of a group were strange together, which a budget may have withheld.
struct StrangeTick {
  /// The sum of the members' distances, its usual value, and the sum from which a tick is strange enough.
  double score = 0, usual = 0, limit = 0;
  double pValue = 1;
  /// How many times rarer it is than it must be to be strange enough.
  double margin = 0;
  /// See Verdict::early.
  double early = 0;
  Alarm alarm = Alarm::None;
  /// The members, the furthest from usual first.
  std::vector<Member> members{};
  /// The stream with a recent anomaly of its own, which the tick is part of; 0 if there is none.
  std::uint64_t owner = 0;
  /// The snapshot of the group from before the tick was judged, if the group records.
  std::vector<std::uint8_t> before{};
};

/// What the streams of one resource group share: a clock, a budget of alarms, and a judge of what they show together.
///
/// The judge may use the whole budget. The channels of the streams divide it: the judge and each signal stand for equal
/// parts, and the part of a signal is divided among all channels of all its streams, whose limits on p-values are reduced
/// accordingly. So a group with many streams raises no more false alarms than a group with one. In the same way, the
/// groups of a tenant divide the budget that one of them alone would have. All alarms of a group come from one bank, which
/// is not divided.
///
/// The judge adds up how far the furthest streams are from what is usual in a tick of one minute, and calibrates the sum
/// on the group's own past: streams that always move together are thus no news.
class Group {
 public:
  /// The most that a member counts for, and the most members that count.
  static constexpr double kMostDistance = 20;
  static constexpr std::size_t kMostMembers = 8;

  /// @param perStream the alarms per day for which a stream computes its own limits
  /// @param perGroup the alarms per day of all streams of the group; 0 for as many as a stream
  /// @param stepNanos the time from record to record where records carry none
  /// @param records whether strange ticks keep what they were judged from
  Group(double perStream, double perGroup, std::uint64_t stepNanos = StreamClock::kStep, bool records = false);

  /// Notes a record of the group by its event time, which may end a tick.
  /// @param first whether it is its stream's first of a request
  void observe(std::uint64_t timeUnixNano, bool first);
  /// Notes that records were missed.
  void interrupt() { clock_.interrupt(); }
  std::uint64_t now() const { return clock_.now(); }
  /// These give a recording its state from before a verdict.
  const StreamClock& clock() const { return clock_; }
  bool interrupted() const { return clock_.interrupted(); }
  const AlarmBudget& budget() const { return budget_; }
  void swap(StreamClock& clock) { std::swap(clock_, clock); }
  void swap(AlarmBudget& budget) { std::swap(budget_, budget); }
  std::uint64_t latest() const { return clock_.latest(); }

  /// The number of the tenant's groups that share what the budget of one leaves to chance, this one included.
  std::uint32_t groups() const { return groups_; }
  void setGroups(std::uint32_t groups) { groups_ = groups; }
  /// Counts streams that are held, and channels that judge streams of this signal. `enter` returns the number of the family's
  /// streams, which stays where it is until the last of them exits.
  const std::size_t& enter(std::uint64_t family);
  void exit(std::uint64_t family);
  void join(otlp::Signal signal, std::size_t channels) { change(channels_[static_cast<std::size_t>(signal)], channels); }
  void leave(otlp::Signal signal, std::size_t channels) { change(channels_[static_cast<std::size_t>(signal)], -channels); }
  /// What the streams of the group have in common beside its state: the number of channels that judge each signal, and whether
  /// there are several families.
  struct Share {
    std::array<std::size_t, 3> channels{};
    bool compares = false;
  };
  Share share() const { return {channels_, compares()}; }
  /// Counts the streams that a restored group had beside the only one that it has now, which is of this family. Returns false if
  /// they are too few.
  bool accompany(const Share& share, std::uint64_t family);
  /// The share that a stream with so many channels has of its own limit on p-values.
  double share(otlp::Signal signal, std::size_t channels) const {
    return std::min(1.0, static_cast<double>(channels) * shares_[static_cast<std::size_t>(signal)]);
  }

  /// Asks the budget about a unit of a stream that is strange enough and new.
  /// @param ahead the nanoseconds that have passed since the last record
  /// @param weight see AlarmBudget::judge
  Alarm judge(double p, double limit, std::uint64_t ahead, double weight);
  /// Notes that a stream has an anomaly of its own.
  void flagged(std::uint64_t stream) { flaggedBy_ = stream, flaggedAt_ = clock_.now(); }

  /// Whether streams can be strange together: replicas are no company.
  bool compares() const { return families_.size() > 1; }
  /// Notes a unit of a stream in the current tick. Of the replicas in a family, the furthest from usual counts.
  void note(const Member& member);
  /// Judges the current tick as far as it is known.
  void settle() { judgeTick(); }
  /// Returns the tick that was strange enough since the last call, if there was one.
  std::optional<StrangeTick> take() { return std::exchange(strange_, std::nullopt); }
  /// Whether an anomaly of the group itself is open, which the flags of its streams belong to.
  bool open() const { return open_; }
  void setOpen(bool open) { open_ = open; }
  /// Learns that ticks like one with this score are usual, because a person said so.
  void accept(double score);

  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const { return members_.capacity() * sizeof(Member) + (calibration_ ? calibration_->memory() : 0); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a group, whose streams enter and join by themselves. Returns false if the bytes are not a snapshot of one;
  /// the group is then unusable.
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kSignals = 3;

  void change(std::size_t& count, std::size_t by);
  void divide();
  /// How far the members of the tick are from what is usual, together.
  double distance() const;
  /// The largest p-value of a strange tick. `early`: see Verdict::early.
  double limit(bool early) const;
  void judgeTick();

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);

  double ratio_;
  bool records_;
  StreamClock clock_;
  AlarmBudget budget_;
  /// The number of streams in each family.
  std::unordered_map<std::uint64_t, std::size_t> families_;
  std::uint32_t groups_ = 1;
  std::array<std::size_t, kSignals> channels_{};
  /// The share of a channel of each signal.
  std::array<double, kSignals> shares_{};

  /// The number of the tick, its members, and what was decided about it.
  std::uint64_t tick_ = 0;
  std::vector<Member> members_;
  Alarm alarm_ = Alarm::None;
  std::unique_ptr<Calibration> calibration_;
  std::optional<StrangeTick> strange_;
  bool open_ = false;
  /// The stream that was flagged last, and when.
  std::uint64_t flaggedBy_ = 0, flaggedAt_ = 0;
};

}  // namespace driftlock
