#include "llm/derive.hpp"

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/pattern.hpp"
#include "otlp/attributes.hpp"
#include "otlp/views.hpp"
#include "otlp/wire.hpp"
#include "otlp/writer.hpp"
#include "record/call_figures.hpp"

namespace driftlock::llm {
namespace {

using otlp::AttributeEncoder;
using otlp::Writer;

constexpr std::uint64_t kInfo = 9;
/// From these bits on, a path of tools is unusual.
constexpr double kUnusualPath = 8;

std::string_view yesOrNo(bool value) { return value ? "yes" : "no"; }

std::string_view kindName(const Turn& turn) {
  switch (turn.part.kind) {
    case Kind::Prompt: return turn.role == Role::System ? "system" : "prompt";
    case Kind::Response: return "response";
    case Kind::ToolCall: return "tool_call";
    case Kind::ToolResult: return "tool_result";
  }
  return "prompt";
}

/// The script of the first letters of a text: what a language switch changes.
std::string_view scriptOf(std::string_view text) {
  std::size_t latin = 0, cyrillic = 0, han = 0, arabic = 0, other = 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(text.size(), 512); ++i) {
    const auto c = static_cast<std::uint8_t>(text[i]);
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) ++latin;
    else if (c >= 0xc3 && c <= 0xca) ++latin;
    else if (c >= 0xd0 && c <= 0xd3) ++cyrillic;
    else if (c >= 0xd8 && c <= 0xdb) ++arabic;
    else if (c >= 0xe3 && c <= 0xed) ++han;
    else if (c >= 0xcb) ++other;
  }
  const std::size_t most = std::max({latin, cyrillic, han, arabic, other});
  if (most == 0) return "none";
  if (most == latin) return "latin";
  if (most == cyrillic) return "cyrillic";
  if (most == han) return "east_asian";
  return most == arabic ? "arabic" : "other";
}

/// The format of a response, by how it begins.
std::string_view formatOf(std::string_view text) {
  if (json::isWhole(text)) return "json";
  if (text.find("```") != std::string_view::npos) return "code";
  if (text.starts_with('<')) return "markup";
  if (text.starts_with('#') || text.find("\n- ") != std::string_view::npos || text.find("\n* ") != std::string_view::npos ||
      text.find("**") != std::string_view::npos)
    return "markdown";
  return "text";
}

