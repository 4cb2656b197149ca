#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "cbad/chacha20.hpp"
#include "cbad/entropy.hpp"
#include "cbad/ncd.hpp"
#include "cbad/permutation.hpp"
#include "cbad/ratio.hpp"
#include "cbad/window_metrics.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

using Data = std::vector<std::uint8_t>;

constexpr std::array kCodecNames{CodecName::Openzl, CodecName::Zstd, CodecName::Lz4, CodecName::Gzip};

template <class Exception, class Call>
bool throws(Call&& call) {
  try {
    call();
  } catch (const Exception&) {
    return true;
  } catch (...) {
  }
  return false;
}

Data random(std::size_t size, std::uint64_t seed) {
  ChaCha20Random generator(seed);
  Data data(size);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(generator.next());
  return data;
}

/// Log lines of some templates with a random number each.
std::vector<std::string> lines(std::size_t count, ChaCha20Random& generator) {
  static const std::array<const char*, 5> templates{"checkout accepted for order ",
                                                    "cart updated, items: ", "cache miss on shard ", "GET /api/v1/products/",
                                                    "user session refreshed: "};
  std::vector<std::string> result;
  for (std::size_t i = 0; i < count; ++i)
    result.push_back(templates[generator.below(5)] + std::to_string(generator.below(100000)) + "\n");
  return result;
}

std::vector<Bytes> views(const std::vector<std::string>& records) {
  std::vector<Bytes> result;
  for (const auto& record : records) result.emplace_back(reinterpret_cast<const std::uint8_t*>(record.data()), record.size());
  return result;
}

Data joined(const std::vector<std::string>& records) {
  Data result;
  for (const auto& record : records) result.insert(result.end(), record.begin(), record.end());
  return result;
}

TEST(ratios) {
  const auto text = Data(1000, 'a');
  const auto noise = random(1000, 1);
  for (const auto name : kCodecNames) {
    const auto codec = makeCodec(name);
    CHECK(compressionRatio(text, *codec) == static_cast<double>(codec->compressedSize(text)) / 1000);
    CHECK(compressionRatio(text, *codec) > 0 && compressionRatio(text, *codec) < 0.1);
    CHECK(compressionRatio(noise, *codec) > 1);
    CHECK(throws<std::length_error>([&] { compressionRatio({}, *codec); }));
    // A window that compresses worse lowers the metric; equal texts give 0.
    CHECK(deltaBits(text, text, *codec) == 0);
    CHECK(deltaBits(text, noise, *codec) < 0);
    CHECK(deltaBits(noise, text, *codec) > 0);
    CHECK(throws<std::length_error>([&] { deltaBits(text, {}, *codec); }));
  }
  CHECK(deltaBits(100, 40, 30) == 16);
}

TEST(entropies) {
  CHECK(entropy({}) == 0);
  CHECK(entropy(Data(777, 'x')) == 0);
  Data all(256 * 5);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint8_t>(i);
  CHECK(entropy(all) == 8);
  Data halves(10);
  std::fill(halves.begin(), halves.begin() + 5, 1);
  CHECK(entropy(halves) == 1);
  const Data quarter{0, 0, 0, 1};
  CHECK_NEAR(entropy(quarter), 0.8112781244591328, 1e-14);
  auto data = random(4099, 2);
  const double before = entropy(data);
  std::sort(data.begin(), data.end());
  CHECK(entropy(data) == before);
  CHECK(before > 7.9 && before < 8);
}

TEST(distances) {
  CHECK(ncd(150, 100, 60) == 0.9);
  ChaCha20Random generator(3);
  const auto a = joined(lines(200, generator));
  const auto b = joined(lines(200, generator));
  const auto noise = random(a.size(), 4);
  for (const auto name : kCodecNames) {
    const auto codec = makeCodec(name);
    const double self = ncd(a, a, *codec), alike = ncd(a, b, *codec), unlike = ncd(a, noise, *codec);
    CHECK(self >= 0 && self < 0.1);
    CHECK(self < alike && alike < unlike);
    CHECK(unlike > 0.9 && unlike < 1.2);
    CHECK_NEAR(alike, ncd(b, a, *codec), 0.05);
    // This is the textbook's distance, from its definition.
    const double ca = static_cast<double>(codec->compressedSize(a)), cb = static_cast<double>(codec->compressedSize(b));
    const double both = static_cast<double>(codec->compressedSize(join(a, b)));
    CHECK(alike == (both - std::min(ca, cb)) / std::max(ca, cb));
    // Only the end of the baseline counts, to match the window's size; a short baseline counts whole.
    CHECK(ncdSizeMatched(join(noise, a), a, *codec) == self);
    CHECK(ncdSizeMatched(b, join(a, a), *codec) == ncd(b, join(a, a), *codec));
  }
}

