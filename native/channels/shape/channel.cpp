#include "channels/channel.hpp"
#include "base/state_bytes.hpp"
#include "channels/shape/shape.hpp"
#include "text/quantity.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// Of a histogram, more values above an edge, or fewer at most that, are a deviation upwards.
Deviation deviationOf(const ShapeFinding& shape) {
  if (shape.quantile >= 0) return {.observed = shape.value, .low = shape.low, .high = shape.high};
  const double sign = shape.above ? 1 : -1;
  return {Deviation::Of::Share, sign * shape.share, sign * shape.usualShare, sign * shape.usualShare};
}

/// An unusual share of a histogram's values, or an unusual quantile of a summary.
class DistributionFinding final : public Finding {
 public:
  DistributionFinding(const ShapeFinding& shape, std::string unit) : shape_(shape), unit_(std::move(unit)) {}

  void describe(const Texts&, Description& out) const override {
    const ShapeFinding& s = shape_;
    const double observed = s.quantile >= 0 ? s.value : s.share;
    const bool outside = observed < s.low || observed > s.high;
    out.value = observed;
    out.unit = s.quantile >= 0 ? unit_ : "1";
    if (outside) out.range = {s.low, s.high};
    if (s.quantile >= 0) {
      out.field = "quantile";
      const text::Compared shown = text::compared(s.value, s.low, s.high);
      text::append(out.sentence, "The ", text::quantity(s.quantile, 4), " quantile is ", shown.value);
      if (outside) text::append(out.sentence, "; usually ", shown.range);
    } else {
      out.field = "buckets";
      const text::Compared shown = text::compared(100 * s.share, 100 * s.usualShare, 100 * s.usualShare);
      text::append(out.sentence, shown.value, " % of the values were ", s.above ? "above " : "at most ", text::quantity(s.edge),
                   "; usually ", shown.range, " %");
    }
  }

 private:
  ShapeFinding shape_;
  std::string unit_;
};

/// Detects unusual distributions of the values in histograms and summaries.
class ShapeChannel final : public Channel {
 public:
  ShapeChannel(ShapeModel::Kind kind, const ChannelContext& context)
      : acceptAfterNanos_(context.acceptAfterNanos), records_(context.records), model_(kind) {}

  void observe(Observation& record) override {
    if (records_) keep();
    found_ = model_.observe(record.record.shape, record.part.kind, record.record.accounting == Accounting::Total);
    // The first values of a process are those of its start.
    if (restarted_ && record.part.known()) {
      restarted_ = false;
      found_.reset();
    }
    if (found_)
      record.scores.add(
          {.channel = ChannelId::Shape, .score = found_->score, .bits = found_->bits, .deviation = deviationOf(*found_)});
  }

  /// Learns the shape unless it is strange; strange shapes are learned once all have been strange for as long as
  /// novelty takes to become normal.
  void learn(Observation& record, const Outcome& outcome, Host&) override {
    kept_ = false;
    const bool strange = !outcome.pardoned && (outcome.flagged || outcome.strange);
    if (strange && strangeSince_ == 0) strangeSince_ = record.now;
    if (!strange) strangeSince_ = 0;
    if (!strange || record.now - strangeSince_ >= acceptAfterNanos_) model_.learn();
  }

  void succeed() override {
    strangeSince_ = 0;
    restarted_ = true;
  }

  std::unique_ptr<Finding> find(const Observation* record) const override {
    return std::make_unique<DistributionFinding>(*found_, metricUnit(record->record));
  }

  std::size_t memory() const override { return sizeof *this - sizeof model_ + model_.memory(); }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    write(strangeSince_), write(kept_ ? restartedBefore_ : restarted_);
    putState(out, kept_ ? *kept() : model_);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    read(strangeSince_), read(restarted_);
    return model_.restore(read.getBytes()) && read.done();
  }

 private:
  /// A copy of the model from before the current point, in the thread's memory: there is one at a time.
  static std::optional<ShapeModel>& kept() {
    thread_local std::optional<ShapeModel> model;
    return model;
  }
  void keep() {
    kept() = model_;
    restartedBefore_ = restarted_;
    kept_ = true;
  }

  std::uint64_t acceptAfterNanos_;
  bool records_, kept_ = false, restartedBefore_ = false;
  ShapeModel model_;
  /// The time since which shapes have been strange, by the stream's clock; 0 if the last one was not.
  std::uint64_t strangeSince_ = 0;
  /// Whether the next values are the first of another instance.
  bool restarted_ = false;
  /// What is strangest in the current point, if it has a shape.
  std::optional<ShapeFinding> found_;
};

std::optional<ShapeModel::Kind> kindOf(otlp::MetricType type) {
  using Kind = ShapeModel::Kind;
  switch (type) {
    case otlp::MetricType::Histogram: return Kind::Explicit;
    case otlp::MetricType::ExponentialHistogram: return Kind::Exponential;
    case otlp::MetricType::Summary: return Kind::Quantiles;
    default: return {};
  }
}

}  // namespace

std::unique_ptr<Channel> makeShapeChannel(const ChannelContext& context) {
  const auto kind = kindOf(context.key.metricType);
  if (!kind) return nullptr;
  return std::make_unique<ShapeChannel>(*kind, context);
}

}  // namespace driftlock
