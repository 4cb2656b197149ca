#include "stream/stream.hpp"

#include <algorithm>

#include "base/portable_math.hpp"

namespace driftlock {
namespace {

/// Of what the budget lets be flagged by chance, the part that silences of the whole stream may take. Their limit is asked
/// again every so many gaps.
constexpr double kSilenceShare = 0.25;
constexpr std::uint64_t kSilenceEvery = 16;

/// A silence four times as long as its limit counts as 128 times rarer at the least, whatever ranks can show: the
/// stream is gone, and its budget may be overdrawn for that.
constexpr std::uint64_t kGone = 4;
constexpr double kGoneMargin = 128;

}  // namespace

void Stream::hear(const Moment& moment, std::vector<Event>& events) {
  if (moment.now == silence_.heard().now) return;
  resumed_ = silence_.isJudged();
  silentAgain_ = 0;
  if (resumed_ && anomaly_.occurrences > 0 && evidence_.back().silence > 0) {
    evidence_.back().silence = Silence::octaves(silence_.lasting(moment));
    if (anomaly_.occurrences == 1) {
      anomaly_.endUnixNano = std::max(anomaly_.endUnixNano, anomaly_.startUnixNano + silence_.shown(moment));
      endAnomaly(Ending::Resumed, events);
    }
  }
  if (silence_.hear(moment) && silence_.learnt() % kSilenceEvery == 0) silentAfter_ = silence_.after(silenceChance());
}

void Stream::elapse(const Moment& moment, std::vector<Event>& events) {
  const double limit = silenceChance();
  silentAfter_ = silence_.after(limit);
  if (silentAt() == 0 || silentAt() > moment.now) return;
  const std::uint64_t lasted = silence_.lasting(moment);
  // What was flagged before it has long been quiet, though no record says so.
  if (anomaly_.occurrences > 0 && clock_.now() + lasted - flaggedAt_ > kQuietNanos) endAnomaly(Ending::Quiet, events);
  Verdict verdict{.channel = Channel::Volume, .silentFor = silence_.shown(moment)};
  verdict.pValue = std::min(limit, silence_.chance(lasted));
  if (lasted >= kGone * silentAfter_) verdict.pValue = std::min(verdict.pValue, limit / kGoneMargin);
  verdict.channelScore = verdict.bits = -portable_log2(verdict.pValue);
  verdict.score = verdict.bits / -portable_log2(kStrangeChance);
  const double expected = budget_.units_per_day() * static_cast<double>(verdict.silentFor) / static_cast<double>(kDayNanos);
  budget_.observe(clock_.now() + lasted);
  decide(verdict, limit);
  if (!verdict.flagged) {
    // It grows stranger as it lasts.
    silentAgain_ = 2 * lasted;
    return;
  }
  silence_.judged(moment);
  events.push_back({.verdict = verdict,
                    .timeUnixNano = clock_.latest() == 0 ? moment.event : clock_.latest() + verdict.silentFor,
                    .volume = {.kind = VolumeKind::silence, .total = true, .expected = expected, .silent_for = lasted, .bits = verdict.bits}});
}

/// The largest chance of a silence that is strange enough.
double Stream::silenceChance() const {
  const double records = static_cast<double>(seen_) / static_cast<double>(std::max<std::uint64_t>(1, silence_.learnt()));
  return std::min(kLargestLimit, kSilenceShare * budget_.limit() * std::max(1.0, records));
}

}  // namespace driftlock
