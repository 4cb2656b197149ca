#pragma once

#include <zstd.h>

#include <cstddef>

namespace driftlock::codecs {

/// One set of parameters per level, whatever the input's size. zstd's own choice changes with the size (at 16, 128 and 256 KiB),
/// and an NCD across such a boundary measures the change: by .08 on log lines at level 3.
inline ZSTD_compressionParameters zstdParameters(int level) { return ZSTD_getCParams(level, ZSTD_CONTENTSIZE_UNKNOWN, 0); }

/// The reach of a match: the fast searches count the window from the end of a block.
inline std::size_t zstdReach(const ZSTD_compressionParameters& parameters) {
  return (std::size_t{1} << parameters.windowLog) - ZSTD_BLOCKSIZE_MAX;
}

}  // namespace driftlock::codecs
