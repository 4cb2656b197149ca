#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "bytes.hpp"
#include "stream/recency_table.hpp"

namespace driftlock {

/// Keeps the anomalies that are told of, by all streams together, within so many a day of event time.
///
/// A bank, as each stream has one (AlarmBudget): it starts with a day's worth, fills by a day's worth a day, holds no more,
/// and an anomaly takes 1 out. The lower half is for anomalies that are at least a hundred times rarer than their stream's
/// limit asks for, so that a flood of common ones leaves room for the strange. So over T days at most per_day x (T + 1) are
/// told (at least 1 at a time).
///
/// Streams know nothing of it: what they learn does not depend on other streams. It decides where a request's findings join,
/// in the order of requests and of records, so that nothing depends on threads. An anomaly that is withheld is asked for
/// again with each of its flagged verdicts, and told once there is room.
class ProcessBudget {
 public:
  /// @param perDay 0 for no limit.
  /// @param mostWithheld open anomalies that are remembered as withheld; each belongs to a stream.
  ProcessBudget(double perDay, std::size_t mostWithheld);

  /// Event time, in nanoseconds; 0 where there is none.
  void observe(std::uint64_t timeUnixNano);

  enum class Answer : std::uint8_t {
    /// It is told already, or told now as any other report of it.
    Told,
    /// It was withheld so far and is told now.
    ToldLate,
    Withheld,
  };
  /// A flagged verdict. @param occurrences of its anomaly, this one included @param margin how many times rarer than it must
  /// be
  Answer judge(std::string_view id, std::uint64_t occurrences, double margin);
  /// An anomaly is over; false where it was never told.
  bool end(std::string_view id);

  /// Anomalies not told when they began; read from other threads.
  std::uint64_t withheld() const { return withheld_.load(std::memory_order_relaxed); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh budget: what was saved up goes over as far as the limit allows. False where the bytes are no snapshot; it is
  /// of no use then.
  bool restore(Bytes in);

 private:
  bool spend(double margin);
  void withhold(std::string_view id);

  double perDay_, capacity_, bank_;
  std::size_t mostWithheld_;
  std::uint64_t time_ = 0;
  std::atomic<std::uint64_t> withheld_{0};
  /// Ids of anomalies that are open and not told.
  RecencyTable<std::string, std::monostate> silent_;
};

}  // namespace driftlock
