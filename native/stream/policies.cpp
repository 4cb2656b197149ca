#include "stream/policies.hpp"

#include <algorithm>

namespace driftlock {

bool matchesPattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  // The place behind the latest star, and where the text that follows it begins.
  std::size_t star = std::string_view::npos, after = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      after = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star;
      t = ++after;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool PolicyRule::matches(const StreamKey& key) const {
  const auto fits = [](std::string_view pattern, std::string_view text) {
    return pattern.empty() || matchesPattern(pattern, text);
  };
  return (!signal || *signal == key.signal) && fits(tenant, key.tenant) && fits(service, key.service) &&
         fits(metric, key.metric) && fits(stream, key.name);
}

std::shared_ptr<const Policy> policyOf(const std::shared_ptr<const Policies>& policies, const StreamKey& key) {
  static const auto none = std::make_shared<const Policy>();
  const auto rule = std::ranges::find_if(*policies, [&](const PolicyRule& each) { return each.matches(key); });
  if (rule == policies->end()) return none;
  return {policies, &rule->policy};
}

}  // namespace driftlock
