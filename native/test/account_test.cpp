// Compares the account of streams' memory with what is allocated. It needs its own program, because it replaces operator new.

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>

#include "engine_bench.hpp"

namespace {

std::atomic<std::size_t> allocated{0};

/// The bytes before each block that hold its size; as many as the strictest alignment of plain new.
constexpr std::size_t kHeader = 16;

/// The bytes that glibc's allocator uses for a block.
std::size_t costOf(std::size_t size) { return (size + 8 + 15) / 16 * 16; }

}  // namespace

void* operator new(std::size_t size) {
  auto* block = static_cast<std::size_t*>(std::malloc(size + kHeader));
  if (block == nullptr) throw std::bad_alloc();
  *block = size;
  allocated += costOf(size);
  return reinterpret_cast<char*>(block) + kHeader;
}
void* operator new[](std::size_t size) { return operator new(size); }
void operator delete(void* pointer) noexcept {
  if (pointer == nullptr) return;
  void* block = static_cast<char*>(pointer) - kHeader;
  allocated -= costOf(*static_cast<std::size_t*>(block));
  std::free(block);
}
void operator delete[](void* pointer) noexcept { operator delete(pointer); }
void operator delete(void* pointer, std::size_t) noexcept { operator delete(pointer); }
void operator delete[](void* pointer, std::size_t) noexcept { operator delete(pointer); }

using namespace driftlock;
using namespace driftlock::test;

namespace {

std::string word(Random& random) {
  std::string text;
  for (int i = 0; i < 8; ++i) text += static_cast<char>('a' + random.below(26));
  return text;
}

/// A record with much novelty in each of its parts.
Message diverseLog(Random& random, std::uint64_t time, std::uint32_t i) {
  std::string text;
  for (int k = 0; k < 40; ++k) text += word(random) + " ";
  LogOptions options{.time = time,
                     .attributes = {attribute("key" + std::to_string(i % 300), random.below(1'000'000)),
                                    attribute("number", random.below(1'000'000))}};
  options.trace = word(random) + word(random);
  if (i % 100 == 99) options.severity = 17;
  return logRecord(i % 2 ? text : normalLine(random), options);
}

struct Held {
  std::size_t allocated;
  std::size_t accounted;
};

/// Measures what an engine holds once `streams` streams have had `records` records each, in turn.
Held hold(otlp::Signal signal, int streams, int records) {
  Settings settings = settingsOf();
  settings.maxStreams = 10'000;
  settings.scores = false;
  const std::size_t before = allocated;
  Bench bench(settings);
  Random random(1);
  std::uint64_t clock = kStart;
  constexpr int kAtOnce = 50;
  for (int round = 0; round < records / kAtOnce; ++round) {
    for (int stream = 0; stream < streams; ++stream) {
      const std::string service = "service-" + std::to_string(stream);
      std::vector<Message> parts;
      std::vector<std::pair<std::uint64_t, double>> points;
      for (std::uint32_t i = 0; i < kAtOnce; ++i) {
        clock += kSecond / 100;
        if (signal == otlp::Signal::Metrics) points.emplace_back(clock, random.below(1'000));
        if (signal == otlp::Signal::Logs) parts.push_back(diverseLog(random, clock, i));
        if (signal == otlp::Signal::Traces) {
          parts.push_back(
              spanRecord("operation " + std::to_string(random.below(200)), {.time = clock,
                                                                            .duration = 1'000'000 + random.below(500'000),
                                                                            .trace = "trace-" + word(random) + "xx",
                                                                            .parent = i % 3 ? "" : "parent00",
                                                                            .status = i % 50 ? 0u : 2u}));
        }
      }
      bench.process(signal,
                    signal == otlp::Signal::Metrics ? gaugeRequest(service, "queue.length", points) : request(service, parts));
    }
  }
  return {allocated - before, bench.engine.stats().bytes};
}

/// Compares two sizes of an engine, so that memory that does not depend on its streams cancels out.
TEST(accountsForWhatIsAllocated) {
  for (const otlp::Signal signal : {otlp::Signal::Logs, otlp::Signal::Traces, otlp::Signal::Metrics}) {
    for (const int records : {50, 100, 150, 250, 600}) {
      const Held few = hold(signal, 80, records);
      const Held many = hold(signal, 140, records);
      const double held = static_cast<double>(many.allocated - few.allocated);
      const double accounted = static_cast<double>(many.accounted - few.accounted);
      std::printf("signal %d, %d records: %.0f bytes a stream, of which %.3f accounted\n", static_cast<int>(signal), records,
                  held / 60, accounted / held);
      CHECK(accounted > 0.9 * held);
      CHECK(accounted < 1.1 * held);
    }
  }
}

}  // namespace
