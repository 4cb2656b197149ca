#include "channels/content/content.hpp"

#include <string>

#include "requests.hpp"
#include "stream/hash_key.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

const privacy::Policy kPrivacy;
const StreamKey kKey;

struct Bench {
  const ContentScore& score(const Message& message) {
    raw = message.bytes();
    readFields(otlp::Signal::Logs, otlp::MetricType::None, raw, record);
    channel.score(record, content);
    return content;
  }
  void learn(const Message& message) {
    score(message);
    channel.learn(record, content);
  }
  /// The novel parts of the rendered record, each between bars.
  std::string news() {
    std::string text;
    std::vector<std::uint32_t> starts;
    std::vector<LiteralRun> ranges;
    render(record, text, &starts);
    novelRanges(record, content, starts, ranges);
    std::string out;
    std::uint32_t last = 0;
    for (const LiteralRun& range : ranges) {
      CHECK(range.start >= last && range.start < range.end && range.end <= text.size());
      last = range.end;
      out += (out.empty() ? "" : "|") + text.substr(range.start, range.end - range.start);
    }
    return out;
  }

  ContentModel channel{24 * 1024, hashOfStream(kPublicHashKey, 7), kPrivacy, kKey};
  RecordView record;
  ContentScore content;
  std::vector<std::uint8_t> raw;
};

TEST(knownCostsNothing) {
  Bench b;
  b.learn(logRecord("user 17 logged in from 10.0.0.1", {.attributes = {attribute("region", "eu-west")}}));
  const ContentScore& again =
      b.score(logRecord("user 9000 logged in from 192.168.7.8", {.attributes = {attribute("region", "eu-west")}}));
  CHECK(again.score == 0);
  CHECK(again.bits == 0);
  CHECK(again.unknown.empty());
  CHECK(b.news().empty());
  // Severity makes no difference.
  CHECK(b.score(logRecord("user 1 logged in from 10.0.0.1", {.severity = 0})).score == 0);
}

/// Checks that a text is judged in whatever way it is sent, and other bytes by their length.
TEST(textsSentAsBytes) {
  Bench b;
  const auto blob = [](std::string_view bytes) { return Message().text(1, "blob").add(2, Message().text(7, bytes)); };
  b.learn(logRecord("order placed", {.attributes = {blob(std::string(64, '\x01'))}}));
  CHECK(b.score(logRecord("order placed", {.attributes = {blob(std::string(64, '\x02'))}})).score == 0);
  CHECK(b.score(logRecord("order placed",
                          {.attributes = {blob("FATAL exfiltrated /etc/shadow to evil.example; DROP TABLE payments")}}))
            .score > 4);
}

/// Learns `records` records, and returns the score of a last one, whose values the callback chooses by the record's number.
template <class Attributes>
double afterMany(std::uint64_t records, const Attributes& attributes, std::uint32_t severity = 9) {
  Bench b;
  for (std::uint64_t i = 0; i < records; ++i) {
    b.score(logRecord("request served", {.attributes = attributes(i)}));
    b.channel.noteNews(b.record, b.content, i);
    b.channel.learn(b.record, b.content);
  }
  return b.score(logRecord("request served", {.severity = severity, .attributes = attributes(records)})).score;
}

