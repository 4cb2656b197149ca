#include "graph/service_graph.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "base/state_bytes.hpp"
#include "otlp/value.hpp"
#include "otlp/wire.hpp"
#include "otlp/writer.hpp"
#include "text/mask.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

/// OTLP's status code of a failure.
constexpr std::int32_t kFailed = 2;

constexpr std::uint8_t kMostHalvings = 48;

/// The most services that are known to send spans.
constexpr std::size_t kMostServices = 1024;
/// A duration beyond this is taken for an error of a clock.
constexpr std::uint64_t kLongest = 86'400'000'000'000;
/// After a longer time without anything, only so many empty ticks are told.
constexpr std::uint64_t kMostEmpty = 60;

/// The attributes that name the peer of a call, the best first.
constexpr std::string_view kPeerNames[] = {
    "service.peer.name", "peer.service", "server.address", "net.peer.name", "messaging.destination.name",
    "db.namespace",      "db.name",      "db.system.name", "db.system",     "messaging.system"};

/// Whether one of these names has so many bytes.
constexpr bool mayNamePeer(std::size_t size) {
  constexpr std::uint64_t kSizes = [] {
    std::uint64_t sizes = 0;
    for (const std::string_view name : kPeerNames) sizes |= std::uint64_t{1} << name.size();
    return sizes;
  }();
  return size < 64 && (kSizes >> size & 1) != 0;
}

/// Returns the id of a span's trace without reading the rest, as it tends to come first.
Bytes traceIdOf(Bytes record) {
  otlp::Cursor cursor(record);
  while (const std::uint32_t tag = cursor.tag()) {
    if (tag == otlp::tag(1, otlp::Wire::Length)) return cursor.payload();
    cursor.skip(tag);
  }
  return {};
}

/// Whether a trace is among a share of 1/2^halvings of all. Ids need not be random in any of their bits.
bool isChosen(Bytes traceId, std::uint8_t halvings) {
  std::uint64_t parts[2]{};
  std::memcpy(parts, traceId.data(), std::min(traceId.size(), sizeof parts));
  const std::uint64_t mixed = (parts[0] * 0x9e3779b97f4a7c15 ^ parts[1]) * 0xd6e8feb86659fd93;
  return (mixed ^ mixed << 32) >> (64 - halvings) == 0;
}

std::vector<std::uint8_t> encode(const Figures& figures) {
  std::vector<std::uint8_t> out;
  otlp::Writer write(out);
  write.real(1, figures.count);
  write.real(2, figures.seconds);
  write.real(3, figures.failures);
  return out;
}

}  // namespace

void ServiceGraph::advance(std::string_view tenant, std::uint64_t unixNanos, std::vector<std::uint8_t>& page) {
  const std::uint64_t tick = openAt(unixNanos);
  if (tick_ == 0) tick_ = tick;
  // A clock that was ahead goes back only once that is certain: what was open then is over.
  const bool back = tick < tick_;
  for (std::uint32_t oldest; (oldest = open_.oldest(kCounting)) != OpenSpans::kNone; count(oldest)) {
    if (!back && open_[oldest].touched + kLag > unixNanos) break;
  }
  now_ = unixNanos;
  for (std::uint32_t oldest; (oldest = open_.oldest(kWaiting)) != OpenSpans::kNone; open_.erase(oldest)) {
    if (!back && open_[oldest].touched + kWait > unixNanos) break;
  }
  if (tick == tick_) return;
  for (int left = 2; left > 0 && (back || tick_ < tick); --left) close(tenant, tick_++ - 1, page);
  if (back || tick_ + kMostEmpty < tick) tick_ = back ? tick : tick - kMostEmpty;
  while (tick_ < tick) close(tenant, tick_++ - 1, page);
  open_.shrink();
}

void ServiceGraph::add(const otlp::Index& index, const std::vector<std::string>& instanceBy) {
  if (tick_ == 0) return;
  std::uint32_t resource = otlp::kNone;
  Origin origin;
  for (const otlp::Record& record : index.records) {
    if (++inTick_ >> halvings_ > kMostPerTick && halvings_ < kMostHalvings) ++halvings_;
    const Bytes bytes = index.bytes(record);
    if (halvings_ > 0 && !isChosen(traceIdOf(bytes), halvings_)) continue;
    if (const std::uint32_t own = index.scopeOf(record).resource; own != resource) {
      resource = own;
      origin = originOf(index, index.resources[resource], instanceBy);
    }
    const otlp::SpanView span = otlp::readSpan(bytes);
    if (!span.traceId.empty() && !span.spanId.empty()) addSpan(span, origin);
  }
}

