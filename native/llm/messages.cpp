#include "llm/messages.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>
#include <utility>

#include "base/work.hpp"
#include "record/call_names.hpp"

namespace driftlock::llm {
namespace {

std::string nameOf(std::string_view text) { return std::string(text.substr(0, kMaxName)); }

Role roleOf(std::string_view name, Role otherwise) {
  if (name == "system" || name == "developer") return Role::System;
  if (name == "user" || name == "human") return Role::User;
  if (name == "assistant" || name == "ai" || name == "model") return Role::Assistant;
  if (name == "tool" || name == "function") return Role::Tool;
  return otherwise;
}

Kind kindOf(Role role) { return role == Role::Assistant ? Kind::Response : role == Role::Tool ? Kind::ToolResult : Kind::Prompt; }

/// The first of these members that the node has.
Node firstOf(const Node& node, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (Node found = node.member(name); found.type() != Node::Type::None) return found;
  }
  return {};
}

/// Whether a response declines to answer, by how it begins. Models phrase this in few ways.
bool declines(std::string_view text) {
  constexpr std::array<std::string_view, 14> kOpenings = {
      "i can't help",    "i cannot help",    "i can't assist",  "i cannot assist",  "i'm unable to",
      "i am unable to",  "i won't be able",  "i'm not able to", "i am not able to", "i must decline",
      "i can't provide", "i cannot provide", "i can't comply",  "i cannot comply"};
  std::string begin;
  for (std::size_t i = 0; i < text.size() && begin.size() < 48; ++i) {
    // The typographic apostrophe.
    if (text.substr(i, 3) == "\xe2\x80\x99") {
      begin += '\'';
      i += 2;
    } else {
      begin += text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    }
  }
  std::string_view rest = begin;
  for (const std::string_view apology :
       {"i'm sorry, but ", "i'm sorry. ", "i am sorry, but ", "sorry, but ", "sorry, ", "i apologize, but "}) {
    if (rest.starts_with(apology)) {
      rest.remove_prefix(apology.size());
      break;
    }
  }
  return std::ranges::any_of(kOpenings, [&](std::string_view opening) { return rest.starts_with(opening); });
}

}  // namespace

Part MessageReader::text(Kind kind, std::string content) const {
  Part part{.kind = kind};
  if (json::isWhole(content)) {
    // The same in whichever form it came, and with whatever white space.
    std::string compact;
    json::compact(content, compact);
    content = std::move(compact);
  }
  part.size = content.size();
  part.hash = hash_(bytesOf(content));
  if (content.size() > kMaxText) content.resize(kMaxText);
  part.refusal = kind == Kind::Response && declines(content);
  part.text = std::move(content);
  return part;
}

Part MessageReader::toolCall(std::string_view name, std::string_view id, const Node& arguments) const {
  std::string content = arguments.type() == Node::Type::None ? std::string() : arguments.text();
  const bool malformed = !content.empty() && !json::isWhole(content);
  Part part = text(Kind::ToolCall, std::move(content));
  part.malformed = malformed;
  part.tool = nameOf(name);
  part.toolCallId = nameOf(id);
  return part;
}

Part MessageReader::toolResult(std::string_view name, std::string_view id, const Node& result) const {
  Part part = text(Kind::ToolResult, result.type() == Node::Type::None ? std::string() : result.text());
  part.tool = nameOf(name);
  part.toolCallId = nameOf(id);
  return part;
}

void MessageReader::readToolCall(const Node& call, Message& out) const {
  const Node function = call.member("function");
  const Node& from = function.type() == Node::Type::Object ? function : call;
  out.parts.push_back(toolCall(from.member("name").text(), firstOf(call, {"id", "call_id"}).text(),
                               firstOf(from, {"arguments", "input", "args"})));
}

void MessageReader::readPart(const Node& part, Message& out) const {
  if (out.parts.size() >= kMaxParts) return;
  if (part.isString()) return say(part.text(), out);
  const std::string type = part.member("type").text();
  if (type == "tool_call" || type == "tool_use" || type == "function_call" || type == "function") return readToolCall(part, out);
  if (type == "tool_call_response" || type == "tool_result" || type == "function_call_output") {
    out.parts.push_back(toolResult(part.member("name").text(), firstOf(part, {"id", "tool_use_id", "call_id"}).text(),
                                   firstOf(part, {"response", "result", "content", "output"})));
    return;
  }
  if (type == "refusal") {
    Part refusal = text(Kind::Response, firstOf(part, {"refusal", "content", "text"}).text());
    refusal.refusal = true;
    out.parts.push_back(std::move(refusal));
    return;
  }
  // What a model thinks is not part of what it answers; images and files are not read.
  if (type == "reasoning" || type == "thinking") return;
  const Node content = firstOf(part, {"content", "text"});
  if (content.isString()) say(content.text(), out);
}

