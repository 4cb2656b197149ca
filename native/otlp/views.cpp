#include "otlp/views.hpp"

namespace driftlock::otlp {
namespace {

constexpr std::uint32_t varint(std::uint32_t number) { return tag(number, Wire::Varint); }
constexpr std::uint32_t fixed64(std::uint32_t number) { return tag(number, Wire::Fixed64); }
constexpr std::uint32_t fixed32(std::uint32_t number) { return tag(number, Wire::Fixed32); }
constexpr std::uint32_t length(std::uint32_t number) { return tag(number, Wire::Length); }

/// Reads `message` over what `value` holds already, as protobuf merges pieces.
void mergeAnyValue(Bytes message, AnyValue& value) {
  if (readPlain(message, value)) return;
  using Type = AnyValue::Type;
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case length(1): value = {Type::String, 0, cursor.payload()}; break;
      case varint(2): value = {Type::Bool, cursor.varint() != 0, {}}; break;
      case varint(3): value = {Type::Int, cursor.varint(), {}}; break;
      case fixed64(4): value = {Type::Double, cursor.fixed64(), {}}; break;
      case length(5): value = {Type::Array, 0, cursor.payload()}; break;
      case length(6): value = {Type::List, 0, cursor.payload()}; break;
      case length(7): value = {Type::Bytes, 0, cursor.payload()}; break;
      default: cursor.skip(tag);
    }
  }
}

/// The range of a message from the first field of some number to the end of the last.
class Stretch {
 public:
  void widen(const Cursor& cursor) {
    if (!begin_) begin_ = cursor.start();
    end_ = cursor.at();
  }
  Bytes bytes() const { return begin_ ? Bytes(begin_, end_) : Bytes(); }

 private:
  const std::uint8_t* begin_ = nullptr;
  const std::uint8_t* end_ = nullptr;
};

/// Decodes ZigZag, the wire encoding of sint32.
std::int32_t signed32(std::uint64_t value) {
  const auto bits = static_cast<std::uint32_t>(value);
  return static_cast<std::int32_t>(bits >> 1 ^ (0 - (bits & 1)));
}

struct Status {
  std::int32_t code = 0;
  Bytes message;
};

void mergeStatus(Bytes message, Status& status) {
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case length(2): status.message = cursor.payload(); break;
      case varint(3): status.code = static_cast<std::int32_t>(cursor.varint()); break;
      default: cursor.skip(tag);
    }
  }
}

void mergeBuckets(Bytes message, BucketsView& buckets) {
  buckets.counts = {message, 2};
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    if (tag == varint(1)) buckets.offset = signed32(cursor.varint());
    else cursor.skip(tag);
  }
}

PointView readNumber(Bytes record) {
  PointView point;
  point.attributes = {record, 7};
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(2): point.startTimeUnixNano = cursor.fixed64(); break;
      case fixed64(3): point.timeUnixNano = cursor.fixed64(); break;
      case fixed64(4):
        point.number = PointView::Number::Double;
        point.asDouble = cursor.real();
        point.asInt = 0;
        break;
      case fixed64(6):
        point.number = PointView::Number::Int;
        point.asInt = static_cast<std::int64_t>(cursor.fixed64());
        point.asDouble = 0;
        break;
      case varint(8): point.flags = static_cast<std::uint32_t>(cursor.varint()); break;
      default: cursor.skip(tag);
    }
  }
  return point;
}

PointView readHistogram(Bytes record) {
  PointView point;
  point.bucketCounts = {record, 6};
  point.explicitBounds = {record, 7};
  point.attributes = {record, 9};
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(2): point.startTimeUnixNano = cursor.fixed64(); break;
      case fixed64(3): point.timeUnixNano = cursor.fixed64(); break;
      case fixed64(4): point.count = cursor.fixed64(); break;
      case fixed64(5): point.sum = cursor.real(); break;
      case varint(10): point.flags = static_cast<std::uint32_t>(cursor.varint()); break;
      case fixed64(11): point.min = cursor.real(); break;
      case fixed64(12): point.max = cursor.real(); break;
      default: cursor.skip(tag);
    }
  }
  return point;
}

PointView readExponentialHistogram(Bytes record) {
  PointView point;
  point.attributes = {record, 1};
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(2): point.startTimeUnixNano = cursor.fixed64(); break;
      case fixed64(3): point.timeUnixNano = cursor.fixed64(); break;
      case fixed64(4): point.count = cursor.fixed64(); break;
      case fixed64(5): point.sum = cursor.real(); break;
      case varint(6): point.scale = signed32(cursor.varint()); break;
      case fixed64(7): point.zeroCount = cursor.fixed64(); break;
      case length(8): mergeBuckets(cursor.payload(), point.positive); break;
      case length(9): mergeBuckets(cursor.payload(), point.negative); break;
      case varint(10): point.flags = static_cast<std::uint32_t>(cursor.varint()); break;
      case fixed64(12): point.min = cursor.real(); break;
      case fixed64(13): point.max = cursor.real(); break;
      case fixed64(14): point.zeroThreshold = cursor.real(); break;
      default: cursor.skip(tag);
    }
  }
  return point;
}

PointView readSummary(Bytes record) {
  PointView point;
  point.quantiles = {record, 6};
  point.attributes = {record, 7};
  point.sum = 0;
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(2): point.startTimeUnixNano = cursor.fixed64(); break;
      case fixed64(3): point.timeUnixNano = cursor.fixed64(); break;
      case fixed64(4): point.count = cursor.fixed64(); break;
      case fixed64(5): point.sum = cursor.real(); break;
      case varint(8): point.flags = static_cast<std::uint32_t>(cursor.varint()); break;
      default: cursor.skip(tag);
    }
  }
  return point;
}

}  // namespace

