#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/value/lasting_level.hpp"
#include "channels/value/slow_level.hpp"
#include "channels/value/value.hpp"
#include "text/quantity.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The share of a usual interval below which a point alone is too little to judge.
constexpr double kShort = 0.5;

/// What is judged: the numbers of points as they are, the amount per second, or the mean of the values.
enum class Measure : std::uint8_t { Level, Rate, Mean };

/// An unusual value.
class ValueFinding final : public Finding {
 public:
  /// @param least  no value is less
  ValueFinding(Measure measure, double value, const std::optional<ValueDeviation>& deviation, double least, std::string unit)
      : measure_(measure), value_(value), deviation_(deviation), least_(least), unit_(std::move(unit)) {}

  void describe(const Texts&, Description& out) const override {
    const std::string subject = measure_ == Measure::Rate ? "rate" : measure_ == Measure::Mean ? "mean" : "value";
    const std::string unit = measure_ == Measure::Rate ? " per second" : "";
    out.field = "value";
    out.value = value_;
    out.unit = measure_ == Measure::Rate && !unit_.empty() ? unit_ + "/s" : unit_;
    if (!deviation_) {
      text::append(out.sentence, "The ", subject, " is ", text::quantity(value_), unit,
                   "; it is unusual only together with the latest ones");
      return;
    }
    ValueDeviation d = *deviation_;
    const bool step = d.view == ValueView::Step, rose = d.observed > 0;
    // Ranges are those of values and means; a change leads from the last value.
    const double from = step ? value_ - d.observed : 0;
    // A quantile is estimated, and may lie a little beyond what is possible.
    d.low = std::max(d.low, least_ - from), d.high = std::max(d.high, least_ - from);
    const text::Compared shown = text::compared(d.observed, d.low, d.high);
    if (step && d.observed == 0) {
      text::append(out.sentence, "The ", subject, " stayed at ", text::quantity(value_), unit);
    } else if (step) {
      const std::string change = rose ? shown.value : shown.value.substr(1);
      text::append(out.sentence, "The ", subject, rose ? " rose by " : " fell by ", change, " to ", text::quantity(value_), unit);
    } else if (d.view == ValueView::Mean16 || d.view == ValueView::Mean64) {
      out.field = "mean";
      out.value = d.observed;
      text::append(out.sentence, "The mean of the last ", d.view == ValueView::Mean16 ? "16 " : "64 ", subject, "s is ",
                   shown.value, unit);
    } else {
      text::append(out.sentence, "The ", subject, " is ", shown.value, unit);
    }
    if (d.between) {
      text::append(out.sentence, step ? "; changes between " : "; values between ", text::quantity(d.low), " and ",
                   text::quantity(d.high), " are rare", when(d.view));
      return;
    }
    out.range = {from + d.low, from + d.high};
    if (step && d.low == 0 && d.high == 0) {
      text::append(out.sentence, "; usually it does not change");
    } else {
      text::append(out.sentence, step ? "; usually it changes by " : "; usually ", shown.range, when(d.view));
    }
  }

 private:
  static std::string when(ValueView view) {
    switch (view) {
      case ValueView::Hour: return " at this minute of the hour";
      case ValueView::Day: return " at this time of the day";
      case ValueView::Week: return " at this hour of the week";
      default: return {};
    }
  }

  Measure measure_;
  double value_;
  std::optional<ValueDeviation> deviation_;
  double least_;
  std::string unit_;
};

/// Detects unusual values of metrics: of gauges, of the rates of counters, and of the means of histograms and summaries.
class ValueChannel final : public Channel {
 public:
  explicit ValueChannel(const ChannelContext& context) : key_(context.key), records_(context.records) {}

  void observe(Observation& record) override {
    if (records_) keep();
    record.part = state_.sequence.observe(record.record, record.believed);
    const bool starts = state_.restarted && !std::isfinite(state_.last);
    const std::optional<double> value = valueOf(record.record, record.part);
    if (!value) return;
    // The first rate or mean of a process is that of its start.
    if (starts && state_.measure != Measure::Level) return;
    const bool first = std::exchange(state_.restarted, false);
    const std::uint64_t time = record.believed ? record.record.timeUnixNano : record.latest;
    observed_ = *value;
    ValueResult result = state_.model.observe(time, *value, first || record.part.gap, state_.measure == Measure::Mean);
    // The level at which an instance begins is its own, as if that had been told already.
    if (first && state_.measure == Measure::Level) result.score = result.lesson = 0;
    const std::optional<double> fromSlowMean = state_.level.observe(time, *value);
    const double lasting = fromSlowMean ? state_.lasting.observe(*fromSlowMean, state_.level.knowsDay()) : 0;
    if (!result.scored || result.learning) return;
    deviation_ = result.deviation;
    record.scores.add({.channel = ChannelId::Value,
                       .score = result.score,
                       .bits = result.rarityBits,
                       .usualBits = result.usualBits,
                       .lesson = result.lesson,
                       .early = true,
                       .calibrated = true,
                       .deviation = beyond(),
                       .fromSlowMean = fromSlowMean,
                       .lasting = lasting});
  }

