// Scans any bytes: what is found lies within the text, in order, and is masked if there is anything. The first byte is the length
// of the attribute's name.

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/input.hpp"
#include "privacy/policy.hpp"

using namespace driftlock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input({data, size});
  const Bytes key = input.some(input.byte() % 32), text = input.some(size);
  static std::vector<privacy::Found> found;
  privacy::scan(text, key, found);
  std::uint32_t last = 0;
  for (const privacy::Found& each : found) {
    if (each.begin < last || each.end <= each.begin || each.end > text.size()) fuzz::stop("a part out of its place");
    last = each.end;
  }
  std::vector<std::uint8_t> masked(text.begin(), text.end());
  static const privacy::Policy policy;
  const privacy::Masking masking(policy, privacy::Place::Stored, {});
  if ((masking.blank(masked, key) != 0) != !found.empty()) fuzz::stop("a mask without a value");
  std::string shown(text.begin(), text.end());
  masking.label(shown, key);
  if (found.empty() && !std::ranges::equal(text, shown, {}, {}, [](char c) { return static_cast<std::uint8_t>(c); }))
    fuzz::stop("a change without a value");
  return 0;
}
