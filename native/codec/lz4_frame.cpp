#include <lz4frame.h>

#include <memory>
#include <string>

#include "codec/encodings.hpp"
#include "codec/implementations.hpp"

namespace driftlock {
namespace {

struct Free {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

DamagedInput damaged(const std::string& what) { return DamagedInput("lz4: " + what); }

}  // namespace

OwnedBytes decompressLz4Frames(Bytes bytes, std::size_t maxSize) {
  if (bytes.empty()) throw damaged("not a whole frame");
  LZ4F_dctx* created = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&created, LZ4F_VERSION))) throw std::bad_alloc();
  const std::unique_ptr<LZ4F_dctx, Free> context{created};
  // Its pages occupy memory as they are written. One byte more shows whether there is more.
  auto out = codecs::allocate(maxSize + 1);
  std::size_t filled = 0, used = 0, wanted = 0;
  while (used < bytes.size()) {
    std::size_t written = out.size - filled, read = bytes.size() - used;
    wanted = LZ4F_decompress(context.get(), out.data.get() + filled, &written, bytes.data() + used, &read, nullptr);
    if (LZ4F_isError(wanted)) throw damaged(LZ4F_getErrorName(wanted));
    filled += written;
    used += read;
    if (filled > maxSize) throw std::length_error("lz4: the output is larger than " + std::to_string(maxSize) + " bytes");
  }
  if (wanted != 0) throw damaged("not a whole frame");
  return codecs::shrunk(std::move(out), filled);
}

}  // namespace driftlock