/// Checks that NCD(x, x) is near 0 up to the reach; beyond it there is no result, because it would be near 1.
TEST(reach) {
  for (const auto name : kCodecNames) {
    const auto codec = makeCodec(name, 1);
    const auto longest = random(codec->reach(), 5);
    CHECK(ncd(longest, longest, *codec) < 0.02);
    const auto tooLong = random(codec->reach() + 1, 6);
    const Data small(10, 'a');
    CHECK(throws<std::length_error>([&] { ncd(tooLong, small, *codec); }));
    CHECK(throws<std::length_error>([&] { ncd(small, tooLong, *codec); }));
    CHECK(throws<std::length_error>([&] { ncdSizeMatched(small, tooLong, *codec); }));
    CHECK(throws<std::length_error>([&] { windowMetrics(tooLong, small, *codec); }));
    CHECK(throws<std::length_error>([&] { windowMetrics(small, tooLong, *codec); }));
    // The end of a long baseline is short enough.
    CHECK(ncdSizeMatched(tooLong, small, *codec) > 0);
    const std::vector<Bytes> far{tooLong}, near{small};
    CHECK(throws<std::length_error>([&] { permutationTest(far, near, *codec, {}); }));
    CHECK(throws<std::length_error>([&] { permutationTest(near, far, *codec, {}); }));
  }
}

TEST(metrics) {
  ChaCha20Random generator(7);
  const auto long_ = joined(lines(300, generator));
  const auto short_ = joined(lines(80, generator));
  for (const auto name : kCodecNames) {
    const auto codec = makeCodec(name);
    for (const auto& [baseline, window] : {std::pair{long_, short_}, {short_, long_}, {short_, short_}}) {
      const auto all = windowMetrics(baseline, window, *codec);
      CHECK(all.compressionRatio == compressionRatio(window, *codec));
      CHECK(all.baselineRatio == compressionRatio(baseline, *codec));
      CHECK(all.deltaBits == deltaBits(baseline, window, *codec));
      CHECK(all.entropy == entropy(window));
      CHECK(all.ncd == ncd(baseline, window, *codec));
      CHECK(all.ncdSizeMatched == ncdSizeMatched(baseline, window, *codec));
    }
    CHECK(throws<std::length_error>([&] { windowMetrics({}, short_, *codec); }));
    CHECK(throws<std::length_error>([&] { windowMetrics(short_, {}, *codec); }));
  }
}

TEST(chacha) {
  // RFC 8439, 2.3.2.
  std::array<std::uint32_t, 8> key;
  for (std::uint32_t i = 0; i < 8; ++i) key[i] = 0x03020100 + 0x04040404 * i;
  const std::array<std::uint32_t, 3> nonce{0x09000000, 0x4a000000, 0x00000000};
  const std::array<std::uint32_t, 16> expected{0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
                                               0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                               0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2};
  CHECK(chacha20Block(key, 1, nonce) == expected);

  // The generator is the key stream of the seed's key; the stream is the same however it is divided.
  std::array<std::uint8_t, 32> bytes{};
  const std::uint64_t seed = 0x0123456789abcdef;
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::uint8_t>(seed >> 8 * i);
  const std::array<std::uint8_t, 12> zero{};
  Data stream(260), tail(260 - 128);
  chacha20(bytes, 0, zero, stream);
  chacha20(bytes, 2, zero, tail);
  CHECK(std::equal(tail.begin(), tail.end(), stream.begin() + 128));
  ChaCha20Random generator(seed);
  for (std::size_t i = 0; i < 65; ++i)
    CHECK(generator.next() == (stream[4 * i] | std::uint32_t{stream[4 * i + 1]} << 8 | std::uint32_t{stream[4 * i + 2]} << 16 |
                               std::uint32_t{stream[4 * i + 3]} << 24));

  // The last block is produced, and none after it.
  std::array<std::uint8_t, 65> out{};
  chacha20(bytes, 0xffffffff, zero, std::span(out).first(64));
  CHECK(throws<std::length_error>([&] { chacha20(bytes, 0xffffffff, zero, out); }));
}

TEST(bounded) {
  // The bound is 2^31 + 2^30: a plain remainder or an uncorrected product would favour a third of the values by half.
  constexpr std::uint32_t kBound = 0xC0000000;
  ChaCha20Random generator(9);
  std::array<int, 3> counts{};
  for (int i = 0; i < 30000; ++i) ++counts[generator.below(kBound) >> 30];
  for (const int count : counts) CHECK(std::abs(count - 10000) < 400);  // Five standard deviations are 408.
  for (int i = 0; i < 1000; ++i) CHECK(generator.below(1) == 0 && generator.below(7) < 7);
  std::array<int, 6> dice{};
  for (int i = 0; i < 60000; ++i) ++dice[generator.below(6)];
  for (const int count : dice) CHECK(std::abs(count - 10000) < 460);
}

