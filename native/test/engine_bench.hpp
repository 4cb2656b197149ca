#pragma once

// An engine for tests, with small settings, tasks that are awaited one by one, and what is reported.

#include <algorithm>
#include <bit>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/state_bytes.hpp"
#include "engine/engine.hpp"
#include "requests.hpp"
#include "settings.hpp"
#include "test.hpp"

namespace driftlock::test {

inline Settings settingsOf(std::uint32_t threads = 1) {
  Settings settings = defaultSettings();
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

/// An engine whose tasks are awaited one by one.
class Bench {
 public:
  explicit Bench(const Settings& settings, std::shared_ptr<Pool> pool = {})
      : engine(settings, [this](std::shared_ptr<Task>) { done(); }, std::move(pool)) {}

  std::shared_ptr<Task> process(otlp::Signal signal, const Message& bytes, const std::string& tenant = "default") {
    auto task = std::make_shared<Task>();
    task->signal = signal;
    task->tenant = tenant;
    task->request = bytes;
    run(task);
    return task;
  }

  /// Lets time pass without a request except from the tenants `heard`.
  std::shared_ptr<Task> advance(std::uint64_t nanos, const std::vector<std::string>& heard = {}) {
    auto task = std::make_shared<Task>();
    task->passed = nanos;
    task->heard = heard;
    run(task);
    return task;
  }

  void visit(std::function<void(std::uint32_t, Shard&)> visit,
             std::function<void(const Quota&, const Clocks&, const ActiveGroups&, const llm::Tenants&)> visitOrdered = {},
             std::function<void(const ProcessBudget&, const ServiceGraphs&)> visitFinished = {}) {
    auto task = std::make_shared<Task>();
    task->visit = std::move(visit);
    task->visitOrdered = std::move(visitOrdered);
    task->visitFinished = std::move(visitFinished);
    run(task);
    CHECK(task->failure.empty());
  }

  /// A checkpoint, begun at this place in the order of calls.
  std::unique_ptr<Checkpoint> checkpoint(CheckpointOf what) {
    auto checkpoint = engine.checkpoint(what);
    visit([&](std::uint32_t number, Shard& shard) { checkpoint->begin(number, shard); },
          [&](const auto&... ordered) { checkpoint->begin(ordered...); },
          [&](const auto&... finished) { checkpoint->begin(finished...); });
    return checkpoint;
  }
  /// The next records of a checkpoint; empty after the last.
  std::vector<std::uint8_t> step(Checkpoint& checkpoint) {
    visit([&](std::uint32_t number, Shard& shard) { checkpoint.step(number, shard); });
    return checkpoint.take();
  }
  void end(Checkpoint& checkpoint) {
    visit([&](std::uint32_t, Shard& shard) { checkpoint.end(shard); });
  }
  /// All records of a checkpoint.
  std::vector<std::uint8_t> records(CheckpointOf what) {
    const auto all = checkpoint(what);
    std::vector<std::uint8_t> records;
    for (auto piece = step(*all); !piece.empty(); piece = step(*all)) records.insert(records.end(), piece.begin(), piece.end());
    end(*all);
    return records;
  }
  std::vector<std::uint8_t> snapshot() { return records(CheckpointOf::Copy); }

  /// Restores an engine that has judged nothing. Returns why it is refused.
  std::string refusal(Bytes records, bool tracks = false) {
    Restoration restoration;
    engine.restore(restoration, records);
    return engine.completeRestore(restoration, tracks);
  }
  bool restore(Bytes records, bool tracks = false) { return refusal(records, tracks).empty(); }

  /// Returns the statistics of all streams that have changed, by name, read in pages of `most` streams.
  std::map<std::string, StreamStatistics> statistics(std::size_t most = 64);

  void run(std::shared_ptr<Task> task) {
    waiting_ = true;
    engine.submit(std::move(task));
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [&] { return !waiting_; });
  }

 private:
  void done() {
    std::lock_guard lock(mutex_);
    waiting_ = false;
    ready_.notify_one();
  }

  std::mutex mutex_;
  std::condition_variable ready_;
  bool waiting_ = false;

 public:
  Engine engine;
};

inline std::map<std::string, StreamStatistics> Bench::statistics(std::size_t most) {
  std::map<std::string, StreamStatistics> all;
  for (std::size_t left = 1; left > 0;) {
    StatisticsPage page(most);
    visit([&](std::uint32_t number, Shard& shard) { page.take(number, shard); });
    left = page.left();
    std::size_t count = 0;
    for (const auto& part : page.streams()) {
      for (const StreamStatistics& each : part) {
        CHECK(all.emplace(each.tenant + ": " + each.name, each).second);
        ++count;
      }
    }
    CHECK(count <= most + kShardCount);
    CHECK(count > 0 || left == 0);
  }
  return all;
}

inline bool same(const Task& a, const Task& b) {
  const Bytes x = a.output, y = b.output;
  bool windows = a.windows.size() == b.windows.size();
  for (std::size_t i = 0; windows && i < a.windows.size(); ++i) {
    windows = a.windows[i].record == b.windows[i].record && a.windows[i].verdict.score == b.windows[i].verdict.score &&
              a.windows[i].verdict.pValue == b.windows[i].verdict.pValue && a.windows[i].metrics.ncd == b.windows[i].metrics.ncd;
  }
  const bool scores =
      std::ranges::equal(a.scores, b.scores, {}, std::bit_cast<std::uint64_t, double>, std::bit_cast<std::uint64_t, double>);
  return scores && windows && a.flagged == b.flagged && a.anomalies == b.anomalies && a.page == b.page && a.calls == b.calls &&
         std::ranges::equal(x, y);
}

/// The parts of a driftlock.v1.Anomaly that tests read.
struct Told {
  std::string id, stream, explanation;
  std::uint64_t channel = 0, occurrence = 0, severity = 0, time = 0, start = 0, end = 0, members = 0;
  bool ended = false, news = false;

  explicit Told(Bytes message) {
    std::size_t at = 0;
    const auto varint = [&] {
      std::uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        const std::uint8_t byte = message[at++];
        value |= static_cast<std::uint64_t>(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    while (at < message.size()) {
      const std::uint64_t tag = varint();
      std::uint64_t number = 0;
      std::string_view text;
      if ((tag & 7) == 0) {
        number = varint();
      } else if ((tag & 7) == 1) {
        for (int shift = 0; shift < 64; shift += 8) number |= static_cast<std::uint64_t>(message[at++]) << shift;
      } else {
        const std::size_t size = varint();
        text = {reinterpret_cast<const char*>(message.data()) + at, size};
        at += size;
      }
      switch (tag >> 3) {
        case 1: id = text; break;
        case 4: stream = text; break;
        case 5: channel = number; break;
        case 6: time = number; break;
        case 14: occurrence = number; break;
        case 17: explanation = text; break;
        case 18: start = number; break;
        case 19: end = number; break;
        case 20: ended = number == 1; break;
        case 21: severity = number; break;
        case 27: news = number == 1; break;
        case 31: ++members; break;
      }
    }
  }
};

inline std::vector<Told> toldBy(const Task& task) {
  std::vector<Told> all;
  for (const auto& anomaly : task.anomalies) all.emplace_back(anomaly);
  return all;
}

}  // namespace driftlock::test