void MessageReader::readParts(const Node& parts, Message& out) const {
  parts.elements([&](const Node& part) {
    readPart(part, out);
    return out.parts.size() < kMaxParts;
  });
}

void MessageReader::say(std::string content, Message& out) const {
  if (!content.empty() && out.parts.size() < kMaxParts) out.parts.push_back(text(kindOf(out.role), std::move(content)));
}

void MessageReader::readContent(const Node& content, Message& out) const {
  if (content.type() != Node::Type::Array) {
    if (content.type() != Node::Type::None) say(content.text(), out);
    return;
  }
  const std::size_t before = out.parts.size();
  readParts(content, out);
  // A text that happens to be a JSON array.
  bool parts = false;
  content.elements([&](const Node& part) {
    parts = parts || part.type() == Node::Type::Object || part.isString();
    return !parts;
  });
  if (!parts && out.parts.size() == before) say(content.text(), out);
}

Message MessageReader::read(const Node& node, Role role, std::vector<std::string>* finishReasons) const {
  if (finishReasons && finishReasons->empty()) {
    if (const Node reason = node.member("finish_reason"); reason.isString())
      finishReasons->emplace_back(finishReasonOf(reason.text().substr(0, kMaxName)));
  }
  // A choice has its message inside.
  if (const Node inner = node.member("message"); inner.type() == Node::Type::Object) return read(inner, role);
  Message out{.role = roleOf(node.member("role").text(), role), .parts = {}};
  const std::string toolCallId = firstOf(node, {"tool_call_id", out.role == Role::Tool ? "id" : "tool_call_id"}).text();
  const Node parts = node.member("parts"), content = node.member("content");
  if (parts.type() == Node::Type::Array) {
    readParts(parts, out);
  } else if (out.role == Role::Tool && content.isString()) {
    out.parts.push_back(toolResult(node.member("name").text(), toolCallId, content));
  } else {
    readContent(content, out);
  }
  if (const Node refusal = node.member("refusal"); refusal.isString() && out.parts.size() < kMaxParts) {
    out.parts.push_back(text(Kind::Response, refusal.text()));
    out.parts.back().refusal = true;
  }
  node.member("tool_calls").elements([&](const Node& call) {
    readToolCall(call, out);
    return out.parts.size() < kMaxParts;
  });
  return out;
}

void MessageReader::readAll(const Node& value, Role role, Call& call, std::vector<Message>& out) const {
  std::vector<std::string>* const reasons = role == Role::Assistant ? &call.finishReasons : nullptr;
  switch (value.type()) {
    case Node::Type::String: {
      Message message{.role = role, .parts = {}};
      say(value.text(), message);
      return add(std::move(message), call, out);
    }
    case Node::Type::Object: return add(read(value, role, reasons), call, out);
    case Node::Type::Array:
      value.elements([&](const Node& each) {
        if (each.type() == Node::Type::Object && each.member("type").isString() &&
            each.member("role").type() == Node::Type::None) {
          // A part by itself, as those of gen_ai.system_instructions.
          Message message{.role = role, .parts = {}};
          readPart(each, message);
          if (!message.parts.empty()) add(std::move(message), call, out);
        } else if (each.type() == Node::Type::Object) {
          add(read(each, role, reasons), call, out);
        }
        return true;
      });
      return;
    default: return;
  }
}

void MessageReader::add(Message message, Call& call, std::vector<Message>& out) const {
  out.push_back(std::move(message));
  // Half at a time, so that moving the others is worth it.
  if (&out != &call.input || out.size() < 2 * kMaxMessages) return;
  for (std::size_t i = 0; i < kMaxMessages; ++i) call.before = hashOf(out[i], call.before);
  out.erase(out.begin(), out.begin() + kMaxMessages);
  call.dropped += kMaxMessages;
}

