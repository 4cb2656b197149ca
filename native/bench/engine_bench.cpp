// Records per second through the engine on one thread: read, mask, score, decide, annotate.
//   engine_bench FILE logs|traces|metrics [ROUNDS [recordings|privacy]]
// FILE holds Export*ServiceRequest messages, each preceded by its length in 4 bytes, big-endian. Prints one JSON line. With
// `privacy`, engines with four policies take turns, and the line has the time of three of them as a multiple of that of one which
// masks nothing: the default policy; one that also masks what is forwarded, so that all detectors read every record; and one that
// masks at every place.

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.hpp"
#include "test/settings.hpp"

using namespace driftlock;

namespace {

struct Load {
  otlp::Signal signal;
  std::vector<Bytes> requests;
  int rounds;
};

struct Measured {
  double records = 0, flagged = 0, bytes = 0, seconds = 0, stateBytes = 0;
};

double cpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

Measured measure(const Settings& settings, const Load& load) {
  std::mutex mutex;
  std::condition_variable idle;
  std::uint64_t records = 0, flagged = 0, bytes = 0, pending = 0;
  Engine engine(settings, [&](std::shared_ptr<Task> task) {
    std::lock_guard lock(mutex);
    records += task->records;
    flagged += task->flagged;
    bytes += task->request.size();
    --pending;
    idle.notify_one();
  });
  const double before = cpuSeconds();
  for (int round = 0; round < load.rounds; ++round) {
    for (Bytes request : load.requests) {
      auto task = std::make_shared<Task>();
      task->signal = load.signal;
      task->tenant = "default";
      task->request = request;
      std::unique_lock lock(mutex);
      idle.wait(lock, [&] { return pending < 16; });
      ++pending;
      lock.unlock();
      engine.submit(std::move(task));
    }
  }
  {
    std::unique_lock lock(mutex);
    idle.wait(lock, [&] { return pending == 0; });
  }
  return {static_cast<double>(records), static_cast<double>(flagged), static_cast<double>(bytes), cpuSeconds() - before,
          static_cast<double>(engine.stats().bytes)};
}

void comparePolicies(Settings settings, const Load& load, const char* signal) {
  constexpr int kTurns = 3;
  privacy::Actions nowhere{}, forwarded = privacy::Policy::kDefault, everywhere;
  forwarded[static_cast<std::size_t>(privacy::Place::Forwarded)] = privacy::Action::Mask;
  everywhere.fill(privacy::Action::Mask);
  const std::array policies{nowhere, privacy::Policy::kDefault, forwarded, everywhere};
  // The fastest of some turns: what else runs on the machine only makes one slower.
  std::array<double, policies.size()> seconds;
  seconds.fill(std::numeric_limits<double>::max());
  double records = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    for (std::size_t i = 0; i < policies.size(); ++i) {
      settings.privacy = std::make_shared<const privacy::Policy>(policies[i]);
      const Measured own = measure(settings, load);
      seconds[i] = std::min(seconds[i], own.seconds);
      records = own.records;
    }
  }
  const auto multiple = [&](std::size_t i) { return seconds[i] / seconds[0]; };
  std::printf(
      "{\"signal\":\"%s\",\"records\":%.0f,\"us_per_record\":%.3f,\"default\":%.3f,\"forwarded\":%.3f,\"everywhere\":%.3f}\n",
      signal, records, 1e6 * seconds[0] / records, multiple(1), multiple(2), multiple(3));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: engine_bench FILE logs|traces|metrics [ROUNDS [recordings|privacy]]\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
  Load load{.signal = std::strcmp(argv[2], "logs") == 0     ? otlp::Signal::Logs
                      : std::strcmp(argv[2], "traces") == 0 ? otlp::Signal::Traces
                                                            : otlp::Signal::Metrics,
            .requests = {},
            .rounds = argc > 3 ? std::atoi(argv[3]) : 1};
  for (std::size_t at = 0; at + 4 <= data.size();) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(data.data()) + at;
    const std::size_t size = std::size_t{p[0]} << 24 | p[1] << 16 | p[2] << 8 | p[3];
    if (at + 4 + size > data.size()) break;
    load.requests.emplace_back(p + 4, size);
    at += 4 + size;
  }

  const char* const mode = argc > 4 ? argv[4] : "";
  Settings settings = test::defaultSettings();
  settings.streamBy = {"service.name"};
  settings.recordings = std::strcmp(mode, "recordings") == 0;
  if (std::strcmp(mode, "privacy") == 0) {
    comparePolicies(settings, load, argv[2]);
    return 0;
  }
  const Measured f = measure(settings, load);
  std::printf(
      "{\"signal\":\"%s\",\"records\":%.0f,\"flagged\":%.0f,\"bytes_per_record\":%.0f,\"cpu_s\":%.3f,\"records_per_cpu_s\":%.0f,"
      "\"us_per_record\":%.3f,\"stream_bytes\":%.0f}\n",
      argv[2], f.records, f.flagged, f.bytes / f.records, f.seconds, f.records / f.seconds, 1e6 * f.seconds / f.records,
      f.stateBytes);
  return 0;
}
