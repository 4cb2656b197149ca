#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "engine/pool.hpp"

namespace driftlock::binding {

/// The pool of a value that `enginePool` returned. @throws std::invalid_argument for any other value.
std::shared_ptr<Pool> poolArgument(Napi::Value value, const std::string& name);

}  // namespace driftlock::binding
