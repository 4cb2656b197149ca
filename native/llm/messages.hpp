#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "llm/call.hpp"
#include "llm/node.hpp"

namespace driftlock::llm {

/// Reads messages in the forms of the semantic conventions (`parts`), of OpenAI (`content`, `tool_calls`) and of Anthropic
/// (content blocks), and the flat attributes of OpenInference and OpenLLMetry.
class MessageReader {
 public:
  explicit MessageReader(const KeyedHash& hash) : hash_(hash) {}

  /// Reads one message. @param role its role if it does not state one itself
  Message read(const Node& message, Role role, std::vector<std::string>* finishReasons = nullptr) const;
  /// Appends what `value` holds: a list of messages, one message, or a text, which is one of the role.
  void readAll(const Node& value, Role role, Call& call, std::vector<Message>& out) const;
  /// Appends a part of the message's own kind, unless it is empty.
  void say(std::string content, Message& out) const;
  /// Appends the parts of a message's content: a text, or a list of parts.
  void readContent(const Node& content, Message& out) const;
  /// Appends a message; beyond the most that are kept, the first gives way and becomes history.
  void add(Message message, Call& call, std::vector<Message>& out) const;

  /// The hash of what a message says, whatever form it came in; that of `before` and the message.
  std::uint64_t hashOf(const Message& message, std::uint64_t before) const;

  Part text(Kind kind, std::string content) const;
  Part toolCall(std::string_view name, std::string_view id, const Node& arguments) const;
  Part toolResult(std::string_view name, std::string_view id, const Node& result) const;

 private:
  void readPart(const Node& part, Message& out) const;
  void readParts(const Node& parts, Message& out) const;
  void readToolCall(const Node& call, Message& out) const;

  KeyedHash hash_;
};

/// A message in attributes such as llm.input_messages.0.message.content, of which each has one value.
class FlatMessages {
 public:
  /// Takes an attribute. Returns false if it is no part of a message.
  bool take(std::string_view key, const otlp::AnyValue& value);
  bool empty() const { return entries_.empty(); }
  /// Appends the messages, in the order of their numbers.
  void read(const MessageReader& reader, Call& call);

 private:
  /// The most attributes of one record that are read.
  static constexpr std::size_t kMost = 16'384;

  struct Entry {
    bool output = false;
    std::uint32_t message = 0, part = 0;
    /// What is left of the name, such as "content" or "tool_calls.name".
    std::string_view group{}, field{};
    otlp::AnyValue value;
  };
  Message build(const MessageReader& reader, std::size_t& at, Call& call) const;

  std::vector<Entry> entries_;
};

}  // namespace driftlock::llm
