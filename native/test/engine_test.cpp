#include "engine/engine.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>

#ifdef __linux__
#include <dirent.h>

#include <fstream>
#endif

#include "base/hash.hpp"
#include "base/state_bytes.hpp"
#include "engine_bench.hpp"
#include "otlp/views.hpp"
#include "requests.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

/// Checks that a restart does not change a single bit of the results, now or later.
TEST(restoredGoesOn) {
  Bench one(settingsOf());
  Traffic traffic;
  for (int i = 0; i < 400; ++i) {
    const auto step = traffic.next();
    one.process(step.signal, step.bytes);
  }
  const auto snapshot = one.snapshot();
  CHECK(snapshot == one.snapshot());

  Bench two(settingsOf(3));
  CHECK(two.restore(snapshot));
  CHECK(two.snapshot() == snapshot);
  CHECK(two.engine.stats().streams == one.engine.stats().streams);
  CHECK(two.engine.stats().learning == one.engine.stats().learning);
  std::size_t flagged = 0, anomalies = 0;
  bool equal = true;
  for (int i = 0; i < 800; ++i) {
    const auto step = traffic.next();
    const auto a = one.process(step.signal, step.bytes), b = two.process(step.signal, step.bytes);
    if (equal && !same(*a, *b)) std::fprintf(stderr, "step %d differs\n", i);
    equal = equal && same(*a, *b);
    flagged += a->flagged;
    anomalies += a->anomalies.size();
  }
  CHECK(equal);
  if (flagged <= 3) std::fprintf(stderr, "flagged %zu\n", flagged);
  CHECK(flagged > 3);
  CHECK(anomalies > 3);
  CHECK(one.snapshot() == two.snapshot());
}

TEST(hostileSnapshots) {
  Bench one(settingsOf());
  Traffic traffic;
  for (int i = 0; i < 160; ++i) {
    const auto step = traffic.next();
    one.process(step.signal, step.bytes);
  }
  const auto snapshot = one.snapshot();
  Bench other(settingsOf());
  CHECK(other.refusal({}) == "its head is missing");
  for (std::size_t cut = 0; cut < snapshot.size(); cut += 1 + snapshot.size() / 50)
    CHECK(!other.restore(Bytes(snapshot).first(cut)));
  auto longer = snapshot;
  longer.push_back(0);
  CHECK(!other.restore(longer));
  CHECK(other.engine.stats().streams == 0);
  CHECK(other.restore(snapshot));
}

Message linesOf(const std::string& service, Random& random, std::uint64_t& clock, int count) {
  std::vector<Message> lines;
  for (int i = 0; i < count; ++i) lines.push_back(logRecord(normalLine(random), {.time = clock += kSecond}));
  return request(service, lines);
}

/// Checks that evicted streams that come back have forgotten nothing: an engine with room for few gives the results of
/// one with room for all.
TEST(givenWayAndBack) {
  Settings small = settingsOf();
  small.baselineRecords = 64;
  Settings large = small;
  small.maxStreams = 1;
  Bench few(small), all(large);
  Random random(5);
  std::uint64_t clock = kStart;
  bool equal = true;
  for (int round = 0; round < 4; ++round) {
    for (int service = 0; service < 120; ++service) {
      const Message message = linesOf("service-" + std::to_string(service), random, clock, 70);
      equal = equal && same(*few.process(otlp::Signal::Logs, message), *all.process(otlp::Signal::Logs, message));
    }
  }
  CHECK(equal);
  CHECK(few.engine.stats().streams <= 32);
  CHECK(few.engine.stats().evicted > 300);
  CHECK(all.engine.stats().streams == 120);
  CHECK(all.engine.stats().evicted == 0);

  // What is on the shelf survives a restart as well; fewer streams are restored if the settings require it.
  Bench restarted(small), smaller(small);
  CHECK(restarted.restore(few.snapshot()));
  CHECK(restarted.engine.stats().streams == few.engine.stats().streams);
  for (int service = 0; service < 120; ++service) {
    const Message message = linesOf("service-" + std::to_string(service), random, clock, 10);
    equal = equal && same(*restarted.process(otlp::Signal::Logs, message), *all.process(otlp::Signal::Logs, message));
  }
  CHECK(equal);
  CHECK(smaller.restore(all.snapshot()));
  CHECK(smaller.engine.stats().streams <= 32);
  CHECK(smaller.engine.stats().streams >= 16);
}

