// What incidents are formed from: evidence per stream, resource, channel and tick.

#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "otlp/wire.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

/// The parts of a driftlock.v1.Evidence that tests read.
struct Seen {
  std::string tenant, stream, service, instance, host;
  std::uint64_t channel = 0, tick = 0, flagged = 0, withheld = 0, finding = 0;
  double margin = 0;
  bool lasts = false;
  std::vector<std::string> anomalies, traces;

  explicit Seen(Bytes message) {
    otlp::Cursor cursor(message);
    while (const std::uint32_t tag = cursor.tag()) {
      const auto text = [&](std::string& out) { out = textOf(cursor.payload()); };
      switch (tag >> 3) {
        case 1: text(tenant); break;
        case 3: text(stream); break;
        case 4: text(service); break;
        case 5: text(instance); break;
        case 6: text(host); break;
        case 7: channel = cursor.varint(); break;
        case 8: tick = cursor.fixed64(); break;
        case 9: flagged = cursor.varint(); break;
        case 10: withheld = cursor.varint(); break;
        case 11: margin = cursor.real(); break;
        case 14: text(anomalies.emplace_back()); break;
        case 15: text(traces.emplace_back()); break;
        case 16: finding = cursor.fixed64(); break;
        case 17: lasts = cursor.varint() != 0; break;
        default: cursor.skip(tag);
      }
    }
  }
};

/// Returns the evidence of a channel, or of all (0).
std::vector<Seen> seenBy(const Task& task, std::uint64_t channel = 0) {
  std::vector<Seen> all;
  otlp::Cursor cursor(task.page);
  while (const std::uint32_t tag = cursor.tag()) {
    if (tag == otlp::tag(1, otlp::Wire::Length)) all.emplace_back(cursor.payload());
    else cursor.skip(tag);
  }
  std::erase_if(all, [&](const Seen& each) { return channel != 0 && each.channel != channel; });
  return all;
}

constexpr std::uint64_t kContent = 1;

/// A request with log records of an instance of a service on a host.
Message requestOf(const std::string& service, const std::string& host, const std::vector<Message>& records) {
  Message resource, scope;
  resource.add(1, attribute("service.name", service)).add(1, attribute("service.instance.id", service + "-on-" + host));
  resource.add(1, attribute("host.name", host));
  for (const Message& record : records) scope.add(2, record);
  return Message().add(1, Message().add(1, resource).add(2, scope));
}

/// An engine that has learned the logs of a service on two hosts.
struct Learned {
  Bench bench;
  Random random{7};
  std::uint64_t clock = kStart;

