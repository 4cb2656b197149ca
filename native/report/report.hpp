#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cbad/permutation.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// A flagged verdict, or an anomaly that is over, with all that is said of it in the data and in the anomaly message.
struct Report {
  /// In the request; `noRecord` for what is about none.
  std::uint32_t record = kNoRecord;
  static constexpr std::uint32_t kNoRecord = UINT32_MAX;
  /// The anomaly is reported at this verdict; others only carry its id.
  bool reported = false;

  // Copies, because the stream may be gone before the request is.
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant, stream, service;
  OpenAnomaly anomaly;
  bool ended = false;
  Ending ending = Ending::Quiet;
  Verdict verdict;
  double limit = 0;
  Gravity gravity = Gravity::Normal;
  std::uint64_t timeUnixNano = 0;
  Bytes traceId, spanId;

  /// What the channel found.
  Description description;
  /// The record of the baseline that is nearest to the flagged one; empty if it was not looked for.
  std::string nearest;
  /// One sentence.
  std::string explanation;

  bool hasMetrics = false;
  WindowMetrics metrics;
  std::uint32_t windowRecords = 0;
  std::uint64_t windowBytes = 0;
  std::string_view codec;
  PermutationResult permutation;
  /// Texts compressed by OpenZL; empty except in an anomaly's first report.
  OwnedBytes baselineExcerpt, windowExcerpt;
};

/// A flagged verdict of a request, or an anomaly that is over, in the order in which they are reported.
struct Flag {
  /// In the request; Report::noRecord for what is about none.
  std::uint32_t record = Report::kNoRecord;
  /// The record that was being judged; of what is judged behind the request's records, their number and the shard's.
  std::uint32_t at = 0;
  /// In the task, of a stream that was silent; empty for the tenant of the request.
  std::string_view tenant;
  bool ended = false;
  /// To be reported, as far as the request's allowance goes.
  bool reported = false;
  double margin = 0;
  /// The anomaly's id; flags of one anomaly that follow each other share it.
  std::shared_ptr<const std::string> anomaly;
  std::uint64_t occurrences = 0;
  /// What is said of it. Null where a request has flagged more than is described: the record then carries the anomaly's id.
  std::unique_ptr<Report> report;
};

/// What the channel found, with the score against its limit.
std::string explain(const Report& report);
/// Why an anomaly is over.
std::string explainEnding(Ending ending);

/// The severity of an anomaly, from 1 (low) to 4 (critical): how far it is beyond the limit, and how grave the record calls
/// itself.
std::uint32_t severity(const Report& report);

/// Appends the CBAD attributes that say of which anomaly a record is a part, as KeyValue fields of that number.
void encodeMark(std::string_view anomaly, std::uint32_t number, std::vector<std::uint8_t>& out);
/// Appends all other CBAD attributes likewise.
void encodeDetails(const Report& report, std::uint32_t number, std::vector<std::uint8_t>& out);

/// A driftlock.v1.Anomaly message.
std::vector<std::uint8_t> encodeAnomaly(const Report& report);

}  // namespace driftlock
