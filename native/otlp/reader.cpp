#include "otlp/reader.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <string_view>

#include "otlp/schema.hpp"
#include "otlp/value.hpp"
#include "otlp/wire.hpp"

namespace driftlock::otlp {
namespace {

using schemas::Rule;
using schemas::Schema;
using schemas::Step;

constexpr MetricType metricType(std::uint32_t fieldNumber) {
  switch (fieldNumber) {
    case 5: return MetricType::Gauge;
    case 7: return MetricType::Sum;
    case 9: return MetricType::Histogram;
    case 10: return MetricType::ExponentialHistogram;
    case 11: return MetricType::Summary;
    default: return MetricType::None;
  }
}

/// Four bytes of a name as the number that they are in memory.
constexpr std::uint32_t wordOf(const char (&text)[5]) {
  return std::bit_cast<std::uint32_t>(std::array<char, 4>{text[0], text[1], text[2], text[3]});
}

/// A field as read: `value` of a varint, `payload` of a length-delimited field.
struct Field {
  std::uint32_t tag = 0;
  std::uint64_t value = 0;
  Bytes payload;

  std::uint32_t number() const { return tag >> 3; }
};

class Indexer {
 public:
  Indexer(Index& out, WireError& error)
      : out_(out),
        error_(error),
        base_(out.request.data()),
        envelope_(schemas::kEnvelopes[static_cast<std::size_t>(out.signal)]) {}

  bool request() {
    return walk(envelope_.request, out_.request, 0,
                [&](const Cursor& at, const Field& field) { return field.number() != 1 || resource(at, field); });
  }

 private:
  bool resource(const Cursor& at, const Field& field) {
    std::uint32_t frame;
    if (!enter(at, field, kNone, envelope_.request, frame)) return false;
    const auto id = static_cast<std::uint32_t>(out_.resources.size());
    out_.resources.push_back({frame, {}});
    return walk(envelope_.resource, field.payload, 0, [&](const Cursor& at, const Field& field) {
      if (field.number() == 1) widen(out_.resources[id].resource, at);
      return field.number() != 2 || scope(at, field, frame, id);
    });
  }

  bool scope(const Cursor& at, const Field& field, std::uint32_t parent, std::uint32_t resource) {
    std::uint32_t frame;
    if (!enter(at, field, parent, envelope_.resource, frame)) return false;
    const auto id = static_cast<std::uint32_t>(out_.scopes.size());
    out_.scopes.push_back({frame, resource, {}});
    const bool metrics = out_.signal == Signal::Metrics;
    return walk(envelope_.scope, field.payload, 0, [&](const Cursor& at, const Field& field) {
      if (field.number() == 1) widen(out_.scopes[id].scope, at);
      if (field.number() != 2) return true;
      return metrics ? metric(at, field, frame, id) : record(at, field, frame, id, kNone, envelope_.scope);
    });
  }

  bool metric(const Cursor& at, const Field& field, std::uint32_t parent, std::uint32_t scope) {
    std::uint32_t frame;
    if (!enter(at, field, parent, envelope_.scope, frame)) return false;
    const auto id = static_cast<std::uint32_t>(out_.metrics.size());
    const std::size_t firstRecord = out_.records.size();
    out_.metrics.push_back({frame, scope, {}, {}});
    return walk(schemas::kMetric, field.payload, 0, [&](const Cursor& at, const Field& field) {
      Metric& metric = out_.metrics[id];
      if (field.number() == 1) metric.name = range(field.payload);
      if (field.number() == 3) metric.unit = range(field.payload);
      const MetricType type = metricType(field.number());
      if (type == MetricType::None) return true;
      if (type != metric.type) {
        out_.records.resize(firstRecord);
        metric.type = type;
        metric.temporality = Temporality::Unspecified;
        metric.monotonic = false;
      }
      return data(at, field, frame, id);
    });
  }

  bool data(const Cursor& at, const Field& field, std::uint32_t parent, std::uint32_t metric) {
    std::uint32_t frame;
    if (!enter(at, field, parent, schemas::kMetric, frame)) return false;
    Metric& of = out_.metrics[metric];
    const Schema& schema = schemas::kMetricData[static_cast<std::size_t>(of.type)];
    return walk(schema, field.payload, 0, [&](const Cursor& at, const Field& field) {
      if (field.number() == 1) return record(at, field, frame, of.scope, metric, schema);
      if (field.number() == 2 && schema.rules[2].name)
        of.temporality = static_cast<Temporality>(static_cast<std::int32_t>(field.value));
      if (field.number() == 3 && schema.rules[3].name) of.monotonic = field.value != 0;
      return true;
    });
  }

  bool record(const Cursor& at, const Field& field, std::uint32_t parent, std::uint32_t scope, std::uint32_t metric,
              const Schema& within) {
    if (out_.records.size() >= kMaxRecords) [[unlikely]]
      return refuse("more than 1048576 records in one request", nameOf(within, field), at.start());
    if (llm_) [[unlikely]] {
      llm_ = false;
      if (metric == kNone) out_.llm.push_back(static_cast<std::uint32_t>(out_.records.size()));
    }
    out_.records.push_back({frameOf(at, field, parent), scope, metric});
    return true;
  }

  bool enter(const Cursor& at, const Field& field, std::uint32_t parent, const Schema& within, std::uint32_t& frame) {
    if (out_.frames.size() >= kMaxRecords) [[unlikely]]
      return refuse("more than 1048576 messages around records in one request", nameOf(within, field), at.start());
    frame = static_cast<std::uint32_t>(out_.frames.size());
    out_.frames.push_back(frameOf(at, field, parent));
    return true;
  }

