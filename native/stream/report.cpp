#include "stream/report.hpp"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>

#include "otlp/attributes.hpp"
#include "otlp/wire.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMaxText = 4096;
constexpr std::size_t kMaxQuote = 96;

/// Length of the well-formed UTF-8 sequence at `p`, 0 for none (Unicode 15, table 3-7).
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

/// Writes the fields of one message; defaults are left out, as proto3 does.
class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& out) : out_(out) {}

  void integer(std::uint32_t number, std::uint64_t value) {
    if (value == 0) return;
    varint(otlp::tag(number, otlp::Wire::Varint));
    varint(value);
  }
  void fixed(std::uint32_t number, std::uint64_t bits) {
    if (bits == 0) return;
    varint(otlp::tag(number, otlp::Wire::Fixed64));
    for (int shift = 0; shift < 64; shift += 8) out_.push_back(static_cast<std::uint8_t>(bits >> shift));
  }
  void real(std::uint32_t number, double value) { fixed(number, std::bit_cast<std::uint64_t>(value)); }
  void bytes(std::uint32_t number, Bytes value) {
    if (!value.empty()) message(number, value);
  }
  void string(std::uint32_t number, std::string_view value) {
    bytes(number, {reinterpret_cast<const std::uint8_t*>(value.data()), value.size()});
  }
  void message(std::uint32_t number, Bytes value) {
    varint(otlp::tag(number, otlp::Wire::Length));
    varint(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
  }

 private:
  void varint(std::uint64_t value) {
    std::uint8_t buffer[10];
    out_.insert(out_.end(), buffer, otlp::writeVarint(value, buffer));
  }
  std::vector<std::uint8_t>& out_;
};

}  // namespace

std::string_view toString(Channel channel) {
  switch (channel) {
    case Channel::None:
      return "none";
    case Channel::Content:
      return "content";
  }
  return "none";
}

void makeReadable(std::string& text, std::vector<LiteralRun>& novel) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(text.data());
  std::size_t end = 0;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t size = sequence(bytes + i, text.size() - i);
    if (size == 0) {
      text[i] = '?';
      size = 1;
    }
    if (i + size > kMaxText) break;
    i += size;
    end = i;
  }
  text.resize(end);
  // A range must not begin or end within a character.
  auto inside = [&](std::size_t at) { return at < text.size() && (static_cast<std::uint8_t>(text[at]) & 0xc0) == 0x80; };
  for (LiteralRun& run : novel) {
    run.start = std::min<std::uint32_t>(run.start, static_cast<std::uint32_t>(end));
    run.end = std::min<std::uint32_t>(run.end, static_cast<std::uint32_t>(end));
    while (inside(run.start)) --run.start;
    while (inside(run.end)) ++run.end;
  }
  std::erase_if(novel, [](const LiteralRun& run) { return run.start >= run.end; });
}

std::string explain(const Finding& f) {
  std::size_t bytes = 0;
  const LiteralRun* longest = nullptr;
  for (const LiteralRun& run : f.novel) {
    bytes += run.end - run.start;
    if (!longest || run.end - run.start > longest->end - longest->start) longest = &run;
  }
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, "%zu of %zu bytes are new to this stream", bytes, f.text.size());
  std::string sentence = buffer;
  if (longest) {
    std::string quote = f.text.substr(longest->start, std::min<std::size_t>(longest->end - longest->start, kMaxQuote));
    std::vector<LiteralRun> none;
    makeReadable(quote, none);
    std::replace_if(quote.begin(), quote.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
    sentence += " (\"" + quote + (longest->end - longest->start > kMaxQuote ? "…\")" : "\")");
  }
  std::snprintf(buffer, sizeof buffer, "; it costs %.0f bits where the stream's records cost %.0f; score %.2f against a limit of %.2f, p = %.2g",
                f.surpriseBits, f.baselineBits, f.verdict.score, f.limit, f.verdict.pValue);
  return sentence + buffer;
}

void encodeAttributes(const Finding& f, std::uint32_t number, std::vector<std::uint8_t>& out) {
  otlp::AttributeEncoder encode(out, number);
  encode.boolean("cbad.anomaly", true);
  encode.string("cbad.anomaly.id", f.id);
  encode.string("cbad.stream", f.stream);
  encode.string("cbad.channel", toString(f.verdict.channel));
  encode.real("cbad.score", f.verdict.score);
  encode.real("cbad.p_value", f.verdict.pValue);
  encode.real("cbad.surprise_bits", f.surpriseBits);
  encode.real("cbad.baseline_bits", f.baselineBits);
  if (f.hasMetrics) {
    encode.real("cbad.ncd", f.metrics.ncd);
    encode.real("cbad.compression_ratio", f.metrics.compressionRatio);
    encode.real("cbad.delta_bits", f.metrics.deltaBits);
    encode.real("cbad.entropy", f.metrics.entropy);
    encode.string("cbad.codec", f.codec);
  }
  encode.string("cbad.explanation", f.explanation);
}

std::vector<std::uint8_t> encodeAnomaly(const Finding& f) {
  std::vector<std::uint8_t> out, inner, range;
  Writer writer(out);
  writer.string(1, f.id);
  writer.integer(2, static_cast<std::uint64_t>(f.signal));
  writer.string(3, f.tenant);
  writer.string(4, f.stream);
  writer.integer(5, static_cast<std::uint64_t>(f.verdict.channel));
  writer.fixed(6, f.timeUnixNano);
  writer.bytes(7, f.traceId);
  writer.bytes(8, f.spanId);
  writer.real(9, f.verdict.score);
  writer.real(10, f.limit);
  writer.real(11, f.verdict.pValue);
  writer.real(12, f.surpriseBits);
  writer.real(13, f.baselineBits);
  writer.integer(14, f.occurrence);

  Writer record(inner);
  record.string(1, f.text);
  for (const LiteralRun& run : f.novel) {
    range.clear();
    Writer(range).integer(1, run.start);
    Writer(range).integer(2, run.end);
    record.message(2, range);
  }
  record.integer(3, f.record);
  writer.message(15, inner);

  if (f.hasMetrics) {
    inner.clear();
    Writer window(inner);
    window.integer(1, f.windowRecords);
    window.string(3, f.codec);
    window.real(4, f.metrics.compressionRatio);
    window.real(5, f.metrics.deltaBits);
    window.real(6, f.metrics.entropy);
    window.real(7, f.metrics.ncd);
    window.real(8, f.metrics.ncdSizeMatched);
    window.real(9, f.permutation.pValue);
    window.integer(10, f.permutation.permutations);
    writer.message(16, inner);
  }
  writer.string(17, f.explanation);
  return out;
}

}  // namespace driftlock
