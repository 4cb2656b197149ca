#include "report/describe.hpp"

#include <cstdint>
#include <vector>

#include "record/conceal.hpp"
#include "text/readable.hpp"

namespace driftlock {
namespace {

/// Says which stream or group a report is about. Returns false if that is all there is to say, because the anomaly has ended.
bool begin(const StreamKey& key, Report& report) {
  report.signal = key.signal;
  report.tenant = key.tenant;
  report.stream = key.name;
  report.service = key.service;
  report.instance = key.instance;
  if (report.ended) report.explanation = explainEnding(report.ending);
  return !report.ended;
}

/// Renders a record with its personal and secret values masked as in records that are kept, so that the report can be computed
/// again from one of those.
void renderMasked(const Stream& stream, const Observation& record, const privacy::Masking& masking, std::string& text,
                  std::vector<std::uint32_t>& starts) {
  if (!masking.acts()) return render(record.record, text, &starts);
  const StreamKey& key = stream.key();
  std::vector<std::uint8_t> bytes(record.raw.begin(), record.raw.end());
  conceal(key.signal, key.metricType, bytes, masking);
  RecordView masked;
  readFields(key.signal, key.metricType, bytes, masked, stream.callTexts());
  stream.policy().strip(masked);
  render(masked, text, &starts);
}

}  // namespace

void describe(const Stream& stream, const Observation* record, std::unique_ptr<Finding> finding, Report& report) {
  if (!begin(stream.key(), report)) return;
  report.verdict.withheld.at = stream.eventAt(report.verdict.withheld.at);
  const privacy::Masking masking = stream.masking();
  Description& description = report.description;
  description.bits = report.verdict.bits;
  description.usualBits = report.verdict.usualBits;
  if (record) {
    report.traceId = record->record.traceId;
    report.spanId = record->record.spanId;
    std::vector<std::uint32_t> starts;
    renderMasked(stream, *record, masking, description.text, starts);
    if (finding) finding->mark(starts, description.novel);
    text::makeReadable(description.text, &description.novel);
  }
  if (finding) finding->describe(stream.texts(), description);
  masking.label(description.sentence);
  masking.label(description.field);
  masking.label(description.usual);
  for (std::string& each : description.next) masking.label(each);
  for (FieldCost& each : description.fieldCosts) masking.label(each.field);
  report.gravity = record ? gravityOf(record->record) : finding ? finding->gravity() : Gravity::Normal;
  report.explanation = explain(report);
}

void describe(const StreamKey& group, const KeyedHash& hash, const Finding* finding, Report& report) {
  if (!begin(group, report)) return;
  finding->describe({group, hash, {}}, report.description);
  report.explanation = explain(report);
}

}  // namespace driftlock
