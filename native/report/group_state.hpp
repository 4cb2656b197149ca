#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "group/group.hpp"
#include "record/stream_key.hpp"
#include "report/report.hpp"
#include "stream/anomalies.hpp"
#include "stream/settings.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

/// A resource group with its anomalies, apart from the streams that it consists of.
struct GroupState {
  GroupState(const Settings& settings, StreamKey key, const KeyedHash& hash);

  /// Returns the verdict on a tick, with a finding that names the members.
  /// @param members those that are known, in the order of the tick
  Event eventOf(const StrangeTick& tick, std::vector<NamedMember> members) const;
  /// Counts a flagged verdict in the group's open anomaly.
  Growth grow(const Verdict& verdict, std::uint32_t severity, std::uint64_t finding);
  /// Counts the flagged verdict on a tick in the group's anomaly, which may begin with it.
  Growth grow(const Event& event, std::uint64_t seed);
  /// Completes a report of the tick that was counted last.
  void describe(Event& event, const Growth& growth, Report& report) const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh group. Returns false if the bytes are not a snapshot of one; it is then unusable.
  bool restore(Bytes in);

  Group group;
  /// What reports of the group show in place of a stream.
  StreamKey key;
  KeyedHash hash;
  Anomalies anomalies;
};

}  // namespace driftlock
