#include "report/report.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "base/work.hpp"
#include "otlp/attributes.hpp"
#include "otlp/wire.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

constexpr std::size_t kMaxQuote = 96;
/// Characters that most explanations have room in.
constexpr std::size_t kUsualSentence = 320;

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
    countWork(value.size());
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
  switch (shown(channel)) {
    case Channel::None:
      return "none";
    case Channel::Content:
      return "content";
    case Channel::Sequence:
      return "sequence";
    case Channel::Volume:
      return "volume";
    case Channel::Value:
      return "value";
    case Channel::Fields:
      return "fields";
    case Channel::Shape:
    case Channel::Paths:
      break;
  }
  return "none";
}

namespace {

/// A piece of a record's text between quotes, on one line, at most so long.
std::string quoted(std::string piece) {
  const bool cut = piece.size() > kMaxQuote;
  if (cut) piece.resize(kMaxQuote);
  text::makeReadable(piece);
  std::replace_if(piece.begin(), piece.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  piece.insert(0, 1, '"');
  return piece += cut ? "…\"" : "\"";
}

/// As printf's %.*f and %.*g, but several times faster: each flagged record has some.
std::string number(double value, std::chars_format format, int precision) {
  char digits[400];
  return {digits, std::to_chars(digits, digits + sizeof digits, value, format, precision).ptr};
}
/// A number with two digits behind the point, or with none. Numbers of usual size are rounded as integers, which is exact.
std::string fixed(double value, int precision = 2) {
  if (!(value >= 0x1p-10 && value < 0x1p52)) return number(value, std::chars_format::fixed, precision);
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  const int shift = 53 - exponent;  // value = mantissa x 2^53 / 2^shift, from 1 to 62
  const std::uint64_t scaled = static_cast<std::uint64_t>(std::ldexp(mantissa, 53)) * (precision == 2 ? 100 : 1);
  const std::uint64_t half = std::uint64_t{1} << (shift - 1), rest = scaled & (2 * half - 1);
  std::uint64_t rounded = scaled >> shift;
  if (rest > half || (rest == half && rounded % 2 == 1)) ++rounded;
  if (precision == 0) return std::to_string(rounded);
  char digits[24];
  char* const end = std::to_chars(digits + 3, digits + sizeof digits, rounded / 100).ptr;
  *end = '.', end[1] = static_cast<char>('0' + rounded / 10 % 10), end[2] = static_cast<char>('0' + rounded % 10);
  return {digits + 3, end + 3};
}

/// Appends pieces to a sentence, without a copy of it for each.
void append(std::string& sentence, const auto&... pieces) { (sentence.append(pieces), ...); }

std::string format(const char* pattern, auto... values) {
  char buffer[256];
  std::snprintf(buffer, sizeof buffer, pattern, values...);
  return buffer;
}

std::string explainContent(const Finding& f) {
  std::size_t bytes = 0;
  const LiteralRun* longest = nullptr;
  for (const LiteralRun& run : f.novel) {
    bytes += run.end - run.start;
    if (!longest || run.end - run.start > longest->end - longest->start) longest = &run;
  }
  std::string sentence;
  sentence.reserve(kUsualSentence);
  append(sentence, std::to_string(bytes), " of the record's ", std::to_string(f.text.size()), " bytes are new to this stream");
  if (longest) append(sentence, ", such as ", quoted(f.text.substr(longest->start, longest->end - longest->start)));
  if (!f.field.empty()) append(sentence, " in ", f.field);
  append(sentence, "; they cost ", fixed(f.verdict.bits, 0), " bits");
  return sentence;
}

std::string explainSequence(const Finding& f) {
  std::string sentence = f.record == Finding::noRecord ? "A session broke off where it usually goes on"
                                                       : "This record does not usually come here in its session";
  sentence += format(": %.1f bits where %.1f are usual", f.verdict.bits, f.verdict.usualBits);
  if (!f.next.empty()) sentence += "; expected was " + quoted(f.next.front());
  return sentence;
}

std::string explainValue(const Finding& f) {
  if (f.signal == otlp::Signal::Traces) {
    return format("The span took %.3g ms where %.3g to %.3g ms are usual", f.observed / 1e6, f.range.low / 1e6, f.range.high / 1e6);
  }
  return format("The value is %.6g where %.6g to %.6g is usual; it costs %.1f bits where strange values here cost %.1f",
                f.observed, f.range.low, f.range.high, f.verdict.bits, f.verdict.usualBits);
}

std::string explainPath(const Finding& f) {
  const auto name = [](const std::string& text) { return text.empty() ? "another span" : quoted(text); };
  std::string sentence = "The span " + name(f.path.child) + " is a child of " + name(f.path.parent);
  if (!f.path.usual.empty()) sentence += " where it usually is one of " + name(f.path.usual);
  return sentence + format(": %.1f bits", f.verdict.bits);
}

std::string explainShape(const Finding& f) {
  const ShapeFinding& s = f.shape;
  if (s.quantile >= 0) {
    return format("The %.4g quantile is %.6g where %.6g to %.6g is usual", s.quantile, s.value, s.low, s.high);
  }
  return format("%.3g %% of the values were %s %.6g, usually %.2g %%", 100 * s.share, s.above ? "above" : "at most", s.edge,
                100 * s.usualShare);
}

/// For people: "2 s", "4 min".
std::string duration(double seconds) {
  if (seconds < 1) return format("%.0f ms", seconds * 1e3);
  if (seconds < 100) return format(seconds < 10 ? "%.2g s" : "%.0f s", seconds);
  if (seconds < 6'000) return format("%.0f min", seconds / 60);
  if (seconds < 172'800) return format("%.0f h", seconds / 3'600);
  return format("%.0f days", seconds / 86'400);
}

std::string explainVolume(const Finding& f) {
  const VolumeFinding& v = f.volume;
  if (const auto silence = static_cast<double>(f.verdict.silentFor) / 1e9; silence > 0) {
    return "No records for " + duration(silence) + "; usually one every " + duration(silence / std::max(v.expected, 1e-9));
  }
  const std::string what = v.total ? "records of the stream" : f.next.empty() ? "records of one template" : "records like " + quoted(f.next.front());
  switch (v.kind) {
    case VolumeKind::burst:
      return format("A burst: %u ", v.count) + what + format(" where %.1f to %.1f are usual", v.low, v.high);
    case VolumeKind::drop:
      return format("A drop: %u ", v.count) + what + format(" where %.1f to %.1f are usual", v.low, v.high);
    case VolumeKind::silence:
      return "Silence: no " + what + format(" where %.1f a tick are usual", v.expected);
    case VolumeKind::none:
      return "An unusual number of " + what;
  }
  return what;
}

std::string percent(double share) { return format(share > 0 && share < 0.1 ? "%.1f %%" : "%.0f %%", 100 * share); }

std::string explainFields(const Finding& f) {
  using Kind = FieldFinding::Kind;
  const FieldFinding& found = f.fields.finding;
  const auto number = [&](double x) { return f.fields.time ? format("%.3g ms", x / 1e6) : format("%.6g", x); };
  const std::string records = format("the last %u records", found.records);
  const std::string share = percent(found.share), usual = percent(found.usual_share);
  const std::string example = f.fields.value.empty() ? "" : ", such as " + quoted(f.fields.value) + ",";
  std::string sentence;
  if (found.novel) {
    sentence = "new values" + example + format(" cost %.0f bits each where %.0f are usual", f.verdict.bits, f.verdict.usualBits);
  } else if (found.kind == Kind::absent) {
    sentence = "missing from " + share + " of " + records + ", usually from " + usual;
  } else {
    std::string what;
    switch (found.kind) {
      case Kind::unseen:
        what = "values that are new or rare" + example;
        break;
      case Kind::number:
        what = number(found.number);
        break;
      case Kind::range:
        what = "values around " + number(found.number);
        break;
      default:
        what = f.fields.value.empty() ? "one value" : quoted(f.fields.value);
    }
    sentence = what + " made up " + share + " of " + records + ", usually " + usual;
  }
  if (found.low <= found.high && found.kind != Kind::absent) {
    sentence += found.low == found.high ? "; " + number(found.low) + " is usual"
                                        : "; " + number(found.low) + " to " + number(found.high) + " are usual";
  } else if (!f.fields.usual.empty() && f.fields.usual != f.fields.value) {
    sentence += "; " + quoted(f.fields.usual) + " is usual";
  }
  return f.field + ": " + sentence;
}

}  // namespace

std::string explain(const Finding& f) {
  std::string sentence;
  switch (f.verdict.channel) {
    case Channel::Content:
      sentence = explainContent(f);
      break;
    case Channel::Sequence:
      sentence = explainSequence(f);
      break;
    case Channel::Volume:
      sentence = explainVolume(f);
      break;
    case Channel::Value:
      sentence = explainValue(f);
      break;
    case Channel::Shape:
      sentence = explainShape(f);
      break;
    case Channel::Paths:
      sentence = explainPath(f);
      break;
    case Channel::Fields:
      sentence = explainFields(f);
      break;
    case Channel::None:
      return {};
  }
  append(sentence, "; score ", fixed(f.verdict.channelScore), " against a limit of ", fixed(f.limit), ", p = ",
         number(f.verdict.pValue, std::chars_format::general, 2));
  return sentence;
}

std::string explainEnding(Ending ending) {
  switch (ending) {
    case Ending::Quiet:
      return "Nothing was flagged for five minutes: the anomaly is over";
    case Ending::Resumed:
      return "Records come again: the silence is over";
    case Ending::Accepted:
      return "It was accepted as normal: the anomaly is over";
    case Ending::FalseAlarm:
      return "It was called a false alarm: the anomaly is over";
  }
  return {};
}

std::uint32_t severity(const Finding& f) {
  const int grave = f.gravity == Gravity::Fatal ? 2 : f.gravity == Gravity::Error ? 1 : 0;
  const int far = f.verdict.channelScore > 2 * f.limit ? 2 : f.verdict.channelScore > 1.25 * f.limit ? 1 : 0;
  return static_cast<std::uint32_t>(std::min(4, 1 + grave + far));
}

void encodeMark(std::string_view anomaly, std::uint32_t number, std::vector<std::uint8_t>& out) {
  otlp::AttributeEncoder encode(out, number);
  encode.boolean("cbad.anomaly", true);
  encode.string("cbad.anomaly.id", anomaly);
}

void encodeDetails(const Finding& f, std::uint32_t number, std::vector<std::uint8_t>& out) {
  otlp::AttributeEncoder encode(out, number);
  encode.string("cbad.stream", f.stream);
  encode.string("cbad.channel", toString(f.verdict.channel));
  encode.real("cbad.score", f.verdict.channelScore);
  encode.real("cbad.p_value", f.verdict.pValue);
  encode.real("cbad.surprise_bits", f.verdict.bits);
  encode.real("cbad.baseline_bits", f.verdict.usualBits);
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
  writer.string(1, f.anomaly.id);
  writer.integer(2, static_cast<std::uint64_t>(f.signal));
  writer.string(3, f.tenant);
  writer.string(4, f.stream);
  writer.integer(5, static_cast<std::uint64_t>(shown(f.verdict.channel)));
  writer.fixed(6, f.timeUnixNano);
  writer.bytes(7, f.traceId);
  writer.bytes(8, f.spanId);
  writer.real(9, f.verdict.channelScore);
  writer.real(10, f.limit);
  writer.real(11, f.verdict.pValue);
  writer.real(12, f.verdict.bits);
  writer.real(13, f.verdict.usualBits);
  writer.integer(14, f.anomaly.occurrences);

  if (f.record != Finding::noRecord) {
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
  }
  if (f.hasMetrics) {
    inner.clear();
    Writer window(inner);
    window.integer(1, f.windowRecords);
    window.integer(2, f.windowBytes);
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
  writer.fixed(18, f.anomaly.startUnixNano);
  writer.fixed(19, f.anomaly.endUnixNano);
  writer.integer(20, f.ended ? 1 : 0);
  writer.integer(21, f.ended ? 0 : severity(f));
  writer.string(22, f.service);
  writer.string(23, f.field);
  inner.clear();
  Writer expected(inner);
  expected.string(1, f.verdict.channel == Channel::Fields ? f.fields.usual : f.nearest);
  if (f.verdict.channel == Channel::Sequence) {
    for (const std::string& next : f.next) expected.string(2, next);
  }
  const bool ranged = f.verdict.channel == Channel::Fields && f.range.low <= f.range.high;
  const bool counted = f.verdict.channel == Channel::Volume && f.verdict.silentFor == 0;
  if (shown(f.verdict.channel) == Channel::Value || counted || ranged) {
    expected.real(3, f.range.low);
    expected.real(4, f.range.high);
  }
  writer.bytes(24, inner);
  if (f.windowExcerpt.size > 0) {
    inner.clear();
    Writer excerpts(inner);
    excerpts.bytes(1, f.baselineExcerpt);
    excerpts.bytes(2, f.windowExcerpt);
    writer.message(25, inner);
  }
  return out;
}

}  // namespace driftlock
