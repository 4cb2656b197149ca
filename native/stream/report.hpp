#pragma once

#include <cstdint>
#include <string>
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

std::string_view toString(Channel channel);

/// What is strange and how much, against what is usual.
std::string explain(const Finding& finding);
std::string explainEnding(Ending ending);

/// Of an anomaly, from 1 (low) to 4 (critical): how far beyond the limit, and how grave the record calls itself.
std::uint32_t severity(const Finding& finding);

/// Appends the CBAD attributes as KeyValue fields of that number.
void encodeAttributes(const Finding& finding, std::uint32_t number, std::vector<std::uint8_t>& out);

/// A driftlock.v1.Anomaly message.
std::vector<std::uint8_t> encodeAnomaly(const Finding& finding);

}  // namespace driftlock