/// The Kolmogorov-Smirnov distance between the distribution of `sample` and the uniform one on (0, 1].
double distanceFromUniform(std::vector<double> sample) {
  std::sort(sample.begin(), sample.end());
  double distance = 0;
  const auto n = static_cast<double>(sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i)
    distance = std::max(
        {distance, std::abs(static_cast<double>(i + 1) / n - sample[i]), std::abs(sample[i] - static_cast<double>(i) / n)});
  return distance;
}

TEST(monteCarlo) {
  // The p-values are those of the formulas, whatever is drawn.
  const auto scripted = [](std::uint32_t permutations, std::uint32_t stopAfter, std::vector<double> draws) {
    std::size_t next = 0;
    return monteCarloTest(0.5, permutations, stopAfter, [&] { return draws.at(next++); });
  };
  CHECK(scripted(4, 0, {0, 0, 0, 0}).pValue == 1.0 / 5);
  CHECK(scripted(4, 0, {1, 0.5, 0, 0}).pValue == 3.0 / 5);
  CHECK(scripted(4, 0, {1, 1, 1, 1}).pValue == 1);
  const auto stopped = scripted(9, 2, {0, 1, 0, 1});
  CHECK(stopped.pValue == 2.0 / 4 && stopped.permutations == 4 && stopped.exceeding == 2);
  const auto full = scripted(4, 2, {0, 1, 0, 0});
  CHECK(full.pValue == 2.0 / 5 && full.permutations == 4 && full.exceeding == 1);

  // P-values are uniform under the null hypothesis; the early stop agrees with all draws on average and needs far fewer.
  ChaCha20Random generator(10);
  std::vector<double> whole, early;
  double difference = 0, drawn = 0;
  constexpr int kRuns = 4000;
  for (int i = 0; i < kRuns; ++i) {
    const double observed = generator.next();
    whole.push_back(monteCarloTest(observed, 199, 0, [&] { return generator.next(); }).pValue);
    const auto stop = monteCarloTest(observed, 199, 10, [&] { return generator.next(); });
    early.push_back(stop.pValue);
    difference += early.back() - whole.back();
    drawn += stop.permutations;
  }
  // .03 is beyond the 99.9 % point of the distance of 4000 uniform values, and steps of 1/200 add their half.
  CHECK(distanceFromUniform(whole) < 0.03 + 0.0025);
  // The early stop knows p in steps of p^2 / h, the whole in steps of 1 / (N + 1); each rounds up, half a step on average.
  CHECK_NEAR(difference / kRuns, 1.0 / (6 * 10) - 1.0 / (2 * 200), 0.0065);
  CHECK(drawn / kRuns < 60);
  // P-values are valid at every level: P(p <= a) <= a, within four standard deviations.
  for (const double level : {0.01, 0.05, 0.1, 0.25, 0.5}) {
    const double tolerance = 4 * std::sqrt(level * (1 - level) / kRuns);
    for (const auto& sample : {whole, early})
      CHECK(std::count_if(sample.begin(), sample.end(), [&](double p) { return p <= level; }) <= (level + tolerance) * kRuns);
  }
}

