#pragma once

// Engines for fuzzers, which learn within a fraction of a second.

#include "test/engine_bench.hpp"
#include "test/traffic.hpp"

namespace driftlock::fuzz {

using test::Bench;
using test::Traffic;

inline Settings settingsOf() {
  Settings settings = test::settingsOf();
  settings.baselineRecords = 64;
  settings.windowRecords = 16;
  settings.windowHop = 8;
  settings.dictionarySize = 4096;
  settings.permutations = 9;
  settings.maxStreams = 64;
  settings.alarmsPerTenantPerDay = 40;
  settings.alarmsPerProcessPerDay = 50;
  return settings;
}

}  // namespace driftlock::fuzz
