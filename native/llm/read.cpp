#include "llm/read.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "llm/messages.hpp"
#include "otlp/views.hpp"
#include "record/call_names.hpp"
#include "record/event_time.hpp"

namespace driftlock::llm {
namespace {

constexpr std::size_t kMaxReasons = 8;

std::string nameOf(std::string_view text) { return std::string(text.substr(0, kMaxName)); }

void nameFrom(const otlp::AnyValue& value, std::string& out) {
  if (value.type == otlp::AnyValue::Type::String && out.empty()) out = nameOf(textOf(value.bytes));
}

void countFrom(const otlp::AnyValue& value, std::optional<std::uint64_t>& out) {
  constexpr double kMost = 1e15;
  if (out) return;
  if (const auto number = Node(value).number(); number && *number >= 0 && *number <= kMost)
    out = static_cast<std::uint64_t>(*number);
}

/// What a record says, gathered attribute by attribute.
class Gatherer {
 public:
  Gatherer(const KeyedHash& hash, Call& call) : reader_(hash), call_(call) {}

  void attributes(const otlp::Attributes& attributes) {
    for (const otlp::KeyValue& attribute : attributes) {
      const std::string_view key = textOf(attribute.key);
      if (!flat_.take(key, attribute.value)) this->attribute(attributeOf(key), attribute.value);
    }
  }

  /// Completes what depends on several attributes. Returns false if the record is no call.
  bool finish() {
    if (call_.operation.empty()) call_.operation = operationOf(textOf(spanKind_.bytes));
    if (call_.operation.empty() && !named_) return false;
    if (call_.operation == "execute_tool") {
      tool();
      return true;
    }
    if (parameters_.type == otlp::AnyValue::Type::String && call_.requestModel.empty()) {
      if (const Node model = Node(parameters_).member("model"); model.isString()) call_.requestModel = nameOf(model.text());
    }
    if (system_.type != otlp::AnyValue::Type::None) reader_.readAll(Node(system_), Role::System, call_, call_.input);
    if (input_.type != otlp::AnyValue::Type::None) reader_.readAll(Node(input_), Role::User, call_, call_.input);
    if (output_.type != otlp::AnyValue::Type::None) reader_.readAll(Node(output_), Role::Assistant, call_, call_.output);
    flat_.read(reader_, call_);
    whole();
    if (call_.operation.empty() && (!call_.model().empty() || !call_.input.empty() || !call_.output.empty()))
      call_.operation = "chat";
    return !call_.operation.empty();
  }

  /// Reads the body of an event that is one message.
  void message(const Node& body, Role role, bool choice) {
    if (body.type() == Node::Type::None) return;
    reader_.readAll(body, role, call_, choice ? call_.output : call_.input);
  }

 private:
  void attribute(Attribute what, const otlp::AnyValue& value) {
    const auto keep = [&](otlp::AnyValue& out) {
      if (out.type == otlp::AnyValue::Type::None) out = value;
    };
    switch (what) {
      case Attribute::Operation:
        if (call_.operation.empty()) {
          call_.operation = operationOf(textOf(value.bytes));
          // Another operation, such as that of an agent, is no call.
          named_ = named_ && !call_.operation.empty();
        }
        return;
      case Attribute::Provider: return nameFrom(value, call_.provider);
      case Attribute::RequestModel: return nameFrom(value, call_.requestModel);
      case Attribute::ResponseModel: return nameFrom(value, call_.responseModel);
      case Attribute::ResponseId: return nameFrom(value, call_.responseId);
      case Attribute::Conversation: return nameFrom(value, call_.conversation);
      case Attribute::Agent: return nameFrom(value, call_.agent);
      case Attribute::PromptVersion: return nameFrom(value, call_.promptVersion);
      case Attribute::ErrorType:
        if (call_.errorType.empty()) call_.errorType = errorTypeOf(nameOf(textOf(value.bytes)));
        return;
      case Attribute::InputTokens: return countFrom(value, call_.inputTokens);
      case Attribute::OutputTokens: return countFrom(value, call_.outputTokens);
      case Attribute::CachedTokens: return countFrom(value, call_.cachedTokens);
      case Attribute::FirstChunk:
        if (const auto seconds = Node(value).number(); seconds && *seconds >= 0 && *seconds < 1e6)
          call_.secondsToFirstChunk = *seconds;
        return;
      case Attribute::FinishReasons: return reasons(Node(value));
      case Attribute::InputMessages: return keep(input_);
      case Attribute::OutputMessages: return keep(output_);
      case Attribute::SystemInstructions: return keep(system_);
      case Attribute::InputValue: return keep(inputValue_);
      case Attribute::OutputValue: return keep(outputValue_);
      case Attribute::InvocationParameters: return keep(parameters_);
      case Attribute::SpanKind:
        // Workflows, agents and chains are no calls.
        keep(spanKind_);
        named_ = false;
        return;
      case Attribute::ToolName: return keep(toolName_);
      case Attribute::ToolCallId: return keep(toolCallId_);
      case Attribute::ToolArguments: return keep(toolArguments_);
      case Attribute::ToolResult: return keep(toolResult_);
      case Attribute::EventName:
      case Attribute::None: return;
    }
  }

