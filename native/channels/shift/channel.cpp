#include <string>

#include "base/portable_math.hpp"
#include "channels/channel.hpp"
#include "channels/shift/shift.hpp"
#include "record/call_figures.hpp"
#include "text/quantity.hpp"
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

/// A figure of calls of language models that has changed.
class CallsFinding final : public Finding {
 public:
  explicit CallsFinding(const ShiftFinding& shift) : shift_(shift) {}

  std::uint64_t kind() const override { return (1 + std::uint64_t{shift_.id}) << 8 | static_cast<std::uint64_t>(shift_.kind); }
  Gravity gravity() const override { return shift_.kind == ShiftKind::Errors ? Gravity::Error : Gravity::Normal; }

  void describe(const Texts&, Description& out) const override {
    const ShiftFinding& s = shift_;
    const std::string in = " in " + text::duration(static_cast<double>(s.nanos) / 1e9);
    const auto shares = [&](const std::string& what) {
      out.unit = "1";
      out.sentence = what + ": " + text::percent(s.value) + " of " + std::to_string(s.spans) + in + "; usually " +
                     text::percent(s.low) + " to " + text::percent(s.high);
    };
    out.value = s.value;
    out.range = {s.low, s.high};
    const CallFigure& figure = kCallFigures[s.id];
    out.field = figure.key;
    if (!figure.isNumber()) return shares(std::string(figure.name));
    if (s.kind == ShiftKind::Tail) {
      return shares(std::string(figure.name) + ", above " + text::quantity(numberOf(s.slow, figure)) +
                    std::string(unitOf(figure)));
    }
    out.unit = figure.unit;
    out.value = numberOf(s.value, figure);
    out.range = {numberOf(s.low, figure), numberOf(s.high, figure)};
    const text::Compared shown = text::compared(*out.value, out.range->low, out.range->high);
    text::append(out.sentence, figure.name, ": a mean of ", shown.value, unitOf(figure), in, "; usually ", shown.range,
                 unitOf(figure));
  }

 private:
  static double numberOf(double log, const CallFigure& figure) { return (roughExp2(log) - 1) / figure.scale; }
  /// The unit as it follows a number.
  static std::string_view unitOf(const CallFigure& figure) {
    if (figure.unit == "By") return " bytes";
    if (figure.unit == "bit") return " bits";
    return figure.unit == "s" ? " s" : "";
  }

  ShiftFinding shift_;
};

/// Detects changes in the number, durations and errors of many spans, or in the figures of many calls of language models.
class ShiftChannel final : public Channel {
 public:
  explicit ShiftChannel(bool calls) : calls_(calls) {}

  void observe(Observation&) override {}

  void learn(Observation& record, const Outcome&, Host& host) override {
    if (record.interrupted) model_.interrupt(record.now);
    if (const std::optional<ShiftModel::Tick> tick = model_.advance(record.now)) {
      // The effect of a silence on the tick has already been reported, and the time without a process is missing from it.
      model_.settle(record.resumed || record.interrupted ? ShiftModel::Lesson::None : judge(*tick, host));
    }
    if (calls_) return countCall(record.record);
    if (!record.record.hasDuration) return;
    model_.count(record.id(), record.record.spanKind, record.record.duration, record.record.gravity >= Gravity::Error);
  }

  void judgeAgain(std::uint64_t now, Host& host) override {
    if (const std::optional<ShiftModel::Tick> tick = model_.advance(now)) model_.settle(judge(*tick, host));
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return nullptr; }

  std::size_t memory() const override { return sizeof *this - sizeof model_ + model_.memory(); }
  void snapshot(std::vector<std::uint8_t>& out) const override { model_.snapshot(out); }
  bool restore(Bytes in) override { return model_.restore(in); }

 private:
  /// How many calls there are shows in the spans that they were read from.
  void countCall(const RecordView& call) {
    for (const Field& field : call.fields) {
      const auto id = callFigureOf(field.key);
      if (!id) continue;
      const CallFigure& figure = kCallFigures[*id];
      const double number = figure.isNumber() ? figure.scale * numberOf(field) : 0;
      model_.countFigure(static_cast<std::uint32_t>(*id), number, textOf(field.text) == "yes");
    }
  }

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
    if (calls_) host.raise(tick.end, std::make_unique<CallsFinding>(tick.strangest));
    else host.raise(tick.end, std::make_unique<OperationFinding>(tick.strangest));
    return host.settled() ? ShiftModel::Lesson::Lasting : ShiftModel::Lesson::Usual;
  }

  /// Whether the stream holds calls of language models rather than spans.
  bool calls_;
  ShiftModel model_;
};

}  // namespace

std::unique_ptr<Channel> makeShiftChannel(const ChannelContext& context) {
  const bool calls = context.key.derived == Derived::Calls;
  if (context.key.signal != otlp::Signal::Traces && !calls) return nullptr;
  return std::make_unique<ShiftChannel>(calls);
}

}  // namespace driftlock