/// Compares the scores and flags of tasks, which do not depend on the hash key; the ids of anomalies do.
bool alike(const Task& a, const Task& b) {
  const bool scores = std::ranges::equal(a.scores, b.scores);
  return scores && a.flagged == b.flagged && a.anomalies.size() == b.anomalies.size() &&
         std::ranges::equal(a.windows, b.windows, [](const WindowReport& x, const WindowReport& y) {
           return x.stream == y.stream && x.verdict.score == y.verdict.score && x.verdict.pValue == y.verdict.pValue;
         });
}

/// Checks that keys change hashes but no verdicts: results depend only on which hashes are equal.
TEST(keysDoNotChangeVerdicts) {
  Settings settings = settingsOf(2), other = settings;
  settings.alarmsPerProcessPerDay = other.alarmsPerProcessPerDay = 20;
  for (std::size_t i = 0; i < other.hashKey.size(); ++i) other.hashKey[i] = static_cast<std::uint8_t>(7 * i + 1);
  Bench a(settings), b(other);
  Random random(5);
  std::uint64_t clock = kStart, flagged = 0;
  bool equal = true, ids = true;
  const auto both = [&](otlp::Signal signal, const Message& message) {
    const auto x = a.process(signal, message), y = b.process(signal, message);
    equal = equal && alike(*x, *y);
    flagged += x->flagged;
    for (std::size_t i = 0; i < x->anomalies.size(); ++i) {
      const Told one(x->anomalies[i]), two(y->anomalies[i]);
      equal = equal && one.stream == two.stream && one.channel == two.channel && one.occurrence == two.occurrence &&
              one.ended == two.ended;
      ids = ids && one.id != two.id;
    }
  };
  for (int round = 0; round < 120; ++round) {
    for (int service = 0; service < 12; ++service) {
      std::vector<Message> lines;
      for (int i = 0; i < 10; ++i) {
        // Much novelty keeps coming, so that the tables of it fill up.
        const bool news = round > 40 && random.below(4) == 0;
        const std::string line =
            news ? "odd " + std::string(1 + random.below(40), static_cast<char>('a' + random.below(26))) + " happened"
                 : normalLine(random);
        lines.push_back(logRecord(line, {.time = clock += kSecond / 10, .severity = news ? 17u : 9u}));
      }
      both(otlp::Signal::Logs, request("service-" + std::to_string(service), lines));
      std::vector<Message> spans;
      // Traces overlap, so that a table of spans has more to hold than it has room for.
      for (std::uint64_t i = 0; i < 10; ++i) {
        const std::uint64_t trace = random.below(40) + 40 * static_cast<std::uint64_t>(round / 8);
        const std::uint64_t self = 1 + random.below(300);
        const auto named = [](std::uint64_t id, std::size_t size) {
          const std::string digits = std::to_string(id);
          return std::string(size - digits.size(), '0') + digits;
        };
        spans.push_back(spanRecord(random.below(30) == 0 ? "odd" : "step-" + std::to_string(self % 5),
                                   {.time = clock,
                                    .duration = 1'000'000 * (1 + random.below(9)),
                                    .trace = named(trace, 16),
                                    .span = named(self, 8),
                                    .parent = named(1 + self / 2, 8)}));
      }
      both(otlp::Signal::Traces, request("service-" + std::to_string(service), spans));
    }
  }
  // All fall silent at once, more than the budget of the process allows to be reported.
  for (int minute = 0; minute < 200; ++minute) {
    const auto x = a.advance(60 * kSecond), y = b.advance(60 * kSecond);
    equal = equal && x->anomalies.size() == y->anomalies.size();
    for (std::size_t i = 0; equal && i < x->anomalies.size(); ++i)
      equal = Told(x->anomalies[i]).stream == Told(y->anomalies[i]).stream;
  }
  CHECK(equal);
  CHECK(ids);
  CHECK(flagged > 0);
  CHECK(a.engine.stats().withheldByProcess > 0 && a.engine.stats().withheldByProcess == b.engine.stats().withheldByProcess);
  // What one has learned cannot be used by the other.
  const std::vector<std::uint8_t> snapshot = a.snapshot();
  Bench same(settings), stranger(other);
  CHECK(same.restore(snapshot));
  CHECK(!stranger.restore(snapshot));
}

