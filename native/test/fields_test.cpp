#include "channels/fields/fields.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.hpp"
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

enum Key : std::uint64_t { kStatus = 11, kMethod, kLatency, kId, kTimeOf, kRegion, kExtra, kLevel };

/// What is unusual in a block.
enum class Odd { Nothing, Errors, RandomWords, Frozen, Swapped, Slow, OtherRegion, Vanished, Appeared, Jitter, Moved };

std::uint64_t hashOf(const std::string& word) { return KeyedHash({1, 2})(bytesOf(word)); }
void add(FieldsModel& channel, std::uint64_t key, const std::string& word) { channel.word(key, hashOf(word), bytesOf(word)); }

constexpr std::uint32_t kBlock = 240;

struct Source {
  Random random;
  std::int64_t clock = 1'700'000'000'000;

  /// Passes the next record to the channel. Returns true if it completes a block.
  bool record(FieldsModel& channel, Odd odd) {
    channel.number(kStatus, random.uniform() < (odd == Odd::Errors ? 0.3 : 0.02) ? 500 : 200);
    const double u = random.uniform();
    const bool swapped = odd == Odd::Swapped;
    const std::string word = u < 0.7 ? (swapped ? "POST" : "GET") : u < 0.9 ? (swapped ? "GET" : "POST") : "PUT";
    add(channel, kMethod, odd == Odd::RandomWords ? hex(random, 12) : odd == Odd::Frozen ? "POST" : word);
    channel.number(kLatency, 20 * std::exp(0.5 * random.normal()) * (odd == Odd::Slow ? 3 : 1));
    add(channel, kId, hex(random, 16));
    clock += 1'000'000 + static_cast<std::int64_t>((odd == Odd::Jitter ? 400'000 : 20'000) * random.uniform());
    channel.number(kTimeOf, static_cast<double>(clock));
    if (odd != Odd::Vanished) add(channel, kRegion, odd == Odd::OtherRegion ? "us-east-1" : "eu-west-1");
    if (odd == Odd::Appeared) add(channel, kExtra, "timeout");
    channel.number(kLevel, 1000 + 5 * random.normal() + (odd == Odd::Moved ? 15 : 0));
    return channel.end();
  }
};

struct Stream {
  FieldsModel channel{kBlock};
  Source source;

  explicit Stream(int blocks) {
    for (int i = 0; i < blocks; ++i) learn(Odd::Nothing);
  }
  FieldsVerdict judge(Odd odd) {
    while (!source.record(channel, odd)) {
    }
    return channel.judge();
  }
  /// Judges a block, explains what is strange in it, and rejects it.
  std::pair<FieldsVerdict, FieldFinding> look(Odd odd) {
    const FieldsVerdict verdict = judge(odd);
    const FieldFinding finding = channel.explain(verdict);
    channel.reject();
    return {verdict, finding};
  }
  FieldsVerdict learn(Odd odd, bool lasting = false) {
    const FieldsVerdict verdict = judge(odd);
    channel.learn(verdict, lasting);
    return verdict;
  }
};

TEST(saysWhenItLearns) {
  Stream s(0);
  for (std::uint32_t i = 0; i < FieldsModel::kLearningBlocks; ++i) {
    CHECK(s.channel.learning());
    CHECK(!s.learn(Odd::Nothing).judged);
  }
  CHECK(!s.channel.learning());
  CHECK(s.judge(Odd::Nothing).judged);
}

TEST(namesTheFieldToBlame) {
  Stream s(60);
  double highest = 0;
  for (int i = 0; i < 100; ++i) highest = std::max(highest, s.learn(Odd::Nothing).score);
  CHECK(highest < 4.5);
  const std::pair<Odd, Key> cases[] = {
      {Odd::Errors, kStatus}, {Odd::RandomWords, kMethod}, {Odd::Frozen, kMethod},   {Odd::Swapped, kMethod},
      {Odd::Slow, kLatency},  {Odd::OtherRegion, kRegion}, {Odd::Vanished, kRegion}, {Odd::Appeared, kExtra},
      {Odd::Jitter, kTimeOf}, {Odd::Moved, kLevel},
  };
  for (const auto& [odd, key] : cases) {
    for (int i = 0; i < 3; ++i) {
      const auto [verdict, finding] = s.look(odd);
      CHECK(verdict.score > highest);
      CHECK(finding.key == key);
    }
  }
}

