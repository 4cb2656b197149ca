#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "base/slot_table.hpp"
#include "graph/history.hpp"
#include "graph/open_spans.hpp"
#include "otlp/reader.hpp"
#include "otlp/views.hpp"
#include "privacy/policy.hpp"
#include "record/identity.hpp"

namespace driftlock {

/// Who calls whom among the services of one tenant, and what each operation takes of its own, learned from spans.
///
/// Time and failures are conserved along the calls: what an operation takes of its own is the duration of its spans less the time
/// in which their children were running, and a failure is its own if no child failed. So a caller that waits for a slow callee,
/// or that fails because of it, takes nothing more of its own. What a call takes that no span of the callee accounts for belongs
/// to the peer that the call names; how long a message waited belongs to whoever receives it.
///
/// Spans come in any order and from several processes, so a span counts once nothing of it or of its children has come for a
/// while. Figures are counted per tick of event time by the end of the spans. A tick is told shortly after its end; what comes
/// later counts in the next one.
class ServiceGraph {
 public:
  /// The most operations, places of operations, calls between two operations, and open spans of a tenant. The least recently used
  /// gives way.
  static constexpr std::size_t kMostOperations = 4096, kMostCalls = 8192, kMostSpans = 65'536;
  /// How long a span waits for its children after the latest of it, and how long what is known of a span waits for the span
  /// itself, or a message for its receiver. In nanoseconds.
  static constexpr std::uint64_t kLag = 5'000'000'000, kWait = 300'000'000'000;
  /// How long after its end a tick is told, in nanoseconds: its last spans have then waited for their children.
  static constexpr std::uint64_t kToldAfter = 6'000'000'000;
  static constexpr auto kTraces = static_cast<std::uint8_t>(otlp::Signal::Traces);
  static_assert(kLag < kToldAfter && kToldAfter < kGraphTick);
  /// The most spans per tick that are looked at. Of more, a share of the traces is, chosen by their ids.
  static constexpr std::uint64_t kMostPerTick = 4096;

  /// @param policy masks the names of services and operations of this tenant; never null
  ServiceGraph(const KeyedHash& hash, std::shared_ptr<const privacy::Policy> policy, std::string_view tenant)
      : hash_(hash), policy_(std::move(policy)), tenant_(tenant) {}

  /// Lets time pass until this event time. Appends the driftlock.v1.GraphTick messages of ticks that are complete to `page`, as
  /// fields of an EvidencePage.
  void advance(std::string_view tenant, std::uint64_t unixNanos, std::vector<std::uint8_t>& page);
  /// Adds the spans of a request at the time of the last `advance`.
  void add(const otlp::Index& index, const std::vector<std::string>& instanceBy);

  std::size_t places() const { return places_.size(); }
  std::size_t calls() const { return calls_.size(); }
  std::size_t spans() const { return open_.size(); }
  /// The memory used beyond the object itself, in bytes.
  std::size_t memory() const {
    return open_.memory() + operations_.memory() + places_.memory() + calls_.memory() + services_.memory() + names_;
  }
  /// The number of places, calls and spans that gave way before their time.
  std::uint64_t gaveWay() const { return gaveWay_; }
  /// Lets the least recently used of each give way until at most so many are left.
  void reduce(std::size_t places, std::size_t calls, std::size_t spans);

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Restores a fresh graph. Returns false if the bytes are not a snapshot of one; the graph is then unusable.
  bool restore(Bytes in);

 private:
  /// The figures of the two ticks that may still change, by the last bit of their numbers.
  using Ticks = std::array<Figures, 2>;
  template <class TicksOf, class Visitor>
  static void visitTicks(TicksOf& ticks, Visitor& v) {
    for (auto& each : ticks) Figures::visit(each, v);
  }
  static bool sound(const Ticks& ticks) { return std::ranges::all_of(ticks, &Figures::sound); }

