#include "stream/engine.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>

#include "otlp/views.hpp"
#include "requests.hpp"
#include "stream/hash.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

Settings settingsOf(std::uint32_t threads = 1) {
  Settings settings;
  settings.streamBy = {"service.name"};
  settings.baselineRecords = 200;
  settings.windowRecords = 64;
  settings.windowHop = 32;
  settings.alarmsPerStreamPerDay = 100;
  settings.permutations = 19;
  settings.threads = threads;
  settings.scores = true;
  return settings;
}

/// An engine whose tasks are waited for one by one.
class Bench {
 public:
  explicit Bench(const Settings& settings) : engine(settings, [this](std::shared_ptr<Task>) { done(); }) {}

  std::shared_ptr<Task> process(otlp::Signal signal, const Message& bytes, const std::string& tenant = "default") {
    auto task = std::make_shared<Task>();
    task->signal = signal;
    task->tenant = tenant;
    task->request = bytes;
    run(task);
    return task;
  }

  void visit(std::function<void(std::uint32_t, Shard&)> visit) {
    auto task = std::make_shared<Task>();
    task->visit = std::move(visit);
    run(task);
    CHECK(task->failure.empty());
  }

  std::vector<std::uint8_t> snapshot() {
    Snapshot parts;
    visit([&](std::uint32_t number, Shard& shard) { parts.take(number, shard); });
    return parts.join();
  }

 private:
  void run(std::shared_ptr<Task> task) {
    waiting = true;
    engine.submit(std::move(task));
    std::unique_lock lock(mutex);
    ready.wait(lock, [&] { return !waiting; });
  }
  void done() {
    std::lock_guard lock(mutex);
    waiting = false;
    ready.notify_one();
  }

  std::mutex mutex;
  std::condition_variable ready;
  bool waiting = false;

 public:
  Engine engine;
};

bool same(const Task& a, const Task& b) {
  const Bytes x = a.output, y = b.output;
  bool windows = a.windows.size() == b.windows.size();
  for (std::size_t i = 0; windows && i < a.windows.size(); ++i) {
    windows = a.windows[i].record == b.windows[i].record && a.windows[i].verdict.score == b.windows[i].verdict.score &&
              a.windows[i].verdict.pValue == b.windows[i].verdict.pValue && a.windows[i].metrics.ncd == b.windows[i].metrics.ncd;
  }
  // Doubles by their bits.
  const bool scores = a.scores.size() == b.scores.size() &&
                      std::memcmp(a.scores.data(), b.scores.data(), a.scores.size() * sizeof(double)) == 0;
  return scores && windows && a.flagged == b.flagged && a.anomalies == b.anomalies && std::ranges::equal(x, y);
}

/// Logs in sessions, logs without times, spans and metrics of several services; something strange now and then.
class Traffic {
 public:
  struct Step {
    otlp::Signal signal;
    Message bytes;
  };

