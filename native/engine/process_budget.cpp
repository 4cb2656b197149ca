#include "engine/process_budget.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kDay = 86'400 * kSecond;
/// The margin from which an anomaly may use all savings: how many times rarer it is than it must be.
constexpr double kRare = 100;
/// The share of an account, and of an allowance, that other anomalies must leave.
constexpr double kReserve = 0.5;
/// How far sums of savings may exceed their limit because they are rounded.
constexpr double kRounding = 1e-9;
/// The longest id of an anomaly.
constexpr std::size_t kMostId = 64;
/// What an anomaly that is so many times rarer than it must be leaves of savings of this capacity. Half of savings of less than
/// 2 would not suffice for one anomaly.
double kept(double capacity, double margin) { return margin >= kRare ? 0 : std::min(capacity * kReserve, capacity - 1); }

/// The most tenants with an account. Beyond it, the least recently active tenant counts as new when it returns.
constexpr std::size_t kMostTenants = 10'000;

}  // namespace

ProcessBudget::ProcessBudget(double perDay, double perTenantPerDay, double earlyPerDay, std::size_t mostWithheld)
    : perDay_(perDay),
      perTenantPerDay_(perTenantPerDay),
      earlyPerDay_(earlyPerDay),
      capacity_(std::max(1.0, perDay)),
      tenantCapacity_(std::max(1.0, perTenantPerDay)),
      pool_(capacity_),
      mostWithheld_(std::max<std::size_t>(1, mostWithheld)) {}

void ProcessBudget::observe(std::uint64_t time) {
  if (time == 0) return;
  // A clock that runs backwards does not show how much time has passed.
  if (time_ == 0 || time < time_) earnedAt_ = time;
  time_ = time;
  // This visits all accounts, so it is not done for every request.
  const std::uint64_t passed = time - earnedAt_;
  if (passed < kSecond) return;
  earnedAt_ = time;
  while (!accounts_.empty() && time > accounts_.oldest().value.heardAt && time - accounts_.oldest().value.heardAt > kDay)
    close(accounts_.oldest());
  const double days = std::min(1.0, static_cast<double>(passed) / static_cast<double>(kDay));
  for (auto& [name, account] : accounts_) {
    account.allowance = std::min(tenantCapacity_, account.allowance + perTenantPerDay_ * days);
    for (AlarmBudget& early : account.early) early.observe(time);
  }
  earn(perDay_ * days);
}

void ProcessBudget::hear(std::string_view tenant) {
  if (limited()) account(tenant);
}

double ProcessBudget::share(std::size_t tenants) const {
  return std::max(1.0, capacity_ / static_cast<double>(std::max<std::size_t>(1, tenants)));
}

ProcessBudget::Account& ProcessBudget::account(std::string_view tenant) {
  if (auto* known = accounts_.use(tenant)) {
    known->value.heardAt = time_;
    return known->value;
  }
  if (accounts_.size() == kMostTenants) close(accounts_.oldest());
  const double own = share(accounts_.size() + 1);
  // Shares have become smaller: the newcomer first receives what others have beyond theirs, then credit.
  if (pool_ < own) {
    for (auto& [name, other] : accounts_) {
      pool_ += std::max(0.0, other.balance - own);
      other.balance = std::min(other.balance, own);
    }
  }
  Account& fresh = accounts_.add(tenant, {.allowance = tenantCapacity_, .heardAt = time_, .early = freshEarly()}).value;
  for (AlarmBudget& early : fresh.early) early.observe(time_);
  fresh.balance = std::min(own, pool_);
  pool_ -= fresh.balance;
  const double credit = std::min(own - fresh.balance, capacity_ - owed_);
  fresh.balance += credit;
  owed_ += credit;
  return fresh;
}

void ProcessBudget::close(Accounts::Entry& entry) {
  pool_ += entry.value.balance;
  accounts_.erase(entry.key);
}

double ProcessBudget::saved() const {
  double sum = pool_;
  for (const auto& [name, account] : accounts_) sum += account.balance;
  return sum;
}

