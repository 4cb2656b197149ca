#include <algorithm>
#include <cmath>

#include "base/state_bytes.hpp"
#include "base/tags.hpp"
#include "otlp/wire.hpp"
#include "stream/stream.hpp"

namespace driftlock {
namespace {

constexpr std::uint8_t kVersion = 8;

/// An id of two hashes, as `report` makes it.
constexpr std::size_t kMostId = 64;

void wrap(std::vector<std::uint8_t>& message, std::uint32_t number) {
  std::uint8_t head[20];
  std::uint8_t* end = otlp::writeVarint(otlp::tag(number, otlp::Wire::Length), head);
  end = otlp::writeVarint(message.size(), end);
  message.insert(message.begin(), head, end);
}

/// The views read a record without checking it again, so it must be as sound as one that came in a request.
bool sound(const Window& window, const StreamKey& key) {
  std::vector<std::uint8_t> request;
  std::size_t records = 0;
  const bool metrics = key.signal == otlp::Signal::Metrics;
  window.forEach([&](Bytes record) {
    std::vector<std::uint8_t> field(record.begin(), record.end());
    wrap(field, metrics ? 1 : 2);
    request.insert(request.end(), field.begin(), field.end());
    ++records;
  });
  if (records == 0) return true;
  if (metrics) {
    // Metric's data: gauge 5, sum 7, histogram 9, exponential_histogram 10, summary 11.
    constexpr std::uint32_t data[] = {0, 5, 7, 9, 10, 11};
    const auto type = static_cast<std::size_t>(key.metricType);
    if (type == 0) return false;
    wrap(request, data[type]);
    wrap(request, 2);
  }
  wrap(request, 2);
  wrap(request, 1);
  otlp::Index index;
  otlp::WireError error;
  return otlp::index(key.signal, request, index, error) && index.records.size() == records;
}

template <class Visitor>
void visitKey(auto& key, std::uint8_t& signal, std::uint8_t& type, Visitor& v) {
  v(key.hash), v(signal), v(type), v(key.cumulative), v(key.monotonic), v(key.tenant), v(key.name), v(key.service);
}

template <class Visitor>
void visitHop(auto& hop, Visitor& v) {
  for (auto& strangest : hop.strangest) v(strangest);
  v(hop.pValue), v(hop.flagged);
}

template <class Visitor>
void visitSighting(auto& sighting, Visitor& v) {
  v(sighting.signature), v(sighting.count), v(sighting.first), v(sighting.last), v(sighting.reported);
}

template <class Visitor>
void visitMetrics(auto& m, Visitor& v) {
  v(m.compressionRatio), v(m.baselineRatio), v(m.deltaBits), v(m.entropy), v(m.ncd), v(m.ncdSizeMatched);
}

/// A channel that may not be there, behind a flag.
template <class State>
void putOptional(std::vector<std::uint8_t>& out, const std::unique_ptr<State>& state) {
  put<std::uint8_t>(out, state ? 1 : 0);
  if (state) put_state(out, *state);
}

template <class State, class Make>
bool getOptional(StateReader& in, std::unique_ptr<State>& state, Make&& make) {
  bool there = false;
  in(there);
  state.reset();
  if (!there || !in.ok()) return in.ok();
  state = make();
  return state && state->restore(in.get_bytes());
}

}  // namespace

template <class Self, class Visitor>
void Stream::visit(Self& self, Visitor& v) {
  v(self.seen_), v(self.unordered_), v(self.markedAt_), v(self.strangeShapeSince_);
  for (auto& marks : self.marks_) v(marks.usual), v(marks.strange);
  v(self.pointUnixNano_), v(self.pointValue_), v(self.pointCount_);
  v(self.anomaly_.id), v(self.anomaly_.startUnixNano), v(self.anomaly_.endUnixNano), v(self.anomaly_.occurrences);
  v(self.anomalies_), v(self.flaggedAt_), v(self.metricsAt_), v(self.silentAfter_), v(self.silentAgain_);
  StreamClock::visit(self.clock_, v);
  for (auto& pardon : self.pardons_) v(pardon.left), v(pardon.score);
}

void Stream::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(kVersion);
  auto signal = static_cast<std::uint8_t>(key_.signal), type = static_cast<std::uint8_t>(key_.metricType);
  visitKey(key_, signal, type, write);
  visit(*this, write);

  putOptional(out, content_);
  putOptional(out, sequence_);
  putOptional(out, value_);
  putOptional(out, shape_);
  putOptional(out, paths_);
  putOptional(out, volume_);
  putOptional(out, mix_);
  putOptional(out, fields_);
  for (const auto& calibration : calibrations_) putOptional(out, calibration);
  put_state(out, budget_);
  put_state(out, silence_);
  put_state(out, baseline_);
  put_state(out, window_);