  void reasons(const Node& value) {
    if (!call_.finishReasons.empty()) return;
    const auto add = [&](const Node& each) {
      if (each.isString()) call_.finishReasons.emplace_back(finishReasonOf(nameOf(each.text())));
      return call_.finishReasons.size() < kMaxReasons;
    };
    if (value.type() == Node::Type::Array) value.elements(add);
    else add(value);
  }

  /// Reads from the whole response, which OpenInference adds, what it has nowhere else.
  void whole() {
    if (!call_.responseId.empty() || outputValue_.type != otlp::AnyValue::Type::String) return;
    const Node response(outputValue_);
    if (response.type() != Node::Type::Object) return;
    if (const Node id = response.member("id"); id.isString()) call_.responseId = nameOf(id.text());
    response.member("choices").elements([&](const Node& choice) {
      reasons(choice.member("finish_reason"));
      // Messages in flat attributes have no refusal.
      const Node message = choice.member("message");
      if (message.member("refusal").isString() && std::ranges::all_of(call_.output, &std::vector<Part>::empty, &Message::parts))
        call_.output = {reader_.read(message, Role::Assistant)};
      return false;
    });
    // The Responses API states how a response ended, not why.
    if (call_.finishReasons.empty()) reasons(response.member("status"));
  }

  /// Reads the execution of a tool as a call of the tool and its result.
  void tool() {
    const auto either = [](const otlp::AnyValue& first, const otlp::AnyValue& second) {
      return Node(first.type != otlp::AnyValue::Type::None ? first : second);
    };
    const std::string_view name = textOf(toolName_.bytes), id = textOf(toolCallId_.bytes);
    Message asked{.role = Role::Assistant, .parts = {}}, answered{.role = Role::Tool, .parts = {}};
    asked.parts.push_back(reader_.toolCall(name, id, either(toolArguments_, inputValue_)));
    call_.input.push_back(std::move(asked));
    if (const Node result = either(toolResult_, outputValue_); result.type() != Node::Type::None) {
      answered.parts.push_back(reader_.toolResult(name, id, result));
      call_.output.push_back(std::move(answered));
    }
  }

