#include <lz4.h>
#include <lz4hc.h>

#include "codec/implementations.hpp"

namespace driftlock::codecs {
namespace {

constexpr int kLengthBytes = 5;  // A LEB128 number of 32 bits.

/// The length in LEB128, then one LZ4 block. The official frame would add 15 bytes or more that are the same for all input.
class Lz4 final : public Codec {
 public:
  explicit Lz4(int level) : Codec(CodecName::Lz4, level) {}

  std::size_t reach() const override { return LZ4_DISTANCE_MAX; }

 private:
  Bytes encode(Bytes bytes, const Column&) const override {
    const auto length = static_cast<int>(bytes.size());
    const auto out = scratch(kLengthBytes + LZ4_compressBound(length));
    std::size_t used = 0;
    auto rest = static_cast<std::uint32_t>(length);
    for (; rest >= 0x80; rest >>= 7) out[used++] = static_cast<std::uint8_t>(rest | 0x80);
    out[used++] = static_cast<std::uint8_t>(rest);

    const auto* source = reinterpret_cast<const char*>(bytes.data());
    auto* target = reinterpret_cast<char*>(out.data() + used);
    const int room = LZ4_compressBound(length);
    // The state is cleared for each call: LZ4's fast reset keeps old entries, so that the output would depend on earlier calls.
    // The streaming call is used because the plain one uses another hash below 64 KiB, and a distance across that size would
    // measure the difference (by .05).
    int size = 0;
    if (level() == 1) {
      thread_local const auto state = std::make_unique<LZ4_stream_t>();
      LZ4_initStream(state.get(), sizeof(LZ4_stream_t));
      size = LZ4_compress_fast_continue(state.get(), source, target, length, room, 1);
    } else {
      thread_local const auto state = std::make_unique<LZ4_streamHC_t>();
      size = LZ4_compress_HC_extStateHC(state.get(), source, target, length, room, level());
    }
    if (size <= 0) throw std::runtime_error("lz4: compression failed");
    return out.first(used + static_cast<std::size_t>(size));
  }
};

}  // namespace

std::unique_ptr<const Codec> makeLz4(std::optional<int> level) {
  return std::make_unique<Lz4>(checkedLevel(CodecName::Lz4, level, {1, LZ4HC_CLEVEL_MAX, 1}));
}

OwnedBytes decompressLz4(Bytes bytes, std::size_t maxSize) {
  std::uint64_t length = 0;
  std::size_t used = 0;
  for (int shift = 0;; shift += 7) {
    if (used == bytes.size() || used == kLengthBytes) throw damaged(CodecName::Lz4, "no length");
    const std::uint8_t byte = bytes[used++];
    length |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) break;
  }
  const auto block = bytes.subspan(used);
  if (length > maxSize) throw tooLarge(CodecName::Lz4, maxSize);
  // A block byte stands for 255 bytes at most: a length beyond that is a lie, and nothing is allocated for it.
  if (length > Codec::kMaxInput || block.size() > Codec::kMaxInput || length > 255 * block.size())
    throw damaged(CodecName::Lz4, "its length does not fit the block");
  auto out = allocate(length);
  const int size = LZ4_decompress_safe(reinterpret_cast<const char*>(block.data()), reinterpret_cast<char*>(out.data.get()),
                                       static_cast<int>(block.size()), static_cast<int>(length));
  if (size < 0 || static_cast<std::uint64_t>(size) != length) throw damaged(CodecName::Lz4, "the block is malformed");
  return out;
}

}  // namespace driftlock::codecs
