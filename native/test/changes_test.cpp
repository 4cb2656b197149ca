// Values of resource attributes that are new for their services.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine_bench.hpp"
#include "graph/changes.hpp"
#include "otlp/wire.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

/// The parts of a driftlock.v1.Change that tests read.
struct Seen {
  std::string id, service, attribute, value, previous;
  std::uint64_t time = 0;
};

std::vector<Seen> changesOf(const Task& task) {
  std::vector<Seen> all;
  otlp::Cursor cursor(task.page);
  while (const std::uint32_t tag = cursor.tag()) {
    const Bytes message = cursor.payload();
    if (tag >> 3 != 3) continue;
    Seen& seen = all.emplace_back();
    otlp::Cursor field(message);
    while (const std::uint32_t number = field.tag()) {
      switch (number >> 3) {
        case 1: seen.id = textOf(field.payload()); break;
        case 3: seen.time = field.fixed64(); break;
        case 4: seen.service = textOf(field.payload()); break;
        case 5: seen.attribute = textOf(field.payload()); break;
        case 6: seen.value = textOf(field.payload()); break;
        case 7: seen.previous = textOf(field.payload()); break;
        default: field.skip(number);
      }
    }
  }
  return all;
}

struct Fleet {
  Bench bench;
  std::uint64_t clock = kStart;

  explicit Fleet(std::uint32_t threads = 1) : bench(settings(threads)) {}
  static Settings settings(std::uint32_t threads) {
    Settings settings = settingsOf(threads);
    settings.changeAttributes = {"service.version", "container.image.tags"};
    return settings;
  }
  /// Sends a record of a service with these attributes, five seconds after the one before.
  std::vector<Seen> send(const std::string& service, const std::vector<Message>& attributes,
                         otlp::Signal signal = otlp::Signal::Logs) {
    Message resource;
    resource.add(1, attribute("service.name", service));
    for (const Message& each : attributes) resource.add(1, each);
    clock += 5 * kSecond;
    const Message record = signal == otlp::Signal::Logs ? logRecord("ready", {.time = clock})
                           : signal == otlp::Signal::Traces
                               ? spanRecord("GET /", {.time = clock})
                               : Message().text(1, "load").add(5, Message().add(1, Message().fixed(3, clock).real(4, 1)));
    const Message scope = Message().add(2, record);
    return changesOf(*bench.process(signal, Message().add(1, Message().add(1, resource).add(2, scope))));
  }
  std::vector<Seen> version(const std::string& version) { return send("shop", {attribute("service.version", version)}); }
};

TEST(newValuesAreChanges) {
  for (const otlp::Signal signal : {otlp::Signal::Logs, otlp::Signal::Traces, otlp::Signal::Metrics}) {
    Fleet fleet;
    const auto send = [&](const std::string& version) {
      return fleet.send("shop", {attribute("service.version", version), attribute("k8s.pod.name", version)}, signal);
    };
    // The first values of a service are no changes, whichever replica they come from.
    for (int i = 0; i < 200; ++i) CHECK(send(i % 2 ? "1.4.0" : "1.4.1").empty());
    const auto changes = send("1.5.0");
    CHECK(changes.size() == 1);
    CHECK(changes[0].service == "shop" && changes[0].attribute == "service.version" && changes[0].value == "1.5.0");
    CHECK(changes[0].previous == "1.4.0" && changes[0].id.size() == 32);
    CHECK(changes[0].time > fleet.clock - 60 * kSecond && changes[0].time <= fleet.clock);
    // A rolling update has both by turns.
    for (int i = 0; i < 100; ++i) CHECK(send(i % 3 ? "1.5.0" : "1.4.1").empty());
  }
}

TEST(valuesAreForgottenAfterADay) {
  Fleet fleet;
  for (int i = 0; i < 200; ++i) fleet.version("1");
  CHECK(fleet.version("2").size() == 1);
  for (int hour = 0; hour < 25; ++hour) {
    fleet.clock += 3600 * kSecond;
    // The clock of a tenant follows the middle of its latest requests.
    for (int i = 0; i < 9; ++i) CHECK(fleet.version("2").empty());
  }
  const auto back = fleet.version("1");
  CHECK(back.size() == 1 && back[0].previous == "2");
}

TEST(tagsOfAnImageAreOneValue) {
  Fleet fleet;
  const auto tags = [](std::string_view first, std::string_view second) {
    const Message array = Message().add(1, Message().text(1, first)).add(1, Message().text(1, second));
    return Message().text(1, "container.image.tags").add(2, Message().add(5, array));
  };
  for (int i = 0; i < 200; ++i) fleet.send("shop", {tags("1.0", "stable")});
  const auto changes = fleet.send("shop", {tags("1.1", "stable")});
  CHECK(changes.size() == 1 && changes[0].value == "1.1, stable" && changes[0].previous == "1.0, stable");
}

TEST(changesAreBounded) {
  Fleet fleet;
  for (int i = 0; i < 200; ++i) fleet.version("0");
  std::size_t told = 0;
  for (int i = 1; i <= 300; ++i) told += fleet.version("build " + std::to_string(i)).size();
  // A service that has another value each time has no changes.
  CHECK(told < Changes::kMostValues);
  CHECK(fleet.bench.engine.stats().graphGaveWay > 200);
  for (std::size_t i = 0; i < Changes::kMostServices + 50; ++i) fleet.send("service-" + std::to_string(i), {});
  CHECK(fleet.bench.engine.stats().graphGaveWay > 250);
}

TEST(changesSurviveARestart) {
  Fleet one, two(3);
  for (int i = 0; i < 200; ++i) one.version("1");
  CHECK(two.bench.restore(one.bench.snapshot()));
  CHECK(two.bench.snapshot() == one.bench.snapshot());
  two.clock = one.clock;
  const auto a = one.version("2"), b = two.version("2");
  CHECK(a.size() == 1 && b.size() == 1 && a[0].id == b[0].id);
}

}  // namespace
