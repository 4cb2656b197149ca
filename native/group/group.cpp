#include "group/group.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {

Group::Group(double perStream, double perGroup)
    : ratio_(perGroup > 0 ? perGroup / perStream : 1), budget_(perGroup > 0 ? perGroup : perStream) {}

void Group::join(otlp::Signal signal, std::size_t channels) {
  channels_[static_cast<std::size_t>(signal)] += channels;
  divide();
}

void Group::leave(otlp::Signal signal, std::size_t channels) {
  channels_[static_cast<std::size_t>(signal)] -= channels;
  divide();
}

void Group::divide() {
  const auto signals = static_cast<double>(std::ranges::count_if(channels_, [](std::size_t each) { return each > 0; }));
  for (std::size_t i = 0; i < kSignals; ++i) {
    shares_[i] = channels_[i] == 0 ? 0 : ratio_ / (signals * static_cast<double>(channels_[i]));
  }
}

Alarm Group::judge(double p, double limit, std::uint64_t ahead, double weight) {
  budget_.observe(clock_.now() + ahead);
  return budget_.judge(p, limit, false, weight);
}

void Group::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  StreamClock::visit(clock_, write);
  putState(out, budget_);
}

bool Group::restore(Bytes in) {
  StateReader read(in);
  StreamClock::visit(clock_, read);
  return budget_.restore(read.getBytes()) && read.done();
}

}  // namespace driftlock
