// What a policy changes in requests, wherever it is, and what it leaves alone.

#include "record/redact.hpp"

#include <string>
#include <string_view>

#include "engine_bench.hpp"
#include "requests.hpp"
#include "test.hpp"
#include "traffic.hpp"

using namespace driftlock;
using namespace driftlock::test;
using privacy::Action;
using privacy::Place;

namespace {

constexpr std::string_view kEmail = "anna.kovacs@mailshop.eu";

std::shared_ptr<const privacy::Policy> policyOf(Action action, Place place) {
  privacy::Actions actions = privacy::Policy::kDefault;
  actions[static_cast<std::size_t>(place)] = action;
  return std::make_shared<const privacy::Policy>(actions, std::vector<privacy::Rule>{}, std::vector<std::uint8_t>(32, 7));
}

bool holds(Bytes bytes, std::string_view text) { return textOf(bytes).find(text) != std::string_view::npos; }

Message mail(std::string_view key) { return attribute(key, kEmail); }

/// What becomes of a request that is forwarded. Its index is that of its bytes.
std::optional<std::vector<std::uint8_t>> redacted(otlp::Signal signal, Bytes request, const privacy::Policy& policy) {
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, request, index, error));
  const auto out = redact(index, {.tenant = "t", .place = Place::Forwarded}, policy);
  if (!out) return {};
  const Bytes bytes = out->request;
  CHECK(otlp::index(signal, bytes, index, error));
  const otlp::Index& moved = out->index;
  CHECK(moved.signal == signal && moved.request.data() == bytes.data() && moved.request.size() == bytes.size());
  CHECK(moved.frames == index.frames && moved.resources == index.resources && moved.scopes == index.scopes);
  CHECK(moved.metrics == index.metrics && moved.records == index.records && moved.llm == index.llm);
  return std::vector(bytes.begin(), bytes.end());
}

/// A span with the value in its name, its attributes, its events, its links and its status, and one that a sender made up.
Message span() {
  const std::string name = "GET /" + std::string(kEmail);
  return Message()
      .text(1, "0123456789abcdef")
      .text(2, "01234567")
      .text(5, name)
      .add(9, mail("who"))
      .add(9, attribute("card.number", std::uint64_t{4111111111111111}))
      .add(11, Message().text(2, name).add(3, mail("event.who")))
      .add(13, Message().text(1, "0123456789abcdef").text(2, "01234567").add(4, mail("link.who")))
      .add(15, Message().text(2, "no " + std::string(kEmail)).varint(3, 2));
}

/// A request for spans with the value in its resource and its scope.
Message spans() {
  const Message scope = Message().text(1, "lib of " + std::string(kEmail)).add(3, mail("scope.who"));
  const Message resource = Message().add(1, attribute("service.name", "shop")).add(1, mail("owner"));
  return Message().add(1, Message().add(1, resource).add(2, Message().add(1, scope).add(2, span())));
}

/// A gauge with the value in its name, its description, a point and an exemplar.
Message metrics() {
  const Message exemplar = Message().add(7, mail("exemplar.who"));
  const Message point = Message().fixed(3, kStart).real(4, 1).add(5, exemplar).add(7, mail("point.who"));
  const Message metric = Message().text(1, "of." + std::string(kEmail)).text(2, kEmail).add(5, Message().add(1, point));
  return Message().add(1, Message().add(2, Message().add(2, metric)));
}

TEST(everyFieldIsCovered) {
  for (const Action action : {Action::Mask, Action::Hash, Action::Drop}) {
    const auto policy = policyOf(action, Place::Forwarded);
    for (const auto& [signal, request] :
         {std::pair(otlp::Signal::Traces, spans()), std::pair(otlp::Signal::Metrics, metrics())}) {
      const auto out = redacted(signal, request, *policy);
      CHECK(out.has_value());
      if (!out) continue;
      CHECK(!holds(*out, kEmail));
      otlp::Index index;
      otlp::WireError error;
      CHECK(otlp::index(signal, *out, index, error));
      CHECK(index.records.size() == 1);
      CHECK(holds(*out, action == Action::Mask   ? "[email]"
                        : action == Action::Hash ? "[email:"
                                                 : "service.name") ||
            signal == otlp::Signal::Metrics);
      // What is dropped takes its attribute with it.
      CHECK(holds(*out, "point.who") == (signal == otlp::Signal::Metrics && action != Action::Drop));
      // A masked request has nothing to find.
      CHECK(!redacted(signal, *out, *policy).has_value());
    }
  }
}

