#include "llm/encode.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "llm/derive.hpp"
#include "otlp/writer.hpp"
#include "text/readable.hpp"

namespace driftlock::llm {
namespace {

using otlp::Writer;

constexpr std::size_t kMostIds = 4;
constexpr std::array<std::string_view, 4> kRoles = {"system", "user", "assistant", "tool"};

std::string hexOf(std::uint64_t number) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  for (int shift = 60; shift >= 0; shift -= 4) out += kDigits[number >> shift & 15];
  return out;
}

void ids(Writer& write, std::uint32_t field, const std::vector<std::string>& all) {
  for (std::size_t i = 0; i < std::min(all.size(), kMostIds); ++i) write.string(field, all[i]);
}

class Encoder {
 public:
  Encoder(std::string_view tenant, otlp::Signal signal, const Options& options, const privacy::Policy& policy)
      : tenant_(tenant), signal_(signal), options_(options), policy_(policy) {}

  std::vector<std::uint8_t> call(const Completed& completed, const FlaggedBy& anomalies) const {
    const Call& call = completed.call;
    const privacy::Masking masking(policy_, privacy::Place::Stored,
                                   {tenant_, static_cast<std::uint8_t>(signal_), completed.service});
    std::vector<std::uint8_t> out;
    Writer write(out);
    const auto label = [&](std::uint32_t field, std::string text) {
      masking.label(text);
      text::makeReadable(text);
      write.string(field, text);
    };
    const auto count = [&](std::uint32_t field, const std::optional<std::uint64_t>& value) {
      if (value) write.present(field, *value);
    };
    write.string(1, hexOf(completed.id));
    write.string(2, tenant_);
    write.bytes(3, bytesOf(completed.traceId));
    write.bytes(4, bytesOf(completed.spanId));
    label(5, call.responseId);
    label(6, call.conversation);
    label(7, completed.service);
    label(8, call.agent);
    label(9, call.provider);
    label(10, call.model());
    label(11, call.responseModel);
    label(12, call.operation);
    write.fixed(13, call.start);
    write.fixed(14, call.end);
    count(15, call.inputTokens);
    count(16, call.outputTokens);
    count(17, call.cachedTokens);
    if (const auto cost = costOf(call, options_.prices)) write.optional(18, *cost);
    if (call.secondsToFirstChunk) write.optional(19, *call.secondsToFirstChunk);
    for (const std::string& reason : call.finishReasons) label(20, reason);
    label(21, call.errorType);
    for (std::size_t i = 0; i < completed.turns.size(); ++i) write.message(22, turn(completed.turns[i], anomalies[i], masking));
    write.integer(23, completed.repeatedTurns);
    write.integer(24, completed.turnsLeftOut);
    ids(write, 25, anomalies.back());
    label(26, call.promptVersion);
    return out;
  }

 private:
  std::vector<std::uint8_t> turn(const Turn& turn, const std::vector<std::string>& anomalies,
                                 const privacy::Masking& masking) const {
    const Part& part = turn.part;
    std::vector<std::uint8_t> out;
    Writer write(out);
    write.integer(1, turn.index);
    write.string(2, kRoles[static_cast<std::size_t>(turn.role)]);
    write.integer(3, static_cast<std::uint64_t>(part.kind));
    // Masked first: what is cut in two would not be recognised.
    std::string masked = part.text;
    const privacy::Kinds kinds = masking.label(masked).kinds;
    if (options_.capture != Capture::None) {
      std::string text = options_.capture == Capture::Full ? part.text : std::move(masked);
      text::makeReadable(text);
      write.string(4, text);
    }
    write.fixed(5, part.hash);
    write.integer(6, part.size);
    const auto label = [&](std::uint32_t field, std::string text) {
      masking.label(text);
      text::makeReadable(text);
      write.string(field, text);
    };
    label(7, part.tool);
    label(8, part.toolCallId);
    write.integer(9, part.malformed);
    write.integer(10, part.refusal);
    for (std::size_t i = 0; i < privacy::kKindCount; ++i) {
      if (kinds & privacy::Kinds{1} << i) write.string(11, privacy::kKindInfos[i].name);
    }
    ids(write, 12, anomalies);
    if (turn.pathBits) write.optional(13, *turn.pathBits);
    return out;
  }

  std::string_view tenant_;
  otlp::Signal signal_;
  const Options& options_;
  const privacy::Policy& policy_;
};

}  // namespace

std::vector<std::uint8_t> encodeCalls(std::span<const Completed> calls, std::span<const FlaggedBy> anomalies,
                                      std::uint32_t leftOut, std::string_view tenant, otlp::Signal signal, const Options& options,
                                      const privacy::Policy& policy, std::size_t mostBytes) {
  std::vector<std::uint8_t> page;
  const Encoder encoder(tenant, signal, options, policy);
  for (std::size_t i = 0; i < calls.size(); ++i) {
    const std::vector<std::uint8_t> message = encoder.call(calls[i], anomalies[i]);
    if (page.size() + message.size() > mostBytes) {
      ++leftOut;
      continue;
    }
    Writer(page).message(1, message);
  }
  Writer(page).integer(2, leftOut);
  return page;
}

}  // namespace driftlock::llm
