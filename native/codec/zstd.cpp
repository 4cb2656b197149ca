#include "codec/zstd.hpp"

#include <zstd_errors.h>

#include <algorithm>
#include <new>
#include <string>

#include "codec/implementations.hpp"

namespace driftlock::codecs {
namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

/// One frame with its content's size and no checksum: what is the same in every frame carries no information about the bytes.
class Zstd final : public Codec {
 public:
  explicit Zstd(int level) : Codec(CodecName::Zstd, level), parameters_(zstdParameters(level)) {}

  std::size_t reach() const override { return zstdReach(parameters_); }

 private:
  Bytes encode(Bytes bytes, const Column&) const override {
    thread_local const std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
    if (!context) throw std::bad_alloc();
    const auto require = [](std::size_t result) {
      if (ZSTD_isError(result)) throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
      return result;
    };
    const auto out = scratch(ZSTD_compressBound(bytes.size()));
    require(ZSTD_CCtx_reset(context.get(), ZSTD_reset_session_and_parameters));
    require(ZSTD_CCtx_setCParams(context.get(), parameters_));
    return out.first(require(ZSTD_compress2(context.get(), out.data(), out.size(), bytes.data(), bytes.size())));
  }

  ZSTD_compressionParameters parameters_;
};

}  // namespace

std::unique_ptr<const Codec> makeZstd(std::optional<int> level) {
  // Beyond 19, a context takes hundreds of megabytes.
  return std::make_unique<Zstd>(checkedLevel(CodecName::Zstd, level, {1, 19, 3}));
}

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
