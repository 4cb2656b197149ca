#include "privacy/findings.hpp"

#include <algorithm>
#include <utility>

namespace driftlock::privacy {
namespace {

template <class Each>
std::vector<Each> takenOf(const std::vector<Each>& all, const std::vector<bool>& taken) {
  std::vector<Each> out;
  for (std::size_t i = 0; i < taken.size(); ++i) {
    if (taken[i]) out.push_back(all[i]);
  }
  return out;
}

}  // namespace

Findings::Findings(const KeyedHash& hash, std::vector<Finding> findings, std::vector<Allowed> allowed)
    : hash_(hash),
      given_(true),
      findings_(std::move(findings)),
      allowed_(std::move(allowed)),
      findingsTaken_(findings_.size()),
      allowedTaken_(allowed_.size()) {}

std::vector<Findings::Finding> Findings::takenFindings() const { return takenOf(findings_, findingsTaken_); }
std::vector<Findings::Allowed> Findings::takenAllowed() const { return takenOf(allowed_, allowedTaken_); }

void Findings::note(Text which, Bytes text, Bytes attribute, std::span<const Found> parts) {
  if (given_ || findings_.size() == kMost || parts_ + parts.size() > kMostParts) return;
  const std::uint64_t hash = hashOf(which, text, attribute);
  if (std::ranges::find(findings_, hash, &Finding::text) != findings_.end()) return;
  findings_.push_back({hash, {parts.begin(), parts.end()}});
  parts_ += parts.size();
}

void Findings::noteAllowed(std::string_view attribute, std::string_view value, Kind kind) {
  const std::size_t bytes = attribute.size() + value.size();
  if (given_ || allowed_.size() == kMost || allowedBytes_ + bytes > kMostAllowedBytes) return;
  const auto same = [&](const Allowed& each) { return each.kind == kind && each.attribute == attribute && each.value == value; };
  if (std::ranges::any_of(allowed_, same)) return;
  allowed_.push_back({kind, std::string(attribute), std::string(value)});
  allowedBytes_ += bytes;
}

const std::vector<Found>* Findings::take(Text which, Bytes text, Bytes attribute) {
  if (!given_ || findings_.empty()) return nullptr;
  const auto found = std::ranges::find(findings_, hashOf(which, text, attribute), &Finding::text);
  // Whoever forges a hash may name parts that the text does not have. What was masked round by round may overlap.
  std::uint32_t from = 0;
  const auto fits = [&](const Found& part) {
    const bool follows = which == Text::Masked || part.begin >= std::exchange(from, part.end);
    return follows && part.begin < part.end && part.end <= text.size();
  };
  if (found == findings_.end() || !std::ranges::all_of(found->parts, fits)) return nullptr;
  findingsTaken_[static_cast<std::size_t>(found - findings_.begin())] = true;
  return &found->parts;
}

bool Findings::takeAllowed(std::string_view attribute, std::string_view value, Kind kind) {
  if (!given_) return false;
  const auto found = std::ranges::find_if(
      allowed_, [&](const Allowed& each) { return each.kind == kind && each.attribute == attribute && each.value == value; });
  if (found == allowed_.end()) return false;
  allowedTaken_[static_cast<std::size_t>(found - allowed_.begin())] = true;
  return true;
}

}  // namespace driftlock::privacy
