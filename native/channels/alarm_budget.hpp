#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock {

/// How a budget judges a unit.
enum class Alarm : std::uint8_t {
  /// The unit is not strange enough.
  None,
  /// The unit is strange enough, but part of an open anomaly: no new alarm.
  Related,
  /// The unit is strange enough and raises an alarm.
  Raised,
  /// The unit is strange enough, but the budget is spent: it is counted and shown, but raises no alarm.
  Withheld,
};

/// Keeps alarms within a number per day of event time, and chooses the strangest.
///
/// A unit (what is scored: a record, a session, a tick) is strange enough when p <= perDay / (2 U), where U is the
/// stream's recent number of units per day, and p <= 1/20: so half the budget is spent by chance if p-values are right.
/// If they are not, a bank limits the damage: it begins with 3, gains `perDay` per day up to a day's worth (at least
/// 3), and an alarm costs 1. The stranger a unit is, the more of a bank that is empty it may overdraw: as much as the bank can
/// hold for each factor of 100 by which it is rarer than it must be, up to twice as much. So what is far stranger gets through
/// whatever came before, and over T days a stream raises at most perDay x (T + 2) + 3 alarms (for perDay >= 3; below
/// that, 9 more than perDay x T), whatever its scores are. Time that is a guess counts ten times in a bank, so that a guess
/// that is too short hides nothing. The idea comes from the alpha-wealth of D. P. Foster, R. A.
/// Stine, Alpha-investing, J. R. Stat. Soc. B 70(2), 2008.
class AlarmBudget {
 public:
  /// @param perDay alarms per day, clamped to [0.001, 1e6].
  /// @param regular whether units come at regular intervals, so that a gap says nothing about how many come per day
  explicit AlarmBudget(double perDay, bool regular = false);

  /// Changes the alarms per day; what is saved beyond the new capacity is lost.
  void setPerDay(double perDay);
  /// Counts a unit at its event time (nanoseconds; time that runs backwards counts as no time).
  /// @param guessed whether the time since the last unit is a guess
  void observe(std::uint64_t timeUnixNano, bool guessed = false);
  /// Judges a unit, which is strange enough if `p` is at most `limit`. `related`: it belongs to an open anomaly.
  /// `weight`: how many times graver than others it is, which counts like rarity once the bank is empty.
  Alarm judge(double p, double limit, bool related, double weight = 1);
  /// Takes back the last alarm, which another budget withheld.
  void refund() {
    bank_ += 1;
    --raised_;
  }

  /// The largest p-value with which one of the observed units is strange enough now.
  double limit() const;
  /// The recent number of units per day.
  double unitsPerDay() const;
  /// The time of the latest unit.
  std::uint64_t time() const { return time_; }
  std::uint64_t raised() const { return raised_; }
  std::uint64_t withheld() const { return withheld_; }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false, and changes nothing, if the bytes are not a snapshot of a budget. `perDay` keeps its configured value.
  bool restore(Bytes in);

 private:
  /// By how much a unit may overdraw the bank that is so many times stranger than it must be.
  double overdraft(double margin) const;

  bool regular_;
  double perDay_;
  double capacity_;
  double bank_;
  std::uint64_t time_ = 0;
  double units_ = 0;     // with exponential forgetting over a day
  double seconds_ = 0;   // with exponential forgetting over a day
  double interval_ = 0;  // the seconds between the latest two units that did not come at once
  std::uint64_t raised_ = 0;
  std::uint64_t withheld_ = 0;
};

}  // namespace driftlock
