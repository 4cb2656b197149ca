#include "stream/sessions.hpp"

#include <algorithm>

namespace driftlock {
namespace {

/// A session without records for so long has ended.
constexpr std::uint64_t kQuietNanos = 30'000'000'000;

/// Half of the model's own defaults: a stream has few templates that matter.
constexpr SequenceLimits kLimits{.contexts = 512, .successors = 1024};

}  // namespace

SequenceChannel::SequenceChannel() : model_(kLimits) {}

SequenceVerdict SequenceChannel::observe(std::uint64_t key, std::uint32_t id, bool last, std::uint64_t timeUnixNano) {
  current_ = &stream_;
  if (key != 0) {
    const auto found = sessions_.find(key);
    if (found != sessions_.end()) {
      order_.splice(order_.begin(), order_, found->second);
    } else {
      order_.push_front({.key = key});
      sessions_[key] = order_.begin();
    }
    current_ = &order_.front();
  }
  current_->lastUnixNano = std::max(current_->lastUnixNano, timeUnixNano);
  before_ = current_->context;
  id_ = std::min(id, largest_id);
  last_ = last && key != 0;
  bits_ = model_.cost(before_, id_);
  SequenceVerdict verdict{.score = bits_ - model_.mean_cost(), .bits = bits_, .usualBits = model_.mean_cost()};
  if (key == 0) return verdict;
  current_->score.add(bits_, model_.mean_cost());
  if (last_) {
    SequenceContext behind = before_;
    behind.push(id_);
    endBits_ = model_.end_cost(behind);
    current_->score.add(endBits_, model_.mean_cost());
    verdict.ended = true;
  }
  verdict.score = current_->score.value();
  return verdict;
}

void SequenceChannel::accept(bool flagged) {
  if (!current_) return;
  // The stream itself goes on after a strange record; a session that has gone astray is not learned from any more.
  if (current_ != &stream_) current_->flagged |= flagged;
  if (flagged || current_->flagged) {
    current_->context.push(id_);
  } else {
    model_.learn(current_->context, id_, bits_);
    if (last_) model_.learn_end(current_->context, endBits_);
  }
  if (last_) {
    count(*current_);
    sessions_.erase(current_->key);
    order_.pop_front();
  }
  current_ = nullptr;
}

std::optional<SequenceVerdict> SequenceChannel::expire(std::uint64_t timeUnixNano) {
  if (order_.empty()) return {};
  Session& oldest = order_.back();
  const bool quiet = oldest.lastUnixNano != 0 && timeUnixNano > oldest.lastUnixNano + kQuietNanos;
  if (!quiet && order_.size() <= kMostSessions) return {};
  // Whether it was cut short by us or ended by itself is not known: only a quiet session pays for its end.
  SequenceVerdict verdict{.score = oldest.score.value(), .usualBits = model_.mean_cost(), .ended = true};
  if (quiet) {
    verdict.bits = model_.end_cost(oldest.context);
    oldest.score.add(verdict.bits, model_.mean_cost());
    verdict.score = oldest.score.value();
    if (!oldest.flagged) model_.learn_end(oldest.context, verdict.bits);
  }
  count(oldest);
  sessions_.erase(oldest.key);
  order_.pop_back();
  return verdict;
}

std::size_t SequenceChannel::memory() const {
  return sizeof *this + model_.bytes() + order_.size() * (sizeof(Session) + 6 * sizeof(void*));
}

void SequenceChannel::count(const Session& session) {
  ++closed_;
  closedIds_ += session.score.count();
}

}  // namespace driftlock
