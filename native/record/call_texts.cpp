#include "record/call_texts.hpp"

#include "record/call_names.hpp"

namespace driftlock {
namespace {

/// The most texts that are held back; a record has no more fields.
constexpr std::size_t kMost = 256;

/// Whether a name can be that of an attribute of interest. Most are told apart by their first letter.
bool mayConcernCalls(std::string_view name) {
  switch (name.empty() ? '\0' : name.front()) {
    case 'g': return name.starts_with("gen_ai.");
    case 'l': return name.starts_with("llm.");
    case 'o': return name.starts_with("openinference.") || name == "output.value";
    case 'i': return name == "input.value";
    case 't': return name.starts_with("traceloop.") || name.starts_with("tool");
    case 'e': return name == "event.name" || name.starts_with("embedding.");
    default: return false;
  }
}

}  // namespace

bool HeldTexts::take(const otlp::KeyValue& attribute) {
  using enum llm::Attribute;
  const std::string_view name = textOf(attribute.key);
  if (!mayConcernCalls(name)) return false;
  bool text = llm::flatMessageOf(name) != nullptr;
  shows_ |= text;
  switch (llm::attributeOf(name)) {
    case Operation:
    case SpanKind:
      stated_ = true;
      if (operation_.empty()) operation_ = llm::operationOf(textOf(attribute.value.bytes));
      break;
    case EventName: event_ = textOf(attribute.value.bytes); break;
    case RequestModel:
    case ResponseModel: shows_ = model_ = true; break;
    case InputMessages:
    case OutputMessages:
    case SystemInstructions: shows_ = text = true; break;
    case InputValue:
    case OutputValue:
    case ToolArguments:
    case ToolResult: text = true; break;
    default: break;
  }
  if (text && held_.size() < kMost) held_.push_back(attribute);
  return text;
}

bool HeldTexts::ofLog(std::string_view event) const {
  // Details without a model wait for their span, which may not come.
  return model_ && (event.empty() ? event_ : event) == llm::kCallDetails && ofSpan();
}

}  // namespace driftlock
