#include "report/figures.hpp"

#include <algorithm>

#include "base/state_bytes.hpp"

namespace driftlock {

void Tally::add(const Tally& other) {
  records += other.records;
  flagged += other.flagged;
  withheld += other.withheld;
  if (other.score > score) {
    score = other.score;
    channel = other.channel;
  }
  pValue = std::min(pValue, other.pValue);
}

void StreamFigures::encode(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(static_cast<std::uint8_t>(state)), write(static_cast<std::uint8_t>(signal)), write(infoOf(tally.channel).number);
  write(progress);
  write(times.first), write(times.last), write(times.baseline);
  write(tally.records), write(tally.flagged), write(tally.withheld), write(tally.score), write(tally.pValue);
  write(tenant), write(name), write(service);
}

void AbsentStreams::gone(std::uint64_t hash, StreamFigures figures) {
  if (const auto known = places_.find({hash, figures.tenant}); known != places_.end()) {
    figures.tally.add(remove(known->second).tally);
  } else if (gone_.size() == capacity_) {
    remove(gone_.begin());
    ++lost_;
  }
  put(gone_, hash, std::move(figures));
}

void AbsentStreams::limited(std::uint64_t hash, StreamFigures figures) {
  if (limited_.size() == capacity_) {
    ++lost_;
    return;
  }
  put(limited_, hash, std::move(figures));
}

bool AbsentStreams::another(const StreamId& id) {
  const auto known = places_.find(id);
  if (known == places_.end() || known->second->figures.state != StreamState::Limited) return false;
  ++known->second->figures.tally.records;
  return true;
}

Tally AbsentStreams::take(const StreamId& id) {
  const auto known = places_.find(id);
  return known == places_.end() ? Tally{} : remove(known->second).tally;
}

std::size_t AbsentStreams::tell(std::size_t most, std::vector<std::uint8_t>& out) {
  std::size_t told = 0;
  for (Order* order : {&gone_, &limited_}) {
    for (; told < most && !order->empty(); ++told) remove(order->begin()).encode(out);
  }
  return told;
}

void AbsentStreams::put(Order& order, std::uint64_t hash, StreamFigures figures) {
  order.push_back({hash, std::move(figures)});
  places_[order.back().id()] = std::prev(order.end());
}

StreamFigures AbsentStreams::remove(Order::iterator entry) {
  places_.erase(entry->id());
  Order& order = orderOf(entry->figures.state);
  StreamFigures figures = std::move(entry->figures);
  order.erase(entry);
  return figures;
}

}  // namespace driftlock
