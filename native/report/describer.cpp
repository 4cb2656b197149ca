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
/// The number of hops for which a window's metrics are valid in the attributes of records.
constexpr std::uint32_t kHopsPerMetrics = 16;
/// The size of a record's attributes without those of variable length.
constexpr std::size_t kAttributesSize = 480;

/// Says which stream or group a report is about. Returns false if that is all there is to say, because the anomaly has ended.
bool begin(const StreamKey& key, Report& report) {
  report.signal = key.signal;
  report.tenant = key.tenant;
  report.stream = key.name;
  report.service = key.service;
  report.instance = key.instance;
  if (report.ended) report.explanation = explainEnding(report.ending);
  return !report.ended;
}

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

void Describer::describe(Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report,
                         Allowance& allowance) {
  if (!begin(stream.key(), report)) return;
  report.verdict.withheld.at = stream.eventAt(report.verdict.withheld.at);
  Description& description = report.description;
  description.bits = report.verdict.bits;
  description.usualBits = report.verdict.usualBits;
  if (record) {
    report.traceId = record->record.traceId;
    report.spanId = record->record.spanId;
    std::vector<std::uint32_t> starts;
    render(record->record, description.text, &starts);
    if (finding) finding->mark(starts, description.novel);
    text::makeReadable(description.text, &description.novel);
  }
  if (finding) finding->describe(stream.texts(), description);
  report.gravity = record ? gravityOf(record->record) : finding ? finding->gravity() : Gravity::Normal;
  report.explanation = explain(report);
  allowance.annotate(kAttributesSize + report.stream.size() + report.explanation.size());
  measure(stream, report, allowance);
}

void Describer::describe(const StreamKey& group, const KeyedHash& hash, const Finding* finding, Report& report) {
  if (!begin(group, report)) return;
  finding->describe({group, hash, {}}, report.description);
  report.explanation = explain(report);
}

void Describer::measure(Stream& stream, Report& report, Allowance& allowance) {
  if (allowance.spent()) return;
  // Reports describe the current window; records between two of them need not be measured so often.
  const bool fresh = stream.measured(report.reported ? 1 : kHopsPerMetrics);
  if (!fresh) allowance.spend(Allowance::kMetrics);
  const WindowMetrics* metrics = fresh ? &stream.windows().measuredMetrics() : stream.metrics(codec_);
  if (!metrics) return;
  report.hasMetrics = true;
  report.metrics = *metrics;
  report.codec = toString(settings_.codec);
  report.windowRecords = static_cast<std::uint32_t>(stream.windows().records());
  if (!report.reported) return;
  allowance.spend(Allowance::kReport);
  std::vector<std::string> baseline, window;
  stream.windows().texts(stream.key(), stream.policy(), baseline, window);
  if (report.description.wantsNearest) report.nearest = nearestOf(baseline, report.description.text, matcher_);
  text::makeReadable(report.nearest);
  if (report.anomaly.occurrences != 1) return;
  // Only the first report carries what is needed to judge it again, and the expensive test.
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
  report.baselineExcerpt = packed(join(baseline));
  report.windowExcerpt = packed(join(window));
  test(baseline, window, report, allowance);
}

void Describer::test(const std::vector<std::string>& baseline, const std::vector<std::string>& window, Report& report,
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
  report.permutation = permutationTest(
      b, w, codec_, {.permutations = settings_.permutations, .block = block, .stopAfter = kStopAfter, .seed = settings_.seed});
  allowance.spend(Allowance::kPermutation * (1 + report.permutation.permutations));
}

}  // namespace driftlock
