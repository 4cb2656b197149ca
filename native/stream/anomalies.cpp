#include "stream/anomalies.hpp"

#include <algorithm>
#include <bit>
#include <string>

#include "base/timed_id.hpp"
#include "channels/silence.hpp"
#include "stream/windows.hpp"

namespace driftlock {
namespace {

/// The time without a flag after which an anomaly is over.
constexpr std::uint64_t kQuietNanos = 300'000'000'000;
/// The time after which an anomaly does not take in other findings: what flickers on must not hide what begins meanwhile.
constexpr std::uint64_t kOldNanos = 3'600'000'000'000;
/// The number of anomalies whose evidence is kept.
constexpr std::size_t kMostEvidence = 4;
/// The longest id that `timedId` makes.
constexpr std::size_t kMostId = 64;

}  // namespace

bool Anomalies::quiet(std::uint64_t now) const { return open() && now - flaggedAt_ > kQuietNanos; }

bool Anomalies::old(std::uint64_t now) const { return open() && now - beganAt_ > kOldNanos; }

OpenAnomaly Anomalies::close() {
  shown_ = {};
  sinceUnixNano_ = 0;
  return std::exchange(current_, {});
}

OpenAnomaly Anomalies::supersede() {
  shown_.renew();
  return std::exchange(current_, {});
}

void Anomalies::begin(std::uint64_t now, std::uint64_t unixNanos, std::uint64_t origin, const KeyedHash& hash) {
  beganAt_ = now;
  if (sinceUnixNano_ == 0) sinceUnixNano_ = unixNanos;
  current_ = {timedId(unixNanos, origin, hash(++count_, hash(unixNanos, origin))), unixNanos, unixNanos, 0};
  if (evidence_.size() == kMostEvidence) evidence_.erase(evidence_.begin());
  evidence_.emplace_back().id = current_.id;
}

Growth Anomalies::add(const Verdict& verdict, const Sight& sight, std::uint64_t now, std::uint64_t unixNanos) {
  Growth growth{.news = shown_.isNews(sight)};
  shown_.add(sight);
  flaggedAt_ = now;
  extend(unixNanos + verdict.silentFor);
  ++current_.occurrences;
  Evidence& evidence = latest();
  if (verdict.silentFor > 0) {
    evidence.silence = std::max(evidence.silence, Silence::octaves(verdict.silentFor));
  } else {
    double& score = evidence.scores[indexOf(verdict.channel)];
    score = std::max(score, verdict.channelScore);
  }
  growth.reported = growth.news || std::has_single_bit(current_.occurrences);
  return growth;
}

void Anomalies::extend(std::uint64_t unixNanos) { current_.endUnixNano = std::max(current_.endUnixNano, unixNanos); }

const Evidence* Anomalies::find(std::string_view id) const {
  const auto found = std::ranges::find(evidence_, id, &Evidence::id);
  return found == evidence_.end() ? nullptr : &*found;
}

void Anomalies::inherit(const Anomalies& other) {
  const auto most = static_cast<std::ptrdiff_t>(kMostEvidence - std::min(kMostEvidence, evidence_.size()));
  const auto from = other.evidence_.end() - std::min(most, std::ssize(other.evidence_));
  evidence_.insert(evidence_.begin(), from, other.evidence_.end());
}

bool Anomalies::forget(std::string_view id) {
  const bool isOpen = open() && current_.id == id;
  std::erase_if(evidence_, [&](const Evidence& evidence) { return evidence.id == id; });
  return isOpen;
}

std::size_t Anomalies::memory() const {
  std::size_t bytes = shown_.memory();
  for (const Evidence& evidence : evidence_) {
    bytes += sizeof evidence + evidence.novelties.capacity() * sizeof(std::uint64_t) + evidence.examples.memory();
  }
  return bytes;
}

void Anomalies::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  visit(*this, write);
  putState(out, shown_);
  put(out, static_cast<std::uint32_t>(evidence_.size()));
  for (const Evidence& evidence : evidence_) {
    write(evidence.id), write(evidence.silence);
    for (const double score : evidence.scores) write(score);
    put(out, static_cast<std::uint32_t>(evidence.novelties.size()));
    for (const std::uint64_t hash : evidence.novelties) write(hash);
    putState(out, evidence.examples);
  }
}

bool Anomalies::restore(Bytes in, const StreamKey& key) {
  StateReader read(in);
  visit(*this, read);
  if (!shown_.restore(read.getBytes())) return false;
  const auto count = read.get<std::uint32_t>();
  if (current_.id.size() > kMostId || count > kMostEvidence) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    Evidence& one = evidence_.emplace_back();
    read(one.id), read(one.silence);
    for (double& score : one.scores) read(score);
    const auto novelties = read.get<std::uint32_t>();
    if (novelties > Evidence::kMostNovelties || one.id.size() > kMostId) return false;
    one.novelties.resize(novelties);
    for (std::uint64_t& hash : one.novelties) read(hash);
    if (!one.examples.restore(read.getBytes()) || !sound(one.examples, key)) return false;
  }
  // Each flagged verdict adds to the evidence of the open anomaly.
  return read.done() && (!open() || (!evidence_.empty() && evidence_.back().id == current_.id));
}

}  // namespace driftlock
