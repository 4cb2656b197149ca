#pragma once

// The shift channel compares many spans at once: how many there are of an operation, how long they take and how many
// fail, in a tick and in the ticks before.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.hpp"
#include "channels/shift/operation.hpp"

namespace driftlock {

/// The operations of a stream, by name and kind, and all of its spans together. At most 23 operations are known; of more,
/// the busiest. Each has ticks of its own, whose length depends on the number of its spans.
class ShiftModel {
 public:
  static constexpr std::size_t kMostOperations = 24;

  /// A time at which the ticks of some operations end.
  struct Tick {
    /// In nanoseconds.
    std::uint64_t end = 0;
    /// The strangest of the operations. The kind is None if too few ticks are known of all of them.
    ShiftFinding strangest{};
    /// The bits of the others.
    std::array<double, kMostOperations> others{};
    std::size_t size = 0;
  };
  /// Moves the clock, in nanoseconds. Returns the tick that this ended, if any; `settle` must follow.
  std::optional<Tick> advance(std::uint64_t now);

  /// What is learned from the tick that `advance` returned.
  enum class Lesson : std::uint8_t {
    /// Nothing, because it is incomplete.
    None,
    /// Operations that are less than half as strange as the strangest.
    Usual,
    All,
    /// All operations, and soon: the change is there to stay.
    Lasting,
  };
  void settle(Lesson lesson);
  /// Notes that spans before this time were missed: the open ticks are dropped, and those that begin now count as the first.
  void interrupt(std::uint64_t now);
  /// Counts a span, given its duration in nanoseconds. Call `advance` first.
  void count(std::uint32_t id, std::uint8_t spanKind, std::uint64_t nanos, bool error);
  /// Counts a figure of a call of a language model: a number, or whether something is so.
  void countFigure(std::uint32_t id, double number, bool yes);

  std::size_t memory() const { return sizeof *this + operations_.capacity() * sizeof(Operation); }
  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh model. Returns false if the bytes are not a snapshot of one; the model is then unusable.
  bool restore(Bytes in);

 private:
  std::size_t find(std::uint32_t id, std::uint8_t spanKind);

  /// The number of shortest ticks that had passed when the open one began; 0 before the first span.
  std::uint64_t tick_ = 0;
  /// The latest tick in which an operation found no room. Further ones do not look for it until the next, because each look
  /// weighs all operations.
  std::uint64_t full_ = 0;
  /// The first is all spans together.
  std::vector<Operation> operations_;

  // This belongs to the ticks that have just ended, and is no part of the state: what `tick_` will be, whose ticks have
  // ended, and which of these operations are strange.
  std::uint64_t next_ = 0;
  std::uint32_t ended_ = 0, strange_ = 0;
  /// Where an operation was found last, and the tags of the operations, to speed up the search; no part of the state either.
  std::array<std::uint8_t, 64> hints_{};
  std::array<std::uint8_t, kMostOperations> tags_{};
};

}  // namespace driftlock
