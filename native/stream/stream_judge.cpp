#include "stream/stream.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace driftlock {
namespace {

/// How far beyond all that a young stream has shown counts as strange: n scores show p-values down to about 1 / n by rank.
constexpr double kFarOut = 16;

/// Scores that more than one in ten exceeds count as p = 1; where that lies is asked again every so many scores.
constexpr double kUsualChance = 0.1;
constexpr std::uint64_t kUsualEvery = 4096;

}  // namespace

void Stream::judge(Verdict& verdict) {
  pardoned_ = false;
  const bool open = anomaly_.occurrences > 0;
  std::array<double, channelCount> p;
  // Channels that have no say on this unit count as well, so that the units of all share one budget.
  p.fill(1);
  double least = std::numeric_limits<double>::infinity();
  std::size_t n = 0;
  for (Say& say : says_) {
    const auto channel = static_cast<std::size_t>(say.channel);
    // Most scores are usual, and how usual they are does not matter: asking is dear.
    const bool usual = !calibrations_[channel] || say.score <= marks_[channel].usual || (say.reported && !open);
    if (!usual) say.pValue = calibrations_[channel]->p_value(say.score);
    p[n++] = say.pValue;
    // Units differ, so what counts is how far each is beyond the limit of its own.
    const double beyond = usual ? least : say.pValue / strangeEnough(say.channel);
    if (say.score <= 0 || (verdict.channel != Channel::None && beyond >= least)) continue;
    least = beyond;
    verdict.channel = say.channel;
    verdict.channelScore = say.score;
    verdict.bits = say.bits;
    verdict.usualBits = say.usualBits;
  }
  if (!std::isfinite(least)) return;
  verdict.pValue = combine_p_values({p.data(), std::max(n, channels())});
  const double limit = strangeEnough(verdict.channel);
  if (verdict.pValue <= limit && pardon(verdict)) return;
  decide(verdict, limit);
}

Verdict Stream::judgeUnit() {
  Verdict verdict{.learning = learning()};
  if (verdict.learning) return verdict;
  verdict.score = comparable(says_.front().channel, says_.front().score);
  judge(verdict);
  hops_.back().include(verdict);
  return verdict;
}

void Stream::decide(Verdict& verdict, double limit) {
  verdict.margin = limit / verdict.pValue;
  verdict.alarm = budget_.judge(verdict.pValue, limit, anomaly_.occurrences > 0);
  verdict.flagged = verdict.alarm == Alarm::raised || verdict.alarm == Alarm::related;
}

bool Stream::pardon(const Verdict& verdict) {
  Pardon& pardon = pardons_[static_cast<std::size_t>(verdict.channel)];
  if (pardon.left == 0 || verdict.channelScore > pardon.score) return false;
  --pardon.left;
  return pardoned_ = true;
}

std::size_t Stream::channels() const {
  return static_cast<std::size_t>(std::ranges::count_if(calibrations_, [](const auto& calibration) { return calibration != nullptr; }));
}

double Stream::strangeEnough(Channel channel) const {
  const auto& calibration = calibrations_[static_cast<std::size_t>(channel)];
  if (!calibration) return 0;
  // The budget counts records; of a channel's units there are fewer, sessions or ticks, and each may cost as much more.
  const double units = static_cast<double>(std::max<std::uint64_t>(1, calibration->learnt()));
  const double records = static_cast<double>(seen_ - std::min<std::uint64_t>(seen_, settings_.baselineRecords / 2));
  double limit = budget_.limit() * std::max(1.0, records / units);
  // A young stream cannot show p-values as small as a busy stream's budget asks for. What lies far beyond all that it has
  // shown is strange enough all the same; the budget's bank still limits how many alarms that makes.
  limit = std::max(limit, static_cast<double>(channels()) / (kFarOut * units));
  return std::min(limit, std::max(budget_.limit(), kLargestLimit));
}

void Stream::learnScores(const Verdict& verdict) {
  for (const Say& say : says_) {
    if (!say.whole) continue;
    auto& calibration = calibrations_[static_cast<std::size_t>(say.channel)];
    Marks& marks = marks_[static_cast<std::size_t>(say.channel)];
    if (!calibration) calibration = std::make_unique<Calibration>(channelUnits[static_cast<std::size_t>(say.channel)]);
    // What another channel was flagged for says nothing against this one's score. A session that ends well after it went
    // astray was judged when it did.
    Alarm judged = say.channel == verdict.channel ? verdict.alarm : Alarm::none;
    if (judged == Alarm::none && say.lesson > std::max(say.score, marks.strange)) judged = Alarm::raised;
    calibration->learn(say.lesson, judged, strangeEnough(say.channel));
    if (const std::uint64_t n = calibration->learnt(); std::has_single_bit(n) || n % kUsualEvery == 0) {
      marks.usual = std::max(0.0, calibration->limit(kUsualChance));
    }
  }
}

SequenceChannel::Lesson Stream::lesson(const SequenceVerdict& sequence, const Verdict& verdict) const {
  using Lesson = SequenceChannel::Lesson;
  if (verdict.learning) return Lesson::Learn;
  const Marks& marks = marks_[static_cast<std::size_t>(Channel::Sequence)];
  if (!pardoned_ && (verdict.flagged || sequence.score > marks.strange)) return Lesson::Strange;
  return sequence.score > marks.usual ? Lesson::Learn : Lesson::Known;
}

bool Stream::strange(Channel channel) const {
  return std::any_of(says_.begin(), says_.end(), [&](const Say& say) {
    return say.channel == channel && say.score > marks_[static_cast<std::size_t>(channel)].strange;
  });
}

void Stream::markStrange() {
  markedAt_ = clock_.now();
  for (std::size_t c = 0; c < channelCount; ++c) {
    if (calibrations_[c]) marks_[c].strange = std::max(channelUnits[c], calibrations_[c]->limit(kStrangeChance));
  }
}

double Stream::comparable(Channel channel, double score) const {
  // The value channel's own score is calibrated already.
  if (channel == Channel::Value && value_) return score;
  const double strange = marks_[static_cast<std::size_t>(channel)].strange;
  return score / (std::isfinite(strange) ? strange : channelUnits[static_cast<std::size_t>(channel)]);
}

bool Stream::settled() const {
  return anomaly_.occurrences > 0 && clock_.eventAt(clock_.now()) >= anomaly_.startUnixNano + settings_.acceptAfterNanos;
}

double Stream::limit(Channel channel) const {
  const auto& calibration = calibrations_[static_cast<std::size_t>(channel)];
  return calibration ? calibration->limit(strangeEnough(channel)) : std::numeric_limits<double>::infinity();
}

}  // namespace driftlock
