#include "channels/shift/shift.hpp"

#include <algorithm>
#include <span>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "base/tags.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t kSnapshotVersion = 2;

}  // namespace

std::optional<ShiftModel::Tick> ShiftModel::advance(std::uint64_t now) {
  next_ = 1 + now / Operation::kTickNanos;
  if (tick_ == 0) {
    tick_ = next_;
    operations_.emplace_back();
  }
  if (next_ <= tick_) return {};
  Tick tick{.end = tick_ * Operation::kTickNanos};
  ended_ = strange_ = 0;
  std::array<double, kMostOperations> bits{};
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    if (operations_[i].tickAt(next_) == operations_[i].tickAt(tick_)) continue;
    ended_ |= 1u << i;
    ShiftFinding finding = operations_[i].judge();
    if (finding.kind == ShiftKind::None) continue;
    finding.total = i == 0;
    bits[i] = finding.bits;
    ShiftFinding& strangest = tick.strangest;
    if (strangest.kind != ShiftKind::None) tick.others[tick.size++] = std::min(finding.bits, strangest.bits);
    if (strangest.kind == ShiftKind::None || finding.bits > strangest.bits) strangest = finding;
  }
  if (ended_ == 0) {
    tick_ = next_;
    return {};
  }
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    if (bits[i] > tick.strangest.bits / 2) strange_ |= 1u << i;
  }
  return tick;
}

void ShiftModel::settle(Lesson lesson) {
  for (std::size_t i = 0; i < operations_.size(); ++i) {
    Operation& operation = operations_[i];
    if ((ended_ >> i & 1) == 0) continue;
    const bool learns = lesson >= Lesson::All || (lesson == Lesson::Usual && (strange_ >> i & 1) == 0);
    operation.end(!learns                     ? Operation::Lesson::None
                  : lesson == Lesson::Lasting ? Operation::Lesson::Lasting
                                              : Operation::Lesson::Learn,
                  operation.tickAt(next_) - operation.tickAt(tick_) - 1, next_);
  }
  tick_ = next_;
}

void ShiftModel::interrupt(std::uint64_t now) {
  if (tick_ == 0) return;
  tick_ = 1 + now / Operation::kTickNanos;
  for (Operation& operation : operations_) operation.interrupt();
}

/// Finds an operation; the one with the fewest spans makes room, unless it has come in this tick. 0 if there is no room.
std::size_t ShiftModel::find(std::uint32_t id, std::uint8_t spanKind) {
  std::uint8_t& hint = hints_[((id + spanKind) * 0x9E3779B1u) >> 26];
  if (hint > 0 && hint < operations_.size() && operations_[hint].is(id, spanKind)) return hint;
  const auto tags = std::span(tags_).subspan(1, operations_.size() - 1);
  std::size_t at = 1 + findTagged(tags, tagOf(id), [&](std::size_t i) { return operations_[1 + i].is(id, spanKind); });
  if (at == operations_.size()) {
    if (at < kMostOperations) {
      // Growing by doubling would go beyond the most that there are.
      if (operations_.size() == operations_.capacity()) {
        operations_.reserve(std::min(kMostOperations, 2 * operations_.size()));
      }
      operations_.emplace_back();
    } else {
      if (full_ == tick_) return 0;
      at = static_cast<std::size_t>(std::ranges::min_element(operations_.begin() + 1, operations_.end(), {}, &Operation::weight) -
                                    operations_.begin());
      if (operations_[at].came()) {
        full_ = tick_;
        return 0;
      }
    }
    operations_[at] = Operation(id, spanKind);
    tags_[at] = tagOf(id);
  }
  hint = static_cast<std::uint8_t>(at);
  return at;
}

void ShiftModel::count(std::uint32_t id, std::uint8_t spanKind, std::uint64_t nanos, bool error) {
  const std::size_t at = find(id, spanKind);
  Operation& all = operations_.front();
  if (at == 0) return all.countOther(error, nullptr, false);
  Operation& operation = operations_[at];
  float distance;
  const bool known = operation.count(static_cast<float>(roughLog2(1 + static_cast<double>(nanos))), error, distance);
  all.countOther(error, known ? &distance : nullptr, known && operation.slow(distance));
}

void ShiftModel::countFigure(std::uint32_t id, double number, bool yes) {
  const std::size_t at = find(id, Operation::kFigure);
  float distance;
  if (at != 0) operations_[at].count(static_cast<float>(roughLog2(1 + std::clamp(number, 0.0, 1e18))), yes, distance);
}

void ShiftModel::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kSnapshotVersion), write(tick_), write(full_);
  write(static_cast<std::uint32_t>(operations_.size()));
  for (const Operation& operation : operations_) Operation::visit(operation, write);
}

bool ShiftModel::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  read(tick_), read(full_);
  const auto size = read.get<std::uint32_t>();
  if (size > kMostOperations || (size == 0) != (tick_ == 0)) return false;
  operations_.resize(size);
  for (std::size_t i = 0; i < size; ++i) {
    Operation::visit(operations_[i], read);
    if (!operations_[i].sound()) return false;
    tags_[i] = tagOf(operations_[i].id());
  }
  return read.done();
}

}  // namespace driftlock
