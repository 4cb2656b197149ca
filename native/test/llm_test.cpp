#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "engine_bench.hpp"
#include "llm/json.hpp"
#include "llm/messages.hpp"
#include "llm/read.hpp"
#include "llm/tenants.hpp"
#include "record/call_names.hpp"
#include "record/record.hpp"
#include "requests.hpp"
#include "test.hpp"

using namespace driftlock;
using namespace driftlock::test;

namespace {

const KeyedHash kHash = streamHash(kPublicHashKey);

/// A span of a call of a model with further attributes.
Message callSpan(std::uint64_t time, std::string_view trace, std::string_view span, const std::vector<Message>& attributes) {
  Message out = spanRecord("chat model", {.time = time, .trace = std::string(trace), .span = std::string(span)});
  out.add(9, attribute("gen_ai.operation.name", "chat")).add(9, attribute("gen_ai.request.model", "model"));
  for (const Message& each : attributes) out.add(9, each);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  llm::json::quote(text, out);
  return out;
}

std::string messageJson(std::string_view role, std::string_view text) {
  return R"({"role":)" + quoted(role) + R"(,"parts":[{"type":"text","content":)" + quoted(text) + "}]}";
}

std::vector<llm::Completed> read(llm::Tenants& tenants, const Message& request, otlp::Signal signal = otlp::Signal::Traces) {
  otlp::Index index;
  otlp::WireError error;
  CHECK(otlp::index(signal, request, index, error));
  std::vector<llm::Completed> out;
  tenants.observe("default", index, out);
  return out;
}

std::vector<std::string> textsOf(const std::vector<llm::Completed>& calls) {
  std::vector<std::string> out;
  for (const auto& call : calls)
    for (const auto& turn : call.turns) out.push_back(turn.part.text);
  return out;
}

}  // namespace

TEST(readsJsonInPlace) {
  std::string out;
  llm::json::unescape(R"(a\n\"\u00e9\ud83d\ude00\ud83d.\/)", out);
  CHECK(out == "a\n\"\xc3\xa9\xf0\x9f\x98\x80\xef\xbf\xbd./");
  out.clear();
  llm::json::compact(R"( { "a" : [ 1 , "\u0041 b" , null ] } )", out);
  CHECK(out == R"({"a":[1,"A b",null]})");
  for (const std::string_view whole : {"{}", " [1, {\"a\": \"]\"}] ", "[[]]"}) CHECK(llm::json::isWhole(whole));
  for (const std::string_view other : {"", "1", "\"a\"", "{", "[}", "[1] 2", "{\"a", "[\"\\\"]", "]", "}"})
    CHECK(!llm::json::isWhole(other));
  // No deeper than 64.
  CHECK(llm::json::isWhole(std::string(64, '[') + std::string(64, ']')));
  CHECK(!llm::json::isWhole(std::string(65, '[') + std::string(65, ']')));
}

TEST(knowsOldAndNewNames) {
  for (const std::string_view name : {"gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt"})
    CHECK(llm::attributeOf(name) == llm::Attribute::InputTokens);
  CHECK(llm::attributeOf("gen_ai.usage") == llm::Attribute::None);
  CHECK(llm::errorTypeOf("<class 'openai.RateLimitError'>") == "RateLimitError");
  CHECK(llm::finishReasonOf("tool_calls") == llm::finishReasonOf("tool_use"));
}

