#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "codec/codec.hpp"
#include "llm/options.hpp"
#include "privacy/policy.hpp"
#include "record/call_texts.hpp"
#include "stream/hash_key.hpp"
#include "stream/policies.hpp"

namespace driftlock {

/// The settings of the configuration's `detect` section, which validates them and has the defaults.
struct Settings {
  /// The resource attributes whose values make up a stream's key.
  std::vector<std::string> streamBy;
  /// The resource attributes that may name the resource group of a stream: the first one that a resource has.
  std::vector<std::string> groupBy;
  /// The resource attributes that may name the instance of a service that a metric is of: the first one that a resource has.
  std::vector<std::string> instanceBy{};
  /// The resource attributes of which a new value is a change of the service.
  std::vector<std::string> changeAttributes{};
  /// The number of records before a stream is judged, at most: the first half fills the dictionary, the second calibrates
  /// the limit.
  std::uint32_t baselineRecords;
  /// Whether it is exactly so many, rather than fewer once a stream has been observed for long enough.
  bool exactBaseline = false;
  /// The time from record to record in a stream whose records carry none and of whose arrival nothing is known.
  std::uint64_t stepNanos = StreamClock::kStep;
  std::uint32_t dictionarySize;
  /// The time after which recurring novelty becomes normal.
  std::uint64_t acceptAfterNanos;
  std::uint32_t windowRecords;
  std::uint32_t windowHop;
  double alarmsPerStreamPerDay;
  /// The most alarms per day of all streams of a resource group; at least those of one stream.
  double alarmsPerGroupPerDay;
  /// The most alarms per day of a tenant's streams; 0 for no limit.
  double alarmsPerTenantPerDay;
  /// The most alarms per day of all streams; 0 for no limit.
  double alarmsPerProcessPerDay;
  CodecName codec;
  std::uint32_t permutations;
  std::uint64_t seed;
  /// The key of all hashes, so that senders cannot choose values that collide.
  HashKey hashKey;
  std::uint32_t threads;
  std::uint32_t maxStreams;
  /// The most streams of each tenant that are judged at once; 0 for no limit.
  std::uint32_t streamsPerTenant;
  /// The rules of operators as of the start; never null.
  std::shared_ptr<const Policies> policies = std::make_shared<const Policies>();
  /// What happens to personal and secret values; never null.
  std::shared_ptr<const privacy::Policy> privacy = std::make_shared<const privacy::Policy>();
  /// Whether to return only flagged records.
  bool flaggedOnly;
  /// Whether to return every record's score, for replay.
  bool scores;
  /// Whether first reports carry what their verdicts can be computed from again.
  bool recordings = false;
  /// Whether the evidence says which services call which, and what changed about them.
  bool serviceGraphs = true;
  /// What becomes of calls of language models.
  llm::Options llm{};

  /// Whether streams that are not derived from calls of language models read the texts of those.
  CallTexts callTexts() const { return llm.enabled ? CallTexts::LeftOut : CallTexts::Read; }
};

}  // namespace driftlock
