#include "stream/stream.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t kVersion = 13;

template <class Visitor>
void visitKey(auto& key, std::uint8_t& signal, std::uint8_t& type, Visitor& v) {
  v(key.hash), v(key.family), v(key.group), v(signal), v(type), v(key.tenant), v(key.name), v(key.service), v(key.metric);
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
  auto signal = static_cast<std::uint8_t>(key_.signal), type = static_cast<std::uint8_t>(key_.metricType);
  visitKey(key_, signal, type, write);
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
  std::uint8_t version = 0, signal = 0, type = 0;
  StreamKey key;
  in(version);
  if (version != kVersion) return {};
  visitKey(key, signal, type, in);
  if (!in.ok() || signal > static_cast<std::uint8_t>(otlp::Signal::Metrics) ||
      type > static_cast<std::uint8_t>(otlp::MetricType::Summary)) {
    return {};
  }
  key.signal = static_cast<otlp::Signal>(signal);
  key.metricType = static_cast<otlp::MetricType>(type);
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
