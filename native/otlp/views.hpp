#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include "../bytes.hpp"
#include "reader.hpp"
#include "wire.hpp"

/// Records as plain structs whose bytes stay in the request. The bytes given here come from an `Index`, which has checked
/// them; from others the views read as far as the wire format holds, and stop there.
namespace driftlock::otlp {

/// An attribute's value or a log record's body. A value that arrives in several pieces is the last member set; arrays
/// and lists in pieces are not joined.
struct AnyValue {
  enum class Type : std::uint8_t { None, String, Bool, Int, Double, Array, List, Bytes };

  Type type = Type::None;
  /// The bits of a Bool, Int or Double.
  std::uint64_t bits = 0;
  /// A String's or Bytes' own; an Array's or List's encoded message, for `Values` and `Attributes`.
  Bytes bytes;

  bool boolean() const { return bits != 0; }
  std::int64_t integer() const { return static_cast<std::int64_t>(bits); }
  double real() const { return std::bit_cast<double>(bits); }
};

struct KeyValue {
  Bytes key;
  AnyValue value;
};

/// The KeyValue fields of one number in a message, in wire order: `for (const KeyValue& attribute : attributes)`.
class Attributes {
 public:
  /// No attributes.
  Attributes() = default;
  /// Those of `message`, in field `number`.
  Attributes(Bytes message, std::uint32_t number) : messages_(), inner_(message), outerNumber_(0), number_(number) {}
  /// Those in field `number` of every message in field `outerNumber` of `messages`, as one list.
  Attributes(Bytes messages, std::uint32_t outerNumber, std::uint32_t number)
      : messages_(messages), inner_(), outerNumber_(outerNumber), number_(number) {}

  class iterator {
   public:
    using value_type = KeyValue;
    using difference_type = std::ptrdiff_t;

    explicit iterator(const Attributes& of)
        : outer_(of.messages_), inner_(of.inner_), outerNumber_(of.outerNumber_), number_(of.number_) {
      ++*this;
    }
    const KeyValue& operator*() const { return current_; }
    const KeyValue* operator->() const { return &current_; }
    iterator& operator++();
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }
    /// The whole field of the current attribute, tag and length included.
    Bytes field() const { return Bytes(inner_.start(), inner_.at()); }

   private:
    Cursor outer_;
    Cursor inner_;
    std::uint32_t outerNumber_;
    std::uint32_t number_;
    bool ended_ = false;
    KeyValue current_;
  };

  iterator begin() const { return iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  Bytes messages_;
  Bytes inner_;
  std::uint32_t outerNumber_ = 0;
  std::uint32_t number_ = 0;
};

/// The attributes that a value of type List stands for.
inline Attributes listOf(const AnyValue& value) { return Attributes(value.bytes, 1); }

/// The submessages in one field of a message, each through its reader: `Read` is a function from bytes to a view.
template <auto Read>
class Messages {
 public:
  Messages() = default;
  Messages(Bytes message, std::uint32_t number) : message_(message), number_(number) {}

  class iterator {
   public:
    using value_type = decltype(Read(Bytes()));
    using difference_type = std::ptrdiff_t;

    iterator(Bytes message, std::uint32_t number) : cursor_(message), number_(number) { ++*this; }
    value_type operator*() const { return Read(field_.payload); }
    iterator& operator++() {
      do ended_ = !cursor_.next(field_);
      while (!ended_ && field_.tag != tag(number_, Wire::Length));
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }

   private:
    Cursor cursor_;
    Field field_;
    std::uint32_t number_;
    bool ended_ = false;
  };

