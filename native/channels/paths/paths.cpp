#include "channels/paths/paths.hpp"

#include <algorithm>
#include <span>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kHalvedAt = 2048;
/// The share of its child's occurrences, as a divisor, that a pair is given when it has become normal.
constexpr std::uint32_t kAcceptedShare = 8;
constexpr std::uint8_t kSnapshotVersion = 2;

/// The tag of a span; never 0, which marks an empty place. Half of a keyed hash is enough: whoever could make two spans
/// collide might as well name any parent.
std::uint32_t tagOf(std::uint64_t span) {
  const auto tag = static_cast<std::uint32_t>(span ^ span >> 32);
  return tag == 0 ? 1 : tag;
}

}  // namespace

void PathModel::Latest::link(std::uint8_t at) {
  std::uint8_t& head = heads_[slots_[at].tag % heads_.size()];
  next_[at] = head;
  head = static_cast<std::uint8_t>(at + 1);
}

void PathModel::Latest::unlink(std::uint8_t at) {
  std::uint8_t* link = &heads_[slots_[at].tag % heads_.size()];
  while (*link != at + 1) link = &next_[*link - 1];
  *link = next_[at];
}

void PathModel::Latest::add(std::uint32_t tag, std::uint32_t id) {
  const std::uint8_t at = oldest_;
  oldest_ = static_cast<std::uint8_t>((at + 1u) % slots_.size());
  note(at, true);
  if (slots_[at].tag != 0) unlink(at);
  slots_[at] = {.tag = tag, .id = id};
  link(at);
}

void PathModel::Latest::remove(std::uint32_t tag) {
  for (std::uint8_t* link = &heads_[tag % heads_.size()]; *link != 0;) {
    const std::size_t at = *link - 1u;
    if (slots_[at].tag == tag) {
      *link = next_[at];
      note(static_cast<std::uint8_t>(at), false);
      slots_[at] = {};
    } else {
      link = &next_[at];
    }
  }
}

PathModel::Changes& PathModel::changes() {
  thread_local Changes changes;
  return changes;
}

void PathModel::Latest::note(std::uint8_t at, bool added) {
  Changes& changes = PathModel::changes();
  changes.all[changes.size++] = {this, slots_[at], at, added};
}

PathModel::Latest PathModel::Latest::before() const {
  Latest latest = *this;
  const Changes& changes = PathModel::changes();
  for (std::size_t i = changes.size; i-- > 0;) {
    const auto& [of, before, place, added] = changes.all[i];
    if (of != this) continue;
    latest.slots_[place] = before;
    if (added) latest.oldest_ = place;
  }
  return latest;
}

bool PathModel::Latest::relink() {
  if (oldest_ >= slots_.size()) return false;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const auto at = static_cast<std::uint8_t>((oldest_ + i) % slots_.size());
    if (slots_[at].tag != 0) link(at);
  }
  return true;
}

PathModel::Child* PathModel::find(std::uint32_t id) {
  for (std::size_t i = 0; i < children_.size(); ++i) {
    if (children_[i].id != id) continue;
    // Frequent children move to the front, so that they are found soon.
    std::swap(children_[i], children_[i / 2]);
    return &children_[i / 2];
  }
  return nullptr;
}

void PathModel::consider(std::uint32_t parent, std::uint32_t child) {
  PathFinding& pair = pairs_[count_++] = {.parent = parent, .child = child};
  const Child* known = find(child);
  if (!known) return;
  const auto usual = std::ranges::max_element(known->parents, {}, &Parent::count);
  const auto it = std::ranges::find_if(known->parents, [&](const Parent& p) { return p.count > 0 && p.id == parent; });
  pair.usual = usual->id;
  // Most spans have their usual parent.
  if (it != known->parents.end() && it->count == known->count) return;
  // One of very many parents is no stranger than one that was never seen.
  const double cases = std::max<double>(known->distinct, it == known->parents.end() ? 0 : 2.0 * it->count - 1);
  pair.bits = std::max(0.0, -portableLog2(cases / (2.0 * known->count)));
}

