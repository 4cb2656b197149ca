#pragma once

#include <cstdint>

#include "base/slot_table.hpp"

namespace driftlock {

/// A value of a SlotTable as it is remembered elsewhere.
struct SlotId {
  std::uint64_t key = 0;
  std::uint32_t slot = UINT32_MAX;
};

/// What is known of a span and of its children, which may come before it. Times are in nanoseconds since 1970.
struct OpenSpan {
  /// The key of its parent; 0 if it has none.
  std::uint64_t parent = 0;
  std::uint64_t start = 0, end = 0;
  /// The place of its operation, or at which its call counts if nobody answers; the operation that answered it; and for a message
  /// the one that sent it.
  SlotId place, answer, sender;
  /// The children that it waits for: the sum of their durations, and the times between which they were running.
  std::uint64_t inChildren = 0, childStart = UINT64_MAX, childEnd = 0;
  /// The time by the tenant's clock at which it or one of its children came last.
  std::uint64_t touched = 0;
  /// OTLP's number of its kind.
  std::uint8_t kind = 0;
  /// Whether it has come itself, whether it counts already, and whether it or one of its children failed.
  bool known = false, counted = false, failed = false, childFailed = false;

  /// Whether it only passes a request or a message on.
  bool isCall() const { return kind == kClient || kind == kProducer; }
  static constexpr std::uint8_t kServer = 2, kClient = 3, kProducer = 4, kConsumer = 5;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor& v) {
    v(self.parent), v(self.start), v(self.end), v(self.place.key), v(self.answer.key), v(self.sender.key);
    v(self.inChildren), v(self.childStart), v(self.childEnd), v(self.touched), v(self.kind);
    v(self.known), v(self.counted), v(self.failed), v(self.childFailed);
  }
  /// Only a span that has come counts, and until then it is in the first order.
  bool sound(std::size_t order) const {
    return end >= start && kind <= kConsumer && (known || !counted) && (known && !counted) == (order == 0);
  }
};

/// The spans of a tenant that may still matter to others: those that will count soon, and those that wait for a span that was
/// named as a parent, or for a message to be received.
using OpenSpans = SlotTable<OpenSpan, 2>;
inline constexpr std::size_t kCounting = 0, kWaiting = 1;

}  // namespace driftlock
