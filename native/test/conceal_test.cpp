// What is kept, reported and explained holds no personal or secret value, and a kind of them that is new is found.

#include "record/conceal.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "channels/content/content.hpp"
#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

constexpr std::string_view kEmail = "anna.kovacs@mailshop.eu", kCard = "4111111111111111", kPassword = "hunter2-Zebra",
                           kKey = "AKIAIOSFODNN7EXAMPLE", kIban = "DE89370400440532013000", kUser = "u-48151623";

bool holds(Bytes bytes, std::string_view text) { return textOf(bytes).find(text) != std::string_view::npos; }

bool holdsAny(Bytes bytes) {
  for (const std::string_view secret : {kEmail, kCard, kPassword, kKey, kIban, kUser}) {
    if (holds(bytes, secret)) return true;
  }
  return false;
}

/// A snapshot with all that is packed in it.
std::vector<std::uint8_t> unpacked(Bytes snapshot) {
  constexpr std::string_view kMagic = "\x28\xb5\x2f\xfd";
  std::vector<std::uint8_t> all(snapshot.begin(), snapshot.end());
  for (SavedRecord record; SavedRecord::read(snapshot, record);) {
    const std::size_t at = textOf(record.value).find(kMagic);
    CHECK(at != std::string_view::npos);
    const OwnedBytes state = decompress(CodecName::Zstd, record.value.subspan(at), 8 << 20);
    all.insert(all.end(), Bytes(state).begin(), Bytes(state).end());
  }
  CHECK(snapshot.empty());
  return all;
}

/// Usual records name their users, each another one.
Message plain(Random& random, std::uint64_t& clock) {
  const std::string user = "u-481516" + std::to_string(10 + random.below(90));
  return logRecord(normalLine(random), {.time = clock += kSecond, .attributes = {attribute("user.id", user)}});
}

/// A record of the time when the stream learns.
Message early(std::uint64_t& clock) {
  return logRecord("welcome " + std::string(kEmail), {.time = clock += kSecond, .attributes = {attribute("iban", kIban)}});
}

/// A record with a value of its kind in each part that may have one.
Message planted(std::uint64_t& clock) {
  const std::string email(kEmail);
  return logRecord(
      "payment by " + email + " with card " + std::string(kCard),
      {.time = clock += kSecond,
       .severity = 17,
       .eventName = "paid." + email,
       .attributes = {attribute("db.password", kPassword), attribute("aws", kKey), attribute("iban", kIban),
                      attribute("card.number", std::uint64_t{4111111111111111}), attribute(email, "x"),
                      Message().text(1, "list").add(2, Message().add(5, Message().add(1, Message().text(1, email))))}});
}

TEST(nothingThatIsKeptOrReportedHoldsAValue) {
  Settings settings = settingsOf();
  settings.streamBy = {"service.name", "owner"};
  Bench bench(settings);
  Random random(7);
  std::uint64_t clock = kStart;
  const auto send = [&](bool secret) {
    std::vector<Message> records;
    for (int i = 0; i < 20; ++i) records.push_back(plain(random, clock));
    if (secret) records.push_back(bench.engine.stats().learning > 0 ? early(clock) : planted(clock));
    return bench.process(otlp::Signal::Logs, request("checkout of " + std::string(kEmail), records));
  };
  std::size_t reported = 0;
  bool secretSeen = false;
  // It is planted while the stream learns, and when it is judged.
  for (int i = 0; i < 120; ++i) {
    const auto task = send(i == 3 || i == 80 || i == 100 || i == 119);
    reported += task->anomalies.size();
    for (const auto& anomaly : task->anomalies) secretSeen |= holdsAny(anomaly);
    for (const auto& notable : task->notable) secretSeen |= holdsAny(notable);
    secretSeen |= holdsAny(task->page);
    if (i == 4 || i == 81) secretSeen |= holdsAny(unpacked(bench.snapshot()));
  }
  CHECK(reported > 0);
  CHECK(!secretSeen);
  const auto snapshot = unpacked(bench.snapshot());
  CHECK(!holdsAny(snapshot));
  // What is masked is not merely absent.
  CHECK(holds(snapshot, "[email*"));
  // What is forwarded stays as it is.
  const auto last = bench.process(otlp::Signal::Logs, request("x", {planted(clock)}));
  CHECK(last->output.data == nullptr || holds(last->output, kEmail));

  // A restart changes nothing, although the records that are kept are masked at different moments.
  Bench restored(settings);
  CHECK(restored.restore(bench.snapshot()));
  bool equal = true;
  for (int i = 0; i < 40; ++i) {
    const Message next = request("checkout of " + std::string(kEmail), {plain(random, clock), planted(clock)});
    equal = equal && same(*bench.process(otlp::Signal::Logs, next), *restored.process(otlp::Signal::Logs, next));
  }
  CHECK(equal);
}

