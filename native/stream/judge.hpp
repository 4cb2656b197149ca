#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"
#include "channels/alarm_budget.hpp"
#include "channels/calibration.hpp"
#include "channels/channel.hpp"
#include "group/group.hpp"
#include "stream/settings.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// Turns the scores of a stream's channels into verdicts: each score becomes a p-value by the channel's own past, the
/// p-values of a unit become one, and the budgets of the stream and of its resource group decide what is flagged.
class Judge {
 public:
  /// The probability of strange scores. Units whose scores only one in a hundred exceeds are not learned by the models
  /// of orders and durations, alarm or not: if it learns from everything, anomalies included, the sequence channel has
  /// an AUC of .87 instead of .9997 on OpenStack. The mark is set when learning ends and then as often as novelty may
  /// become normal, so that a flood of anomalies does not move it. It is also the measure that makes the scores of
  /// channels comparable.
  static constexpr double kStrangeChance = 0.01;
  /// The largest p-value of an anomaly, however little is known.
  static constexpr double kLargestLimit = 0.01;

  Judge(const Settings& settings, const StreamKey& key, Group& group)
      : settings_(settings),
        key_(key),
        group_(group),
        replicas_(group.enter(key.family)),
        budget_(settings.alarmsPerStreamPerDay, key.signal == otlp::Signal::Metrics) {}
  Judge(const Judge&) = delete;
  Judge& operator=(const Judge&) = delete;
  ~Judge() {
    group_.leave(key_.signal, channels_);
    group_.exit(key_.family);
  }

  /// The number of records so far.
  std::uint64_t seen() const { return seen_; }
  bool learning() const { return learning_; }
  /// Whether scores are learned: from about half of the time of learning on.
  bool calibrating() const { return calibrating_; }
  /// How much of its learning is done at this time of the stream's clock; 1 is all.
  double progress(std::uint64_t now) const;

  /// Counts a unit of the stream in its budget, at this time of the stream's clock. `guessed`: see AlarmBudget::observe.
  void count(std::uint64_t now, bool guessed = false) {
    if (settings_.recordings) before().count = budget_;
    budget_.observe(now, guessed);
  }
  /// Counts a judged record. Returns true if learning ends with it.
  bool advance(std::uint64_t now);

  /// Judges a unit, once learning is over. `open`: whether an anomaly of the stream is open. `record`: null if it is none.
  void judge(std::span<Score> scores, bool open, const RecordView* record, Verdict& verdict);
  /// The channel's score that is strange enough by itself; infinite if there is none yet.
  double limit(ChannelId channel) const {
    const auto& calibration = calibrations_[indexOf(channel)];
    return calibration ? calibration->limit(strangeEnough(channel)) : std::numeric_limits<double>::infinity();
  }
  /// The score from which a unit that was not strange enough would have been, everything else being equal.
  double limit(const Verdict& verdict) const {
    const double own = calibrations_[indexOf(verdict.channel)]->pValue(verdict.channelScore);
    return limitBeside(verdict, own, channels_, strangeEnough(verdict.channel));
  }
  /// Asks the budgets about a unit, which is strange enough if its p-value is at most `limit`.
  /// @param ahead the nanoseconds that have passed since the last record
  void decide(Verdict& verdict, double limit, bool open, Gravity gravity = Gravity::Normal, std::uint64_t ahead = 0);
  /// Asks the budgets about an alarm of its own for a verdict that belonged to an open anomaly; false if they do not allow it.
  bool affords(Verdict verdict, Gravity gravity) {
    const Withheld kept = withheld_;
    decide(verdict, verdict.pValue * verdict.margin, false, gravity);
    withheld_ = kept;
    return verdict.flagged;
  }
  /// Learns the scores of a unit from its verdict.
  void learn(std::span<const Score> scores, const Verdict& verdict);
  /// Returns what a verdict means for a channel, whose score is null if it has none on the unit. `pardoned`: see `pardoned()`.
  Outcome outcome(ChannelId channel, const Score* score, const Verdict& verdict, bool pardoned) const {
    const Marks& marks = marks_[indexOf(channel)];
    // While a policy leaves the score out, its channel learns whatever comes.
    return {.learning = verdict.learning || (score && !score->admitted),
            .exact = settings_.exactBaseline,
            .flagged = verdict.flagged,
            .blamed = verdict.flagged && verdict.channel == channel,
            .pardoned = pardoned,
            .strange = score && score->score > marks.strange,
            .usual = !score || score->score <= marks.usual};
  }

