#include "group/group.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "otlp/wire.hpp"
#include "recording/recompute.hpp"
#include "requests.hpp"
#include "stream/keys.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kMinute = 60 * kSecond;

/// Returns the key of the first record's stream in a request with this resource.
StreamKey keyOf(otlp::Signal signal, const std::vector<Message>& attributes, const Settings& settings) {
  Message resource;
  for (const Message& each : attributes) resource.add(1, each);
  const Message record = signal == otlp::Signal::Metrics
                             ? Message().text(1, "queue.length").add(5, Message().add(1, Message().fixed(3, kStart).real(4, 1)))
                             : logRecord("started", {.time = kStart});
  const Message request = Message().add(1, Message().add(1, resource).add(2, Message().add(2, record)));
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, request, index, error));
  StreamKeys keys;
  keys.find(index, "default", settings, streamHash(settings.hashKey));
  return keys.make(index, 0, "default", settings);
}

/// Checks which resources are one group, and that all streams of a group have its shard.
TEST(resourcesAreGrouped) {
  Settings settings = settingsOf();
  settings.groupBy = {"service.name", "host.name"};
  const Message cart = attribute("service.name", "cart"), shop = attribute("service.name", "shop");
  const Message a = attribute("host.name", "a"), b = attribute("host.name", "b");
  const auto key = [&](const std::vector<Message>& attributes, otlp::Signal signal = otlp::Signal::Metrics) {
    return keyOf(signal, attributes, settings);
  };
  CHECK(key({cart, a}).group == key({b, cart}, otlp::Signal::Logs).group);
  CHECK(key({cart, a}).hash == key({b, cart}).hash);
  CHECK(key({cart}).hash != key({cart}, otlp::Signal::Logs).hash);
  CHECK(key({cart}).group != key({shop}).group);
  CHECK(key({a}).group != key({b}).group && key({a}).hash != key({b}).hash);
  CHECK(key({attribute("service.name", ""), a}).group == key({a}).group);
  CHECK(key({cart, a}).groupName == "service.name=cart" && key({cart, a}).name == "metrics service.name=cart queue.length");
  CHECK(key({a}).groupName == "host.name=a" && key({a}).name == "metrics service.name= host.name=a queue.length");
  CHECK(key({}).groupName == "service.name=");
  for (int i = 0; i < 100; ++i) {
    const Message service = attribute("service.name", "service-" + std::to_string(i));
    const StreamKey metrics = key({service}), logs = key({service}, otlp::Signal::Logs);
    CHECK(shardOf(metrics.hash) == shardOf(metrics.group) && shardOf(logs.hash) == shardOf(metrics.group));
  }
}

/// Checks that signals, and within a signal channels, have equal shares of a group's budget.
TEST(sharesOfABudget) {
  Group group(1, 2);
  group.join(otlp::Signal::Logs, 4);
  CHECK(group.share(otlp::Signal::Logs, 4) == 1);
  group.join(otlp::Signal::Metrics, 1);
  CHECK(group.share(otlp::Signal::Logs, 4) == 1 && group.share(otlp::Signal::Metrics, 1) == 1);
  group.join(otlp::Signal::Metrics, 39);
  CHECK(group.share(otlp::Signal::Logs, 4) == 1);
  CHECK_NEAR(group.share(otlp::Signal::Metrics, 1), 2. / 2 / 40, 1e-12);
  group.leave(otlp::Signal::Logs, 4);
  CHECK_NEAR(group.share(otlp::Signal::Metrics, 2), 2. * 2 / 40, 1e-12);
}

