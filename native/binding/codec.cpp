#include <lz4.h>
#include <openzl/openzl.h>
#include <zlib.h>
#include <zstd.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "binding/arguments.hpp"
#include "binding/background.hpp"
#include "binding/binding.hpp"
#include "codec/encodings.hpp"

namespace driftlock::binding {
namespace {

struct CompressArguments {
  /// Reads everything from JavaScript before the bytes are used: a getter might detach them.
  explicit CompressArguments(const Napi::CallbackInfo& info)
      : codec(makeCodec(codecArgument(info[0], "codec"), levelArgument(info[2], "level"))),
        column(columnArgument(info[3], "column")),
        bytes(bytesArgument(info[1], "bytes")) {}

  std::unique_ptr<const Codec> codec;
  Column column;
  Bytes bytes;
};

Napi::Value compress(const Napi::CallbackInfo& info) {
  const CompressArguments given(info);
  const Bytes out = given.codec->compress(given.bytes, given.column);
  return Napi::Buffer<std::uint8_t>::Copy(info.Env(), out.data(), out.size());
}

Napi::Value compressedSize(const Napi::CallbackInfo& info) {
  const CompressArguments given(info);
  return Napi::Number::New(info.Env(), static_cast<double>(given.codec->compressedSize(given.bytes, given.column)));
}

std::size_t maxSizeArgument(Napi::Value value) {
  return static_cast<std::size_t>(integerArgument(value, "maxSize", 0, kMaxSafeInteger));
}

Napi::Value decompressed(const Napi::CallbackInfo& info) {
  const auto codec = codecArgument(info[0], "codec");
  const auto maxSize = maxSizeArgument(info[2]);
  return bufferOf(info.Env(), decompress(codec, bytesArgument(info[1], "bytes"), maxSize));
}

using Decompress = std::function<OwnedBytes(Bytes bytes, std::size_t maxSize)>;

/// Returns the decompressor of a codec, or of an encoding of requests that is only read.
Decompress decompressArgument(Napi::Value value) {
  if (value.IsString()) {
    const auto name = value.As<Napi::String>().Utf8Value();
    if (name == "lz4-frames") return decompressLz4Frames;
    if (name == "snappy") return decompressSnappy;
  }
  const auto codec = codecArgument(value, "codec");
  return [codec](Bytes bytes, std::size_t maxSize) { return decompress(codec, bytes, maxSize); };
}

class DecompressWork : public Background {
 public:
  /// Copies the bytes, because JavaScript may change or detach them meanwhile.
  DecompressWork(Decompress decompress, Bytes bytes, std::size_t maxSize)
      : decompress_(std::move(decompress)), bytes_(bytes.begin(), bytes.end()), maxSize_(maxSize) {}

 protected:
  bool run() override {
    out_ = decompress_(bytes_, maxSize_);
    return true;
  }

  Napi::Value result(Napi::Env env) override { return bufferOf(env, std::move(out_)); }

 private:
  Decompress decompress_;
  std::vector<std::uint8_t> bytes_;
  std::size_t maxSize_;
  OwnedBytes out_;
};

Napi::Value decompressAsync(const Napi::CallbackInfo& info) {
  return Background::start(info.Env(), [&] {
    auto decompress = decompressArgument(info[0]);
    const auto maxSize = maxSizeArgument(info[2]);
    return std::make_unique<DecompressWork>(std::move(decompress), bytesArgument(info[1], "bytes"), maxSize);
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

void exportCodec(Napi::Object exports) {
  exports.Set("versions", versions(exports.Env()));
  exportFunction(exports, "compress", entry<compress>);
  exportFunction(exports, "decompress", entry<decompressed>);
  exportFunction(exports, "decompressAsync", entry<decompressAsync>);
  exportFunction(exports, "compressedSize", entry<compressedSize>);
}

}  // namespace driftlock::binding
