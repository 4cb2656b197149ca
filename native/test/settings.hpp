#pragma once

#include "stream/settings.hpp"

namespace driftlock::test {

/// The configuration's defaults, except for one thread and no budget of the process.
inline Settings defaultSettings() {
  return {.streamBy = {},
          .groupBy = {},
          .baselineRecords = 1000,
          .exactBaseline = true,
          .dictionarySize = 24 * 1024,
          .acceptAfterNanos = 86'400'000'000'000,
          .windowRecords = 256,
          .windowHop = 128,
          .alarmsPerStreamPerDay = 1,
          .alarmsPerGroupPerDay = 0,
          .alarmsPerTenantPerDay = 0,
          .alarmsPerProcessPerDay = 0,
          .codec = CodecName::Zstd,
          .permutations = 199,
          .seed = 42,
          .hashKey = kPublicHashKey,
          .threads = 1,
          .maxStreams = 10'000,
          .streamsPerTenant = 0,
          .flaggedOnly = false,
          .scores = false};
}

}  // namespace driftlock::test