TEST(aKindThatIsNewIsAnAnomaly) {
  // A built-in kind, and one of a user.
  const auto found = [](std::string_view before, std::string_view behind) {
    Settings settings = settingsOf();
    settings.privacy = std::make_shared<const privacy::Policy>(
        privacy::Policy::kDefault, std::vector<privacy::Rule>{}, std::vector<std::uint8_t>{},
        std::vector<privacy::Detector>{{"badge", privacy::Pattern("badge-[a-z]+[0-9]+")}});
    Bench bench(settings);
    Random random(9);
    std::uint64_t clock = kStart;
    std::string found;
    for (int i = 0; i < 100; ++i) {
      std::vector<Message> records;
      for (int k = 0; k < 20; ++k) records.push_back(plain(random, clock));
      if (i > 60 && i % 4 == 0)
        records.push_back(logRecord("sent the receipt to " + std::string(before) + std::to_string(i) + std::string(behind),
                                    {.time = clock += kSecond}));
      const auto task = bench.process(otlp::Signal::Logs, request("checkout", records));
      for (const auto& anomaly : task->anomalies) found += textOf(anomaly);
    }
    return found;
  };
  const std::string email = found("user", "@mailshop.eu");
  CHECK(email.find("E-mail addresses appear in \"body\", which had none before") != std::string::npos);
  CHECK(email.find("@mailshop.eu") == std::string::npos);
  CHECK(email.find("sent the receipt to [email*") != std::string::npos);
  const std::string badge = found("badge-qxu", "");
  CHECK(badge.find("Values of the kind \"badge\" appear in \"body\", which had none before") != std::string::npos);
  CHECK(badge.find("qxu") == std::string::npos);
  CHECK(badge.find("sent the receipt to [badge*") != std::string::npos);
}

/// A record whose values are masked is scored as the record itself.
TEST(masksAreNoNovelty) {
  const privacy::Policy policy;
  const StreamKey key;
  ContentModel model{24 * 1024, hashOfStream(kPublicHashKey, 7), policy, key};
  const privacy::Masking masking(policy, privacy::Place::Stored, {});
  Random random(3);
  RecordView view;
  ContentScore raw, masked;
  const auto scoreOf = [&](const Message& record, ContentScore& score) {
    readFields(otlp::Signal::Logs, otlp::MetricType::None, record, view);
    model.score(view, score);
  };
  for (int i = 0; i < 200; ++i) {
    const std::string user = "user" + std::to_string(i) + "@mailshop.eu";
    const Message record = i % 3 ? logRecord("call " + std::to_string(100'000 + i) + " for " + user)
                                 : logRecord("paid by card 4111111111111111 at 86.121.97." + std::to_string(i % 250),
                                             {.attributes = {attribute("user.email", user), attribute("token", kKey)}});
    scoreOf(record, raw);
    std::vector<std::uint8_t> bytes = record.bytes();
    conceal(otlp::Signal::Logs, otlp::MetricType::None, bytes, masking);
    CHECK(!holds(bytes, user) && !holds(bytes, "4111111111111111") && !holds(bytes, kKey));
    readFields(otlp::Signal::Logs, otlp::MetricType::None, bytes, view);
    model.score(view, masked);
    CHECK(raw.templateHash == masked.templateHash);
    CHECK(raw.text == masked.text);
    // Both kinds of records are known after the first of each.
    if (i > 5) CHECK(raw.unknown.empty());
    scoreOf(record, raw);
    model.learn(view, raw);
  }
}

}  // namespace
