// The cost of codecs and CBAD metrics on this machine: microseconds per call, the best of several runs.

#include <lz4.h>
#include <openzl/openzl.h>
#include <openzl/zl_public_nodes.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "cbad/chacha20.hpp"
#include "cbad/entropy.hpp"
#include "cbad/ncd.hpp"
#include "cbad/permutation.hpp"
#include "cbad/window_metrics.hpp"
#include "codec/codec.hpp"

using namespace driftlock;

namespace {

using Clock = std::chrono::steady_clock;

double microseconds(const std::function<void()>& call) {
  double best = 1e300;
  const auto end = Clock::now() + std::chrono::milliseconds(150);
  do {
    const auto start = Clock::now();
    call();
    best = std::min(best, std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  } while (Clock::now() < end);
  return best;
}

/// Returns log lines of about 100 bytes.
std::vector<std::string> lines(std::size_t bytes, std::uint64_t seed) {
  static const std::array<const char*, 6> templates{"INFO checkout accepted order from the web shop, payment captured, id=",
                                                    "INFO cart updated by user session, items now ",
                                                    "WARN cache miss on shard, falling back to the primary store, key=",
                                                    "INFO GET /api/v1/products/ answered 200 in ms ",
                                                    "INFO user session refreshed, token rotated, expires in ",
                                                    "DEBUG scheduler picked up job from the queue, lag "};
  ChaCha20Random random(seed);
  std::vector<std::string> result;
  for (std::size_t total = 0; total < bytes; total += result.back().size())
    result.push_back("2024-05-0" + std::to_string(1 + random.below(9)) + "T10:" + std::to_string(10 + random.below(50)) + " " +
                     templates[random.below(6)] + std::to_string(random.below(1000000)) + "\n");
  return result;
}

std::vector<std::uint8_t> joined(const std::vector<std::string>& records, std::size_t size) {
  std::vector<std::uint8_t> result;
  for (const auto& record : records) result.insert(result.end(), record.begin(), record.end());
  result.resize(size);
  return result;
}

/// Calls the library's own one-call function, with a context if it takes one and an existing buffer.
double raw(CodecName name, int level, Bytes bytes, std::vector<std::uint8_t>& out) {
  switch (name) {
    case CodecName::Zstd: {
      auto* context = ZSTD_createCCtx();
      const double time =
          microseconds([&] { ZSTD_compressCCtx(context, out.data(), out.size(), bytes.data(), bytes.size(), level); });
      ZSTD_freeCCtx(context);
      return time;
    }
    case CodecName::Lz4:
      return microseconds([&] {
        LZ4_compress_default(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<char*>(out.data()),
                             static_cast<int>(bytes.size()), static_cast<int>(out.size()));
      });
    case CodecName::Gzip:
      return microseconds([&] {
        uLongf size = out.size();
        compress2(out.data(), &size, bytes.data(), bytes.size(), level);
      });
    case CodecName::Openzl: {
      auto* compressor = ZL_Compressor_create();
      auto* context = ZL_CCtx_create();
      const bool ready = !ZL_isError(ZL_Compressor_selectStartingGraphID(compressor, ZL_GRAPH_COMPRESS_GENERIC)) &&
                         !ZL_isError(ZL_CCtx_setParameter(context, ZL_CParam_stickyParameters, 1)) &&
                         !ZL_isError(ZL_CCtx_setParameter(context, ZL_CParam_compressionLevel, level)) &&
                         !ZL_isError(ZL_CCtx_setParameter(context, ZL_CParam_formatVersion, ZL_MAX_FORMAT_VERSION));
      const double time = microseconds([&] {
        if (!ready || ZL_isError(ZL_CCtx_refCompressor(context, compressor)) ||
            ZL_isError(ZL_CCtx_compress(context, out.data(), out.size(), bytes.data(), bytes.size())))
          std::exit(1);
      });
      ZL_CCtx_free(context);
      ZL_Compressor_free(compressor);
      return time;
    }
  }
  return 0;
}

}  // namespace

int main() {
  std::printf("%-8s %8s %10s %10s %10s %8s\n", "codec", "bytes", "size, us", "raw, us", "MB/s", "ratio");
  for (const auto name : {CodecName::Openzl, CodecName::Zstd, CodecName::Lz4, CodecName::Gzip}) {
    const auto codec = makeCodec(name);
    for (const std::size_t size : {4096, 65536, 1048576}) {
      const auto data = joined(lines(size, 1), size);
      std::vector<std::uint8_t> out(2 * size + 1024);
      const double own = microseconds([&] { codec->compressedSize(data); });
      std::printf("%-8s %8zu %10.1f %10.1f %10.0f %8.3f\n", std::string(toString(name)).c_str(), size, own,
                  raw(name, codec->level(), data, out), static_cast<double>(size) / own,
                  static_cast<double>(codec->compressedSize(data)) / static_cast<double>(size));
    }
  }

  const auto baseline = joined(lines(1 << 16, 2), (1 << 16) - 1), window = joined(lines(1 << 13, 3), 1 << 13);
  std::printf("\nbaseline 64 KiB, window 8 KiB: us\n");
  std::printf("entropy  %10.1f\n", microseconds([&] { entropy(window); }));
  for (const auto name : {CodecName::Openzl, CodecName::Zstd, CodecName::Lz4}) {
    const auto codec = makeCodec(name);
    std::printf("%-8s ncd %10.1f   size-matched %10.1f   windowMetrics %10.1f\n", std::string(toString(name)).c_str(),
                microseconds([&] { ncd(baseline, window, *codec); }),
                microseconds([&] { ncdSizeMatched(baseline, window, *codec); }),
                microseconds([&] { windowMetrics(baseline, window, *codec); }));
  }

  const auto asViews = [](const std::vector<std::string>& records) {
    std::vector<Bytes> views;
    for (const auto& record : records) views.emplace_back(reinterpret_cast<const std::uint8_t*>(record.data()), record.size());
    return views;
  };
  const auto past = lines(56 << 10, 4), present = lines(7 << 10, 5);
  std::printf("\npermutation test, 56 KiB of baseline and 7 KiB of window, blocks of 8: ms\n");
  for (const auto name : {CodecName::Openzl, CodecName::Zstd, CodecName::Lz4}) {
    const auto codec = makeCodec(name);
    for (const std::uint32_t stopAfter : {0u, 10u}) {
      PermutationResult result;
      const double time = microseconds([&] {
        result = permutationTest(asViews(past), asViews(present), *codec,
                                 {.permutations = 999, .block = 8, .stopAfter = stopAfter, .seed = 1});
      });
      std::printf("%-8s stop after %2u: %8.1f ms, %3u drawn, p = %.3f\n", std::string(toString(name)).c_str(), stopAfter,
                  time / 1000, result.permutations, result.pValue);
    }
  }
}