TEST(judgesOnlyWhatIsNew) {
  llm::Tenants tenants(kHash);
  std::string history;
  for (int turn = 0; turn < 5; ++turn) {
    history += (history.empty() ? "" : ",") + messageJson("user", "question " + std::to_string(turn));
    const std::string answer = messageJson("assistant", "answer " + std::to_string(turn));
    const auto calls = read(tenants, request("shop", {callSpan(kStart + turn * kSecond, "trace-" + std::to_string(turn), "span",
                                                               {attribute("gen_ai.input.messages", "[" + history + "]"),
                                                                attribute("gen_ai.output.messages", "[" + answer + "]")})}));
    CHECK(textsOf(calls) == std::vector<std::string>{"question " + std::to_string(turn), "answer " + std::to_string(turn)});
    CHECK(calls[0].repeatedTurns == static_cast<std::uint32_t>(2 * turn));
    history += "," + answer;
  }
  // The beginning of a history that was cut off is known by the answers in the conversation.
  const std::string later = "[" + messageJson("assistant", "answer 4") + "," + messageJson("user", "more") + "]";
  for (int i = 0; i < 2; ++i) {
    const auto calls = read(tenants, request("shop", {callSpan(kStart + 100 * kSecond, i == 0 ? "trace-4" : "trace-9", "other",
                                                               {attribute("gen_ai.input.messages", later)})}));
    CHECK(textsOf(calls).size() == (i == 0 ? 1 : 2));
  }
}

TEST(countsEachCallOnce) {
  llm::Tenants tenants(kHash);
  const auto spans = [&](std::uint64_t time, std::string_view span) {
    return read(tenants, request("shop", {callSpan(time, "0123456789abcdef", span, {attribute("gen_ai.response.id", "r-1")})}));
  };
  CHECK(spans(kStart, "span-one")[0].figures);
  CHECK(spans(kStart + 100'000, "span-two").empty());
  // Another call, although the provider gave it the same id.
  CHECK(spans(kStart + kSecond, "span-tre")[0].callsInConversation == 2);
  // Without an id, calls at the same time are different ones if one instrumentation reports them.
  for (const char* span : {"span-a", "span-b"})
    CHECK(read(tenants, request("shop", {callSpan(kStart + 2 * kSecond, "0123456789abcdef", span, {})}))[0].figures);
}

TEST(countsRepeatedToolCalls) {
  llm::Tenants tenants(kHash);
  for (std::uint32_t i = 1; i <= 3; ++i) {
    const std::string call = R"([{"role":"assistant","parts":[{"type":"tool_call","id":"c)" + std::to_string(i) +
                             R"(","name":"search","arguments":"{\"q\": 1}"}]}])";
    const auto calls =
        read(tenants, request("shop", {callSpan(kStart + i * kSecond, "0123456789abcdef", "span" + std::to_string(i),
                                                {attribute("gen_ai.output.messages", call)})}));
    CHECK(calls[0].turns[0].repeats == i);
    CHECK(calls[0].turns[0].part.text == R"({"q":1})");
    // The execution of the tool is the same call.
    Message tool = spanRecord("execute_tool search", {.time = kStart + i * kSecond, .span = "tool" + std::to_string(i)});
    tool.add(9, attribute("gen_ai.operation.name", "execute_tool")).add(9, attribute("gen_ai.tool.name", "search"));
    tool.add(9, attribute("gen_ai.tool.call.id", "c" + std::to_string(i)));
    CHECK(read(tenants, request("shop", {tool}))[0].turns.empty());
  }
}

TEST(knowsThePathOfTools) {
  llm::Tenants tenants(kHash);
  int spans = 0;
  // Each call asks for one tool, and the last one answers.
  const auto path = [&](const std::vector<std::string>& tools) {
    std::vector<std::optional<double>> bits;
    const std::string trace = "trace-" + std::to_string(spans);
    std::string history = messageJson("user", "question " + trace);
    for (std::size_t i = 0; i <= tools.size(); ++i, ++spans) {
      const std::string answer = i == tools.size()
                                     ? messageJson("assistant", "done " + trace)
                                     : R"({"role":"assistant","parts":[{"type":"tool_call","name":)" + quoted(tools[i]) +
                                           R"(,"arguments":{"n":)" + std::to_string(spans) + "}}]}";
      const auto calls = read(tenants, request("shop", {callSpan(kStart + spans * kSecond, trace, "span" + std::to_string(spans),
                                                                 {attribute("gen_ai.input.messages", "[" + history + "]"),
                                                                  attribute("gen_ai.output.messages", "[" + answer + "]")})}));
      bits.push_back(calls[0].turns.back().pathBits);
      history += "," + answer;
    }
    return bits;
  };
  CHECK(!path({"search", "read"})[0]);
  for (int i = 0; i < 130; ++i) path({"search", "read"});
  const auto usual = path({"search", "read"});
  CHECK(usual[0] == 0.0 && usual[1] == 0.0 && !usual[2]);
  const auto strange = path({"search", "send", "read"});
  CHECK(*strange[0] == 0 && *strange[1] > 3 && *strange[2] >= *strange[1]);
  // The agent usually answers now.
  const auto longer = path({"search", "read", "read"});
  CHECK(*longer[1] == 0 && *longer[2] > 3);
  // The next prompt begins anew.
  CHECK(*path({"search"})[0] == 0);
}

