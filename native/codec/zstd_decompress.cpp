#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <new>

#include "codec/implementations.hpp"

// A file of its own, so that the WebAssembly build, which only reads, takes no compressor.
namespace driftlock::codecs {
namespace {

struct Free {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

}  // namespace

OwnedBytes decompressZstd(Bytes bytes, std::size_t maxSize) {
  thread_local const std::unique_ptr<ZSTD_DCtx, Free> context{ZSTD_createDCtx()};
  if (!context) throw std::bad_alloc();
  // The size of all frames comes from their headers alone. If a header has none, the number of its blocks bounds the size.
  const auto declared = ZSTD_findDecompressedSize(bytes.data(), bytes.size());
  const auto bound = ZSTD_decompressBound(bytes.data(), bytes.size());
  if (bytes.empty() || declared == ZSTD_CONTENTSIZE_ERROR || bound == ZSTD_CONTENTSIZE_ERROR)
    throw damaged(CodecName::Zstd, "not a whole frame");
  const bool known = declared != ZSTD_CONTENTSIZE_UNKNOWN;
  if (known && declared > maxSize) throw tooLarge(CodecName::Zstd, maxSize);

  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(known ? declared : bound, maxSize));
  auto capacity = known ? most : std::min(most, std::max<std::size_t>(8 * bytes.size(), 1 << 16));
  for (;;) {
    auto out = allocate(capacity);
    const auto size = ZSTD_decompressDCtx(context.get(), out.data.get(), capacity, bytes.data(), bytes.size());
    if (!ZSTD_isError(size)) return shrunk(std::move(out), size);
    if (ZSTD_getErrorCode(size) != ZSTD_error_dstSize_tooSmall) throw damaged(CodecName::Zstd, ZSTD_getErrorName(size));
    if (capacity == most && bound > maxSize) throw tooLarge(CodecName::Zstd, maxSize);
    if (capacity == most) throw damaged(CodecName::Zstd, "it expands beyond what its headers say");
    capacity = std::min(most, 4 * capacity);
  }
}

}  // namespace driftlock::codecs
