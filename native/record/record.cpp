#include "record/record.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <limits>
#include <string_view>

#include "base/work.hpp"
#include "otlp/severity.hpp"
#include "otlp/views.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

bool isOwnEvent(Bytes name) { return textOf(name) == kAnomalyEvent || textOf(name) == kIncidentEvent; }

/// Collects fields within the record's bounds.
class Collector {
 public:
  explicit Collector(RecordView& out, CallTexts texts = CallTexts::Read) : out_(out), texts_(texts) {}

  void text(Bytes key, Bytes value) { add(key, value, 0, Field::Kind::Text); }
  void word(std::string_view key, Bytes value) { add(bytesOf(key), value, 0, Field::Kind::Word); }

  void value(Bytes key, const otlp::AnyValue& value) {
    using Type = otlp::AnyValue::Type;
    switch (value.type) {
      case Type::None: return add(key, {}, 0, Field::Kind::Word);
      case Type::String:
        return shortNumber(value.bytes) ? add(key, {}, integer(value.bytes), Field::Kind::Integer)
                                        : add(key, value.bytes, 0, Field::Kind::Text);
      case Type::Bool: return add(key, bytesOf(value.boolean() ? "true" : "false"), 0, Field::Kind::Word);
      case Type::Int: return add(key, {}, value.bits, Field::Kind::Integer);
      case Type::Double: return add(key, {}, value.bits, Field::Kind::Real);
      case Type::Bytes:
        // Text is read, whatever type it is sent as. Other bytes are not read, but their number is informative.
        return readsAsText(value.bytes) ? add(key, value.bytes, 0, Field::Kind::Text)
                                        : add(key, {}, value.bytes.size(), Field::Kind::Integer);
      case Type::Array:
        for (const otlp::AnyValue element : otlp::arrayOf(value)) {
          if (full()) return;
          this->value(key, element);
        }
        return;
      case Type::List: attributes(otlp::listOf(value)); return;
    }
  }

  void attributes(const otlp::Attributes& attributes) {
    for (const otlp::KeyValue& attribute : attributes) {
      if (full()) return;
      // The attribute names the session and describes nothing of the record.
      if (textOf(attribute.key) == "session.id") {
        out_.session = attribute.value;
        continue;
      }
      if (textOf(attribute.key) == "event.name") out_.own |= isOwnEvent(attribute.value.bytes);
      if (texts_ == CallTexts::LeftOut && held_.take(attribute)) continue;
      value(attribute.key, attribute.value);
    }
  }

  /// The texts that were held back.
  const HeldTexts& held() const { return held_; }
  /// Reads the texts that were held back, because the record is no call.
  void release() {
    for (const otlp::KeyValue& each : held_.all()) value(each.key, each.value);
  }

 private:
  /// Whether the bytes, as far as texts are read, are printable ASCII, tabs and line ends, and too many to be a random id.
  static bool readsAsText(Bytes bytes) {
    constexpr std::size_t kShortest = 24;
    if (bytes.size() < kShortest) return false;
    return std::ranges::all_of(bytes.first(std::min(bytes.size(), kMaxTextSize)),
                               [](std::uint8_t c) { return (c >= 0x20 && c < 0x7f) || c == '\t' || c == '\n' || c == '\r'; });
  }
  /// Whether it is a code sent as a string, such as "404": its type must not depend on how the sender spells it.
  static bool shortNumber(Bytes text) {
    if (text.empty() || text.size() > 4 || (text.size() > 1 && text[0] == '0')) return false;
    for (std::uint8_t c : text) {
      if (c < '0' || c > '9') return false;
    }
    return true;
  }
  static std::uint64_t integer(Bytes digits) {
    std::uint64_t value = 0;
    for (std::uint8_t c : digits) value = value * 10 + (c - '0');
    return value;
  }

  bool full() const { return room_ == 0; }

  void add(Bytes key, Bytes text, std::uint64_t bits, Field::Kind kind) {
    if (full()) return;
    if (key.size() > kMaxKeySize) key = key.first(kMaxKeySize);
    if (text.size() > left_) text = text.first(left_);
    left_ -= text.size();
    --room_;
    out_.fields.push_back({key, text, bits, kind});
  }

  RecordView& out_;
  CallTexts texts_;
  HeldTexts held_;
  /// How many more fields, and bytes of their texts, are read.
  std::size_t room_ = kMaxFields, left_ = kMaxTextSize;
};

constexpr std::array<std::string_view, 4> kLevels = {"INFO", "WARN", "ERROR", "FATAL"};
constexpr std::array<std::string_view, 6> kKinds = {"unspecified", "internal", "server", "client", "producer", "consumer"};