/// Checks that many streams of one service, which all jump by turns, raise no more alarms than its budget allows, and
/// that what is withheld is counted; streams of as many services raise more.
TEST(aBudgetForAGroup) {
  const auto alarms = [](bool grouped) {
    Settings settings = settingsOf();
    settings.groupBy = {"service.name"};
    settings.alarmsPerStreamPerDay = 1;
    settings.alarmsPerGroupPerDay = 2;
    Bench bench(settings);
    Random random(5);
    std::size_t begun = 0;
    for (std::uint64_t minute = 0; minute < 1200; ++minute) {
      for (std::uint64_t metric = 0; metric < 12; ++metric) {
        const bool jumps = minute == 1000 + 15 * metric;
        const double value = 50 + static_cast<double>(random.below(1000)) / 100 + (jumps ? 40 : 0);
        const std::string name = "metric-" + std::to_string(metric);
        const auto task = bench.process(otlp::Signal::Metrics,
                                        gaugeRequest(grouped ? "one" : name, name, {{kStart + minute * kMinute, value}}));
        for (const Told& told : toldBy(*task)) begun += told.occurrence == 1 && !told.ended;
      }
    }
    const EngineStats stats = bench.engine.stats();
    CHECK((stats.withheldByGroups > 0) == grouped);
    return begun;
  };
  const std::size_t one = alarms(true), many = alarms(false);
  CHECK(many == 12);
  CHECK(one >= 3 && one <= 8);
}

/// Counts the alarms of services in which nothing is wrong, two gauges each; every service is a tenant's only one or all are
/// of one tenant.
std::size_t chanceAlarms(bool together, std::uint32_t threads) {
  Settings settings = settingsOf(threads);
  settings.groupBy = {"service.name"};
  settings.alarmsPerStreamPerDay = settings.alarmsPerGroupPerDay = 40;
  Bench bench(settings);
  Random random(7);
  std::size_t begun = 0;
  for (std::uint64_t minute = 0; minute < 2000; ++minute) {
    for (std::uint64_t service = 0; service < 8; ++service) {
      for (const char* metric : {"a", "b"}) {
        double value = 0;
        for (int k = 0; k < 12; ++k) value += static_cast<double>(random.below(1000)) / 1000 - 0.5;
        const std::string name = "service-" + std::to_string(service);
        const auto task = bench.process(otlp::Signal::Metrics, gaugeRequest(name, metric, {{kStart + minute * kMinute, value}}),
                                        together ? "all" : name);
        for (const Told& told : toldBy(*task)) begun += told.occurrence == 1 && !told.ended;
      }
    }
  }
  return begun;
}

/// Checks that chance raises no more alarms in a tenant with many groups than in one with a single group, on any number of
/// threads.
TEST(aTenantSharesChance) {
  const std::size_t apart = chanceAlarms(false, 1), together = chanceAlarms(true, 1);
  CHECK(apart >= 40);
  CHECK(together <= apart / 4);
  CHECK(chanceAlarms(true, 3) == together);
}

/// Twelve gauges of one service, one point of each per minute.
class Gauges {
 public:
  explicit Gauges(std::uint32_t threads = 1) : bench(settingsOf(threads)) {}

  static Settings settingsOf(std::uint32_t threads) {
    Settings settings = driftlock::test::settingsOf(threads);
    settings.groupBy = {"service.name"};
    settings.alarmsPerStreamPerDay = 1;
    settings.alarmsPerGroupPerDay = 2;
    settings.recordings = true;
    return settings;
  }

  /// Sends the points of the next minute, those of the first `moved` gauges moved by so many standard deviations.
  std::vector<Told> minute(std::size_t moved = 0, double by = 0) {
    std::vector<Told> all;
    for (std::size_t i = 0; i < 12; ++i) {
      double value = 0;
      for (int k = 0; k < 12; ++k) value += static_cast<double>(random.below(1000)) / 1000 - 0.5;
      if (i < moved) value += by;
      const auto task =
          bench.process(otlp::Signal::Metrics, gaugeRequest("one", "gauge-" + std::to_string(i), {{time, 50 + value}}));
      for (const Told& told : toldBy(*task)) all.push_back(told);
      results.push_back(task);
    }
    time += kMinute;
    return all;
  }

  Bench bench;
  Random random{9};
  std::uint64_t time = kStart;
  std::vector<std::shared_ptr<Task>> results;
};