ServiceGraph::Origin ServiceGraph::originOf(const otlp::Index& index, const otlp::Resource& resource,
                                            const std::vector<std::string>& instanceBy) {
  Origin origin{.identity = identityOf(index, resource, instanceBy, masking())};
  origin.service = hash_(bytesOf(origin.identity.service));
  origin.place = hash_(bytesOf(origin.identity.instance), hash_(bytesOf(origin.identity.host), origin.service));
  SlotId service{origin.service, services_.find(origin.service)};
  if (!use(services_, service)) make(services_, origin.service, kMostServices);
  return origin;
}

void ServiceGraph::addSpan(const otlp::SpanView& span, const Origin& origin) {
  const std::uint64_t trace = hash_(span.traceId);
  const std::uint64_t key = hash_(span.spanId, trace);
  std::uint32_t slot = open_.find(key);
  if (slot == OpenSpans::kNone) {
    makeRoom();
    slot = open_.add(key, kCounting);
  } else if (open_[slot].known) {
    return;  // It was sent twice.
  } else {
    open_.touch(slot, kCounting);
  }
  OpenSpan& own = open_[slot];
  own.known = true;
  own.touched = now_;
  own.kind = static_cast<std::uint8_t>(std::clamp(span.kind, 0, 5));
  own.failed = span.statusCode == kFailed;
  own.place = own.isCall() ? peerOf(span, origin) : placeOf(origin, span.name);
  const bool timed = span.startTimeUnixNano != 0 && span.endTimeUnixNano >= span.startTimeUnixNano &&
                     span.endTimeUnixNano - span.startTimeUnixNano <= kLongest;
  own.start = timed ? span.startTimeUnixNano : now_;
  own.end = timed ? span.endTimeUnixNano : now_;
  if (span.parentSpanId.empty()) return;
  own.parent = hash_(span.parentSpanId, trace);
  // Nobody waits for the receiver of a message.
  if (own.kind != OpenSpan::kConsumer) addChild(own.parent, OpenSpan(own));
}

void ServiceGraph::addChild(std::uint64_t key, const OpenSpan& child) {
  std::uint32_t slot = open_.find(key);
  if (slot == OpenSpans::kNone) {
    makeRoom();
    slot = open_.add(key, kWaiting);
  } else {
    open_.touch(slot, open_[slot].known && !open_[slot].counted ? kCounting : kWaiting);
  }
  OpenSpan& parent = open_[slot];
  parent.touched = now_;
  parent.inChildren += child.end - child.start;
  parent.childStart = std::min(parent.childStart, child.start);
  parent.childEnd = std::max(parent.childEnd, child.end);
  parent.childFailed |= child.failed;
  // A call counts before the span that makes it, which is then still known.
  if (parent.known && parent.isCall()) {
    const std::uint32_t caller = open_.find(parent.parent);
    if (caller != OpenSpans::kNone && open_[caller].known && !open_[caller].counted) {
      open_[caller].touched = now_;
      open_.touch(caller, kCounting);
    }
  }
  if (child.kind == OpenSpan::kServer) parent.answer = operationAt(child.place);
}

template <typename Value>
Value* ServiceGraph::use(SlotTable<Value>& table, SlotId& id) {
  if (!table.has(id.slot, id.key)) id.slot = id.key == 0 ? table.kNone : table.find(id.key);
  if (id.slot == table.kNone) return nullptr;
  Value& value = table[id.slot];
  // The order is one of ticks.
  if (value.usedIn != tick_) table.touch(id.slot);
  value.usedIn = tick_;
  return &value;
}

template <typename Value>
std::uint32_t ServiceGraph::make(SlotTable<Value>& table, std::uint64_t key, std::size_t most) {
  if (table.size() == most) table.erase(table.oldest()), ++gaveWay_;
  const std::uint32_t slot = table.add(key);
  table[slot].usedIn = tick_;
  return slot;
}

SlotId ServiceGraph::placeOf(const Origin& origin, Bytes name) {
  name = name.first(std::min(name.size(), kMaxNameValue));
  SlotId id{.key = hash_(name, origin.place)};
  if (Place* const known = use(places_, id); known && use(operations_, known->operation)) return id;
  std::uint8_t masked[kMaxNameValue];
  if (operations_.size() >= kMostOperations / 2) {
    // Ids in names must not take all of the room.
    name = Bytes(masked, text::mask(name, masked));
    id = {.key = hash_(name, origin.place)};
    if (Place* const known = use(places_, id); known && use(operations_, known->operation)) return id;
  }
  const SlotId operation = operationOf(origin, name);
  if (id.slot == places_.kNone) id.slot = make(places_, id.key, kMostOperations);
  Place& place = places_[id.slot];
  place.operation = operation;
  place.host = origin.identity.host;
  place.instance = origin.identity.instance;
  place.peer = origin.peer;
  return id;
}