std::uint64_t MessageReader::hashOf(const Message& message, std::uint64_t before) const {
  std::uint64_t hash = hash_(static_cast<std::uint64_t>(message.role), before);
  for (const Part& part : message.parts) {
    // The tool of a result is known by its id alone in some forms.
    const std::string_view tool = part.kind == Kind::ToolCall ? std::string_view(part.tool) : std::string_view();
    hash = hash_(part.hash, hash_(bytesOf(tool), hash + static_cast<std::uint64_t>(part.kind)));
  }
  return hash;
}

bool FlatMessages::take(std::string_view key, const otlp::AnyValue& value) {
  const FlatMessage* const flat = flatMessageOf(key);
  if (!flat) return false;
  std::string_view rest = key.substr(flat->prefix.size());
  Entry entry{.output = flat->output, .value = value};
  const auto number = [&](std::uint32_t& out) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), out);
    if (error != std::errc{} || end == rest.data() + rest.size() || *end != '.') return false;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()) + 1);
    return true;
  };
  if (!number(entry.message)) return false;
  const auto drop = [&](std::string_view word) {
    if (rest.starts_with(word)) rest.remove_prefix(word.size());
  };
  drop("message.");
  for (const std::string_view group : {"contents", "tool_calls"}) {
    if (!rest.starts_with(group) || rest.size() <= group.size() || rest[group.size()] != '.') continue;
    rest.remove_prefix(group.size() + 1);
    entry.group = group;
    if (!number(entry.part)) return true;
    drop("message_content.");
    drop("tool_call.");
    drop("function.");
    break;
  }
  entry.field = rest;
  if (entries_.size() < kMost) entries_.push_back(entry);
  return true;
}

Message FlatMessages::build(const MessageReader& reader, std::size_t& at, Call& call) const {
  const Entry& first = entries_[at];
  std::size_t end = at;
  while (end < entries_.size() && entries_[end].output == first.output && entries_[end].message == first.message) ++end;
  Message message{.role = first.output ? Role::Assistant : Role::User, .parts = {}};
  std::string toolCallId, name;
  const otlp::AnyValue* content = nullptr;
  for (std::size_t i = at; i < end; ++i) {
    const Entry& entry = entries_[i];
    if (!entry.group.empty()) continue;
    if (entry.field == "role") message.role = roleOf(textOf(entry.value.bytes), message.role);
    else if (entry.field == "content") content = &entry.value;
    else if (entry.field == "tool_call_id") toolCallId = nameOf(textOf(entry.value.bytes));
    else if (entry.field == "name") name = nameOf(textOf(entry.value.bytes));
    else if (entry.field == "finish_reason" && call.finishReasons.empty())
      call.finishReasons.emplace_back(finishReasonOf(textOf(entry.value.bytes).substr(0, kMaxName)));
  }
  if (content && message.role == Role::Tool) {
    message.parts.push_back(reader.toolResult(name, toolCallId, Node(*content)));
  } else if (content) {
    reader.readContent(Node(*content), message);
  }
  for (std::size_t i = at; i < end;) {
    const Entry& part = entries_[i];
    if (part.group.empty()) {
      ++i;
      continue;
    }
    std::string id, tool;
    Node arguments;
    std::string words;
    bool said = false;
    for (; i < end && entries_[i].group == part.group && entries_[i].part == part.part; ++i) {
      const Entry& entry = entries_[i];
      if (entry.field == "id") id = textOf(entry.value.bytes);
      else if (entry.field == "name") tool = textOf(entry.value.bytes);
      else if (entry.field == "arguments") arguments = Node(entry.value);
      else if (entry.field == "text") words = textOf(entry.value.bytes), said = true;
    }
    if (message.parts.size() >= kMaxParts) continue;
    if (part.group == "tool_calls") message.parts.push_back(reader.toolCall(tool, id, arguments));
    else if (said) reader.say(std::move(words), message);
  }
  at = end;
  return message;
}

void FlatMessages::read(const MessageReader& reader, Call& call) {
  countWork(entries_.size());
  std::ranges::stable_sort(entries_, {}, [](const Entry& e) { return std::tuple(e.output, e.message, e.group, e.part); });
  for (std::size_t at = 0; at < entries_.size();) {
    const bool output = entries_[at].output;
    Message message = build(reader, at, call);
    reader.add(std::move(message), call, output ? call.output : call.input);
  }
}

}  // namespace driftlock::llm
