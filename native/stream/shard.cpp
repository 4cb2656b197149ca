#include "stream/shard.hpp"

#include <algorithm>
#include <cmath>

namespace driftlock {
namespace {

constexpr std::uint64_t kAccountEvery = 64;
constexpr std::uint32_t kRecordsPerTest = 4096;
constexpr std::uint32_t kMostTests = 4;
constexpr std::uint32_t kBlock = 8;
constexpr std::uint32_t kStopAfter = 10;

/// Shares of `maxStreams` differ by chance: four standard deviations on top of the mean let all of them in.
std::size_t shareOf(std::uint32_t maxStreams) {
  const double mean = static_cast<double>(maxStreams) / shardCount;
  return static_cast<std::size_t>(std::ceil(mean + 4 * std::sqrt(mean)));
}

}  // namespace

Shard::Shard(const Settings& settings, const Codec& codec)
    : settings_(settings), codec_(codec), capacity_(shareOf(settings.maxStreams)), tests_(kMostTests) {}

Stream& Shard::find(const Request& request, std::uint32_t record) {
  const std::uint64_t key = request.keys.hash(record);
  if (!order_.empty() && order_.front().key().hash == key) return order_.front();
  if (const auto found = streams_.find(key); found != streams_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return order_.front();
  }
  if (streams_.size() >= capacity_) {
    const Stream& oldest = order_.back();
    if (oldest.learning()) --learning;
    bytes -= oldest.accounted;
    streams_.erase(oldest.key().hash);
    order_.pop_back();
    ++evicted;
  }
  order_.emplace_front(request.keys.make(request.index, record, request.tenant, settings_.streamBy), settings_);
  streams_[key] = order_.begin();
  streams = streams_.size();
  ++learning;
  return order_.front();
}

Verdict Shard::judge(const Request& request, std::uint32_t number, std::vector<Finding>& findings) {
  if (++sinceTest_ >= kRecordsPerTest) {
    sinceTest_ = 0;
    tests_ = std::min(tests_ + 1, kMostTests);
  }
  const otlp::Record& record = request.index.records[number];
  Stream& stream = find(request, number);
  const bool wasLearning = stream.learning();
  readFields(request.index, record, view_);
  const Verdict verdict = stream.observe(view_, request.index.bytes(record), content_);
  if (wasLearning && !stream.learning()) --learning;
  if (stream.seen() % kAccountEvery == 1) {
    const std::size_t memory = stream.memory();
    bytes += memory - stream.accounted;
    stream.accounted = memory;
  }
  if (!verdict.flagged) return verdict;

  Finding& finding = findings.emplace_back();
  finding.reported = stream.report(view_.timeUnixNano, content_.signature);
  finding.verdict = verdict;
  finding.record = number;
  describe(stream, finding);
  if (finding.reported && finding.occurrence == 1) test(stream, finding);
  return verdict;
}

void Shard::describe(Stream& stream, Finding& finding) {
  finding.signal = stream.key().signal;
  finding.tenant = stream.key().tenant;
  finding.stream = stream.key().name;
  finding.id = stream.anomaly().id;
  finding.occurrence = stream.anomaly().records;
  finding.limit = stream.limit();
  finding.surpriseBits = content_.bits;
  finding.baselineBits = stream.baselineBits();
  finding.timeUnixNano = view_.timeUnixNano;
  finding.traceId = view_.traceId;
  finding.spanId = view_.spanId;
  std::vector<std::uint32_t> starts;
  render(view_, finding.text, &starts);
  novelRanges(view_, content_, starts, finding.novel);
  makeReadable(finding.text, finding.novel);
  finding.explanation = explain(finding);
  if (const WindowMetrics* metrics = stream.metrics(codec_)) {
    finding.hasMetrics = true;
    finding.metrics = *metrics;
    finding.windowRecords = static_cast<std::uint32_t>(stream.windowRecords());
    finding.codec = toString(settings_.codec);
  }
}

void Shard::test(Stream& stream, Finding& finding) {
  if (tests_ == 0 || settings_.permutations == 0) return;
  std::vector<std::string> baseline, window;
  stream.texts(baseline, window);
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
}

}  // namespace driftlock
