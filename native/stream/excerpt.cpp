#include "stream/excerpt.hpp"

namespace driftlock {

Excerpt::Excerpt(const Window& window) {
  // It is never destroyed, because a process may exit while threads judge.
  static const Codec& packer = *makeCodec(CodecName::Zstd, 1).release();
  if (window.records() == 0) return;
  thread_local std::vector<std::uint8_t> state;
  state.clear();
  window.snapshot(state);
  const Bytes packed = packer.compress(state);
  packed_.assign(packed.begin(), packed.end());
  size_ = static_cast<std::uint32_t>(state.size());
}

OwnedBytes Excerpt::unpack() const { return size_ == 0 ? OwnedBytes{} : decompress(CodecName::Zstd, packed_, size_); }

void Excerpt::snapshot(std::vector<std::uint8_t>& out) const {
  if (size_ == 0) return put<std::uint32_t>(out, 0);
  const OwnedBytes state = unpack();
  const Bytes bytes = state;
  out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace driftlock