  /// The model learns as it observes.
  void learn(Observation&, const Outcome&, Host&) override { kept_ = false; }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    // By OpenTelemetry's data model, the values whose sum a histogram or summary states are not negative.
    const bool positive = state_.measure == Measure::Mean || (state_.measure == Measure::Rate && record->record.monotonic);
    const double least = positive && observed_ >= 0 ? 0 : -std::numeric_limits<double>::infinity();
    return std::make_unique<ValueFinding>(state_.measure, observed_, deviation_, least, metricUnit(record->record));
  }

  void succeed() override {
    state_.sequence.restart();
    if (state_.measure == Measure::Level) state_.level.restart();
    state_.last = std::numeric_limits<double>::infinity();
    state_.restarted = true;
  }

  /// A value that is too high is another finding than one that is too low.
  std::uint64_t kind(const Observation&) const override { return deviation_ && deviation_->observed > deviation_->high ? 1 : 0; }

  std::size_t memory() const override { return sizeof *this; }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    const State& state = kept_ ? kept() : state_;
    StateWriter write(out);
    PointSequence::visit(state.sequence, write);
    write(static_cast<std::uint8_t>(state.measure)), write(state.last), write(state.restarted);
    SlowLevel::visit(state.level, write), LastingLevel::visit(state.lasting, write);
    putState(out, state.model);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    PointSequence::visit(state_.sequence, read);
    std::uint8_t measure = 0;
    read(measure), read(state_.last), read(state_.restarted);
    SlowLevel::visit(state_.level, read), LastingLevel::visit(state_.lasting, read);
    if (measure > static_cast<std::uint8_t>(Measure::Mean)) return false;
    state_.measure = static_cast<Measure>(measure);
    return state_.model.restore(read.getBytes()) && read.done();
  }

 private:
  /// The deviation in values, as people see it; none if there is no range, or if the value lies within one.
  std::optional<Deviation> beyond() const {
    if (!deviation_ || deviation_->between) return {};
    const auto& [view, observed, low, high, between] = *deviation_;
    const double from = view == ValueView::Step ? observed_ - observed : 0;
    return Deviation{.observed = from + observed, .low = from + low, .high = from + high};
  }

  Measure measureOf(const RecordView& record) const {
    const bool number = key_.metricType == otlp::MetricType::Gauge || key_.metricType == otlp::MetricType::Sum;
    return !number ? Measure::Mean : record.accounting == Accounting::Level ? Measure::Level : Measure::Rate;
  }

  /// Returns the value to judge; nothing if the point has none, or if it is not known what time it covers.
  std::optional<double> valueOf(const RecordView& record, const PointPart& part) {
    if (!record.hasValue || !part.known()) return {};
    if (const Measure measure = measureOf(record); measure != state_.measure) {
      // A sum that may fall has changed its temporality: its levels and its changes have nothing in common.
      state_.measure = measure;
      state_.model = ValueModel();
      state_.level = SlowLevel();
      state_.lasting = LastingLevel();
      state_.last = std::numeric_limits<double>::infinity();
    }
    if (state_.measure == Measure::Level) return part.sum;
    const double amount = state_.measure == Measure::Rate ? part.seconds : part.count;
    if (!(amount > 0)) return {};
    const double value = part.sum / amount;
    // A short interval, such as the last one of a process, says little: the last value stands for the rest of a usual one.
    const bool little = part.share < kShort && std::isfinite(state_.last);
    state_.last = little ? part.share * value + (1 - part.share) * state_.last : value;
    return state_.last;
  }

  struct State {
    PointSequence sequence{};
    Measure measure = Measure::Level;
    ValueModel model{};
    SlowLevel level{};
    LastingLevel lasting{};
    /// The last rate or mean; infinite before any.
    double last = std::numeric_limits<double>::infinity();
    /// Whether the next value is the first of another instance, so that its change since the last one means nothing.
    bool restarted = false;
  };
  /// A copy of the state from before the current point, in the thread's memory: there is one at a time.
  static State& kept() {
    thread_local State state;
    return state;
  }
  void keep() {
    kept() = state_;
    kept_ = true;
  }

  const StreamKey& key_;
  bool records_, kept_ = false;
  State state_;

  // These belong to the current record.
  double observed_ = 0;
  std::optional<ValueDeviation> deviation_;
};

}  // namespace

std::unique_ptr<Channel> makeValueChannel(const ChannelContext& context) {
  if (context.key.signal != otlp::Signal::Metrics) return nullptr;
  return std::make_unique<ValueChannel>(context);
}

}  // namespace driftlock
