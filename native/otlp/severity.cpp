#include "otlp/severity.hpp"

#include <array>
#include <cstddef>

namespace driftlock {
namespace {

struct Level {
  std::string_view name;
  std::int32_t number;
};

/// The model's own levels, each of which may be followed by 2, 3 or 4.
constexpr std::array<Level, 6> kModel{{{"trace", 1}, {"debug", 5}, {"info", 9}, {"warn", 13}, {"error", 17}, {"fatal", 21}}};

constexpr std::array<Level, 18> kOthers{{{"finest", 1},
                                         {"finer", 5},
                                         {"verbose", 5},
                                         {"fine", 6},
                                         {"config", 7},
                                         {"information", 9},
                                         {"informational", 9},
                                         {"notice", 10},
                                         {"warning", 13},
                                         {"err", 17},
                                         {"severe", 17},
                                         {"crit", 18},
                                         {"dpanic", 18},
                                         {"alert", 19},
                                         {"panic", 19},
                                         {"critical", 21},
                                         {"emerg", 21},
                                         {"emergency", 21}}};

constexpr std::size_t kLongest = std::string_view("informational").size();

constexpr bool isSpace(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

}  // namespace

std::int32_t severityNumberOf(std::string_view name) {
  while (!name.empty() && isSpace(name.front())) name.remove_prefix(1);
  while (!name.empty() && isSpace(name.back())) name.remove_suffix(1);
  if (name.empty() || name.size() > kLongest) return 0;
  std::array<char, kLongest> lower{};
  for (std::size_t i = 0; i < name.size(); ++i)
    lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] - 'A' + 'a') : name[i];
  const std::string_view word(lower.data(), name.size());
  for (const auto& level : kModel) {
    if (!word.starts_with(level.name)) continue;
    const auto rest = word.substr(level.name.size());
    if (rest.empty()) return level.number;
    if (rest.size() == 1 && rest[0] >= '2' && rest[0] <= '4') return level.number + (rest[0] - '1');
  }
  for (const auto& level : kOthers)
    if (word == level.name) return level.number;
  return 0;
}

}  // namespace driftlock
