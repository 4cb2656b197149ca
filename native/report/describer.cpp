#include "report/describer.hpp"

#include <algorithm>
#include <memory>

#include "report/nearest.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kRecordsPerTest = 4096;
constexpr std::uint32_t kMostTests = 4;
constexpr std::uint32_t kBlock = 8;
constexpr std::uint32_t kStopAfter = 10;
constexpr std::size_t kMostNext = 3;
/// Hops that a window's figures are good for in the attributes of records.
constexpr std::uint32_t kHopsPerMetrics = 16;
/// Of a record's attributes without those of variable length.
constexpr std::size_t kAttributesSize = 480;

}  // namespace

Describer::Describer(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& matcher)
    : settings_(settings), codec_(codec), excerpts_(excerpts), matcher_(matcher), tests_(kMostTests) {}

void Describer::pass() {
  if (++sinceTest_ < kRecordsPerTest) return;
  sinceTest_ = 0;
  tests_ = std::min(tests_ + 1, kMostTests);
}

void Describer::snapshot(std::vector<std::uint8_t>& out) const {
  put(out, tests_);
  put(out, sinceTest_);
}

void Describer::restore(StateReader& read) {
  tests_ = std::min(read.get<std::uint32_t>(), kMostTests);
  sinceTest_ = std::min(read.get<std::uint32_t>(), kRecordsPerTest);
}

void Describer::describe(Stream& stream, const RecordView& record, const ContentScore& content, Finding& finding, Allowance& allowance) {
  const StreamKey& key = stream.key();
  finding.signal = key.signal;
  finding.tenant = key.tenant;
  finding.stream = key.name;
  finding.service = key.service;
  if (finding.ended) {
    finding.explanation = explainEnding(finding.ending);
    return;
  }
  finding.limit = finding.verdict.silentFor > 0 ? stream.silenceLimit() : stream.limit(finding.verdict.channel);
  if (finding.record != Finding::noRecord) describeRecord(stream, record, content, finding);
  describeChannel(stream, record, finding);
  finding.explanation = explain(finding);
  allowance.annotate(kAttributesSize + finding.stream.size() + finding.explanation.size());
  measure(stream, finding, allowance);
}

void Describer::describeChannel(const Stream& stream, const RecordView& record, Finding& finding) const {
  const auto name = [&](std::uint32_t id) {
    std::string text = stream.templateText(id);
    text::makeReadable(text);
    return text;
  };
  if (finding.verdict.silentFor > 0) {
    // Nothing comes: as grave as an error.
    finding.gravity = Gravity::Error;
    finding.field = "count";
    return;
  }
  const bool span = finding.signal == otlp::Signal::Traces;
  switch (finding.verdict.channel) {
    case Channel::Sequence:
      for (const ExpectedId& expected : stream.expectedNext(kMostNext)) {
        std::string text = expected.id == end_of_session ? "the end of the session" : name(expected.id);
        if (!text.empty()) finding.next.push_back(std::move(text));
      }
      break;
    case Channel::Volume:
      finding.range = {.low = finding.volume.low, .high = finding.volume.high};
      finding.observed = finding.volume.count;
      if (std::string text = finding.volume.total ? "" : name(finding.volume.id); !text.empty()) finding.next.push_back(std::move(text));
      finding.field = "count";
      break;
    case Channel::Fields:
      finding.range = {.low = finding.fields.finding.low, .high = finding.fields.finding.high};
      finding.observed = finding.fields.finding.number;
      finding.field = finding.fields.name;
      break;
    case Channel::Value:
      finding.range = stream.expectedRange();
      finding.observed = span ? static_cast<double>(record.duration) : stream.observedValue();
      finding.field = span ? "duration" : "value";
      break;
    case Channel::Paths: {
      const PathFinding& path = *stream.pathFinding();
      finding.path = {name(path.child), name(path.parent), name(path.usual)};
      finding.field = "parent_span_id";
      break;
    }
    case Channel::Shape: {
      const ShapeFinding& shape = finding.shape = *stream.shapeFinding();
      const bool quantile = shape.quantile >= 0;
      finding.range = {.low = shape.low, .high = shape.high};
      finding.observed = quantile ? shape.value : shape.share;
      finding.field = quantile ? "quantile" : "buckets";
      break;
    }
    default:
      break;
  }
}

