#include "channels/shape/shape.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <map>

#include "requests.hpp"
#include "settings.hpp"
#include "stream/stream.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr auto kWhole = PointPart::Kind::Whole, kDifference = PointPart::Kind::Difference;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::array<double, 11> kBounds = {5, 10, 25, 50, 75, 100, 250, 500, 1000, 2500, 5000};

double uniform(Random& random) { return (random.next() + 0.5) / 4294967296.0; }
double normal(Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += uniform(random);
  return sum;
}
/// Latencies with a median of 60 and a factor of 1.8 about it.
double usual(Random& random) { return 60 * std::exp(0.6 * normal(random)); }

ShapePoint explicitPoint(const std::vector<double>& values, std::array<std::uint64_t, 12>* since = nullptr) {
  std::array<std::uint64_t, 12> counts{};
  for (const double value : values)
    ++counts[static_cast<std::size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), value) - kBounds.begin())];
  if (since) {
    for (std::size_t i = 0; i < 12; ++i) counts[i] = (*since)[i] += counts[i];
  }
  ShapePoint point;
  for (std::size_t i = 0; i < 12; ++i) point.bucket(i < 11 ? kBounds[i] : kInfinity, counts[i]);
  point.finish();
  return point;
}

ShapePoint exponentialPoint(const std::vector<double>& values, int scale) {
  std::map<std::int64_t, std::uint64_t> positive, negative;
  std::uint64_t zero = 0;
  for (const double value : values) {
    if (value == 0) ++zero;
    else
      ++(value > 0 ? positive
                   : negative)[static_cast<std::int64_t>(std::ceil(std::ldexp(std::log2(std::fabs(value)), scale))) - 1];
  }
  ShapePoint point;
  point.zero(scale, zero);
  for (const auto& [index, count] : positive) point.exponential(scale, index, false, count);
  for (const auto& [index, count] : negative) point.exponential(scale, index, true, count);
  point.finish();
  return point;
}

std::vector<double> draw(Random& random, std::size_t n, const std::function<double(Random&)>& one = usual) {
  std::vector<double> values(n);
  for (double& value : values) value = one(random);
  return values;
}

/// Latencies of which half are fast and half slow; the mean is the usual one.
double bimodal(Random& random) {
  return random.below(2) ? 25 * std::exp(0.2 * normal(random)) : 116 * std::exp(0.2 * normal(random));
}
/// Latencies of which one in thirty takes seconds.
double heavy(Random& random) { return random.below(30) == 0 ? 1500 : usual(random) * 0.75; }

TEST(findsShapes) {
  for (const bool exponential : {false, true}) {
    Random random(1);
    ShapeModel channel(exponential ? ShapeModel::Kind::Exponential : ShapeModel::Kind::Explicit);
    const auto point = [&](const std::vector<double>& values) {
      return exponential ? exponentialPoint(values, 5) : explicitPoint(values);
    };
    double most = 0;
    for (int i = 0; i < 1'000; ++i) {
      const auto finding = channel.observe(point(draw(random, 100 + random.below(200))), kWhole);
      CHECK(finding.has_value() == (i >= 16));
      if (i > 100 && finding) most = std::max(most, finding->score);
      channel.learn();
    }
    const auto mode = channel.observe(point(draw(random, 200, bimodal)), kWhole);
    CHECK(mode && mode->score > 2 * most && mode->bits > 20);
    const auto tail = channel.observe(point(draw(random, 600, heavy)), kWhole);
    CHECK(tail && tail->score > 2 * most);
    CHECK(tail->above && tail->edge >= 500 && tail->edge < 1500);
    CHECK(tail->share > 0.02 && tail->share < 0.06 && tail->usualShare < 0.005);
    CHECK(tail->high < tail->share);
  }
}