TEST(saysWhatRose) {
  using Kind = FieldFinding::Kind;
  Stream s(60);
  auto f = s.look(Odd::Errors).second;
  CHECK(f.kind == Kind::Number && f.number == 500 && f.records == kBlock);
  CHECK_NEAR(f.usualShare, 0.02, 0.03);
  CHECK_NEAR(f.share, 0.3, 0.1);
  CHECK(f.low == 200 && f.high == 200);

  f = s.look(Odd::Frozen).second;
  CHECK(f.kind == Kind::Word && f.word == FieldsModel::wordOf(hashOf("POST")) && f.share == 1);
  CHECK(f.usualWord == FieldsModel::wordOf(hashOf("GET")));
  CHECK_NEAR(f.usualShare, 0.2, 0.12);

  s.judge(Odd::OtherRegion);
  f = s.channel.explain(s.channel.judge());
  CHECK(f.kind == Kind::Unseen && f.share == 1 && f.usualShare == 0);
  CHECK(s.channel.shows(f, hashOf("us-east-1")) && !s.channel.shows(f, hashOf("eu-west-1")));
  s.channel.reject();

  f = s.look(Odd::RandomWords).second;
  CHECK(f.kind == Kind::Unseen && f.share == 1 && f.usualShare == 0);

  f = s.look(Odd::Vanished).second;
  CHECK(f.kind == Kind::Absent && f.share == 1 && f.usualShare == 0);

  f = s.look(Odd::Appeared).second;
  CHECK(f.kind == Kind::Unseen && f.share == 1 && f.usualShare == 0);

  f = s.look(Odd::Moved).second;
  CHECK(f.kind == Kind::Range && f.number > 1004 && f.number < 1030);
  CHECK(f.low > 985 && f.low < 995 && f.high > 1005 && f.high < 1015);
}

TEST(getsUsedToWhatItLearns) {
  Stream s(40);
  CHECK(s.learn(Odd::OtherRegion).score > 20);
  for (int i = 0; i < 60; ++i) s.learn(Odd::OtherRegion);
  CHECK(s.look(Odd::OtherRegion).first.score < 4.5);
  // What is not learned stays strange, and what is learned as lasting is usual soon.
  Stream t(40);
  for (int i = 0; i < 60; ++i) CHECK(t.look(Odd::OtherRegion).first.score > 20);
  for (int i = 0; i < 16; ++i) t.learn(Odd::OtherRegion, true);
  CHECK(t.look(Odd::OtherRegion).first.score < 4.5);
}

/// Checks that a field that only a rejected block had is as new as before.
TEST(forgetsWhatItRejects) {
  Stream s(40);
  const std::size_t before = s.channel.memory();
  for (int i = 0; i < 3; ++i) {
    const auto [verdict, finding] = s.look(Odd::Appeared);
    CHECK(verdict.score > 10 && finding.key == kExtra);
  }
  CHECK(s.channel.memory() == before);
  s.learn(Odd::Appeared);
  CHECK(s.look(Odd::Appeared).first.score < 10);
}

TEST(goesOnFromASnapshot) {
  for (const int blocks : {0, 1, 5, 40}) {
    Stream s(blocks);
    // The snapshot is taken in the middle of a block.
    for (std::uint32_t i = 0; i < kBlock / 3; ++i) s.source.record(s.channel, Odd::Nothing);
    std::vector<std::uint8_t> bytes, again;
    s.channel.snapshot(bytes);
    FieldsModel copy(kBlock);
    CHECK(copy.restore({bytes.data(), bytes.size()}));
    copy.snapshot(again);
    CHECK(bytes == again);
    for (int i = 0; i < 20; ++i) {
      const Odd odd = i == 15 ? Odd::Slow : Odd::Nothing;
      for (bool ended = false; !ended;) {
        Source same = s.source;
        ended = s.source.record(s.channel, odd);
        CHECK(same.record(copy, odd) == ended);
      }
      const FieldsVerdict a = s.channel.judge(), b = copy.judge();
      CHECK(a.judged == b.judged && a.score == b.score && a.column == b.column);
      if (i == 15) {
        s.channel.reject(), copy.reject();
      } else {
        s.channel.learn(a), copy.learn(b);
      }
    }
    again.clear(), bytes.clear();
    s.channel.snapshot(bytes), copy.snapshot(again);
    CHECK(bytes == again);
  }
}

