#include "stream/policies.hpp"

#include <algorithm>

namespace driftlock {

bool PolicyRule::matches(const StreamKey& key) const {
  const auto fits = [](std::string_view pattern, std::string_view text) {
    return pattern.empty() || matchesPattern(pattern, text);
  };
  return (!signal || *signal == key.signal) && fits(tenant, key.tenant) && fits(service, key.service) &&
         fits(metric, key.metric) && fits(stream, key.name);
}

std::shared_ptr<const Policy> policyOf(const std::shared_ptr<const Policies>& policies, const StreamKey& key) {
  // It is never destroyed, because a process may exit while threads judge.
  static const auto& none = *new auto(std::make_shared<const Policy>());
  const auto rule = std::ranges::find_if(*policies, [&](const PolicyRule& each) { return each.matches(key); });
  if (rule == policies->end()) return none;
  return {policies, &rule->policy};
}

}  // namespace driftlock
