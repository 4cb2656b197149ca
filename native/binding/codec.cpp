#include <lz4.h>
#include <openzl/openzl.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

#include "arguments.hpp"
#include "binding.hpp"

namespace driftlock::binding {
namespace {

// Everything is read from JavaScript before the bytes are looked at: a getter might detach them.
Napi::Value compress(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto codec = makeCodec(codecArgument(info[0], "codec"), levelArgument(info[2], "level"));
    const auto column = columnArgument(info[3], "column");
    const auto out = codec->compress(bytesArgument(info[1], "bytes"), column);
    return Napi::Buffer<std::uint8_t>::Copy(info.Env(), out.data(), out.size());
  });
}

Napi::Value compressedSize(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto codec = makeCodec(codecArgument(info[0], "codec"), levelArgument(info[2], "level"));
    const auto column = columnArgument(info[3], "column");
    return Napi::Number::New(info.Env(), static_cast<double>(codec->compressedSize(bytesArgument(info[1], "bytes"), column)));
  });
}

Napi::Value decompressed(const Napi::CallbackInfo& info) {
  return guarded(info, [&] {
    const auto codec = codecArgument(info[0], "codec");
    const auto bytes = bytesArgument(info[1], "bytes");
    const auto maxSize = integerArgument(info[2], "maxSize", 0, maxSafeInteger);
    auto out = decompress(codec, bytes, static_cast<std::size_t>(maxSize));
    // Handed over without a copy; Node frees it with the Buffer.
    const auto size = out.size;
    return Napi::Buffer<std::uint8_t>::NewOrCopy(info.Env(), out.data.release(), size,
                                                 [](Napi::Env, std::uint8_t* data) { delete[] data; });
  });
}

Napi::Object versions(Napi::Env env) {
  auto versions = Napi::Object::New(env);
  const auto set = [&](const char* name, const std::string& version) { versions.Set(name, version); };
  set("openzl", std::to_string(ZL_LIBRARY_VERSION_MAJOR) + "." + std::to_string(ZL_LIBRARY_VERSION_MINOR) + "." +
                    std::to_string(ZL_LIBRARY_VERSION_PATCH));
  set("openzlFormat", std::to_string(ZL_MAX_FORMAT_VERSION));
  set("zstd", ZSTD_versionString());
  set("lz4", LZ4_versionString());
  set("zlib", zlibVersion());
  versions.Freeze();
  return versions;
}

}  // namespace

void exportCodec(Napi::Env env, Napi::Object exports) {
  exports.Set("versions", versions(env));
  exports.Set("compress", Napi::Function::New(env, compress, "compress"));
  exports.Set("decompress", Napi::Function::New(env, decompressed, "decompress"));
  exports.Set("compressedSize", Napi::Function::New(env, compressedSize, "compressedSize"));
}

}  // namespace driftlock::binding