  Step next() {
    ++step_;
    clock_ += 2 * second;
    const std::string service = "service-" + std::to_string(step_ % 3);
    switch (step_ % 4) {
      case 0: {
        std::vector<std::pair<std::uint64_t, double>> points;
        for (std::uint64_t i = 0; i < 8; ++i) {
          points.emplace_back(clock_ + i * second / 4, random_.below(100) + (random_.below(400) == 0 ? 5'000.0 : 0.0));
        }
        return {otlp::Signal::Metrics, gaugeRequest(service, "queue.length", points)};
      }
      case 1: {
        std::vector<Message> spans;
        for (std::uint32_t i = 0; i < 6; ++i) {
          const std::string trace = "trace-" + std::to_string(1'000'000'000 + step_ * 2 + i / 3);
          spans.push_back(spanRecord(i % 3 == 0 ? "GET /cart" : i % 3 == 1 ? "select" : "render",
                                     {.time = clock_ + i, .duration = (1'000'000 + random_.below(500'000)) * (random_.below(100) == 0 ? 50 : 1),
                                      .trace = trace, .parent = i % 3 == 2 ? "" : "parent00",
                                      .status = random_.below(150) == 0 ? 2u : 0u}));
        }
        return {otlp::Signal::Traces, request(service, spans)};
      }
      default: {
        std::vector<Message> lines;
        const bool timed = step_ % 4 == 2;
        for (std::uint32_t i = 0; i < 12; ++i) {
          LogOptions options{.time = timed ? clock_ + i : 0, .attributes = {attribute("status", random_.below(3) + 200)}};
          if (timed) options.trace = "session-" + std::to_string(10'000'000 + step_ + random_.below(4));
          std::string line = normalLine(random_);
          if (random_.below(60) == 0) {
            line = "java.sql.SQLException: pool " + std::to_string(random_.below(9)) + " exhausted: " + std::string(1 + random_.below(40), 'x');
            options.severity = 17;
          }
          lines.push_back(logRecord(line, options));
        }
        return {otlp::Signal::Logs, request(timed ? service : service + "-untimed", lines)};
      }
    }
  }

 private:
  Random random_{7};
  std::uint32_t step_ = 0;
  std::uint64_t clock_ = start;
};

/// A restart changes nothing: not one bit of what is said, now or later.
void restored_goes_on() {
  Bench one(settingsOf());
  Traffic traffic;
  for (int i = 0; i < 400; ++i) {
    const auto step = traffic.next();
    one.process(step.signal, step.bytes);
  }
  const auto snapshot = one.snapshot();
  CHECK(snapshot == one.snapshot());

  Bench two(settingsOf(3));
  CHECK(two.engine.restore(snapshot));
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
  if (flagged <= 10) std::fprintf(stderr, "flagged %zu\n", flagged);
  CHECK(flagged > 10);
  CHECK(anomalies > 5);
  CHECK(one.snapshot() == two.snapshot());
}

void hostile_snapshots() {
  Bench one(settingsOf());
  Traffic traffic;
  for (int i = 0; i < 160; ++i) {
    const auto step = traffic.next();
    one.process(step.signal, step.bytes);
  }
  const auto snapshot = one.snapshot();
  Engine other(settingsOf(), [](std::shared_ptr<Task>) {});
  CHECK(!other.restore({}));
  for (std::size_t cut = 0; cut < snapshot.size(); cut += 1 + snapshot.size() / 50) CHECK(!other.restore(Bytes(snapshot).first(cut)));
  auto longer = snapshot;
  longer.push_back(0);
  CHECK(!other.restore(longer));
  CHECK(other.stats().streams == 0);
  CHECK(other.restore(snapshot));
}

Message linesOf(const std::string& service, Random& random, std::uint64_t& clock, int count) {
  std::vector<Message> lines;
  for (int i = 0; i < count; ++i) lines.push_back(logRecord(normalLine(random), {.time = clock += second}));
  return request(service, lines);
}

/// Streams that give way and come back have forgotten nothing: an engine with room for few says what one with room for
/// all says.
void given_way_and_back() {
  Settings small = settingsOf();
  small.baselineRecords = 64;
  Settings large = small;
  small.maxStreams = 1;
  Bench few(small), all(large);
  Random random(5);
  std::uint64_t clock = start;
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

  // What lies on the shelf survives a restart as well; fewer streams are taken where the settings say so.
  Bench restarted(small), smaller(small);
  CHECK(restarted.engine.restore(few.snapshot()));
  CHECK(restarted.engine.stats().streams == few.engine.stats().streams);
  for (int service = 0; service < 120; ++service) {
    const Message message = linesOf("service-" + std::to_string(service), random, clock, 10);
    equal = equal && same(*restarted.process(otlp::Signal::Logs, message), *all.process(otlp::Signal::Logs, message));
  }
  CHECK(equal);
  CHECK(smaller.engine.restore(all.snapshot()));
  CHECK(smaller.engine.stats().streams <= 32);
  CHECK(smaller.engine.stats().streams >= 16);
}

/// The hash of a stream's key is public: a tenant that makes its own meet another's must not share that one's stream.
void tenants_with_one_hash() {
  const auto seedOf = [](std::string_view tenant) {
    const std::uint64_t base = hash(Bytes(reinterpret_cast<const std::uint8_t*>(tenant.data()), tenant.size()), 1);
    return hash(std::uint64_t{0}, hash(base, 1) + static_cast<std::uint64_t>(otlp::AnyValue::Type::String));
  };
  constexpr std::uint64_t k0 = 0xa0761d6478bd642f, k1 = 0xe7037ed1a0b428db;
  const std::string name = "checkout-service";
  std::uint64_t a = 0, b = 0;
  std::memcpy(&a, name.data(), 8), std::memcpy(&b, name.data() + 8, 8);
  // The first word makes the product of the second alone, which is then as wanted.
  const std::uint64_t first = k1 ^ 1, second = mix(a ^ k1, b ^ seedOf("victim") ^ k0) ^ seedOf("thief") ^ k0;
  std::string forged(16, 0);
  std::memcpy(forged.data(), &first, 8), std::memcpy(forged.data() + 8, &second, 8);

  Random random(1);
  std::uint64_t clock = start;
  const Message theirs = linesOf(name, random, clock, 300), mine = linesOf(forged, random, clock, 300);
  const auto hashOf = [](const Message& message, std::string_view tenant) {
    otlp::Index index;
    otlp::WireError error;
    CHECK(otlp::index(otlp::Signal::Logs, message, index, error));
    StreamKeys keys;
    keys.find(index, tenant, {"service.name"});
    return keys.hash(0);
  };
  CHECK(hashOf(theirs, "victim") == hashOf(mine, "thief"));
  Bench bench(settingsOf());
  bench.process(otlp::Signal::Logs, theirs, "victim");
  bench.process(otlp::Signal::Logs, mine, "thief");
  CHECK(bench.engine.stats().streams == 2);
  CHECK(bench.process(otlp::Signal::Logs, theirs, "victim")->windows.front().stream == "logs service.name=checkout-service");
}

}  // namespace

int main() {
  restored_goes_on();
  given_way_and_back();
  tenants_with_one_hash();
  hostile_snapshots();
  return report();
}