  put(out, static_cast<std::uint32_t>(operations_.size()));
  for (const Operation& operation : operations_) {
    const LatencyModel& model = operation.latency;
    write(operation.hash), write(model.mean), write(model.above), write(model.below), write(model.count);
  }
  put(out, static_cast<std::uint32_t>(hops_.size()));
  for (const Hop& hop : hops_) visitHop(hop, write);
  put(out, static_cast<std::uint32_t>(sightings_.size()));
  for (const Sighting& sighting : sightings_) {
    visitSighting(sighting, write);
  }
  put(out, static_cast<std::uint32_t>(evidence_.size()));
  for (const Evidence& evidence : evidence_) {
    write(evidence.id), write(evidence.silence);
    for (const double score : evidence.scores) write(score);
    put(out, static_cast<std::uint32_t>(evidence.news.size()));
    for (const std::uint64_t signature : evidence.news) write(signature);
    put_state(out, evidence.examples);
  }
  // Figures of another codec are none of this one's.
  write(static_cast<std::uint8_t>(settings_.codec));
  write(metrics_.has_value());
  if (metrics_) visitMetrics(*metrics_, write);
}

std::optional<StreamKey> Stream::keyOf(StateReader& in) {
  std::uint8_t version = 0, signal = 0, type = 0;
  StreamKey key;
  in(version);
  if (version != kVersion) return {};
  visitKey(key, signal, type, in);
  if (!in.ok() || signal > static_cast<std::uint8_t>(otlp::Signal::Metrics) ||
      type > static_cast<std::uint8_t>(otlp::MetricType::Summary)) {
    return {};
  }
  key.signal = static_cast<otlp::Signal>(signal);
  key.metricType = static_cast<otlp::MetricType>(type);
  return key;
}

bool Stream::restore(StateReader& in) {
  visit(*this, in);
  if (!in.ok() || anomaly_.id.size() > kMostId) return false;

  const bool metric = key_.signal == otlp::Signal::Metrics;
  if (!getOptional(in, content_, [&] { return std::make_unique<ContentChannel>(settings_.dictionarySize, hash_); }) ||
      !getOptional(in, sequence_, [] { return std::make_unique<SequenceChannel>(); }) ||
      !getOptional(in, value_, [] { return std::make_unique<ValueChannel>(); }) ||
      !getOptional(in, shape_, [&] { return makeShape(); }) ||
      !getOptional(in, paths_, [] { return std::make_unique<PathModel>(); }) ||
      !getOptional(in, volume_, [&] { return makeVolume(); }) || !getOptional(in, mix_, [&] { return makeMix(); }) ||
      !getOptional(in, fields_, [&] { return makeFields(); }) || metric != (value_ != nullptr) || metric == (content_ != nullptr)) {
    return false;
  }
  for (std::size_t c = 0; c < channelCount; ++c) {
    if (!getOptional(in, calibrations_[c], [&] { return std::make_unique<Calibration>(channelUnits[c]); })) return false;
  }
  if (!budget_.restore(in.get_bytes()) || !silence_.restore(in.get_bytes()) || !baseline_.restore(in.get_bytes()) || !window_.restore(in.get_bytes())) return false;
  if (!sound(baseline_, key_) || !sound(window_, key_)) return false;
  baseline_.compact();

  const auto operations = in.get<std::uint32_t>();
  if (operations > mostOperations) return false;
  for (std::uint32_t i = 0; i < operations; ++i) {
    LatencyModel model;
    const auto hash = in.get<std::uint64_t>();
    in(model.mean), in(model.above), in(model.below), in(model.count);
    operations_.push_back({hash, model});
  }
  const auto hops = in.get<std::uint32_t>();
  if (hops > hopsPerWindow() || (hops == 0) != (seen_ == 0)) return false;
  for (std::uint32_t i = 0; i < hops && in.ok(); ++i) visitHop(hops_.emplace_back(), in);
  const auto sightings = in.get<std::uint32_t>();
  if (sightings > mostSightings) return false;
  sightings_.resize(sightings);
  for (Sighting& sighting : sightings_) {
    visitSighting(sighting, in);
    sightingTags_.push_back(tagOf(idOf(sighting.signature)));
  }

  const auto evidence = in.get<std::uint32_t>();
  if (evidence > mostEvidence) return false;
  for (std::uint32_t i = 0; i < evidence; ++i) {
    Evidence& one = evidence_.emplace_back();
    in(one.id), in(one.silence);
    for (double& score : one.scores) in(score);
    const auto news = in.get<std::uint32_t>();
    if (news > Evidence::mostNews || one.id.size() > kMostId) return false;
    one.news.resize(news);
    for (std::uint64_t& signature : one.news) in(signature);
    if (!one.examples.restore(in.get_bytes()) || !sound(one.examples, key_)) return false;
  }
  // Each report of the open anomaly adds to the last one's.
  if (anomaly_.occurrences > 0 && (evidence_.empty() || evidence_.back().id != anomaly_.id)) return false;

  std::uint8_t codec = 0;
  bool measured = false;
  in(codec), in(measured);
  if (measured) {
    WindowMetrics metrics;
    visitMetrics(metrics, in);
    if (codec == static_cast<std::uint8_t>(settings_.codec)) metrics_ = metrics;
  }
  return in.done();
}

}  // namespace driftlock
