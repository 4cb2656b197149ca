#include "cbad/fields.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "test.hpp"

using namespace driftlock;

namespace {

struct Random {
  std::uint64_t state = 42;
  std::uint64_t next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
  }
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  double normal() { return std::sqrt(-2 * std::log(1 - uniform())) * std::cos(6.283185307179586 * uniform()); }
};

std::string hex(Random& random, std::size_t size) {
  std::string text;
  while (text.size() < size) text += "0123456789abcdef"[random.next() % 16];
  return text;
}

enum Key : std::uint64_t { status = 11, method, latency, id, time_of, region, extra, level };

/// What of a window is not as usual.
enum class Odd { nothing, errors, random_words, frozen, swapped, slow, other_region, vanished, appeared, jitter, moved };

void fill(FieldsWindow& window, Random& random, std::int64_t& clock, Odd odd, std::size_t records = 256) {
  window.clear();
  for (std::size_t i = 0; i < records; ++i) {
    CHECK(window.next());
    window.add(status, "status", std::int64_t{random.uniform() < (odd == Odd::errors ? 0.3 : 0.02) ? 500 : 200});
    const double u = random.uniform();
    const bool swapped = odd == Odd::swapped;
    const std::string word = u < 0.7 ? (swapped ? "POST" : "GET") : u < 0.9 ? (swapped ? "GET" : "POST") : "PUT";
    window.add(method, "method", odd == Odd::random_words ? hex(random, 12) : odd == Odd::frozen ? "POST" : word);
    window.add(latency, "latency", 20 * std::exp(0.5 * random.normal()) * (odd == Odd::slow ? 3 : 1));
    window.add(id, "request.id", hex(random, 16));
    clock += 1000000 + static_cast<std::int64_t>((odd == Odd::jitter ? 400000 : 20000) * random.uniform());
    window.add(time_of, "time", clock);
    if (odd != Odd::vanished) window.add(region, "region", odd == Odd::other_region ? "us-east-1" : "eu-west-1");
    if (odd == Odd::appeared) window.add(extra, "error.type", "timeout");
    window.add(level, "level", 1000 + 5 * random.normal() + (odd == Odd::moved ? 15 : 0));
  }
}

struct Stream {
  FieldsChannel channel;
  FieldsWindow window;
  Random random;
  std::int64_t clock = 1700000000000000000;

  explicit Stream(int windows) {
    for (int i = 0; i < windows; ++i) learn(Odd::nothing);
  }
  std::optional<FieldsVerdict> judge(Odd odd) {
    fill(window, random, clock, odd);
    return channel.judge(window);
  }
  std::optional<FieldsVerdict> learn(Odd odd) {
    auto verdict = judge(odd);
    channel.learn(window);
    return verdict;
  }
};

void says_when_it_learns() {
  Stream s(0);
  for (std::uint32_t i = 0; i < FieldsChannel::learning_windows; ++i) {
    CHECK(s.channel.learning());
    CHECK(s.channel.progress() < 1);
    CHECK(!s.learn(Odd::nothing));
  }
  CHECK(!s.channel.learning());
  CHECK(s.channel.progress() == 1);
  CHECK(s.judge(Odd::nothing));
  fill(s.window, s.random, s.clock, Odd::nothing, FieldsChannel::min_records - 1);
  CHECK(!s.channel.judge(s.window));
}

void names_the_field_to_blame() {
  Stream s(60);
  double highest = 0;
  for (int i = 0; i < 100; ++i) highest = std::max(highest, s.learn(Odd::nothing)->score);
  CHECK(highest < 4);
  const std::pair<Odd, const char*> cases[] = {
      {Odd::errors, "status"},    {Odd::random_words, "method"}, {Odd::frozen, "method"}, {Odd::swapped, "method"},
      {Odd::slow, "latency"},     {Odd::other_region, "region"}, {Odd::vanished, "region"}, {Odd::appeared, "error.type"},
      {Odd::jitter, "time"},      {Odd::moved, "level"},
  };
  for (const auto& [odd, name] : cases) {
    for (int i = 0; i < 3; ++i) {
      const auto verdict = s.judge(odd);
      CHECK(verdict->score > highest);
      CHECK(verdict->score == verdict->findings[0].score);
      CHECK(verdict->findings[0].name == name);
      CHECK(verdict->findings.size() == 5);
    }
  }
}