TEST(doesNotMoveOnWhenACallIsTriedAgain) {
  llm::Tenants tenants(kHash);
  int spans = 0;
  const auto path = [&](const std::vector<std::string>& calls) {
    std::vector<std::optional<double>> bits;
    const std::string trace = "trace-" + std::to_string(spans);
    for (const std::string& call : calls) {
      const std::string answer = R"([{"role":"assistant","parts":[{"type":"tool_call","name":)" + quoted(call.substr(0, 1)) +
                                 R"(,"arguments":{"n":)" + quoted(trace + call.substr(1)) + "}}]}]";
      const std::string span = "span" + std::to_string(spans++);
      bits.push_back(read(tenants, request("shop", {callSpan(kStart + spans * kSecond, trace, span,
                                                             {attribute("gen_ai.output.messages", answer)})}))[0]
                         .turns.back()
                         .pathBits);
    }
    read(tenants,
         request("shop", {callSpan(kStart + ++spans * kSecond, trace, "span" + std::to_string(spans),
                                   {attribute("gen_ai.output.messages", "[" + messageJson("assistant", "done") + "]")})}));
    return bits;
  };
  // One call in a hundred is tried again, of each tool in turn.
  for (int i = 0; i < 150; ++i) path(i % 50 == 49 ? std::vector<std::string>{"a", "b", "b"} : std::vector<std::string>{"a", "b"});
  const auto usual = path({"a", "b", "b"}), other = path({"a", "a", "b"});
  // What has been seen of one tool is no surprise of another.
  CHECK(*usual[2] > 2 && *usual[2] < 5);
  CHECK(std::abs(*other[1] - *usual[2]) < 0.5 && *other[2] == *other[1]);
  // A tool that is called with other arguments, or from elsewhere, is a step like any other.
  CHECK(*path({"a", "a1"})[1] > *usual[2] && *path({"a", "b", "a"})[2] > *usual[2]);
  // The more often, the rarer.
  const auto loop = path({"a", "b", "b", "b", "b", "b"});
  CHECK(*loop[5] > 3 * *loop[2]);
}