  MessageReader reader_;
  Call& call_;
  FlatMessages flat_;
  /// Whether it may be a call although no operation says so.
  bool named_ = true;
  otlp::AnyValue input_, output_, system_, inputValue_, outputValue_, parameters_, spanKind_, toolName_, toolCallId_,
      toolArguments_, toolResult_;
};

std::uint64_t timeOf(std::uint64_t time) { return time * std::max<std::uint64_t>(unitOf(time), 1); }

/// The events of the semantic conventions 1.28 to 1.36, each of which is one message.
std::optional<Role> messageEvent(std::string_view name) {
  constexpr std::array kEvents = std::to_array<std::pair<std::string_view, Role>>({{"gen_ai.system.message", Role::System},
                                                                                   {"gen_ai.user.message", Role::User},
                                                                                   {"gen_ai.assistant.message", Role::Assistant},
                                                                                   {"gen_ai.tool.message", Role::Tool},
                                                                                   {"gen_ai.choice", Role::Assistant}});
  const auto found = std::ranges::find(kEvents, name, &std::pair<std::string_view, Role>::first);
  return found == kEvents.end() ? std::nullopt : std::optional(found->second);
}

constexpr std::string_view kChoice = "gen_ai.choice";

/// Reads what a span's events say: its first chunk, its exception, and messages.
void readEvents(const otlp::SpanView& span, Call& call, Gatherer& gather) {
  for (const otlp::EventView event : span.events) {
    const std::string_view name = textOf(event.name);
    if (name == "First Token Stream Event" || name == "gen_ai.content.completion.chunk" ||
        name == "llm.content.completion.chunk") {
      const std::uint64_t time = timeOf(event.timeUnixNano);
      if (!call.secondsToFirstChunk && time >= call.start)
        call.secondsToFirstChunk = static_cast<double>(time - call.start) / 1e9;
    } else if (name == "exception") {
      for (const otlp::KeyValue& attribute : event.attributes) {
        if (textOf(attribute.key) == "exception.type" && call.errorType.empty())
          call.errorType = errorTypeOf(nameOf(textOf(attribute.value.bytes)));
      }
    } else if (name == kCallDetails || name == "gen_ai.content.prompt" || name == "gen_ai.content.completion") {
      gather.attributes(event.attributes);
    } else if (const auto role = messageEvent(name)) {
      for (const otlp::KeyValue& attribute : event.attributes) {
        const std::string_view key = textOf(attribute.key);
        if (key == "content" || key == "message" || key == "gen_ai.event.content")
          gather.message(Node(attribute.value), *role, name == kChoice);
      }
    }
  }
}

std::optional<Reading> readSpan(Bytes record, std::string_view scope, const KeyedHash& hash) {
  const otlp::SpanView span = otlp::readSpan(record);
  Reading reading{.source = Reading::Source::Span,
                  .traceId = span.traceId,
                  .spanId = span.spanId,
                  .parentSpanId = span.parentSpanId,
                  .call = {}};
  Call& call = reading.call;
  call.scope = nameOf(scope);
  call.start = timeOf(span.startTimeUnixNano);
  call.end = std::max(call.start, timeOf(span.endTimeUnixNano));
  Gatherer gather(hash, call);
  gather.attributes(span.attributes);
  readEvents(span, call, gather);
  if (!gather.finish()) return {};
  if (span.statusCode == 2 && call.errorType.empty()) call.errorType = "error";
  return reading;
}

std::optional<Reading> readLog(Bytes record, std::string_view scope, const KeyedHash& hash) {
  const otlp::LogRecordView log = otlp::readLogRecord(record);
  std::string_view name = textOf(log.eventName);
  for (const otlp::KeyValue& attribute : log.attributes) {
    if (!name.empty()) break;
    if (attributeOf(textOf(attribute.key)) == Attribute::EventName) name = textOf(attribute.value.bytes);
  }
  const auto role = messageEvent(name);
  if (!role && name != kCallDetails) return {};
  Reading reading{.source = role ? Reading::Source::Message : Reading::Source::Details,
                  .traceId = log.traceId,
                  .spanId = log.spanId,
                  .parentSpanId = {},
                  .call = {}};
  Call& call = reading.call;
  call.scope = nameOf(scope);
  call.start = call.end = timeOf(log.timeUnixNano != 0 ? log.timeUnixNano : log.observedTimeUnixNano);
  Gatherer gather(hash, call);
  gather.attributes(log.attributes);
  if (role) {
    gather.message(Node(log.body), *role, name == kChoice);
    gather.finish();
  } else {
    // Some write the details as the event's body.
    if (log.body.type == otlp::AnyValue::Type::List) gather.attributes(otlp::listOf(log.body));
    if (!gather.finish()) return {};
  }
  return reading;
}

}  // namespace

std::optional<Reading> readCall(const otlp::Index& index, std::uint32_t number, const KeyedHash& hash) {
  const otlp::Record& record = index.records[number];
  const std::string_view scope = textOf(otlp::readScope(index, index.scopeOf(record)).name);
  switch (index.signal) {
    case otlp::Signal::Traces: return readSpan(index.bytes(record), scope, hash);
    case otlp::Signal::Logs: return readLog(index.bytes(record), scope, hash);
    default: return {};
  }
}

}  // namespace driftlock::llm
