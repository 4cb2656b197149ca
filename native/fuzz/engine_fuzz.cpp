// Sends an engine that has learned any bytes, and normal requests with some bytes changed. It continues, and its state then
// survives a restart. The first byte selects the settings; then steps follow, each of which begins with its kind.

#include <algorithm>
#include <string>
#include <vector>

#include "input.hpp"
#include "small_engine.hpp"

using namespace driftlock;
using namespace driftlock::fuzz;

namespace {

/// An engine's state after some traffic, and requests that come after it.
struct Learned {
  std::vector<std::uint8_t> snapshot;
  std::vector<Traffic::Step> next;

  Learned() {
    Bench bench(settingsOf());
    Traffic traffic;
    for (int i = 0; i < 200; ++i) {
      const auto step = traffic.next();
      bench.process(step.signal, step.bytes);
    }
    snapshot = bench.snapshot();
    for (int i = 0; i < 64; ++i) next.push_back(traffic.next());
  }
};

void request(Bench& bench, otlp::Signal signal, Bytes bytes, const std::string& tenant) {
  const auto task = std::make_shared<Task>();
  task->signal = signal;
  task->tenant = tenant;
  task->request = bytes;
  bench.run(task);
  if (!task->failure.empty()) stop(task->failure.c_str());
  if (!task->malformed && task->flagged > task->records) stop("more flagged than there are");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Learned learned;
  Input input({data, size});
  const std::uint8_t choice = input.byte();
  Settings settings = settingsOf();
  settings.flaggedOnly = choice & 1;
  settings.scores = choice & 2;
  settings.threads = choice & 4 ? 2 : 1;
  settings.alarmsPerTenantPerDay = choice & 4 ? 3 : 0;
  settings.alarmsPerProcessPerDay = choice & 8 ? 5 : 0;
  settings.streamsPerTenant = choice & 16 ? 3 : 0;
  settings.codec = static_cast<CodecName>(choice >> 5 & 3);

  Bench bench(settings);
  if (!bench.restore(learned.snapshot)) stop("what was learned is refused");
  while (!input.empty()) {
    const std::uint8_t kind = input.byte();
    const std::string tenant = kind & 64 ? "other" : "default";
    switch (kind % 6) {
      case 0:
      case 1:
      case 2: request(bench, static_cast<otlp::Signal>(kind % 3), input.bytes(), tenant); break;
      case 3: {
        // A few places change, each by as many bytes as a number or a length has.
        const auto& step = learned.next[input.byte() % learned.next.size()];
        auto bytes = step.bytes.bytes();
        for (int changes = 1 + input.byte() % 4; changes > 0; --changes) {
          const std::size_t at = input.number() % bytes.size();
          const Bytes change = input.some(kind & 128 ? 8 : 1);
          std::copy_n(change.begin(), std::min(change.size(), bytes.size() - at),
                      bytes.begin() + static_cast<std::ptrdiff_t>(at));
        }
        request(bench, step.signal, bytes, tenant);
        break;
      }
      case 4: bench.advance(std::uint64_t{input.number()} * 1'000'000); break;
      case 5: {
        FeedbackVisit word(tenant, "none", kind & 128 ? Feedback::Accept : Feedback::FalseAlarm);
        bench.visit([&](std::uint32_t, Shard& shard) { word.visit(shard); });
        break;
      }
    }
  }
  bench.statistics();
  const auto snapshot = bench.snapshot();
  Bench again(settings);
  if (!again.restore(snapshot)) stop("a snapshot is refused");
  if (again.snapshot() != snapshot) stop("a snapshot of what was restored differs");
  return 0;
}
