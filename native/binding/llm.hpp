#pragma once

#include <napi.h>

#include <string>

#include "llm/options.hpp"

namespace driftlock::binding {

/// Reads the option `llm` of an engine. @throws std::exception that names what is wrong
llm::Options llmArgument(Napi::Value value, const std::string& name);

}  // namespace driftlock::binding
