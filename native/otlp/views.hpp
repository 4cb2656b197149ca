#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>

#include "base/bytes.hpp"
#include "otlp/reader.hpp"
#include "otlp/value.hpp"
#include "otlp/wire.hpp"

/// Records as plain structs whose bytes stay in the request. The bytes given here come from an `Index`, which has
/// checked them; from others the views read as far as the wire format holds, and stop there.
namespace driftlock::otlp {

/// In any form, also those that `readPlain` does not know.
KeyValue readKeyValue(Bytes message);

/// The KeyValue fields of one number in a message, in wire order: `for (const KeyValue& attribute : attributes)`.
/// Each is there until the next is read; its bytes stay with the request.
class Attributes {
 public:
  /// No attributes.
  Attributes() = default;
  /// Those of `message`, in field `number`.
  Attributes(Bytes message, std::uint32_t number) : bytes_(message), number_(number) {}
  /// Those in field `number` of every message in field `outerNumber` of `messages`, as one list.
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
  /// 0: `bytes_` is the one message itself.
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