TEST(whatHasNothingToFindStaysAsItIs) {
  const auto policy = policyOf(Action::Mask, Place::Forwarded);
  Traffic traffic;
  for (int i = 0; i < 60; ++i) {
    const auto step = traffic.next();
    const auto out = redacted(step.signal, step.bytes, *policy);
    CHECK(!out.has_value());
  }
}

/// The places are independent of each other.
TEST(whatIsJudgedAndWhatIsForwardedDiffer) {
  std::uint64_t clock = kStart;
  const Message request = test::request("shop", {logRecord("hello " + std::string(kEmail), {.time = clock})});
  const auto forwarded = [&](Action action, Place place) {
    Settings settings = settingsOf();
    settings.privacy = policyOf(action, place);
    Bench bench(settings);
    const auto task = bench.process(otlp::Signal::Logs, request);
    CHECK(task->failure.empty());
    return std::string(textOf(task->output));
  };
  CHECK(forwarded(Action::Mask, Place::Scoring).empty());
  CHECK(holds(bytesOf(forwarded(Action::Mask, Place::Forwarded)), "hello [email]"));
  CHECK(forwarded(Action::Mask, Place::Logs).empty());
}

/// What is nested is changed where it is, and what is around it becomes as long as it has to be.
TEST(onlyTheInnermostPartIsDropped) {
  const auto policy = policyOf(Action::Drop, Place::Forwarded);
  const Message list = Message().add(
      5, Message().add(1, Message().text(1, "first")).add(1, Message().text(1, kEmail)).add(1, Message().text(1, "last")));
  const Message pairs = Message().add(6, Message().add(1, mail("inner")).add(1, attribute("kept", "yes")));
  const Message record = Message()
                             .add(5, Message().text(1, "to " + std::string(kEmail) + " now"))
                             .add(6, Message().text(1, "list").add(2, list))
                             .add(6, Message().text(1, "pairs").add(2, pairs))
                             .add(6, mail("gone"))
                             .text(3, "INFO");
  const Message expected =
      Message()
          .add(5, Message().text(1, "to  now"))
          .add(6, Message().text(1, "list").add(
                      2, Message().add(5, Message().add(1, Message().text(1, "first")).add(1, Message().text(1, "last")))))
          .add(6, Message().text(1, "pairs").add(2, Message().add(6, Message().add(1, attribute("kept", "yes")))))
          .text(3, "INFO");
  const auto out = redacted(otlp::Signal::Logs, request("shop", {record}), *policy);
  CHECK(out.has_value() && *out == request("shop", {expected}).bytes());
}

/// Attributes that are one text are replaced as a whole, once their name is known, and others part by part: all alike, however
/// long they and their values are.
TEST(attributesAreMaskedAlikeWhateverTheirForm) {
  const auto policy = policyOf(Action::Mask, Place::Forwarded);
  const auto logs = [](const Message& attribute) {
    return request("shop", {Message().fixed(1, kStart).add(6, attribute).text(3, "INFO")});
  };
  for (const std::size_t size : {0, 60, 80, 90, 100, 110, 120, 130, 300}) {
    const std::string before(size, '.');
    const Message found = attribute("to.whom", before + " " + std::string(kEmail)),
                  masked = attribute("to.whom", before + " [email]");
    for (int turn = 0; turn < 3; ++turn) {
      const auto whole = redacted(otlp::Signal::Logs, logs(found), *policy);
      CHECK(whole && *whole == logs(masked).bytes());
      // A field that nobody knows makes it one of another form.
      const auto pieces = redacted(otlp::Signal::Logs, logs(Message(found).varint(9, 1)), *policy);
      CHECK(pieces && *pieces == logs(Message(masked).varint(9, 1)).bytes());
    }
  }
}

