#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine_bench.hpp"
#include "requests.hpp"
#include "stream/keys.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::uint64_t kMinute = 60 * kSecond;

Settings replicaSettings(std::uint32_t threads = 1) {
  Settings settings = settingsOf(threads);
  settings.exactBaseline = false;
  settings.baselineRecords = 1000;
  settings.groupBy = {"service.name", "host.name"};
  settings.instanceBy = {"service.instance.id", "k8s.pod.name", "host.name"};
  settings.alarmsPerStreamPerDay = 1;
  settings.alarmsPerGroupPerDay = 1.75;
  return settings;
}

Message resourceOf(const std::vector<Message>& attributes) {
  Message resource;
  for (const Message& each : attributes) resource.add(1, each);
  return resource;
}

StreamKey keyOf(otlp::Signal signal, const std::vector<Message>& attributes, const Settings& settings) {
  const Message record = signal == otlp::Signal::Metrics
                             ? Message().text(1, "queue.length").add(5, Message().add(1, Message().fixed(3, kStart).real(4, 1)))
                             : logRecord("started", {.time = kStart});
  const Message request = Message().add(1, Message().add(1, resourceOf(attributes)).add(2, Message().add(2, record)));
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, request, index, error));
  StreamKeys keys;
  keys.find(index, "default", settings, streamHash(settings.hashKey));
  CHECK(keys.family(0) == keys.make(index, 0, "default", settings).family);
  return keys.make(index, 0, "default", settings);
}

/// Checks which resources are replicas, and what their streams are called.
TEST(instancesAreToldApart) {
  const Settings settings = replicaSettings();
  const Message cart = attribute("service.name", "cart");
  const auto key = [&](const std::vector<Message>& attributes, otlp::Signal signal = otlp::Signal::Metrics) {
    return keyOf(signal, attributes, settings);
  };
  const StreamKey plain = key({cart}), a = key({cart, attribute("service.instance.id", "a")}),
                  b = key({attribute("service.instance.id", "b"), cart});
  CHECK(plain.hash == plain.family && plain.instance.empty());
  CHECK(a.hash != b.hash && a.hash != plain.hash && a.family == plain.hash && b.family == plain.hash);
  CHECK(a.name == plain.name && a.instance == "service.instance.id=a" && b.instance == "service.instance.id=b");
  CHECK(shardOf(a.hash) == shardOf(a.group) && shardOf(a.family) == shardOf(a.group));
  // The first attribute that names anything counts; a number may.
  const Message pod = attribute("k8s.pod.name", "a");
  CHECK(key({cart, pod, attribute("service.instance.id", "b")}).hash == b.hash);
  CHECK(key({cart, pod, attribute("service.instance.id", "")}).instance == "k8s.pod.name=a");
  CHECK(key({cart, pod}).hash != a.hash);
  CHECK(key({cart, attribute("service.instance.id", 7)}).instance == "service.instance.id=7");
  CHECK(key({cart, attribute("service.instance.id", 7)}).hash != key({cart, attribute("service.instance.id", "7")}).hash);
  // What names the group names no instance of it.
  const Message host = attribute("host.name", "a");
  CHECK(key({host}).instance.empty() && key({host}).hash == key({host}).family);
  CHECK(key({cart, host}).instance == "host.name=a");
  // Logs of all instances are one stream.
  CHECK(key({cart, pod}, otlp::Signal::Logs).hash == key({cart}, otlp::Signal::Logs).hash);
}

/// A process that counts requests, measures its queue, and knows how long it runs.
struct Pod {
  std::string name;
  std::uint64_t start = kStart;
  /// The time of its exports in the minute.
  std::uint64_t lag = 0;
  double requests = 0;
};

/// The replicas of one service, which export once per minute, each in a request of its own.
class Fleet {
 public:
  explicit Fleet(const Settings& settings, std::size_t metrics = 2) : bench(settings), metrics_(metrics) {}

  void start() {
    pods.push_back({.name = "pod-" + std::to_string(started), .start = time, .lag = started * 7 % 60 * kSecond});
    ++started;
  }
  void start(std::size_t count) {
    while (count-- > 0) start();
  }

