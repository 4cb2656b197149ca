// Records per second through the engine on one thread: read, mask, score, decide, annotate.
//   engine_bench FILE logs|traces|metrics [ROUNDS]
// FILE holds Export*ServiceRequest messages, each preceded by its length in 4 bytes, big-endian. Prints one JSON line.

#include <sys/resource.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.hpp"
#include "test/settings.hpp"

int main(int argc, char** argv) {
  using namespace driftlock;
  if (argc < 3) {
    std::fprintf(stderr, "usage: engine_bench FILE logs|traces|metrics [ROUNDS]\n");
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  const std::vector<char> data((std::istreambuf_iterator<char>(file)), {});
  const auto signal = std::strcmp(argv[2], "logs") == 0     ? otlp::Signal::Logs
                      : std::strcmp(argv[2], "traces") == 0 ? otlp::Signal::Traces
                                                            : otlp::Signal::Metrics;
  const int rounds = argc > 3 ? std::atoi(argv[3]) : 1;
  std::vector<Bytes> requests;
  for (std::size_t at = 0; at + 4 <= data.size();) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(data.data()) + at;
    const std::size_t size = std::size_t{p[0]} << 24 | p[1] << 16 | p[2] << 8 | p[3];
    if (at + 4 + size > data.size()) break;
    requests.emplace_back(p + 4, size);
    at += 4 + size;
  }

  std::mutex mutex;
  std::condition_variable idle;
  std::uint64_t records = 0, flagged = 0, bytes = 0, pending = 0;
  Settings settings = test::defaultSettings();
  settings.streamBy = {"service.name"};
  Engine engine(settings, [&](std::shared_ptr<Task> task) {
    std::lock_guard lock(mutex);
    records += task->records;
    flagged += task->flagged;
    bytes += task->request.size();
    --pending;
    idle.notify_one();
  });
  auto cpu = [] {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  };
  const double before = cpu();
  for (int round = 0; round < rounds; ++round) {
    for (Bytes request : requests) {
      auto task = std::make_shared<Task>();
      task->signal = signal;
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
  const double seconds = cpu() - before;
  const double n = static_cast<double>(records);
  std::printf(
      "{\"signal\":\"%s\",\"records\":%.0f,\"flagged\":%.0f,\"bytes_per_record\":%.0f,\"cpu_s\":%.3f,\"records_per_cpu_s\":%.0f,"
      "\"us_per_record\":%.3f,\"stream_bytes\":%.0f}\n",
      argv[2], n, static_cast<double>(flagged), static_cast<double>(bytes) / n, seconds, n / seconds, 1e6 * seconds / n,
      static_cast<double>(engine.stats().bytes));
  return 0;
}
