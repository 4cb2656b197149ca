#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/codec.hpp"
#include "stream/hash_key.hpp"

namespace driftlock {

/// What the configuration's `detect` section sets, which checks it and has the defaults.
struct Settings {
  /// Resource attributes whose values make a stream's key.
  std::vector<std::string> streamBy;
  /// Records before a stream is judged: the first half fills the dictionary, the second calibrates the limit.
  std::uint32_t baselineRecords;
  std::uint32_t dictionarySize;
  /// News that keeps coming for so long becomes normal.
  std::uint64_t acceptAfterNanos;
  std::uint32_t windowRecords;
  std::uint32_t windowHop;
  double alarmsPerStreamPerDay;
  /// Of all streams; 0 for no limit.
  double alarmsPerProcessPerDay;
  CodecName codec;
  std::uint32_t permutations;
  std::uint64_t seed;
  /// Of all hashes, so that senders cannot choose what collides.
  HashKey hashKey;
  std::uint32_t threads;
  std::uint32_t maxStreams;
  /// Of each tenant, judged at once; 0 for no limit.
  std::uint32_t streamsPerTenant;
  /// Give back flagged records alone.
  bool flaggedOnly;
  /// Give back every record's score, for replay.
  bool scores;
};

}  // namespace driftlock
