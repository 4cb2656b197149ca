#include "channels/channel.hpp"

namespace driftlock {

Channels makeChannels(const ChannelContext& context) {
  Channels channels;
#define CHANNEL(id, name, number, unit, law) channels[indexOf(ChannelId::id)] = make##id##Channel(context);
#include "channels/registry.def"
#undef CHANNEL
  return channels;
}

}  // namespace driftlock
