#include <string>

#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/volume/mix.hpp"
#include "channels/volume/volume.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The shortest tick.
constexpr std::uint64_t kTickNanos = 10'000'000'000;
constexpr std::uint64_t kDayNanos = 86'400'000'000'000;

/// Too many or too few records, of the whole stream or of one template.
class CountFinding final : public Finding {
 public:
  /// @param timed whether it lasted for nanoseconds, not for a number of records
  CountFinding(const VolumeFinding& volume, bool timed) : volume_(volume), timed_(timed) {}

  std::uint64_t kind() const override {
    const std::uint64_t of = volume_.total ? 0 : 1 + std::uint64_t{volume_.id};
    return of << 8 | static_cast<std::uint64_t>(volume_.kind);
  }

  void describe(const Texts& texts, Description& out) const override {
    const VolumeFinding& v = volume_;
    out.field = "count";
    out.value = v.count;
    out.unit = "{record}";
    const std::string name = v.total ? "" : texts.ofTemplate(v.id);
    const std::string what = v.total        ? "records of the stream"
                             : name.empty() ? "records of one template"
                                            : "records like " + text::quoted(name);
    const std::string lasted =
        timed_ ? text::duration(static_cast<double>(v.lasted) / 1e9) : std::to_string(v.lasted) + " records";
    const std::string count = std::to_string(v.count) + " " + what;
    if (v.low <= v.count && v.count <= v.high) {
      out.sentence = "An unusual number " + (timed_ ? "in " + lasted : "among " + lasted) + ": " + count;
      return;
    }
    out.range = {v.low, v.high};
    const std::string usual = v.low < 1         ? text::format("; usually at most %.0f", v.high)
                              : v.low == v.high ? text::format("; usually %.0f", v.low)
                                                : text::format("; usually %.0f–%.0f", v.low, v.high);
    if (v.kind == VolumeKind::Silence) {
      out.sentence = (timed_ ? "Silence for " : "Silence among ") + lasted + ": no " + what + usual;
      return;
    }
    out.sentence = (v.kind == VolumeKind::Burst ? "A burst " : "A drop ") + (timed_ ? "in " + lasted : "among " + lasted) + ": " +
                   count + usual;
  }

 private:
  VolumeFinding volume_;
  bool timed_;
};

/// Detects unusual numbers of records: by ticks of the stream's clock, and by hops of records.
class VolumeChannel final : public Channel {
 public:
  explicit VolumeChannel(std::uint32_t hop) : hop_(hop) {}

  void observe(Observation&) override {}

  void learn(Observation& record, const Outcome&, Host& host) override {
    if (!mix_) {
      mix_ = makeMix();
      if (record.record.timeUnixNano != 0) volume_ = makeVolume();
    }
    mix_->add(record.id());
    if (!volume_ && mix_->ends() && host.records()) keep(mix_);
    std::optional<VolumeTick> tick = mix_->end();
    if (tick && !host.learning()) host.noticeMix(ChannelId::Volume, tick->score);
    if (volume_) {
      if (record.interrupted) volume_->interrupt(record.now);
      tick = advance(record.now, host);
      if (tick && record.resumed) {
        // The effect of the silence on the ticks has already been reported.
        volume_->reject();
        tick.reset();
      }
    }
    if (tick && host.calibrating()) judge(*tick, host);
    kept_ = false;
    if (volume_) volume_->count(record.now, record.id());
  }

  void judgeAgain(std::uint64_t now, Host& host) override {
    if (!mix_) return;
    const std::optional<VolumeTick> tick = volume_ ? volume_->advance(now) : mix_->end();
    if (tick && host.calibrating()) judge(*tick, host);
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return nullptr; }

  std::size_t memory() const override {
    return sizeof *this + (volume_ ? volume_->memory() : 0) + (mix_ ? TemplateMix::bytes() : 0);
  }

  void snapshot(std::vector<std::uint8_t>& out) const override {
    putOptional(out, kept_ && volume_ ? kept<VolumeModel>() : volume_);
    putOptional(out, kept_ && !volume_ ? kept<TemplateMix>() : mix_);
  }

  bool restore(Bytes in) override {
    StateReader read(in);
    return getOptional(read, volume_, [] { return makeVolume(); }) && getOptional(read, mix_, [&] { return makeMix(); }) &&
           read.done();
  }

 private:
  static std::unique_ptr<VolumeModel> makeVolume() { return std::make_unique<VolumeModel>(kTickNanos, kDayNanos); }
  std::unique_ptr<TemplateMix> makeMix() const { return std::make_unique<TemplateMix>(hop_); }

  /// A copy of a model from before the tick or block that is judged, in the thread's memory: there is one at a time.
  template <class Model>
  static std::unique_ptr<Model>& kept() {
    thread_local std::unique_ptr<Model> model;
    return model;
  }
  template <class Model>
  void keep(const std::unique_ptr<Model>& model) {
    kept<Model>() ? void(*kept<Model>() = *model) : void(kept<Model>() = std::make_unique<Model>(*model));
    kept_ = true;
  }
  std::optional<VolumeTick> advance(std::uint64_t now, const Host& host) {
    if (volume_->ends(now) && host.records()) keep(volume_);
    return volume_->advance(now);
  }

  void judge(const VolumeTick& tick, Host& host) {
    const VolumeFinding& found = tick.strangest;
    const Outcome outcome =
        host.judge({.channel = ChannelId::Volume,
                    .score = tick.score,
                    .bits = found.bits,
                    .reported = found.kind == VolumeKind::None,
                    .deviation = Deviation{Deviation::Of::Records, static_cast<double>(found.count), found.low, found.high}});
    if (!outcome.flagged) return;
    volume_ ? volume_->reject() : mix_->reject();
    host.raise(volume_ ? std::optional(tick.end) : std::nullopt,
               std::make_unique<CountFinding>(tick.strangest, volume_ != nullptr));
  }

  std::uint32_t hop_;
  /// Whether `kept` has the state that is written.
  bool kept_ = false;
  /// The counts by ticks, if records have times.
  std::unique_ptr<VolumeModel> volume_;
  /// The counts by hops of records. They are judged if there are no times; their contribution to a window counts in any case.
  std::unique_ptr<TemplateMix> mix_;
};

}  // namespace

std::unique_ptr<Channel> makeVolumeChannel(const ChannelContext& context) {
  if (context.key.signal == otlp::Signal::Metrics || context.key.derived != Derived::None) return nullptr;
  return std::make_unique<VolumeChannel>(context.windowHop);
}

}  // namespace driftlock
