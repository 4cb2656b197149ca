#include <algorithm>

#include "base/portable_math.hpp"
#include "stream/stream.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kDayNanos = 86'400'000'000'000;

/// The share that silences of the whole stream may have of what the budget allows to be flagged by chance. Their limit
/// is recomputed after a number of gaps.
constexpr double kSilenceShare = 0.25;
/// The largest probability of a silence that is reported.
constexpr double kLargestChance = 0.001;
constexpr std::uint64_t kSilenceEvery = 16;
/// How far beyond everything that a young stream has shown a silence must be.
constexpr double kFarOut = 16;

/// The multiple of its limit from which a silence counts as at least 128 times rarer, whatever ranks can show: the
/// stream is gone, and its budget may be overdrawn for that.
constexpr std::uint64_t kGone = 4;
constexpr double kGoneMargin = 128;

/// A silence of the whole stream, with its length and the number of records that are usual in that time.
class SilenceFinding final : public Finding {
 public:
  SilenceFinding(std::uint64_t nanos, double expected) : seconds_(static_cast<double>(nanos) / 1e9), expected_(expected) {}

  /// A silent stream is as grave as an error.
  Gravity gravity() const override { return Gravity::Error; }

  void describe(const Texts&, Description& out) const override {
    out.field = "count";
    out.sentence = "No records for " + text::duration(seconds_) + "; usually one every " +
                   text::duration(seconds_ / std::max(expected_, 1e-9));
  }

 private:
  double seconds_, expected_;
};

}  // namespace

bool Stream::judgesSilence() const {
  // The calls that derived records are of have streams of their own.
  return key_.derived == Derived::None && policy_->judge && policy_->allows(Silence::kChannel) &&
         policy_->direction != Policy::Direction::Up;
}

std::uint64_t Stream::silentAt() const {
  if (!judgesSilence() || learning() || silence_.isJudged() || silentAfter_ == 0 || silence_.heard().now == 0) return 0;
  return silence_.when(std::max(silentAfter_, silentAgain_));
}

void Stream::touch(const Moment& moment, std::vector<Event>& events) {
  if (moment.now == silence_.heard().now) return;
  resumed_ = silence_.isJudged();
  silentAgain_ = 0;
  if (resumed_ && anomalies_.open() && anomalies_.latest().silence > 0) {
    anomalies_.latest().silence = Silence::octaves(silence_.counted(moment));
    if (anomaly().occurrences == 1) {
      anomalies_.extend(anomaly().startUnixNano + silence_.shown(moment));
      endAnomaly(Ending::Resumed, events);
    }
  }
  if (silence_.hear(moment) && silence_.learnt() % kSilenceEvery == 0) silentAfter_ = silence_.after(silenceChance());
}

void Stream::elapse(const Moment& moment, std::vector<Event>& events) {
  const double limit = silenceChance();
  silentAfter_ = silence_.after(limit);
  if (silentAt() == 0 || silentAt() > moment.now) return;
  const std::uint64_t lasted = silence_.lasting(moment), counted = silence_.counted(moment), now = clock_.now() + lasted;
  // An anomaly that was open before the silence has been quiet for long, although no record shows it.
  if (anomalies_.quiet(now)) endAnomaly(Ending::Quiet, events);
  Verdict verdict{.channel = Silence::kChannel, .silentFor = silence_.shown(moment)};
  verdict.pValue = std::min(limit, silence_.chance(counted));
  if (counted >= kGone * silentAfter_) verdict.pValue = std::min(verdict.pValue, limit / kGoneMargin);
  verdict.channelScore = verdict.bits = -portableLog2(verdict.pValue);
  verdict.score = verdict.bits / -portableLog2(Judge::kStrangeChance);
  verdict.limit = -portableLog2(limit);
  const double expected = judge_.budget().unitsPerDay() * static_cast<double>(verdict.silentFor) / static_cast<double>(kDayNanos);
  judge_.count(now);
  const bool enough = expected >= policy_->leastCount;
  if (enough) judge_.decide(verdict, limit, open(), Gravity::Normal, lasted);
  if (verdict.flagged) silence_.judged(moment);
  // The silence becomes stranger as it lasts.
  else silentAgain_ = 2 * counted;
  if (verdict.alarm == Alarm::None) return;
  Event& event = events.emplace_back();
  event.verdict = verdict;
  event.timeUnixNano = clock_.latest() == 0 ? moment.event : clock_.latest() + verdict.silentFor;
  event.finding = std::make_unique<SilenceFinding>(verdict.silentFor, expected);
}

double Stream::silenceChance() const {
  const double units = static_cast<double>(std::max<std::uint64_t>(1, silence_.learnt()));
  const double records = static_cast<double>(seen()) / units;
  const double limit = kSilenceShare * judge_.budget().limit() * std::max(1.0, records) / judge_.groups();
  // A young stream cannot show such probabilities; what lies far beyond all its gaps is strange enough.
  return std::min(kLargestChance, std::max(limit, 1 / (kFarOut * units)));
}

}  // namespace driftlock
