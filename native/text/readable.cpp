#include "text/readable.hpp"

#include <algorithm>

#include "base/work.hpp"

namespace driftlock::text {
namespace {

/// Returns the length of the well-formed UTF-8 sequence at `p`, 0 if there is none (Unicode 15, table 3-7).
std::size_t sequence(const std::uint8_t* p, std::size_t n) {
  const std::uint8_t c = p[0];
  if (c < 0x80) return 1;
  const std::size_t size = c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xf0 && c < 0xf5 ? 4 : 0;
  if (size == 0 || size > n) return 0;
  const std::uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  const std::uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (p[1] < low || p[1] > high) return 0;
  for (std::size_t i = 2; i < size; ++i) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  return size;
}

}  // namespace

void makeReadable(std::string& text, std::vector<LiteralRun>* runs) {
  countWork(text.size());
  auto* bytes = reinterpret_cast<std::uint8_t*>(text.data());
  std::size_t end = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = sequence(bytes + i, text.size() - i);
    if (size == 0) {
      text[i] = '?';
      size = 1;
    }
    if (i + size > kMaxReadable) break;
    i += size;
    end = i;
  }
  text.resize(end);
  // A range must not begin or end within a character.
  auto inside = [&](std::size_t at) { return at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xc0) == 0x80; };
  if (!runs) return;
  for (LiteralRun& run : *runs) {
    run.start = std::min<std::uint32_t>(run.start, static_cast<std::uint32_t>(end));
    run.end = std::min<std::uint32_t>(run.end, static_cast<std::uint32_t>(end));
    while (inside(run.start)) --run.start;
    while (inside(run.end)) ++run.end;
  }
  std::erase_if(*runs, [](const LiteralRun& run) { return run.start >= run.end; });
}

}  // namespace driftlock::text