/// Severity numbers come in fours: 13 WARN, 17 ERROR, 21 FATAL.
Gravity gravityOfNumber(std::int32_t severity) {
  return severity >= 21 ? Gravity::Fatal : severity >= 17 ? Gravity::Error : severity >= 13 ? Gravity::Warning : Gravity::Normal;
}

/// The trace is the session of its spans.
otlp::AnyValue sessionOf(Bytes traceId) { return {otlp::AnyValue::Type::Bytes, 0, traceId}; }

void readLog(Bytes record, CallTexts texts, RecordView& out) {
  const otlp::LogRecordView log = otlp::readLogRecord(record);
  // Log records may leave out their own time, but not give a wrong one.
  out.setTime(log.timeUnixNano != 0 ? log.timeUnixNano : log.observedTimeUnixNano);
  out.dateBy(log.observedTimeUnixNano);
  out.traceId = log.traceId;
  out.spanId = log.spanId;
  const auto severity = log.severityNumber != 0 ? log.severityNumber : severityNumberOf(textOf(log.severityText));
  out.graded = severity > 0;
  out.gravity = gravityOfNumber(severity);
  Collector fields(out, texts);
  fields.value({}, log.body);
  if (!log.severityText.empty()) {
    fields.word("severity", log.severityText);
  } else if (out.graded) {
    fields.word("severity", bytesOf(kLevels[static_cast<std::size_t>(out.gravity)]));
  }
  fields.attributes(log.attributes);
  if (!fields.held().ofLog(textOf(log.eventName))) fields.release();
  if (!out.inSession() && !log.traceId.empty()) out.session = sessionOf(log.traceId);
  out.own |= isOwnEvent(log.eventName);
  out.last = textOf(log.eventName) == "session.end";
  out.eventName = log.eventName;
  // Within a session, the sequence channel judges a new kind of record.
  if (!log.eventName.empty() && !out.inSession()) fields.word("event_name", log.eventName);
}

/// Reads the duration, if there is one. Returns true if start and end cannot both be right.
bool readDuration(const otlp::SpanView& span, RecordView& out) {
  constexpr std::uint64_t kLongest = 366ull * 86'400 * 1'000'000'000;
  if (span.startTimeUnixNano == 0 || span.endTimeUnixNano == 0) return false;
  const std::uint64_t start = unitOf(span.startTimeUnixNano), end = unitOf(span.endTimeUnixNano);
  // Times since the sender's own start are of no known unit, but are as good for a duration.
  const bool known = start != 0 && end != 0;
  const std::uint64_t from = span.startTimeUnixNano * (known ? start : 1), to = span.endTimeUnixNano * (known ? end : 1);
  if (to < from || to - from > kLongest) return true;
  out.duration = to - from;
  out.hasDuration = true;
  return false;
}

void readSpan(Bytes record, CallTexts texts, RecordView& out) {
  const otlp::SpanView span = otlp::readSpan(record);
  out.setTime(span.startTimeUnixNano);
  out.dateBy(span.endTimeUnixNano);
  out.traceId = span.traceId;
  out.spanId = span.spanId;
  out.parentSpanId = span.parentSpanId;
  const bool apart = readDuration(span, out);
  out.graded = true;
  out.gravity = span.statusCode == 2 ? Gravity::Error : Gravity::Normal;
  Collector fields(out, texts);
  fields.text({}, span.name);
  out.spanKind = span.kind > 0 && span.kind < 6 ? static_cast<std::uint8_t>(span.kind) : 0;
  fields.word("kind", bytesOf(kKinds[out.spanKind]));
  fields.word("status", bytesOf(span.statusCode == 2 ? "error" : span.statusCode == 1 ? "ok" : "unset"));
  if (!span.statusMessage.empty()) fields.text(bytesOf("status.message"), span.statusMessage);
  if (apart) fields.word("duration", bytesOf("the clocks of its start and its end disagree"));
  fields.attributes(span.attributes);
  for (const otlp::EventView event : span.events) {
    fields.text(bytesOf("event"), event.name);
    fields.attributes(event.attributes);
  }
  for (const otlp::LinkView link : span.links) fields.attributes(link.attributes);
  if (!fields.held().ofSpan()) fields.release();
  out.session = sessionOf(span.traceId);
  out.last = span.parentSpanId.empty();
}

