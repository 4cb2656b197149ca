#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/codec.hpp"
#include "stream/hash_key.hpp"

namespace driftlock {

/// What the configuration's `detect` section sets; checked there.
struct Settings {
  /// Resource attributes whose values make a stream's key.
  std::vector<std::string> streamBy;
  /// Records before a stream is judged: the first half fills the dictionary, the second calibrates the limit.
  std::uint32_t baselineRecords = 1000;
  std::uint32_t dictionarySize = 24 * 1024;
  /// News that keeps coming for so long becomes normal.
  std::uint64_t acceptAfterNanos = 86'400'000'000'000;
  std::uint32_t windowRecords = 256;
  std::uint32_t windowHop = 128;
  double alarmsPerStreamPerDay = 1;
  /// Of all streams; 0 for no limit.
  double alarmsPerProcessPerDay = 0;
  CodecName codec = CodecName::zstd;
  std::uint32_t permutations = 199;
  std::uint64_t seed = 42;
  /// Of all hashes, so that senders cannot choose what collides.
  HashKey hashKey = publicHashKey;
  std::uint32_t threads = 1;
  std::uint32_t maxStreams = 10'000;
  /// Of each tenant, judged at once; 0 for no limit.
  std::uint32_t streamsPerTenant = 0;
  /// Give back flagged records alone.
  bool flaggedOnly = false;
  /// Give back every record's score, for replay.
  bool scores = false;
};

}  // namespace driftlock
