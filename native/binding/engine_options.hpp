#pragma once

#include <napi.h>

#include <memory>

#include "engine/pool.hpp"
#include "stream/settings.hpp"

namespace driftlock::binding {

/// EngineOptions of src/native.ts.
struct EngineOptions {
  Settings settings;
  /// Whether the engine reads requests in JavaScript's memory instead of a copy that JavaScript cannot change.
  bool readInPlace = false;
  /// The threads that it shares with others; null for threads of its own.
  std::shared_ptr<Pool> pool{};
};

/// Reads the options. @throws std::invalid_argument, std::out_of_range or what a getter throws; the first two name the option.
EngineOptions engineOptions(Napi::Value value);

}  // namespace driftlock::binding