  /// One point of each metric of each pod; those of pod `odd` are multiplied.
  void minute(std::size_t odd = SIZE_MAX, double times = 1) {
    for (std::size_t i = 0; i < pods.size(); ++i) {
      pods[i].requests += 6000 + noise() * 100 * (i == odd ? times : 1) + (i == odd ? 6000 * (times - 1) : 0);
      process(requestOf(pods[i], time + pods[i].lag, i == odd ? times : 1));
    }
    time += kMinute;
    // The clock goes on although nobody sends.
    if (pods.empty()) take(*bench.advance(kMinute));
    const EngineStats stats = bench.engine.stats();
    most = std::max(most, stats.streams);
    if (stats.learning > 0) ++learning;
  }
  void minutes(std::size_t count) {
    while (count-- > 0) minute();
  }

  Message requestOf(const Pod& pod, std::uint64_t at, double times) {
    const auto value = [&](double is) { return Message().fixed(2, pod.start).fixed(3, at).real(4, is); };
    Message scope;
    for (std::size_t metric = 0; metric < metrics_; ++metric) {
      const std::string name = "metric-" + std::to_string(metric);
      const double uptime = static_cast<double>(at - pod.start) / 1e9;
      const Message points =
          metric % 3 == 0
              ? Message().text(1, name).add(7, Message().add(1, value(pod.requests)).varint(2, 2).varint(3, 1))
              : Message().text(1, name).add(5, Message().add(1, value(metric % 3 == 1 ? (50 + noise()) * times : uptime)));
      scope.add(2, points);
    }
    const Message resource = resourceOf({attribute("service.name", "cart"), attribute("service.instance.id", pod.name)});
    return Message().add(1, Message().add(1, resource).add(2, scope));
  }

  void process(const Message& request) {
    const auto task = bench.process(otlp::Signal::Metrics, request);
    CHECK(task->failure.empty() && !task->malformed);
    limited += task->limited;
    take(*task);
    if (also) CHECK(same(*task, *also->process(otlp::Signal::Metrics, request)));
  }

  std::size_t begun() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(told, [](const Told& each) { return each.occurrence == 1 && !each.ended; }));
  }

  Bench bench;
  std::deque<Pod> pods;
  std::uint64_t time = kStart;
  std::size_t started = 0, limited = 0, learning = 0;
  std::uint64_t most = 0;
  std::vector<Told> told;
  /// Another engine that must give the same verdicts.
  Bench* also = nullptr;

 private:
  void take(const Task& task) {
    for (const Told& each : toldBy(task)) told.push_back(each);
  }
  double noise() {
    double sum = 0;
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(random_.below(1000)) / 1000 - 0.5;
    return sum;
  }

  std::size_t metrics_;
  Random random_{3};
};

/// Checks that scaling out is no news, and that the new replicas are judged at once.
TEST(scalingOut) {
  Fleet fleet(replicaSettings());
  fleet.start(2);
  fleet.minutes(400);
  CHECK(fleet.bench.engine.stats().learning == 0 && fleet.bench.engine.stats().streams == 4);
  fleet.learning = 0;
  fleet.start(2);
  fleet.minutes(20);
  CHECK(fleet.learning == 0 && fleet.bench.engine.stats().streams == 8);
  // To those who read statistics, they are one stream.
  const auto all = fleet.bench.statistics();
  const auto counter = all.find("default: metrics service.name=cart metric-0");
  CHECK(all.size() == 2 && counter != all.end() && counter->second.tally.records == 400 * 2 + 20 * 4);
  CHECK(fleet.begun() == 0);
  // One of the new ones goes wrong after twenty minutes.
  for (int i = 0; i < 3; ++i) fleet.minute(3, 4);
  CHECK(fleet.begun() >= 1);
  CHECK(std::ranges::any_of(
      fleet.told, [](const Told& each) { return each.explanation.find("service.instance.id=pod-3") != std::string::npos; }));
}

/// Checks that a replica which is bad from its start is reported, and that the start itself is not.
TEST(badFromItsStart) {
  Fleet fleet(replicaSettings(), 3);
  fleet.start(3);
  fleet.minutes(600);
  fleet.start(2);
  fleet.minutes(100);
  CHECK(fleet.begun() == 0);
  fleet.start();
  for (int i = 0; i < 4; ++i) fleet.minute(5, 5);
  CHECK(fleet.begun() >= 1);
  CHECK(std::ranges::any_of(
      fleet.told, [](const Told& each) { return each.explanation.find("service.instance.id=pod-5") != std::string::npos; }));
}

