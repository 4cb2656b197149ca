#include <string>

#include "base/portable_math.hpp"
#include "channels/channel.hpp"
#include "channels/shift/shift.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// An operation whose spans have changed, or all spans of a stream.
class OperationFinding final : public Finding {
 public:
  explicit OperationFinding(const ShiftFinding& shift) : shift_(shift) {}

  std::uint64_t kind() const override {
    const std::uint64_t of = shift_.total ? 0 : 1 + std::uint64_t{shift_.id};
    return of << 16 | std::uint64_t{shift_.spanKind} << 8 | static_cast<std::uint64_t>(shift_.kind);
  }
  Gravity gravity() const override { return shift_.kind == ShiftKind::Errors ? Gravity::Error : Gravity::Normal; }

  void describe(const Texts& texts, Description& out) const override {
    const ShiftFinding& s = shift_;
    const std::string spans = who(texts), in = " in " + text::duration(static_cast<double>(s.nanos) / 1e9);
    const auto shares = [&] {
      return text::percent(s.value) + " of " + std::to_string(s.spans) + in + "; usually " + text::percent(s.low) + " to " +
             text::percent(s.high);
    };
    out.value = s.value;
    out.unit = "1";
    out.range = {s.low, s.high};
    switch (s.kind) {
      case ShiftKind::Slower:
      case ShiftKind::Faster:
        out.field = "duration";
        if (s.total) {
          // Logarithms of how many times as long as usual.
          const double low = portableExp(kLn2 * s.low), high = portableExp(kLn2 * s.high);
          const double times = portableExp(kLn2 * s.value);
          out.value = times;
          out.range = {low, high};
          out.sentence = spans + text::format(" took %.2f times as long as usual for their operations", times) + in +
                         text::format("; usually %.2f to %.2f times", low, high);
          break;
        }
        out.value = nanosOf(s.value);
        out.unit = "ns";
        out.range = {nanosOf(s.low), nanosOf(s.high)};
        out.sentence = spans + " took a mean of " + milliseconds(s.value) + in + "; usually " + milliseconds(s.low) + " to " +
                       milliseconds(s.high);
        break;
      case ShiftKind::Tail:
        out.field = "duration";
        out.sentence = s.total ? spans + " took unusually long: " + shares()
                               : spans + " took longer than " + milliseconds(s.slow) + ": " + shares();
        break;
      case ShiftKind::Errors:
        out.field = "status";
        out.sentence = spans + " failed: " + shares();
        break;
      case ShiftKind::More:
      case ShiftKind::Fewer:
        out.field = "count";
        out.unit = "{span}";
        out.sentence = spans + text::format(": %.0f", s.value) + in + text::format("; usually %.1f to %.1f", s.low, s.high);
        break;
      case ShiftKind::None: out.sentence = spans + " have changed";
    }
  }

 private:
  static double nanosOf(double log) { return roughExp2(log) - 1; }
  static std::string milliseconds(double log) { return text::format("%.3g ms", nanosOf(log) / 1e6); }

  /// Returns the subject of the sentence.
  std::string who(const Texts& texts) const {
    if (shift_.total) return "All spans of the stream";
    const std::string name = texts.ofTemplate(shift_.id);
    const std::string spans = name.empty() ? "Spans of one operation" : "Spans of " + text::quoted(name);
    return shift_.spanKind == 0 ? spans : spans + " (" + std::string(spanKindName(shift_.spanKind)) + ")";
  }

  ShiftFinding shift_;
};

double millisOf(double log) { return (roughExp2(log) - 1) / 1e6; }

Deviation deviationOf(const ShiftFinding& shift) {
  using Of = Deviation::Of;
  switch (shift.kind) {
    case ShiftKind::Slower:
    case ShiftKind::Faster:
      if (!shift.total) return {Of::Value, millisOf(shift.value), millisOf(shift.low), millisOf(shift.high)};
      break;
    case ShiftKind::More:
    case ShiftKind::Fewer: return {Of::Records, shift.value, shift.low, shift.high};
    default: break;
  }
  return {Of::Share, shift.value, shift.low, shift.high};
}

/// Detects changes in the number, durations and errors of many spans.
class ShiftChannel final : public Channel {
 public:
  void observe(Observation&) override {}

  void learn(Observation& record, const Outcome&, Host& host) override {
    if (record.interrupted) model_.interrupt(record.now);
    if (const std::optional<ShiftModel::Tick> tick = model_.advance(record.now)) {
      // The effect of a silence on the tick has already been reported, and the time without a process is missing from it.
      model_.settle(record.resumed || record.interrupted ? ShiftModel::Lesson::None : judge(*tick, host));
    }
    if (!record.record.hasDuration) return;
    model_.count(record.id(), record.record.spanKind, record.record.duration, record.record.gravity >= Gravity::Error);
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return nullptr; }

  std::size_t memory() const override { return sizeof *this - sizeof model_ + model_.memory(); }
  void snapshot(std::vector<std::uint8_t>& out) const override { model_.snapshot(out); }
  bool restore(Bytes in) override { return model_.restore(in); }

 private:
  ShiftModel::Lesson judge(const ShiftModel::Tick& tick, Host& host) const {
    if (tick.strangest.kind == ShiftKind::None || !host.calibrating()) return ShiftModel::Lesson::All;
    const auto score = [](double bits) { return Score{.channel = ChannelId::Shift, .score = bits, .bits = bits}; };
    Score strangest = score(tick.strangest.bits);
    strangest.deviation = deviationOf(tick.strangest);
    const Outcome outcome = host.judge(strangest);
    if (!outcome.flagged) {
      for (std::size_t i = 0; i < tick.size; ++i) host.calibrate(score(tick.others[i]));
    }
    if (!outcome.flagged) return ShiftModel::Lesson::All;
    host.raise(tick.end, std::make_unique<OperationFinding>(tick.strangest));
    return host.settled() ? ShiftModel::Lesson::Lasting : ShiftModel::Lesson::Usual;
  }

  ShiftModel model_;
};

}  // namespace

std::unique_ptr<Channel> makeShiftChannel(const ChannelContext& context) {
  if (context.key.signal != otlp::Signal::Traces) return nullptr;
  return std::make_unique<ShiftChannel>();
}

}  // namespace driftlock
