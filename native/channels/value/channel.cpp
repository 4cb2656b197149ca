#include <cmath>
#include <limits>
#include <optional>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/value/value.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The share of a usual interval below which a point alone is too little to judge.
constexpr double kShort = 0.5;

/// A value outside of the expected range.
class ValueFinding final : public Finding {
 public:
  ValueFinding(double observed, const ValueRange& range) : observed_(observed), range_(range) {}

  void describe(const Texts&, Description& out) const override {
    out.field = "value";
    out.range = {range_.low, range_.high};
    out.sentence =
        text::format("The value is %.6g where %.6g to %.6g is usual; it costs %.1f bits where strange values here cost %.1f",
                     observed_, range_.low, range_.high, out.bits, out.usualBits);
  }

 private:
  double observed_;
  ValueRange range_;
};

/// Detects unusual values of metrics: of gauges, of the rates of counters, and of the means of histograms and summaries.
class ValueChannel final : public Channel {
 public:
  explicit ValueChannel(const StreamKey& key) : key_(key) {}

  void observe(Observation& record) override {
    record.part = sequence_.observe(record.record, record.believed);
    const std::optional<double> value = valueOf(record.record, record.part);
    if (!value) return;
    const std::uint64_t time = record.believed ? record.record.timeUnixNano : record.latest;
    observed_ = *value;
    expected_ = model_.expected(time);
    const ValueResult result = model_.observe(time, *value, record.part.gap);
    if (!result.scored) return;
    record.scores.add({.channel = ChannelId::Value,
                       .score = result.score,
                       .bits = result.rarityBits,
                       .usualBits = result.usualBits,
                       .early = true,
                       .calibrated = true});
  }

  /// The model learns as it observes.
  void learn(Observation&, const Outcome&, Host&) override {}

  std::unique_ptr<Finding> find(const Observation*) const override {
    return std::make_unique<ValueFinding>(observed_, expected_);
  }

  /// A value that is too high is another finding than one that is too low.
  std::uint64_t kind(const Observation&) const override { return observed_ > expected_.high ? 1 : 0; }

  std::size_t memory() const override { return sizeof *this; }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    PointSequence::visit(sequence_, write);
    write(static_cast<std::uint8_t>(measure_)), write(last_);
    putState(out, model_);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    PointSequence::visit(sequence_, read);
    std::uint8_t measure = 0;
    read(measure), read(last_);
    if (measure > static_cast<std::uint8_t>(Measure::Mean)) return false;
    measure_ = static_cast<Measure>(measure);
    return model_.restore(read.getBytes()) && read.done();
  }

 private:
  /// What is judged: the numbers of points as they are, the amount per second, or the mean of the values.
  enum class Measure : std::uint8_t { Level, Rate, Mean };

  Measure measureOf(const RecordView& record) const {
    const bool number = key_.metricType == otlp::MetricType::Gauge || key_.metricType == otlp::MetricType::Sum;
    return !number ? Measure::Mean : record.accounting == Accounting::Level ? Measure::Level : Measure::Rate;
  }

  /// Returns the value to judge; nothing if the point has none, or if it is not known what time it covers.
  std::optional<double> valueOf(const RecordView& record, const PointPart& part) {
    if (!record.hasValue || !part.known()) return {};
    if (const Measure measure = measureOf(record); measure != measure_) {
      // A sum that may fall has changed its temporality: its levels and its changes have nothing in common.
      measure_ = measure;
      model_ = ValueModel();
      last_ = std::numeric_limits<double>::infinity();
    }
    if (measure_ == Measure::Level) return part.sum;
    const double amount = measure_ == Measure::Rate ? part.seconds : part.count;
    if (!(amount > 0)) return {};
    const double value = part.sum / amount;
    // A short interval, such as the last one of a process, says little: the last value stands for the rest of a usual one.
    const bool little = part.share < kShort && std::isfinite(last_);
    last_ = little ? part.share * value + (1 - part.share) * last_ : value;
    return last_;
  }

  const StreamKey& key_;
  PointSequence sequence_;
  Measure measure_ = Measure::Level;
  ValueModel model_;
  /// The last rate or mean; infinite before any.
  double last_ = std::numeric_limits<double>::infinity();

  // These belong to the current record.
  double observed_ = 0;
  ValueRange expected_;
};

}  // namespace

std::unique_ptr<Channel> makeValueChannel(const ChannelContext& context) {
  if (context.key.signal != otlp::Signal::Metrics) return nullptr;
  return std::make_unique<ValueChannel>(context.key);
}

}  // namespace driftlock
