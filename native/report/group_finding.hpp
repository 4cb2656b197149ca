#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "stream/verdict.hpp"

namespace driftlock {

/// The streams of a resource group that were strange together.
class GroupFinding final : public Finding {
 public:
  /// @param usual the usual sum of the members' distances
  GroupFinding(std::string_view group, double usual, const std::vector<NamedMember>& members);
  void describe(const Texts&, Description& out) const override;

 private:
  std::string sentence_, field_;
};

}  // namespace driftlock
