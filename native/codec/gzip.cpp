#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "codec/implementations.hpp"

namespace driftlock::codecs {
namespace {

constexpr int kGzipWindow = 15 + 16;  // 32 KiB, in gzip's wrapper.

/// A deflate stream that stays allocated between calls; only a change of level starts a new one.
class Deflater {
 public:
  ~Deflater() { end(); }

  z_stream& ready(int level) {
    if (level == level_) {
      deflateReset(&stream_);
    } else {
      end();
      stream_ = {};
      if (deflateInit2(&stream_, level, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
      level_ = level;
    }
    // There is no time, and "unknown" for the operating system: the same bytes on every machine.
    header_ = {};
    header_.os = 255;
    deflateSetHeader(&stream_, &header_);
    return stream_;
  }

 private:
  void end() {
    if (level_ != 0) deflateEnd(&stream_);
    level_ = 0;
  }

  z_stream stream_{};
  gz_header header_{};
  int level_ = 0;
};

class Inflater {
 public:
  Inflater() {
    if (inflateInit2(&stream, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
};

class Gzip final : public Codec {
 public:
  explicit Gzip(int level) : Codec(CodecName::Gzip, level) {}

  /// The limit MAX_DIST of deflate.h: the window minus the longest look-ahead.
  std::size_t reach() const override { return (1 << 15) - 262; }

 private:
  Bytes encode(Bytes bytes, const Column&) const override {
    thread_local Deflater deflater;
    auto& stream = deflater.ready(level());
    const auto out = scratch(deflateBound(&stream, static_cast<uLong>(bytes.size())));
    stream.next_in = const_cast<Bytef*>(bytes.data());
    stream.avail_in = static_cast<uInt>(bytes.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(std::min<std::size_t>(out.size(), std::numeric_limits<uInt>::max()));
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("gzip: compression failed");
    return out.first(stream.total_out);
  }
};

}  // namespace

std::unique_ptr<const Codec> makeGzip(std::optional<int> level) {
  return std::make_unique<Gzip>(checkedLevel(CodecName::Gzip, level, {1, 9, 6}));
}

OwnedBytes decompressGzip(Bytes bytes, std::size_t maxSize) {
  // The trailer's size is only a hint: it is of the last member, modulo 2^32, and the sender may lie.
  constexpr std::size_t kHeader = 10, kTrailer = 8;
  if (bytes.size() < kHeader + kTrailer) throw damaged(CodecName::Gzip, "too short");
  std::size_t hint = 0;
  for (int i = 1; i <= 4; ++i) hint = hint << 8 | bytes[bytes.size() - i];

  // One byte more than allowed shows whether there is more.
  const std::size_t most = maxSize == std::numeric_limits<std::size_t>::max() ? maxSize : maxSize + 1;
  auto out = allocate(std::min(most, std::min(hint, 16 * bytes.size()) + 1));
  std::size_t size = 0;

  Inflater inflater;
  auto& stream = inflater.stream;
  for (bool within = true;;) {
    // zlib counts in 32 bits.
    constexpr std::size_t kStep = 1 << 30;
    const auto taken = static_cast<std::size_t>(stream.next_in ? stream.next_in - bytes.data() : 0);
    stream.next_in = const_cast<Bytef*>(bytes.data() + taken);
    stream.avail_in = static_cast<uInt>(std::min(bytes.size() - taken, kStep));
    if (!within) {
      if (stream.avail_in == 0) break;
      inflateReset(&stream);  // A further member: RFC 1952, 2.2.
      within = true;
    }
    if (size == out.size) {
      auto larger = allocate(std::min(most, 2 * out.size));
      std::memcpy(larger.data.get(), out.data.get(), size);
      out = std::move(larger);
    }
    const auto room = std::min(out.size - size, kStep);
    stream.next_out = out.data.get() + size;
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    size += room - stream.avail_out;
    if (size > maxSize) throw tooLarge(CodecName::Gzip, maxSize);
    if (status == Z_STREAM_END) {
      within = false;
    } else if (status != Z_OK) {
      throw damaged(CodecName::Gzip, status == Z_BUF_ERROR ? "it ends too early" : stream.msg ? stream.msg : "malformed");
    }
  }
  out.size = size;
  return out;
}

}  // namespace driftlock::codecs