void ProcessBudget::earn(double amount) {
  const double repaid = std::min(amount, owed_);
  owed_ -= repaid;
  amount = std::min(amount - repaid, capacity_ - saved());
  if (amount <= 0) return;
  const double most = share(accounts_.size()), each = amount / static_cast<double>(std::max<std::size_t>(1, accounts_.size()));
  for (auto& [name, account] : accounts_) {
    const double taken = std::clamp(most - account.balance, 0.0, each);
    account.balance += taken;
    amount -= taken;
  }
  pool_ += std::max(0.0, amount);
}

ProcessBudget::Answer ProcessBudget::judge(std::string_view tenant, std::string_view id, std::uint64_t occurrences, double margin,
                                           double early, bool ofCalls) {
  if (!limited()) return Answer::Told;
  const bool silent = silent_.contains(id);
  if (!silent && occurrences > 1) return Answer::Told;
  Account& own = account(tenant);
  const bool allowed = allows(own, margin, early, ofCalls);
  if (!allowed || !spend(own, margin)) {
    if (!silent) withhold(id, allowed ? withheld_ : withheldByTenants_);
    return Answer::Withheld;
  }
  if (perTenantPerDay_ > 0) own.allowance -= 1;
  return silent_.erase(id) ? Answer::ToldLate : Answer::Told;
}

bool ProcessBudget::allows(Account& account, double margin, double early, bool ofCalls) const {
  if (perTenantPerDay_ == 0) return true;
  if (account.allowance - kept(tenantCapacity_, margin) < 1) return false;
  return early == 0 || account.early[ofCalls].judge(1 / early, 1, false) == Alarm::Raised;
}

bool ProcessBudget::spend(Account& account, double margin) {
  if (perDay_ == 0) return true;
  const double free = std::max(0.0, account.balance - kept(share(accounts_.size()), margin));
  if (free + pool_ < 1) return false;
  const double taken = std::min(1.0, free);
  account.balance -= taken;
  pool_ = std::max(0.0, pool_ - (1 - taken));
  return true;
}

void ProcessBudget::withhold(std::string_view id, std::atomic<std::uint64_t>& count) {
  count.fetch_add(1, std::memory_order_relaxed);
  if (silent_.size() == mostWithheld_) silent_.erase(silent_.oldest().key);
  silent_.add(id);
}

bool ProcessBudget::end(std::string_view id) { return !silent_.erase(id); }

void ProcessBudget::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(pool_), write(owed_), write(time_), write(earnedAt_);
  write(static_cast<std::uint32_t>(accounts_.size()));
  for (auto entry = accounts_.rbegin(); entry != accounts_.rend(); ++entry) {
    write(entry->key), write(entry->value.balance), write(entry->value.allowance), write(entry->value.heardAt);
    for (const AlarmBudget& early : entry->value.early) putState(out, early);
  }
  write(static_cast<std::uint32_t>(silent_.size()));
  for (auto silent = silent_.rbegin(); silent != silent_.rend(); ++silent) write(silent->key);
}

bool ProcessBudget::restore(Bytes in) {
  StateReader read(in);
  read(pool_), read(owed_), read(time_), read(earnedAt_);
  if (!(pool_ >= 0 && owed_ >= 0) || earnedAt_ > time_) return false;
  owed_ = std::min(owed_, capacity_);
  const auto accounts = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < accounts && read.ok(); ++i) {
    std::string tenant;
    Account account{.early = freshEarly()};
    read(tenant), read(account.balance), read(account.allowance), read(account.heardAt);
    for (AlarmBudget& early : account.early)
      if (!early.restore(read.getBytes())) return false;
    account.allowance = std::min(account.allowance, tenantCapacity_);
    if (!(account.balance >= 0 && account.allowance >= 0) || accounts_.size() == kMostTenants || accounts_.contains(tenant))
      return false;
    accounts_.add(tenant, account);
  }
  // Savings under a larger limit are reduced. Those under the same limit exceed it by what was rounded at most, and stay as they
  // are.
  if (const double all = saved(); all > (capacity_ + owed_) * (1 + kRounding)) {
    const double kept = capacity_ / all;
    pool_ *= kept;
    for (auto& [name, account] : accounts_) account.balance *= kept;
  }
  const auto count = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string id;
    read(id);
    if (id.size() > kMostId || silent_.contains(id)) return false;
    // If there is no limit, or more than can be remembered now, a withheld anomaly is treated as if it had been reported.
    if (limited() && count - i <= mostWithheld_) silent_.add(id);
  }
  return read.done();
}

}  // namespace driftlock
