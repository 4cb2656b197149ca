#include "stream/judge.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "base/portable_math.hpp"

namespace driftlock {
namespace {

/// How far beyond everything that a young stream has shown a score is strange; n scores give p-values down to about 1/n
/// by rank.
constexpr double kFarOut = 4;

/// What a stream of records must have shown until it is judged, if that comes before the number of records that is
/// configured: so many records in so many seconds. A stream with few records a day is judged on the next day.
struct Enough {
  double records, seconds;
};
constexpr Enough kEnough[] = {{128, 300}, {32, 86'400}};
/// The same for the points of a metric, of which more are needed if they cover little time.
constexpr Enough kEnoughPoints[] = {{100, 300}, {192, 0}};

/// How many times graver than others a record is by what it states: normal, warning, error, fatal.
constexpr double kWeights[] = {1, 1, 10, 100};

/// The probability of usual scores: those that more than one in ten exceed count as p = 1. The score with this
/// probability is recomputed at intervals.
constexpr double kUsualChance = 0.1;
constexpr std::uint64_t kUsualEvery = 4096;

/// The number of scores up to which a channel marks strange scores anew whenever their number has doubled.
constexpr std::uint64_t kFewScores = 32;

/// The ticks of a resource group per day.
constexpr double kTicksPerDay = 1440;
/// The distance from the usual level, in standard deviations, from which the p-value of a value is of interest.
constexpr double kNoteworthy = 3;

/// std::has_single_bit of a number that is not 0, which counts bits by a call where processors need not have an instruction for
/// it.
constexpr bool isPowerOfTwo(std::uint64_t n) { return (n & (n - 1)) == 0; }

/// The number of strange units that a channel may learn from once a person has accepted what it flagged.
constexpr std::uint32_t kPardons = 8;

}  // namespace

bool Judge::advance(std::uint64_t now) {
  if (seen_ == 0) begunAt_ = now;
  ++seen_;
  if (!learning_) {
    // The marks of a stream that has learned from few records are set anew as it gets older.
    const bool young = seen_ < settings_.baselineRecords && isPowerOfTwo(seen_);
    if (young || seen_ == settings_.baselineRecords || now - markedAt_ > settings_.acceptAfterNanos) markStrange(now);
    return false;
  }
  const double done = progress(now);
  if (!calibrating_ && done >= 0.5) {
    calibrating_ = true;
    uncalibrated_ = seen_;
  }
  if (done < 1) return false;
  learning_ = false;
  markStrange(now);
  return true;
}

double Judge::progress(std::uint64_t now) const {
  const auto records = static_cast<double>(seen_);
  double done = records / settings_.baselineRecords;
  if (settings_.exactBaseline) return done;
  const double seconds = static_cast<double>(now - begunAt_) / 1e9;
  for (const auto& [least, time] : key_.signal == otlp::Signal::Metrics ? kEnoughPoints : kEnough) {
    done = std::max(done, time > 0 ? std::min(records / least, seconds / time) : records / least);
  }
  return done;
}

void Judge::judge(std::span<Score> scores, bool open, const RecordView* record, Verdict& verdict) {
  pardoned_ = false;
  std::array<double, kChannelCount> p;
  // Channels without a score on this unit count as well, so that the units of all share one budget.
  p.fill(1);
  double least = std::numeric_limits<double>::infinity(), own = 1, floor = 0;
  std::size_t n = 0;
  for (Score& score : scores) {
    if (!score.admitted) {
      ++n;
      continue;
    }
    const std::size_t channel = indexOf(score.channel);
    // Most scores are usual, and how usual they are does not matter, so the expensive p-value is not computed.
    const bool usual = !calibrations_[channel] || score.score <= marks_[channel].usual || (score.reported && !open);
    if (!usual) score.pValue = calibrations_[channel]->pValue(score.score);
    p[n++] = score.pValue;
    // Units differ, so the channel furthest beyond its own limit is to blame; one that is not strange by itself is not.
    const bool strange = !usual && strangeness(score) >= 1;
    const double beyond = strange ? score.pValue / strangeEnough(score.channel) : std::numeric_limits<double>::infinity();
    if (score.score <= 0 || (verdict.channel != ChannelId::None && beyond >= least)) continue;
    least = beyond;
    own = score.pValue;
    floor = score.score / strangeness(score);
    verdict.channel = score.channel;
    verdict.channelScore = score.score;
    verdict.bits = score.bits;
    verdict.usualBits = score.usualBits;
  }
  if (group_.compares()) {
    for (const Score& score : scores) {
      if (score.admitted) note(score);
    }
  }
  if (!std::isfinite(least)) return;
  n = std::max(n, channels_);
  verdict.pValue = combinePValues({p.data(), n});
  const double limit = strangeEnough(verdict.channel);
  if (verdict.pValue > limit) {
    verdict.margin = limit / verdict.pValue;
    return;
  }
  if (pardon(verdict)) return;
  verdict.limit = std::min(std::max(limitBeside(verdict, own, n, limit), floor), verdict.channelScore);
  verdict.early = verdict.pValue > strangeEnough(verdict.channel, false) ? 1 : 0;
  decide(verdict, limit, open, record ? gravityOf(*record) : Gravity::Normal);
}

void Judge::decide(Verdict& verdict, double limit, bool open, Gravity gravity, std::uint64_t ahead) {
  const double weight = kWeights[static_cast<std::size_t>(gravity)];
  if (settings_.recordings) {
    Before& before = this->before();
    before.budget = budget_;
    before.group = group_.budget();
    before.withheld = withheld_;
  }
  verdict.margin = limit / verdict.pValue;
  verdict.early *= weight * verdict.margin;
  verdict.alarm = budget_.judge(verdict.pValue, limit, open, weight);
  if (verdict.alarm == Alarm::Raised && !ownBudget_ && group_.judge(verdict.pValue, limit, ahead, weight) == Alarm::Withheld) {
    budget_.refund();
    ++withheldByGroup_;
    verdict.alarm = Alarm::Withheld;
  }
  verdict.flagged = verdict.alarm == Alarm::Raised || verdict.alarm == Alarm::Related;
  if (verdict.flagged && !group_.open()) group_.flagged(key_.hash);
  if (verdict.alarm == Alarm::Raised) verdict.withheld = std::exchange(withheld_, {});
  if (verdict.alarm != Alarm::Withheld) return;
  ++withheld_.count;
  if (verdict.score <= withheld_.score) return;
  withheld_.channel = verdict.channel;
  withheld_.score = verdict.score;
  withheld_.at = budget_.time();
}

void Judge::exchange(bool counted) {
  Before& before = this->before();
  std::swap(budget_, counted ? before.count : before.budget);
  std::swap(withheld_, before.withheld);
  group_.swap(before.group);
}

double Judge::limitBeside(const Verdict& verdict, double own, std::size_t channels, double limit) const {
  // The harmonic mean of `channels` p-values is `limit` if this channel's own is `needed`.
  const double count = static_cast<double>(channels), others = count / verdict.pValue - 1 / own;
  const double needed = count / limit > others + 1 ? 1 / (count / limit - others) : 1;
  return calibrations_[indexOf(verdict.channel)]->limit(needed);
}

void Judge::note(const Score& score) {
  const auto& calibration = calibrations_[indexOf(score.channel)];
  if (!calibration) return;
  Member member{.stream = key_.hash,
                .family = key_.family,
                .channel = score.channel,
                .score = score.score,
                .pValue = score.pValue,
                .timeUnixNano = group_.latest()};
  // Among many replicas, one is far from usual by chance.
  const auto replicas = static_cast<double>(replicas_);
  if (score.fromSlowMean) {
    const double square = *score.fromSlowMean * *score.fromSlowMean;
    member.distance = replicas_ == 1 ? *score.fromSlowMean : std::sqrt(std::max(0.0, square - 2 * portableLog(replicas)));
    if (score.pValue == 1 && member.distance > kNoteworthy) member.pValue = calibration->pValue(score.score);
  } else if (score.pValue < 1) {
    // The same holds for the units of a tick.
    const double units = budget_.unitsPerDay() / kTicksPerDay * static_cast<double>(calibration->learnt()) /
                         static_cast<double>(std::max<std::uint64_t>(1, seen_));
    member.distance = std::min(Group::kMostDistance, -portableLog2(score.pValue * replicas * std::max(1.0, units)));
  }
  group_.note(member);
}

void Judge::setBudget(double perDay) {
  ownBudget_ = perDay > 0;
  budget_.setPerDay(ownBudget_ ? perDay : settings_.alarmsPerStreamPerDay);
}

bool Judge::pardon(const Verdict& verdict) {
  std::uint32_t& left = pardonsLeft_[indexOf(verdict.channel)];
  if (left == 0 || verdict.channelScore > highestPardoned_[indexOf(verdict.channel)]) return false;
  --left;
  return pardoned_ = true;
}

void Judge::pardon(ChannelId channel, double score) {
  pardonsLeft_[indexOf(channel)] = kPardons;
  highestPardoned_[indexOf(channel)] = score;
}

void Judge::accept(ChannelId channel, double score) {
  if (calibrations_[indexOf(channel)]) calibrations_[indexOf(channel)]->learn(score);
}

double Judge::strangeEnough(ChannelId channel, bool early) const {
  const auto& calibration = calibrations_[indexOf(channel)];
  if (!calibration) return 0;
  // The budget counts records; a channel has fewer units, such as sessions or ticks, and each may cost correspondingly more.
  const double units = static_cast<double>(std::max<std::uint64_t>(1, calibration->learnt()));
  const double records = static_cast<double>(seen_ - uncalibrated_);
  const double limit = std::min(budget_.limit() * std::max(1.0, records / units), std::max(budget_.limit(), kLargestLimit));
  // A young stream cannot show p-values as small as a busy stream's budget asks for. What lies far beyond all that it has
  // shown is strange enough all the same; the budget's bank still limits how many alarms that makes.
  const double young = static_cast<double>(channels_) / (kFarOut * units);
  const double share = ownBudget_ ? 1 : group_.share(key_.signal, channels_);
  return share * std::max(limit / groups(), std::min(young, kLargestLimit) / (early ? 1 : groups()));
}

void Judge::learn(std::span<const Score> scores, const Verdict& verdict) {
  for (const Score& score : scores) {
    if (!score.whole) continue;
    auto& calibration = calibrations_[indexOf(score.channel)];
    Marks& marks = marks_[indexOf(score.channel)];
    if (!calibration) {
      calibration = std::make_unique<Calibration>(infoOf(score.channel).unit, infoOf(score.channel).law);
      ++channels_;
      group_.join(key_.signal, 1);
    }
    // A flag for another channel is no evidence against this one's score. A session that ends long after its strange
    // part was judged at that part.
    Alarm judged = score.channel == verdict.channel ? verdict.alarm : Alarm::None;
    // What a policy leaves out was not judged at all.
    const bool missed = !score.admitted || score.lesson > score.score;
    if (judged == Alarm::None && missed && score.lesson > marks.strange) judged = Alarm::Raised;
    // What is strange enough takes a while to compute, and matters for an alarm alone.
    calibration->learn(score.lesson, judged, judged == Alarm::Raised ? strangeEnough(score.channel) : 1);
    if (const std::uint64_t n = calibration->learnt(); isPowerOfTwo(n) || n % kUsualEvery == 0) {
      marks.usual = std::max(0.0, calibration->limit(kUsualChance));
      // What one score in a hundred exceeds is no more than a guess while a channel has few, unless it was stated that
      // they are enough to learn from.
      if (!learning_ && !settings_.exactBaseline && n <= kFewScores) markStrange(score.channel);
    }
  }
}

void Judge::markStrange(ChannelId channel) {
  const std::size_t c = indexOf(channel);
  marks_[c].strange = std::max(kChannels[c].unit, calibrations_[c]->limit(kStrangeChance));
}

void Judge::markStrange(std::uint64_t now) {
  markedAt_ = now;
  for (std::size_t c = 0; c < kChannelCount; ++c) {
    if (calibrations_[c]) markStrange(static_cast<ChannelId>(c));
  }
}

std::size_t Judge::memory() const {
  std::size_t bytes = 0;
  for (const auto& calibration : calibrations_) bytes += calibration ? calibration->memory() : 0;
  return bytes;
}

template <class Self, class Visitor>
void Judge::visit(Self& self, Visitor& v) {
  v(self.seen_), v(self.markedAt_), v(self.learning_), v(self.calibrating_), v(self.begunAt_), v(self.uncalibrated_);
  v(self.withheldByGroup_);
  v(self.withheld_.count), v(self.withheld_.score), v(self.withheld_.at);
  for (auto& marks : self.marks_) v(marks.usual), v(marks.strange);
  for (std::size_t c = 0; c < kChannelCount; ++c) v(self.pardonsLeft_[c]), v(self.highestPardoned_[c]);
}

void Judge::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  visit(*this, write);
  write(static_cast<std::uint8_t>(withheld_.channel));
  for (const auto& calibration : calibrations_) putOptional(out, calibration);
  putState(out, budget_);
}

bool Judge::restore(Bytes in) {
  StateReader read(in);
  visit(*this, read);
  const auto channel = read.get<std::uint8_t>();
  if (channel >= kChannelCount) return false;
  withheld_.channel = static_cast<ChannelId>(channel);
  for (std::size_t c = 0; c < kChannelCount; ++c) {
    if (!getOptional(read, calibrations_[c], [&] { return std::make_unique<Calibration>(kChannels[c].unit, kChannels[c].law); }))
      return false;
    if (!calibrations_[c]) continue;
    ++channels_;
    group_.join(key_.signal, 1);
  }
  return budget_.restore(read.getBytes()) && read.done();
}

}  // namespace driftlock
