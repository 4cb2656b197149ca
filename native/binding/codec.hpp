#pragma once

#include <napi.h>

namespace driftlock {

/// Adds versions, compress, decompress and compressedSize.
void exportCodec(Napi::Env env, Napi::Object exports);

}  // namespace driftlock
