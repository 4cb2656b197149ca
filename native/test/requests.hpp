#pragma once

// Small OTLP requests for tests, written by hand: protobuf messages, field by field.

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"

namespace driftlock::test {

/// A protobuf message as it grows.
class Message {
 public:
  Message& varint(std::uint32_t field, std::uint64_t value) {
    number(field << 3);
    number(value);
    return *this;
  }
  Message& fixed(std::uint32_t field, std::uint64_t value) {
    number(field << 3 | 1);
    for (int shift = 0; shift < 64; shift += 8) bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
    return *this;
  }
  Message& real(std::uint32_t field, double value) { return fixed(field, std::bit_cast<std::uint64_t>(value)); }
  Message& text(std::uint32_t field, std::string_view value) {
    return add(field, {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
  }
  Message& add(std::uint32_t field, Bytes value) {
    number(field << 3 | 2);
    number(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
    return *this;
  }
  Message& add(std::uint32_t field, const Message& value) { return add(field, Bytes(value.bytes_)); }
  /// Appends all fields of another message.
  Message& append(const Message& fields) {
    bytes_.insert(bytes_.end(), fields.bytes_.begin(), fields.bytes_.end());
    return *this;
  }

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }
  operator Bytes() const { return bytes_; }

 private:
  void number(std::uint64_t value) {
    for (; value > 127; value >>= 7) bytes_.push_back(static_cast<std::uint8_t>(value | 128));
    bytes_.push_back(static_cast<std::uint8_t>(value));
  }
  std::vector<std::uint8_t> bytes_;
};

inline Message attribute(std::string_view key, std::string_view value) {
  return Message().text(1, key).add(2, Message().text(1, value));
}
inline Message attribute(std::string_view key, std::uint64_t value) {
  return Message().text(1, key).add(2, Message().varint(3, value));
}

struct LogOptions {
  std::uint64_t time = 0;
  std::uint32_t severity = 9;
  std::string trace{};
  std::string eventName{};
  std::vector<Message> attributes{};
};

inline Message logRecord(std::string_view body, const LogOptions& options = {}) {
  Message log;
  if (options.time != 0) log.fixed(1, options.time);
  if (options.severity != 0) log.varint(2, options.severity);
  log.add(5, Message().text(1, body));
  for (const Message& attribute : options.attributes) log.add(6, attribute);
  if (!options.trace.empty()) log.text(9, options.trace);
  if (!options.eventName.empty()) log.text(12, options.eventName);
  return log;
}

struct SpanOptions {
  std::uint64_t time = 0, duration = 1'000'000;
  std::string trace = "0123456789abcdef", span = "01234567", parent{};
  std::uint32_t status = 0;
};

inline Message spanRecord(std::string_view name, const SpanOptions& options) {
  Message span;
  span.text(1, options.trace).text(2, options.span);
  if (!options.parent.empty()) span.text(4, options.parent);
  span.text(5, name).varint(6, 2).fixed(7, options.time).fixed(8, options.time + options.duration);
  if (options.status != 0) span.add(15, Message().varint(3, options.status));
  return span;
}

/// A request with records of one service, logs or spans: their requests have the same layout.
inline Message request(std::string_view service, const std::vector<Message>& records) {
  Message scope, resource;
  for (const Message& record : records) scope.add(2, record);
  return Message().add(1, Message().add(1, Message().add(1, attribute("service.name", service))).add(2, scope));
}

/// A request with the points of one gauge.
inline Message gaugeRequest(std::string_view service, std::string_view metric,
                            const std::vector<std::pair<std::uint64_t, double>>& points) {
  Message gauge;
  for (const auto& [time, value] : points) gauge.add(1, Message().fixed(3, time).real(4, value));
  const Message scope = Message().add(2, Message().text(1, metric).add(5, gauge));
  return Message().add(1, Message().add(1, Message().add(1, attribute("service.name", service))).add(2, scope));
}

/// The generator Mulberry32, which is good enough for test data.
class Random {
 public:
  explicit Random(std::uint32_t seed) : state_(seed) {}
  std::uint32_t next() {
    state_ += 0x6d2b79f5;
    std::uint32_t t = (state_ ^ state_ >> 15) * (1 | state_);
    t = (t + (t ^ t >> 7) * (61 | t)) ^ t;
    return t ^ t >> 14;
  }
  std::uint32_t below(std::uint32_t n) { return next() % n; }

 private:
  std::uint32_t state_;
};

/// Returns a normal log line of a shop.
inline std::string normalLine(Random& random) {
  const std::string n = std::to_string(random.below(100'000));
  switch (random.below(4)) {
    case 0: return "GET /api/v1/products/" + n + " completed in " + std::to_string(random.below(400)) + "ms";
    case 1: return "order " + n + " moved to PAID for customer u-" + n;
    case 2: return "cache hit for key product:" + n;
    default: return "slow call to payments took " + n + "ms, attempt 1 of 3";
  }
}

inline constexpr std::uint64_t kSecond = 1'000'000'000;
inline constexpr std::uint64_t kStart = 1'790'000'000 * kSecond;

}  // namespace driftlock::test