TEST(leavesTextsOfCallsToStreamsOfTheirOwn) {
  const Message text = attribute("gen_ai.input.messages", "[" + messageJson("user", "question") + "]");
  const auto span = [](const std::vector<Message>& attributes) {
    Message out = spanRecord("span", {.time = kStart, .span = "span-one"});
    for (const Message& each : attributes) out.add(9, each);
    return out;
  };
  const auto log = [](const std::string& event, const std::vector<Message>& attributes) {
    Message out = logRecord("x", {.time = kStart, .eventName = event});
    for (const Message& each : attributes) out.add(6, each);
    return out;
  };
  // The texts that are read of a record, and whether it is a call.
  const auto texts = [](const Message& record, otlp::Signal signal, CallTexts which) {
    otlp::Index index;
    otlp::WireError error;
    const Message bytes = request("shop", {record});
    CHECK(otlp::index(signal, bytes, index, error));
    RecordView view;
    readFields(index, index.records[0], view, which);
    int count = 0;
    for (const Field& field : view.fields) {
      const std::string_view key = textOf(field.key);
      if (key.find("messages") != key.npos || key.find("value") != key.npos || key.find("content") != key.npos ||
          key.find("arguments") != key.npos)
        ++count;
    }
    return std::pair(count, !index.llm.empty() && llm::readCall(index, 0, kHash).has_value());
  };
  const auto operation = [](std::string_view name) { return attribute("gen_ai.operation.name", name); };
  const auto kind = [](std::string_view name) { return attribute("openinference.span.kind", name); };
  const Message value = attribute("input.value", "text"), flat = attribute("llm.input_messages.0.message.content", "text");
  const Message given = attribute("gen_ai.tool.call.arguments", "{}"), model = attribute("gen_ai.request.model", "model");
  const std::vector<Message> spans = {
      span({text, operation("chat")}),
      span({operation("invoke_agent"), text}),
      span({operation("execute_tool"), attribute("gen_ai.tool.name", "search"), given}),
      span({text, model}),
      span({kind("LLM"), value, flat}),
      span({kind("CHAIN"), value, flat}),
      span({kind("TOOL"), value}),
      span({value}),
      span({attribute("traceloop.span.kind", "workflow"), attribute("traceloop.entity.input", "{}"), value}),
      span({attribute("llm.request.type", "chat"), attribute("gen_ai.prompt.0.content", "text")}),
      span({attribute("gen_ai.prompt.version", "7"), operation("invoke_agent"), text}),
  };
  for (const Message& each : spans) {
    const auto [all, isCall] = texts(each, otlp::Signal::Traces, CallTexts::Read);
    CHECK(all > 0);
    CHECK(texts(each, otlp::Signal::Traces, CallTexts::LeftOut).first == (isCall ? 0 : all));
  }
  const std::string details(llm::kCallDetails);
  CHECK(texts(log(details, {operation("chat"), model, text}), otlp::Signal::Logs, CallTexts::LeftOut) == std::pair(0, true));
  CHECK(texts(log(details, {operation("chat"), model, text}), otlp::Signal::Logs, CallTexts::Read) == std::pair(1, true));
  CHECK(texts(log("", {attribute("event.name", details), operation("chat"), model, text}), otlp::Signal::Logs,
              CallTexts::LeftOut) == std::pair(0, true));
  CHECK(texts(log("other", {operation("chat"), model, text}), otlp::Signal::Logs, CallTexts::LeftOut) == std::pair(1, false));
}

