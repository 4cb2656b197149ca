#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cbad/permutation.hpp"
#include "stream/stream.hpp"

namespace driftlock {

/// A flagged record with all that is said of it, in the data and in the anomaly message.
struct Finding {
  // Copies: the stream may be gone before the request is.
  otlp::Signal signal = otlp::Signal::Logs;
  std::string tenant, stream;
  std::string id;
  /// Flagged records of this anomaly so far, this one included.
  std::uint64_t occurrence = 0;
  Verdict verdict;
  double limit = 0;
  double surpriseBits = 0;
  double baselineBits = 0;
  std::uint64_t timeUnixNano = 0;
  Bytes traceId, spanId;
  /// In the request.
  std::uint32_t record = 0;
  /// The anomaly is told at this record; others only carry its id.
  bool reported = false;

  /// UTF-8, at most 4 KiB.
  std::string text;
  std::vector<LiteralRun> novel;
  /// One sentence.
  std::string explanation;

  bool hasMetrics = false;
  WindowMetrics metrics;
  std::uint32_t windowRecords = 0;
  std::string_view codec;
  PermutationResult permutation;
};

std::string_view toString(Channel channel);

/// Cuts a text to what a report holds, and makes every byte that is not UTF-8 a '?', so that offsets stay.
void makeReadable(std::string& text, std::vector<LiteralRun>& novel);

/// What is new in the record, and how much against what is usual.
std::string explain(const Finding& finding);

/// Appends the CBAD attributes as KeyValue fields of that number.
void encodeAttributes(const Finding& finding, std::uint32_t number, std::vector<std::uint8_t>& out);

/// A driftlock.v1.Anomaly message.
std::vector<std::uint8_t> encodeAnomaly(const Finding& finding);

}  // namespace driftlock
