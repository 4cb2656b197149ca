#include "llm/calls.hpp"

#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "base/state_bytes.hpp"

namespace driftlock::llm {
namespace {

/// Domains of keys, so that those of different things differ.
enum Domain : std::uint64_t {
  kCall = 1,
  kResponse,
  kSibling,
  kConversation,
  kService,
  kChain,
  kAssistant,
  kToolId,
  kTool,
  kAgent
};

template <class Visitor, class Enum>
void visitEnum(Visitor& v, Enum& value) {
  auto number = static_cast<std::uint8_t>(value);
  v(number);
  if constexpr (!std::is_const_v<Enum>) value = static_cast<Enum>(number);
}

template <class Visitor, class Value>
void visitOptional(Visitor& v, Value& optional) {
  bool there = optional.has_value();
  v(there);
  if constexpr (!std::is_const_v<Value>) {
    if (there) v(optional.emplace());
    else optional.reset();
  } else if (there) {
    v(*optional);
  }
}

template <class Visitor, class Vector, class Each>
void visitAll(Visitor& v, Vector& all, std::size_t most, Each&& each) {
  auto count = static_cast<std::uint32_t>(all.size());
  v(count);
  if constexpr (!std::is_const_v<Vector>) all.resize(std::min<std::size_t>(count, most + 1));
  for (auto& one : all) each(one);
}

template <class Visitor, class Messages>
void visitMessages(Visitor& v, Messages& messages) {
  visitAll(v, messages, kMaxMessages * 2, [&](auto& message) {
    visitEnum(v, message.role);
    visitAll(v, message.parts, kMaxParts, [&](auto& part) {
      visitEnum(v, part.kind);
      v(part.malformed), v(part.refusal), v(part.text), v(part.hash), v(part.size), v(part.tool), v(part.toolCallId);
    });
  });
}

template <class Visitor, class Self>
void visitCall(Visitor& v, Self& call) {
  v(call.conversation), v(call.agent), v(call.provider), v(call.requestModel), v(call.responseModel), v(call.responseId);
  v(call.operation), v(call.errorType), v(call.promptVersion), v(call.scope), v(call.start), v(call.end), v(call.before);
  visitOptional(v, call.inputTokens), visitOptional(v, call.outputTokens), visitOptional(v, call.cachedTokens);
  visitOptional(v, call.secondsToFirstChunk);
  visitAll(v, call.finishReasons, 16, [&](auto& reason) { v(reason); });
  visitMessages(v, call.input), visitMessages(v, call.output);
}

bool soundMessages(const std::vector<Message>& messages) {
  return messages.size() <= 2 * kMaxMessages && std::ranges::all_of(messages, [](const Message& message) {
           return message.role <= Role::Tool && message.parts.size() <= kMaxParts &&
                  std::ranges::all_of(message.parts, [](const Part& part) {
                    return part.kind <= Kind::ToolResult && part.text.size() <= kMaxText;
                  });
         });
}

std::size_t bytesOf(const std::vector<Message>& messages) {
  std::size_t bytes = 0;
  for (const Message& message : messages) {
    bytes += sizeof message;
    for (const Part& part : message.parts) bytes += sizeof part + part.text.size() + part.tool.size() + part.toolCallId.size();
  }
  return bytes;
}

/// Returns the texts of a call, except for its messages and the reasons why it finished.
auto namesOf(auto& call) {
  return std::array{&call.conversation, &call.agent,     &call.provider,  &call.requestModel,  &call.responseModel,
                    &call.responseId,   &call.operation, &call.errorType, &call.promptVersion, &call.scope};
}

/// Masks personal and secret values in the texts of a call. Lengths stay.
void mask(Call& call, const privacy::Masking& masking) {
  const auto blank = [&](std::string& text) { masking.blank({reinterpret_cast<std::uint8_t*>(text.data()), text.size()}, {}); };
  for (std::string* text : namesOf(call)) blank(*text);
  for (std::string& reason : call.finishReasons) blank(reason);
  for (std::vector<Message>* messages : {&call.input, &call.output}) {
    for (Message& message : *messages)
      for (Part& part : message.parts) blank(part.text), blank(part.tool), blank(part.toolCallId);
  }
}

/// Fills in what only the other report of a call states.
template <typename Value>
void complete(Value& value, const Value& other) {
  if constexpr (requires { value.empty(); }) {
    if (value.empty()) value = other;
  } else {
    if (!value) value = other;
  }
}

/// Joins two reports of a call, except for their messages.
void join(Call& call, const Call& other) {
  complete(call.conversation, other.conversation), complete(call.agent, other.agent), complete(call.provider, other.provider);
  complete(call.requestModel, other.requestModel), complete(call.responseModel, other.responseModel);
  complete(call.responseId, other.responseId), complete(call.operation, other.operation);
  complete(call.errorType, other.errorType), complete(call.promptVersion, other.promptVersion);
  complete(call.inputTokens, other.inputTokens), complete(call.outputTokens, other.outputTokens);
  complete(call.cachedTokens, other.cachedTokens), complete(call.secondsToFirstChunk, other.secondsToFirstChunk);
  complete(call.finishReasons, other.finishReasons);
  complete(call.scope, other.scope);
}

std::string hexOf(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<std::uint8_t>(c) >> 4];
    out += kDigits[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

}  // namespace

template <class Self, class Visitor>
void Calls::Known::visit(Self& self, Visitor& v) {
  v(self.same), v(self.traceId), v(self.spanId), v(self.turns), v(self.figures), v(self.hasInput), v(self.hasOutput);
  visitCall(v, self.call);
}

bool Calls::Known::sound(std::size_t) const {
  return call.finishReasons.size() <= 16 && soundMessages(call.input) && soundMessages(call.output);
}

std::size_t Calls::Known::pending() const { return llm::bytesOf(call.input) + llm::bytesOf(call.output); }

std::size_t Calls::Known::memory() const {
  std::size_t bytes = pending() + heapOf(traceId) + heapOf(spanId);
  for (const std::string* text : namesOf(call)) bytes += heapOf(*text);
  return bytes;
}

template <class Self, class Visitor>
void Calls::Conversation::visit(Self& self, Visitor& v) {
  v(self.calls), v(self.step), v(self.pathBits);
  visitAll(v, self.tools, kMostTools, [&](auto& tool) { v(tool.hash), v(tool.count); });
}

std::uint32_t Calls::Conversation::count(std::uint64_t tool) {
  const auto found = std::ranges::find(tools, tool, &Tool::hash);
  if (found != tools.end()) {
    // The latest is last.
    std::rotate(found, found + 1, tools.end());
    return ++tools.back().count;
  }
  if (tools.size() == kMostTools) tools.erase(tools.begin());
  tools.push_back({tool, 1});
  return 1;
}

void Calls::see(std::uint64_t hash) {
  if (const std::uint32_t slot = seen_.find(hash); slot != SlotTable<Seen>::kNone) return seen_.touch(slot);
  if (seen_.size() == kMostSeen) seen_.erase(seen_.oldest());
  seen_.add(hash);
}

Calls::Conversation& Calls::conversation(std::uint64_t hash) {
  std::uint32_t slot = conversations_.find(hash);
  if (slot == SlotTable<Conversation>::kNone) {
    if (conversations_.size() == kMostConversations) conversations_.erase(conversations_.oldest());
    slot = conversations_.add(hash);
  }
  conversations_.touch(slot);
  return conversations_[slot];
}

std::uint64_t Calls::sameCall(const Reading& reading, std::uint64_t own) const {
  const Call& call = reading.call;
  const auto overlaps = [&](std::uint64_t key, bool otherScope) {
    const std::uint32_t slot = calls_.find(key);
    if (slot == SlotTable<Known>::kNone || key == own) return false;
    // A second report of a call is of the same time; calls that follow each other may touch, since clocks are coarse.
    const Call& other = calls_[slot].call;
    const std::uint64_t from = std::max(call.start, other.start), to = std::min(call.end, other.end);
    const std::uint64_t shorter = std::min(call.end - call.start, other.end - other.start);
    return from <= to && to - from >= shorter / 2 && (!otherScope || other.scope != call.scope);
  };
  const auto find = [&](std::uint64_t hash, bool otherScope) -> std::uint64_t {
    const std::uint32_t slot = latest_.find(hash);
    if (slot == SlotTable<Latest>::kNone) return 0;
    const std::uint64_t key = latest_[slot].call;
    return overlaps(key, otherScope) ? key : 0;
  };
  if (!call.responseId.empty()) {
    if (const std::uint64_t key = find(hashOf(call.responseId, kResponse), false)) return key;
    return own;
  }
  // Calls that one instrumentation reports at the same time are different ones.
  const std::uint64_t key = find(hash_(reading.traceId, hash_(reading.parentSpanId, hashOf(call.operation, kSibling))), true);
  return key != 0 ? key : own;
}

void Calls::remember(const Reading& reading, std::uint64_t key) {
  const auto put = [&](std::uint64_t hash) {
    std::uint32_t slot = latest_.find(hash);
    if (slot == SlotTable<Latest>::kNone) {
      if (latest_.size() == kMostResponses) latest_.erase(latest_.oldest());
      slot = latest_.add(hash);
    }
    latest_.touch(slot);
    latest_[slot].call = key;
  };
  if (!reading.call.responseId.empty()) put(hashOf(reading.call.responseId, kResponse));
  put(hash_(reading.traceId, hash_(reading.parentSpanId, hashOf(reading.call.operation, kSibling))));
}

void Calls::forgetOldestCall() {
  Known& oldest = calls_[calls_.oldest()];
  dropped_ += oldest.call.input.size() + oldest.call.output.size();
  pending_ -= oldest.pending();
  inCalls_ -= oldest.memory();
  calls_.erase(calls_.oldest());
}

std::uint32_t Calls::known(std::uint64_t key, const Reading& reading) {
  std::uint32_t slot = calls_.find(key);
  if (slot == SlotTable<Known>::kNone) {
    if (calls_.size() == kMostCalls) forgetOldestCall();
    slot = calls_.add(key);
    Known& fresh = calls_[slot];
    fresh.traceId = textOf(reading.traceId.first(std::min<std::size_t>(reading.traceId.size(), 16)));
    fresh.spanId = textOf(reading.spanId.first(std::min<std::size_t>(reading.spanId.size(), 8)));
    fresh.call.start = reading.call.start;
    fresh.call.end = reading.call.end;
    inCalls_ += fresh.memory();
  }
  calls_.touch(slot);
  return slot;
}

void Calls::add(Reading reading, std::string_view service, std::uint32_t record, std::vector<Completed>& out) {
  const bool identified = !reading.traceId.empty() && !reading.spanId.empty();
  // A record without ids belongs to nothing else.
  const std::uint64_t own = identified ? hash_(reading.traceId, hash_(reading.spanId, kCall))
                                       : hash_(reading.call.end, hash_(std::uint64_t{record}, kCall));
  std::uint64_t key = own;
  if (reading.source == Reading::Source::Span && identified && reading.call.operation != "execute_tool") {
    key = sameCall(reading, own);
    if (key != own) {
      const std::uint32_t slot = known(own, reading);
      inCalls_ -= calls_[slot].memory();
      calls_[slot].same = key;
      inCalls_ += calls_[slot].memory();
    }
    remember(reading, key);
  }
  // The first report may itself have been forgotten, or be a second one.
  if (const std::uint32_t slot = calls_.find(key); slot != SlotTable<Known>::kNone && calls_[slot].same != 0) {
    const std::uint64_t same = calls_[slot].same;
    if (same != key && calls_.find(same) != SlotTable<Known>::kNone) key = same;
  }
  const std::uint32_t slot = known(key, reading);
  Known& call = calls_[slot];
  pending_ -= call.pending();
  inCalls_ -= call.memory();

  std::vector<Message> input = std::move(reading.call.input), output = std::move(reading.call.output);
  reading.call.input.clear();
  reading.call.output.clear();
  const bool states = reading.source != Reading::Source::Message;
  // Details that name no model only add messages to what the span says.
  const bool figures = reading.source == Reading::Source::Span || (states && !reading.call.model().empty()) || !identified;
  if (reading.source == Reading::Source::Span) {
    call.call.start = reading.call.start;
    call.call.end = reading.call.end;
    call.call.scope = reading.call.scope;
  }
  join(call.call, reading.call);
  call.call.before = call.call.before != 0 ? call.call.before : reading.call.before;
  const bool first = figures && !call.figures;
  call.figures = call.figures || figures;
  const auto take = [](std::vector<Message>& from, bool had, std::vector<Message>& to, bool whole) {
    if (had) return;
    // A span has all messages; events have one each.
    if (whole && !from.empty()) to = std::move(from);
    else std::ranges::move(from, std::back_inserter(to));
  };
  take(input, call.hasInput, call.call.input, states);
  take(output, call.hasOutput, call.call.output, states);
  if (call.call.input.size() > 2 * kMaxMessages) call.call.input.resize(2 * kMaxMessages);
  if (call.call.output.size() > 2 * kMaxMessages) call.call.output.resize(2 * kMaxMessages);

  const bool tool = call.call.operation == "execute_tool";
  // Messages that come one by one are complete with the answer, or if there will be none.
  const bool ready =
      call.figures && (!call.call.output.empty() || call.hasOutput || call.call.failed() || (states && !input.empty()) ||
                       (reading.source == Reading::Source::Span && !call.call.input.empty()) || tool || !identified);
  const bool turns = ready && (!call.call.input.empty() || !call.call.output.empty());
  if (first || turns || (reading.source == Reading::Source::Span && call.figures && key == own)) {
    Completed completed;
    completed.id = key;
    completed.record = record;
    completed.traceId = call.traceId;
    completed.spanId = call.spanId;
    completed.service = service;
    completed.figures = first;
    std::vector<Message> asked, answered;
    if (turns) {
      call.hasInput = call.hasInput || !call.call.input.empty();
      call.hasOutput = call.hasOutput || !call.call.output.empty();
      asked = std::exchange(call.call.input, {});
      answered = std::exchange(call.call.output, {});
    }
    // What waits for the answer is not copied.
    std::vector<Message> waiting = std::exchange(call.call.input, {}), late = std::exchange(call.call.output, {});
    completed.call = call.call;
    call.call.input = std::move(waiting);
    call.call.output = std::move(late);
    if (completed.call.conversation.empty()) completed.call.conversation = hexOf(call.traceId);
    const std::uint64_t conversation = hashOf(completed.call.conversation, kConversation);
    if (first && !tool) completed.callsInConversation = ++this->conversation(conversation).calls;
    const std::uint32_t before = call.turns;
    if (tool) {
      asked.empty() ? void() : addTool(asked, answered, completed, conversation);
    } else if (turns) {
      judge(std::move(asked), std::move(answered), service, !call.call.conversation.empty(), conversation, completed);
    }
    for (Turn& each : completed.turns) each.index += before;
    call.turns += static_cast<std::uint32_t>(completed.turns.size());
    out.push_back(std::move(completed));
  }
  pending_ += call.pending();
  inCalls_ += call.memory();
  while (pending_ > kMostPending && calls_.size() > 1) forgetOldestCall();
}

ToolPaths& Calls::pathsOf(const Completed& completed) {
  const std::uint64_t agent = hashOf(completed.call.agent, hashOf(completed.service, kAgent));
  std::uint32_t slot = paths_.find(agent);
  if (slot == SlotTable<ToolPaths>::kNone) {
    if (paths_.size() == kMostAgents) {
      inPaths_ -= paths_[paths_.oldest()].memory();
      paths_.erase(paths_.oldest());
    }
    slot = paths_.add(agent);
  }
  paths_.touch(slot);
  return paths_[slot];
}

void Calls::learn(ToolPaths& paths, std::uint64_t from, std::uint64_t to) {
  inPaths_ -= paths.memory();
  paths.learn(from, to);
  inPaths_ += paths.memory();
}

std::optional<double> Calls::step(const Part& part, bool repeated, ToolPaths& paths, Conversation& conversation) {
  /// What is free of each step.
  constexpr double kUsual = 2.5;
  const std::uint64_t to = hashOf(part.tool, kTool);
  // An agent that tries a call once more, such as after an error, is where it was. How rare that is shows in all tools together.
  const bool again = repeated && to == conversation.step;
  std::optional<double> bits;
  if (paths.known()) {
    const double cost = (again ? 0 : paths.bits(conversation.step, to)) + paths.bitsOfRepeat(repeated);
    bits = conversation.pathBits += std::max(0.0, cost - kUsual);
  }
  if (!again) learn(paths, conversation.step, to);
  paths.learnRepeat(repeated);
  conversation.step = to;
  return bits;
}

void Calls::turn(Role role, Part part, bool answers, Completed& completed, std::uint64_t conversation) {
  std::uint32_t repeats = 0;
  std::optional<double> pathBits;
  Conversation& own = this->conversation(conversation);
  if (part.kind == Kind::ToolCall) {
    repeats = own.count(hash_(part.hash, hashOf(part.tool, kTool)));
    pathBits = step(part, repeats > 1, pathsOf(completed), own);
  }
  // Without prompts, of which the content may not be captured, a path ends with the answer. That it ends is no surprise, but
  // where paths usually end, it is one that they go on.
  if (answers && own.step != ToolPaths::kStart) learn(pathsOf(completed), own.step, ToolPaths::kEnd);
  if (role == Role::User || answers) {
    own.step = ToolPaths::kStart;
    own.pathBits = 0;
  }
  if (completed.turns.size() >= kMostTurns) {
    ++completed.turnsLeftOut;
    return;
  }
  const auto index = static_cast<std::uint32_t>(completed.turns.size());
  completed.turns.push_back({index, role, std::move(part), repeats, pathBits});
}

void Calls::judge(std::vector<Message> input, std::vector<Message> output, std::string_view service, bool named,
                  std::uint64_t conversation, Completed& completed) {
  // Without the name of a conversation, each of its calls may be a trace of its own: then its history alone shows that it goes
  // on.
  const std::uint64_t scope = named ? conversation : hashOf(completed.call.agent, hashOf(service, kService));
  std::uint64_t chain = hash_(completed.call.before, hash_(scope, kChain));
  std::size_t start = 0;
  for (std::size_t i = 0; i < input.size(); ++i) {
    chain = reader_.hashOf(input[i], chain);
    if (input[i].role == Role::Assistant && (seen(chain) || seen(reader_.hashOf(input[i], hash_(conversation, kAssistant)))))
      start = i + 1;
  }
  completed.repeatedTurns += static_cast<std::uint32_t>(start);
  for (std::size_t i = start; i < input.size(); ++i) {
    // What the model said in turns that were not reported is judged once as well.
    if (input[i].role == Role::Assistant) {
      see(reader_.hashOf(input[i], hash_(conversation, kAssistant)));
    }
    for (Part& part : input[i].parts) turn(input[i].role, std::move(part), false, completed, conversation);
  }
  for (Message& message : output) {
    see(reader_.hashOf(message, chain));
    see(reader_.hashOf(message, hash_(conversation, kAssistant)));
    // What a model says before it calls a tool is no answer yet.
    const bool calls = std::ranges::any_of(message.parts, [](const Part& part) { return part.kind == Kind::ToolCall; });
    for (Part& part : message.parts) {
      if (part.kind == Kind::ToolCall) {
        const std::uint64_t trace = hashOf(completed.traceId, kToolId);
        if (!part.toolCallId.empty()) {
          see(hashOf(part.toolCallId, hash_(conversation, kToolId)));
          see(hashOf(part.toolCallId, trace));
        }
        see(hash_(part.hash, hashOf(part.tool, trace)));
      }
      turn(message.role, std::move(part), !calls && &part == &message.parts.back(), completed, conversation);
    }
  }
}

void Calls::addTool(std::vector<Message>& asked, std::vector<Message>& answered, Completed& completed,
                    std::uint64_t conversation) {
  const Part& part = asked.front().parts.front();
  const std::uint64_t trace = hashOf(completed.traceId, kToolId);
  const bool requested = part.toolCallId.empty() ? seen(hash_(part.hash, hashOf(part.tool, trace)))
                                                 : seen(hashOf(part.toolCallId, hash_(conversation, kToolId))) ||
                                                       seen(hashOf(part.toolCallId, trace));
  // The model's answer has shown the call, and its next prompt shows the result.
  if (requested) {
    completed.repeatedTurns += static_cast<std::uint32_t>(1 + answered.size());
    return;
  }
  if (!part.toolCallId.empty()) see(hashOf(part.toolCallId, hash_(conversation, kToolId)));
  turn(Role::Assistant, std::move(asked.front().parts.front()), false, completed, conversation);
  for (Message& message : answered)
    for (Part& each : message.parts) turn(Role::Tool, std::move(each), false, completed, conversation);
}

std::size_t Calls::memory() const {
  return calls_.memory() + inCalls_ + paths_.memory() + inPaths_ + latest_.memory() + seen_.memory() + conversations_.memory() +
         conversations_.size() * Conversation::kMostTools * sizeof(Conversation::Tool);
}

void Calls::reduce() {
  const auto eighth = [](auto& table, auto&& erase) {
    for (std::size_t left = (table.size() + 7) / 8; left > 0; --left) erase();
    table.shrink();
  };
  eighth(calls_, [&] { forgetOldestCall(); });
  eighth(latest_, [&] { latest_.erase(latest_.oldest()); });
  eighth(seen_, [&] { seen_.erase(seen_.oldest()); });
  eighth(conversations_, [&] { conversations_.erase(conversations_.oldest()); });
  eighth(paths_, [&] {
    inPaths_ -= paths_[paths_.oldest()].memory();
    paths_.erase(paths_.oldest());
  });
}

void Calls::snapshot(std::vector<std::uint8_t>& out, const privacy::Masking& masking) const {
  SlotTable<Known> masked = calls_;
  for (std::uint32_t slot = masked.oldest(); slot != SlotTable<Known>::kNone; slot = masked.after(slot))
    mask(masked[slot].call, masking);
  putState(out, masked);
  putState(out, latest_);
  putState(out, seen_);
  putState(out, conversations_);
  putState(out, paths_);
}

bool Calls::restore(Bytes in) {
  StateReader read(in);
  if (!calls_.restore(read.getBytes(), kMostCalls) || !latest_.restore(read.getBytes(), kMostResponses) ||
      !seen_.restore(read.getBytes(), kMostSeen) || !conversations_.restore(read.getBytes(), kMostConversations) ||
      !paths_.restore(read.getBytes(), kMostAgents))
    return false;
  for (std::uint32_t slot = paths_.oldest(); slot != SlotTable<ToolPaths>::kNone; slot = paths_.after(slot)) {
    inPaths_ += paths_[slot].memory();
  }
  for (std::uint32_t slot = calls_.oldest(); slot != SlotTable<Known>::kNone; slot = calls_.after(slot)) {
    pending_ += calls_[slot].pending();
    inCalls_ += calls_[slot].memory();
  }
  return read.done();
}

}  // namespace driftlock::llm