/// Checks that the statistics of a stream add up to what came, each time to what came since the last read.
TEST(tellsFigures) {
  Settings settings = settingsOf(2);
  settings.alarmsPerStreamPerDay = 1000;
  Bench bench(settings);
  Random random(3);
  std::uint64_t clock = kStart;
  bench.process(otlp::Signal::Logs, linesOf("shop", random, clock, 50), "acme");
  auto told = bench.statistics();
  CHECK(told.size() == 1);
  StreamStatistics shop = told["acme: logs service.name=shop"];
  CHECK(shop.state == StreamState::Learning);
  CHECK(shop.signal == otlp::Signal::Logs && shop.service == "shop" && shop.tenant == "acme");
  CHECK_NEAR(shop.progress, 0.25, 1e-9);
  CHECK(shop.tally.records == 50 && shop.tally.flagged == 0 && shop.tally.score == 0);
  CHECK(shop.times.first == kStart + kSecond && shop.times.last == kStart + 50 * kSecond && shop.times.baseline == 0);
  CHECK(bench.statistics().empty());

  for (int i = 0; i < 30; ++i) bench.process(otlp::Signal::Logs, linesOf("shop", random, clock, 10), "acme");
  std::vector<Message> strange;
  for (int i = 0; i < 3; ++i)
    strange.push_back(
        logRecord("kernel panic: cannot mount root, dumping registers", {.time = clock += kSecond, .severity = 17}));
  const auto flagged = bench.process(otlp::Signal::Logs, request("shop", strange), "acme")->flagged;
  CHECK(flagged == 3);
  shop = bench.statistics()["acme: logs service.name=shop"];
  CHECK(shop.state == StreamState::Watching && shop.progress == 1);
  CHECK(shop.tally.records == 303 && shop.tally.flagged >= 3);
  CHECK(shop.tally.score > 1 && shop.tally.channel == ChannelId::Content && shop.tally.pValue < 0.01);
  CHECK(shop.times.first == kStart + kSecond && shop.times.last == clock);
  CHECK(shop.times.baseline == kStart + 200 * kSecond);

  // Times survive a restart; unread statistics are lost with the process, and every stream is reported again.
  Bench again(settings);
  CHECK(again.restore(bench.snapshot()));
  const StreamStatistics restored = again.statistics()["acme: logs service.name=shop"];
  CHECK(restored.state == StreamState::Watching && restored.tally.records == 0);
  CHECK(restored.times.first == kStart + kSecond && restored.times.baseline == kStart + 200 * kSecond &&
        restored.times.last == clock);
}

