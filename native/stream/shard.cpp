#include "stream/shard.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>

#include "cbad/state_bytes.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::uint64_t kAccountEvery = 64;
constexpr std::uint32_t kRecordsPerTest = 4096;
constexpr std::uint32_t kMostTests = 4;
constexpr std::uint32_t kBlock = 8;
constexpr std::uint32_t kStopAfter = 10;
constexpr std::size_t kMostNext = 3;
/// 64 MiB in all shards.
constexpr std::size_t kShelfBytes = 4 << 20;
/// Of one stream's state, however large its window is configured.
constexpr std::size_t kMostStreamBytes = 8 << 20;

/// Shares of `maxStreams` differ by chance: four standard deviations on top of the mean let all of them in.
std::size_t shareOf(std::uint32_t maxStreams) {
  const double mean = static_cast<double>(maxStreams) / shardCount;
  return static_cast<std::size_t>(std::ceil(mean + 4 * std::sqrt(mean)));
}

}  // namespace

Shard::Shard(const Settings& settings, const Codec& codec, const Codec& excerpts, const Codec& packer)
    : settings_(settings),
      codec_(codec),
      excerpts_(excerpts),
      packer_(packer),
      capacity_(shareOf(settings.maxStreams)),
      shelf_(kShelfBytes),
      tests_(kMostTests) {}

Stream& Shard::find(const Request& request, std::uint32_t record) {
  const StreamId id{request.keys.hash(record), request.tenant};
  if (!order_.empty() && order_.front().id() == id) return order_.front();
  if (const auto found = streams_.find(id); found != streams_.end()) {
    order_.splice(order_.begin(), order_, found->second);
    return order_.front();
  }
  makeRoom();
  const auto packed = shelf_.take(id);
  if (!packed || !unpack(*packed)) add(request.keys.make(request.index, record, request.tenant, settings_.streamBy));
  shelved = shelf_.bytes();
  return order_.front();
}

void Shard::makeRoom() {
  if (streams_.size() < capacity_) return;
  const Stream& oldest = order_.back();
  if (oldest.learning()) {
    --learning;
  } else {
    shelf_.put(oldest.id(), pack(oldest));
  }
  bytes -= oldest.accounted;
  streams_.erase(oldest.id());
  order_.pop_back();
  ++evicted;
}

void Shard::add(StreamKey key) {
  order_.emplace_front(std::move(key), settings_);
  streams_[order_.front().id()] = order_.begin();
  streams = streams_.size();
  ++learning;
}

std::vector<std::uint8_t> Shard::pack(const Stream& stream) const {
  std::vector<std::uint8_t> state;
  stream.snapshot(state);
  const Bytes packed = packer_.compress(state);
  return {packed.begin(), packed.end()};
}

bool Shard::unpack(Bytes packed) try {
  const OwnedBytes state = decompress(packer_.name(), packed, kMostStreamBytes);
  StateReader read(state);
  std::optional<StreamKey> key = Stream::keyOf(read);
  if (!key || streams_.contains({key->hash, key->tenant})) return false;
  order_.emplace_front(std::move(*key), settings_);
  Stream& stream = order_.front();
  if (!stream.restore(read)) {
    order_.pop_front();
    return false;
  }
  streams_[stream.id()] = order_.begin();
  streams = streams_.size();
  stream.accounted = stream.memory();
  bytes += stream.accounted;
  if (stream.learning()) ++learning;
  return true;
} catch (const std::runtime_error&) {
  return false;  // Damaged.
} catch (const std::length_error&) {
  return false;
}

void Shard::snapshot(std::vector<std::uint8_t>& out) const {
  put(out, tests_);
  put(out, sinceTest_);
  put(out, static_cast<std::uint32_t>(order_.size()));
  for (auto stream = order_.rbegin(); stream != order_.rend(); ++stream) put_bytes(out, pack(*stream));
  put(out, static_cast<std::uint32_t>(shelf_.size()));
  shelf_.forEach([&](const StreamId& id, Bytes packed) {
    put(out, id.hash);
    put_bytes(out, {reinterpret_cast<const std::uint8_t*>(id.tenant.data()), id.tenant.size()});
    put_bytes(out, packed);
  });
}

bool Shard::restore(Bytes in, std::uint32_t number) {
  StateReader read(in);
  tests_ = std::min(read.get<std::uint32_t>(), kMostTests);
  sinceTest_ = std::min(read.get<std::uint32_t>(), kRecordsPerTest);
  const auto count = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < count && read.ok(); ++i) {
    const Bytes packed = read.get_bytes();
    if (count - i > capacity_) continue;
    if (!unpack(packed) || shardOf(order_.front().key().hash) != number) return false;
  }
  const auto shelved = read.get<std::uint32_t>();
  for (std::uint32_t i = 0; i < shelved && read.ok(); ++i) {
    const auto hash = read.get<std::uint64_t>();
    const Bytes tenant = read.get_bytes(), packed = read.get_bytes();
    shelf_.put({hash, {reinterpret_cast<const char*>(tenant.data()), tenant.size()}}, {packed.begin(), packed.end()});
  }
  this->shelved = shelf_.bytes();
  return read.done();
}

