#include "base/pattern.hpp"

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

}  // namespace driftlock
