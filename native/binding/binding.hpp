#pragma once

#include <napi.h>

namespace driftlock::binding {

/// Each adds its part of src/native.ts to `exports`.
void exportCodec(Napi::Env env, Napi::Object exports);
void exportMetrics(Napi::Env env, Napi::Object exports);
void exportEngine(Napi::Env env, Napi::Object exports);

}  // namespace driftlock::binding
