#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cbad/permutation.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// A flagged verdict with all that is said of it, in the data and in the anomaly message.
struct Finding {
  /// In the request; `noRecord` for what is about none.
  std::uint32_t record = 0;
  static constexpr std::uint32_t noRecord = UINT32_MAX;
  /// The record that was being judged; of what is judged behind the request's records, their number and the shard's.
  std::uint32_t at = 0;
  /// The anomaly is told at this verdict; others only carry its id.
  bool reported = false;

  // Copies: the stream may be gone before the request is.
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

  /// UTF-8, at most 4 KiB.
  std::string text;
  std::vector<LiteralRun> novel;
  /// To blame; empty for none.
  std::string field;
  /// What was expected: the record of the baseline that is nearest, the usual next templates, the usual range, the usual
  /// value.
  std::string nearest;
  std::vector<std::string> next;
  ValueRange range;
  /// What was observed, in the range's unit.
  double observed = 0;
  /// Of a tick.
  VolumeFinding volume;
  /// Of a histogram's or a summary's point.
  ShapeFinding shape;
  /// Names of a child, of its parent, and of its usual one; empty where they are not known any more.
  struct Path {
    std::string child, parent, usual;
  } path;
  /// Of a block of records.
  FieldShift fields;
  /// One sentence.
  std::string explanation;

  bool hasMetrics = false;
  WindowMetrics metrics;
  std::uint32_t windowRecords = 0;
  std::uint64_t windowBytes = 0;
  std::string_view codec;
  PermutationResult permutation;
  /// OpenZL-compressed texts; empty but for an anomaly's first report.
  OwnedBytes baselineExcerpt, windowExcerpt;
};

/// A flagged verdict of a request, or an anomaly that is over, in the order in which they are reported.
struct Flag {
  /// As in Finding.
  std::uint32_t record = Finding::noRecord, at = 0;
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
  std::unique_ptr<Finding> finding;
};

std::string_view toString(Channel channel);

/// What is strange and how much, against what is usual.
std::string explain(const Finding& finding);
std::string explainEnding(Ending ending);

/// Of an anomaly, from 1 (low) to 4 (critical): how far beyond the limit, and how grave the record calls itself.
std::uint32_t severity(const Finding& finding);

/// Appends the CBAD attributes that say of which anomaly a record is a part, as KeyValue fields of that number.
void encodeMark(std::string_view anomaly, std::uint32_t number, std::vector<std::uint8_t>& out);
/// Likewise, all others.
void encodeDetails(const Finding& finding, std::uint32_t number, std::vector<std::uint8_t>& out);

/// A driftlock.v1.Anomaly message.
std::vector<std::uint8_t> encodeAnomaly(const Finding& finding);

}  // namespace driftlock
