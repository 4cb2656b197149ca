#include "record/conceal.hpp"

#include <array>
#include <charconv>

#include "record/text_walk.hpp"

namespace driftlock {
namespace {

namespace schemas = otlp::schemas;

/// Masks what it visits, in place.
class Concealer {
 public:
  Concealer(std::span<std::uint8_t> record, const privacy::Masking& masking) : record_(record), masking_(masking) {}

  void text(const FieldBytes& field, const Called& called) {
    if (!field.content.empty()) masking_.blank(writable(field.content), called.name);
  }

  /// Sets a number that is a value to 0, in as many bytes.
  void number(const FieldBytes& field, std::uint64_t value, const Called& called) {
    if (!masking_.policy().mayBePersonal(value)) return;
    std::array<char, 20> digits;
    const std::size_t size =
        static_cast<std::size_t>(std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr - digits.data());
    if (masking_.blank({reinterpret_cast<std::uint8_t*>(digits.data()), size}, called.name) == 0) return;
    const std::span<std::uint8_t> varint = writable(field.content);
    for (std::uint8_t& byte : varint) byte = 0x80;
    varint.back() = 0;
  }

  void unknown(const FieldBytes& field) { text(field, {}); }
  void message(const FieldBytes&, auto&& visit) { visit(); }
  void resource(const FieldBytes&, auto&& visit) { visit(); }
  void record(const FieldBytes&, auto&& visit) { visit(); }
  void attribute(const FieldBytes&, auto&& visit) { visit(); }
  void element(const FieldBytes&, auto&& visit) { visit(); }

 private:
  std::span<std::uint8_t> writable(Bytes bytes) const {
    return record_.subspan(static_cast<std::size_t>(bytes.data() - record_.data()), bytes.size());
  }

  std::span<std::uint8_t> record_;
  const privacy::Masking& masking_;
};

void conceal(otlp::Signal signal, const schemas::Schema& schema, std::span<std::uint8_t> bytes, const privacy::Masking& masking) {
  if (!masking.acts()) return;
  Concealer concealer(bytes, masking);
  TextWalk(signal, concealer).message(schema, bytes);
}

}  // namespace

void conceal(otlp::Signal signal, otlp::MetricType type, std::span<std::uint8_t> record, const privacy::Masking& masking) {
  switch (signal) {
    case otlp::Signal::Logs: return conceal(signal, schemas::kLogRecord, record, masking);
    case otlp::Signal::Traces: return conceal(signal, schemas::kSpan, record, masking);
    case otlp::Signal::Metrics:
      if (const schemas::Rule& points = schemas::kMetricData[static_cast<std::size_t>(type)].rules[1]; points.message)
        conceal(signal, *points.message, record, masking);
  }
}

void concealRequest(otlp::Signal signal, std::span<std::uint8_t> request, const privacy::Masking& masking) {
  conceal(signal, schemas::kEnvelopes[static_cast<std::size_t>(signal)].request, request, masking);
}

}  // namespace driftlock
