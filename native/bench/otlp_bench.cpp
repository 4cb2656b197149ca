// The cost of reading per record: `otlp_bench logs|traces|metrics FILE`, where `otelload gen -dump` wrote FILE:
// Export*ServiceRequests, each preceded by its length in 4 bytes, big-endian.

#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/views.hpp"

using namespace driftlock;
using namespace driftlock::otlp;

namespace {

std::uint64_t sum(const Attributes& attributes) {
  std::uint64_t sum = 0;
  for (const KeyValue& attribute : attributes) sum += attribute.key.size() + attribute.value.bytes.size() + attribute.value.bits;
  return sum;
}

/// Reads every field that is cheap in the views and sums up parts of them, so that nothing is optimised away.
std::uint64_t decode(const Index& index, const Record& record) {
  const Bytes bytes = index.bytes(record);
  switch (index.signal) {
    case Signal::Logs: {
      const LogRecordView log = readLogRecord(bytes);
      return log.timeUnixNano + log.body.bytes.size() + log.traceId.size() + log.severityText.size() + sum(log.attributes);
    }
    case Signal::Traces: {
      const SpanView span = readSpan(bytes);
      return span.endTimeUnixNano + span.name.size() + span.traceId.size() + sum(span.attributes);
    }
    case Signal::Metrics: {
      const PointView point = readPoint(index.metricOf(record).type, bytes);
      return point.timeUnixNano + point.count + sum(point.attributes);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: otlp_bench logs|traces|metrics FILE\n"), 2;
  const Signal signal = !std::strcmp(argv[1], "logs")     ? Signal::Logs
                        : !std::strcmp(argv[1], "traces") ? Signal::Traces
                                                          : Signal::Metrics;
  std::ifstream file(argv[2], std::ios::binary);
  const std::vector<char> all{std::istreambuf_iterator<char>(file), {}};
  const auto* data = reinterpret_cast<const std::uint8_t*>(all.data());
  std::vector<Bytes> requests;
  for (std::size_t at = 0; at + 4 <= all.size();) {
    const std::size_t length = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3];
    if (length > all.size() - at - 4) break;
    requests.emplace_back(data + at + 4, length);
    at += 4 + length;
  }

  using Clock = std::chrono::steady_clock;
  double best[2] = {1e9, 1e9};
  std::uint64_t total = 0;
  std::size_t records = 0;
  Index out;
  WireError error;
  for (int round = 0; round < 20; ++round) {
    Clock::duration spent[2] = {};
    records = 0;
    for (const Bytes request : requests) {
      const auto start = Clock::now();
      if (!index(signal, request, out, error))
        return std::fprintf(stderr, "%s at %zu: %s\n", error.field, error.offset, error.what), 1;
      const auto indexed = Clock::now();
      for (const Record& record : out.records) total += decode(out, record);
      spent[0] += indexed - start;
      spent[1] += Clock::now() - indexed;
      records += out.records.size();
    }
    for (int step = 0; step < 2; ++step) {
      const double ns = std::chrono::duration<double, std::nano>(spent[step]).count() / static_cast<double>(records);
      if (ns < best[step]) best[step] = ns;
    }
  }
  std::printf("%zu requests, %zu records: index %.1f ns a record, decode with attributes %.1f ns (check %llu)\n", requests.size(),
              records, best[0], best[1], static_cast<unsigned long long>(total));
}
