#pragma once

#include <napi.h>

#include "stream/settings.hpp"

namespace driftlock::binding {

/// The engine's settings from EngineOptions (src/native.ts).
/// @throws std::invalid_argument, std::out_of_range or what a getter throws; the first two name the option.
Settings engineOptions(Napi::Value value);

}  // namespace driftlock::binding