TEST(rulesKnowBodiesNamesAndStreams) {
  const auto masked = [](const Message& request, otlp::Signal signal, privacy::Rule rule) {
    rule.actions[static_cast<std::size_t>(Place::Forwarded)] = Action::Flag;
    privacy::Actions actions = privacy::Policy::kDefault;
    actions[static_cast<std::size_t>(Place::Forwarded)] = Action::Mask;
    Settings settings = settingsOf();
    settings.privacy = std::make_shared<const privacy::Policy>(actions, std::vector{rule});
    Bench bench(settings);
    const auto task = bench.process(signal, request);
    return std::string(textOf(task->output));
  };
  const Message record = Message().fixed(1, kStart).add(5, Message().text(1, "of " + std::string(kEmail))).add(6, mail("who"));
  const std::string body = masked(request("shop", {record}), otlp::Signal::Logs, {.attribute = "body"});
  CHECK(body.find("of " + std::string(kEmail)) != std::string::npos && body.find("[email]") != std::string::npos);
  const std::string name = masked(spans(), otlp::Signal::Traces, {.attribute = "name"});
  CHECK(name.find("GET /" + std::string(kEmail)) != std::string::npos && name.find("lib of [email]") != std::string::npos);
  // What surrounds the record is of several streams.
  CHECK(masked(request("shop", {record}), otlp::Signal::Logs, {.stream = "logs service.name=shop"}).empty());
  CHECK(masked(request("cart", {record}), otlp::Signal::Logs, {.stream = "logs service.name=shop"}).find("of [email]") !=
        std::string::npos);
  const std::string stream = masked(spans(), otlp::Signal::Traces, {.stream = "traces service.name=sh*"});
  CHECK(stream.find("GET /" + std::string(kEmail)) != std::string::npos && stream.find("lib of [email]") != std::string::npos);
}

/// What a thread remembers of texts without values is of the same detectors.
TEST(whatIsCleanForOneIsNotForAnother) {
  const Message record = Message().fixed(1, kStart).add(6, attribute("badge", "E-4711"));
  const auto out = [&](const privacy::Policy& policy) { return redacted(otlp::Signal::Logs, request("shop", {record}), policy); };
  privacy::Actions actions{};
  actions[static_cast<std::size_t>(Place::Forwarded)] = Action::Mask;
  const privacy::Policy builtIn(actions);
  const privacy::Policy own(actions, {}, {}, {{"badge", privacy::Pattern("E-[0-9]+")}});
  for (int i = 0; i < 2; ++i) {
    CHECK(!out(builtIn).has_value());
    const auto masked = out(own);
    CHECK(masked && holds(*masked, "[badge]") && !holds(*masked, "4711"));
  }
}

/// One scan serves both places if the policy does the same to them, and both count.
TEST(equalPlacesAreMaskedAtOnce) {
  Settings settings = settingsOf();
  privacy::Actions actions{};
  actions[0] = actions[1] = Action::Mask;
  settings.privacy = std::make_shared<const privacy::Policy>(actions);
  Bench bench(settings);
  const auto task =
      bench.process(otlp::Signal::Logs, request("shop", {logRecord("to " + std::string(kEmail), {.time = kStart})}));
  CHECK(holds(task->output, "to [email]") && !holds(task->output, kEmail));
  const privacy::Counts counts = settings.privacy->counts();
  const auto email = static_cast<std::size_t>(privacy::Kind::Email);
  CHECK(counts[0][email] == 1 && counts[1][email] == 1);
}

/// Flagged records are annotated in what is forwarded.
TEST(annotationsGoWithMasks) {
  Settings settings = settingsOf();
  privacy::Actions actions = privacy::Policy::kDefault;
  actions[0] = actions[1] = Action::Mask;
  settings.privacy = std::make_shared<const privacy::Policy>(actions);
  Bench bench(settings);
  Random random(5);
  std::uint64_t clock = kStart;
  bool annotated = false;
  for (int i = 0; i < 60; ++i) {
    std::vector<Message> records;
    for (int k = 0; k < 20; ++k) records.push_back(logRecord(normalLine(random), {.time = clock += kSecond}));
    if (i > 30)
      records.push_back(logRecord("kernel panic: lost " + std::string(kEmail), {.time = clock += kSecond, .severity = 21}));
    const auto task = bench.process(otlp::Signal::Logs, request("checkout", records));
    CHECK(!holds(task->output, kEmail));
    if (task->flagged > 0) annotated |= holds(task->output, "cbad.anomaly.id") && holds(task->output, "lost [email]");
  }
  CHECK(annotated);
}

}  // namespace
