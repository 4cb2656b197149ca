#pragma once

// A stream of requests that an engine learns from.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "otlp/reader.hpp"
#include "requests.hpp"

namespace driftlock::test {

/// Logs in sessions, logs without times, spans and metrics of several services, with something strange now and then.
class Traffic {
 public:
  struct Step {
    otlp::Signal signal;
    Message bytes;
  };

  Step next() {
    ++step_;
    clock_ += 2 * kSecond;
    const std::string service = "service-" + std::to_string(step_ % 3);
    switch (step_ % 4) {
      case 0: {
        std::vector<std::pair<std::uint64_t, double>> points;
        for (std::uint64_t i = 0; i < 8; ++i) {
          points.emplace_back(clock_ + i * kSecond / 4, random_.below(100) + (random_.below(400) == 0 ? 5'000.0 : 0.0));
        }
        return {otlp::Signal::Metrics, gaugeRequest(service, "queue.length", points)};
      }
      case 1: {
        std::vector<Message> spans;
        for (std::uint32_t i = 0; i < 6; ++i) {
          const std::string trace = "trace-" + std::to_string(1'000'000'000 + step_ * 2 + i / 3);
          spans.push_back(spanRecord(i % 3 == 0   ? "GET /cart"
                                     : i % 3 == 1 ? "select"
                                                  : "render",
                                     {.time = clock_ + i,
                                      .duration = (1'000'000 + random_.below(500'000)) * (random_.below(100) == 0 ? 50 : 1),
                                      .trace = trace,
                                      .parent = i % 3 == 2 ? "" : "parent00",
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
            line = "java.sql.SQLException: pool " + std::to_string(random_.below(9)) +
                   " exhausted: " + std::string(1 + random_.below(40), 'x');
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
  std::uint64_t clock_ = kStart;
};

}  // namespace driftlock::test