TEST(refusesDamagedSnapshots) {
  Stream s(20);
  for (int i = 0; i < 40; ++i) s.source.record(s.channel, Odd::Nothing);
  std::vector<std::uint8_t> bytes;
  s.channel.snapshot(bytes);
  const auto taken = [](const std::vector<std::uint8_t>& from, std::size_t size) {
    FieldsModel channel(kBlock);
    return channel.restore({from.data(), size});
  };
  for (std::size_t size = 0; size < bytes.size(); size += 7) CHECK(!taken(bytes, size));
  auto longer = bytes;
  longer.push_back(0);
  CHECK(!taken(longer, longer.size()));
  CHECK(taken(bytes, bytes.size()));
  // Any byte may be wrong: the snapshot is refused, or the restored channel still works.
  int restored = 0;
  Random random;
  for (int i = 0; i < 2'000; ++i) {
    auto wrong = bytes;
    wrong[random.next() % wrong.size()] ^= static_cast<std::uint8_t>(1 + random.next() % 255);
    FieldsModel channel(kBlock);
    if (!channel.restore({wrong.data(), wrong.size()})) continue;
    ++restored;
    Source source = s.source;
    for (int k = 0; k < 3; ++k) {
      while (!source.record(channel, Odd::Nothing)) {
      }
      const FieldsVerdict verdict = channel.judge();
      CHECK(std::isfinite(verdict.score));
      if (verdict.judged) channel.explain(verdict);
      k == 1 ? channel.reject() : channel.learn(verdict);
    }
  }
  CHECK(restored > 100);
}

TEST(staysWithinItsBounds) {
  FieldsModel channel(64);
  Random random;
  for (int b = 0; b < 40; ++b) {
    for (std::uint32_t i = 0; i < 64; ++i) {
      for (int f = 0; f < 80; ++f)
        add(channel, random.next() % 100'000, std::string(random.next() % 300, static_cast<char>(random.next())));
      for (std::uint64_t f = 0; f < 30; ++f) channel.number(f, std::numeric_limits<double>::quiet_NaN());
      CHECK(channel.end() == (i == 63));
    }
    const FieldsVerdict verdict = channel.judge();
    CHECK(std::isfinite(verdict.score));
    channel.learn(verdict);
  }
  CHECK(channel.memory() <= 6 * 1024);
  std::vector<std::uint8_t> bytes;
  channel.snapshot(bytes);
  CHECK(bytes.size() <= 6 * 1024);
}

TEST(takesNumbersOfAnyKind) {
  const double inf = std::numeric_limits<double>::infinity();
  const double strange[] = {inf, -inf, std::nan(""), 0, -0.0, 5e-324, 1.7e308, -1.7e308, 1e-300};
  FieldsModel channel(64);
  Random random;
  for (int b = 0; b < 80; ++b) {
    for (int i = 0; i < 64; ++i) {
      channel.number(1, strange[random.next() % 9]);
      channel.number(2, random.uniform());
      add(channel, 2, "a second value does not count");
      channel.number(3, static_cast<double>(static_cast<std::int64_t>(random.next())));
      channel.number(4, 1e18 - 1000.0 * (b * 64 + i));
      channel.number(5, 1e-15);
      channel.number(6, (b * 64 + i) % 1500);
      if (i % 2) channel.number(7, static_cast<double>(random.next() % 1000));
      else add(channel, 7, hex(random, 8));
      // There are few numbers at first, then ever more.
      channel.number(8, static_cast<double>(random.next() % static_cast<std::uint64_t>(1 + b)));
      channel.end();
    }
    const FieldsVerdict verdict = channel.judge();
    CHECK(std::isfinite(verdict.score));
    if (b > 60) CHECK(verdict.score < 8);
    channel.learn(verdict);
  }
}

TEST(givesRoomToWhatIsUsed) {
  FieldsModel channel(64);
  const auto run = [&](std::uint64_t first, int blocks) {
    FieldsVerdict verdict;
    FieldFinding finding;
    for (int b = 0; b < blocks; ++b) {
      for (int i = 0; i < 64; ++i) {
        for (std::uint64_t f = 0; f < FieldsModel::kMaxColumns; ++f) add(channel, first + f, "value");
        channel.end();
      }
      verdict = channel.judge();
      if (verdict.judged) finding = channel.explain(verdict);
      channel.learn(verdict);
    }
    return std::pair(verdict, finding);
  };
  run(0, 20);
  // Other fields take over once the earlier ones have faded from the past.
  const auto [change, finding] = run(1000, 1);
  CHECK(change.score > 20 && finding.kind == FieldFinding::Kind::Absent && finding.key < 1000);
  run(1000, 600);
  CHECK(run(1000, 1).first.score < 1);
  const auto [back, was] = run(0, 1);
  CHECK(back.score > 20 && was.key >= 1000);
  CHECK(channel.memory() <= 6 * 1024);
}

}  // namespace