  /// Returns the score in the measure that all channels share.
  double strangeness(const Score& score) const {
    if (!score.admitted) return 0;
    if (score.calibrated) return score.score;
    const double strange = marks_[indexOf(score.channel)].strange;
    return score.score / (std::isfinite(strange) ? strange : infoOf(score.channel).unit);
  }
  /// Pardons units of the channel up to this score for a while, because a person accepted one: they pass and are learned.
  void pardon(ChannelId channel, double score);
  bool pardons(ChannelId channel) const { return pardonsLeft_[indexOf(channel)] > 0; }
  /// Uses up one pardon of the channel.
  void lapse(ChannelId channel) { --pardonsLeft_[indexOf(channel)]; }
  /// Whether the last verdict let its unit pass because of a pardon.
  bool pardoned() const { return pardoned_; }
  /// Learns that scores like this one are usual, because a person said so.
  void accept(ChannelId channel, double score);

  /// Goes on as the judge of another instance's stream.
  void succeed() { withheld_ = {}; }

  /// Gives the stream a budget of its own, in alarms per day, beside that of its resource group; 0 takes it back.
  void setBudget(double perDay);
  const AlarmBudget& budget() const { return budget_; }
  /// The number of resource groups that share what the stream's budget leaves to chance.
  double groups() const { return ownBudget_ ? 1 : static_cast<double>(group_.groups()); }
  /// The number of verdicts that the budgets of the stream and of its group have withheld.
  std::uint64_t withheld() const { return budget_.withheld() + withheldByGroup_; }
  std::uint64_t withheldByGroup() const { return withheldByGroup_; }

  /// Exchanges the budgets with those from before the last decision, or with them back. `counted`: from before the unit was
  /// counted.
  void exchange(bool counted);

  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const;
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh judge. Returns false if the bytes are not a snapshot of one; the judge is then unusable.
  bool restore(Bytes in);

 private:
  /// The scores of a channel that were reached with a probability of 10 % recently, and of 1 % when the mark was set.
  struct Marks {
    double usual = 0;
    double strange = std::numeric_limits<double>::infinity();
  };

  /// Tells the group how far the unit is from what is usual.
  void note(const Score& score);
  bool pardon(const Verdict& verdict);
  /// The score of a unit's channel from which the unit is strange enough, given its p-value and the channel's own.
  double limitBeside(const Verdict& verdict, double own, std::size_t channels, double limit) const;
  void markStrange(std::uint64_t now);
  void markStrange(ChannelId channel);
  /// The p-value up to which the channel's units are strange enough. `early`: see Verdict::early.
  double strangeEnough(ChannelId channel, bool early = true) const;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v);

  const Settings& settings_;
  const StreamKey& key_;
  Group& group_;
  /// The number of streams in the family.
  const std::size_t& replicas_;
  std::uint64_t seen_ = 0;
  bool learning_ = true, calibrating_ = false;
  /// The stream's clock at the first record, and the number of records before scores were learned.
  std::uint64_t begunAt_ = 0, uncalibrated_ = 0;
  std::array<std::unique_ptr<Calibration>, kChannelCount> calibrations_;
  /// The number of channels that judge the stream.
  std::size_t channels_ = 0;
  std::array<Marks, kChannelCount> marks_{};
  std::uint64_t markedAt_ = 0;
  /// How many units of each channel may pass, and the highest score among them.
  std::array<std::uint32_t, kChannelCount> pardonsLeft_{};
  std::array<double, kChannelCount> highestPardoned_{};
  AlarmBudget budget_;
  /// Whether the budget is the stream's own, so that the group's does not count.
  bool ownBudget_ = false;
  std::uint64_t withheldByGroup_ = 0;
  Withheld withheld_;
  bool pardoned_ = false;
  /// The budget from before the last unit was counted, and what the last decision has changed, if verdicts are recorded. It is in
  /// the thread's memory: one stream is judged at a time.
  struct Before {
    AlarmBudget count{1}, budget{1}, group{1};
    Withheld withheld{};
  };
  static Before& before() {
    thread_local Before before;
    return before;
  }
};

}  // namespace driftlock