std::string ServiceGraph::nameOf(Bytes text) const {
  std::string name(textOf(text).substr(0, kMaxNameValue));
  masking().label(name);
  text::makeReadable(name);
  return name;
}

SlotId ServiceGraph::operationOf(const Origin& origin, Bytes name) {
  SlotId id{.key = hash_(name, origin.service)};
  if (use(operations_, id)) return id;
  id.slot = make(operations_, id.key, kMostOperations);
  Operation& operation = operations_[id.slot];
  operation.service = origin.identity.service;
  operation.serviceHash = origin.service;
  operation.name = nameOf(name);
  return id;
}

SlotId ServiceGraph::peerOf(const otlp::SpanView& span, const Origin& origin) {
  std::size_t best = std::size(kPeerNames);
  Bytes named;
  for (const otlp::KeyValue& attribute : span.attributes) {
    if (!mayNamePeer(attribute.key.size()) || attribute.value.type != otlp::AnyValue::Type::String) continue;
    const std::string_view key = textOf(attribute.key);
    for (std::size_t i = 0; i < best && !attribute.value.bytes.empty(); ++i) {
      if (key != kPeerNames[i]) continue;
      best = i;
      named = attribute.value.bytes;
    }
  }
  // A call that does not say whom it calls is the caller's.
  if (named.empty()) return placeOf(origin, span.name);
  Origin peer{.identity = {.service = nameOf(named)}, .peer = true};
  peer.service = hash_(bytesOf(peer.identity.service));
  peer.place = ~peer.service;
  return placeOf(peer, span.name);
}

SlotId ServiceGraph::operationAt(const SlotId& place) {
  SlotId id = place;
  Place* const known = use(places_, id);
  return known && use(operations_, known->operation) ? known->operation : SlotId{};
}

std::size_t ServiceGraph::tickOf(std::uint64_t end) const { return std::clamp(end / kGraphTick, tick_ - 1, tick_) & 1; }

void ServiceGraph::call(const SlotId& caller, const SlotId& callee, std::uint64_t end, const Figures& figures) {
  if (caller.key == 0 || callee.key == 0) return;
  SlotId id{.key = hash_(callee.key, caller.key)};
  Call* known = use(calls_, id);
  if (!known) {
    known = &calls_[make(calls_, id.key, kMostCalls)];
    known->caller = caller;
    known->callee = callee;
  }
  known->ticks[tickOf(end)].add(figures);
}

void ServiceGraph::count(std::uint32_t slot) {
  OpenSpan& span = open_[slot];
  const std::uint32_t at = span.parent == 0 ? OpenSpans::kNone : open_.find(span.parent);
  const OpenSpan* const parent = at != OpenSpans::kNone && open_[at].known ? &open_[at] : nullptr;
  const std::uint64_t duration = span.end - span.start;
  const std::uint64_t first = std::max(span.childStart, span.start), last = std::min(span.childEnd, span.end);
  const std::uint64_t inChildren = std::min(span.inChildren, last > first ? last - first : 0);
  const bool receives = span.kind == OpenSpan::kConsumer;
  const std::uint64_t waited = receives && parent && span.start > parent->end ? span.start - parent->end : 0;
  const auto seconds = [](std::uint64_t nanos) { return static_cast<double>(nanos) / 1e9; };
  const Figures whole{1, seconds(waited + duration), span.failed ? 1.0 : 0.0};

  Place* const own = use(places_, span.place);
  Operation* const operation = own ? use(operations_, own->operation) : nullptr;
  if (operation) {
    // A call that succeeded without an answer, to a service that sends spans, was answered by a span that did not arrive.
    const bool lost = own->peer && !span.failed && services_.find(operation->serviceHash) != services_.kNone;
    if (!span.isCall() || (span.answer.key == 0 && !lost)) {
      const bool failed = span.failed && !span.childFailed;
      const double took = seconds(waited + duration - inChildren);
      own->ticks[tickOf(span.end)].add({1, took, failed ? 1.0 : 0.0, took});
    }
    const SlotId caller = parent && !parent->isCall() ? operationAt(parent->place) : SlotId{};
    if (span.isCall()) {
      call(caller, span.answer.key != 0 ? span.answer : own->operation, span.end, whole);
      span.sender = caller;
    } else if (receives && parent && parent->isCall()) {
      call(parent->sender, own->operation, span.end, whole);
    } else if (caller.key != 0 && operations_[caller.slot].serviceHash != operation->serviceHash) {
      call(caller, own->operation, span.end, whole);
    }
  }
  if (span.kind != OpenSpan::kProducer) return open_.erase(slot);
  span.counted = true;
  span.touched = now_;
  open_.touch(slot, kWaiting);
}

