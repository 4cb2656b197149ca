// Checks that the work of a request grows no faster than the request, whichever field its bytes are in.

#include <algorithm>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "base/work.hpp"
#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;
using otlp::Signal;

namespace {

/// The most work per byte of a request. Spans of two bytes come near it; most requests are far below.
constexpr double kMostPerByte = 100;
/// The allowed difference in work per byte between requests of different sizes, because parts of the work are constant.
constexpr double kSlack = 10;

/// Field numbers from an enclosing message to a field within it.
using Path = std::vector<std::uint32_t>;

/// A field that bytes can be put into, and the message of the request that `path` begins in.
struct Place {
  enum class Of { Resource, Scope, Metric, Record };
  Of of;
  Path path;
};

/// Records of one kind, and how they are enclosed.
struct Kind {
  const char* name;
  Signal signal;
  /// For a metric: the field that holds its points.
  std::uint32_t data;
  std::vector<Place> places;
};

Message nested(std::span<const std::uint32_t> path, Bytes content) {
  return path.size() == 1 ? Message().add(path[0], content) : Message().add(path[0], nested(path.subspan(1), content));
}

std::vector<Place> placesOf(std::vector<Path> record) {
  using enum Place::Of;
  std::vector<Place> places = {
      {Resource, {1}},
      {Resource, {1, 1}},
      {Resource, {1, 1, 1}},
      {Resource, {1, 1, 2, 1}},
      {Resource, {1, 1, 2, 5, 1}},
      {Resource, {1, 3}},
      {Resource, {2}},
      {Resource, {3}},
      {Scope, {1}},
      {Scope, {1, 1}},
      {Scope, {1, 2}},
      {Scope, {1, 3}},
      {Scope, {1, 3, 1}},
      {Scope, {3}},
      {Record, {99}},
      {Resource, {1, 1, 2}},
      {Scope, {1, 3, 2, 6, 1}},
  };
  for (Path& path : record) places.push_back({Record, std::move(path)});
  return places;
}

/// Returns the paths of the attributes in a field with this number: keys, values, and nested ones.
std::vector<Path> attributesAt(Path path) {
  std::vector<Path> paths;
  for (const Path& within :
       {Path{}, Path{1}, Path{2}, Path{2, 1}, Path{2, 5}, Path{2, 5, 1}, Path{2, 6, 1}, Path{2, 6, 1, 1}, Path{2, 7}}) {
    paths.push_back(path);
    paths.back().insert(paths.back().end(), within.begin(), within.end());
  }
  return paths;
}

std::vector<Path> operator+(std::vector<Path> a, const std::vector<Path>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Kind metricOf(const char* name, std::uint32_t data, std::vector<Path> record) {
  Kind kind{name, Signal::Metrics, data, placesOf(std::move(record))};
  for (const Path& path : {Path{1}, Path{2}, Path{3}, Path{12}, Path{12, 1}, Path{data}})
    kind.places.push_back({Place::Of::Metric, path});
  return kind;
}

const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"logs", Signal::Logs, 0,
       placesOf(attributesAt({6}) +
                std::vector<Path>{{3}, {5}, {5, 1}, {5, 5, 1}, {5, 5, 1, 1}, {5, 6, 1}, {5, 7}, {9}, {10}, {12}})},
      {"traces", Signal::Traces, 0,
       placesOf(attributesAt({9}) + attributesAt({11, 3}) +
                std::vector<Path>{
                    {1}, {2}, {3}, {4}, {5}, {11}, {11, 2}, {13}, {13, 1}, {13, 3}, {13, 4}, {13, 4, 1}, {15}, {15, 2}})},
      metricOf("gauge", 5, attributesAt({7}) + std::vector<Path>{{5}, {5, 7}}),
      metricOf("histogram", 9, attributesAt({9}) + std::vector<Path>{{6}, {7}, {8}}),
      metricOf("exponential histogram", 10, attributesAt({1}) + std::vector<Path>{{8}, {8, 2}, {9, 2}, {11}}),
      metricOf("summary", 11, attributesAt({7}) + std::vector<Path>{{6}}),
  };
  return all;
}

/// Bytes that any field with a length may hold: text, a message of an unknown field, and packed numbers of either kind.
Message filler(std::size_t size, std::string_view text) {
  std::string value(text);
  for (std::size_t other = 2 + 1;
       other + value.size() + (value.size() > 127) < size || (other + value.size() + (value.size() > 127)) % 8 != 0;)
    value += 'x';
  return Message().text(99, value);
}

/// Builds a growing request, whose messages are filled and enclosed at the end.
struct Builder {
  const Kind& kind;
  Message resource{}, scope{}, metric{}, data{};
  std::size_t added = 0;
  std::string service = "shop";

  Message& in(Place::Of of) { return of == Place::Of::Resource ? resource : of == Place::Of::Scope ? scope : metric; }
  void put(const Place& place, const Message& content) {
    const Message field = nested(place.path, content);
    added += field.bytes().size();
    place.of == Place::Of::Record ? record(field) : void(in(place.of).append(field));
  }
  void record(const Message& content) {
    (kind.data == 0 ? scope : data).add(kind.data == 0 ? 2 : 1, content);
    added += 2 + content.bytes().size();
  }
  Message request() const {
    Message of = scope;
    if (kind.data != 0) of.add(2, Message().text(1, "requests").append(metric).add(kind.data, data));
    return Message().add(1, Message(resource).add(1, Message().add(1, attribute("service.name", service))).add(2, of));
  }
};

