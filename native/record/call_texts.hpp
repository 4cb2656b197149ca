#pragma once

#include <string_view>
#include <vector>

#include "otlp/value.hpp"

namespace driftlock {

/// Whether the texts of a call of a language model are read with the record that the call is read from. They are not if the
/// engine judges them in streams of their own: a text is judged once.
enum class CallTexts : bool { Read, LeftOut };

/// The texts that a record has in attributes for prompts, responses and tool calls. They are held back until all attributes are
/// known, because only those of calls are left out: what agents, workflows and chains say of themselves is in no other stream.
class HeldTexts {
 public:
  /// Takes an attribute. Returns true if it is held back.
  bool take(const otlp::KeyValue& attribute);
  /// Whether the record is a call whose texts are judged elsewhere, as llm::readCall has it.
  bool ofSpan() const { return !operation_.empty() || (!stated_ && shows_); }
  /// @param event the name of the event that the log record is; empty if only an attribute may state it
  bool ofLog(std::string_view event) const;

  const std::vector<otlp::KeyValue>& all() const { return held_; }

 private:
  std::vector<otlp::KeyValue> held_;
  /// The operations of the call, as the record states them and by the kind of its span.
  std::string_view operation_, event_;
  /// Whether the record states what it is; and whether it shows a model or a message.
  bool stated_ = false, shows_ = false, model_ = false;
};

}  // namespace driftlock
