#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cbad/permutation.hpp"
#include "stream/stream.hpp"

namespace driftlock {

class TickEvidence;

/// Why a first report has no recording. The numbers are those of proto/driftlock/v1/anomaly.proto.
enum class Unrecorded : std::uint8_t { None, Group, Many, Large, Other, Masked };

/// A flagged verdict or an ended anomaly, with everything that record attributes and the anomaly message contain.
struct Report {
  /// The record's index in the request; `noRecord` if it is about none.
  std::uint32_t record = kNoRecord;
  static constexpr std::uint32_t kNoRecord = UINT32_MAX;
  /// Whether the anomaly is reported at this verdict; other records only carry its id.
  bool reported = false;
  /// Whether it shows what no earlier report of the anomaly did.
  bool news = false;

  // These are copies, because the stream may be gone before the request is.
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant, stream, service, instance;
  OpenAnomaly anomaly;
  bool ended = false;
  Ending ending = Ending::Quiet;
  Verdict verdict;
  Gravity gravity = Gravity::Normal;
  std::uint64_t timeUnixNano = 0;
  Bytes traceId, spanId;

  /// The streams of a resource group that were strange together, the strangest first.
  std::vector<NamedMember> members;
  /// What the channel found.
  Description description;
  /// The record of the baseline that is nearest to the flagged one; empty if it was not searched for.
  std::string nearest;
  /// An explanation of one sentence.
  std::string explanation;

  bool hasMetrics = false;
  WindowMetrics metrics;
  std::uint32_t windowRecords = 0;
  std::string_view codec;
  PermutationResult permutation;
  /// Texts compressed by OpenZL; empty except in an anomaly's first report.
  OwnedBytes baselineExcerpt, windowExcerpt;
  /// The same texts as they are, in a report that was computed again.
  std::string baselineText, windowText;
  /// What the verdict can be computed from again; empty except in an anomaly's first report.
  std::vector<std::uint8_t> recording;
  Unrecorded unrecorded = Unrecorded::None;
};

/// A flagged verdict of a request, or an ended anomaly, in the order in which they are reported.
struct Flag {
  /// The record's index in the request; Report::noRecord if it is about none.
  std::uint32_t record = Report::kNoRecord;
  /// The derived request and the index of its record, if the verdict is about one: see Request.
  std::uint8_t derived = 0;
  std::uint32_t derivedRecord = 0;
  /// Whether the verdict's stream is derived from calls of language models.
  bool ofCalls = false;
  /// The index of the record being judged; for verdicts after the request's records, their number plus the shard's.
  std::uint32_t at = 0;
  /// The tenant of a silent stream, in the task; empty for the tenant of the request.
  std::string_view tenant;
  bool ended = false;
  /// Whether it is to be reported, as far as the request's allowance permits.
  bool reported = false;
  /// See Verdict.
  double margin = 0, early = 0;
  /// The anomaly's id; consecutive flags of one anomaly share it.
  std::shared_ptr<const std::string> anomaly;
  std::uint64_t occurrences = 0;
  /// Where its verdict counts, in the task; null if there is no verdict, or no room.
  TickEvidence* evidence = nullptr;
  /// The description. Null if a request has flagged more than is described: the record then only carries the anomaly's id.
  std::unique_ptr<Report> report;
};

/// Explains what the channel found, with the score against its limit.
std::string explain(const Report& report);
/// Explains why an anomaly has ended.
std::string explainEnding(Ending ending);

/// Appends the CBAD attributes that name the anomaly of a record, as KeyValue fields of that number.
void encodeMark(std::string_view anomaly, std::uint32_t number, std::vector<std::uint8_t>& out);
/// Appends all other CBAD attributes in the same way.
void encodeDetails(const Report& report, std::uint32_t number, std::vector<std::uint8_t>& out);

/// Encodes a driftlock.v1.Anomaly message, without its recording.
std::vector<std::uint8_t> encodeAnomaly(const Report& report);
/// Appends the recording to such a message, or why there is none. `left` is the number of bytes that recordings may still take.
void appendRecording(const Report& report, std::size_t& left, std::vector<std::uint8_t>& out);

}  // namespace driftlock
