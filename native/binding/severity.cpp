#include <napi.h>

#include <string>

#include "binding/arguments.hpp"
#include "binding/binding.hpp"
#include "otlp/severity.hpp"

namespace driftlock::binding {
namespace {

Napi::Value severityNumber(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throw std::invalid_argument("name must be a string");
  return Napi::Number::New(info.Env(), severityNumberOf(info[0].As<Napi::String>().Utf8Value()));
}

}  // namespace

void exportSeverity(Napi::Object exports) { exportFunction(exports, "severityNumber", entry<severityNumber>); }

}  // namespace driftlock::binding
