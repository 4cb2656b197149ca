#include "channels/sequence/sessions.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

/// The time without records after which a session has ended.
constexpr std::uint64_t kQuietNanos = 30'000'000'000;

}  // namespace

SequenceVerdict Sessions::observe(std::uint64_t key, std::uint32_t id, bool last, std::uint64_t timeUnixNano) {
  current_ = sessions_.use(key);
  began_ = !current_;
  if (!current_) {
    current_ = &sessions_.add(key);
    current_->value.waiting.reserve(kFewWaiting);
  }
  Session& session = current_->value;
  keep(session);
  session.lastUnixNano = std::max(session.lastUnixNano, timeUnixNano);
  id = std::min(id, kLargestId);
  observed_ = {.id = id, .before = session.context};
  const double usual = model_.meanCost();
  const double bits = model_.cost(session.context, id);
  bool rises = session.score.add(bits, usual).highest;
  session.context.push(id);
  // Doubling would reserve twice as much as can ever be needed.
  if (session.waiting.size() == kFewWaiting) session.waiting.reserve(kWaiting + 1);
  session.waiting.push_back(id);
  ended_ = paidEnd_ = last;
  if (last) rises |= session.score.add(model_.endCost(session.context), usual).highest;
  const double score = session.score.value();
  session.peak = std::max(session.peak, score);
  SequenceVerdict verdict{
      .score = score, .peak = session.peak, .bits = bits, .usualBits = usual, .stands = !rises, .ended = last};
  if (last) blame(session, verdict, observed_);
  return verdict;
}

void Sessions::blame(const Session& session, SequenceVerdict& verdict, TellingStep& step) const {
  if (verdict.score <= 0) return;
  SequenceContext context = session.learned;
  SequenceScore score;
  // The costliest step since the score began to rise, and that of the highest score.
  TellingStep run, telling;
  double runBits = 0, bits = 0;
  const std::size_t steps = session.waiting.size() + (paidEnd_ ? 1 : 0);
  for (std::size_t i = 0; i < steps; ++i) {
    const bool end = i == session.waiting.size();
    const std::uint32_t id = end ? kEndOfSession : session.waiting[i];
    const double cost = end ? model_.endCost(context) : model_.cost(context, id);
    const auto [begins, highest] = score.add(cost, verdict.usualBits);
    if (begins || cost > runBits) {
      runBits = cost;
      run = {.id = id, .before = context, .earlier = i + 1 < session.waiting.size() || (!end && paidEnd_)};
    }
    if (highest) bits = runBits, telling = run;
    if (!end) context.push(id);
  }
  if (bits <= verdict.bits) return;
  verdict.bits = bits;
  step = telling;
}

bool Sessions::isQuiet(const Session& session, std::uint64_t timeUnixNano) {
  return session.lastUnixNano != 0 && timeUnixNano > session.lastUnixNano + kQuietNanos;
}

void Sessions::forgetQuiet(std::uint64_t timeUnixNano) {
  while (!sessions_.empty() && isQuiet(sessions_.oldest().value, timeUnixNano)) sessions_.erase(sessions_.oldest().key);
}

std::optional<SequenceVerdict> Sessions::expire(std::uint64_t timeUnixNano) {
  if (sessions_.empty()) return {};
  Session& oldest = sessions_.oldest().value;
  const bool quiet = isQuiet(oldest, timeUnixNano);
  if (!quiet && sessions_.size() <= kMostSessions) return {};
  current_ = &sessions_.oldest();
  began_ = false;
  keep(oldest);
  expired_ = {.before = oldest.context};
  ended_ = true;
  // Whether an evicted session would have continued is not known, so only a quiet one pays for its end.
  paidEnd_ = quiet;
  SequenceVerdict verdict{.usualBits = model_.meanCost(), .ended = true};
  if (quiet) {
    verdict.bits = model_.endCost(oldest.context);
    oldest.score.add(verdict.bits, verdict.usualBits);
  }
  verdict.score = oldest.score.value();
  verdict.peak = std::max(oldest.peak, verdict.score);
  blame(oldest, verdict, expired_);
  return verdict;
}

void Sessions::accept(Lesson lesson) {
  if (!current_) return;
  Session& session = current_->value;
  session.strange |= lesson == Lesson::Strange;
  const bool learn = lesson == Lesson::Learn && !session.strange;
  if (ended_ && learn) {
    passOn(session, session.waiting.size(), true);
    model_.learnEnd(session.learned, model_.endCost(session.learned));
  } else if (!ended_ && session.waiting.size() > kWaiting) {
    passOn(session, 1, learn);
  }
  if (ended_) {
    ++closed_;
    closedIds_ += session.score.count() - (paidEnd_ ? 1 : 0);
    sessions_.erase(current_->key);
  }
  current_ = nullptr;
}

void Sessions::passOn(Session& session, std::size_t count, bool learn) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t id = session.waiting[i];
    if (learn) {
      model_.learn(session.learned, id, model_.cost(session.learned, id));
    } else {
      session.learned.push(id);
    }
  }
  session.waiting.erase(session.waiting.begin(), session.waiting.begin() + static_cast<std::ptrdiff_t>(count));
}

void Sessions::snapshot(std::vector<std::uint8_t>& out) const {
  putState(out, model_);
  put(out, closed_);
  put(out, closedIds_);
  const bool leavesOut = current_ && began_;
  put(out, static_cast<std::uint32_t>(sessions_.size() - (leavesOut ? 1 : 0)));
  StateWriter write(out);
  for (auto entry = sessions_.rbegin(); entry != sessions_.rend(); ++entry) {
    const bool isCurrent = current_ == &*entry;
    if (isCurrent && leavesOut) continue;
    Session session = entry->value;
    if (isCurrent) {
      session.score = before_.score;
      session.context = before_.context;
      session.peak = before_.peak;
      session.waiting.resize(before_.waiting);
    }
    write(entry->key);
    Session::visit(session, write);
    put(out, static_cast<std::uint32_t>(session.waiting.size()));
    for (const std::uint32_t id : session.waiting) put(out, id);
  }
}

bool Sessions::restore(Bytes in) {
  StateReader read(in);
  if (!model_.restore(read.getBytes())) return false;
  closed_ = read.get<std::uint64_t>();
  closedIds_ = read.get<std::uint64_t>();
  const std::uint32_t count = read.get<std::uint32_t>();
  // The oldest may have been about to make room when a verdict was recorded.
  if (count > kMostSessions + 1) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key = read.get<std::uint64_t>();
    if (sessions_.contains(key)) return false;
    Session& session = sessions_.add(key).value;
    Session::visit(session, read);
    const std::uint32_t waiting = read.get<std::uint32_t>();
    if (!session.context.valid() || !session.learned.valid() || waiting > kWaiting) return false;
    for (std::uint32_t n = 0; n < waiting; ++n) session.waiting.push_back(std::min(read.get<std::uint32_t>(), kLargestId));
  }
  return read.done();
}

std::size_t Sessions::memory() const {
  std::size_t bytes = sizeof *this + model_.memory() + sessions_.size() * (sizeof(Table::Entry) + 6 * sizeof(void*));
  for (const auto& [key, session] : sessions_) bytes += session.waiting.capacity() * sizeof(std::uint32_t);
  return bytes;
}

}  // namespace driftlock