std::optional<PathFinding> PathModel::observe(std::uint64_t span, std::uint64_t parent, std::uint32_t id) {
  count_ = 0;
  changes().size = 0;
  if (parent != 0) {
    const std::uint32_t tag = tagOf(parent);
    std::optional<std::uint32_t> known;
    spans_.find(tag, [&](std::uint32_t name) {
      known = name;
      return false;
    });
    if (known) {
      consider(*known, id);
    } else {
      std::size_t siblings = 0;
      waiting_.find(tag, [&](std::uint32_t) { return ++siblings < kSiblings; });
      if (siblings < kSiblings) waiting_.add(tag, id);
    }
  }
  if (span != 0) {
    const std::uint32_t tag = tagOf(span);
    spans_.add(tag, id);
    std::array<std::uint32_t, kSiblings> children;
    std::size_t came = 0;
    waiting_.find(tag, [&](std::uint32_t child) {
      children[came++] = child;
      return came < kSiblings;
    });
    if (came > 0) waiting_.remove(tag);
    // The children are considered in the order in which they came.
    while (came > 0) consider(id, children[--came]);
  }
  if (count_ == 0) return {};
  return *std::ranges::max_element(pairs_.begin(), pairs_.begin() + static_cast<std::ptrdiff_t>(count_), {}, &PathFinding::bits);
}

void PathModel::settle(Lesson lesson, std::uint32_t seconds, std::uint32_t acceptAfter) {
  changes().size = 0;
  if (count_ == 0) return;
  const std::span pairs(pairs_.data(), count_);
  const auto strangest = std::ranges::max_element(pairs, {}, &PathFinding::bits);
  for (auto pair = pairs.begin(); pair != pairs.end(); ++pair) {
    // What is known stays as usual as it is: if it were not learned because it is rare, it would become ever rarer.
    if (pair != strangest || lesson == Lesson::Learn || knows(*pair)) {
      learn(*pair, 1);
      continue;
    }
    auto news = std::ranges::find_if(
        news_, [&](const News& n) { return n.since != 0 && n.parent == pair->parent && n.child == pair->child; });
    if (news == news_.end()) {
      news = news_.begin() + nextNews_;
      nextNews_ = (nextNews_ + 1) % kNews;
      *news = {pair->parent, pair->child, std::max(seconds, 1u)};
    }
    if (lesson == Lesson::Strange && seconds - news->since < acceptAfter) continue;
    *news = {};
    const Child* known = find(pair->child);
    learn(*pair, known ? std::max(1u, known->count / kAcceptedShare) : 1);
  }
  count_ = 0;
}

bool PathModel::knows(const PathFinding& pair) {
  const Child* const child = find(pair.child);
  return child && std::ranges::any_of(child->parents, [&](const Parent& p) { return p.count > 0 && p.id == pair.parent; });
}

void PathModel::learn(const PathFinding& pair, std::uint32_t times) {
  Child* child = find(pair.child);
  if (!child) {
    if (children_.size() == kMostChildren) return;
    child = &children_.emplace_back(Child{.id = pair.child});
  }
  auto parent = std::ranges::find_if(child->parents, [&](const Parent& p) { return p.count > 0 && p.id == pair.parent; });
  if (parent == child->parents.end()) {
    parent = std::ranges::min_element(child->parents, {}, &Parent::count);
    *parent = {.id = pair.parent};
    ++child->distinct;
  }
  parent->count += times;
  child->count += times;
  if (child->count < kHalvedAt) return;
  child->count = 0;
  for (Parent& p : child->parents) child->count += p.count -= p.count / 2;
  child->distinct = std::max(1u, child->distinct / 2);
}

void PathModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kSnapshotVersion);
  for (const Latest& latest : {spans_.before(), waiting_.before()}) Latest::visit(latest, write);
  visit(*this, write);
  write(static_cast<std::uint32_t>(children_.size()));
  for (const Child& child : children_) {
    write(child.id), write(child.count), write(child.distinct);
    for (const Parent& parent : child.parents) write(parent.id), write(parent.count);
  }
}

bool PathModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  for (Latest* latest : {&spans_, &waiting_}) Latest::visit(*latest, read);
  visit(*this, read);
  if (!spans_.relink() || !waiting_.relink()) return false;
  const auto children = read.get<std::uint32_t>();
  if (children > kMostChildren || nextNews_ >= kNews) return false;
  for (std::uint32_t i = 0; i < children; ++i) {
    Child& child = children_.emplace_back();
    read(child.id), read(child.count), read(child.distinct);
    std::uint64_t sum = 0;
    for (Parent& parent : child.parents) {
      read(parent.id), read(parent.count);
      sum += parent.count;
    }
    // Some parents may have been forgotten.
    if (child.count == 0 || child.count >= kHalvedAt || child.distinct == 0 || sum > child.count) return false;
  }
  return read.done();
}

}  // namespace driftlock
