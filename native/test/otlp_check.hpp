#pragma once

// Checks what must be true of every request that the splicer and the splitter write, whatever the request and the edits.

#include <cstring>
#include <span>
#include <vector>

#include "otlp/reader.hpp"
#include "otlp/splice.hpp"
#include "otlp/split.hpp"
#include "otlp/views.hpp"
#include "otlp_json.hpp"

namespace driftlock::test {

using namespace driftlock::otlp;

inline bool equal(Bytes a, Bytes b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

inline std::vector<std::uint8_t> spliced(Splicer& splicer, const Index& index, std::span<const Edit> edits, Keep keep,
                                         std::uint8_t fill = 0) {
  std::vector<std::uint8_t> out(splicer.plan(index, edits, keep), fill);
  splicer.write(out.data());
  return out;
}

/// A record's content as it must be after the edit.
inline std::vector<std::uint8_t> edited(const Index& index, const Record& record, Bytes added) {
  const Bytes before = index.bytes(record);
  std::vector<std::uint8_t> after;
  const std::uint8_t* from = before.data();
  const Attributes attributes(before, attributesField(index, record));
  for (auto attribute = attributes.begin(); attribute != attributes.end(); ++attribute) {
    const Bytes key = attribute->key;
    if (added.empty() || key.size() < 5 || std::memcmp(key.data(), "cbad.", 5) != 0) continue;
    after.insert(after.end(), from, attribute.field().data());
    from = attribute.field().data() + attribute.field().size();
  }
  after.insert(after.end(), from, before.data() + before.size());
  after.insert(after.end(), added.begin(), added.end());
  return after;
}

/// Returns null if a record's resource and scope are unchanged, otherwise what has changed.
inline const char* wronglyPlaced(const Index& before, const Record& was, const Index& after, const Record& is) {
  if (json(readResource(after, after.resourceOf(is)).attributes) != json(readResource(before, before.resourceOf(was)).attributes))
    return "the resource of a record";
  if (json(readScope(after, after.scopeOf(is))) != json(readScope(before, before.scopeOf(was)))) return "the scope of a record";
  return nullptr;
}

/// Returns null if a point's metric is unchanged, otherwise what has changed.
inline const char* wronglyMeasured(const Index& before, const Record& was, const Index& after, const Record& is) {
  const Metric& metricWas = before.metricOf(was);
  const Metric& metricIs = after.metricOf(is);
  const bool same = metricIs.type == metricWas.type && metricIs.temporality == metricWas.temporality &&
                    metricIs.monotonic == metricWas.monotonic &&
                    equal(after.bytes(metricIs.name), before.bytes(metricWas.name)) &&
                    equal(after.bytes(metricIs.unit), before.bytes(metricWas.unit));
  return same ? nullptr : "the metric of a record";
}

/// Returns null if a request is split correctly, otherwise what is wrong.
inline const char* wronglySplit(const Index& before, std::size_t most) {
  Splitter splitter;
  const auto planned = splitter.plan(before, most);
  const std::vector<Splitter::Part> parts(planned.begin(), planned.end());
  std::size_t total = 0;
  std::size_t at = 0;
  for (const Splitter::Part& part : parts) {
    std::vector<std::uint8_t> out(part.size, 0x00);
    std::vector<std::uint8_t> again(part.size, 0xff);
    splitter.write(part, out.data());
    splitter.write(part, again.data());
    if (out != again) return "some bytes of a part are not written";
    total += out.size();
    Index after;
    WireError error;
    if (!index(before.signal, out, after, error)) return "a part is malformed";
    for (const Record& is : after.records) {
      if (at == before.records.size()) return "a record too many";
      const Record& was = before.records[at++];
      if (!equal(after.bytes(is), before.bytes(was))) return "the content of a record";
      if (const char* what = wronglyPlaced(before, was, after, is)) return what;
      if (before.signal == Signal::Metrics)
        if (const char* what = wronglyMeasured(before, was, after, is)) return what;
    }
  }
  if (at != before.records.size()) return "a record is missing";
  return total <= 2 * before.request.size() ? nullptr : "the parts are too large";
}

/// Returns null if a request is spliced correctly, otherwise what is wrong.
inline const char* wronglySpliced(const Index& before, std::span<const Edit> edits, Keep keep) {
  Splicer splicer;
  const std::vector<std::uint8_t> out = spliced(splicer, before, edits, keep, 0x00);
  if (out != spliced(splicer, before, edits, keep, 0xff)) return "some bytes of the output are not written";

  Index after;
  WireError error;
  if (!index(before.signal, out, after, error)) return "the output is malformed";
  if (after.records.size() != (keep == Keep::All ? before.records.size() : edits.size())) return "the count of records";

  auto edit = edits.begin();
  std::size_t at = 0;
  std::uint32_t scope = kNone;
  for (std::uint32_t id = 0; id < before.records.size(); ++id) {
    const bool chosen = edit != edits.end() && edit->record == id;
    const Bytes added = chosen ? edit->attributes : Bytes();
    if (chosen) ++edit;
    if (!chosen && keep == Keep::Edited) continue;
    const Record& was = before.records[id];
    const Record& is = after.records[at++];
    if (!equal(after.bytes(is), edited(before, was, added))) return "the content of a record";
    const auto whole = [](const Index& index, const Frame& frame) { return index.bytes(Range{frame.field, frame.end}); };
    if (added.empty() && !equal(whole(after, is.frame), whole(before, was.frame))) return "a record not to be touched";
    if (was.scope != scope)
      if (const char* what = wronglyPlaced(before, was, after, is)) return what;
    scope = was.scope;
    if (before.signal == Signal::Metrics)
      if (const char* what = wronglyMeasured(before, was, after, is)) return what;
  }
  return nullptr;
}

}  // namespace driftlock::test