/// Checks that evicted streams are reported with their unread statistics; one that comes back continues.
TEST(tellsWhoGaveWay) {
  Settings settings = settingsOf();
  settings.baselineRecords = 64;
  settings.maxStreams = 1;
  Bench bench(settings);
  Random random(9);
  std::uint64_t clock = kStart, records = 0;
  const int services = 300;
  for (int round = 0; round < 2; ++round) {
    for (int service = 0; service < services; ++service) {
      // Every third stream never finishes learning.
      const int count = service % 3 == 0 ? 10 : 70;
      bench.process(otlp::Signal::Logs, linesOf("service-" + std::to_string(service), random, clock, count));
      records += count;
    }
  }
  const auto told = bench.statistics(100);
  std::uint64_t sum = 0;
  std::map<StreamState, int> states;
  for (const auto& [name, statistics] : told) {
    sum += statistics.tally.records;
    ++states[statistics.state];
    if (statistics.state == StreamState::Shelved) CHECK(statistics.progress == 1 && statistics.times.baseline != 0);
    if (statistics.state == StreamState::Evicted) CHECK(statistics.progress < 1);
  }
  CHECK(told.size() == services);
  CHECK(sum == records);
  CHECK(bench.engine.stats().untold == 0);
  CHECK(states[StreamState::Shelved] > 150 && states[StreamState::Evicted] > 80);
  CHECK(states[StreamState::Learning] + states[StreamState::Watching] == static_cast<int>(bench.engine.stats().streams));

  // Statistics of more streams than can be kept are lost, and that is counted.
  for (int service = 0; service < 40'000; ++service) {
    bench.process(otlp::Signal::Logs, linesOf("new-" + std::to_string(service), random, clock, 1));
  }
  const auto rest = bench.statistics(4096);
  CHECK(rest.size() + bench.engine.stats().untold >= 40'000);
  CHECK(rest.size() <= 16 * 1024 + bench.engine.stats().streams);
}

/// Checks that a stream dropped from the shelf as well is reported as evicted, with its times.
TEST(tellsWhoLeftTheShelf) {
  Settings settings = settingsOf();
  settings.baselineRecords = 64;
  settings.maxStreams = 1;
  Bench bench(settings);
  Random random(17);
  std::uint64_t clock = kStart;
  std::size_t evicted = 0;
  for (int i = 0, sent = 0; evicted == 0 && sent < 500; ++i) {
    // All streams are in one shard, with lines that do not compress, so its shelf fills up soon.
    std::vector<Message> lines;
    for (int k = 0; k < 70; ++k) {
      std::string line;
      for (int n = 0; n < 400; ++n) line += static_cast<char>('a' + random.below(26));
      lines.push_back(logRecord(line, {.time = clock += kSecond}));
    }
    const Message message = request("service-" + std::to_string(i), lines);
    otlp::Index index;
    otlp::WireError error;
    CHECK(otlp::index(otlp::Signal::Logs, message, index, error));
    StreamKeys keys;
    keys.find(index, "default", settings, streamHash(settings.hashKey));
    if (shardOf(keys.hash(0)) != 0) continue;
    bench.process(otlp::Signal::Logs, message);
    if (++sent % 50 != 0) continue;
    for (const auto& [name, statistics] : bench.statistics(2000)) {
      if (statistics.state != StreamState::Evicted) continue;
      ++evicted;
      CHECK(statistics.service.starts_with("service-") && statistics.tenant == "default" && statistics.progress == 1);
      CHECK(statistics.times.first >= kStart && statistics.times.baseline == statistics.times.first + 63 * kSecond);
    }
  }
  CHECK(evicted > 0);
}

/// Checks that, however many streams a tenant makes and has learned, those of another stay.
TEST(tenantsHaveShares) {
  Settings settings = settingsOf();
  settings.baselineRecords = 64;
  settings.maxStreams = 64;
  Bench bench(settings), alone(settings);
  Random random(11);
  std::uint64_t clock = kStart;
  bool equal = true;
  const auto quiet = [&](int service, int count) {
    const Message message = linesOf("quiet-" + std::to_string(service), random, clock, count);
    equal =
        equal && same(*bench.process(otlp::Signal::Logs, message, "quiet"), *alone.process(otlp::Signal::Logs, message, "quiet"));
  };
  for (int service = 0; service < 16; ++service) quiet(service, 100);
  bench.statistics();
  for (int service = 0; service < 600; ++service) {
    bench.process(otlp::Signal::Logs, linesOf("noisy-" + std::to_string(service), random, clock, service % 2 ? 1 : 70), "noisy");
  }
  for (const auto& [name, statistics] : bench.statistics(1000)) CHECK(statistics.tenant == "noisy");
  CHECK(bench.engine.stats().evicted > 300);
  for (int service = 0; service < 16; ++service) quiet(service, 100);
  CHECK(equal);
  for (const auto& [name, statistics] : bench.statistics(1000)) {
    if (statistics.tenant == "quiet") CHECK(statistics.state == StreamState::Watching && statistics.tally.records == 100);
  }
}

/// Checks that streams beyond a tenant's quota pass unjudged; those with a place keep it until they are silent for long.
TEST(quotaOfStreams) {
  Settings settings = settingsOf();
  settings.baselineRecords = 64;
  settings.streamsPerTenant = 5;
  Bench one(settings), restarted(settings);
  settings.threads = 4;
  Bench four(settings);
  Random random(13);
  std::uint64_t clock = kStart;
  const auto send = [&](const std::string& tenant, const std::string& service, int count) {
    const Message message = linesOf(service, random, clock, count);
    const auto task = one.process(otlp::Signal::Logs, message, tenant), other = four.process(otlp::Signal::Logs, message, tenant);
    CHECK(same(*task, *other) && task->limited == other->limited);
    return task->limited;
  };
  for (int service = 0; service < 5; ++service) CHECK(send("acme", "service-" + std::to_string(service), 80) == 0);
  for (int service = 5; service < 200; ++service) CHECK(send("acme", "service-" + std::to_string(service), 2) == 2);
  CHECK(send("acme", "service-0", 80) == 0);
  CHECK(send("umbrella", "service-7", 3) == 0);
  CHECK(one.engine.stats().streams == 6);

  auto told = one.statistics();
  CHECK(told.size() == 201);
  CHECK(told["acme: logs service.name=service-0"].state == StreamState::Watching);
  CHECK(told["umbrella: logs service.name=service-7"].state == StreamState::Learning);
  CHECK(told["acme: logs service.name=service-7"].state == StreamState::Limited);
  CHECK(told["acme: logs service.name=service-7"].tally.records == 2);
  CHECK(told["acme: logs service.name=service-7"].service == "service-7");

  // A restart does not reassign the places.
  const auto snapshot = one.snapshot();
  for (std::size_t cut = 0; cut < 400; cut += 7) CHECK(!Bench(settings).restore(Bytes(snapshot).first(cut)));
  CHECK(restarted.restore(one.snapshot()));
  CHECK(restarted.snapshot() == one.snapshot());
  CHECK(restarted.process(otlp::Signal::Logs, linesOf("service-6", random, clock, 1), "acme")->limited == 1);
  CHECK(restarted.process(otlp::Signal::Logs, linesOf("service-3", random, clock, 1), "acme")->limited == 0);

  // After an hour without a record a stream gives its place to the first newcomer, and has none when it comes back.
  for (int minute = 0; minute < 68; ++minute) {
    clock += 50 * kSecond;
    for (int service = 0; service < 4; ++service) CHECK(send("acme", "service-" + std::to_string(service), 1) == 0);
  }
  CHECK(send("acme", "service-8", 4) == 0);
  CHECK(send("acme", "service-9", 4) == 4);
  CHECK(send("acme", "service-4", 1) == 1);
  told = one.statistics();
  CHECK(told["acme: logs service.name=service-4"].state == StreamState::Limited);
  CHECK(told["acme: logs service.name=service-4"].times.baseline != 0);
  CHECK(told["acme: logs service.name=service-8"].state == StreamState::Learning);

  // Records of one request are distinguished.
  const Message mixed = Message(linesOf("service-0", random, clock, 3));
  std::vector<std::uint8_t> both = mixed.bytes();
  const Message limited = linesOf("service-99", random, clock, 5);
  both.insert(both.end(), limited.bytes().begin(), limited.bytes().end());
  auto task = std::make_shared<Task>();
  task->tenant = "acme";
  task->request = both;
  one.run(task);
  CHECK(task->records == 8 && task->limited == 5);
  CHECK(one.statistics()["acme: logs service.name=service-0"].tally.records == 3);
}

#ifdef __linux__
TEST(threadsHaveNames) {
  Bench bench(settingsOf(3));
  // All of them work at the same time, so that each has started.
  std::atomic<int> working = 0;
  bench.visit([&](std::uint32_t shard, Shard&) {
    if (shard >= 3) return;
    ++working;
    working.notify_all();
    for (int now = working; now < 3; now = working) working.wait(now);
  });
  std::set<std::string> names;
  DIR* tasks = opendir("/proc/self/task");
  CHECK(tasks != nullptr);
  for (const dirent* entry; (entry = readdir(tasks));) {
    std::string name;
    std::ifstream(std::string("/proc/self/task/") + entry->d_name + "/comm") >> name;
    names.insert(name);
  }
  closedir(tasks);
  for (const char* name : {"dl-engine-0", "dl-engine-1", "dl-engine-2"}) CHECK(names.contains(name));
}
#endif

/// A visit that blocks one of two workers until it is released.
struct Gate {
  std::promise<void> opened;
  std::shared_ptr<Task> task() {
    auto task = std::make_shared<Task>();
    task->visit = [open = opened.get_future().share()](std::uint32_t shard, Shard&) {
      if (shard % 2 == 1) open.wait();
    };
    return task;
  }
};

std::shared_ptr<Task> logsTask(const Message& message) {
  auto task = std::make_shared<Task>();
  task->request = message;
  return task;
}

/// Streams of 200 services, so that both workers have some.
Message manyServices() {
  Message all;
  for (int i = 0; i < 200; ++i) {
    const Message one = request("service-" + std::to_string(i), {logRecord("hello", {.time = kStart})});
    all.append(one);
  }
  return all;
}

/// Checks that requests are cancelled between two records; everything else waiting, and later tasks, take their turn.
TEST(cancelsRequests) {
  std::vector<std::shared_ptr<Task>> done;
  Gate gate;
  const Message message = manyServices();
  const auto before = gate.task(), givenUp = logsTask(message), later = logsTask(message);
  auto visit = std::make_shared<Task>();
  std::atomic<std::uint32_t> visited{0};
  visit->visit = [&](std::uint32_t, Shard&) { ++visited; };
  std::uint64_t half = 0;
  {
    std::mutex mutex;
    Engine engine(settingsOf(2), [&](std::shared_ptr<Task> task) {
      std::lock_guard lock(mutex);
      done.push_back(std::move(task));
    });
    engine.submit(before);
    engine.submit(givenUp);
    engine.submit(visit);
    // The worker that is not blocked has judged its part, and has reached the visit.
    while (visited < kShardCount / 2) std::this_thread::yield();
    half = engine.stats().streams;
    engine.cancel();
    engine.submit(later);
    gate.opened.set_value();
  }
  CHECK(done.size() == 4);
  CHECK(half > 50 && half < 150);
  CHECK(!before->cancelled && givenUp->cancelled && !visit->cancelled && !later->cancelled);
  CHECK(visited == kShardCount);
  CHECK(later->records == 200);
  CHECK(later->failure.empty() && givenUp->failure.empty());
}

/// Checks that an abandoned engine drops everything, and that its destructor does not wait.
TEST(abandonsAll) {
  std::atomic<int> done{0};
  Gate gate;
  const Message message = manyServices();
  std::atomic<std::uint32_t> visited{0};
  auto visit = std::make_shared<Task>();
  visit->visit = [&](std::uint32_t, Shard&) { ++visited; };
  {
    Engine engine(settingsOf(2), [&](std::shared_ptr<Task>) { ++done; });
    engine.submit(gate.task());
    for (int i = 0; i < 100; ++i) engine.submit(logsTask(message));
    engine.submit(visit);
    while (visited < kShardCount / 2) std::this_thread::yield();
    engine.abandon();
    gate.opened.set_value();
  }
  CHECK(done == 0);
  CHECK(visited == kShardCount / 2);
}

}  // namespace
