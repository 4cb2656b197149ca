// Shows a test in another language how the native reader and splicer treat requests.

#include <cstdio>
#include <string>
#include <vector>

#include "otlp/attributes.hpp"
#include "otlp/splice.hpp"
#include "otlp_check.hpp"
#include "otlp_json.hpp"

using namespace driftlock;
using namespace driftlock::otlp;

int main() {
  unsigned char head[6];
  Index index;
  Splicer splicer;
  while (std::fread(head, 1, sizeof head, stdin) == sizeof head) {
    std::vector<std::uint8_t> request(static_cast<std::size_t>(head[2]) << 24 | head[3] << 16 | head[4] << 8 | head[5]);
    if (std::fread(request.data(), 1, request.size(), stdin) != request.size()) return 1;
    WireError error;
    if (!otlp::index(static_cast<Signal>(head[0]), request, index, error)) {
      std::printf("{\"error\":{\"what\":\"%s\",\"field\":\"%s\",\"offset\":%zu}}\n", error.what, error.field, error.offset);
      std::fflush(stdout);
      continue;
    }
    std::vector<Edit> edits;
    std::vector<std::vector<std::uint8_t>> added(index.records.size());
    for (std::uint32_t id = 0; id < index.records.size(); id += head[1]) {
      if (edits.size() % 2 == 0) {
        AttributeEncoder encoder(added[id], attributesField(index, index.records[id]));
        encoder.boolean("cbad.anomaly", true);
        encoder.string("cbad.anomaly.id", "id-" + std::to_string(id));
        encoder.integer("cbad.number", -static_cast<std::int64_t>(id));
        encoder.real("cbad.score", id + 0.5);
      }
      edits.push_back({id, added[id]});
    }
    std::printf("{\"index\":%s,\"all\":%s,\"edited\":%s}\n", test::json(index).c_str(),
                test::hex(test::spliced(splicer, index, edits, Keep::All)).c_str(),
                test::hex(test::spliced(splicer, index, edits, Keep::Edited)).c_str());
    std::fflush(stdout);
  }
  return 0;
}
