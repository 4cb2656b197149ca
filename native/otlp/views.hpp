#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "otlp/wire.hpp"

/// Records as plain structs whose bytes stay in the request. The bytes passed here come from an `Index`, which has checked them;
/// in others the views read as far as the wire format is valid, and stop there.
namespace driftlock::otlp {

/// Reads a KeyValue in any form, including those that `readPlain` rejects.
KeyValue readKeyValue(Bytes message);

/// The KeyValue fields of one number in a message, in wire order: `for (const KeyValue& attribute : attributes)`. Each is valid
/// until the next is read; its bytes belong to the request.
class Attributes {
 public:
  /// Constructs an empty list.
  Attributes() = default;
  /// The attributes of `message` in field `number`.
  Attributes(Bytes message, std::uint32_t number) : bytes_(message), number_(number) {}
  /// The attributes in field `number` of every message in field `outerNumber` of `messages`, as one list.
  Attributes(Bytes messages, std::uint32_t outerNumber, std::uint32_t number)
      : bytes_(messages), outerNumber_(outerNumber), number_(number) {}

  class iterator {
   public:
    using value_type = KeyValue;
    using difference_type = std::ptrdiff_t;

    explicit iterator(const Attributes& of) : outerNumber_(of.outerNumber_), number_(of.number_) {
      (outerNumber_ ? outer_ : inner_) = Cursor(of.bytes_);
      ++*this;
    }
    const KeyValue& operator*() const { return current_; }
    const KeyValue* operator->() const { return &current_; }
    iterator& operator++() {
      std::uint32_t tag;
      while ((tag = inner_.tag()) != otlp::tag(number_, Wire::Length)) {
        if (tag) inner_.skip(tag);
        else if (!nextMessage()) return *this;
      }
      const Bytes message = inner_.payload();
      if (!readPlain(message, current_)) current_ = readKeyValue(message);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }
    /// The whole field of the current attribute, tag and length included.
    Bytes field() const { return Bytes(inner_.start(), inner_.at()); }

   private:
    bool nextMessage() {
      std::uint32_t tag;
      while ((tag = outer_.tag()) && tag != otlp::tag(outerNumber_, Wire::Length)) outer_.skip(tag);
      if (tag) inner_ = Cursor(outer_.payload());
      else ended_ = true;
      return !ended_;
    }

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
  Bytes bytes_;
  /// If 0, `bytes_` is the one message itself.
  std::uint32_t outerNumber_ = 0;
  std::uint32_t number_ = 0;
};

/// Returns the attributes in a value of type List.
inline Attributes listOf(const AnyValue& value) { return Attributes(value.bytes, 1); }

/// The submessages in one field of a message, each read by `Read`, a function from bytes to a view.
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
    value_type operator*() const { return Read(message_); }
    iterator& operator++() {
      std::uint32_t tag;
      while ((tag = cursor_.tag()) && tag != otlp::tag(number_, Wire::Length)) cursor_.skip(tag);
      ended_ = !tag;
      if (!ended_) message_ = cursor_.payload();
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }

   private:
    Cursor cursor_;
    Bytes message_;
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

/// A repeated number field, packed or not: `Number` is the type of an element, `Element` its wire type.
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
      while (pack_.done()) {
        const std::uint32_t tag = cursor_.tag();
        if (!tag) {
          ended_ = true;
          return *this;
        }
        if (tag == otlp::tag(number_, Element)) {
          bits_ = read(cursor_);
          return *this;
        }
        if (tag == otlp::tag(number_, Wire::Length)) pack_ = Cursor(cursor_.payload());
        else cursor_.skip(tag);
      }
      bits_ = read(pack_);
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return ended_; }

   private:
    static std::uint64_t read(Cursor& cursor) {
      if constexpr (Element == Wire::Varint) return cursor.varint();
      else return cursor.fixed64();
    }

    Cursor cursor_;
    Cursor pack_;
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

/// A LogRecord. Times are in nanoseconds since the Unix epoch, 0 if unknown.
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
  /// The protocol's SpanKind: 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
  std::int32_t kind = 0;
  /// The protocol's StatusCode: 0 unset, 1 ok, 2 error.
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

/// The buckets of an exponential histogram on one side of zero: `counts[i]` belongs to bucket `offset + i`. Buckets in several
/// pieces are not joined: the last piece counts.
struct BucketsView {
  std::int32_t offset = 0;
  Numbers<std::uint64_t, Wire::Varint> counts;
};

struct QuantileView {
  double quantile = 0;
  double value = 0;
};

QuantileView readQuantile(Bytes message);

/// A data point of any of the five types; fields that its type lacks keep their defaults.
struct PointView {
  enum class Number : std::uint8_t { None, Double, Int };

  std::uint64_t startTimeUnixNano = 0;
  std::uint64_t timeUnixNano = 0;
  /// Flags of the point; 1 means that there is no recorded value.
  std::uint32_t flags = 0;
  Attributes attributes;

  /// The member below that holds the value of a gauge or sum.
  Number number = Number::None;
  double asDouble = 0;
  std::int64_t asInt = 0;

  /// Fields of a histogram, exponential histogram or summary.
  std::uint64_t count = 0;
  std::optional<double> sum;
  std::optional<double> min;
  std::optional<double> max;

  /// Fields of a histogram; there is one count more than bounds.
  Numbers<std::uint64_t, Wire::Fixed64> bucketCounts;
  Numbers<double, Wire::Fixed64> explicitBounds;

  /// Fields of an exponential histogram with base 2^(2^-scale).
  std::int32_t scale = 0;
  std::uint64_t zeroCount = 0;
  double zeroThreshold = 0;
  BucketsView positive;
  BucketsView negative;

  /// Quantiles of a summary.
  Messages<readQuantile> quantiles;
};

ResourceView readResource(const Index& index, const Resource& resource);
ScopeView readScope(const Index& index, const Scope& scope);
LogRecordView readLogRecord(Bytes record);
SpanView readSpan(Bytes record);
/// Reads a point; `type` is that of its metric.
PointView readPoint(MetricType type, Bytes record);

}  // namespace driftlock::otlp