/// Checks that one bad replica among many is reported, and named first.
TEST(oneBadAmongMany) {
  Fleet fleet(replicaSettings(), 3);
  fleet.start(20);
  fleet.minutes(600);
  CHECK(fleet.begun() == 0);
  for (int i = 0; i < 5; ++i) fleet.minute(7, 3);
  CHECK(fleet.begun() >= 1);
  CHECK(!fleet.told.empty() && fleet.told[0].explanation.find("service.instance.id=pod-7") != std::string::npos);
}

/// Checks that five hundred pods after each other, with twenty metrics each, neither use up a tenant's streams nor the memory,
/// nor begin to learn anew, and that nothing is said about their coming and going.
TEST(podsComeAndGo) {
  Settings settings = replicaSettings();
  settings.streamsPerTenant = 100;
  Fleet fleet(settings, 20);
  fleet.start();
  fleet.minutes(300);
  fleet.most = fleet.learning = 0;
  for (int i = 0; i < 500; ++i) {
    fleet.start();
    fleet.minutes(2);
    fleet.pods.pop_front();
    fleet.minutes(10);
  }
  const EngineStats stats = fleet.bench.engine.stats();
  CHECK(fleet.limited == 0 && stats.evicted == 0 && fleet.learning == 0);
  CHECK(fleet.most <= 60 && stats.streams <= 40);
  CHECK(fleet.begun() <= 4);
}

/// Checks a rolling deployment of five replicas, and that two become twenty and two again.
TEST(deployments) {
  Fleet fleet(replicaSettings());
  fleet.start(5);
  fleet.minutes(400);
  fleet.learning = 0;
  for (int i = 0; i < 5; ++i) {
    fleet.start();
    fleet.minutes(3);
    fleet.pods.pop_front();
    fleet.minutes(2);
  }
  fleet.minutes(30);
  CHECK(fleet.most <= 20 && fleet.bench.engine.stats().streams == 10);
  while (fleet.pods.size() > 2) {
    fleet.pods.pop_back();
    fleet.minute();
  }
  fleet.minutes(30);
  CHECK(fleet.bench.engine.stats().streams == 4);
  while (fleet.pods.size() < 20) {
    fleet.start(2);
    fleet.minutes(2);
  }
  fleet.minutes(60);
  CHECK(fleet.bench.engine.stats().streams == 40);
  while (fleet.pods.size() > 2) {
    fleet.pods.pop_front();
    fleet.minute();
  }
  fleet.minutes(30);
  CHECK(fleet.bench.engine.stats().streams == 4);
  CHECK(fleet.begun() == 0 && fleet.learning == 0);
}

/// Checks that the silence of one replica is no news, and that of all is.
TEST(silenceOfReplicas) {
  Fleet fleet(replicaSettings());
  fleet.start(3);
  fleet.minutes(400);
  fleet.pods.pop_back();
  fleet.minutes(60);
  CHECK(fleet.begun() == 0);
  const auto pods = std::exchange(fleet.pods, {});
  fleet.minutes(30);
  CHECK(std::ranges::any_of(fleet.told, [](const Told& each) { return each.explanation.starts_with("No records for"); }));
  // It is one for each metric at most, however many replicas there were.
  CHECK(fleet.begun() >= 1 && fleet.begun() <= 2);
  fleet.pods = pods;
  fleet.minutes(20);
  std::set<std::string> open;
  for (const Told& each : fleet.told) each.ended ? open.erase(each.id) : open.insert(each.id).second;
  CHECK(open.empty());
}

/// Checks that a person's feedback about one replica is for the others as well.
TEST(feedbackReachesReplicas) {
  const auto alarms = [](bool accept) {
    Fleet fleet(replicaSettings(), 1);
    fleet.start(2);
    fleet.minutes(400);
    for (int i = 0; i < 2; ++i) fleet.minute(0, 2);
    CHECK(fleet.begun() >= 1);
    if (accept && !fleet.told.empty()) {
      FeedbackVisit visit("default", fleet.told[0].id, Feedback::Accept);
      fleet.bench.visit([&](std::uint32_t, Shard& shard) { visit.visit(shard); });
      CHECK(visit.found());
    }
    fleet.minutes(1500);
    const std::size_t before = fleet.begun();
    for (int i = 0; i < 2; ++i) fleet.minute(1, 1.2);
    return fleet.begun() - before;
  };
  CHECK(alarms(false) >= 1);
  CHECK(alarms(true) == 0);
}