  /// An operation of a service, whatever its hosts.
  struct Operation {
    std::string service, name;
    /// The hash of the service's name.
    std::uint64_t serviceHash = 0;
    /// The sum of its places in the tick that is being told, and the tick in which it was used last.
    Figures told;
    std::uint64_t usedIn = 0;
    History history;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.service), v(self.name), v(self.serviceHash), v(self.usedIn), History::visit(self.history, v);
    }
    bool sound(std::size_t) const { return history.sound(); }
  };
  /// An operation on one host, or of a peer that sends no spans itself.
  struct Place {
    SlotId operation;
    std::string host, instance;
    bool peer = false;
    std::uint64_t usedIn = 0;
    Ticks ticks;
    History history;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.operation.key), v(self.host), v(self.instance), v(self.peer), v(self.usedIn), visitTicks(self.ticks, v);
      History::visit(self.history, v);
    }
    bool sound(std::size_t) const { return ServiceGraph::sound(ticks) && history.sound(); }
  };
  /// The calls from one operation to another.
  struct Call {
    SlotId caller, callee;
    std::uint64_t usedIn = 0;
    Ticks ticks;
    History history;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.caller.key), v(self.callee.key), v(self.usedIn), visitTicks(self.ticks, v), History::visit(self.history, v);
    }
    bool sound(std::size_t) const { return ServiceGraph::sound(ticks) && history.sound(); }
  };
  /// A service that sends spans.
  struct Service {
    std::uint64_t usedIn = 0;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.usedIn);
    }
    bool sound(std::size_t) const { return true; }
  };
  /// The resource of a span, or a peer.
  struct Origin {
    Identity identity;
    /// Hashes of the service, and of it with host and instance.
    std::uint64_t service = 0, place = 0;
    bool peer = false;
  };

  Origin originOf(const otlp::Index& index, const otlp::Resource& resource, const std::vector<std::string>& instanceBy);
  void addSpan(const otlp::SpanView& span, const Origin& origin);
  void addChild(std::uint64_t parent, const OpenSpan& child);
  /// Returns the place of an operation, which is made if there is none.
  SlotId placeOf(const Origin& origin, Bytes name);
  SlotId operationOf(const Origin& origin, Bytes name);
  /// Returns the place at which a call counts that nobody answers.
  SlotId peerOf(const otlp::SpanView& span, const Origin& origin);
  /// The operation of a place; none if the place is gone.
  SlotId operationAt(const SlotId& place);
  /// Counts a call between operations.
  void call(const SlotId& caller, const SlotId& callee, std::uint64_t end, const Figures& figures);
  /// Counts an open span, and removes it unless somebody may still ask for it.
  void count(std::uint32_t slot);
  /// Finds a value that is remembered, and marks it as used.
  template <typename Value>
  Value* use(SlotTable<Value>& table, SlotId& id);
  template <typename Value>
  std::uint32_t make(SlotTable<Value>& table, std::uint64_t key, std::size_t most);
  void makeRoom();
  void close(std::string_view tenant, std::uint64_t tick, std::vector<std::uint8_t>& page);
  /// The number of the later one of the two ticks that are open at this time.
  static constexpr std::uint64_t openAt(std::uint64_t unixNanos) { return (unixNanos + kGraphTick - kToldAfter) / kGraphTick; }
  /// Which of the open ticks a span counts in that ended at this time.
  std::size_t tickOf(std::uint64_t end) const;

  std::string nameOf(Bytes text) const;
  privacy::Masking masking() const { return {*policy_, privacy::Place::Stored, {tenant_, kTraces}}; }

  KeyedHash hash_;
  std::shared_ptr<const privacy::Policy> policy_;
  std::string tenant_;
  /// The time of the last `advance`, and the later one of the two ticks that are open; 0 before the first.
  std::uint64_t now_ = 0, tick_ = 0;
  /// The number of spans in the tick, and the share of the traces that is looked at, as a power of 1/2.
  std::uint64_t inTick_ = 0;
  std::uint8_t halvings_ = 0;
  std::uint64_t gaveWay_ = 0;
  /// The bytes of names at the end of the latest tick; no part of the state.
  std::size_t names_ = 0;
  OpenSpans open_;
  SlotTable<Operation> operations_;
  SlotTable<Place> places_;
  SlotTable<Call> calls_;
  SlotTable<Service> services_;
};

}  // namespace driftlock