  /// Checks the fields of a message against its schema and passes each to `visit` once its content has been checked. `depth` is
  /// the number of AnyValues around the message.
  template <typename Visit>
  bool walk(const Schema& schema, Bytes message, std::uint32_t depth, Visit visit) {
    Cursor cursor(message);
    Field field;
    while ((field.tag = cursor.tag())) {
      bool ok = true;
      switch (schema.step(field.tag)) {
        case Step::Skip: cursor.skip(field.tag); break;
        case Step::Varint: field.value = cursor.varint(); break;
        case Step::Fixed64: cursor.fixed64(); break;
        case Step::Fixed32: cursor.fixed32(); break;
        case Step::Bytes: field.payload = cursor.payload(); break;
        case Step::Message:
          field.payload = cursor.payload();
          ok = check(*schema.rules[field.number()].message, field.payload, depth);
          break;
        case Step::Attribute: ok = attribute(cursor.payload(), depth); break;
        case Step::Value: ok = value(cursor.payload(), depth); break;
        case Step::Packed: ok = packed(schema.rules[field.number()], cursor); break;
        case Step::Refuse: ok = refuse("another wire type than this field has", nameOf(schema, field), cursor.start());
      }
      if (!ok) [[unlikely]]
        return false;
      if (cursor.failure()) [[unlikely]]
        break;
      if (!visit(cursor, field)) return false;
    }
    if (cursor.failure()) [[unlikely]]
      return refuse(cursor.failure(), nameOf(schema, field), cursor.start());
    return true;
  }

  bool check(const Schema& schema, Bytes message, std::uint32_t depth) {
    return walk(schema, message, depth, [](const Cursor&, const Field&) { return true; });
  }

  bool attribute(Bytes message, std::uint32_t depth) {
    KeyValue plain;
    if (depth < kMaxDepth && readPlain(message, plain)) {
      noteKey(plain.key);
      return true;
    }
    return walk(schemas::kKeyValue, message, depth, [this](const Cursor&, const Field& field) {
      if (field.number() == 1) noteKey(field.payload);
      return true;
    });
  }

  /// Notes that a record has an attribute of a language model. Four bytes decide of nearly all others that they are none.
  void noteKey(Bytes key) {
    std::uint32_t begin;
    if (key.size() < 8) return;
    std::memcpy(&begin, key.data(), sizeof begin);
    if (begin != wordOf("gen_") && begin != wordOf("llm.") && begin != wordOf("open") && begin != wordOf("trac")) [[likely]]
      return;
    const std::string_view name = textOf(key);
    llm_ = llm_ || name.starts_with("gen_ai.") || name.starts_with("llm.") || name.starts_with("openinference.") ||
           name.starts_with("traceloop.");
  }

  bool value(Bytes message, std::uint32_t depth) {
    if (depth == kMaxDepth) [[unlikely]]
      return refuse("nested more than 32 deep", "AnyValue", message.data());
    AnyValue plain;
    return readPlain(message, plain) || check(schemas::kAnyValue, message, depth + 1);
  }

  bool packed(const Rule& rule, Cursor& at) {
    Cursor pack(at.payload());
    while (!pack.done()) rule.step == Step::Fixed64 ? pack.fixed64() : pack.varint();
    return !pack.failure() || refuse("malformed packed numbers", rule.name, at.start());
  }

  bool refuse(const char* what, const char* field, const std::uint8_t* at) {
    error_ = {what, field, static_cast<std::size_t>(at - base_)};
    return false;
  }

  static const char* nameOf(const Schema& schema, const Field& field) {
    const char* name = field.number() < Schema::kNumbers ? schema.rules[field.number()].name : nullptr;
    return name ? name : schema.name;
  }

  std::uint32_t offset(const std::uint8_t* at) const { return static_cast<std::uint32_t>(at - base_); }
  Range range(Bytes bytes) const { return {offset(bytes.data()), offset(bytes.data() + bytes.size())}; }

  Frame frameOf(const Cursor& at, const Field& field, std::uint32_t parent) const {
    return {offset(at.start()), offset(field.payload.data()), offset(at.at()), parent};
  }

  void widen(Range& range, const Cursor& at) const {
    if (range.end == 0) range.begin = offset(at.start());
    range.end = offset(at.at());
  }

  Index& out_;
  WireError& error_;
  const std::uint8_t* base_;
  const schemas::Envelope& envelope_;
  /// Whether the record that is being checked has an attribute of a language model.
  bool llm_ = false;
};

}  // namespace

bool index(Signal signal, Bytes request, Index& out, WireError& error) {
  error = {};
  out.signal = signal;
  out.request = request;
  out.frames.clear();
  out.resources.clear();
  out.scopes.clear();
  out.metrics.clear();
  out.records.clear();
  out.llm.clear();
  if (request.size() > INT32_MAX) {
    error = {"longer than 2 GiB", schemas::kEnvelopes[static_cast<std::size_t>(signal)].request.name, 0};
    return false;
  }
  return Indexer(out, error).request();
}

std::uint32_t attributesField(const Index& index, const Record& record) {
  switch (index.signal) {
    case Signal::Logs: return 6;
    case Signal::Traces: return 9;
    case Signal::Metrics: break;
  }
  switch (index.metricOf(record).type) {
    case MetricType::Histogram: return 9;
    case MetricType::ExponentialHistogram: return 1;
    default: return 7;
  }
}

}  // namespace driftlock::otlp
