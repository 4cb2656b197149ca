#include "llm/node.hpp"

#include <charconv>

namespace driftlock::llm {
namespace {

template <typename Number>
void append(Number number, std::string& out) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
}

/// Reads a whole number, as counts are.
std::optional<double> parse(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return static_cast<double>(number);
}

}  // namespace

Node::Node(const otlp::AnyValue& value) : value_(value) {
  if (value.type != otlp::AnyValue::Type::String || !json::isWhole(textOf(value.bytes))) return;
  text_ = textOf(value.bytes);
  json_ = true;
}

Node Node::ofJson(std::string_view text) {
  Node node;
  node.text_ = text;
  node.json_ = true;
  return node;
}

Node::Type Node::type() const {
  using Any = otlp::AnyValue::Type;
  if (json_) {
    switch (json::typeOf(text_)) {
      case json::Type::String: return Type::String;
      case json::Type::Number: return Type::Number;
      case json::Type::Array: return Type::Array;
      case json::Type::Object: return Type::Object;
      default: return Type::None;
    }
  }
  switch (value_.type) {
    case Any::String:
    case Any::Bytes: return Type::String;
    case Any::Int:
    case Any::Double: return Type::Number;
    case Any::Array: return Type::Array;
    case Any::List: return Type::Object;
    default: return Type::None;
  }
}

Node Node::member(std::string_view name) const {
  Node found;
  members([&](std::string_view each, const Node& value) {
    if (each == name && found.type() == Type::None) found = value;
  });
  return found;
}

std::string Node::text() const {
  std::string out;
  if (type() == Type::None) return out;
  if (!isString()) {
    render(out);
  } else if (json_) {
    json::unescape(text_.size() < 2 ? std::string_view() : text_.substr(1, text_.size() - 2), out);
  } else {
    out = textOf(value_.bytes);
  }
  return out;
}

void Node::render(std::string& out) const {
  using Any = otlp::AnyValue::Type;
  if (json_) return json::compact(text_, out);
  bool first = true;
  const auto separate = [&] { out += first ? "" : ",", first = false; };
  switch (value_.type) {
    case Any::String:
    case Any::Bytes: return json::quote(textOf(value_.bytes), out);
    case Any::Bool: out += value_.boolean() ? "true" : "false"; return;
    case Any::Int: return append(value_.integer(), out);
    case Any::Double: return append(value_.real(), out);
    case Any::Array:
      out += '[';
      elements([&](const Node& each) {
        separate();
        each.render(out);
        return true;
      });
      out += ']';
      return;
    case Any::List:
      out += '{';
      members([&](std::string_view name, const Node& each) {
        separate();
        json::quote(name, out);
        out += ':';
        each.render(out);
      });
      out += '}';
      return;
    case Any::None: out += "null"; return;
  }
}

std::optional<double> Node::number() const {
  if (json_) return parse(type() == Type::String ? text_.substr(1, text_.size() - 2) : text_);
  switch (value_.type) {
    case otlp::AnyValue::Type::Int: return static_cast<double>(value_.integer());
    case otlp::AnyValue::Type::Double: return value_.real();
    case otlp::AnyValue::Type::String: return parse(textOf(value_.bytes));
    default: return {};
  }
}

}  // namespace driftlock::llm