void says_what_rose() {
  Stream s(60);
  auto f = s.judge(Odd::errors)->findings[0];
  CHECK(f.value == "500" && f.number && !f.absent && !f.unseen);
  CHECK_NEAR(f.usual_share, 0.02, 0.03);
  CHECK_NEAR(f.share, 0.3, 0.1);
  CHECK(f.bits > f.usual_bits);

  f = s.judge(Odd::frozen)->findings[0];
  CHECK(f.value == "POST" && !f.number && f.share == 1);
  CHECK_NEAR(f.usual_share, 0.2, 0.12);

  f = s.judge(Odd::random_words)->findings[0];
  CHECK(f.unseen && f.value.size() == 12);
  CHECK(f.share == 1 && f.usual_share == 0);
  // Twelve hexadecimal digits are 48 bits.
  CHECK(f.bits > 45 && f.bits < 110);

  f = s.judge(Odd::vanished)->findings[0];
  CHECK(f.absent && f.value.empty() && f.share == 1 && f.usual_share == 0);

  f = s.judge(Odd::moved)->findings[0];
  CHECK(f.number && std::stod(f.value) > 1004 && std::stod(f.value) < 1030);

  // The same shares cost nothing beyond themselves: 0.7, 0.2 and 0.1 are 1.16 bits.
  const auto usual = s.judge(Odd::nothing);
  for (const FieldFinding& g : usual->findings)
    if (g.name == "method") CHECK_NEAR(g.bits, 1.16, 0.25);
}

void gets_used_to_what_it_learns() {
  Stream s(40);
  const double first = s.learn(Odd::other_region)->score;
  CHECK(first > 20);
  for (int i = 0; i < 60; ++i) s.learn(Odd::other_region);
  CHECK(s.judge(Odd::other_region)->score < 4);
  // What is not learned stays strange.
  Stream t(40);
  for (int i = 0; i < 60; ++i) t.judge(Odd::other_region);
  CHECK(t.judge(Odd::other_region)->score > 20);
}

void goes_on_from_a_snapshot() {
  for (const int windows : {0, 1, 5, 40}) {
    Stream s(windows);
    std::vector<std::uint8_t> bytes, again;
    s.channel.snapshot(bytes);
    FieldsChannel copy;
    CHECK(copy.restore({bytes.data(), bytes.size()}));
    copy.snapshot(again);
    CHECK(bytes == again);
    for (int i = 0; i < 20; ++i) {
      const Odd odd = i == 15 ? Odd::slow : Odd::nothing;
      fill(s.window, s.random, s.clock, odd);
      const auto a = s.channel.judge(s.window);
      s.channel.learn(s.window);
      const auto b = copy.judge(s.window);
      copy.learn(s.window);
      CHECK(a.has_value() == b.has_value());
      if (a && b) CHECK(a->score == b->score && a->findings[0].name == b->findings[0].name);
    }
    again.clear(), bytes.clear();
    s.channel.snapshot(bytes), copy.snapshot(again);
    CHECK(bytes == again);
  }
}

void refuses_damaged_snapshots() {
  Stream s(20);
  std::vector<std::uint8_t> bytes;
  s.channel.snapshot(bytes);
  for (std::size_t size = 0; size < bytes.size(); size += 7) CHECK(!s.channel.restore({bytes.data(), size}));
  auto longer = bytes;
  longer.push_back(0);
  CHECK(!s.channel.restore({longer.data(), longer.size()}));
  // Any byte may be wrong: it is refused, or the channel that it makes still works.
  Random random;
  for (int i = 0; i < 400; ++i) {
    auto wrong = bytes;
    wrong[random.next() % wrong.size()] ^= static_cast<std::uint8_t>(1 + random.next() % 255);
    FieldsChannel channel;
    if (!channel.restore({wrong.data(), wrong.size()})) continue;
    fill(s.window, s.random, s.clock, Odd::nothing);
    const auto verdict = channel.judge(s.window);
    CHECK(!verdict || std::isfinite(verdict->score));
    channel.learn(s.window);
  }
  std::vector<std::uint8_t> still;
  s.channel.snapshot(still);
  CHECK(still == bytes);
}

