#include "report/statistics.hpp"

#include <algorithm>

#include "otlp/writer.hpp"

namespace driftlock {

void Tally::add(const Tally& other) {
  records += other.records;
  flagged += other.flagged;
  withheld += other.withheld;
  if (other.score > score) {
    score = other.score;
    channel = other.channel;
    channelScore = other.channelScore;
  }
  pValue = std::min(pValue, other.pValue);
}

std::vector<std::uint8_t> encodeStatistics(std::span<const std::vector<StreamStatistics>> streams, std::size_t left) {
  std::vector<std::uint8_t> out, inner;
  otlp::Writer page(out), stream(inner);
  for (const auto& part : streams) {
    for (const StreamStatistics& s : part) {
      inner.clear();
      stream.string(1, s.tenant);
      stream.string(2, s.name);
      stream.string(3, s.service);
      stream.integer(4, static_cast<std::uint64_t>(s.signal));
      stream.integer(5, static_cast<std::uint64_t>(s.state));
      stream.real(6, s.progress);
      stream.fixed(7, s.times.first);
      stream.fixed(8, s.times.last);
      stream.fixed(9, s.times.baseline);
      stream.integer(10, s.tally.records);
      stream.integer(11, s.tally.flagged);
      stream.integer(12, s.tally.withheld);
      stream.real(13, s.tally.score);
      stream.integer(14, infoOf(s.tally.channel).number);
      stream.real(15, s.tally.pValue);
      stream.real(16, s.tally.channelScore);
      stream.real(17, s.limit);
      page.message(1, inner);
    }
  }
  page.integer(2, left);
  return out;
}

void AbsentStreams::gone(std::uint64_t hash, StreamStatistics statistics) {
  if (const auto known = places_.find({hash, statistics.tenant}); known != places_.end()) {
    statistics.tally.add(remove(known->second).tally);
  } else if (gone_.size() == capacity_) {
    remove(gone_.begin());
    ++lost_;
  }
  put(gone_, hash, std::move(statistics));
}

void AbsentStreams::limited(std::uint64_t hash, StreamStatistics statistics) {
  if (limited_.size() == capacity_) {
    ++lost_;
    return;
  }
  put(limited_, hash, std::move(statistics));
}

bool AbsentStreams::another(const StreamId& id) {
  const auto known = places_.find(id);
  if (known == places_.end() || known->second->statistics.state != StreamState::Limited) return false;
  ++known->second->statistics.tally.records;
  return true;
}

Tally AbsentStreams::take(const StreamId& id) {
  const auto known = places_.find(id);
  return known == places_.end() ? Tally{} : remove(known->second).tally;
}

std::size_t AbsentStreams::drain(std::size_t most, std::vector<StreamStatistics>& out) {
  std::size_t drained = 0;
  for (Order* order : {&gone_, &limited_}) {
    for (; drained < most && !order->empty(); ++drained) out.push_back(remove(order->begin()));
  }
  return drained;
}

void AbsentStreams::put(Order& order, std::uint64_t hash, StreamStatistics statistics) {
  order.push_back({hash, std::move(statistics)});
  places_[order.back().id()] = std::prev(order.end());
}

StreamStatistics AbsentStreams::remove(Order::iterator entry) {
  places_.erase(entry->id());
  Order& order = orderOf(entry->statistics.state);
  StreamStatistics statistics = std::move(entry->statistics);
  order.erase(entry);
  return statistics;
}

}  // namespace driftlock
