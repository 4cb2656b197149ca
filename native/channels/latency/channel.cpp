#include <algorithm>
#include <array>
#include <vector>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/latency/latency.hpp"
#include "text/quantity.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMostOperations = 64;

double millis(auto nanos) { return static_cast<double>(nanos) / 1e6; }

/// A span that took a longer or shorter time than usual.
class LatencyFinding final : public Finding {
 public:
  LatencyFinding(std::uint64_t nanos, double low, double high) : nanos_(nanos), low_(low), high_(high) {}

  void describe(const Texts&, Description& out) const override {
    out.field = "duration";
    const auto took = static_cast<double>(nanos_);
    out.value = took;
    out.unit = "ns";
    // Durations have one unit in a sentence, so that they compare at a glance.
    const double unit = low_ < 1e9 ? 1e6 : 1e9;
    const std::string unitName = low_ < 1e9 ? " ms" : " s";
    const text::Compared shown = text::compared(took / unit, low_ / unit, high_ / unit);
    text::append(out.sentence, "The span took ", shown.value, unitName);
    if (took >= low_ && took <= high_) return;
    out.range = {low_, high_};
    text::append(out.sentence, "; usually ", shown.range, unitName);
  }

 private:
  std::uint64_t nanos_;
  double low_, high_;
};

/// Detects unusual durations of spans, by their names.
class LatencyChannel final : public Channel {
 public:
  void observe(Observation& record) override {
    current_ = nullptr;
    if (!record.record.hasDuration) return;
    Operation* const found = find(record.content.templateHash);
    if (!found) return;
    current_ = &found->latency;
    before_ = *current_;
    octaves_ = LatencyModel::octavesOf(static_cast<double>(std::max<std::uint64_t>(record.record.duration, 1)));
    // What fails may end early, and says nothing of how long the operation takes. What fails late has been waited for.
    if (record.record.gravity >= Gravity::Error && current_->isShort(octaves_)) {
      current_ = nullptr;
      return;
    }
    const double bits = current_->cost(octaves_);
    Score& score = record.scores.add({.channel = ChannelId::Latency, .score = bits, .bits = bits, .early = true});
    if (record.measured)
      score.deviation =
          Deviation{.observed = millis(record.record.duration), .low = millis(before_.low()), .high = millis(before_.high())};
  }

  void learn(Observation&, const Outcome& outcome, Host& host) override {
    if (!current_ || (outcome.flagged && !outcome.pardoned && !host.settled())) return;
    current_->learn(octaves_, outcome.strange && !outcome.pardoned);
  }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    return std::make_unique<LatencyFinding>(record->record.duration, before_.low(), before_.high());
  }

  std::size_t memory() const override { return sizeof *this + operations_.capacity() * sizeof(Operation); }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    put(out, static_cast<std::uint32_t>(operations_.size()));
    for (const Operation& operation : operations_) Operation::visit(operation, write);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    const auto size = read.get<std::uint32_t>();
    if (size > kMostOperations) return false;
    operations_.resize(size);
    for (Operation& operation : operations_) Operation::visit(operation, read);
    return read.done();
  }

 private:
  struct Operation {
    std::uint64_t hash = 0;
    LatencyModel latency{};

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.hash), v(self.latency.mean), v(self.latency.above), v(self.latency.below), v(self.latency.tail);
      v(self.latency.count);
    }
  };
  /// Finds the operation of a name; null if there is no room for it.
  Operation* find(std::uint64_t name) {
    std::uint8_t& hint = hints_[name % hints_.size()];
    if (hint < operations_.size() && operations_[hint].hash == name) return &operations_[hint];
    const auto found = std::ranges::find(operations_, name, &Operation::hash);
    hint = static_cast<std::uint8_t>(found - operations_.begin());
    if (found != operations_.end()) return &*found;
    return operations_.size() < kMostOperations ? &operations_.emplace_back(Operation{name, {}}) : nullptr;
  }

  std::vector<Operation> operations_;
  /// Where an operation was found last, to speed up the search; no part of the state.
  std::array<std::uint8_t, 64> hints_{};

  // The latencies of the current span's name, null if there is no room for them, and a copy from before the span.
  LatencyModel* current_ = nullptr;
  LatencyModel before_;
  /// log2 of the current span's duration.
  float octaves_ = 0;
};

}  // namespace

std::unique_ptr<Channel> makeLatencyChannel(const ChannelContext& context) {
  if (context.key.signal != otlp::Signal::Traces) return nullptr;
  return std::make_unique<LatencyChannel>();
}

}  // namespace driftlock
