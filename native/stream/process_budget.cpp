#include "stream/process_budget.hpp"

#include <algorithm>

#include "cbad/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr double kDayNanos = 86'400e9;
/// So many times rarer than it must be, and an anomaly may use all that was saved up.
constexpr double kRare = 100;
/// What others leave.
constexpr double kReserve = 0.5;
/// An id of two hashes.
constexpr std::size_t kMostId = 64;

}  // namespace

ProcessBudget::ProcessBudget(double perDay, std::size_t mostWithheld)
    : perDay_(perDay), capacity_(std::max(1.0, perDay)), bank_(capacity_), mostWithheld_(std::max<std::size_t>(1, mostWithheld)) {}

void ProcessBudget::observe(std::uint64_t time) {
  if (time_ != 0 && time > time_) bank_ = std::min(capacity_, bank_ + perDay_ * std::min(1.0, static_cast<double>(time - time_) / kDayNanos));
  if (time != 0) time_ = time;
}

ProcessBudget::Answer ProcessBudget::judge(std::string_view id, std::uint64_t occurrences, double margin) {
  if (perDay_ == 0) return Answer::Told;
  const bool silent = silent_.contains(id);
  if (!silent && occurrences > 1) return Answer::Told;
  if (!spend(margin)) {
    if (!silent) withhold(id);
    return Answer::Withheld;
  }
  return silent_.erase(id) ? Answer::ToldLate : Answer::Told;
}

bool ProcessBudget::spend(double margin) {
  // Half of a bank that holds less than 2 would be no room for anything.
  const double kept = margin >= kRare ? 0 : std::min(capacity_ * kReserve, capacity_ - 1);
  if (bank_ < 1 + kept) return false;
  bank_ -= 1;
  return true;
}

void ProcessBudget::withhold(std::string_view id) {
  withheld_.fetch_add(1, std::memory_order_relaxed);
  if (silent_.size() == mostWithheld_) silent_.erase(silent_.oldest().key);
  silent_.add(id);
}

bool ProcessBudget::end(std::string_view id) { return !silent_.erase(id); }

void ProcessBudget::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(bank_), write(time_);
  write(static_cast<std::uint32_t>(silent_.size()));
  for (auto silent = silent_.rbegin(); silent != silent_.rend(); ++silent) write(silent->key);
}

bool ProcessBudget::restore(Bytes in) {
  StateReader read(in);
  read(bank_), read(time_);
  if (!(bank_ >= 0)) return false;
  bank_ = std::min(bank_, capacity_);
  const auto count = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    std::string id;
    read(id);
    if (id.size() > kMostId || silent_.contains(id)) return false;
    // Without a limit, and beyond what is remembered now, what was withheld goes on as if it had been told.
    if (perDay_ > 0 && count - i <= mostWithheld_) silent_.add(id);
  }
  return read.done();
}

}  // namespace driftlock
