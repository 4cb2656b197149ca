#include "channels/content/dictionary.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

Bytes bytes(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

std::uint32_t news(Dictionary& dictionary, std::string_view text) {
  Novelty novelty;
  dictionary.novelty(bytes(text), novelty);
  std::uint32_t sum = 0, last = 0;
  for (const LiteralRun& run : novelty.literals) {
    CHECK(run.start >= last && run.start < run.end && run.end <= text.size());
    last = run.end;
    sum += run.end - run.start;
  }
  CHECK(sum == novelty.literalBytes);
  return sum;
}

std::string line(std::uint32_t seed) {
  Random random(seed);
  std::string out;
  for (int i = 0; i < 60; ++i) out += static_cast<char>('!' + random.below(90));
  return out + '\n';
}

TEST(explainsWhatItHolds) {
  Dictionary dictionary(4096);
  CHECK(news(dictionary, line(1)) == 61);
  dictionary.add(bytes(line(1)));
  CHECK(news(dictionary, line(1)) == 0);
  CHECK(news(dictionary, line(2)) > 50);
  CHECK(news(dictionary, line(1) + line(2)) > 50);
  CHECK(news(dictionary, line(1) + line(2)) < 70);
  CHECK(news(dictionary, "") == 0);
}

TEST(anchoredStaysAdaptiveGoes) {
  Dictionary dictionary(4096);
  for (std::uint32_t i = 0; i < 40; ++i) dictionary.add(bytes(line(i)));
  dictionary.anchor();
  for (std::uint32_t i = 100; i < 1'000; ++i) {
    dictionary.add(bytes(line(i)));
    CHECK(dictionary.text().size() <= 4096);
  }
  for (std::uint32_t i = 0; i < 40; ++i) CHECK(news(dictionary, line(i)) == 0);
  CHECK(news(dictionary, line(999)) == 0);
  CHECK(news(dictionary, line(995)) == 0);
  CHECK(news(dictionary, line(100)) > 50);
  CHECK(dictionary.memory() <= 4096);
}

/// Checks lines of any size and bytes; the text remains whole lines.
TEST(hostileLines) {
  Dictionary dictionary(2048);
  Random random(4);
  for (int i = 0; i < 2'000; ++i) {
    std::string text;
    for (std::uint32_t n = random.below(i % 50 == 0 ? 5'000 : 200); n > 0; --n)
      text += static_cast<char>(random.below(4) == 0 ? '\n' : random.next());
    if (i == 700) dictionary.anchor();
    news(dictionary, text);
    dictionary.add(bytes(text + '\n'));
    CHECK(dictionary.text().size() <= 2048);
  }
  // These lines are longer than LZ4's matches reach, with equal and with different bytes.
  news(dictionary, std::string(300'000, 'a'));
  std::string noise;
  for (int i = 0; i < 100'000; ++i) noise += static_cast<char>(random.next());
  CHECK(news(dictionary, noise) > 99'000);
  dictionary.add({});
}

/// Checks more dictionaries than a thread has tables for, in turns, and on several threads: each gives its own results.
TEST(tablesAreShared) {
  std::vector<std::unique_ptr<Dictionary>> all;
  for (std::uint32_t i = 0; i < 150; ++i) {
    all.push_back(std::make_unique<Dictionary>(2048));
    all.back()->add(bytes(line(i)));
  }
  const auto check = [&](std::size_t from, std::size_t to) {
    for (int round = 0; round < 3; ++round) {
      for (std::size_t i = from; i < to; ++i) {
        Novelty own, other;
        all[i]->novelty(bytes(line(static_cast<std::uint32_t>(i))), own);
        all[i]->novelty(bytes(line(static_cast<std::uint32_t>(i + 1))), other);
        if (own.literalBytes != 0 || other.literalBytes < 50) return false;
      }
    }
    return true;
  };
  CHECK(check(0, 150));
  bool ok = false;
  std::thread thread([&] { ok = check(0, 75); });
  CHECK(check(75, 150));
  thread.join();
  CHECK(ok);
  // One text changes, and one is destroyed and replaced by another in its place.
  for (auto& dictionary : all) {
    dictionary->add(bytes(line(1'000)));
    CHECK(news(*dictionary, line(1'000)) == 0);
    dictionary = std::make_unique<Dictionary>(2048);
    CHECK(news(*dictionary, line(1'000)) == 61);
  }
}

TEST(snapshotGoesOn) {
  Dictionary a(4096), b(4096), other(2048);
  for (std::uint32_t i = 0; i < 30; ++i) a.add(bytes(line(i)));
  a.anchor();
  for (std::uint32_t i = 30; i < 200; ++i) a.add(bytes(line(i)));
  std::vector<std::uint8_t> saved;
  a.snapshot(saved);
  CHECK(news(b, line(3)) == 61);
  CHECK(b.restore(saved));
  CHECK(news(b, line(3)) == 0);
  CHECK(!other.restore(saved));
  CHECK(other.text().empty());
  for (std::size_t cut = 0; cut < saved.size(); cut += 97) CHECK(!other.restore(Bytes(saved).first(cut)));
  for (std::uint32_t i = 200; i < 400; ++i) a.add(bytes(line(i))), b.add(bytes(line(i)));
  std::vector<std::uint8_t> x, y;
  a.snapshot(x), b.snapshot(y);
  CHECK(x == y);
}

}  // namespace
