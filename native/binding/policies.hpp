#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "stream/policies.hpp"

namespace driftlock::binding {

/// Reads an array of EnginePolicy of src/native.ts. @throws std::invalid_argument or std::out_of_range, which name the value.
std::shared_ptr<const Policies> policiesArgument(Napi::Value value, const std::string& name);

}  // namespace driftlock::binding
