#include "channels/channel.hpp"
#include "base/state_bytes.hpp"
#include "channels/value/value.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

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
    const std::optional<double> value = valueOf(record);
    if (!value) return;
    const std::uint64_t time = record.believed ? record.record.timeUnixNano : record.latest;
    observed_ = *value;
    expected_ = model_.expected(time);
    const ValueResult result = model_.observe(time, *value);
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

  std::size_t memory() const override { return sizeof *this; }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    write(pointUnixNano_), write(pointValue_), write(pointCount_);
    putState(out, model_);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    read(pointUnixNano_), read(pointValue_), read(pointCount_);
    return model_.restore(read.getBytes()) && read.done();
  }

 private:
  /// Returns the point's value; nothing if it has none, or does not cover the time since the last one.
  std::optional<double> valueOf(const Observation& observation) {
    const RecordView& record = observation.record;
    if (!record.hasValue) return {};
    const bool sum = key_.metricType == otlp::MetricType::Sum;
    // If a summary has a sum and a count, they are those of Prometheus: since the process began.
    const bool summary = key_.metricType == otlp::MetricType::Summary;
    if (!summary && !(key_.cumulative && (key_.monotonic || !sum))) return record.value;
    // This is a counter's rate, or the mean of the values of a histogram since its last point. There is none after a
    // reset, or if the point's time is not believed.
    if (!observation.believed && record.timeUnixNano != 0) return {};
    const double seconds = static_cast<double>(record.timeUnixNano - pointUnixNano_) / 1e9;
    const double count = record.count - pointCount_, rise = record.sum - pointValue_;
    const bool continues = pointUnixNano_ != 0 && record.timeUnixNano > pointUnixNano_ && count >= 0 && rise >= 0;
    pointUnixNano_ = record.timeUnixNano;
    pointValue_ = record.sum;
    pointCount_ = record.count;
    if (!continues || (!sum && count == 0)) return {};
    return sum ? rise / seconds : rise / count;
  }

  const StreamKey& key_;
  ValueModel model_;
  /// The last point of a metric that accumulates.
  std::uint64_t pointUnixNano_ = 0;
  double pointValue_ = 0, pointCount_ = 0;

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