TEST(permutations) {
  const auto codec = makeCodec(CodecName::Lz4);
  ChaCha20Random generator(11);

  // Exchangeable records give uniform p-values. There is one split in each of 400 runs, with the statistic as it is.
  std::vector<double> p;
  for (std::uint64_t run = 0; run < 400; ++run) {
    const auto baseline = lines(30, generator), window = lines(10, generator);
    p.push_back(permutationTest(views(baseline), views(window), *codec, {.permutations = 39, .seed = run}).pValue);
  }
  CHECK(std::all_of(p.begin(), p.end(), [](double value) { return value > 0 && value <= 1; }));
  CHECK(distanceFromUniform(p) < 0.098 + 0.0125);  // 1.95 / sqrt(400): the 99.9 % point.

  const auto baseline = lines(100, generator);
  auto window = lines(20, generator);
  const auto usual = permutationTest(views(baseline), views(window), *codec, {.permutations = 199, .seed = 1});
  for (std::size_t i = 0; i < window.size(); i += 4) {
    const auto noise = random(60, i);
    window[i].assign(noise.begin(), noise.end());
  }
  const auto strange = permutationTest(views(baseline), views(window), *codec, {.permutations = 199, .seed = 1});
  CHECK(usual.pValue > 0.05);
  CHECK(strange.pValue == 1.0 / 200 && strange.exceeding == 0 && strange.permutations == 199);
  CHECK(strange.observed > usual.observed);

  // The observed statistic is ((C_BW - C_B) x 8) / |W|.
  const auto b = joined(baseline), w = joined(window);
  const auto news = static_cast<double>(codec->compressedSize(join(b, w)) - codec->compressedSize(b));
  CHECK(strange.observed == news * 8 / static_cast<double>(w.size()));

  // The test is deterministic and depends on the seed, and the early stop ends early.
  const PermutationOptions options{.permutations = 99, .block = 1, .seed = 5};
  const auto same = lines(20, generator);
  const auto first = permutationTest(views(baseline), views(same), *codec, options);
  const auto second = permutationTest(views(baseline), views(same), *codec, options);
  CHECK(first.pValue == second.pValue && first.exceeding == second.exceeding && first.observed == second.observed);
  bool differs = false;
  for (std::uint64_t seed = 6; seed < 12; ++seed)
    differs |=
        permutationTest(views(baseline), views(same), *codec, {.permutations = 99, .seed = seed}).exceeding != first.exceeding;
  CHECK(differs);
  const auto stopped = permutationTest(views(baseline), views(same), *codec, {.permutations = 999, .stopAfter = 5, .seed = 5});
  CHECK(stopped.exceeding == 5 && stopped.permutations < 999 && stopped.pValue == 5.0 / stopped.permutations);
}

/// A codec that remembers which records were compressed together: records are one byte each.
class Witness final : public Codec {
 public:
  Witness() : Codec(CodecName::Lz4, 1) {}
  std::size_t reach() const override { return 1000; }
  mutable std::vector<Data> seen;

 private:
  Bytes encode(Bytes bytes, const Column&) const override {
    seen.emplace_back(bytes.begin(), bytes.end());
    return bytes;
  }
};

TEST(blocks) {
  Data records(23);
  std::iota(records.begin(), records.end(), std::uint8_t{0});
  std::vector<Bytes> all;
  for (const auto& record : records) all.emplace_back(&record, 1);
  // There are 14 and 9 records in blocks of 4: 2 stay at the front, 1 stays at the end, 3 and 2 blocks move.
  const Witness witness;
  permutationTest(std::span(all).first(14), std::span(all).last(9), witness, {.permutations = 50, .block = 4, .seed = 3});
  CHECK(witness.seen.size() == 2 * 51);
  std::vector<int> inWindow(23);
  for (std::size_t i = 0; i < witness.seen.size(); i += 2) {
    const auto& whole = witness.seen[i];
    const auto& baseline = witness.seen[i + 1];
    CHECK(whole.size() == 23 && baseline.size() == 14);
    CHECK(std::equal(baseline.begin(), baseline.end(), whole.begin()));
    CHECK(whole[0] == 0 && whole[1] == 1 && whole[22] == 22);
    for (std::size_t at = 2; at < 22; at += 4) {
      CHECK((whole[at] - 2) % 4 == 0);
      for (std::size_t k = 1; k < 4; ++k) CHECK(whole[at + k] == whole[at] + k);
    }
    for (std::size_t at = 14; at < 22; ++at) ++inWindow[whole[at]];
    auto sorted = whole;
    std::sort(sorted.begin(), sorted.end());
    CHECK(sorted == records);
  }
  CHECK(witness.seen[0] == records);  // The original order.
  // Each of the five blocks is in the window two times in five: 20.4 of 51, four standard deviations are 14.
  for (std::size_t i = 2; i < 22; i += 4) CHECK(std::abs(inWindow[i] - 20.4) < 14);

  const auto refuses = [&](std::size_t baseline, std::size_t window, PermutationOptions options) {
    return throws<std::out_of_range>(
        [&] { permutationTest(std::span(all).first(baseline), std::span(all).last(window), witness, options); });
  };
  CHECK(refuses(14, 9, {.permutations = 0}));
  CHECK(refuses(14, 9, {.block = 0}));
  CHECK(refuses(14, 9, {.block = 10}));
  CHECK(refuses(3, 9, {.block = 4}));
  CHECK(refuses(0, 9, {}));
  const std::vector<Bytes> nothing(3);
  CHECK(throws<std::length_error>([&] { permutationTest(all, nothing, witness, {}); }));
  // Empty records are records; a window that a permutation leaves without a byte holds no novelty.
  std::vector<Bytes> some(3);
  some[0] = all[0];
  CHECK(permutationTest(nothing, some, witness, {.permutations = 20}).observed == 8);
}

}  // namespace
