#include "stream/stream.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>


namespace driftlock {
namespace {

/// Units that a channel may learn from, strange as they are, once a person has accepted what it flagged.
constexpr std::uint32_t kPardons = 8;

/// Milliseconds, as UUIDs of version 7 begin with them, then 80 bits of what makes it one of a kind: anomalies of one time
/// are neighbours in every index of a store, whatever else is in there.
std::string anomalyId(std::uint64_t unixNanos, std::uint64_t a, std::uint64_t b) {
  constexpr char digits[] = "0123456789abcdef";
  const std::uint64_t first = unixNanos / 1'000'000 << 16 | a >> 48;
  std::string id;
  for (std::uint64_t half : {first, b}) {
    for (int shift = 60; shift >= 0; shift -= 4) id += digits[half >> shift & 15];
  }
  return id;
}

}  // namespace

bool Stream::quiet() const { return anomaly_.occurrences > 0 && clock_.now() - flaggedAt_ > kQuietNanos; }

void Stream::endAnomaly(Ending ending, std::vector<Event>& events) {
  Event& event = events.emplace_back();
  event.timeUnixNano = clock_.eventAt(clock_.now());
  event.ended = true;
  event.anomaly = std::exchange(anomaly_, {});
  event.ending = ending;
}

bool Stream::reportsNext(const std::vector<Event>& events) const {
  const auto flagged = std::ranges::count_if(events, [](const Event& event) { return !event.ended; });
  return std::has_single_bit(anomaly_.occurrences + static_cast<std::uint64_t>(flagged) + 1);
}

bool Stream::report(const Verdict& verdict, Bytes record, const ContentScore* content) {
  const std::uint64_t time = clock_.eventAt(clock_.now());
  if (anomaly_.occurrences == 0) {
    const std::uint64_t a = hash_(content ? content->signature : 0, hash_(settings_.seed, key_.hash));
    anomaly_ = {anomalyId(time, a, hash_(++anomalies_, hash_(time, a))), time, time, 0};
    metrics_.reset();
    if (evidence_.size() == mostEvidence) evidence_.erase(evidence_.begin());
    evidence_.emplace_back().id = anomaly_.id;
  }
  flaggedAt_ = clock_.now();
  anomaly_.endUnixNano = std::max(anomaly_.endUnixNano, time + verdict.silentFor);

  Evidence& evidence = evidence_.back();
  if (verdict.silentFor > 0) {
    evidence.silence = std::max(evidence.silence, Silence::octaves(verdict.silentFor));
  } else {
    double& score = evidence.scores[static_cast<std::size_t>(verdict.channel)];
    score = std::max(score, verdict.channelScore);
  }
  if (content) evidence.add(record, *content);
  return std::has_single_bit(++anomaly_.occurrences);
}

void Evidence::add(Bytes record, const ContentScore& content) {
  bool fresh = false;
  for (const ContentScore::Unknown& unknown : content.unknown) {
    if (news.size() == mostNews || std::ranges::find(news, unknown.hash) != news.end()) continue;
    news.push_back(unknown.hash);
    fresh = true;
  }
  // The first of their kind: none gives way to a later one.
  if (!fresh || !examples.fits(record)) return;
  examples.push(record);
  examples.compact();
}

bool Stream::feedback(std::string_view anomalyId, Feedback feedback, std::vector<Event>& events) {
  const auto found = std::ranges::find(evidence_, anomalyId, &Evidence::id);
  if (found == evidence_.end()) return false;
  if (feedback == Feedback::Accept) {
    accept(*found);
  } else {
    for (std::size_t c = 0; c < channelCount; ++c) {
      if (found->scores[c] > 0 && calibrations_[c]) calibrations_[c]->learn(found->scores[c]);
    }
  }
  if (found->silence > 0) {
    silence_.isJudged() ? silence_.accept() : silence_.learn(found->silence);
  }
  evidence_.erase(found);
  const bool open = anomaly_.occurrences > 0 && anomaly_.id == anomalyId;
  if (open) endAnomaly(feedback == Feedback::Accept ? Ending::Accepted : Ending::FalseAlarm, events);
  return true;
}

void Stream::accept(const Evidence& evidence) {
  for (std::size_t c = 0; c < channelCount; ++c) {
    if (evidence.scores[c] > 0 && static_cast<Channel>(c) != Channel::Content) pardons_[c] = {kPardons, evidence.scores[c]};
  }
  if (!content_) return;
  thread_local RecordView record;
  thread_local ContentScore content;
  evidence.examples.forEach([&](Bytes raw) {
    readFields(key_.signal, key_.metricType, raw, record);
    content_->score(record, content);
    content_->learn(record, content);
  });
  for (const std::uint64_t field : evidence.news) content_->know(field);
}

}  // namespace driftlock
