#include "channels/alarm_budget.hpp"

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

/// The least capacity of a bank, in alarms, which is also what it begins with: as many may be raised at once.
constexpr double kLeastCapacity = 3;
constexpr double kDay = 86400;
/// The largest p-value of an anomaly, however rarely units come.
constexpr double kLargestLimit = 0.05;
/// A unit may overdraw the bank by its capacity for each such factor by which it is stranger than it must be, up to a
/// number of capacities.
constexpr double kOverdraft = 100;
constexpr double kMostOverdraft = 2;
/// Seconds that a new stream is assumed to have lasted, so that its first batch does not look like a flood.
constexpr double kGrace = 10;
/// Of a gap between units that come at regular intervals, so many intervals, usual ones or the last one, count as time in
/// which they came.
constexpr double kGap = 3;
/// How many times as much a bank gains in a time that is a guess.
constexpr double kGuessed = 10;
constexpr std::uint8_t kSnapshotVersion = 2;

}  // namespace

AlarmBudget::AlarmBudget(double perDay, bool regular)
    : regular_(regular),
      perDay_(perDay > 0 ? std::clamp(perDay, 0.001, 1e6) : 0.001),
      capacity_(std::max(kLeastCapacity, perDay_)),
      bank_(kLeastCapacity) {}

void AlarmBudget::setPerDay(double perDay) {
  const AlarmBudget fresh(perDay, regular_);
  perDay_ = fresh.perDay_;
  capacity_ = fresh.capacity_;
  bank_ = std::clamp(bank_, -kMostOverdraft * capacity_, capacity_);
}

void AlarmBudget::observe(std::uint64_t timeUnixNano, bool guessed) {
  double passed = 0;
  if (time_ != 0 && timeUnixNano > time_) passed = std::min(kDay, static_cast<double>(timeUnixNano - time_) * 1e-9);
  time_ = std::max(time_, timeUnixNano);
  if (passed > 0) {
    double lasting = passed;
    if (regular_ && units_ > 0) lasting = std::min(passed, kGap * std::max(interval_, (seconds_ + kGrace) / units_));
    interval_ = passed;
    const double x = lasting / kDay;
    const double keep = x < 1e-4 ? 1 - x + x * x / 2 : portableExp(-x);
    units_ *= keep;
    seconds_ = seconds_ * keep + lasting;
    bank_ = std::min(capacity_, bank_ + (guessed ? kGuessed : 1) * perDay_ * passed / kDay);
  }
  units_ += 1;
}

double AlarmBudget::unitsPerDay() const { return units_ / (seconds_ + kGrace) * kDay; }

double AlarmBudget::limit() const { return std::min(kLargestLimit, perDay_ / (2 * std::max(unitsPerDay(), 1.0))); }

Alarm AlarmBudget::judge(double p, double limit, bool related, double weight) {
  if (!(p <= limit)) return Alarm::None;
  if (related) return Alarm::Related;
  if (bank_ < 1 - overdraft(weight * limit / p)) {
    ++withheld_;
    return Alarm::Withheld;
  }
  bank_ -= 1;
  ++raised_;
  return Alarm::Raised;
}

double AlarmBudget::overdraft(double margin) const {
  return capacity_ * std::clamp(portableLog(margin) / portableLog(kOverdraft), 0.0, kMostOverdraft);
}

void AlarmBudget::snapshot(std::vector<std::uint8_t>& out) const {
  put<std::uint8_t>(out, kSnapshotVersion);
  for (const double value : {perDay_, bank_, units_, seconds_, interval_}) putDouble(out, value);
  for (const std::uint64_t value : {time_, raised_, withheld_}) put(out, value);
}

bool AlarmBudget::restore(Bytes in) {
  StateReader read(in);
  if (read.get<std::uint8_t>() != kSnapshotVersion) return false;
  const double perDay = read.getDouble();
  const double bank = read.getDouble();
  const double units = read.getDouble();
  const double seconds = read.getDouble();
  const double interval = read.getDouble();
  AlarmBudget fresh(perDay, regular_);
  fresh.bank_ = bank;
  fresh.units_ = units;
  fresh.seconds_ = seconds;
  fresh.interval_ = interval;
  fresh.time_ = read.get<std::uint64_t>();
  fresh.raised_ = read.get<std::uint64_t>();
  fresh.withheld_ = read.get<std::uint64_t>();
  if (!read.done() || fresh.perDay_ != perDay) return false;
  if (!(bank >= -kMostOverdraft * fresh.capacity_ && bank <= fresh.capacity_)) return false;
  if (!(units >= 0 && units <= 1e18 && seconds >= 0 && seconds <= 1e9 && interval >= 0 && interval <= kDay)) return false;
  // The budget comes from the configuration, not from the snapshot; savings are kept as far as the new budget allows.
  fresh.perDay_ = perDay_;
  fresh.capacity_ = capacity_;
  fresh.bank_ = std::clamp(bank, -kMostOverdraft * capacity_, capacity_);
  *this = fresh;
  return true;
}

}  // namespace driftlock
