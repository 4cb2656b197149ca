#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/recency_table.hpp"
#include "channels/alarm_budget.hpp"

namespace driftlock {

/// Keeps the number of anomalies that all streams together report within a limit per day, and shares it among tenants.
///
/// It is a bank like each stream's (AlarmBudget): it starts with a day's worth, gains a day's worth per day, holds no
/// more, and an anomaly costs 1. Each tenant that was active within a day has an account with an equal share of it.
/// What an account earns beyond its share goes to a pool, from which all may take when their own accounts are empty:
/// what a tenant does not need is lent, but its own share remains. A new tenant gets its share at once, on credit if
/// the pool does not have it; the credit is at most a day's worth, and later earnings repay it. So over T days at most
/// perDay x (T + 2) anomalies are reported, perDay x (T + 1) if no tenant is new (at least 1 at a time).
///
/// The lower half of an account is for anomalies that are at least a hundred times rarer than their stream's limit
/// requires, so that a flood of common ones leaves room for the strange.
///
/// Beside that, each tenant has an allowance of its own, which is no share of anything: it starts with a day's worth of
/// `perTenantPerDay`, gains as much per day and holds no more. It keeps the same half for the rare.
///
/// An early anomaly, which only a young group by itself would find strange enough, is moreover paid from an AlarmBudget
/// that all groups of the tenant share, so that many young groups raise no more such alarms than one. Those of what is derived
/// from calls of language models share another one: what services do otherwise takes nothing from the budget of their agents.
///
/// Streams do not know of it, so what they learn does not depend on other streams. It decides after a request's
/// findings have been joined, in the order of requests and of records, so that nothing depends on threads. A withheld
/// anomaly is judged again with each of its flagged verdicts, and reported once there is room.
class ProcessBudget {
 public:
  /// @param perDay of all tenants together; 0 for no limit.
  /// @param perTenantPerDay of each tenant; 0 for no limit.
  /// @param earlyPerDay of early anomalies, of each tenant.
  /// @param mostWithheld the most open anomalies that are remembered as withheld; each belongs to a stream.
  ProcessBudget(double perDay, double perTenantPerDay, double earlyPerDay, std::size_t mostWithheld);

  /// Sets the current time, in nanoseconds, by a clock of the caller; 0 if it is not known.
  void observe(std::uint64_t time);
  /// Notes a request of the tenant.
  void hear(std::string_view tenant);

  enum class Answer : std::uint8_t {
    /// The anomaly has been reported already, or is reported now without delay.
    Told,
    /// The anomaly was withheld so far and is reported now.
    ToldLate,
    Withheld,
  };
  /// Judges a flagged verdict.
  /// @param occurrences the number of flagged verdicts of its anomaly, including this one
  /// @param margin how many times rarer it is than it must be
  /// @param early see Verdict::early
  /// @param ofCalls whether its stream is derived from calls of language models
  Answer judge(std::string_view tenant, std::string_view id, std::uint64_t occurrences, double margin, double early = 0,
               bool ofCalls = false);
  /// Ends an anomaly. Returns false if it was never reported.
  bool end(std::string_view id);

  /// The numbers of anomalies not reported when they began, for lack of savings of the process, and for lack of the
  /// tenant's allowance; read from other threads.
  std::uint64_t withheld() const { return withheld_.load(std::memory_order_relaxed); }
  std::uint64_t withheldByTenants() const { return withheldByTenants_.load(std::memory_order_relaxed); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh budget, with savings as far as the limit allows. Returns false if the bytes are not a snapshot;
  /// the budget is then unusable.
  bool restore(Bytes in);

 private:
  struct Account {
    double balance = 0, allowance = 0;
    std::uint64_t heardAt = 0;
    /// For early anomalies of the streams of records, and of those that are derived from calls.
    std::array<AlarmBudget, 2> early{AlarmBudget(0), AlarmBudget(0)};
  };
  using Accounts = RecencyTable<std::string, Account>;

  std::array<AlarmBudget, 2> freshEarly() const { return {AlarmBudget(earlyPerDay_), AlarmBudget(earlyPerDay_)}; }
  /// The share of each tenant, at least one anomaly.
  double share(std::size_t tenants) const;
  Account& account(std::string_view tenant);
  void close(Accounts::Entry& entry);
  void earn(double amount);
  double saved() const;
  bool limited() const { return perDay_ > 0 || perTenantPerDay_ > 0; }
  bool allows(Account& account, double margin, double early, bool ofCalls) const;
  bool spend(Account& account, double margin);
  void withhold(std::string_view id, std::atomic<std::uint64_t>& count);

  double perDay_, perTenantPerDay_, earlyPerDay_, capacity_, tenantCapacity_, pool_;
  /// Credit that is not repaid.
  double owed_ = 0;
  std::size_t mostWithheld_;
  std::uint64_t time_ = 0, earnedAt_ = 0;
  std::atomic<std::uint64_t> withheld_{0}, withheldByTenants_{0};
  Accounts accounts_;
  /// The ids of open anomalies that were not reported.
  RecencyTable<std::string, std::monostate> silent_;
};

}  // namespace driftlock
