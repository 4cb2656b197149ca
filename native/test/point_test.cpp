// Checks that metric points are read as the OpenTelemetry metrics data model defines them: what changes in how a metric
// is accounted for is no anomaly, and a fault in the same stream still is one.

#include "record/point_sequence.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "otlp/reader.hpp"
#include "requests.hpp"
#include "settings.hpp"
#include "stream/stream.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

using otlp::MetricType;

constexpr std::uint64_t kDelta = 1, kCumulative = 2;

double normal(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += (random.next() + 0.5) / 4294967296.0;
  return sum;
}

std::vector<std::uint8_t> packed(const std::vector<std::uint64_t>& values) {
  std::vector<std::uint8_t> out;
  for (const std::uint64_t bits : values) {
    for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  return out;
}

/// A stream of one metric, as it comes in requests.
class Metric {
 public:
  explicit Metric(MetricType type) : type_(type) {
    stream_ = std::make_unique<Stream>(
        StreamKey{.hash = 1, .signal = otlp::Signal::Metrics, .metricType = type, .tenant = "t", .name = "m"}, settings_, group_);
  }

  /// Observes a point; returns the largest score of a channel, 0 if none has one.
  double observe(const Message& point, std::uint64_t temporality = kCumulative, bool monotonic = true) {
    constexpr std::array<std::uint32_t, 6> kFields = {0, 5, 7, 9, 10, 11};
    Message data;
    data.add(1, point);
    if (type_ != MetricType::Gauge && type_ != MetricType::Summary) data.varint(2, temporality);
    if (type_ == MetricType::Sum) data.varint(3, monotonic);
    const Message metric = Message().text(1, "m").add(kFields[static_cast<std::size_t>(type_)], data);
    const Message request = Message().add(1, Message().add(2, Message().add(2, metric)));
    otlp::Index index;
    otlp::WireError error;
    CHECK(otlp::index(otlp::Signal::Metrics, request, index, error));
    readFields(index, index.records.front(), observation_.record);
    observation_.raw = index.bytes(index.records.front());
    events_.clear();
    const Verdict verdict = stream_->observe(observation_, events_);
    if (verdict.flagged) stream_->report(verdict, &observation_);
    flagged = verdict.flagged;
    found = {};
    if (flagged && verdict.channel == ChannelId::Value) {
      stream_->find(verdict, &observation_)->describe(stream_->texts(), found);
    }
    double most = 0;
    for (const Score& score : observation_.scores.all()) most = std::max(most, score.score);
    return most;
  }
  /// Whether the last point was judged.
  bool judged() { return observation_.scores.begin() != observation_.scores.end(); }

  bool flagged = false;
  /// What the value channel found in the last point.
  Description found;

 private:
  MetricType type_;
  Settings settings_ = defaultSettings();
  Group group_{1, 0};
  std::unique_ptr<Stream> stream_;
  Observation observation_;
  std::vector<Event> events_;
};

Message number(std::uint64_t start, std::uint64_t time, double value, std::uint32_t flags = 0) {
  Message point;
  if (start != 0) point.fixed(2, start);
  point.fixed(3, time).real(4, value);
  if (flags != 0) point.varint(8, flags);
  return point;
}

/// A counter of 40 per second, read every 15 s, as a process or an exporter shows it.
struct Counter {
  Metric metric{MetricType::Sum};
  Random random{7};
  std::uint64_t start = kStart, time = kStart;
  double total = 0;

  double add(double seconds, double perSecond = 40) {
    time += static_cast<std::uint64_t>(seconds * 1e9);
    const double amount = std::max(0.0, std::round(perSecond * seconds + 8 * std::sqrt(seconds) * normal(random)));
    total += amount;
    return amount;
  }
  double cumulative(double perSecond = 40) {
    add(15, perSecond);
    return metric.observe(number(start, time, total));
  }
  double delta(double seconds = 60, double perSecond = 40) {
    const std::uint64_t begin = time;
    const double amount = add(seconds, perSecond);
    return metric.observe(number(begin, time, amount), kDelta);
  }
  /// A new process begins `later` seconds after the last point.
  void restart(double later = 0, bool stated = true) {
    time += static_cast<std::uint64_t>(later * 1e9);
    start = stated ? time : 0;
    total = 0;
  }
};

/// What scores at most this much is usual: noise reaches as much every few hundred points.
constexpr double kUsual = 25;
/// What scores at least this much is a gross fault.
constexpr double kFault = 30;

TEST(totalsBeginAnewAboveTheirOldValue) {
  for (const double silent : {1.0, 600.0, 60'000.0, 500'000.0}) {
    Counter counter;
    double most = 0;
    for (int k = 0; k < 1'500; ++k) counter.cumulative();
    for (int again = 0; again < 3; ++again) {
      counter.restart(1);
      counter.add(silent);
      for (int k = 0; k < 200; ++k) most = std::max(most, counter.cumulative());
    }
    CHECK(most < kUsual);
    CHECK(counter.cumulative(400) > kFault);
  }
}

/// Checks that a restart right after a point, which makes the first interval short, is no drop and no noise.
TEST(firstIntervalsMayBeShort) {
  Counter counter;
  double most = 0;
  for (int k = 0; k < 1'500; ++k) counter.cumulative();
  for (int again = 0; again < 20; ++again) {
    counter.restart(13.5);
    counter.add(1.5);
    most = std::max(most, counter.metric.observe(number(counter.start, counter.time, counter.total)));
    for (int k = 0; k < 30; ++k) most = std::max(most, counter.cumulative());
  }
  CHECK(most < kUsual);
}

TEST(totalsThatFallBeginAnew) {
  Counter counter;
  counter.start = 0;
  double most = 0;
  for (int k = 0; k < 1'500; ++k) counter.cumulative();
  for (int again = 0; again < 5; ++again) {
    counter.restart(30, false);
    counter.cumulative();
    CHECK(!counter.metric.judged());
    for (int k = 0; k < 50; ++k) most = std::max(most, counter.cumulative());
  }
  CHECK(most < kUsual);
  CHECK(counter.cumulative(400) > kFault);
}

/// Checks that a first point at its own start time, as receivers send that learn of a process late, has no rate.
TEST(sequencesMayHaveCountedBefore) {
  Counter counter;
  double most = 0;
  for (int k = 0; k < 1'500; ++k) counter.cumulative();
  counter.time += 15 * kSecond;
  counter.start = counter.time;
  counter.total += 1e9;
  counter.metric.observe(number(counter.start, counter.time, counter.total));
  CHECK(!counter.metric.judged());
  for (int k = 0; k < 200; ++k) most = std::max(most, counter.cumulative());
  CHECK(most < kUsual);
}

/// Checks that start times that a sender moves with each point do not blind the stream.
TEST(startTimesMayMeanNothing) {
  for (const int kind : {0, 1, 2}) {
    Counter counter;
    double most = 0;
    for (int k = 0; k < 1'500; ++k) {
      const std::uint64_t before = counter.time;
      counter.add(15);
      const std::uint64_t start = kind == 0 ? before : kind == 1 ? counter.time : kStart + counter.random.below(900'000'000);
      const double score = counter.metric.observe(number(start, counter.time, counter.total));
      if (k > 200) most = std::max(most, score);
    }
    CHECK(most < kUsual);
    counter.add(15, 400);
    CHECK(counter.metric.observe(number(counter.time - 15 * kSecond, counter.time, counter.total)) > kFault);
  }
}

TEST(deltasAreRates) {
  for (const double odd : {1.0, 7.0, 30.0, 180.0, 3'600.0}) {
    Counter counter;
    double most = 0;
    for (int k = 0; k < 3'000; ++k) {
      const double score = counter.delta(k > 1'200 && k % 200 == 0 ? odd : 60);
      if (k > 1'000) most = std::max(most, score);
    }
    CHECK(most < kUsual);
    CHECK(counter.delta(60, 160) > kFault);
    CHECK(counter.metric.flagged);
  }
}

/// Checks that deltas without start times cover the time since the last point, and that those that state the start of
/// the process do not cover what came before the last point.
TEST(deltasMayStateNoInterval) {
  for (const bool process : {false, true}) {
    Counter counter;
    double most = 0;
    for (int k = 0; k < 2'000; ++k) {
      const double amount = counter.add(k > 1'200 && k % 200 == 0 ? 180 : 60);
      const double score = counter.metric.observe(number(process ? kStart : 0, counter.time, amount), kDelta);
      if (k > 1'000) most = std::max(most, score);
    }
    CHECK(most < kUsual);
    const double amount = counter.add(60, 160);
    CHECK(counter.metric.observe(number(process ? kStart : 0, counter.time, amount), kDelta) > kFault);
  }
}

TEST(temporalityMaySwitch) {
  Counter counter;
  double most = 0;
  for (int k = 0; k < 1'500; ++k) counter.cumulative();
  for (int again = 0; again < 4; ++again) {
    for (int k = 0; k < 100; ++k) most = std::max(most, counter.delta(15));
    for (int k = 0; k < 100; ++k) most = std::max(most, counter.cumulative());
  }
  CHECK(most < kUsual);
  CHECK(counter.delta(15, 400) > kFault);
}

/// Checks that a sum that may fall is a level, and that its changes are not compared with its levels.
TEST(sumsThatMayFallAreLevels) {
  Metric metric(MetricType::Sum);
  Random random(3);
  std::uint64_t time = kStart;
  double level = 500, most = 0;
  const auto next = [&](bool delta, double more = 0) {
    const double change = (500 - level) / 4 + 5 * normal(random) + more;
    level += change;
    time += 30 * kSecond;
    return metric.observe(number(delta ? time - 30 * kSecond : kStart, time, delta ? change : level),
                          delta ? kDelta : kCumulative, false);
  };
  for (int k = 0; k < 1'500; ++k) {
    const double score = next(false);
    if (k > 1'000) most = std::max(most, score);
  }
  for (int k = 0; k < 1'500; ++k) most = std::max(most, next(true));
  CHECK(most < kUsual);
  CHECK(next(true, -300) > kFault);
}

TEST(repeatedAndLatePointsAddNothing) {
  for (const std::uint64_t temporality : {kDelta, kCumulative}) {
    Counter counter;
    double most = 0;
    std::vector<Message> sent;
    for (int k = 0; k < 2'000; ++k) {
      const std::uint64_t before = counter.time;
      const double amount = counter.add(60);
      sent.push_back(temporality == kDelta ? number(before, counter.time, amount) : number(kStart, counter.time, counter.total));
      // Some points are swapped with the next one, and some come twice, at once or later.
      if (k > 1'000 && k % 50 == 10) continue;
      most = std::max(most, counter.metric.observe(sent.back(), temporality));
      if (k <= 1'000) most = 0;
      if (k > 1'000 && k % 50 == 11) most = std::max(most, counter.metric.observe(sent[sent.size() - 2], temporality));
      if (k > 1'000 && k % 50 == 20) {
        counter.metric.observe(sent.back(), temporality);
        CHECK(!counter.metric.judged());
      }
      if (k > 1'000 && k % 50 == 30) {
        for (std::size_t i = sent.size() - 6; i + 1 < sent.size(); ++i) {
          most = std::max(most, counter.metric.observe(sent[i], temporality));
        }
      }
    }
    CHECK(most < kUsual);
    const std::uint64_t before = counter.time;
    const double amount = counter.add(60, 160);
    CHECK(counter.metric.observe(
              temporality == kDelta ? number(before, counter.time, amount) : number(kStart, counter.time, counter.total),
              temporality) > kFault);
  }
}

/// Checks that a gauge's repeated points, its points without a recorded value, and its gaps are no steps.
TEST(gaugesMayPause) {
  Metric metric(MetricType::Gauge);
  Random random(5);
  double most = 0, level = 0;
  std::uint64_t time = kStart;
  const auto next = [&](double more = 0) {
    time += 60 * kSecond;
    // A slow wave: each step is small, but during a gap it goes far.
    level = 100 * std::sin(static_cast<double>(time / kSecond % 43'200) / 43'200 * 6.283185307179586) + normal(random);
    return metric.observe(number(0, time, level + more));
  };
  for (int k = 0; k < 3'000; ++k) next();
  for (int again = 0; again < 10; ++again) {
    for (int k = 0; k < 100; ++k) most = std::max(most, next());
    metric.observe(number(0, time, level));
    CHECK(!metric.judged());
    metric.observe(number(0, time + 60 * kSecond, 0, 1));
    CHECK(!metric.judged());
    time += 2 * 3'600 * kSecond;
  }
  CHECK(most < kUsual);
  for (int k = 0; k < 10; ++k) next();
  CHECK(next(200) > kFault);
}

/// Checks that the clock may be set back: what comes then is judged again after a few points.
TEST(timeMayBeSetBack) {
  Counter counter;
  for (int k = 0; k < 1'500; ++k) counter.cumulative();
  counter.time -= 3 * 3'600 * kSecond;
  double most = 0;
  for (int k = 0; k < 200; ++k) most = std::max(most, counter.cumulative());
  CHECK(most < kUsual);
  CHECK(counter.metric.judged());
  CHECK(counter.cumulative(400) > kFault);
}

/// A histogram's values as explicit or exponential buckets, since a start or in an interval.
struct Distribution {
  std::vector<double> values{};
  std::vector<double> bounds = {5, 10, 25, 50, 75, 100, 250, 500, 1000};
  int scale = 3;
  double zeroThreshold = 0;

  Message point(bool exponential, std::uint64_t start, std::uint64_t time) const {
    double sum = 0;
    for (const double value : values) sum += value;
    Message message;
    message.fixed(2, start).fixed(3, time).fixed(4, values.size()).real(5, sum);
    if (!exponential) {
      std::vector<std::uint64_t> counts(bounds.size() + 1), edges;
      for (const double value : values)
        ++counts[static_cast<std::size_t>(std::lower_bound(bounds.begin(), bounds.end(), value) - bounds.begin())];
      for (const double bound : bounds) edges.push_back(std::bit_cast<std::uint64_t>(bound));
      return message.add(6, Bytes(packed(counts))).add(7, Bytes(packed(edges)));
    }
    std::map<std::int64_t, std::uint64_t> counts;
    std::uint64_t zeros = 0;
    for (const double value : values) {
      if (value <= zeroThreshold) ++zeros;
      else ++counts[static_cast<std::int64_t>(std::ceil(std::ldexp(std::log2(value), scale))) - 1];
    }
    const auto zigzag = [](std::int64_t n) { return static_cast<std::uint64_t>(n) << 1 ^ static_cast<std::uint64_t>(n >> 63); };
    Message buckets;
    if (!counts.empty()) {
      buckets.varint(1, zigzag(counts.begin()->first));
      for (std::int64_t i = counts.begin()->first; i <= counts.rbegin()->first; ++i) buckets.varint(2, counts[i]);
    }
    message.varint(6, zigzag(scale)).fixed(7, zeros).add(8, buckets);
    if (zeroThreshold > 0) message.real(14, zeroThreshold);
    return message;
  }
};

/// A stream of histograms of latencies, of which a tenth are hardly more than zero.
struct Latencies {
  explicit Latencies(bool exponential)
      : exponential(exponential), metric(exponential ? MetricType::ExponentialHistogram : MetricType::Histogram) {}

  void draw(std::size_t n, bool strange) {
    for (std::size_t i = 0; i < n; ++i) {
      const bool fast = i % 10 == 0;
      const double factor = strange && i % 3 == 0 ? 20 : 1;
      now.values.push_back(fast ? 1e-5 + 9e-4 * (random.next() / 4294967296.0) : factor * std::exp(3 + 0.5 * normal(random)));
    }
  }
  double delta(std::size_t n = 300, double seconds = 60, bool strange = false) {
    now.values.clear();
    draw(n, strange);
    const std::uint64_t begin = time;
    time += static_cast<std::uint64_t>(seconds * 1e9);
    return metric.observe(now.point(exponential, begin, time), kDelta);
  }
  double cumulative(std::size_t n = 300, bool strange = false) {
    draw(n, strange);
    time += 60 * kSecond;
    return metric.observe(now.point(exponential, start, time));
  }

  bool exponential;
  Metric metric;
  Random random{11};
  std::uint64_t start = kStart, time = kStart;
  Distribution now{};
};

TEST(histogramsBeginAnew) {
  for (const bool exponential : {false, true}) {
    Latencies latencies(exponential);
    double most = 0;
    for (int again = 0; again < 12; ++again) {
      latencies.start = latencies.time + kSecond;
      latencies.now.values.clear();
      // The new process has counted more than the old one by the time of its first point.
      if (again % 2 == 1) latencies.draw(40'000, false);
      for (int k = 0; k < 100; ++k) {
        const double score = latencies.cumulative();
        if (again > 5) most = std::max(most, score);
      }
    }
    CHECK(most < kUsual);
    CHECK(latencies.cumulative(300, true) > kFault);
  }
}

TEST(histogramsMayCoverShortIntervals) {
  for (const bool exponential : {false, true}) {
    Latencies latencies(exponential);
    double most = 0;
    for (int k = 0; k < 1'600; ++k) {
      const bool odd = k > 1'000 && k % 50 == 0;
      const double score = latencies.delta(odd ? 10 : 300, odd ? 2 : 60);
      if (k > 1'000) most = std::max(most, score);
    }
    CHECK(most < kUsual);
    CHECK(latencies.delta(300, 60, true) > kFault);
  }
}

/// Checks that the width of the zero bucket, the scale and explicit bounds may change, and that faults are found after.
TEST(bucketsMayChange) {
  const auto run = [](bool exponential, bool totals, auto&& change) {
    Latencies latencies(exponential);
    double most = 0;
    for (int k = 0; k < 1'600; ++k) {
      if (totals && k % 100 == 0) latencies.now.values.clear(), latencies.start = latencies.time + kSecond;
      if (k >= 1'100) change(latencies.now, k);
      const double score = totals ? latencies.cumulative(100) : latencies.delta();
      if (k > 1'000) most = std::max(most, score);
    }
    CHECK(most < kUsual);
    CHECK((totals ? latencies.cumulative(300, true) : latencies.delta(300, 60, true)) > kFault);
  };
  for (const bool totals : {false, true}) {
    run(true, totals, [](Distribution& d, int) { d.zeroThreshold = 1e-3; });
    run(true, totals, [](Distribution& d, int k) { d.zeroThreshold = k < 1'300 ? 0.01 : 1e-3; });
    run(true, totals, [](Distribution& d, int k) { d.zeroThreshold = k % 2 == 0 ? 1e-3 : 0; });
    run(true, totals, [](Distribution& d, int k) { d.scale = k % 5, d.zeroThreshold = k % 3 == 0 ? 1e-3 : 0; });
    run(false, totals, [](Distribution& d, int) { d.bounds = {0.01, 1, 8, 16, 20, 24, 32, 64, 128, 256, 512}; });
  }
}

TEST(snapshotsOfSequences) {
  PointSequence sequence;
  RecordView point;
  point.accounting = Accounting::Total;
  point.recorded = true;
  for (int k = 1; k <= 5; ++k) {
    point.timeUnixNano = kStart + static_cast<std::uint64_t>(k) * 15 * kSecond;
    point.startUnixNano = kStart;
    point.sum = 10 * k;
    sequence.observe(point, true);
  }
  std::vector<std::uint8_t> bytes;
  StateWriter write(bytes);
  PointSequence::visit(sequence, write);
  PointSequence again;
  StateReader read(bytes);
  PointSequence::visit(again, read);
  CHECK(read.done());
  point.timeUnixNano += 5 * kSecond;
  point.sum += 5;
  const PointPart one = sequence.observe(point, true), two = again.observe(point, true);
  CHECK(one.kind == PointPart::Kind::Difference && one.sum == 5 && one.seconds == 5 && !one.gap);
  CHECK_NEAR(one.share, 1.0 / 3, 1e-9);
  CHECK(two.kind == one.kind && two.sum == one.sum && two.seconds == one.seconds && two.share == one.share);
}

/// What moves near zero, in bursts or by orders of magnitude, and then is far above.
TEST(usualRatesAndMeansAreNeverNegative) {
  for (const MetricType type : {MetricType::Sum, MetricType::Summary}) {
    for (const double amount : {0.0, 1e-6, 1e-3, 1.0}) {
      Metric metric(type);
      Random random{3};
      std::uint64_t time = kStart;
      double total = 0;
      int found = 0;
      for (std::uint64_t k = 0; k < 3'000; ++k) {
        const std::uint64_t begin = time;
        time += 15 * kSecond;
        const double usual = amount == 1              ? std::exp(2 * normal(random))
                             : random.next() % 8 == 0 ? amount * std::exp(normal(random) / 8)
                                                      : 0;
        const bool fault = k >= 2'900;
        const double sum = fault ? 50'000 + static_cast<double>(k) : usual;
        total += sum;
        if (type == MetricType::Sum) metric.observe(number(begin, time, sum), kDelta);
        else metric.observe(Message().fixed(2, kStart).fixed(3, time).fixed(4, 10 * (k + 1)).real(5, total));
        if (!metric.found.range) continue;
        found += fault;
        CHECK(metric.found.range->low >= 0);
        CHECK(metric.found.sentence.find("usually -") == std::string::npos);
        CHECK(metric.found.sentence.find("between -") == std::string::npos);
      }
      CHECK(found > 0);
    }
  }
}

}  // namespace
