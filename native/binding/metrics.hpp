#pragma once

#include <napi.h>

namespace driftlock {

/// Adds entropy, compressionRatio, deltaBits, ncd, ncdSizeMatched, windowMetrics, permutationTest and chacha20.
void exportMetrics(Napi::Env env, Napi::Object exports);

}  // namespace driftlock
