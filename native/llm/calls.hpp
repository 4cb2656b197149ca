#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/slot_table.hpp"
#include "llm/call.hpp"
#include "llm/messages.hpp"
#include "llm/read.hpp"
#include "llm/tool_paths.hpp"
#include "privacy/policy.hpp"

namespace driftlock::llm {

/// A part of a message that is new in its conversation.
struct Turn {
  /// Its place among the new turns of its call.
  std::uint32_t index = 0;
  Role role = Role::User;
  Part part;
  /// How often the conversation has called this tool with these arguments, this time included; 0 for other turns.
  std::uint32_t repeats = 0;
  /// How unusual the path of tools since the last prompt is, up to this call of one; not set for other turns, and while too few
  /// steps are known.
  std::optional<double> pathBits{};
};

/// What a record adds to a call: its figures, new turns, or both.
struct Completed {
  /// A hash that identifies the call, and the record with which it is reported.
  std::uint64_t id = 0;
  std::uint32_t record = 0;
  std::string traceId, spanId, service;
  /// All that is known of the call; its messages are in `turns`.
  Call call;
  std::vector<Turn> turns;
  std::uint32_t repeatedTurns = 0, turnsLeftOut = 0;
  /// Whether these are the first figures of the call.
  bool figures = false;
  /// The number of the call in its conversation, from 1 on; set with `figures`.
  std::uint32_t callsInConversation = 0;
};

/// The calls and conversations of one tenant, of which it remembers the latest. It puts calls together from what spans and log
/// records say of them, recognises a call that two instrumentations report, and finds what is new in a conversation whose history
/// each call repeats.
class Calls {
 public:
  /// The most calls, response ids, conversations, answers and agents that are remembered, and turns of a call that are judged.
  static constexpr std::size_t kMostCalls = 1024, kMostResponses = 2048, kMostConversations = 2048, kMostSeen = 16'384,
                               kMostAgents = 128, kMostTurns = 64;
  /// The most bytes of messages whose call is not known yet.
  static constexpr std::size_t kMostPending = 1 << 20;

  explicit Calls(const KeyedHash& hash) : hash_(hash), reader_(hash) {}

  /// Takes what a record says, and appends what that completes.
  void add(Reading reading, std::string_view service, std::uint32_t record, std::vector<Completed>& out);

  std::size_t memory() const;
  /// The number of messages that were dropped because their call did not come in time.
  std::uint64_t dropped() const { return dropped_; }
  /// Forgets an eighth of everything, the oldest first.
  void reduce();

  /// @param masking masks personal and secret values in what the calls say
  void snapshot(std::vector<std::uint8_t>& out, const privacy::Masking& masking) const;
  /// Returns false if the bytes are not a snapshot; the object is then unusable.
  bool restore(Bytes in);

 private:
  /// A call, as far as it is known.
  struct Known {
    /// The key of the call that another instrumentation reported first; 0 if there is none.
    std::uint64_t same = 0;
    std::string traceId, spanId;
    /// Its names and times, and messages that are not judged yet.
    Call call;
    std::uint32_t turns = 0;
    bool figures = false, hasInput = false, hasOutput = false;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v);
    bool sound(std::size_t) const;
    std::size_t pending() const;
    std::size_t memory() const;
  };
  /// By response id, or by trace, parent and operation: the call that was reported last.
  struct Latest {
    std::uint64_t call = 0;
    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.call);
    }
    bool sound(std::size_t) const { return true; }
  };
  struct Seen {
    template <class Self, class Visitor>
    static void visit(Self&, Visitor&) {}
    bool sound(std::size_t) const { return true; }
  };
  struct Conversation {
    static constexpr std::size_t kMostTools = 32;
    struct Tool {
      std::uint64_t hash = 0;
      std::uint32_t count = 0;
    };
    std::uint32_t calls = 0;
    std::vector<Tool> tools;
    /// The hash of the latest tool since the last prompt, and how unusual its path is so far.
    std::uint64_t step = ToolPaths::kStart;
    double pathBits = 0;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v);
    bool sound(std::size_t) const { return tools.size() <= kMostTools && pathBits >= 0 && pathBits < 1e12; }
    std::uint32_t count(std::uint64_t tool);
  };

  /// The key under which the call is known that this span is a second report of; `own` if it is none.
  std::uint64_t sameCall(const Reading& reading, std::uint64_t own) const;
  std::uint32_t known(std::uint64_t key, const Reading& reading);
  void remember(const Reading& reading, std::uint64_t key);
  void forgetOldestCall();
  bool seen(std::uint64_t hash) const { return seen_.find(hash) != SlotTable<Seen>::kNone; }
  void see(std::uint64_t hash);
  Conversation& conversation(std::uint64_t hash);
  std::uint64_t hashOf(std::string_view text, std::uint64_t seed) const { return hash_(bytesOf(text), seed); }

  /// Adds the execution of a tool, unless a model's answer has shown that call.
  void addTool(std::vector<Message>& asked, std::vector<Message>& answered, Completed& completed, std::uint64_t conversation);
  /// Adds the parts of the messages that are new: those behind the last answer that was seen before.
  /// @param named whether the conversation has a name of its own
  void judge(std::vector<Message> input, std::vector<Message> output, std::string_view service, bool named,
             std::uint64_t conversation, Completed& completed);
  /// @param answers whether it is the answer with which the path of tools ends
  void turn(Role role, Part part, bool answers, Completed& completed, std::uint64_t conversation);
  ToolPaths& pathsOf(const Completed& completed);
  void learn(ToolPaths& paths, std::uint64_t from, std::uint64_t to);
  /// Takes a step of the path of tools. Returns how unusual the path is so far.
  /// @param repeated whether the conversation has called this tool with these arguments before
  std::optional<double> step(const Part& part, bool repeated, ToolPaths& paths, Conversation& conversation);

  KeyedHash hash_;
  MessageReader reader_;
  SlotTable<Known> calls_;
  SlotTable<Latest> latest_;
  SlotTable<Seen> seen_;
  SlotTable<Conversation> conversations_;
  /// By service and agent.
  SlotTable<ToolPaths> paths_;
  std::size_t pending_ = 0, inCalls_ = 0, inPaths_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace driftlock::llm