  explicit Learned(const Settings& settings) : bench(settings) {
    for (int i = 0; i < 40; ++i) process(i % 2 ? "b" : "a", 20);
  }
  std::shared_ptr<Task> process(const std::string& host, int normal, const std::vector<std::string>& strange = {}) {
    std::vector<Message> records;
    for (int i = 0; i < normal; ++i) records.push_back(logRecord(normalLine(random), {.time = clock += kSecond / 10}));
    for (std::size_t i = 0; i < strange.size(); ++i) {
      records.push_back(
          logRecord(strange[i], {.time = clock, .severity = 17, .trace = "trace-" + std::to_string(1'000'000'000 + i)}));
    }
    return bench.process(otlp::Signal::Logs, requestOf("shop", host, records));
  }
};

Settings instanceSettings(std::uint32_t threads = 1) {
  Settings settings = settingsOf(threads);
  settings.instanceBy = {"k8s.pod.uid", "service.instance.id", "host.name"};
  return settings;
}

const std::string kStrange = "panic: cannot map page at address 0x7f33 while compacting segment";

TEST(evidenceCountsPerTick) {
  Learned learned(instanceSettings());
  CHECK(learned.process("a", 5)->page.empty());
  const auto task = learned.process("b", 5, std::vector<std::string>(7, kStrange));
  CHECK(task->flagged == 7);
  const auto seen = seenBy(*task);
  CHECK(seen.size() == 1);
  CHECK(seen[0].tenant == "default" && seen[0].stream == "logs service.name=shop");
  CHECK(seen[0].service == "shop" && seen[0].instance == "service.instance.id=shop-on-b" && seen[0].host == "b");
  CHECK(seen[0].tick == learned.clock - learned.clock % kEvidenceTick);
  CHECK(seen[0].flagged == 7 && seen[0].withheld == 0);
  CHECK(seen[0].anomalies == std::vector<std::string>{toldBy(*task)[0].id});
  // The first four traces stand for all.
  CHECK(seen[0].traces.size() == TickEvidence::kMostIds && seen[0].traces[0] == "trace-1000000000");

  // The same finding in a later tick has the same hash, and another one has not.
  learned.clock += 20 * kSecond;
  const auto again = seenBy(*learned.process("a", 5, {kStrange}), kContent);
  CHECK(again.size() == 1 && again[0].finding == seen[0].finding && again[0].host == "a");
  CHECK(again[0].tick >= seen[0].tick + 2 * kEvidenceTick);
  learned.clock += 20 * kSecond;
  const auto other = seenBy(*learned.process("a", 5, {"unexpected end of stream: checksum of block differs"}), kContent);
  CHECK(other.size() == 1 && other[0].finding != seen[0].finding);
}

TEST(evidenceHasWhatBudgetsWithhold) {
  Settings settings = instanceSettings();
  settings.alarmsPerProcessPerDay = 1;
  settings.baselineRecords = 400;
  Learned learned(settings);
  const auto first = seenBy(*learned.process("a", 5, {kStrange}));
  CHECK(first.size() == 1 && first[0].flagged == 1 && first[0].anomalies.size() == 1);
  // The budget of the process is spent: another stream's anomaly is not told, but it is evidence.
  for (int i = 0; i < 40; ++i) {
    std::vector<Message> records;
    for (int k = 0; k < 20; ++k)
      records.push_back(logRecord(normalLine(learned.random), {.time = learned.clock += kSecond / 10}));
    learned.bench.process(otlp::Signal::Logs, requestOf("second", "c", records));
  }
  const auto task =
      learned.bench.process(otlp::Signal::Logs, requestOf("second", "c", {logRecord(kStrange, {.time = learned.clock})}));
  CHECK(task->flagged == 0 && task->anomalies.empty());
  const auto withheld = seenBy(*task);
  CHECK(withheld.size() == 1 && withheld[0].flagged == 0 && withheld[0].withheld == 1);
  CHECK(withheld[0].anomalies.empty() && withheld[0].service == "second");

  // So is what the stream's own budget withholds.
  Settings poor = instanceSettings();
  poor.alarmsPerStreamPerDay = 0.01;
  Learned strict(poor);
  std::size_t flagged = 0, held = 0;
  for (int i = 0; i < 12; ++i) {
    strict.clock += 400 * kSecond;
    const auto step = strict.process("a", 20, {"panic number " + std::string(1, static_cast<char>('a' + i)) + ": " + kStrange});
    for (const Seen& each : seenBy(*step)) flagged += each.flagged, held += each.withheld;
  }
  CHECK(flagged > 0 && held > 0);
  CHECK(held == strict.bench.engine.stats().withheldByStreams);
}

TEST(silencesAreEvidence) {
  Bench bench(instanceSettings());
  Random random(3);
  std::uint64_t clock = kStart;
  for (int i = 0; i < 5'000; ++i, clock += 5 * kSecond) {
    bench.process(otlp::Signal::Logs, requestOf("shop", "a", {logRecord(normalLine(random), {.time = clock})}));
  }
  std::vector<Seen> seen;
  std::shared_ptr<Task> task;
  for (int i = 0; i < 360 && seen.empty(); ++i) seen = seenBy(*(task = bench.advance(10 * kSecond)));
  CHECK(seen.size() == 1);
  if (seen.empty()) return;
  CHECK(seen[0].stream == "logs service.name=shop" && seen[0].service == "shop" && seen[0].tick > clock);
  CHECK(seen[0].flagged == 1 && seen[0].anomalies == std::vector<std::string>{toldBy(*task)[0].id});
}

/// Checks that a level which stays is evidence of its own that grows, and that odd values are not.
TEST(levelsThatStayAreEvidence) {
  Bench bench(instanceSettings());
  Random random(5);
  std::uint64_t clock = kStart;
  std::vector<Seen> lasting;
  const auto minutes = [&](int count, double level) {
    lasting.clear();
    for (int i = 0; i < count; ++i, clock += 60 * kSecond) {
      const double value = level + static_cast<double>(random.below(1000)) / 1000;
      for (Seen& each : seenBy(*bench.process(otlp::Signal::Metrics, gaugeRequest("shop", "threads", {{clock, value}})))) {
        if (each.lasts) lasting.push_back(std::move(each));
      }
    }
  };
  minutes(200, 40);
  // Before a whole day has been seen, it may be the time of the day.
  minutes(10, 60);
  CHECK(lasting.empty());
  minutes(2 * 1440, 40);
  minutes(2, 60);
  CHECK(lasting.empty());
  minutes(60, 40);
  CHECK(lasting.empty());
  minutes(10, 60);
  CHECK(lasting.size() >= 3);
  if (lasting.size() < 3) return;
  CHECK(lasting[0].stream == "metrics service.name=shop threads" && lasting[0].channel == 4 && lasting[0].flagged == 0);
  for (std::size_t i = 1; i < lasting.size(); ++i) CHECK(lasting[i].margin > lasting[i - 1].margin);
  CHECK(lasting.back().margin > 32);
  // It is said for as long as it grows, and not for ever.
  minutes(600, 60);
  CHECK(lasting.size() <= 16);
}

TEST(evidenceIsBounded) {
  Settings settings = settingsOf();
  settings.streamBy = {"service.name"};
  Learned learned(settings);
  // Each record is on a host of its own.
  Message many;
  for (std::size_t i = 0; i < 2 * EvidencePage::kMost; ++i) {
    many.append(requestOf("shop", "host-" + std::to_string(i), {logRecord(kStrange, {.time = learned.clock, .severity = 17})}));
  }
  const auto task = learned.bench.process(otlp::Signal::Logs, many);
  CHECK(task->flagged == 2 * EvidencePage::kMost);
  CHECK(seenBy(*task).size() == EvidencePage::kMost);
  CHECK(task->evidenceLeftOut >= EvidencePage::kMost);
}

}  // namespace