KeyValue readKeyValue(Bytes message) {
  KeyValue attribute;
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case length(1): attribute.key = cursor.payload(); break;
      case length(2): mergeAnyValue(cursor.payload(), attribute.value); break;
      default: cursor.skip(tag);
    }
  }
  return attribute;
}

AnyValue readAnyValue(Bytes message) {
  AnyValue value;
  mergeAnyValue(message, value);
  return value;
}

EventView readEvent(Bytes message) {
  EventView event;
  event.attributes = {message, 3};
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(1): event.timeUnixNano = cursor.fixed64(); break;
      case length(2): event.name = cursor.payload(); break;
      default: cursor.skip(tag);
    }
  }
  return event;
}

LinkView readLink(Bytes message) {
  LinkView link;
  link.attributes = {message, 4};
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case length(1): link.traceId = cursor.payload(); break;
      case length(2): link.spanId = cursor.payload(); break;
      case length(3): link.traceState = cursor.payload(); break;
      default: cursor.skip(tag);
    }
  }
  return link;
}

QuantileView readQuantile(Bytes message) {
  QuantileView quantile;
  Cursor cursor(message);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(1): quantile.quantile = cursor.real(); break;
      case fixed64(2): quantile.value = cursor.real(); break;
      default: cursor.skip(tag);
    }
  }
  return quantile;
}

ResourceView readResource(const Index& index, const Resource& resource) {
  return {Attributes(index.bytes(resource.resource), 1, 1)};
}

ScopeView readScope(const Index& index, const Scope& scope) {
  const Bytes stretch = index.bytes(scope.scope);
  ScopeView view;
  view.attributes = {stretch, 1, 3};
  Cursor pieces(stretch);
  while (const std::uint32_t piece = pieces.tag()) {
    if (piece != length(1)) {
      pieces.skip(piece);
      continue;
    }
    Cursor cursor(pieces.payload());
    while (const std::uint32_t tag = cursor.tag()) {
      switch (tag) {
        case length(1): view.name = cursor.payload(); break;
        case length(2): view.version = cursor.payload(); break;
        default: cursor.skip(tag);
      }
    }
  }
  return view;
}

// Here and for spans the fields are read one by one: GCC clears a large struct with an instruction that costs more than reading
// ten of its fields.
LogRecordView readLogRecord(Bytes record) {
  std::uint64_t time = 0, observed = 0;
  std::int32_t severity = 0;
  std::uint32_t flags = 0;
  Bytes severityText, traceId, spanId, eventName;
  AnyValue body;
  Stretch attributes;
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case fixed64(1): time = cursor.fixed64(); break;
      case varint(2): severity = static_cast<std::int32_t>(cursor.varint()); break;
      case length(3): severityText = cursor.payload(); break;
      case length(5): mergeAnyValue(cursor.payload(), body); break;
      case length(6):
        cursor.payload();
        attributes.widen(cursor);
        break;
      case fixed32(8): flags = cursor.fixed32(); break;
      case length(9): traceId = cursor.payload(); break;
      case length(10): spanId = cursor.payload(); break;
      case fixed64(11): observed = cursor.fixed64(); break;
      case length(12): eventName = cursor.payload(); break;
      default: cursor.skip(tag);
    }
  }
  return {.timeUnixNano = time,
          .observedTimeUnixNano = observed,
          .severityNumber = severity,
          .flags = flags,
          .severityText = severityText,
          .body = body,
          .attributes = {attributes.bytes(), 6},
          .traceId = traceId,
          .spanId = spanId,
          .eventName = eventName};
}

SpanView readSpan(Bytes record) {
  std::uint64_t start = 0, end = 0;
  std::int32_t kind = 0;
  std::uint32_t flags = 0;
  Status status;
  Bytes name, traceId, spanId, parentSpanId, traceState;
  Stretch attributes, events, links;
  Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    switch (tag) {
      case length(1): traceId = cursor.payload(); break;
      case length(2): spanId = cursor.payload(); break;
      case length(3): traceState = cursor.payload(); break;
      case length(4): parentSpanId = cursor.payload(); break;
      case length(5): name = cursor.payload(); break;
      case varint(6): kind = static_cast<std::int32_t>(cursor.varint()); break;
      case fixed64(7): start = cursor.fixed64(); break;
      case fixed64(8): end = cursor.fixed64(); break;
      case length(9):
        cursor.payload();
        attributes.widen(cursor);
        break;
      case length(11):
        cursor.payload();
        events.widen(cursor);
        break;
      case length(13):
        cursor.payload();
        links.widen(cursor);
        break;
      case length(15): mergeStatus(cursor.payload(), status); break;
      case fixed32(16): flags = cursor.fixed32(); break;
      default: cursor.skip(tag);
    }
  }
  return {.startTimeUnixNano = start,
          .endTimeUnixNano = end,
          .kind = kind,
          .statusCode = status.code,
          .flags = flags,
          .statusMessage = status.message,
          .name = name,
          .traceId = traceId,
          .spanId = spanId,
          .parentSpanId = parentSpanId,
          .traceState = traceState,
          .attributes = {attributes.bytes(), 9},
          .events = {events.bytes(), 11},
          .links = {links.bytes(), 13}};
}

PointView readPoint(MetricType type, Bytes record) {
  switch (type) {
    case MetricType::Gauge:
    case MetricType::Sum: return readNumber(record);
    case MetricType::Histogram: return readHistogram(record);
    case MetricType::ExponentialHistogram: return readExponentialHistogram(record);
    case MetricType::Summary: return readSummary(record);
    case MetricType::None: break;
  }
  return {};
}

}  // namespace driftlock::otlp