void stays_within_its_bounds() {
  FieldsChannel channel;
  FieldsWindow window;
  Random random;
  window.add(1, "early", "before any record");
  CHECK(window.columns() == 0);
  for (int w = 0; w < 40; ++w) {
    window.clear();
    for (std::size_t i = 0; i < FieldsWindow::max_records; ++i) {
      CHECK(window.next());
      for (int f = 0; f < 80; ++f)
        window.add(random.next() % 100000, std::string(500, 'n'), std::string(3000, static_cast<char>(random.next())));
      for (std::uint64_t f = 0; f < 30; ++f) window.add(f, "", std::numeric_limits<double>::quiet_NaN());
    }
    CHECK(!window.next());
    window.add(1, "late", "after the last");
    CHECK(window.records() == FieldsWindow::max_records);
    CHECK(window.columns() == FieldsWindow::max_columns);
    const auto verdict = channel.judge(window);
    CHECK(!verdict || std::isfinite(verdict->score));
    channel.learn(window);
  }
  CHECK(window.memory() <= 1 << 20);
  CHECK(channel.memory() <= 12 * 1024);
}

void takes_numbers_of_any_kind() {
  const double inf = std::numeric_limits<double>::infinity();
  const double strange[] = {inf, -inf, std::nan(""), 0, -0.0, 5e-324, 1.7e308, -1.7e308, 1e-300};
  FieldsChannel channel;
  FieldsWindow window;
  Random random;
  for (int w = 0; w < 60; ++w) {
    window.clear();
    for (int i = 0; i < 64; ++i) {
      window.next();
      window.add(1, "strange", strange[random.next() % 9]);
      window.add(2, "mixed", random.uniform());
      window.add(2, "mixed", "a second value does not count");
      window.add(3, "whole", static_cast<std::int64_t>(random.next()));
      window.add(4, "down", std::numeric_limits<std::int64_t>::max() - 1000 * (w * 64 + i));
      window.add(5, "constant", 1e-15);
      window.add(6, "counter", std::int64_t{(w * 64 + i) % 1500});
      if (i % 2) window.add(7, "either", std::int64_t(random.next() % 1000));
      else window.add(7, "either", hex(random, 8));
    }
    const auto verdict = channel.judge(window);
    if (verdict) CHECK(std::isfinite(verdict->score));
    if (verdict && w > 40) CHECK(verdict->score < 6);
    channel.learn(window);
  }
}

void orders_a_full_channel_by_use() {
  FieldsChannel channel;
  FieldsWindow window;
  const auto run = [&](std::uint64_t first, int windows) {
    std::optional<FieldsVerdict> verdict;
    for (int w = 0; w < windows; ++w) {
      window.clear();
      for (int i = 0; i < 64; ++i) {
        window.next();
        for (std::uint64_t f = 0; f < FieldsChannel::max_columns; ++f)
          window.add(first + f, "field " + std::to_string(first + f), "value");
      }
      verdict = channel.judge(window);
      channel.learn(window);
    }
    return verdict;
  };
  run(0, 20);
  CHECK(channel.memory() <= 12 * 1024);
  // Other fields take over, once those before are gone from the sample.
  const auto change = run(1000, 1);
  CHECK(change && change->score > 20 && change->findings[0].absent);
  run(1000, 100);
  CHECK(run(1000, 1)->score < 1);
  CHECK(run(0, 1)->findings[0].name.starts_with("field 10"));
}

}  // namespace

int main() {
  says_when_it_learns();
  names_the_field_to_blame();
  says_what_rose();
  gets_used_to_what_it_learns();
  goes_on_from_a_snapshot();
  refuses_damaged_snapshots();
  stays_within_its_bounds();
  takes_numbers_of_any_kind();
  orders_a_full_channel_by_use();
  return test::report();
}
