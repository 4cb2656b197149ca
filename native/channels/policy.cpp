#include "channels/policy.hpp"

#include <algorithm>
#include <cmath>

namespace driftlock {
namespace {

std::string_view viewOf(Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

}  // namespace

bool Policy::admits(const Score& score) const {
  if (!allows(score.channel)) return false;
  if (!score.deviation) return true;
  const auto& [of, observed, low, high] = *score.deviation;
  const double usual = low + (high - low) / 2;
  const bool up = observed > usual;
  if (direction != Direction::Both && up != (direction == Direction::Up)) return false;
  if (of == Deviation::Of::Records) return std::max(observed, usual) >= leastCount;
  if (of == Deviation::Of::Share || (leastDeviation <= 0 && leastShare <= 0)) return true;
  const double beyond = up ? observed - high : low - observed;
  return beyond >= leastDeviation && beyond >= leastShare * std::abs(up ? high : low);
}

void Policy::strip(RecordView& record) const {
  if (ignoredFields.empty()) return;
  const auto ignored = [&](std::string_view key) { return std::ranges::find(ignoredFields, key) != ignoredFields.end(); };
  std::erase_if(record.fields, [&](const Field& field) { return !field.key.empty() && ignored(viewOf(field.key)); });
  // The first field has no key, and keeps its place.
  if (!record.fields.empty() && record.fields.front().key.empty() && (ignored("body") || ignored("name"))) {
    record.fields.front() = {};
  }
}

}  // namespace driftlock