void readBuckets(const otlp::PointView& point, ShapePoint& shape) {
  auto count = point.bucketCounts.begin();
  std::size_t buckets = 0;
  for (const double bound : point.explicitBounds) {
    if (count == point.bucketCounts.end() || ++buckets > kMaxBuckets) return shape.spoil();
    shape.bucket(bound, *count);
    ++count;
  }
  if (count == point.bucketCounts.end()) return buckets > 0 ? shape.spoil() : void();
  shape.bucket(std::numeric_limits<double>::infinity(), *count);
  // There is one count more than bounds.
  if (++count != point.bucketCounts.end()) shape.spoil();
}

void readExponentialBuckets(const otlp::PointView& point, ShapePoint& shape) {
  shape.zero(point.scale, point.zeroCount, point.zeroThreshold);
  for (const bool negative : {false, true}) {
    const otlp::BucketsView& side = negative ? point.negative : point.positive;
    std::int64_t index = side.offset;
    const std::int64_t end = index + static_cast<std::int64_t>(kMaxBuckets);
    for (const std::uint64_t count : side.counts) {
      if (index == end) return shape.spoil();
      shape.exponential(point.scale, index++, negative, count);
    }
  }
}

void readShape(otlp::MetricType type, const otlp::PointView& point, ShapePoint& shape) {
  if (type == otlp::MetricType::Histogram) readBuckets(point, shape);
  if (type == otlp::MetricType::ExponentialHistogram) readExponentialBuckets(point, shape);
  if (type == otlp::MetricType::Summary) {
    for (const auto& [quantile, value] : point.quantiles) shape.quantile(quantile, value);
  }
  shape.finish();
}

Accounting accountingOf(otlp::MetricType type, otlp::Temporality temporality, bool monotonic) {
  const bool cumulative = temporality == otlp::Temporality::Cumulative;
  switch (type) {
    case otlp::MetricType::Sum:
      if (temporality == otlp::Temporality::Delta) return Accounting::Delta;
      return cumulative && monotonic ? Accounting::Total : Accounting::Level;
    case otlp::MetricType::Histogram:
    case otlp::MetricType::ExponentialHistogram: return cumulative ? Accounting::Total : Accounting::Delta;
    // The sum and the count of a summary are those of Prometheus: since the process began.
    case otlp::MetricType::Summary: return Accounting::Total;
    default: return Accounting::Level;
  }
}

void readPoint(otlp::MetricType type, Bytes record, RecordView& out) {
  const otlp::PointView point = otlp::readPoint(type, record);
  out.setTime(point.timeUnixNano);
  out.graded = true;
  out.startUnixNano = point.startTimeUnixNano * std::max<std::uint64_t>(unitOf(point.startTimeUnixNano), 1);
  out.accounting = accountingOf(type, otlp::Temporality::Unspecified, false);
  out.recorded = (point.flags & 1) == 0;
  if (point.number != otlp::PointView::Number::None) {
    out.sum = point.number == otlp::PointView::Number::Int ? static_cast<double>(point.asInt) : point.asDouble;
    out.hasValue = out.recorded;
  } else if (type != otlp::MetricType::Gauge && type != otlp::MetricType::Sum) {
    out.count = static_cast<double>(point.count);
    if (point.sum) out.sum = *point.sum;
    out.hasValue = out.recorded && point.sum.has_value();
  } else {
    out.recorded = false;
  }
  if (out.recorded) readShape(type, point, out.shape);
  Collector(out).attributes(point.attributes);
}

Gravity gravityOfWord(std::string_view word) {
  constexpr std::array<std::string_view, 7> kFatal = {"FATAL", "CRITICAL", "CRIT", "EMERG", "EMERGENCY", "ALERT", "PANIC"};
  constexpr std::array<std::string_view, 5> kError = {"ERROR", "ERR", "SEVERE", "FAILURE", "FAILED"};
  constexpr std::array<std::string_view, 2> kWarning = {"WARN", "WARNING"};
  for (std::string_view w : kFatal)
    if (w == word) return Gravity::Fatal;
  for (std::string_view w : kError)
    if (w == word) return Gravity::Error;
  for (std::string_view w : kWarning)
    if (w == word) return Gravity::Warning;
  return Gravity::Normal;
}

template <typename Number>
void append(std::string& text, Number number) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  text.append(digits, end);
}

}  // namespace

void RecordView::setTime(std::uint64_t time) {
  const std::uint64_t unit = unitOf(time);
  timeFault = unit == 1 ? TimeFault::None : unit == 0 ? TimeFault::Absent : TimeFault::Unit;
  timeUnixNano = time * std::max<std::uint64_t>(unit, 1);
}

void RecordView::dateBy(std::uint64_t other) {
  if (timeFault != TimeFault::Absent || isPlausible(timeUnixNano)) return;
  if (const std::uint64_t unit = unitOf(other); unit != 0) timeUnixNano = other * unit;
}

