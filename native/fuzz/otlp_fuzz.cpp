// Reads any bytes: the reader refuses them or reads them whole, and the output of the splicer and the splitter reads back as
// intended. The first byte selects the signal, the second the records to edit; the rest is the request.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "otlp/attributes.hpp"
#include "otlp/reader.hpp"
#include "otlp/splice.hpp"
#include "test/otlp_check.hpp"
#include "test/otlp_json.hpp"

using namespace driftlock;
using namespace driftlock::otlp;

namespace {

[[noreturn]] void stop(const char* what) {
  std::fprintf(stderr, "wrong: %s\n", what);
  std::abort();
}

/// The quick way to read an attribute must agree with the general one.
void comparePlain(const Attributes& attributes, std::uint32_t number) {
  for (auto attribute = attributes.begin(); attribute != attributes.end(); ++attribute) {
    Cursor cursor(attribute.field());
    if (cursor.tag() != tag(number, Wire::Length)) stop("the field of an attribute");
    const KeyValue general = readKeyValue(cursor.payload());
    if (!test::equal(general.key, attribute->key)) stop("the key of an attribute");
    if (test::json(general.value) != test::json(attribute->value)) stop("the value of an attribute");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto signal = static_cast<Signal>(data[0] % 3);
  const Bytes request(data + 2, size - 2);
  static Index index;
  WireError error;
  if (!otlp::index(signal, request, index, error)) {
    if (!*error.what || !*error.field || error.offset > request.size()) stop("a refusal without its reason");
    return 0;
  }
  if (test::json(index).empty()) stop("nothing read");

  std::vector<Edit> edits;
  std::vector<std::vector<std::uint8_t>> added;
  added.reserve(index.records.size());
  for (std::uint32_t id = 0; id < index.records.size(); ++id) {
    const Record& record = index.records[id];
    const std::uint32_t number = attributesField(index, record);
    comparePlain(Attributes(index.bytes(record), number), number);
    if (data[1] >> (id % 4) & 1) continue;
    AttributeEncoder encoder(added.emplace_back(), number);
    if (data[1] >> (4 + id % 4) & 1) {
      encoder.boolean("cbad.anomaly", true);
      const Bytes text = index.bytes(record);
      encoder.string("cbad.explanation", {reinterpret_cast<const char*>(text.data()), text.size()});
    }
    edits.push_back({id, added.back()});
  }
  for (const Keep keep : {Keep::All, Keep::Edited})
    if (const char* what = test::wronglySpliced(index, edits, keep)) stop(what);
  if (const char* what = test::wronglySplit(index, request.size() * data[1] / 256)) stop(what);
  return 0;
}