  iterator begin() const { return iterator(message_, number_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  Bytes message_;
  std::uint32_t number_ = 0;
};

AnyValue readAnyValue(Bytes message);

/// The elements of a value of type Array.
using Values = Messages<readAnyValue>;
inline Values arrayOf(const AnyValue& value) { return Values(value.bytes, 1); }

/// A repeated number field, packed or not: `Number` is what it holds, `Element` how one lies on the wire.
template <typename Number, Wire Element>
class Numbers {
  static_assert(sizeof(Number) == 8 && (Element == Wire::Varint || Element == Wire::Fixed64));

 public:
  Numbers() = default;
  Numbers(Bytes message, std::uint32_t number) : message_(message), number_(number) {}

  class iterator {
   public:
    using value_type = Number;
    using difference_type = std::ptrdiff_t;

    iterator(Bytes message, std::uint32_t number) : cursor_(message), number_(number) { ++*this; }
    Number operator*() const { return std::bit_cast<Number>(bits_); }
    iterator& operator++() {
      while (!fromPack()) {
        Field field;
        if (!cursor_.next(field)) {
          ended_ = true;
          break;
        }
        if (field.tag == tag(number_, Element)) {
          bits_ = field.value;
          break;
        }
        if (field.tag == tag(number_, Wire::Length)) pack_ = Cursor(field.payload);
      }
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }

   private:
    bool fromPack() {
      if constexpr (Element == Wire::Varint) return pack_.varint(bits_);
      else return pack_.fixed64(bits_);
    }

    Cursor cursor_;
    Cursor pack_{Bytes()};
    std::uint64_t bits_ = 0;
    std::uint32_t number_;
    bool ended_ = false;
  };

  iterator begin() const { return iterator(message_, number_); }
  std::default_sentinel_t end() const { return {}; }

 private:
  Bytes message_;
  std::uint32_t number_ = 0;
};

struct ResourceView {
  Attributes attributes;
};

struct ScopeView {
  Bytes name;
  Bytes version;
  Attributes attributes;
};

/// A LogRecord. Times in nanoseconds since the Unix epoch, 0 for unknown.
struct LogRecordView {
  std::uint64_t timeUnixNano = 0;
  std::uint64_t observedTimeUnixNano = 0;
  std::int32_t severityNumber = 0;
  std::uint32_t flags = 0;
  Bytes severityText;
  AnyValue body;
  Attributes attributes;
  Bytes traceId;
  Bytes spanId;
  Bytes eventName;
};

struct EventView {
  std::uint64_t timeUnixNano = 0;
  Bytes name;
  Attributes attributes;
};

struct LinkView {
  Bytes traceId;
  Bytes spanId;
  Bytes traceState;
  Attributes attributes;
};

EventView readEvent(Bytes message);
LinkView readLink(Bytes message);

struct SpanView {
  std::uint64_t startTimeUnixNano = 0;
  std::uint64_t endTimeUnixNano = 0;
  /// SpanKind of the protocol: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
  std::int32_t kind = 0;
  /// StatusCode of the protocol: 0 unset, 1 ok, 2 error.
  std::int32_t statusCode = 0;
  std::uint32_t flags = 0;
  Bytes statusMessage;
  Bytes name;
  Bytes traceId;
  Bytes spanId;
  Bytes parentSpanId;
  Bytes traceState;
  Attributes attributes;
  Messages<readEvent> events;
  Messages<readLink> links;
};

/// The buckets of an exponential histogram on one side of zero: `counts[i]` belongs to bucket `offset + i`.
/// Buckets in several pieces are not joined: the last stands.
struct BucketsView {
  std::int32_t offset = 0;
  Numbers<std::uint64_t, Wire::Varint> counts;
};

struct QuantileView {
  double quantile = 0;
  double value = 0;
};

QuantileView readQuantile(Bytes message);

/// A data point of any of the five types; what its type lacks stays at its default.
struct PointView {
  enum class Number : std::uint8_t { None, Double, Int };

  std::uint64_t startTimeUnixNano = 0;
  std::uint64_t timeUnixNano = 0;
  /// 1: no recorded value.
  std::uint32_t flags = 0;
  Attributes attributes;

  /// Gauge and sum: which of the two below holds the value.
  Number number = Number::None;
  double asDouble = 0;
  std::int64_t asInt = 0;

  /// Histogram, exponential histogram, summary.
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::optional<double> min;
  std::optional<double> max;

  /// Histogram: counts, one more than bounds.
  Numbers<std::uint64_t, Wire::Fixed64> bucketCounts;
  Numbers<double, Wire::Fixed64> explicitBounds;

  /// Exponential histogram: base 2^(2^-scale).
  std::int32_t scale = 0;
  std::uint64_t zeroCount = 0;
  double zeroThreshold = 0;
  BucketsView positive;
  BucketsView negative;

  /// Summary.
  Messages<readQuantile> quantiles;
};

ResourceView readResource(const Index& index, const Resource& resource);
ScopeView readScope(const Index& index, const Scope& scope);
LogRecordView readLogRecord(Bytes record);
SpanView readSpan(Bytes record);
/// `type`: of the point's metric.
PointView readPoint(MetricType type, Bytes record);

}  // namespace driftlock::otlp