void Describer::describeRecord(const Stream& stream, const RecordView& record, const ContentScore& content, Finding& finding) const {
  finding.traceId = record.traceId;
  finding.spanId = record.spanId;
  finding.gravity = gravityOf(record);
  std::vector<std::uint32_t> starts;
  render(record, finding.text, &starts);
  if (finding.verdict.channel == Channel::Content) {
    novelRanges(record, content, starts, finding.novel);
    finding.field = blamedField(record, content, stream.key().signal);
  }
  text::makeReadable(finding.text, &finding.novel);
}

void Describer::measure(Stream& stream, Finding& finding, Allowance& allowance) {
  if (allowance.spent()) return;
  // Reports say how the window is now; records between two of them need not be measured so often.
  const bool fresh = stream.measured(finding.reported ? 1 : kHopsPerMetrics);
  if (!fresh) allowance.spend(Allowance::kMetrics);
  const WindowMetrics* metrics = fresh ? &stream.measuredMetrics() : stream.metrics(codec_);
  if (!metrics) return;
  finding.hasMetrics = true;
  finding.metrics = *metrics;
  finding.codec = toString(settings_.codec);
  finding.windowRecords = static_cast<std::uint32_t>(stream.windowRecords());
  if (!finding.reported) return;
  allowance.spend(Allowance::kReport);
  std::vector<std::string> baseline, window;
  stream.texts(baseline, window);
  if (finding.verdict.channel == Channel::Content) finding.nearest = nearestOf(baseline, finding.text, matcher_);
  text::makeReadable(finding.nearest);
  if (finding.anomaly.occurrences != 1) return;
  // The first report alone carries what it takes to judge it again, and the test that is dear.
  auto join = [](const std::vector<std::string>& texts) {
    std::string all;
    for (const std::string& text : texts) all += text;
    return all;
  };
  auto packed = [&](const std::string& text) {
    const Bytes bytes = excerpts_.compress({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    OwnedBytes owned{std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size()), bytes.size()};
    std::copy(bytes.begin(), bytes.end(), owned.data.get());
    return owned;
  };
  const std::string windowText = join(window);
  finding.windowBytes = windowText.size();
  finding.baselineExcerpt = packed(join(baseline));
  finding.windowExcerpt = packed(windowText);
  test(baseline, window, finding, allowance);
}

void Describer::test(const std::vector<std::string>& baseline, const std::vector<std::string>& window, Finding& finding,
                     Allowance& allowance) {
  if (tests_ == 0 || settings_.permutations == 0) return;
  auto views = [&](const std::vector<std::string>& texts) {
    std::vector<Bytes> out;
    std::size_t left = codec_.reach();
    for (auto text = texts.rbegin(); text != texts.rend() && text->size() <= left; ++text) {
      out.emplace_back(reinterpret_cast<const std::uint8_t*>(text->data()), text->size());
      left -= text->size();
    }
    return std::vector<Bytes>(out.rbegin(), out.rend());
  };
  const std::vector<Bytes> b = views(baseline), w = views(window);
  const auto block = static_cast<std::uint32_t>(std::min({std::size_t{kBlock}, b.size(), w.size()}));
  if (block == 0) return;
  --tests_;
  finding.permutation = permutationTest(
      b, w, codec_,
      {.permutations = settings_.permutations, .block = block, .stopAfter = kStopAfter, .seed = settings_.seed});
  allowance.spend(Allowance::kPermutation * (1 + finding.permutation.permutations));
}

}  // namespace driftlock