/// Whether a text ends where a sentence may, or in its middle.
std::string_view endingOf(const Part& part) {
  if (part.size > part.text.size()) return "unknown";
  std::string_view text = part.text;
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  if (text.empty()) return "none";
  const char last = text.back();
  const bool open = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z') || last == ',' || last == '-' || last == '(';
  return open ? "open" : "closed";
}

class Deriver {
 public:
  Deriver(const otlp::Index& index, const std::vector<std::string>& resourceAttributes, const std::vector<Price>& prices)
      : index_(index), names_(resourceAttributes), prices_(prices) {}

  Derived take(const std::vector<Completed>& calls) {
    for (std::uint32_t i = 0; i < calls.size(); ++i) {
      call_ = &calls[i];
      number_ = i;
      findResource();
      turns();
      figures();
    }
    return std::move(out_);
  }

 private:
  const Call& call() const { return call_->call; }
  Derived::Origin origin(std::uint32_t turn = otlp::kNone) const { return {call_->record, number_, turn}; }

  void findResource() {
    const std::uint32_t resource = index_.scopeOf(index_.records[call_->record]).resource;
    if (resource == resource_) return;
    resource_ = resource;
    attributes_.clear();
    const otlp::Attributes attributes = otlp::readResource(index_, index_.resources[resource]).attributes;
    for (auto each = attributes.begin(); each != attributes.end(); ++each) {
      if (std::ranges::find(names_, textOf(each->key)) == names_.end()) continue;
      const Bytes field = each.field();
      attributes_.insert(attributes_.end(), field.begin(), field.end());
    }
  }

  /// Appends a log record of one of the call's streams.
  void log(std::string_view stream, const std::vector<std::uint8_t>& record, std::uint32_t turn) {
    std::vector<std::uint8_t> resource = attributes_;
    AttributeEncoder encode(resource, 1);
    if (!call().agent.empty()) encode.string("gen_ai.agent.name", call().agent);
    if (!call().model().empty()) encode.string("gen_ai.request.model", call().model());
    encode.string("llm.turn", stream);
    if (!call().responseModel.empty()) encode.string("gen_ai.response.model", call().responseModel);
    if (!call().promptVersion.empty()) encode.string("gen_ai.prompt.version", call().promptVersion);
    std::vector<std::uint8_t> scope, all;
    Writer(scope).message(2, record);
    Writer(all).message(1, resource);
    Writer(all).message(2, scope);
    Writer(out_.request).message(1, all);
    out_.origins.push_back(origin(turn));
  }

  std::vector<std::uint8_t> record(std::string_view body) const {
    std::vector<std::uint8_t> out, value;
    Writer write(out);
    write.fixed(1, call().end);
    write.integer(2, kInfo);
    Writer(value).message(1, bytesOf(body));
    write.message(5, value);
    write.bytes(9, bytesOf(call_->traceId));
    write.bytes(10, bytesOf(call_->spanId));
    return out;
  }

  void turns() {
    for (std::uint32_t i = 0; i < call_->turns.size(); ++i) {
      const Turn& turn = call_->turns[i];
      const Part& part = turn.part;
      std::vector<std::uint8_t> out = record(part.text);
      AttributeEncoder encode(out, 6);
      switch (part.kind) {
        case Kind::Response:
          encode.string("refusal", yesOrNo(part.refusal));
          encode.string("format", formatOf(part.text));
          encode.string("script", scriptOf(part.text));
          encode.string("ending", endingOf(part));
          break;
        case Kind::ToolCall:
          encode.string("gen_ai.tool.name", part.tool);
          encode.string("arguments", part.malformed ? "malformed" : "json");
          break;
        case Kind::Prompt:
          if (turn.role == Role::User) encode.string("script", scriptOf(part.text));
          break;
        case Kind::ToolResult: break;
      }
      log(kindName(turn), out, i);
      step(turn, i);
    }
  }

  /// The conversation as a sequence of what happens in it, without what is said.
  void step(const Turn& turn, std::uint32_t number) {
    const Kind kind = turn.part.kind;
    if (kind == Kind::ToolResult || turn.role == Role::System) return;
    const std::string_view name = kind == Kind::ToolCall ? turn.part.tool : kindName(turn);
    std::vector<std::uint8_t> out = record(name);
    AttributeEncoder encode(out, 6);
    encode.string("session.id", call().conversation);
    if (turn.pathBits) encode.real(kPathBits, *turn.pathBits);
    if (turn.repeats > 0) encode.integer(kCallFigures[figure::kSameToolCalls].key, turn.repeats);
    log("step", out, number);
  }

  /// The call with its figures, as far as this report of it states them.
  void figures() {
    std::vector<std::uint8_t> out = record(call().operation);
    const std::size_t before = out.size();
    AttributeEncoder encode(out, 6);
    const auto number = [&](figure::Figure figure, double value) { encode.real(kCallFigures[figure].key, value); };
    const auto whether = [&](figure::Figure figure, bool value) { encode.string(kCallFigures[figure].key, yesOrNo(value)); };
    const bool states = call_->figures && call().operation != "execute_tool";
    if (states) {
      const auto tokens = [&](figure::Figure figure, const std::optional<std::uint64_t>& count) {
        if (count) number(figure, static_cast<double>(*count));
      };
      encode.string("gen_ai.response.finish_reason", finishReason());
      encode.string("error.type", call().failed() ? call().errorType : "none");
      if (!call().responseModel.empty()) encode.string("gen_ai.response.model", call().responseModel);
      whether(figure::kFailed, call().failed());
      tokens(figure::kInputTokens, call().inputTokens);
      tokens(figure::kOutputTokens, call().outputTokens);
      if (const auto cost = costOf(call(), prices_)) number(figure::kCost, *cost);
      if (call().secondsToFirstChunk) number(figure::kFirstChunk, *call().secondsToFirstChunk);
      number(figure::kCallsInConversation, call_->callsInConversation);
    }
    std::uint64_t size = 0;
    bool refuses = finishReason() == "content_filter", open = false;
    std::string_view text;
    std::uint32_t repeats = 0;
    bool malformed = false;
    for (const Turn& turn : call_->turns) {
      if (turn.part.kind == Kind::Response) {
        size += turn.part.size;
        text = turn.part.text;
        refuses = refuses || turn.part.refusal;
        open = endingOf(turn.part) == "open";
      } else if (turn.part.kind == Kind::ToolCall) {
        repeats = std::max(repeats, turn.repeats);
        malformed = malformed || turn.part.malformed;
      }
    }
    if (repeats > 0) {
      number(figure::kSameToolCalls, repeats);
      whether(figure::kMalformed, malformed);
    } else if (size > 0 || (states && refuses)) {
      // What a model says before it calls a tool is no answer yet.
      whether(figure::kRefused, refuses);
    }
    if (size > 0 && repeats == 0) {
      number(figure::kResponseSize, static_cast<double>(size));
      whether(figure::kBrokenOff, open || finishReason() == "length");
      // Of which one is so, by the last part of their names.
      const auto which = [&](std::size_t first, std::size_t last, std::string_view name) {
        for (std::size_t i = first; i <= last; ++i)
          encode.string(kCallFigures[i].key, yesOrNo(kCallFigures[i].key.ends_with(name)));
      };
      which(figure::kLatin, figure::kOtherScript, scriptOf(text));
      which(figure::kJson, figure::kMarkdown, formatOf(text));
    }
    const auto path = std::ranges::max_element(call_->turns, {}, &Turn::pathBits);
    if (path != call_->turns.end() && path->pathBits) whether(figure::kUnusualPath, *path->pathBits > kUnusualPath);
    if (out.size() > before) log("call", out, otlp::kNone);
  }

  std::string_view finishReason() const {
    return call().finishReasons.empty() ? std::string_view("none") : std::string_view(call().finishReasons.front());
  }

  const otlp::Index& index_;
  const std::vector<std::string>& names_;
  const std::vector<Price>& prices_;
  Derived out_;
  const Completed* call_ = nullptr;
  std::uint32_t number_ = 0, resource_ = otlp::kNone;
  /// The attributes of the resource, as fields.
  std::vector<std::uint8_t> attributes_;
};

}  // namespace

Derived derive(const otlp::Index& index, const std::vector<Completed>& calls, const std::vector<std::string>& resourceAttributes,
               const std::vector<Price>& prices) {
  return Deriver(index, resourceAttributes, prices).take(calls);
}

std::optional<double> costOf(const Call& call, const std::vector<Price>& prices) {
  constexpr double kMillion = 1e6;
  const auto price = std::ranges::find_if(prices, [&](const Price& each) { return matchesPattern(each.model, call.model()); });
  if (price == prices.end() || (!call.inputTokens && !call.outputTokens)) return {};
  const std::uint64_t input = call.inputTokens.value_or(0), cached = std::min(call.cachedTokens.value_or(0), input);
  return (static_cast<double>(input - cached) * price->input + static_cast<double>(cached) * price->cached +
          static_cast<double>(call.outputTokens.value_or(0)) * price->output) /
         kMillion;
}

}  // namespace driftlock::llm