TEST(identifiersAreNoNews) {
  using Fields = std::vector<Message>;
  const auto ports = [](std::uint64_t i) { return Fields{attribute("port", 40'000 + i / 100)}; };
  const auto words = [](std::uint64_t i) {
    std::string name = "pod-";
    for (std::uint64_t n = 1 + i / 50; n > 0; n /= 7) name += static_cast<char>('b' + n % 7);
    return Fields{attribute("instance", name)};
  };
  // Connections that take turns.
  const auto pool = [](std::uint64_t i) {
    return Fields{attribute("port", 40'000 + i / 400 * 8 + i % 4 + (i % 400 < 200 ? 0 : 4))};
  };
  CHECK(afterMany(900, ports) == 0);
  CHECK(afterMany(900, words) == 0);
  CHECK(afterMany(1'200, pool) == 0);
}

TEST(valuesThatRunOutStayNews) {
  using Fields = std::vector<Message>;
  // Ten codes, each half as frequent as the one before, and one that never came.
  const auto codes = [](std::uint64_t i) {
    if (i == 3'000) return Fields{attribute("code", 599)};
    Random random(static_cast<std::uint32_t>(i));
    std::uint64_t code = 200;
    while (code < 209 && random.below(2) == 0) ++code;
    return Fields{attribute("code", code)};
  };
  CHECK(afterMany(3'000, codes) > 0.5);
  // Free texts and paths are no identifiers, however many there are.
  const auto texts = [](std::uint64_t i) {
    std::string text = "disk ";
    for (std::uint64_t n = 1 + i * i; n > 0; n /= 11) text += static_cast<char>('a' + n % 11);
    return Fields{attribute("message", text + " failed")};
  };
  CHECK(afterMany(500, texts) > 0);
  // What only errors have is news.
  Bench b;
  for (std::uint64_t i = 0; i < 500; ++i) {
    b.score(logRecord("request served", {.severity = i % 10 == 0 ? 17u : 9u,
                                         .attributes = i % 10 == 0 ? Fields{attribute("error", 7'000 + i)} : Fields{}}));
    CHECK(b.channel.noteNews(b.record, b.content, i) == 0);
    b.channel.learn(b.record, b.content);
  }
}

// The hashes of keys and of short values are remembered by their bytes: whatever was met before, in this stream or another, each
// value has its own.
TEST(rememberedValuesHaveTheirOwnHashes) {
  const KeyedHash hashes[] = {hashOfStream(kPublicHashKey, 7), hashOfStream(kPublicHashKey, 8)};
  ContentModel models[] = {{24 * 1024, hashes[0], kPrivacy, kKey}, {24 * 1024, hashes[1], kPrivacy, kKey}};
  RecordView record;
  ContentScore content;
  for (int round = 0; round < 3; ++round) {
    // More keys and values than are remembered. Many differ in their middle alone, where nothing tells them apart but their
    // bytes.
    for (int i = 0; i < 2'000; ++i) {
      const std::string middle(static_cast<std::size_t>(i % 40), static_cast<char>('g' + i % 7));
      const std::string value = "route-at" + middle + (i % 3 == 0 ? "zulu" : "echo") + "the end!";
      const auto raw = logRecord(value, {.attributes = {attribute("at", value), attribute("to" + std::to_string(i % 700), value),
                                                        attribute("port", "x7"), attribute("status", "200 ok")}})
                           .bytes();
      readFields(otlp::Signal::Logs, otlp::MetricType::None, raw, record);
      for (std::size_t m = 0; m < std::size(models); ++m) {
        models[m].score(record, content);
        for (std::size_t f = 0; f < record.fields.size(); ++f) {
          const Field& field = record.fields[f];
          if (field.kind == Field::Kind::Text)
            CHECK(content.fields[f].value == hashes[m].name(field.key).value(maskedText(field)));
        }
        models[m].learn(record, content);
      }
    }
  }
}

TEST(linksAreLookedAt) {
  ContentModel channel{24 * 1024, hashOfStream(kPublicHashKey, 7), kPrivacy, kKey};
  RecordView record;
  ContentScore content;
  const auto score = [&](const Message& message) {
    const std::vector<std::uint8_t> raw = message.bytes();
    readFields(otlp::Signal::Traces, otlp::MetricType::None, raw, record);
    channel.score(record, content);
    return content.score;
  };
  const Message plain = spanRecord("GET /cart", {.time = kStart});
  score(plain);
  channel.learn(record, content);
  CHECK(score(plain) == 0);
  const Message link = Message()
                           .text(1, "0123456789abcdef")
                           .text(2, "01234567")
                           .add(4, attribute("x", "FATAL exfiltrated /etc/shadow to evil.example"));
  Message linked = plain;
  linked.add(13, link);
  CHECK(score(linked) > 4);
}

TEST(newsIsPlaced) {
  Bench b;
  b.learn(logRecord("user 17 logged in from 10.0.0.1", {.attributes = {attribute("region", "eu-west")}}));
  const double known = b.score(logRecord("user 12 logged in from 10.0.0.2")).score;
  CHECK(known == 0);
  CHECK(b.score(logRecord("user 12 logged in from 10.0.0.2 with qzxj")).score > 0);
  CHECK(b.news().find("qzxj") != std::string::npos);
  CHECK(b.news().find("logged") == std::string::npos);
  CHECK(blamedField(b.record, b.content, otlp::Signal::Logs) == "body");
  CHECK(blamedField(b.record, b.content, otlp::Signal::Traces) == "name");
  // A key that was never seen is novel as well, and its field is to blame.
  b.score(logRecord("user 12 logged in from 10.0.0.2", {.attributes = {attribute("zone-qwjk", "plumbus")}}));
  CHECK(b.news() == "zone-qwjk=plumbus");
  CHECK(blamedField(b.record, b.content, otlp::Signal::Logs) == "zone-qwjk");
  // A variable is shown as it came, not as its mask; multi-byte characters come whole.
  b.score(logRecord("Überlauf bei Gerät 4711 – größer"));
  CHECK(b.news() == "Überlauf bei Gerät 4711 – größer");
}

/// Checks that a token counts by its length where no token is known to be, up to a bound, and by nothing where one is.
TEST(unknownTokensCount) {
  Bench b;
  const std::string token = "kQ7xT2mZp9vR4wLs8nBd3fYh", other = "zW3pL8qNs5tVx1cRg6mKj0bH";
  b.learn(logRecord("cart opened by user 17"));
  b.learn(logRecord("session=" + token + " begins"));
  CHECK(b.score(logRecord("session=" + other + " begins")).score == 0);
  const auto bits = [&](const std::string& value) { return b.score(logRecord("dump of the headers x=" + value)).bits; };
  const double number = bits("4711");
  CHECK(bits("d41d8cd98f00b204e9800998ecf8427e") == number);
  CHECK(bits("0x9f86d081884c7d659a2feaa0c55ad015a3bf4f1b") == number);
  CHECK(bits("123e4567-e89b-12d3-a456-426614174000") == number);
  CHECK(bits("kQ7xT2mZp9vR4wLs") == number);
  CHECK(bits(token) == number + 8 * 24);
  CHECK(bits(token + "Aa7Bb8Cc9Dd") == number + 8 * 32);
  CHECK(b.score(logRecord("dump", {.attributes = {attribute("x", token)}})).bits >
        b.score(logRecord("dump", {.attributes = {attribute("x", "4711x")}})).bits);
}

TEST(graveNewsIsStranger) {
  Bench b;
  for (int i = 0; i < 3; ++i) b.learn(logRecord("all is well in the world"));
  double last = 0;
  for (const std::uint32_t severity : {9u, 13u, 17u, 21u}) {
    const double score = b.score(logRecord("the pump has stopped unexpectedly", {.severity = severity})).score;
    CHECK(score > last);
    last = score;
  }
  // Without a number, a word in capitals gives the severity.
  CHECK(b.score(logRecord("FATAL the pump has stopped unexpectedly", {.severity = 0})).score >
        b.score(logRecord("fatal the pump has stopped unexpectedly", {.severity = 0})).score);
}

/// Checks that a few integers under a key are words; many are a measure, and no value is novel.
TEST(integersAreWordsUntilMany) {
  Bench b;
  const auto with = [](std::string_view key, std::uint64_t value) {
    return logRecord("request done", {.attributes = {attribute(key, value)}});
  };
  for (const std::uint64_t code : {200u, 201u, 404u}) b.learn(with("status", code));
  CHECK(b.score(with("status", 404)).score == 0);
  CHECK(b.score(with("status", 503)).score > 0);
  for (std::uint64_t size = 0; size < 40; ++size) b.learn(with("size", 1'000'000 + size * 777));
  CHECK(b.score(with("size", 123)).score == 0);
  CHECK(b.score(with("status", 503)).score > 0);
  // Keys beyond the table's bound are measures from the start: their values are not kept apart.
  for (int key = 0; key < 80; ++key) b.learn(with("key-" + std::to_string(key) + "x", 1));
  CHECK(b.score(with("key-79x", 99)).score == 0);
}

TEST(knownByHashAlone) {
  Bench b;
  b.learn(logRecord("all is well"));
  b.score(logRecord("a stranger has come"));
  CHECK(b.content.unknown.size() == 1);
  b.channel.know(b.content.unknown.front().hash);
  CHECK(b.score(logRecord("a stranger has come")).score == 0);
}

/// Checks that too many fields, long keys and texts, and bytes that are no text stay bounded, with novelty in its place.
TEST(hostileRecords) {
  Bench b;
  b.learn(logRecord("normal"));
  std::vector<Message> many;
  for (int i = 0; i < 600; ++i)
    many.push_back(attribute("key" + std::to_string(i) + std::string(500, 'k'), std::string(300, 'v')));
  b.score(logRecord(std::string(40'000, 'x'), {.attributes = many}));
  CHECK(b.record.fields.size() <= kMaxFields);
  CHECK(b.content.text.size() <= kMaxTextSize + kMaxFields * (kMaxKeySize + 2));
  b.news();
  b.channel.learn(b.record, b.content);
  std::string binary;
  Random random(3);
  for (int i = 0; i < 500; ++i) binary += static_cast<char>(random.next());
  for (int round = 0; round < 200; ++round) {
    std::string body = binary.substr(random.below(400), random.below(100));
    b.score(logRecord(body + "\n\n" + body, {.attributes = {attribute("", body), attribute("\n=", 7u)}}));
    b.news();
    b.channel.learn(b.record, b.content);
  }
  CHECK(b.channel.memory() < 64 * 1024);
}

TEST(snapshotGoesOn) {
  Bench a, b;
  Random random(1);
  for (int i = 0; i < 3'000; ++i)
    a.learn(logRecord(normalLine(random) + std::to_string(i * i) + std::string(1 + i % 90, static_cast<char>('a' + i % 26)),
                      {.attributes = {attribute("n" + std::to_string(i % 30), random.below(40))}}));
  std::vector<std::uint8_t> bytes;
  a.channel.snapshot(bytes);
  CHECK(b.channel.restore(bytes));
  bool same = true;
  for (int i = 0; i < 3'000; ++i) {
    const Message message = logRecord(normalLine(random) + std::string(1 + i % 70, static_cast<char>('A' + i % 26)),
                                      {.attributes = {attribute("n" + std::to_string(i % 35), random.below(50))}});
    a.learn(message), b.learn(message);
    same = same && a.content.score == b.content.score && a.content.signature == b.content.signature;
  }
  CHECK(same);
  for (std::size_t cut = 0; cut < bytes.size(); cut += 1 + bytes.size() / 60) {
    ContentModel other(24 * 1024, hashOfStream(kPublicHashKey, 7), kPrivacy, kKey);
    CHECK(!other.restore(Bytes(bytes).first(cut)));
  }
  ContentModel smaller(1024, hashOfStream(kPublicHashKey, 7), kPrivacy, kKey);
  CHECK(!smaller.restore(bytes));
}

TEST(knownSetAges) {
  KnownSet set(100);
  for (std::uint64_t i = 1; i <= 100; ++i) set.insert(i * 0x9E3779B97F4A7C15u);
  const auto knows = [&](std::uint64_t i) { return set.contains(i * 0x9E3779B97F4A7C15u); };
  for (std::uint64_t i = 1; i <= 100; ++i) CHECK(knows(i));
  CHECK(!knows(101));
  // One generation later they are still there, and those looked up now stay.
  for (std::uint64_t i = 200; i < 250; ++i) set.insert(i * 0x9E3779B97F4A7C15u);
  for (std::uint64_t i = 1; i <= 20; ++i) CHECK(knows(i));
  for (std::uint64_t i = 300; i < 390; ++i) set.insert(i * 0x9E3779B97F4A7C15u);
  for (std::uint64_t i = 1; i <= 20; ++i) CHECK(knows(i));
  CHECK(!knows(50));
  for (std::uint64_t i = 1'000; i < 50'000; ++i) set.insert(i * 0x9E3779B97F4A7C15u);
  CHECK(set.memory() <= 2 * 134 * sizeof(std::uint64_t));
  set.insert(0);
  CHECK(set.contains(0));
}

/// Checks that nothing that shares half of its bits with a known hash is known: a sender could hide novelty with such a text.
TEST(knownSetKeepsAllBits) {
  KnownSet set(512);
  for (std::uint64_t i = 1; i <= 512; ++i) set.insert(i * 0x9E3779B97F4A7C15u);
  for (std::uint64_t i = 1; i <= 512; ++i) {
    for (int bit = 0; bit < 64; ++bit) CHECK(!set.contains(i * 0x9E3779B97F4A7C15u ^ std::uint64_t{1} << bit));
    // These bits used to be folded away.
    CHECK(!set.contains(i * 0x9E3779B97F4A7C15u ^ 0x0000000100000001u));
  }
}

}  // namespace
