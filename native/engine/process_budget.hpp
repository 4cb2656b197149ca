#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/recency_table.hpp"

namespace driftlock {

/// Keeps the anomalies that are told, by all streams together, within so many per day, and shares them among tenants.
///
/// A bank, as each stream has one (AlarmBudget): it starts with a day's worth, fills by a day's worth per day, holds no more,
/// and an anomaly takes 1 out. Each tenant that was heard within a day has an account with an equal share of it. What an
/// account earns beyond its share goes to a pool, from which all may take when their own accounts are empty: what a tenant
/// does not need is lent, but its own share waits for it. A tenant that is new gets its share at once, on credit if the pool
/// does not have it; the credit is at most a day's worth, and what is earned next repays it. So over T days at most
/// perDay x (T + 2) anomalies are told, perDay x (T + 1) if no tenant is new (at least 1 at a time).
///
/// The lower half of an account is for anomalies that are at least a hundred times rarer than their stream's limit asks for,
/// so that a flood of common ones leaves room for the strange.
///
/// Streams know nothing of it: what they learn does not depend on other streams. It decides where a request's findings join,
/// in the order of requests and of records, so that nothing depends on threads. An anomaly that is withheld is asked for
/// again with each of its flagged verdicts, and told once there is room.
class ProcessBudget {
 public:
  /// @param perDay 0 for no limit.
  /// @param mostWithheld open anomalies that are remembered as withheld; each belongs to a stream.
  ProcessBudget(double perDay, std::size_t mostWithheld);

  /// It is so late now, in nanoseconds, by a clock of the caller's; 0 if that is not known.
  void observe(std::uint64_t time);
  /// A request of that tenant has come.
  void hear(std::string_view tenant);

  enum class Answer : std::uint8_t {
    /// It is told already, or told now as any other report of it.
    Told,
    /// It was withheld so far and is told now.
    ToldLate,
    Withheld,
  };
  /// A flagged verdict. @param occurrences of its anomaly, this one included @param margin how many times rarer it is than it
  /// must be
  Answer judge(std::string_view tenant, std::string_view id, std::uint64_t occurrences, double margin);
  /// An anomaly is over; false where it was never told.
  bool end(std::string_view id);

  /// Anomalies not told when they began; read from other threads.
  std::uint64_t withheld() const { return withheld_.load(std::memory_order_relaxed); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Of a fresh budget: what was saved up goes over as far as the limit allows. False where the bytes are no snapshot; it is
  /// of no use then.
  bool restore(Bytes in);

 private:
  struct Account {
    double balance = 0;
    std::uint64_t heardAt = 0;
  };
  using Accounts = RecencyTable<std::string, Account>;

  /// Of each tenant, at least one anomaly.
  double share(std::size_t tenants) const;
  Account& account(std::string_view tenant);
  void close(Accounts::Entry& entry);
  void earn(double amount);
  double saved() const;
  bool spend(Account& account, double margin);
  void withhold(std::string_view id);

  double perDay_, capacity_, pool_;
  /// Credit that is not repaid.
  double owed_ = 0;
  std::size_t mostWithheld_;
  std::uint64_t time_ = 0, earnedAt_ = 0;
  std::atomic<std::uint64_t> withheld_{0};
  Accounts accounts_;
  /// Ids of anomalies that are open and not told.
  RecencyTable<std::string, std::monostate> silent_;
};

}  // namespace driftlock
