#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "privacy/policy.hpp"

namespace driftlock::binding {

/// Reads an EnginePrivacy of src/native.ts. @throws std::invalid_argument or std::out_of_range, which name the value.
std::shared_ptr<const privacy::Policy> privacyArgument(Napi::Value value, const std::string& name);

/// Returns the counts of a policy, without zeros: PrivacyCounts of src/native.ts.
Napi::Object countsOf(Napi::Env env, const privacy::Policy& policy);

}  // namespace driftlock::binding
