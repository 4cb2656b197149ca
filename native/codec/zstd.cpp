#include "codec/zstd.hpp"

#include <new>
#include <string>

#include "codec/implementations.hpp"

namespace driftlock::codecs {
namespace {

struct Free {
  void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
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

}  // namespace driftlock::codecs
