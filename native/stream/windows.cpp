#include "stream/windows.hpp"

#include <cmath>

#include "base/portable_math.hpp"
#include "otlp/reader.hpp"
#include "otlp/writer.hpp"
#include "record/conceal.hpp"
#include "record/record.hpp"

namespace driftlock {
namespace {

/// The bytes of a window and of a baseline's excerpt; even codecs with the shortest reach see both whole.
constexpr std::uint32_t kExcerptBytes = 8 * 1024;

template <class Visitor>
void visitMetrics(auto& m, Visitor& v) {
  v(m.windowBytes), v(m.compressionRatio), v(m.baselineRatio), v(m.deltaBits), v(m.entropy), v(m.ncd), v(m.ncdSizeMatched);
}

}  // namespace

Windows::Windows(const Settings& settings, const StreamKey& key)
    : settings_(settings),
      key_(key),
      chances_(portableLog2(settings.windowRecords)),
      window_(settings.windowRecords, kExcerptBytes) {}

std::size_t Windows::hopsPerWindow() const {
  return std::max<std::size_t>(1, (settings_.windowRecords + settings_.windowHop - 1) / settings_.windowHop);
}

void Windows::push(Bytes record, std::uint64_t seen) {
  window_.push(record);
  // A division takes longer than all else here.
  if (seen < nextHop_ && !hops_.empty()) return;
  const std::uint64_t into = seen % settings_.windowHop;
  nextHop_ = seen - into + settings_.windowHop;
  if (into != 0 && !hops_.empty()) return;
  if (hops_.size() == hopsPerWindow()) hops_.erase(hops_.begin());
  hops_.emplace_back();
}

void Windows::conceal() const {
  const privacy::Masking masking(*settings_.privacy, privacy::Place::Stored, key_.scope());
  if (!masking.acts()) return;
  window_.rewriteLatest(
      [&](std::span<std::uint8_t> record) { driftlock::conceal(key_.signal, key_.metricType, record, masking); });
}

void Windows::setBaseline() {
  conceal();
  baseline_ = Excerpt(window_);
}

WindowVerdict Windows::verdict() const {
  Hop window;
  for (const Hop& hop : hops_) {
    window.include(hop);
    for (std::size_t c = 0; c < kChannelCount; ++c) window.notice(static_cast<ChannelId>(c), hop.strangest[c]);
  }
  // The channels are combined by the harmonic mean of their p-values (combinePValues).
  WindowVerdict verdict{.score = -std::numeric_limits<double>::infinity(), .pValue = window.pValue, .flagged = window.flagged};
  double most = verdict.score, sum = 0;
  for (std::size_t c = 0; c < kChannelCount; ++c) {
    if (window.strangest[c] <= most) continue;
    most = window.strangest[c];
    verdict.channel = static_cast<ChannelId>(c);
  }
  if (!std::isfinite(most)) return WindowVerdict{.pValue = window.pValue, .flagged = window.flagged};
  for (const double bits : window.strangest) sum += portableExp((bits - most) * kLn2);
  verdict.score = most + portableLog2(sum);
  return verdict;
}

void Windows::texts(const StreamKey& key, const Policy& policy, std::vector<std::string>& baseline,
                    std::vector<std::string>& window) const {
  thread_local RecordView record;
  const auto renderInto = [&](std::vector<std::string>& out) {
    out.clear();
    return [&](Bytes raw) {
      readFields(key.signal, key.metricType, raw, record, settings_.callTexts());
      policy.strip(record);
      render(record, out.emplace_back());
      out.back() += '\n';
    };
  };
  conceal();
  baseline_.forEach(renderInto(baseline));
  window_.forEach(renderInto(window));
}

const WindowMetrics* Windows::metrics(const StreamKey& key, const Policy& policy, const Codec& codec, std::uint64_t seen) {
  if (measured(seen, 1)) return &*metrics_;
  thread_local std::vector<std::string> baseline, window;
  texts(key, policy, baseline, window);
  const auto join = [&](const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text;
    // Text may be longer than the record from which it was read; what is beyond the codec's reach is not compared.
    if (all.size() > codec.reach()) all.erase(0, all.size() - codec.reach());
    return all;
  };
  const std::string b = join(baseline), w = join(window);
  if (b.empty() || w.empty()) return nullptr;
  metrics_ = windowMetrics(bytesOf(b), bytesOf(w), codec);
  metricsAt_ = seen;
  return &*metrics_;
}

void Windows::snapshot(std::vector<std::uint8_t>& out) const {
  conceal();
  StateWriter write(out);
  putState(out, baseline_);
  putState(out, window_);
  put(out, static_cast<std::uint32_t>(hops_.size()));
  for (const Hop& hop : hops_) Hop::visit(hop, write);
  // Metrics of another codec cannot be used with this one.
  write(metricsAt_), write(static_cast<std::uint8_t>(settings_.codec)), write(metrics_.has_value());
  if (metrics_) visitMetrics(*metrics_, write);
}

bool Windows::restore(Bytes in, const StreamKey& key, std::uint64_t seen) {
  StateReader read(in);
  Window baseline(settings_.windowRecords, kExcerptBytes);
  if (!baseline.restore(read.getBytes()) || !window_.restore(read.getBytes())) return false;
  if (!sound(baseline, key) || !sound(window_, key)) return false;
  baseline_ = Excerpt(baseline);
  const auto hops = read.get<std::uint32_t>();
  if (hops > hopsPerWindow() || (hops == 0) != (seen == 0)) return false;
  for (std::uint32_t i = 0; i < hops && read.ok(); ++i) Hop::visit(hops_.emplace_back(), read);
  std::uint8_t codec = 0;
  bool measured = false;
  read(metricsAt_), read(codec), read(measured);
  if (measured) {
    WindowMetrics metrics;
    visitMetrics(metrics, read);
    if (codec == static_cast<std::uint8_t>(settings_.codec)) metrics_ = metrics;
  }
  return read.done();
}

bool sound(const Window& window, const StreamKey& key) {
  std::vector<std::uint8_t> request, inner;
  std::size_t records = 0;
  const bool metrics = key.signal == otlp::Signal::Metrics;
  window.forEach([&](Bytes record) {
    otlp::Writer(request).message(metrics ? 1 : 2, record);
    ++records;
  });
  if (records == 0) return true;
  const auto wrap = [&](std::uint32_t number) {
    inner.swap(request);
    request.clear();
    otlp::Writer(request).message(number, inner);
  };
  if (metrics) {
    // Metric's data: gauge 5, sum 7, histogram 9, exponential_histogram 10, summary 11.
    constexpr std::uint32_t kData[] = {0, 5, 7, 9, 10, 11};
    const auto type = static_cast<std::size_t>(key.metricType);
    if (type == 0) return false;
    wrap(kData[type]);
    wrap(2);
  }
  wrap(2);
  wrap(1);
  otlp::Index index;
  otlp::WireError error;
  return otlp::index(key.signal, request, index, error) && index.records.size() == records;
}

}  // namespace driftlock
