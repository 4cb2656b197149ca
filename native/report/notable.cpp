#include "report/notable.hpp"

#include <algorithm>
#include <tuple>

namespace driftlock {
namespace {

constexpr std::uint64_t kHour = 3'600'000'000'000;

}  // namespace

bool Notable::note(std::uint64_t stream, const Verdict& verdict, std::uint64_t unixNanos) {
  if (const std::uint64_t hour = unixNanos / kHour; hour > hour_) {
    hour_ = hour;
    places_.clear();
  }
  const auto strangeness = [](const Place& place) { return std::tie(place.margin, place.score); };
  const Place next{stream, verdict.margin, verdict.score};
  auto place = std::ranges::find(places_, stream, &Place::stream);
  if (place == places_.end()) {
    if (places_.size() < kMost) {
      places_.push_back(next);
      return true;
    }
    place = std::ranges::min_element(places_, {}, strangeness);
  }
  if (strangeness(next) <= strangeness(*place)) return false;
  *place = next;
  return true;
}

void Notable::snapshot(std::vector<std::uint8_t>& out) const {
  StateWriter write(out);
  write(hour_);
  put(out, static_cast<std::uint32_t>(places_.size()));
  for (const Place& place : places_) write(place.stream), write(place.margin), write(place.score);
}

bool Notable::restore(Bytes in) {
  StateReader read(in);
  read(hour_);
  const auto size = read.get<std::uint32_t>();
  if (size > kMost) return false;
  places_.resize(size);
  for (Place& place : places_) read(place.stream), read(place.margin), read(place.score);
  return read.done();
}

}  // namespace driftlock
