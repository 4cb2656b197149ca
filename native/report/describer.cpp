#include "report/describer.hpp"

#include <algorithm>
#include <memory>

#include "report/describe.hpp"
#include "report/measure.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kRecordsPerTest = 4096;
constexpr std::uint32_t kMostTests = 4;
/// The number of hops for which a window's metrics are valid in the attributes of records.
constexpr std::uint32_t kHopsPerMetrics = 16;
/// The size of a record's attributes without those of variable length.
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

void Describer::describe(Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report,
                         Allowance& allowance) {
  driftlock::describe(stream, record, std::move(finding), report);
  if (report.ended) return;
  allowance.annotate(kAttributesSize + report.stream.size() + report.explanation.size());
  measure(stream, report, allowance);
}

void Describer::measure(Stream& stream, Report& report, Allowance& allowance) {
  if (allowance.spent()) return;
  // Reports describe the current window; records between two of them need not be measured so often.
  const bool fresh = stream.measured(report.reported ? 1 : kHopsPerMetrics);
  if (!fresh) allowance.spend(Allowance::kMetrics);
  const WindowMetrics* metrics = fresh ? &stream.windows().measuredMetrics() : stream.metrics(codec_);
  if (!metrics) return;
  addMetrics(stream, *metrics, settings_.codec, report);
  if (!report.reported) return;
  allowance.spend(Allowance::kReport);
  const WindowTexts texts(stream);
  addNearest(texts, matcher_, report);
  if (report.anomaly.occurrences != 1) return;
  // Only the first report carries what is needed to judge it again, and the expensive test.
  auto packed = [&](const std::string& text) {
    const Bytes bytes = excerpts_.compress(bytesOf(text));
    OwnedBytes owned{std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size()), bytes.size()};
    std::copy(bytes.begin(), bytes.end(), owned.data.get());
    return owned;
  };
  report.baselineExcerpt = packed(joined(texts.baseline));
  report.windowExcerpt = packed(joined(texts.window));
  if (tests_ == 0 || settings_.permutations == 0) return;
  report.permutation = testWindow(texts, codec_, settings_);
  if (report.permutation.permutations == 0) return;
  --tests_;
  allowance.spend(Allowance::kPermutation * (1 + report.permutation.permutations));
}

}  // namespace driftlock