/// Checks that the anomaly of a replica that has left can still be accepted.
TEST(feedbackAboutOneThatLeft) {
  Fleet fleet(replicaSettings(), 1);
  fleet.start(2);
  fleet.minutes(400);
  for (int i = 0; i < 2; ++i) fleet.minute(0, 2);
  CHECK(!fleet.told.empty());
  if (fleet.told.empty()) return;
  const std::string id = fleet.told[0].id;
  fleet.pods.pop_front();
  fleet.minutes(30);
  CHECK(fleet.bench.engine.stats().streams == 1);
  CHECK(fleet.told.back().id == id && fleet.told.back().ended);
  FeedbackVisit visit("default", id, Feedback::Accept);
  fleet.bench.visit([&](std::uint32_t, Shard& shard) { visit.visit(shard); });
  CHECK(visit.found() && visit.ended().empty());
}

/// Checks that senders without an instance, of another tenant, and of another attribute are told apart, and inherit where they
/// may.
TEST(familiesOfAllKinds) {
  Bench bench(replicaSettings());
  const auto send = [&](const std::vector<Message>& attributes, const std::string& tenant, std::uint64_t minute) {
    const Message gauge =
        Message()
            .text(1, "queue")
            .add(5,
                 Message().add(1, Message().fixed(3, kStart + minute * kMinute).real(4, 50 + static_cast<double>(minute % 7))));
    CHECK(bench
              .process(otlp::Signal::Metrics,
                       Message().add(1, Message().add(1, resourceOf(attributes)).add(2, Message().add(2, gauge))), tenant)
              ->failure.empty());
  };
  const Message cart = attribute("service.name", "cart");
  for (std::uint64_t minute = 0; minute < 300; ++minute) send({cart}, "a", minute);
  CHECK(bench.engine.stats().streams == 1 && bench.engine.stats().learning == 0);
  // What was learned before the senders named instances is theirs.
  send({cart, attribute("service.instance.id", "1")}, "a", 300);
  send({cart, attribute("k8s.pod.name", "1")}, "a", 300);
  send({cart, attribute("service.instance.id", "")}, "a", 300);
  CHECK(bench.engine.stats().streams == 3 && bench.engine.stats().learning == 0);
  send({cart, attribute("service.instance.id", "1")}, "b", 300);
  send({attribute("service.name", "shop"), attribute("service.instance.id", "1")}, "a", 300);
  CHECK(bench.engine.stats().streams == 5 && bench.engine.stats().learning == 2);
}

/// Checks that a family which had to make room for others goes on from what its last replica knew.
TEST(familiesComeBack) {
  Settings settings = replicaSettings();
  settings.maxStreams = 16;
  Fleet fleet(settings, 1);
  fleet.start();
  fleet.minutes(300);
  CHECK(fleet.bench.engine.stats().learning == 0);
  for (int i = 0; i < 400; ++i) {
    fleet.bench.process(otlp::Signal::Metrics, gaugeRequest("other-" + std::to_string(i), "queue", {{fleet.time, 1}}));
  }
  CHECK(fleet.bench.engine.stats().evicted > 0);
  const auto learning = fleet.bench.engine.stats().learning;
  fleet.pods.clear();
  fleet.start();
  fleet.minute();
  CHECK(fleet.bench.engine.stats().learning <= learning);
  const auto all = fleet.bench.statistics();
  const auto found = all.find("default: metrics service.name=cart metric-0");
  CHECK(found != all.end() && found->second.state == StreamState::Watching && found->second.tally.records >= 300);
}

/// Checks that neither the number of threads nor a restart in a deployment changes a verdict.
TEST(replicasAreDeterministic) {
  Fleet fleet(replicaSettings(1));
  Bench three(replicaSettings(3)), restored(replicaSettings(2));
  fleet.also = &three;
  fleet.start(3);
  fleet.minutes(300);
  fleet.start(2);
  fleet.minutes(5);
  fleet.pods.pop_front();
  fleet.minute(1, 3);
  fleet.minutes(3);
  CHECK(fleet.begun() >= 1);
  CHECK(restored.restore(fleet.bench.snapshot()));
  fleet.also = &restored;
  fleet.minutes(10);
  fleet.start();
  fleet.minutes(10);
  fleet.minute(2, 5);
  fleet.minutes(20);
  CHECK(fleet.bench.engine.stats().streams == 10);
  CHECK(fleet.bench.snapshot() == restored.snapshot());
}

}  // namespace
