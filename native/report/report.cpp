#include "report/report.hpp"

#include <algorithm>
#include <charconv>

#include "otlp/attributes.hpp"
#include "otlp/writer.hpp"
#include "text/sentence.hpp"

namespace driftlock {

std::string explain(const Report& r) {
  if (r.description.sentence.empty()) return {};
  std::string sentence;
  sentence.reserve(text::kUsualSentence);
  // What was not flagged is below its limit, unless its alarm was withheld.
  const bool below = !r.verdict.flagged && r.verdict.alarm == Alarm::None;
  text::append(sentence, r.description.sentence, "; score ", text::fixed(r.verdict.channelScore),
               below ? " below the limit of " : " against a limit of ", text::fixed(r.verdict.limit),
               ", p = ", text::number(r.verdict.pValue, std::chars_format::general, 2));
  // Members name their own.
  if (!r.instance.empty() && r.members.empty()) text::append(sentence, "; in ", r.instance);
  if (const Withheld& withheld = r.verdict.withheld; withheld.count > 0) {
    text::append(sentence, withheld.count == 1 ? "; an alarm" : "; " + std::to_string(withheld.count) + " alarms",
                 " of this stream ", withheld.count == 1 ? "was" : "were", " withheld since the last one, the strangest by ",
                 infoOf(withheld.channel).name);
  }
  return sentence;
}

std::string explainEnding(Ending ending) {
  switch (ending) {
    case Ending::Quiet: return "Nothing was flagged for five minutes: the anomaly is over";
    case Ending::Resumed: return "Records come again: the silence is over";
    case Ending::Superseded: return "After more than an hour something else was flagged, which is an anomaly of its own";
    case Ending::Left: return "The instance has left while others of its service go on: the anomaly is over";
    case Ending::Accepted: return "It was accepted as normal: the anomaly is over";
    case Ending::FalseAlarm: return "It was called a false alarm: the anomaly is over";
  }
  return {};
}

void encodeMark(std::string_view anomaly, std::uint32_t number, std::vector<std::uint8_t>& out) {
  otlp::AttributeEncoder encode(out, number);
  encode.boolean("cbad.anomaly", true);
  encode.string("cbad.anomaly.id", anomaly);
}

void encodeDetails(const Report& r, std::uint32_t number, std::vector<std::uint8_t>& out) {
  otlp::AttributeEncoder encode(out, number);
  encode.string("cbad.stream", r.stream);
  if (!r.instance.empty()) encode.string("cbad.instance", r.instance);
  encode.string("cbad.channel", infoOf(r.verdict.channel).name);
  encode.real("cbad.score", r.verdict.channelScore);
  encode.real("cbad.p_value", r.verdict.pValue);
  encode.real("cbad.surprise_bits", r.verdict.bits);
  encode.real("cbad.baseline_bits", r.verdict.usualBits);
  if (r.hasMetrics) {
    encode.real("cbad.ncd", r.metrics.ncd);
    encode.real("cbad.compression_ratio", r.metrics.compressionRatio);
    encode.real("cbad.delta_bits", r.metrics.deltaBits);
    encode.real("cbad.entropy", r.metrics.entropy);
    encode.string("cbad.codec", r.codec);
  }
  encode.string("cbad.explanation", r.explanation);
}

std::vector<std::uint8_t> encodeAnomaly(const Report& r) {
  std::vector<std::uint8_t> out, inner, range;
  otlp::Writer writer(out);
  writer.string(1, r.anomaly.id);
  writer.integer(2, static_cast<std::uint64_t>(r.signal));
  writer.string(3, r.tenant);
  writer.string(4, r.stream);
  writer.integer(5, infoOf(r.verdict.channel).number);
  writer.fixed(6, r.timeUnixNano);
  writer.bytes(7, r.traceId);
  writer.bytes(8, r.spanId);
  if (!r.ended) {
    writer.real(9, r.verdict.channelScore);
    writer.real(10, r.verdict.limit);
    writer.real(11, r.verdict.pValue);
    writer.real(12, r.verdict.bits);
    writer.real(13, r.verdict.usualBits);
  }
  writer.integer(14, r.anomaly.occurrences);

  if (r.record != Report::kNoRecord) {
    otlp::Writer record(inner);
    record.string(1, r.description.text);
    for (const LiteralRun& run : r.description.novel) {
      range.clear();
      otlp::Writer(range).integer(1, run.start);
      otlp::Writer(range).integer(2, run.end);
      record.message(2, range);
    }
    record.integer(3, r.record);
    writer.message(15, inner);
  }
  if (r.hasMetrics) {
    inner.clear();
    otlp::Writer window(inner);
    window.integer(1, r.windowRecords);
    window.integer(2, r.metrics.windowBytes);
    window.string(3, r.codec);
    window.real(4, r.metrics.compressionRatio);
    window.real(5, r.metrics.deltaBits);
    window.real(6, r.metrics.entropy);
    window.real(7, r.metrics.ncd);
    window.real(8, r.metrics.ncdSizeMatched);
    if (r.permutation.permutations > 0) {
      window.optional(9, r.permutation.pValue);
      window.integer(10, r.permutation.permutations);
    }
    writer.message(16, inner);
  }
  writer.string(17, r.explanation);
  writer.fixed(18, r.anomaly.startUnixNano);
  writer.fixed(19, r.anomaly.endUnixNano);
  writer.integer(20, r.ended ? 1 : 0);
  writer.integer(21, r.ended ? 0 : severityOf(r.verdict, r.gravity));
  for (const NamedMember& each : r.members) {
    inner.clear();
    otlp::Writer member(inner);
    member.string(1, each.stream);
    member.integer(2, infoOf(each.member.channel).number);
    member.real(3, each.member.score);
    member.real(4, each.member.pValue);
    member.real(5, each.member.distance);
    member.fixed(6, each.member.timeUnixNano);
    member.string(7, each.instance);
    writer.message(31, inner);
  }
  writer.string(22, r.service);
  writer.string(32, r.instance);
  writer.string(23, r.description.field);
  inner.clear();
  otlp::Writer expected(inner);
  expected.string(1, r.description.usual.empty() ? r.nearest : r.description.usual);
  for (const std::string& next : r.description.next) expected.string(2, next);
  if (r.description.range) {
    expected.optional(3, r.description.range->low);
    expected.optional(4, r.description.range->high);
  }
  writer.bytes(24, inner);
  if (r.description.value) {
    writer.optional(33, *r.description.value);
    writer.string(34, r.description.unit);
  }
  for (const FieldCost& cost : r.description.fieldCosts) {
    inner.clear();
    otlp::Writer field(inner);
    field.string(1, cost.field);
    field.real(2, cost.bits);
    writer.message(35, inner);
  }
  inner.clear();
  otlp::Writer excerpts(inner);
  excerpts.bytes(1, r.baselineExcerpt);
  excerpts.bytes(2, r.windowExcerpt);
  excerpts.bytes(3, bytesOf(r.baselineText));
  excerpts.bytes(4, bytesOf(r.windowText));
  writer.bytes(25, inner);
  writer.real(26, r.verdict.margin);
  writer.integer(27, r.news ? 1 : 0);
  if (const Withheld& withheld = r.verdict.withheld; withheld.count > 0) {
    inner.clear();
    otlp::Writer message(inner);
    message.integer(1, withheld.count);
    message.integer(2, infoOf(withheld.channel).number);
    message.real(3, withheld.score);
    message.fixed(4, withheld.at);
    writer.message(28, inner);
  }
  return out;
}

void appendRecording(const Report& r, std::size_t& left, std::vector<std::uint8_t>& out) {
  otlp::Writer writer(out);
  const bool fits = r.recording.size() <= left;
  const Unrecorded unrecorded = fits ? r.unrecorded : Unrecorded::Many;
  writer.integer(37, static_cast<std::uint64_t>(unrecorded));
  if (!fits) return;
  writer.bytes(36, r.recording);
  left -= r.recording.size();
}

}  // namespace driftlock
