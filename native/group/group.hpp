#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/clock.hpp"
#include "channels/calibration.hpp"
#include "otlp/reader.hpp"

namespace driftlock {

/// What the streams of one resource group share: a clock, and a budget of alarms.
///
/// The budget is divided among the signals of the group in equal parts, and within a signal among all channels of all
/// streams, so that a group with many streams raises no more false alarms than a group with one. Each channel's limit on
/// p-values is reduced accordingly. The alarms that are raised all come from one bank.
class Group {
 public:
  /// @param perStream the alarms per day for which a stream computes its own limits
  /// @param perGroup the alarms per day of all streams of the group; 0 for as many as a stream
  Group(double perStream, double perGroup);

  /// Notes a record of the group by its event time.
  /// @param first whether it is its stream's first of a request
  void observe(std::uint64_t timeUnixNano, bool first) { clock_.observe(timeUnixNano, first); }

  /// Counts channels that judge streams of this signal.
  void join(otlp::Signal signal, std::size_t channels);
  void leave(otlp::Signal signal, std::size_t channels);
  /// The share that a stream with so many channels has of its own limit on p-values.
  double share(otlp::Signal signal, std::size_t channels) const {
    return std::min(1.0, static_cast<double>(channels) * shares_[static_cast<std::size_t>(signal)]);
  }

  /// Asks the budget about a unit of a stream that is strange enough and new.
  /// @param ahead the nanoseconds that have passed since the last record
  /// @param weight see AlarmBudget::judge
  Alarm judge(double p, double limit, std::uint64_t ahead, double weight);
  /// The number of alarms that were withheld.
  std::uint64_t withheld() const { return budget_.withheld(); }

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh group, whose streams join by themselves. Returns false if the bytes are not a snapshot of one; the
  /// group is then unusable.
  bool restore(Bytes in);

 private:
  static constexpr std::size_t kSignals = 3;

  void divide();

  double ratio_;
  StreamClock clock_;
  AlarmBudget budget_;
  std::array<std::size_t, kSignals> channels_{};
  /// The share of each signal's channels.
  std::array<double, kSignals> shares_{};
};

}  // namespace driftlock
