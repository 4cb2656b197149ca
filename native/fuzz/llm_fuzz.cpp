// Reads any bytes as the messages of calls of language models, in each of the forms in which instrumentations send them: JSON,
// flat attributes and AnyValues. What is read is bounded, and the state survives a restart.

#include <string>
#include <vector>

#include "fuzz/input.hpp"
#include "llm/tenants.hpp"
#include "stream/hash_key.hpp"
#include "test/requests.hpp"

using namespace driftlock;
using namespace driftlock::fuzz;
using test::Message;

namespace {

std::string text(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

void observe(llm::Tenants& tenants, otlp::Signal signal, Bytes request, std::vector<llm::Completed>& out) {
  otlp::Index index;
  otlp::WireError error;
  if (otlp::index(signal, request, index, error)) tenants.observe("default", index, out);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr const char* kNames[] = {
      "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "llm.invocation_parameters",
      "output.value",          "gen_ai.conversation.id", "gen_ai.response.id",         "gen_ai.response.finish_reasons"};
  const KeyedHash hash = streamHash(kPublicHashKey);
  llm::Tenants tenants(hash);
  std::vector<llm::Completed> out;
  Input input({data, size});
  while (!input.empty()) {
    const std::uint8_t kind = input.byte();
    const std::string span(1, static_cast<char>('a' + kind / 64));
    if (kind % 4 == 0) {
      observe(tenants, kind & 4 ? otlp::Signal::Logs : otlp::Signal::Traces, input.bytes(), out);
      continue;
    }
    Message record;
    if (kind % 4 == 1) {
      record = Message().fixed(1, test::kStart).text(9, "0123456789abcdef").text(10, span);
      record.text(12, kind & 4 ? "gen_ai.choice" : "gen_ai.user.message").add(6, test::attribute("gen_ai.system", "x"));
      record.add(5, kind & 8 ? Message().text(1, text(input.bytes())) : Message().add(6, input.bytes()));
      observe(tenants, otlp::Signal::Logs, test::request("shop", {record}), out);
      continue;
    }
    record = test::spanRecord("chat", {.time = test::kStart + kind, .span = span});
    record.add(9, test::attribute("gen_ai.operation.name", kind & 32 ? "execute_tool" : "chat"));
    for (int i = kind >> 3 & 3; i >= 0; --i) {
      const std::string name =
          kind % 4 == 2 ? kNames[input.byte() % std::size(kNames)] : "llm.input_messages." + text(input.some(input.byte() % 64));
      record.add(9, test::attribute(name, text(input.bytes())));
    }
    observe(tenants, otlp::Signal::Traces, test::request("shop", {record}), out);
  }
  for (const llm::Completed& call : out) {
    if (call.turns.size() > llm::Calls::kMostTurns) stop("too many turns");
    for (const llm::Turn& turn : call.turns)
      if (turn.part.text.size() > llm::kMaxText || turn.part.tool.size() > llm::kMaxName) stop("too long a text");
  }
  std::vector<std::uint8_t> snapshot, again;
  // Of texts that are made for it, masks may leave something to mask.
  const privacy::Policy policy{privacy::Actions{}};
  tenants.snapshot(snapshot, policy);
  llm::Tenants restored(hash);
  if (!restored.restore(snapshot)) stop("a snapshot is refused");
  restored.snapshot(again, policy);
  if (again != snapshot) stop("a snapshot of what was restored differs");
  // A damaged one does no harm.
  if (!snapshot.empty()) {
    snapshot[size % snapshot.size()] ^= static_cast<std::uint8_t>(size | 1);
    llm::Tenants damaged(hash);
    if (damaged.restore(snapshot)) damaged.observe("default", {}, out);
  }
  return 0;
}
