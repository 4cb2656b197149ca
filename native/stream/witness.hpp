#pragma once

#include <cstdint>

#include "channels/channel_id.hpp"
#include "stream/verdict.hpp"

namespace driftlock {

class Stream;
class Group;

/// What was judged when a verdict was seen.
struct Seen {
  const Verdict& verdict;
  /// For a record: whether it is its stream's first of a request, and whether a silence ends with it.
  bool first = false, resumed = false;
  /// For a unit that is no record: the channel that judges it again, and the stream's clock; otherwise None.
  ChannelId unit = ChannelId::None;
  std::uint64_t now = 0;
};

/// Sees each verdict that may begin an anomaly, or be news in the one that is open, while the stream and its group are as they
/// were before it.
class Witness {
 public:
  virtual void see(const Stream& stream, const Group& group, const Seen& seen) = 0;

 protected:
  ~Witness() = default;
};

}  // namespace driftlock