TEST(boundsWhatOneRequestGives) {
  llm::Tenants tenants(kHash);
  std::string many = "[", deep;
  for (int i = 0; i < 100'000; ++i) many += (i ? "," : "") + messageJson("user", "message " + std::to_string(i));
  many += "]";
  for (int i = 0; i < 100'000; ++i) deep += "[";
  const std::string large(4 << 20, 'x');
  const auto calls =
      read(tenants, request("shop", {callSpan(kStart, "0123456789abcdef", "a", {attribute("gen_ai.input.messages", many)}),
                                     callSpan(kStart, "0123456789abcdef", "b", {attribute("gen_ai.input.messages", deep)}),
                                     callSpan(kStart, "0123456789abcdef", "c",
                                              {attribute("gen_ai.input.messages", "[" + messageJson("user", large) + "]")}),
                                     callSpan(kStart, "0123456789abcdef", "d",
                                              {attribute("llm.input_messages.4294967295.message.content", "last"),
                                               attribute("llm.input_messages.99999999999.message.content", "no number")})}));
  CHECK(calls.size() == 4);
  CHECK(calls[0].turns.size() == llm::Calls::kMostTurns);
  CHECK(calls[0].turns.size() + calls[0].turnsLeftOut <= 2 * llm::kMaxMessages);
  CHECK(calls[2].turns[0].part.text.size() == llm::kMaxText && calls[2].turns[0].part.size == large.size());
  CHECK(textsOf({calls[3]}) == std::vector<std::string>{"last"});
  // Messages whose calls never come, and tenants that send one call each.
  for (int i = 0; i < 5'000; ++i) {
    Message log = logRecord("x", {.time = kStart, .trace = "trace" + std::to_string(i), .eventName = "gen_ai.user.message"});
    log.text(10, "span").add(6, attribute("gen_ai.system", "openai"));
    CHECK(read(tenants, request("shop", {log}), otlp::Signal::Logs).empty());
  }
  CHECK(tenants.bytes < 8u << 20);
}

TEST(snapshotsHoldMasksOnly) {
  llm::Tenants tenants(kHash), restored(kHash);
  const auto span = [](std::string_view id, std::string_view attributeName, std::string_view value) {
    return request("shop",
                   {callSpan(kStart, "0123456789abcdef", id, {attribute(std::string(attributeName), std::string(value))})});
  };
  read(tenants, span("span-one", "gen_ai.conversation.id", "chat with anna@shop.eu"));
  read(tenants, span("span-two", "gen_ai.agent.name", "agent of anna@shop.eu"));
  // A message whose call has not come yet.
  Message log = logRecord("mail to bert@shop.eu", {.time = kStart, .trace = "trace", .eventName = "gen_ai.user.message"});
  log.text(10, "span").add(6, attribute("gen_ai.system", "openai"));
  read(tenants, request("shop", {log}), otlp::Signal::Logs);
  const auto snapshotOf = [](const llm::Tenants& of, const privacy::Policy& policy) {
    std::vector<std::uint8_t> bytes;
    of.snapshot(bytes, policy);
    return bytes;
  };
  const auto has = [](const std::vector<std::uint8_t>& bytes, std::string_view text) {
    return textOf(bytes).find(text) != std::string_view::npos;
  };
  const privacy::Policy masks, leaves{privacy::Actions{}};
  const auto masked = snapshotOf(tenants, masks);
  CHECK(!has(masked, "anna@shop.eu") && !has(masked, "bert@shop.eu"));
  CHECK(has(masked, "chat with [email") && has(masked, "agent of [email"));
  const auto left = snapshotOf(tenants, leaves);
  CHECK(has(left, "agent of anna@shop.eu") && has(left, "mail to bert@shop.eu"));
  CHECK(restored.restore(masked));
  CHECK(snapshotOf(restored, leaves) == masked);
}

TEST(callsSurviveARestart) {
  Settings settings = settingsOf();
  settings.llm.enabled = true;
  Bench one(settings), two(settings);
  std::string history;
  const auto step = [&](int i) {
    history += (history.empty() ? "" : ",") + messageJson("user", "question " + std::to_string(i % 50));
    const std::string answer = messageJson("assistant", "answer " + std::to_string(i % 7));
    Message out = request("shop", {callSpan(kStart + i * kSecond, "0123456789abcdef", "span" + std::to_string(i),
                                            {attribute("gen_ai.input.messages", "[" + history + "]"),
                                             attribute("gen_ai.output.messages", "[" + answer + "]"),
                                             attribute("gen_ai.usage.input_tokens", std::uint64_t{100})})});
    history += "," + answer;
    if (i % 10 == 9) history.clear();
    return out;
  };
  for (int i = 0; i < 300; ++i) one.process(otlp::Signal::Traces, step(i));
  const auto snapshot = one.snapshot();
  CHECK(two.restore(snapshot));
  CHECK(two.snapshot() == snapshot);
  bool equal = true;
  for (int i = 300; i < 400; ++i) {
    const Message request = step(i);
    const auto a = one.process(otlp::Signal::Traces, request), b = two.process(otlp::Signal::Traces, request);
    equal = equal && same(*a, *b) && !a->calls.empty();
  }
  CHECK(equal);
  CHECK(one.snapshot() == two.snapshot());
}