constexpr std::uint64_t kGroupChannel = 8;

/// Checks that a report with a recording is computed again from it. Returns false if the report has none.
bool recomputed(Bytes message) {
  constexpr std::uint32_t kRecording = 36;
  otlp::Cursor in(message);
  while (const std::uint32_t tag = in.tag()) {
    if (tag != otlp::tag(kRecording, otlp::Wire::Length)) {
      in.skip(tag);
      continue;
    }
    const Bytes report = message.first(static_cast<std::size_t>(in.start() - message.data()));
    CHECK(std::ranges::equal(recompute(in.payload()), report));
    return true;
  }
  return false;
}

/// Checks that gauges which move together, none of them far, are one anomaly of their group with its members.
TEST(strangeTogether) {
  Gauges gauges;
  for (int i = 0; i < 3000; ++i) gauges.minute();
  std::vector<Told> told;
  for (int i = 0; i < 4; ++i) {
    for (const Told& each : gauges.minute(8, 4)) told.push_back(each);
  }
  CHECK(!told.empty());
  if (told.empty()) return;
  CHECK(told[0].channel == kGroupChannel && told[0].stream == "group service.name=one" && told[0].members >= 3 &&
        told[0].members <= Group::kMostMembers);
  CHECK(told[0].explanation.starts_with("Streams of service.name=one are unusual together: metrics gauge-"));
  CHECK(told[0].time >= gauges.time - 4 * kMinute && told[0].time < gauges.time);
  int recordings = 0;
  for (const auto& task : gauges.results) {
    for (const auto& message : task->anomalies) recordings += Told(message).channel == kGroupChannel && recomputed(message);
  }
  CHECK(recordings > 0);
  for (const Told& each : told) CHECK(each.id == told[0].id);
  bool ended = false;
  for (int i = 0; i < 10; ++i) {
    for (const Told& each : gauges.minute()) ended = ended || (each.ended && each.id == told[0].id);
  }
  CHECK(ended);
}

/// Checks that streams which often move together are no news when they do.
TEST(usuallyTogether) {
  Gauges gauges;
  int moves = 0, begun = 0;
  for (int i = 0; i < 3000; ++i) {
    const bool together = i % 40 == 0;
    for (const Told& told : gauges.minute(12, together ? 5 : 0)) begun += i > 1500 && told.occurrence == 1 && !told.ended;
    moves += i > 1500 && together;
  }
  // The budget alone would allow as many.
  CHECK(moves > 30 && begun <= 4);
}

/// Checks that neither the number of threads nor a restart within a tick changes what a group shows.
TEST(groupsAreDeterministic) {
  Gauges one(1), three(3);
  auto restored = std::make_unique<Bench>(Gauges::settingsOf(1));
  for (int i = 0; i < 1500; ++i) {
    const std::size_t moved = i % 97 == 0 ? 6 : 0;
    one.minute(moved, 8), three.minute(moved, 8);
  }
  for (std::size_t i = 0; i < one.results.size(); ++i) CHECK(same(*one.results[i], *three.results[i]));
  // The last minute has just been judged, and its tick goes on.
  CHECK(restored->restore(one.bench.snapshot()));
  for (int i = 0; i < 200; ++i) {
    const std::size_t moved = i % 31 == 0 ? 6 : 0;
    for (std::size_t gauge = 0; gauge < 12; ++gauge) {
      const Message points =
          gaugeRequest("one", "gauge-" + std::to_string(gauge),
                       {{one.time, 50 + static_cast<double>(one.random.below(100)) / 50 + (gauge < moved ? 9. : 0.)}});
      const auto a = one.bench.process(otlp::Signal::Metrics, points), b = restored->process(otlp::Signal::Metrics, points);
      CHECK(same(*a, *b));
    }
    one.time += kMinute;
  }
  CHECK(one.bench.snapshot() == restored->snapshot());
}

}  // namespace