/// Checks that usual variation from point to point is not novel, however many values a point has.
TEST(clustersAreUsual) {
  Random random(2);
  ShapeModel channel(ShapeModel::Kind::Explicit);
  double most = 0;
  const auto wavering = [&] {
    const double factor = std::exp(0.3 * normal(random));
    std::vector<double> values = draw(random, 5'000);
    for (double& value : values) value *= factor;
    return explicitPoint(values);
  };
  for (int i = 0; i < 600; ++i) {
    const auto finding = channel.observe(wavering(), kWhole);
    if (i > 100) most = std::max(most, finding->score);
    channel.learn();
  }
  CHECK(most < 16);
}

TEST(differencesOfCumulativePoints) {
  Random a(3), b(3);
  ShapeModel delta(ShapeModel::Kind::Explicit), cumulative(ShapeModel::Kind::Explicit);
  std::array<std::uint64_t, 12> since{};
  explicitPoint(draw(b, 40), &since);
  CHECK(!cumulative.observe(explicitPoint({}, &since), kDifference, true));
  cumulative.learn();
  for (int i = 0; i < 100; ++i) {
    const auto one = delta.observe(explicitPoint(draw(a, 50)), kWhole);
    if (i == 0) draw(b, 10);
    const auto other = cumulative.observe(explicitPoint(draw(b, 50), &since), kDifference, true);
    CHECK(one.has_value() == other.has_value());
    delta.learn();
    cumulative.learn();
  }
  // There is no shape without values, and none after a reset.
  CHECK(!cumulative.observe(explicitPoint({}, &since), kDifference, true));
  since = {};
  CHECK(!cumulative.observe(explicitPoint(draw(b, 50), &since), kDifference, true));
  CHECK(cumulative.observe(explicitPoint(draw(b, 50), &since), kDifference, true));
}

TEST(sameDifferencesSameScores) {
  Random random(4);
  ShapeModel delta(ShapeModel::Kind::Explicit), cumulative(ShapeModel::Kind::Explicit);
  std::array<std::uint64_t, 12> since{};
  cumulative.observe(explicitPoint({1, 2, 3}, &since), kDifference, true);
  for (int i = 0; i < 100; ++i) {
    const std::vector<double> values = draw(random, 50);
    const auto one = delta.observe(explicitPoint(values), kWhole);
    const auto other = cumulative.observe(explicitPoint(values, &since), kDifference, true);
    CHECK(one.has_value() == other.has_value());
    if (one) CHECK(one->score == other->score);
    delta.learn();
    cumulative.learn();
  }
}

/// Checks that the scale may change from point to point.
TEST(scalesAreBroughtTogether) {
  Random random(5);
  ShapeModel channel(ShapeModel::Kind::Exponential);
  double most = 0;
  for (int i = 0; i < 600; ++i) {
    const auto finding = channel.observe(exponentialPoint(draw(random, 200), i % 7 == 3 ? 0 : 3 + i % 4), kWhole);
    if (i > 100) most = std::max(most, finding->score);
    channel.learn();
  }
  CHECK(channel.observe(exponentialPoint(draw(random, 200, bimodal), 4), kWhole)->score > 2 * most);
  // A point that is as coarse as possible blinds the model for a while, not forever.
  channel.observe(exponentialPoint({1, 2, 3}, -10), kWhole);
  channel.learn();
  CHECK(channel.observe(exponentialPoint(draw(random, 200, bimodal), 4), kWhole)->score < most);
  for (int i = 0; i < 400; ++i) {
    channel.observe(exponentialPoint(draw(random, 200), 4), kWhole);
    channel.learn();
  }
  CHECK(channel.observe(exponentialPoint(draw(random, 200, bimodal), 4), kWhole)->score > 2 * most);
}

TEST(zeroAndNegativeValuesCount) {
  Random random(6);
  ShapeModel channel(ShapeModel::Kind::Exponential);
  const auto values = [&](int zeros, int negatives) {
    std::vector<double> all = draw(random, 100);
    all.insert(all.end(), static_cast<std::size_t>(zeros), 0.0);
    for (int i = 0; i < negatives; ++i) all.push_back(-usual(random));
    return exponentialPoint(all, 3);
  };
  for (int i = 0; i < 200; ++i) {
    channel.observe(values(20, 20), kWhole);
    channel.learn();
  }
  const auto same = channel.observe(values(20, 20), kWhole);
  const auto zeros = channel.observe(values(90, 20), kWhole);
  const auto negatives = channel.observe(values(20, 90), kWhole);
  CHECK(same->score < 5);
  CHECK(zeros->score > 15 && !zeros->above && zeros->edge >= 0 && zeros->edge < 20);
  CHECK(negatives->score > 15 && !negatives->above && negatives->edge < 0);
}

TEST(summaries) {
  Random random(7);
  ShapeModel channel(ShapeModel::Kind::Quantiles);
  const auto point = [&](double p99) {
    ShapePoint p;
    p.quantile(0.5, 60 * std::exp(0.1 * normal(random)));
    p.quantile(0.9, 130 * std::exp(0.1 * normal(random)));
    p.quantile(0.99, p99 * std::exp(0.2 * normal(random)));
    p.quantile(0.999, std::numeric_limits<double>::quiet_NaN());
    p.finish();
    return p;
  };
  double most = 0;
  for (int i = 0; i < 500; ++i) {
    const auto finding = channel.observe(point(300), kWhole);
    CHECK(finding.has_value() == (i >= 16));
    if (i > 50) most = std::max(most, finding->score);
    channel.learn();
  }
  const auto slow = channel.observe(point(2'500), kWhole);
  CHECK(slow->score > 2 * most);
  CHECK(slow->quantile == 0.99 && slow->value > 1'000 && slow->high < 700 && slow->low > 100);
}

TEST(hostilePoints) {
  const std::uint64_t huge = std::numeric_limits<std::uint64_t>::max();
  Random random(8);
  for (const auto kind : {ShapeModel::Kind::Explicit, ShapeModel::Kind::Exponential, ShapeModel::Kind::Quantiles}) {
    ShapeModel channel(kind);
    for (int i = 0; i < 3'000; ++i) {
      ShapePoint point;
      const std::size_t buckets = 1 + random.below(300);
      const auto scale = static_cast<std::int32_t>(random.below(4) ? random.below(8) : random.next());
      std::int64_t index = static_cast<std::int32_t>(random.below(4) ? random.below(40) : random.next());
      double bound = random.below(50) ? -10 : -kInfinity;
      for (std::size_t b = 0; b < buckets; ++b) {
        const std::uint64_t count = random.below(9) ? random.below(50) : random.below(2) ? huge : huge / 2;
        if (kind == ShapeModel::Kind::Explicit) {
          point.bucket(bound, count);
          bound += random.below(1'000) ? uniform(random) * (random.below(20) ? 10 : 1e300) : std::nan("");
        } else if (kind == ShapeModel::Kind::Exponential) {
          point.exponential(scale, index, random.below(2) == 0, count);
          index += random.below(5) ? 1 : random.next();
        } else {
          point.quantile(uniform(random), std::bit_cast<double>((std::uint64_t{random.next()} << 32) + random.next()));
        }
      }
      if (kind == ShapeModel::Kind::Exponential) point.zero(scale, random.below(3) ? 0 : huge);
      point.finish();
      CHECK(point.buckets().size() <= ShapePoint::kMostBuckets + 1);
      const auto finding = channel.observe(point, random.below(2) == 0 ? kDifference : kWhole, random.below(2) == 0);
      CHECK(!finding || (std::isfinite(finding->score) && finding->bits >= 0));
      channel.learn();
    }
    CHECK(channel.memory() < 12 * 1024);
    std::vector<std::uint8_t> bytes, again;
    channel.snapshot(bytes);
    ShapeModel copy(kind);
    CHECK(copy.restore(bytes));
    copy.snapshot(again);
    CHECK(bytes == again);
    for (int i = 0; i < 3'000; ++i) {
      std::vector<std::uint8_t> changed = bytes;
      changed[random.below(static_cast<std::uint32_t>(changed.size()))] = static_cast<std::uint8_t>(random.next());
      if (i % 10 == 0) changed.resize(random.below(static_cast<std::uint32_t>(changed.size())));
      ShapeModel victim(kind);
      if (!victim.restore(changed)) continue;
      victim.observe(
          kind == ShapeModel::Kind::Explicit ? explicitPoint(draw(random, 50)) : exponentialPoint(draw(random, 50), i % 5),
          i % 2 == 0 ? kDifference : kWhole, i % 3 == 0);
      victim.learn();
    }
  }
  // If there are more buckets than are kept, neighbours are joined, the same ones each time.
  ShapePoint many;
  for (int i = 0; i < 1'000; ++i) many.bucket(i, 1);
  many.bucket(kInfinity, 1);
  many.finish();
  std::uint64_t count = 0;
  for (const auto& bucket : many.buckets()) count += bucket.count;
  CHECK(count == 1'001 && many.buckets().size() <= 64 && many.buckets().size() > 32);
  ShapePoint wrong;
  wrong.bucket(5, 1);
  wrong.bucket(5, 1);
  wrong.finish();
  CHECK(!wrong.has());
}

TEST(goesOnFromASnapshot) {
  for (const bool cumulative : {false, true}) {
    Random random(9);
    std::array<std::uint64_t, 12> since{};
    ShapeModel channel(ShapeModel::Kind::Explicit);
    const auto point = [&] { return explicitPoint(draw(random, 30 + random.below(100)), cumulative ? &since : nullptr); };
    for (int i = 0; i < 300; ++i) {
      channel.observe(point(), cumulative ? kDifference : kWhole, cumulative);
      channel.learn();
    }
    std::vector<std::uint8_t> bytes;
    channel.snapshot(bytes);
    ShapeModel copy(ShapeModel::Kind::Explicit);
    CHECK(copy.restore(bytes));
    for (int i = 0; i < 300; ++i) {
      const ShapePoint next = point();
      const auto part = cumulative ? kDifference : kWhole;
      CHECK(channel.observe(next, part, cumulative)->score == copy.observe(next, part, cumulative)->score);
      channel.learn();
      copy.learn();
    }
    CHECK(!ShapeModel(ShapeModel::Kind::Exponential).restore(bytes));
  }
}

/// A point for a stream, to check the reader, the verdict and the report.
Message histogramPoint(std::uint64_t time, const std::vector<double>& values) {
  Message counts, bounds;
  std::array<std::uint64_t, 12> buckets{};
  double sum = 0;
  for (const double value : values) {
    sum += value;
    ++buckets[static_cast<std::size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), value) - kBounds.begin())];
  }
  std::vector<std::uint8_t> packedCounts, packedBounds;
  const auto pack = [](std::vector<std::uint8_t>& out, std::uint64_t bits) {
    for (int shift = 0; shift < 64; shift += 8) out.push_back(static_cast<std::uint8_t>(bits >> shift));
  };
  for (const std::uint64_t count : buckets) pack(packedCounts, count);
  for (const double bound : kBounds) pack(packedBounds, std::bit_cast<std::uint64_t>(bound));
  return Message().fixed(3, time).fixed(4, values.size()).real(5, sum).add(6, Bytes(packedCounts)).add(7, Bytes(packedBounds));
}

TEST(aStreamRaisesAnAlarm) {
  Settings settings = defaultSettings();
  Group group(1, 0);
  Stream stream(
      {.hash = 1, .signal = otlp::Signal::Metrics, .metricType = otlp::MetricType::Histogram, .tenant = "t", .name = "m"},
      settings, group);
  Random random(10);
  Observation observation;
  std::vector<Event> events;
  std::uint64_t time = kStart;
  const auto observe = [&](const std::function<double(Random&)>& one) {
    time += 60 * kSecond;
    const Message message = histogramPoint(time, draw(random, 100 + random.below(100), one));
    readFields(otlp::Signal::Metrics, otlp::MetricType::Histogram, message, observation.record);
    observation.raw = message;
    events.clear();
    const Verdict verdict = stream.observe(observation, events);
    if (verdict.flagged) stream.report(verdict, &observation);
    return verdict;
  };
  int flagged = 0;
  for (int i = 0; i < 10'000; ++i) flagged += observe(usual).flagged;
  CHECK(flagged <= 8);
  const Verdict verdict = observe(bimodal);
  CHECK(verdict.flagged && verdict.channel == ChannelId::Shape && infoOf(verdict.channel).name == "value");
  CHECK(verdict.channelScore > verdict.limit && verdict.limit > 0);
  // It stays strange until it has been so for a day.
  for (int i = 0; i < 1'000; ++i) observe(bimodal);
  CHECK(stream.anomaly().occurrences > 900);
  for (int i = 0; i < 1'500; ++i) observe(bimodal);
  CHECK(!observe(bimodal).flagged);
  std::vector<std::uint8_t> bytes, again;
  stream.snapshot(bytes);
  StateReader in(bytes);
  Group own(1, 0);
  Stream copy(*Stream::keyOf(in), settings, own);
  CHECK(copy.restore(in));
  copy.snapshot(again);
  CHECK(bytes == again);
  std::printf("a histogram's stream: %zu bytes\n", stream.memory());
  CHECK(stream.memory() < 64 * 1024);
}

}  // namespace
