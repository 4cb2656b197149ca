// Checks the OTLP reader and splicer on requests that no ordinary encoder writes, and on edge cases of ordinary ones.
// Ordinary requests are compared with protobuf-es in test/native/otlp.test.ts.

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "otlp/attributes.hpp"
#include "otlp/reader.hpp"
#include "otlp/splice.hpp"
#include "otlp/views.hpp"
#include "otlp/wire.hpp"
#include "otlp_check.hpp"
#include "otlp_json.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::otlp;
using namespace std::string_literals;

namespace {

Bytes bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::string varint(std::uint64_t value) {
  std::uint8_t out[10];
  return {reinterpret_cast<char*>(out), reinterpret_cast<char*>(writeVarint(value, out))};
}

std::string field(std::uint32_t number, std::string_view content) {
  return varint(tag(number, Wire::Length)) + varint(content.size()) + std::string(content);
}
std::string field(std::uint32_t number, std::uint64_t value) { return varint(tag(number, Wire::Varint)) + varint(value); }

/// A request of one resource and one scope around `items`: records, or metrics.
std::string around(std::string_view items) { return field(1, field(2, items)); }
std::string log(std::string_view content) { return field(2, content); }
std::string attribute(std::uint32_t number, std::string_view key, std::string_view value) {
  return field(number, field(1, key) + field(2, field(1, value)));
}

struct Read {
  /// The bytes to which the index refers.
  std::vector<std::uint8_t> request;
  Index index;
  WireError error;
  bool ok;
};

Read read(Signal signal, std::string_view request) {
  Read read;
  // The vector has exactly this size, so that a sanitizer detects a read past its end.
  read.request.assign(request.begin(), request.end());
  read.ok = index(signal, read.request, read.index, read.error);
  return read;
}

void refused(Signal signal, std::string_view request, std::string_view what, std::string_view field, std::size_t offset) {
  const Read result = read(signal, request);
  CHECK(!result.ok);
  CHECK(result.error.what == what);
  CHECK(result.error.field == field);
  CHECK(result.error.offset == offset);
  if (result.error.what != what || result.error.field != field || result.error.offset != offset)
    std::fprintf(stderr, "  got %s, %s, %zu\n", result.error.what, result.error.field, result.error.offset);
}

TEST(wire) {
  for (const std::uint64_t value : {0ull, 127ull, 128ull, 16383ull, 16384ull, 1ull << 62, ~0ull}) {
    const std::string encoded = varint(value);
    CHECK(encoded.size() == varintSize(value));
    Cursor kept(bytes(encoded));
    CHECK(kept.varint() == value);
    CHECK(kept.done() && !kept.failure());
    for (std::size_t length = 0; length < encoded.size(); ++length) {
      Cursor cut(bytes(std::string_view(encoded).substr(0, length)));
      CHECK(cut.varint() == 0);
      CHECK(cut.failure() == "truncated varint"s);
    }
  }
  const std::string padded = "\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"s;
  Cursor overlong(bytes(padded));
  CHECK(overlong.varint() == 1);
  CHECK(overlong.done());
  for (const std::string& beyond : {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s, std::string(10, '\x80') + "\x01"s}) {
    Cursor cursor(bytes(beyond));
    CHECK(cursor.varint() == 0);
    CHECK(cursor.failure() == "varint beyond 64 bits"s);
    CHECK(cursor.tag() == 0);
  }
}

TEST(refusals) {
  const auto logs = Signal::Logs;
  refused(logs, "\x0a", "truncated varint", "ExportLogsServiceRequest.resource_logs", 0);
  refused(logs, "\x0a\x01", "length beyond the enclosing message", "ExportLogsServiceRequest.resource_logs", 0);
  refused(logs, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "length beyond the enclosing message",
          "ExportLogsServiceRequest.resource_logs", 0);
  refused(logs, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "length beyond the enclosing message",
          "ExportLogsServiceRequest.resource_logs", 0);
  refused(logs, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "varint beyond 64 bits", "ExportLogsServiceRequest.resource_logs",
          0);
  refused(logs, "\x02\x00"s, "field number out of range", "ExportLogsServiceRequest", 0);
  refused(logs, "\x82\x00"s, "field number out of range", "ExportLogsServiceRequest", 0);
  refused(logs, "\x82\x80\x80\x80\x10\x00"s, "field number out of range", "ExportLogsServiceRequest", 0);
  refused(logs, "\x08\x01", "another wire type than this field has", "ExportLogsServiceRequest.resource_logs", 0);
  for (const char* group : {"\x7b", "\x7c", "\x7e", "\x7f"})
    refused(logs, around(log(group)), "group or unknown wire type", "LogRecord", 6);
  refused(logs, around(log("\x0b")), "another wire type than this field has", "LogRecord.time_unix_nano", 6);
  refused(logs, around(log("\x09\x01\x02")), "truncated 64-bit value", "LogRecord.time_unix_nano", 6);
  refused(logs, around(log("\x45\x01")), "truncated 32-bit value", "LogRecord.flags", 6);
  refused(logs, around(log(field(6, field(2, "\x0a\x05")))), "length beyond the enclosing message", "AnyValue.string_value", 10);
  refused(logs, around(log(field(6, "\x0a\x7f"))), "length beyond the enclosing message", "KeyValue.key", 8);
  refused(logs,
          around(log(field(6, field(1, "k") + "\x12\x03\x0a\x03"
                                              "abc"))),
          "length beyond the enclosing message", "AnyValue.string_value", 13);
  refused(logs, field(1, field(1, field(1, "\x12\x03"))), "length beyond the enclosing message", "KeyValue.value", 6);

  refused(Signal::Traces, around(field(2, field(11, "\x0a\x00"s))), "another wire type than this field has",
          "Span.Event.time_unix_nano", 8);

  const auto metrics = Signal::Metrics;
  const auto histogram = [](std::string_view point) { return around(field(2, field(9, field(1, point)))); };
  refused(metrics, histogram(field(6, "1234567")), "malformed packed numbers", "HistogramDataPoint.bucket_counts", 10);
  CHECK(read(metrics, histogram(field(6, "12345678"))).ok);
  refused(metrics, histogram(field(6, 1)), "another wire type than this field has", "HistogramDataPoint.bucket_counts", 10);
  refused(metrics, around(field(2, field(10, field(1, field(8, field(2, "\x80")))))), "malformed packed numbers",
          "ExponentialHistogramDataPoint.Buckets.bucket_counts", 12);

  // No byte of it is read.
  const Bytes huge(reinterpret_cast<const std::uint8_t*>(""), std::size_t{1} << 31);
  Index out;
  WireError error;
  CHECK(!index(logs, huge, out, error));
  CHECK(error.what == "longer than 2 GiB"s);
}

/// Returns an AnyValue with `levels` nested AnyValues.
std::string nested(std::uint32_t levels, bool lists) {
  std::string value = field(1, "x");
  for (std::uint32_t level = 1; level < levels; ++level)
    value = lists ? field(6, field(1, field(1, "key") + field(2, value))) : field(5, field(1, value));
  return value;
}

TEST(depth) {
  for (const bool lists : {false, true}) {
    const Read deepest = read(Signal::Logs, around(log(field(5, nested(kMaxDepth, lists)))));
    CHECK(deepest.ok);
    std::uint32_t depth = 1;
    for (AnyValue value = readLogRecord(deepest.index.bytes(deepest.index.records[0])).body; value.type != AnyValue::Type::String;
         ++depth)
      value = lists ? listOf(value).begin()->value : *arrayOf(value).begin();
    CHECK(depth == kMaxDepth);
    for (const std::uint32_t levels : {kMaxDepth + 1, 10'000u}) {
      const Read deeper = read(Signal::Logs, around(log(field(5, nested(levels, lists)))));
      CHECK(!deeper.ok);
      CHECK(deeper.error.what == "nested more than 32 deep"s);
    }
  }
}

TEST(limits) {
  std::string records;
  for (std::uint32_t i = 0; i < kMaxRecords; ++i) records += log("");
  CHECK(read(Signal::Logs, around(records)).index.records.size() == kMaxRecords);
  const Read more = read(Signal::Logs, around(records + log("")));
  CHECK(!more.ok);
  CHECK(more.error.what == "more than 1048576 records in one request"s);
  CHECK(more.error.field == "ScopeLogs.log_records"s);

  std::string resources;
  for (std::uint32_t i = 0; i <= kMaxRecords; ++i) resources += field(1, "");
  const Read wide = read(Signal::Traces, resources);
  CHECK(!wide.ok);
  CHECK(wide.error.what == "more than 1048576 messages around records in one request"s);
  CHECK(wide.error.offset == 2 * std::size_t{kMaxRecords});
}

TEST(oneofs) {
  const auto gauge = [](std::string_view key) { return field(5, field(1, attribute(7, key, ""))); };
  const std::string sum = field(7, field(1, attribute(7, "sum", "")) + field(2, 2) + field(3, 1));
  const std::string superseded = around(field(2, gauge("a") + sum));
  const Read last = read(Signal::Metrics, superseded);
  CHECK(last.ok && last.index.records.size() == 1);
  CHECK(last.index.metrics[0].type == MetricType::Sum);
  CHECK(last.index.metrics[0].temporality == Temporality::Cumulative);
  CHECK(last.index.metrics[0].monotonic);

  const std::string pieces = around(field(2, gauge("a") + gauge("b") + field(1, "name")));
  const Read both = read(Signal::Metrics, pieces);
  CHECK(both.ok && both.index.records.size() == 2);
  CHECK(test::equal(both.index.bytes(both.index.metrics[0].name), bytes("name")));

  const std::string back = around(field(2, gauge("a") + sum + gauge("b")));
  const Read again = read(Signal::Metrics, back);
  CHECK(again.ok && again.index.records.size() == 1);
  CHECK(again.index.metrics[0].type == MetricType::Gauge);
  CHECK(again.index.metrics[0].temporality == Temporality::Unspecified);
  CHECK(!again.index.metrics[0].monotonic);

  for (const Read* of : {&last, &both, &again}) {
    const std::string added = attribute(7, "cbad.anomaly", "yes");
    const std::vector<Edit> edits = {{0, bytes(added)}};
    for (const Keep keep : {Keep::All, Keep::Edited}) CHECK(!test::wronglySpliced(of->index, edits, keep));
  }
}

TEST(pieces) {
  // Resource, scope and body come in pieces, some of them after the records.
  const std::string record = field(5, field(1, "first")) + field(5, field(3, 7)) + field(5, "");
  const std::string scope =
      field(1, field(1, "name")) + log(record) + field(1, field(2, "2.0") + attribute(3, "b", "")) + field(3, "url");
  const std::string request =
      field(1, field(1, attribute(1, "service.name", "shop")) + field(2, scope) + field(1, attribute(1, "host", "h")));
  const Read result = read(Signal::Logs, request);
  CHECK(result.ok);
  const Index& index = result.index;
  CHECK(test::json(readResource(index, index.resources[0]).attributes) ==
        "[[\"736572766963652e6e616d65\",{\"string\":\"73686f70\"}],[\"686f7374\",{\"string\":\"68\"}]]");
  const ScopeView view = readScope(index, index.scopes[0]);
  CHECK(test::equal(view.name, bytes("name")));
  CHECK(test::equal(view.version, bytes("2.0")));
  CHECK(view.attributes.begin() != view.attributes.end());
  const AnyValue body = readLogRecord(index.bytes(index.records[0])).body;
  CHECK(body.type == AnyValue::Type::Int && body.integer() == 7);
}

/// Checks values at the edges of the quick way to read them.
TEST(values) {
  const auto body = [](std::string_view value) {
    const std::string record = field(5, value);
    return test::json(readLogRecord(bytes(record)).body);
  };
  for (const std::size_t size : {0, 1, 127, 128, 129, 16383, 16384}) {
    const std::string text(size, 'x');
    CHECK(body(field(1, text)) == "{\"string\":" + test::hex(bytes(text)) + '}');
  }
  const std::string rest = field(99, std::string(124, 'x'));
  const std::string padded = "\x0a\x80\x00"s + rest;
  CHECK(padded.size() == 130);
  CHECK(body(padded) == "{\"string\":\"\"}");
  for (const std::uint64_t number : {0ull, 127ull, 128ull, 16383ull, 16384ull, ~0ull})
    CHECK(body(field(3, number)) == "{\"int\":\"" + std::to_string(static_cast<std::int64_t>(number)) + "\"}");
  CHECK(body(field(2, 0)) == "{\"bool\":false}");
  CHECK(body(field(2, 2)) == "{\"bool\":true}");
  CHECK(body(field(2, 1ull << 40)) == "{\"bool\":true}");
  CHECK(body("") == "null");
  CHECK(body(field(3, 5) + field(2, 0)) == "{\"bool\":false}");
}

TEST(splice) {
  // Lengths have one byte or two at every level as the attributes grow, and the record with them.
  for (std::size_t size = 0; size < 300; ++size) {
    const std::string request = around(log(field(3, "INFO")) + log("") + field(99, "unknown")) + field(77, "end");
    const Read before = read(Signal::Logs, request);
    const std::string added = attribute(6, "cbad.explanation", std::string(size, 'x'));
    const std::vector<Edit> edits = {{1, bytes(added)}};
    for (const Keep keep : {Keep::All, Keep::Edited}) CHECK(!test::wronglySpliced(before.index, edits, keep));
  }

  Splicer splicer;
  const auto written = [&](std::string_view request, std::vector<Edit> edits, Keep keep) {
    const Read before = read(Signal::Logs, request);
    const std::vector<std::uint8_t> out = test::spliced(splicer, before.index, edits, keep);
    return std::string(out.begin(), out.end());
  };
  const std::string added = attribute(6, "cbad.anomaly", "new");

  // Attributes of another Driftlock are replaced; everything else in the record stays, including its order.
  const std::string others = attribute(6, "cbad", "") + field(3, "INFO") + attribute(6, "x.cbad.", "");
  const std::string own = attribute(6, "cbad.anomaly", "old");
  CHECK(written(around(log(own + others + own)), {{0, bytes(added)}}, Keep::All) == around(log(others + added)));
  CHECK(written(around(log(own + others)), {{0, Bytes()}}, Keep::All) == around(log(own + others)));
  CHECK(written(around(log(own)), {}, Keep::All) == around(log(own)));

  // Lengths and tags have more bytes than needed: lengths stay if nothing changes, and tags always do.
  const std::string longRecord = "\x92\x00\x82\x80\x00"s + "\x1a\x00"s;
  CHECK(written(around(longRecord + log("")), {{1, bytes(added)}}, Keep::All) == around(longRecord + log(added)));
  CHECK(written(around(longRecord), {{0, bytes(added)}}, Keep::All) ==
        around("\x92\x00"s + varint(2 + added.size()) + "\x1a\x00"s + added));

  // Parts without a kept record are removed; schema URLs, unknown fields and shared parts stay.
  const std::string resource = field(1, attribute(1, "service.name", "shop"));
  const std::string scope = field(1, field(1, "scope"));
  const std::string url = field(3, "url");
  const std::string unknown = field(50, 1);
  const std::string two = field(2, scope + log("") + url + log(""));
  const std::string request = field(1, resource + field(2, scope + log("") + url)) + field(1, "") + unknown +
                              field(1, field(2, scope) + unknown + resource + two);
  CHECK(written(request, {{2, Bytes()}}, Keep::Edited) ==
        unknown + field(1, unknown + resource + field(2, scope + url + log(""))));
  CHECK(written(request, {}, Keep::Edited) == unknown);
  CHECK(written(request, {{0, Bytes()}, {1, Bytes()}, {2, Bytes()}}, Keep::Edited) ==
        field(1, resource + field(2, scope + log("") + url)) + unknown + field(1, unknown + resource + two));
  CHECK(written("", {}, Keep::All).empty());
}

TEST(attributes) {
  const auto encoded = [](std::string_view value) {
    std::vector<std::uint8_t> out;
    AttributeEncoder(out, 6).string("k", value);
    return std::string(out.begin(), out.end());
  };
  const auto becomes = [&](std::string_view value, std::string_view text) { return encoded(value) == attribute(6, "k", text); };
  for (const std::string_view good : {"", "a", "\u00e9", "\u20ac\ud7ff\ue000\uffff", "\U00010000\U0010ffff", "a\0b"})
    CHECK(becomes(good, good));
  CHECK(becomes("\x80", "\ufffd"));
  CHECK(becomes("\xc0\xaf", "\ufffd\ufffd"));
  CHECK(becomes("a\xc3", "a\ufffd"));
  CHECK(becomes("\xc3(", "\ufffd("));
  CHECK(becomes("\xe0\x9f\xbf", "\ufffd\ufffd\ufffd"));
  CHECK(becomes("\xed\xa0\x80", "\ufffd\ufffd\ufffd"));
  CHECK(becomes("\xe2\x82", "\ufffd\ufffd"));
  CHECK(becomes("\xf0\x8f\xbf\xbf", "\ufffd\ufffd\ufffd\ufffd"));
  CHECK(becomes("\xf4\x90\x80\x80\u00e9", "\ufffd\ufffd\ufffd\ufffd\u00e9"));
  CHECK(becomes("\xf8\xff", "\ufffd\ufffd"));
  std::string replacements;
  for (int i = 0; i < 127; ++i) replacements += "\ufffd";
  CHECK(becomes(std::string(127, '\xff'), replacements));

  std::vector<std::uint8_t> out;
  AttributeEncoder encoder(out, 9);
  encoder.integer("min", std::numeric_limits<std::int64_t>::min());
  encoder.integer("minus", -1);
  encoder.real("pi", 3.25);
  encoder.boolean("no", false);
  std::vector<KeyValue> read;
  for (const KeyValue& attribute : Attributes(out, 9)) read.push_back(attribute);
  CHECK(read.size() == 4);
  CHECK(read[0].value.type == AnyValue::Type::Int && read[0].value.integer() == std::numeric_limits<std::int64_t>::min());
  CHECK(read[1].value.integer() == -1);
  CHECK(read[2].value.type == AnyValue::Type::Double && read[2].value.real() == 3.25);
  CHECK(read[3].value.type == AnyValue::Type::Bool && !read[3].value.boolean());
}

/// Checks every request of the fuzzer's corpus, truncated at every byte, and with a bit of every byte changed.
TEST(damage) {
  std::size_t seeds = 0;
  std::size_t good = 0;
  std::size_t bad = 0;
  for (const auto& entry : std::filesystem::directory_iterator("native/fuzz/corpus/otlp")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string seed{std::istreambuf_iterator<char>(file), {}};
    if (seed.size() < 2) continue;
    const auto signal = static_cast<Signal>(seed[0] % 3);
    const std::string request = seed.substr(2);
    ++seeds;

    const auto take = [&](std::string_view damaged) {
      const Read result = read(signal, damaged);
      ++(result.ok ? good : bad);
      if (!result.ok) {
        CHECK(*result.error.what && *result.error.field && result.error.offset <= damaged.size());
        return;
      }
      CHECK(!test::json(result.index).empty());
      std::vector<Edit> edits;
      std::vector<std::string> added(result.index.records.size());
      for (std::uint32_t id = 0; id < added.size(); id += 2) {
        added[id] = attribute(attributesField(result.index, result.index.records[id]), "cbad.anomaly", "yes");
        edits.push_back({id, bytes(added[id])});
      }
      for (const Keep keep : {Keep::All, Keep::Edited}) CHECK(!test::wronglySpliced(result.index, edits, keep));
      for (const std::size_t most : {std::size_t{1}, damaged.size() / 3, damaged.size()})
        CHECK(!test::wronglySplit(result.index, most));
    };

    CHECK(read(signal, request).ok);
    for (std::size_t length = 0; length <= request.size(); ++length) {
      take(std::string_view(request).substr(0, length));
    }
    std::string damaged = request;
    unsigned flip = 1;
    for (char& byte : damaged) {
      const char was = byte;
      byte = static_cast<char>(was ^ flip);
      take(damaged);
      byte = was;
      flip = flip == 0x80 ? 1 : flip << 1;
    }
  }
  CHECK(seeds >= 12);
  CHECK(good > 100 && bad > 100);
}

}  // namespace