/// Returns a record unlike the others; for a metric, one of its own stream.
Message distinct(const Kind& kind, std::size_t number) {
  const std::string text = "item" + std::to_string(number * 7919 % 100'000) + (number % 2 ? " failed" : " passed");
  if (kind.signal == Signal::Logs) return Message().add(5, Message().text(1, text));
  if (kind.signal == Signal::Traces) return Message().text(5, text).text(1, text);
  const std::uint32_t field = kind.data == 10 ? 1 : kind.data == 9 ? 9 : 7;
  return Message().add(field, attribute("item", text));
}

/// A function that spreads the bytes of a request over the fields at a place.
using Shape = Message (*)(const Kind&, const Place&, std::size_t size, std::size_t round);

/// One huge field, beside as many records as possible.
Message oneHuge(const Kind& kind, const Place& place, std::size_t size, std::size_t) {
  Builder builder{kind};
  builder.put(place, filler(size / 2, "huge"));
  while (builder.added < size) builder.record(Message());
  return builder.request();
}

/// One huge field, beside records unlike each other.
Message oneHugeAndDistinct(const Kind& kind, const Place& place, std::size_t size, std::size_t round) {
  Builder builder{kind};
  builder.put(place, filler(size / 2, "huge"));
  for (std::size_t i = 0; builder.added < size; ++i) builder.record(distinct(kind, i + 10'000 * round));
  return builder.request();
}

/// A stream's name that is huge, beside records unlike each other.
Message hugeName(const Kind& kind, const Place&, std::size_t size, std::size_t round) {
  Builder builder{.kind = kind, .service = std::string(size / 2, 's')};
  for (std::size_t i = 0; builder.added < size / 2; ++i) builder.record(distinct(kind, i + 10'000 * round));
  return builder.request();
}

/// As many empty fields as possible.
Message manyEmpty(const Kind& kind, const Place& place, std::size_t size, std::size_t) {
  Builder builder{kind};
  Message record;
  while (builder.added + record.bytes().size() < size) {
    if (place.of == Place::Of::Record) record.append(nested(place.path, Message()));
    else builder.put(place, Message());
  }
  builder.record(record);
  return builder.request();
}

/// Half of the bytes in fields at one place, half in records.
Message manySmall(const Kind& kind, const Place& place, std::size_t size, std::size_t round) {
  Builder builder{kind};
  for (std::size_t i = 0; builder.added < size; ++i) {
    builder.put(place, filler(16, std::to_string(i + 100 * round)));
    builder.record(distinct(kind, i + 10'000 * round));
  }
  return builder.request();
}

/// As many resources as possible, each with a record.
Message manyResources(const Kind& kind, const Place& place, std::size_t size, std::size_t round) {
  Message all;
  for (std::size_t i = 0; all.bytes().size() < size; ++i) {
    Builder builder{kind};
    builder.put(place, filler(16, std::to_string(i + 100 * round)));
    builder.record(distinct(kind, i));
    all.append(builder.request());
  }
  return all;
}

/// Returns the engine's work per byte on the second of two such requests; the engine learns from the first.
double workPerByte(const Kind& kind, const Place& place, Shape shape, std::size_t size) {
  Settings settings = settingsOf();
  settings.baselineRecords = 64;
  settings.permutations = 0;
  settings.streamsPerTenant = 1000;
  Bench bench(settings);
  double perByte = 0;
  for (std::size_t round = 0; round < 2; ++round) {
    const Message request = shape(kind, place, size, round);
    countedWork = 0;
    const auto task = bench.process(kind.signal, request);
    CHECK(!task->malformed && task->failure.empty());
    if (task->malformed) std::fprintf(stderr, "%s at %s\n", task->error.what, task->error.field);
    perByte = static_cast<double>(countedWork) / static_cast<double>(request.bytes().size());
  }
  return perByte;
}

TEST(growsNoFasterThanRequests) {
  const std::pair<const char*, Shape> shapes[] = {
      {"one huge", oneHuge},     {"one huge, distinct", oneHugeAndDistinct}, {"many empty", manyEmpty},
      {"many small", manySmall}, {"many resources", manyResources},          {"huge name", hugeName}};
  for (const Kind& kind : kinds()) {
    for (const Place& place : kind.places) {
      for (const auto& [name, shape] : shapes) {
        const double small = workPerByte(kind, place, shape, 4 << 10), large = workPerByte(kind, place, shape, 32 << 10);
        const bool fine = large < kMostPerByte && large < 1.5 * small + kSlack;
        CHECK(fine);
        if (fine) continue;
        std::fprintf(stderr, "%s, %s, in %d:", kind.name, name, static_cast<int>(place.of));
        for (const std::uint32_t field : place.path) std::fprintf(stderr, " %u", field);
        std::fprintf(stderr, ": %.1f for each byte of 4 KiB, %.1f of 32 KiB\n", small, large);
      }
    }
  }
}

}  // namespace
