#include <string_view>

#include "channels/finding.hpp"
#include "channels/observation.hpp"
#include "text/readable.hpp"

namespace driftlock {

std::string Texts::ofTemplate(std::uint32_t id) const {
  constexpr std::string_view kEventName = "event_name=";
  for (std::size_t begin = 0, end; begin < known.size(); begin = end + 1) {
    end = begin;
    while (end < known.size() && known[end] != '\n') ++end;
    const std::string_view line = textOf(known.subspan(begin, end - begin));
    const std::string_view name = line.starts_with(kEventName) ? kEventName.substr(0, kEventName.size() - 1) : std::string_view();
    const std::string_view value = line.substr(name.empty() ? 0 : kEventName.size());
    if (templateId(hash.name(bytesOf(name)).value(bytesOf(value))) != id) continue;
    std::string text(value);
    text::makeReadable(text);
    return text;
  }
  return {};
}

}  // namespace driftlock
