#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "llm/json.hpp"
#include "otlp/value.hpp"
#include "otlp/views.hpp"

namespace driftlock::llm {

/// A value in one of the forms in which instrumentations send messages: AnyValues, or JSON in a string. Everything points into
/// the request.
class Node {
 public:
  enum class Type : std::uint8_t { None, String, Number, Array, Object };

  Node() = default;
  /// A string that is a whole JSON array or object is that.
  explicit Node(const otlp::AnyValue& value);
  /// The value that JSON text begins with.
  static Node ofJson(std::string_view text);

  Type type() const;
  bool isString() const { return type() == Type::String; }

  /// Calls `visit` with each element of an array until it returns false.
  template <typename Visit>
  void elements(Visit&& visit) const {
    if (type() != Type::Array) return;
    if (json_) {
      for (json::Walk walk(text_); walk.next();)
        if (!visit(ofJson(walk.value()))) return;
    } else {
      for (const otlp::AnyValue element : otlp::arrayOf(value_))
        if (!visit(Node(element))) return;
    }
  }

  /// Calls `visit` with the name and value of each member of an object.
  template <typename Visit>
  void members(Visit&& visit) const {
    if (type() != Type::Object) return;
    if (json_) {
      for (json::Walk walk(text_); walk.next();) visit(walk.name(), ofJson(walk.value()));
    } else {
      for (const otlp::KeyValue& member : otlp::listOf(value_)) visit(textOf(member.key), Node(member.value));
    }
  }

  /// Returns a member; None if there is none of that name.
  Node member(std::string_view name) const;
  /// Returns the content of a string; of another value, its JSON; nothing of None.
  std::string text() const;
  /// Appends the value as compact JSON; the same for both forms.
  void render(std::string& out) const;
  /// Returns a number, also a whole one in a string.
  std::optional<double> number() const;

 private:
  otlp::AnyValue value_{};
  std::string_view text_{};
  bool json_ = false;
};

}  // namespace driftlock::llm
