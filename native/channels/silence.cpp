#include "channels/silence.hpp"

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kUnitNanos = 10'000'000'000;
/// The length up to which gaps are alike: exporters flush every few seconds, and processes pause.
constexpr std::uint64_t kShortNanos = 10'000'000'000;
/// The shortest silence that is reported.
constexpr std::uint64_t kLeastNanos = 45'000'000'000;
constexpr double kMostLesson = 2;
/// The multiple of the usual silence after which a sender has gone, the least such time, and that of a sender whose usual silence
/// is not known.
constexpr double kGone = 8;
constexpr std::uint64_t kSoonestGone = 120'000'000'000, kUnknownGone = 7'200'000'000'000;

}  // namespace

double Silence::octaves(std::uint64_t nanos) {
  if (nanos <= kShortNanos) return 0;
  return portableLog2(static_cast<double>(nanos) / static_cast<double>(kShortNanos));
}

bool Silence::hear(const Moment& moment) {
  // A clock that starts anew reveals no gap.
  if (heard_.now == 0 || moment.now < heard_.now) {
    heard_ = moment;
    began_ = moment.now;
    longest_ = 0;
    judged_ = 0;
    return false;
  }
  longest_ = std::max(longest_, counted(moment));
  heard_ = moment;
  if (moment.event != 0) hours_.observe(moment.event);
  if (moment.now - began_ < kUnitNanos) return false;
  const double score = octaves(longest_);
  gaps_.learn(judged_ > 0 ? std::min(score, judged_) : score);
  began_ = moment.now;
  longest_ = 0;
  judged_ = 0;
  return true;
}

std::uint64_t Silence::counted(const Moment& moment) const {
  const std::uint64_t gap = lasting(moment);
  return gap <= kShortNanos || heard_.event == 0 ? gap : hours_.weigh(heard_.event, heard_.event + gap);
}

std::uint64_t Silence::when(std::uint64_t counted) const {
  if (due_.heard != heard_.now || due_.counted != counted) {
    const std::uint64_t gap = heard_.event == 0 ? counted : hours_.reach(heard_.event, counted);
    due_ = {heard_.now, counted, gap == 0 ? 0 : heard_.now + gap};
  }
  return due_.at;
}

std::uint64_t Silence::lasting(const Moment& moment) const {
  return heard_.now == 0 || moment.now < heard_.now ? 0 : moment.now - heard_.now;
}

std::uint64_t Silence::shown(const Moment& moment) const {
  const std::uint64_t events = heard_.event == 0 || moment.event < heard_.event ? 0 : moment.event - heard_.event;
  return std::max(lasting(moment), events);
}

std::uint64_t Silence::after(double p) const {
  // By ranks alone the longest gap of a regular stream would be rare, even if it is barely longer than the others.
  const double least = std::max(gaps_.limit(p), gaps_.median() + 1);
  // A limit beyond a century is none.
  if (!(least < 27)) return 0;
  // This is rounded up, so that a silence of this length reaches the limit.
  const double nanos = static_cast<double>(kShortNanos) * portableExp(least * kLn2);
  return std::max(kLeastNanos, static_cast<std::uint64_t>(nanos * (1 + 1e-9)) + 1);
}

std::uint64_t Silence::leavesAfter() const {
  if (gaps_.learnt() == 0) return kUnknownGone;
  const double usual = static_cast<double>(kShortNanos) * portableExp(std::min(gaps_.median(), 24.) * kLn2);
  return std::max(kSoonestGone, static_cast<std::uint64_t>(kGone * usual));
}

void Silence::judged(const Moment& moment) { judged_ = octaves(counted(moment)) + kMostLesson; }

void Silence::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(heard_.now), write(heard_.event), write(began_), write(longest_), write(judged_);
  ActiveHours::visit(hours_, write);
  putState(out, gaps_);
}

bool Silence::restore(Bytes in) {
  StateReader read(in);
  read(heard_.now), read(heard_.event), read(began_), read(longest_), read(judged_);
  ActiveHours::visit(hours_, read);
  if (!hours_.valid()) return false;
  return gaps_.restore(read.getBytes()) && read.done() && judged_ >= 0 && began_ <= heard_.now;
}

}  // namespace driftlock