void ServiceGraph::makeRoom() {
  if (open_.size() >= kMostSpans) reduce(kMostOperations, kMostCalls, kMostSpans - 1);
}

void ServiceGraph::reduce(std::size_t places, std::size_t calls, std::size_t spans) {
  for (; places_.size() > places; ++gaveWay_) places_.erase(places_.oldest());
  while (operations_.size() > places) operations_.erase(operations_.oldest());
  for (; calls_.size() > calls; ++gaveWay_) calls_.erase(calls_.oldest());
  for (; open_.size() > spans; ++gaveWay_) {
    if (const std::uint32_t oldest = open_.oldest(kWaiting); oldest != OpenSpans::kNone) open_.erase(oldest);
    else count(open_.oldest(kCounting));
  }
}

void ServiceGraph::close(std::string_view tenant, std::uint64_t tick, std::vector<std::uint8_t>& page) {
  std::vector<std::uint8_t> out, inner;
  otlp::Writer write(out), part(inner);
  write.string(1, tenant);
  write.fixed(2, tick * kGraphTick);
  const auto forEach = [](auto& table, auto&& visit) {
    for (std::uint32_t slot = table.oldest(); slot != table.kNone; slot = table.after(slot)) visit(table[slot]);
  };
  const auto find = [&](SlotId& id) -> Operation* {
    if (!operations_.has(id.slot, id.key)) id.slot = operations_.find(id.key);
    return id.slot == operations_.kNone ? nullptr : &operations_[id.slot];
  };
  names_ = 0;
  forEach(operations_, [&](const Operation& operation) { names_ += heapOf(operation.service) + heapOf(operation.name); });
  forEach(places_, [&](Place& place) {
    names_ += heapOf(place.host) + heapOf(place.instance);
    const Figures& now = place.ticks[tick & 1];
    if (Operation* const operation = now.count > 0 ? find(place.operation) : nullptr) operation->told.add(now);
  });
  forEach(places_, [&](Place& place) {
    const Figures now = std::exchange(place.ticks[tick & 1], {});
    Operation* const operation = now.count > 0 ? find(place.operation) : nullptr;
    if (!operation) return;
    History::Usual usual;
    // What is usual for an operation is expected of a new instance as well.
    if (!place.history.usual(now.count, tick, usual)) operation->history.usual(now.count, tick, usual);
    place.history.close(now, now.count, tick);
    inner.clear();
    part.string(1, operation->service);
    part.string(2, operation->name);
    part.string(3, place.host);
    part.string(4, place.instance);
    part.message(5, encode(now));
    part.message(6, encode(usual.figures));
    part.real(7, usual.variance);
    part.real(8, now.longest);
    write.message(3, inner);
  });
  forEach(calls_, [&](Call& call) {
    const Figures now = std::exchange(call.ticks[tick & 1], {});
    Operation* const caller = find(call.caller);
    Operation* const callee = find(call.callee);
    if (!caller || !callee || (now.count == 0 && caller->told.count == 0)) return;
    History::Usual usual;
    call.history.usual(caller->told.count, tick, usual);
    call.history.close(now, caller->told.count, tick);
    if (now.count == 0) return;
    inner.clear();
    part.string(1, caller->service);
    part.string(2, caller->name);
    part.string(3, callee->service);
    part.string(4, callee->name);
    part.message(5, encode(now));
    part.message(6, encode(usual.figures));
    write.message(4, inner);
  });
  forEach(operations_, [&](Operation& operation) {
    if (const Figures told = std::exchange(operation.told, {}); told.count > 0) operation.history.close(told, told.count, tick);
  });
  if (halvings_ > 0 && inTick_ >> halvings_ < kMostPerTick / 4) --halvings_;
  inTick_ = 0;
  otlp::Writer(page).message(2, out);
}

void ServiceGraph::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(now_), write(tick_), write(inTick_), write(halvings_);
  putState(out, services_);
  putState(out, operations_);
  putState(out, places_);
  putState(out, calls_);
  putState(out, open_);
}

bool ServiceGraph::restore(Bytes in) {
  StateReader read(in);
  read(now_), read(tick_), read(inTick_), read(halvings_);
  if (tick_ != (now_ == 0 ? 0 : openAt(now_)) || halvings_ > kMostHalvings) return false;
  return services_.restore(read.getBytes(), kMostServices) && operations_.restore(read.getBytes(), kMostOperations) &&
         places_.restore(read.getBytes(), kMostOperations) && calls_.restore(read.getBytes(), kMostCalls) &&
         open_.restore(read.getBytes(), kMostSpans) && (tick_ != 0 || open_.size() == 0) && read.done();
}

}  // namespace driftlock
