#include "report/group_finding.hpp"

#include <algorithm>

#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The number of members that the sentence names.
constexpr std::size_t kNamed = 3;

/// Returns the name of a stream without the part that all streams of the group share.
std::string shortName(std::string name, std::string_view group) {
  const std::size_t at = group.empty() ? std::string::npos : name.find(group);
  if (at == std::string::npos) return name;
  const std::size_t end = at + group.size();
  // A space is left between what is before the group and what is behind.
  return name.substr(0, at) + name.substr(std::min(end + 1, name.size()));
}

std::string distanceOf(const Member& member) {
  if (member.channel == ChannelId::Value) return text::format("%.1f standard deviations from its mean", member.distance);
  return text::format("%.1f bits", member.distance);
}

}  // namespace

GroupFinding::GroupFinding(std::string_view group, double usual, const std::vector<NamedMember>& members) {
  double sum = 0;
  for (const NamedMember& each : members) sum += each.member.distance;
  sentence_ = "Streams of " + std::string(group) + " are unusual together: ";
  for (std::size_t i = 0; i < std::min(kNamed, members.size()); ++i) {
    if (i > 0) sentence_ += ", ";
    sentence_ += shortName(members[i].stream, group);
    if (!members[i].instance.empty()) sentence_ += " of " + members[i].instance;
    sentence_ += " (" + distanceOf(members[i].member) + ")";
  }
  if (members.size() > kNamed) sentence_ += " and " + std::to_string(members.size() - kNamed) + " more";
  sentence_ += text::format("; the sum is %.1f where %.1f is usual", sum, usual);
  if (!members.empty()) field_ = members.front().stream;
}

void GroupFinding::describe(const Texts&, Description& out) const {
  out.sentence = sentence_;
  out.field = field_;
}

}  // namespace driftlock
