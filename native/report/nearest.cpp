#include "report/nearest.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "cbad/ncd.hpp"

namespace driftlock {
std::string nearestOf(const std::vector<std::string>& lines, std::string_view text, const Codec& codec) {
  std::set<std::string_view> seen;
  std::size_t least = std::numeric_limits<std::size_t>::max();
  std::string_view nearest;
  for (std::string_view line : lines) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.empty() || line.size() + text.size() > codec.reach() || !seen.insert(line).second) continue;
    const std::size_t alone = codec.compressedSize(bytesOf(line)),
                      joined = codec.compressedSize(join(bytesOf(line), bytesOf(text)));
    const std::size_t news = joined - std::min(joined, alone);
    if (news >= least) continue;
    least = news;
    nearest = line;
  }
  return std::string(nearest);
}

}  // namespace driftlock
