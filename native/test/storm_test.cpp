// Checks what a request may cost and add if all of its records are strange.

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/work.hpp"
#include "engine_bench.hpp"
#include "otlp/views.hpp"
#include "report/allowance.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;
using otlp::Signal;

namespace {

constexpr std::uint64_t kLater = kStart + 3600 * kSecond;

void learn(Bench& bench, const std::string& service) {
  Random random(7);
  std::uint64_t time = kStart;
  for (int n = 0; n < 40; ++n) {
    std::vector<Message> logs, spans;
    for (int i = 0; i < 20; ++i, time += kSecond) {
      logs.push_back(logRecord(normalLine(random), {.time = time}));
      spans.push_back(spanRecord("GET /cart", {.time = time, .trace = "trace-" + std::to_string(1'000'000'000 + n * 20 + i)}));
    }
    bench.process(Signal::Logs, request(service, logs));
    bench.process(Signal::Traces, request(service, spans));
  }
}

Message logStorm(const std::string& service, std::size_t records, std::string_view text = "E") {
  std::vector<Message> logs;
  for (std::size_t i = 0; i < records; ++i) {
    logs.push_back(logRecord(std::string(text) + " disk offline", {.time = kLater, .severity = 21}));
  }
  return request(service, logs);
}

Message spanStorm(const std::string& service, std::size_t records) {
  std::vector<Message> spans;
  for (std::size_t i = 0; i < records; ++i) {
    spans.push_back(
        spanRecord("disk offline", {.time = kLater, .trace = "trace-" + std::to_string(2'000'000'000 + i), .status = 2}));
  }
  return request(service, spans);
}

/// Counts the records of a request with an attribute of this name.
std::size_t carrying(Signal signal, Bytes bytes, std::string_view name) {
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, bytes, index, error));
  std::size_t count = 0;
  for (const otlp::Record& record : index.records) {
    for (const otlp::KeyValue& attribute : otlp::Attributes(index.bytes(record), otlp::attributesField(index, record))) {
      if (textOf(attribute.key) != name) continue;
      ++count;
      break;
    }
  }
  return count;
}

std::size_t recordsOf(Signal signal, Bytes bytes) {
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, bytes, index, error));
  return index.records.size();
}

TEST(addsNoMoreThanItMay) {
  const std::string longName(500, 'n');
  for (const std::string& service : {std::string("shop"), longName}) {
    for (const bool spans : {false, true}) {
      const Signal signal = spans ? Signal::Traces : Signal::Logs;
      for (const std::size_t records : {1, 20, 100, 1'000, 20'000}) {
        Bench bench(settingsOf());
        learn(bench, service);
        const Message storm = spans ? spanStorm(service, records) : logStorm(service, records);
        const auto task = bench.process(signal, storm);
        const std::size_t came = storm.bytes().size(), goes = task->output.size;
        CHECK(task->records == records && task->unjudged == 0);
        CHECK(task->flagged >= records - records / 20);
        CHECK(goes <= came + Allowance::annotationBound(came));
        const std::size_t whole = carrying(signal, task->output, "cbad.explanation"),
                          marked = carrying(signal, task->output, "cbad.anomaly.id");
        CHECK(whole == task->flagged - task->abridged);
        CHECK(whole >= std::min<std::size_t>(task->flagged, 32));
        CHECK(marked >= whole && marked <= task->flagged);
        if (records == 1'000) CHECK(marked == task->flagged);
        // Records of a few bytes cannot all be annotated with their anomaly.
        if (records == 20'000 && !spans) CHECK(marked < task->flagged && marked > came / 200);
        // Reports come at the 1st, 2nd, 4th … flag, and for blocks and ticks.
        CHECK(task->anomalies.size() < 64 && task->unreported == 0);
      }
    }
  }
}

TEST(keepsAllThatIsFlagged) {
  Settings settings = settingsOf();
  settings.flaggedOnly = true;
  Bench bench(settings);
  learn(bench, "shop");
  const auto task = bench.process(Signal::Logs, logStorm("shop", 20'000));
  CHECK(recordsOf(Signal::Logs, task->output) == task->flagged);
}

TEST(doesNotDependOnThreads) {
  std::vector<std::shared_ptr<Task>> tasks;
  for (const std::uint32_t threads : {1, 3}) {
    Bench bench(settingsOf(threads));
    Message all;
    for (const char* service : {"cart", "shop", "stock", "user"}) {
      learn(bench, service);
      all.append(logStorm(service, 300, service));
    }
    tasks.push_back(bench.process(Signal::Logs, all));
  }
  CHECK(tasks[0]->abridged > 0 && same(*tasks[0], *tasks[1]));
}

/// Checks that describing what is flagged costs no more than a request of its size may.
TEST(costsNoMoreThanItMay) {
  const auto workOf = [](std::size_t records) {
    Settings settings = settingsOf();
    settings.permutations = 0;
    Bench bench(settings);
    learn(bench, "shop");
    bench.process(Signal::Logs, logStorm("shop", 100));
    const Message storm = logStorm("shop", records);
    countedWork = 0;
    const auto task = bench.process(Signal::Logs, storm);
    CHECK(task->flagged >= records - records / 20);
    return static_cast<double>(countedWork) / static_cast<double>(storm.bytes().size());
  };
  const double few = workOf(500), many = workOf(8'000);
  CHECK(many < few && many < 100);
}

/// Returns the names of streams that all fall into one shard.
std::vector<std::string> crowd(const Settings& settings, std::size_t size) {
  std::map<std::uint32_t, std::vector<std::string>> byShard;
  Bench bench(settings);
  for (int i = 0;; ++i) {
    const std::string service = "service-" + std::to_string(i);
    std::array<std::uint64_t, kShardCount> before{}, after{};
    bench.visit([&](std::uint32_t number, Shard& shard) { before[number] = shard.streams + shard.evicted; });
    bench.process(Signal::Logs, request(service, {logRecord("hello", {.time = kStart})}));
    bench.visit([&](std::uint32_t number, Shard& shard) { after[number] = shard.streams + shard.evicted; });
    for (std::uint32_t number = 0; number < kShardCount; ++number) {
      if (after[number] == before[number]) continue;
      byShard[number].push_back(service);
      if (byShard[number].size() == size) return byShard[number];
    }
  }
}

/// Checks that some records pass unjudged if each brings back a stream that another has just evicted.
TEST(passesUnjudgedWhatIsTooDear) {
  std::vector<std::shared_ptr<Task>> tasks;
  for (const std::uint32_t threads : {1, 3}) {
    Settings settings = settingsOf(threads);
    settings.baselineRecords = 2;
    settings.maxStreams = 16;
    const std::vector<std::string> services = crowd(settings, 8);
    Bench bench(settings);
    const auto round = [&](std::size_t records) {
      Message all;
      for (std::size_t i = 0; i < records; ++i) {
        all.append(request(services[i % services.size()],
                           {logRecord("hello", {.time = kStart + i}), logRecord("hello", {.time = kStart + i})}));
      }
      return all;
    };
    CHECK(bench.process(Signal::Logs, round(40))->unjudged == 0);
    const auto task = bench.process(Signal::Logs, round(1'000));
    CHECK(task->records == 2'000 && task->unjudged > 400 && task->unjudged < 1'600);
    CHECK(task->flagged == 0 && task->output.size == 0);
    tasks.push_back(task);
    CHECK(bench.process(Signal::Logs, round(40))->unjudged == 0);
  }
  CHECK(tasks[0]->unjudged == tasks[1]->unjudged && same(*tasks[0], *tasks[1]));
}

/// Checks that some records pass unjudged if each is novel to a stream whose search table another's has replaced.
TEST(countsSearchTables) {
  std::vector<std::shared_ptr<Task>> tasks;
  for (const std::uint32_t threads : {1, 3}) {
    Settings settings = settingsOf(threads);
    settings.baselineRecords = 600;
    settings.permutations = 0;
    const std::vector<std::string> services = crowd(settings, 8);
    Bench bench(settings);
    Random random(9);
    const auto word = [&] {
      std::string text;
      for (int i = 0; i < 12; ++i) text += static_cast<char>('a' + random.below(26));
      return text;
    };
    for (const std::string& service : services) {
      std::vector<Message> logs;
      for (std::uint64_t i = 0; i < 700; ++i)
        logs.push_back(logRecord(word() + ' ' + word() + ' ' + word(), {.time = kStart + i}));
      CHECK(bench.process(Signal::Logs, request(service, logs))->unjudged == 0);
    }
    const auto news = [&](std::size_t streams) {
      Message all;
      for (std::size_t i = 0; i < 20'000; ++i)
        all.append(request(services[i % streams], {logRecord(word(), {.time = kStart + 1'000})}));
      return all;
    };
    const auto few = bench.process(Signal::Logs, news(2));
    CHECK(few->unjudged == 0);
    const auto many = bench.process(Signal::Logs, news(8));
    CHECK(many->unjudged > 1'000 && many->unjudged < 19'000);
    tasks.push_back(many);
  }
  CHECK(tasks[0]->unjudged == tasks[1]->unjudged);
}

/// Checks that a storm of ever new texts, some of which recur, gives the same results in an engine that is restored repeatedly.
TEST(newTextsContinue) {
  Bench bench(settingsOf());
  auto copied = std::make_unique<Bench>(settingsOf());
  learn(bench, "shop");
  CHECK(copied->restore(bench.snapshot()));
  Random random(9);
  std::uint64_t time = kLater;
  std::size_t flagged = 0;
  for (int n = 0; n < 60; ++n) {
    std::vector<Message> logs;
    for (int i = 0; i < 40; ++i) {
      std::string text = "disk";
      const auto seen = random.below(600);
      for (int k = 0; k < 3; ++k)
        text += ' ' + std::string(12, static_cast<char>('a' + (seen / (k == 0   ? 1
                                                                       : k == 1 ? 26
                                                                                : 520) +
                                                               5 * static_cast<unsigned>(k)) %
                                                                  26));
      logs.push_back(logRecord(text, {.time = time += random.below(3) * kSecond / 4, .severity = 21}));
    }
    const Message message = request("shop", logs);
    const auto one = bench.process(Signal::Logs, message);
    CHECK(same(*one, *copied->process(Signal::Logs, message)));
    flagged += one->flagged;
    const auto state = bench.snapshot();
    CHECK(state == copied->snapshot());
    if (n % 3 != 0) continue;
    copied = std::make_unique<Bench>(settingsOf());
    CHECK(copied->restore(state));
  }
  CHECK(flagged > 500);
}

}  // namespace
