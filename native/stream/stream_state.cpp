#include "stream/stream.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t kVersion = 15;

template <class Visitor>
void visitKey(auto& key, std::uint8_t& signal, std::uint8_t& type, std::uint8_t& derived, Visitor& v) {
  v(key.hash), v(key.family), v(key.group), v(signal), v(type), v(derived), v(key.tenant), v(key.name), v(key.service),
      v(key.metric);
  v(key.groupName), v(key.instance);
}

}  // namespace

template <class Self, class Visitor>
void Stream::visit(Self& self, Visitor& v) {
  v(self.silentAfter_), v(self.silentAgain_);
  StreamClock::visit(self.clock_, v);
}

void Stream::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kVersion);
  auto signal = static_cast<std::uint8_t>(key_.signal), type = static_cast<std::uint8_t>(key_.metricType),
       derived = static_cast<std::uint8_t>(key_.derived);
  visitKey(key_, signal, type, derived, write);
  visit(*this, write);
  putState(out, judge_);
  putState(out, windows_);
  putState(out, anomalies_);
  putState(out, silence_);
  for (const auto& channel : channels_) {
    if (channel) putState(out, *channel);
  }
}

std::optional<StreamKey> Stream::keyOf(StateReader& in) {
  std::uint8_t version = 0, signal = 0, type = 0, derived = 0;
  StreamKey key;
  in(version);
  if (version != kVersion) return {};
  visitKey(key, signal, type, derived, in);
  if (!in.ok() || signal > static_cast<std::uint8_t>(otlp::Signal::Metrics) ||
      type > static_cast<std::uint8_t>(otlp::MetricType::Summary) || derived > static_cast<std::uint8_t>(Derived::Calls)) {
    return {};
  }
  key.signal = static_cast<otlp::Signal>(signal);
  key.metricType = static_cast<otlp::MetricType>(type);
  key.derived = static_cast<Derived>(derived);
  return key;
}

bool Stream::restore(StateReader& in) {
  visit(*this, in);
  if (!judge_.restore(in.getBytes()) || !windows_.restore(in.getBytes(), key_, seen()) ||
      !anomalies_.restore(in.getBytes(), key_) || !silence_.restore(in.getBytes())) {
    return false;
  }
  for (const auto& channel : channels_) {
    if (channel && !channel->restore(in.getBytes())) return false;
  }
  return in.done();
}

}  // namespace driftlock