void RecordView::date(std::uint64_t arrivalUnixNano) {
  constexpr std::uint64_t kYear = 366ull * 86'400 * 1'000'000'000;
  const std::uint64_t apart = timeUnixNano > arrivalUnixNano ? timeUnixNano - arrivalUnixNano : arrivalUnixNano - timeUnixNano;
  if (timeFault == TimeFault::Unit && arrivalUnixNano != 0 && apart > kYear) {
    timeFault = TimeFault::Absent;
    timeUnixNano = 0;
  }
  dateBy(arrivalUnixNano);
}

void RecordView::clear() {
  fields.clear();
  timeUnixNano = duration = 0;
  session = {};
  traceId = spanId = parentSpanId = eventName = unit = {};
  own = false;
  gravity = Gravity::Normal;
  spanKind = 0;
  timeFault = TimeFault::None;
  graded = hasValue = hasDuration = last = recorded = false;
  startUnixNano = 0;
  accounting = Accounting::Level;
  sum = count = 0;
  shape.clear();
}

void readFields(const otlp::Index& index, const otlp::Record& record, RecordView& out, CallTexts texts) {
  if (record.metric == otlp::kNone) return readFields(index.signal, otlp::MetricType::None, index.bytes(record), out, texts);
  const otlp::Metric& metric = index.metricOf(record);
  readFields(index.signal, metric.type, index.bytes(record), out);
  const std::string_view name = textOf(index.bytes(metric.name));
  out.own = name.starts_with(kStreamMetrics) || name.starts_with(kPrometheusStreamMetrics);
  out.accounting = accountingOf(metric.type, metric.temporality, metric.monotonic);
  out.monotonic = metric.monotonic;
  out.unit = index.bytes(metric.unit);
}

void readFields(otlp::Signal signal, otlp::MetricType type, Bytes record, RecordView& out, CallTexts texts) {
  out.clear();
  switch (signal) {
    case otlp::Signal::Logs: return readLog(record, texts, out);
    case otlp::Signal::Traces: return readSpan(record, texts, out);
    case otlp::Signal::Metrics: return readPoint(type, record, out);
  }
}

std::string metricUnit(const RecordView& record) {
  constexpr std::size_t kMost = 64;
  std::string unit(textOf(record.unit.first(std::min(record.unit.size(), kMost))));
  text::makeReadable(unit);
  return unit;
}

std::string_view spanKindName(std::uint8_t kind) { return kKinds[kind < kKinds.size() ? kind : 0]; }

Gravity gravityOf(const RecordView& record) {
  if (record.graded) return record.gravity;
  Gravity gravest = Gravity::Normal;
  for (const Field& field : record.fields) {
    if (field.kind != Field::Kind::Text && field.kind != Field::Kind::Word) continue;
    const std::string_view text = textOf(field.text);
    for (std::size_t i = 0; i < text.size();) {
      if (text[i] < 'A' || text[i] > 'Z') {
        ++i;
        continue;
      }
      std::size_t end = i;
      while (end < text.size() && text[end] >= 'A' && text[end] <= 'Z') ++end;
      const Gravity gravity = end - i < 3 ? Gravity::Normal : gravityOfWord(text.substr(i, end - i));
      if (gravity > gravest) gravest = gravity;
      i = end;
    }
  }
  return gravest;
}

double numberOf(const Field& field) {
  return field.kind == Field::Kind::Real ? std::bit_cast<double>(field.bits)
                                         : static_cast<double>(static_cast<std::int64_t>(field.bits));
}

std::string fieldName(Bytes key, otlp::Signal signal) {
  std::string name(key.begin(), key.end());
  if (name.empty()) name = signal == otlp::Signal::Traces ? "name" : "body";
  text::makeReadable(name);
  return name;
}

void renderValue(const Field& field, std::string& text) {
  switch (field.kind) {
    case Field::Kind::Text:
    case Field::Kind::Word: text.append(textOf(field.text)); return;
    case Field::Kind::Integer: return append(text, static_cast<std::int64_t>(field.bits));
    case Field::Kind::Real: return append(text, std::bit_cast<double>(field.bits));
  }
}

void render(const RecordView& record, std::string& text, std::vector<std::uint32_t>* starts) {
  text.clear();
  if (starts) starts->clear();
  countWork(record.fields.size());
  for (const Field& field : record.fields) {
    if (!text.empty()) text += ' ';
    if (!field.key.empty()) {
      text.append(textOf(field.key));
      text += '=';
    }
    if (starts) starts->push_back(static_cast<std::uint32_t>(text.size()));
    renderValue(field, text);
  }
}

}  // namespace driftlock