Verdict Shard::judge(const Request& request, std::uint32_t number, std::vector<Finding>& findings,
                     std::vector<WindowReport>* windows) {
  if (++sinceTest_ >= kRecordsPerTest) {
    sinceTest_ = 0;
    tests_ = std::min(tests_ + 1, kMostTests);
  }
  const otlp::Record& record = request.index.records[number];
  Stream& stream = find(request, number);
  const bool wasLearning = stream.learning();
  readFields(request.index, record, view_);
  events_.clear();
  const Verdict verdict = stream.observe(view_, request.index.bytes(record), content_, events_);
  if (wasLearning && !stream.learning()) --learning;
  if (stream.seen() % kAccountEvery == 1) {
    const std::size_t memory = stream.memory();
    bytes += memory - stream.accounted;
    stream.accounted = memory;
  }
  if (const auto window = stream.window(); windows && window) {
    windows->push_back({number, stream.key().name, *window, stream.metrics(codec_) ? *stream.metrics(codec_) : WindowMetrics{}});
  }
  for (const Event& event : events_) tell(stream, event, number, findings);
  if (verdict.flagged) tell(stream, verdict, number, request.index.bytes(record), findings);
  return verdict;
}

void Shard::tell(Stream& stream, const Event& event, std::uint32_t at, std::vector<Finding>& findings) {
  Finding& finding = findings.emplace_back();
  finding.at = at;
  finding.record = Finding::noRecord;
  finding.verdict = event.verdict;
  finding.timeUnixNano = event.timeUnixNano;
  finding.ended = event.ended;
  finding.ending = event.ending;
  finding.volume = event.volume;
  finding.reported = event.ended || stream.report(event.verdict, {}, nullptr);
  finding.anomaly = event.ended ? event.anomaly : stream.anomaly();
  describe(stream, finding);
  if (!event.ended) measure(stream, finding);
}

void Shard::tell(Stream& stream, const Verdict& verdict, std::uint32_t record, Bytes raw, std::vector<Finding>& findings) {
  Finding& finding = findings.emplace_back();
  finding.at = finding.record = record;
  finding.verdict = verdict;
  finding.timeUnixNano = view_.timeUnixNano;
  finding.reported = stream.report(verdict, raw, &content_);
  finding.anomaly = stream.anomaly();
  describe(stream, finding);
  measure(stream, finding);
}

bool Shard::feedback(std::string_view tenant, std::string_view anomalyId, Feedback feedback, std::vector<Finding>& findings) {
  for (Stream& stream : order_) {
    events_.clear();
    if (stream.key().tenant != tenant || !stream.feedback(anomalyId, feedback, events_)) continue;
    for (const Event& event : events_) tell(stream, event, 0, findings);
    return true;
  }
  return false;
}

void Shard::describe(const Stream& stream, Finding& finding) {
  const StreamKey& key = stream.key();
  finding.signal = key.signal;
  finding.tenant = key.tenant;
  finding.stream = key.name;
  finding.service = key.service;
  if (finding.ended) {
    finding.explanation = explainEnding(finding.ending);
    return;
  }
  const Channel channel = finding.verdict.channel;
  finding.limit = stream.limit(channel);
  if (finding.record != Finding::noRecord) describeRecord(stream, finding);
  if (channel == Channel::Sequence) {
    for (const ExpectedId& expected : stream.expectedNext(kMostNext)) {
      std::string text = expected.id == end_of_session ? "the end of the session" : stream.templateText(expected.id);
      if (!text.empty()) finding.next.push_back(std::move(text));
    }
    for (std::string& text : finding.next) text::makeReadable(text);
  }
  if (channel == Channel::Volume) {
    finding.range = {.low = finding.volume.low, .high = finding.volume.high};
    finding.observed = finding.volume.count;
    std::string text = finding.volume.total ? "" : stream.templateText(finding.volume.id);
    text::makeReadable(text);
    if (!text.empty()) finding.next.push_back(std::move(text));
    finding.field = "count";
  }
  if (channel == Channel::Value) {
    finding.range = stream.expectedRange();
    finding.observed = key.signal == otlp::Signal::Traces ? static_cast<double>(view_.duration) : stream.observedValue();
    finding.field = key.signal == otlp::Signal::Traces ? "duration" : "value";
  }
  finding.explanation = explain(finding);
}

void Shard::describeRecord(const Stream& stream, Finding& finding) {
  finding.traceId = view_.traceId;
  finding.spanId = view_.spanId;
  finding.gravity = gravityOf(view_);
  std::vector<std::uint32_t> starts;
  render(view_, finding.text, &starts);
  if (finding.verdict.channel == Channel::Content) {
    novelRanges(view_, content_, starts, finding.novel);
    finding.field = blamedField(view_, content_, stream.key().signal);
  }
  text::makeReadable(finding.text, &finding.novel);
}

void Shard::measure(Stream& stream, Finding& finding) {
  const WindowMetrics* metrics = stream.metrics(codec_);
  if (!metrics) return;
  finding.hasMetrics = true;
  finding.metrics = *metrics;
  finding.codec = toString(settings_.codec);
  finding.windowRecords = static_cast<std::uint32_t>(stream.windowRecords());
  if (!finding.reported || finding.anomaly.occurrences != 1) return;
  // The first report alone carries what it takes to judge it again, and the test that is dear.
  std::vector<std::string> baseline, window;
  stream.texts(baseline, window);
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
  test(baseline, window, finding);
}

void Shard::test(const std::vector<std::string>& baseline, const std::vector<std::string>& window, Finding& finding) {
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
}

}  // namespace driftlock
