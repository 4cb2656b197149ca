#include "group/group.hpp"

#include <string>
#include <vector>

#include "engine_bench.hpp"
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
        const double value = 50 + static_cast<double>(random.below(1000)) / 100 + (jumps ? 1e6 : 0);
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
  CHECK(one >= 1 && one <= 6);
}

}  // namespace
