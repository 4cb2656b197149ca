#pragma once

#include <cstdint>

#include "otlp/reader.hpp"
#include "otlp/schema.hpp"
#include "otlp/value.hpp"
#include "otlp/wire.hpp"
#include "record/nested.hpp"

namespace driftlock {

/// A field of a message, in place.
struct FieldBytes {
  /// Where its tag begins, and where what follows the tag does: a length or a number.
  const std::uint8_t* tag;
  const std::uint8_t* after;
  Bytes content;
};

/// What a text or a number is called, for detectors and rules.
struct Called {
  Bytes name{};
  /// Whether it is the value of an attribute. The body of a log record and the name of a span have names as well.
  bool attribute = false;
};

/// Visits the texts and the whole numbers of a checked message: bodies, names, and attributes wherever they are. The visitor has
///
///     void text(const FieldBytes&, const Called&);
///     void number(const FieldBytes&, std::uint64_t, const Called&);
///     void unknown(const FieldBytes&);                     // a field that the schema does not have
///     void message(const FieldBytes&, auto&& visit);       // visit() visits what the message holds
///     void resource(const FieldBytes&, auto&& visit);      // a resource with its records
///     void record(const FieldBytes&, auto&& visit);        // a log record, a span or a data point
///     void attribute(const FieldBytes&, auto&& visit);     // a key with its value
///     void element(const FieldBytes&, auto&& visit);       // a value of an array, or a body
template <class Visitor>
class TextWalk {
 public:
  TextWalk(otlp::Signal signal, Visitor& visitor) : signal_(signal), visitor_(visitor) {}

  void message(const otlp::schemas::Schema& schema, Bytes bytes) {
    for (otlp::Cursor cursor(bytes); !cursor.done();) {
      const std::uint32_t tag = cursor.tag();
      if (cursor.failure()) return;
      // The numbers of a message, such as times, are neither personal nor secret.
      if (!hasLength(tag)) {
        cursor.skip(tag);
        continue;
      }
      const std::uint8_t* const after = cursor.at();
      field(schema, tag, {cursor.start(), after, cursor.payload()});
    }
  }

 private:
  void field(const otlp::schemas::Schema& schema, std::uint32_t tag, const FieldBytes& field) {
    using otlp::schemas::Step;
    const std::uint32_t number = tag >> 3;
    switch (schema.step(tag)) {
      case Step::Attribute: return visitor_.attribute(field, [&] { attribute(field.content); });
      case Step::Value: return visitor_.element(field, [&] { value(field.content, {bytesOf("body")}); });
      case Step::Message: {
        const auto visit = [&] { message(*schema.rules[number].message, field.content); };
        return isRecord(signal_, schema, number) ? visitor_.record(field, visit) : visitor_.message(field, visit);
      }
      case Step::Bytes: return plain(schema, number, field);
      case Step::Skip: return visitor_.unknown(field);
      default: return;
    }
  }

  void plain(const otlp::schemas::Schema& schema, std::uint32_t number, const FieldBytes& field) {
    if (holdsId(schema, number)) return;
    if (const otlp::schemas::Schema* const nested = nestedIn(signal_, schema, number)) {
      const auto visit = [&] { message(*nested, field.content); };
      if (nested == &otlp::schemas::kEnvelopes[static_cast<std::size_t>(signal_)].resource) visitor_.resource(field, visit);
      else visitor_.message(field, visit);
    } else {
      visitor_.text(field, isSpanName(schema, number) ? Called{bytesOf("name")} : Called{});
    }
  }

  static bool hasLength(std::uint32_t tag) { return static_cast<otlp::Wire>(tag & 7) == otlp::Wire::Length; }

  template <class Take>
  static void each(Bytes bytes, Take&& take) {
    for (otlp::Cursor cursor(bytes); !cursor.done();) {
      const std::uint32_t tag = cursor.tag();
      if (cursor.failure()) return;
      const std::uint8_t* const after = cursor.at();
      Bytes content;
      if (hasLength(tag)) content = cursor.payload();
      else cursor.skip(tag), content = {after, cursor.at()};
      take(tag, FieldBytes{cursor.start(), after, content});
    }
  }

  void attribute(Bytes bytes) {
    Bytes key;
    each(bytes, [&](std::uint32_t tag, const FieldBytes& field) {
      if (tag == otlp::tag(1, otlp::Wire::Length)) {
        key = field.content;
        visitor_.text(field, {});
      } else if (tag == otlp::tag(2, otlp::Wire::Length)) {
        visitor_.message(field, [&] { value(field.content, {key, true}); });
      }
    });
  }

  void value(Bytes bytes, const Called& called) {
    otlp::AnyValue plain;
    if (readPlain(bytes, plain) && plain.type == otlp::AnyValue::Type::String)
      return visitor_.text({bytes.data(), bytes.data() + 1, plain.bytes}, called);
    each(bytes, [&](std::uint32_t tag, const FieldBytes& field) {
      if (tag == otlp::tag(1, otlp::Wire::Length) || tag == otlp::tag(7, otlp::Wire::Length)) {
        visitor_.text(field, called);
      } else if (tag == otlp::tag(5, otlp::Wire::Length)) {
        visitor_.message(field, [&] { elements(field.content, called); });
      } else if (tag == otlp::tag(6, otlp::Wire::Length)) {
        visitor_.message(field, [&] { message(otlp::schemas::kKeyValueList, field.content); });
      } else if (tag == otlp::tag(3, otlp::Wire::Varint)) {
        visitor_.number(field, otlp::Cursor(field.content).varint(), called);
      }
    });
  }

  void elements(Bytes bytes, const Called& called) {
    each(bytes, [&](std::uint32_t tag, const FieldBytes& field) {
      if (tag == otlp::tag(1, otlp::Wire::Length)) visitor_.element(field, [&] { value(field.content, called); });
    });
  }

  otlp::Signal signal_;
  Visitor& visitor_;
};

}  // namespace driftlock
