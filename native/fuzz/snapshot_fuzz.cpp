// Changes some bytes of snapshots, and of packed streams in them: an engine refuses such a snapshot, or continues from it and its
// state then survives a restart. The input is a sequence of changes.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "input.hpp"
#include "small_engine.hpp"

using namespace driftlock;
using namespace driftlock::fuzz;
using Buffer = std::vector<std::uint8_t>;

namespace {

/// A piece of a snapshot: plain bytes, or those of a packed stream.
struct Piece {
  Buffer bytes;
  bool packed = false;
};

/// A snapshot's parts, each of which is preceded by its length, and the pieces of each.
struct Parts {
  Buffer head;
  std::vector<std::vector<Piece>> parts;

  explicit Parts(Bytes snapshot) {
    constexpr std::size_t kHeadSize = 8;
    head.assign(snapshot.begin(), snapshot.begin() + kHeadSize);
    StateReader read(snapshot.subspan(kHeadSize));
    while (read.left() > 0) parts.push_back(piecesOf(read.getBytes()));
    if (!read.done()) stop("the parts of a snapshot");
  }

  Buffer join() const {
    const auto packer = makeCodec(CodecName::Zstd, 1);
    Buffer all = head;
    for (const auto& part : parts) {
      Buffer bytes;
      for (const Piece& piece : part) {
        if (piece.packed) {
          putBytes(bytes, packer->compress(piece.bytes));
        } else {
          bytes.insert(bytes.end(), piece.bytes.begin(), piece.bytes.end());
        }
      }
      putBytes(all, bytes);
    }
    return all;
  }

 private:
  /// Finds packed streams by the first bytes of a zstd frame, which its length precedes.
  static std::vector<Piece> piecesOf(Bytes part) {
    std::vector<Piece> pieces(1);
    while (!part.empty()) {
      StateReader read(part);
      if (const Bytes frame = read.getBytes(); read.ok()) {
        if (auto stream = unpacked(frame)) {
          pieces.push_back({std::move(*stream), true});
          pieces.emplace_back();
          part = part.subspan(4 + frame.size());
          continue;
        }
      }
      pieces.back().bytes.push_back(part[0]);
      part = part.subspan(1);
    }
    return pieces;
  }

  static std::optional<Buffer> unpacked(Bytes frame) {
    constexpr std::uint8_t kMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (frame.size() < sizeof kMagic || !std::equal(kMagic, kMagic + sizeof kMagic, frame.begin())) return {};
    const OwnedBytes stream = decompress(CodecName::Zstd, frame, 8 << 20);
    return Buffer(stream.data.get(), stream.data.get() + stream.size);
  }
};

/// Snapshots of an engine that is learning, one that has learned, and one whose streams have been replaced by others.
struct Bases {
  std::vector<Parts> snapshots;
  std::vector<Traffic::Step> next;

  Bases() {
    Bench bench(settingsOf());
    Traffic traffic;
    for (int i = 0; i < 300; ++i) {
      const auto step = traffic.next();
      bench.process(step.signal, step.bytes, i % 5 == 0 ? "other" : "default");
      if (i == 40 || i == 299) snapshots.emplace_back(bench.snapshot());
    }
    for (int i = 0; i < 40; ++i) next.push_back(traffic.next());
  }
};

constexpr std::uint64_t kNumbers[] = {0,
                                      1,
                                      2,
                                      63,
                                      64,
                                      127,
                                      128,
                                      255,
                                      256,
                                      1023,
                                      4096,
                                      65'535,
                                      65'536,
                                      0x7fffffff,
                                      0x80000000,
                                      0xffffffff,
                                      0x7fffffffffffffff,
                                      0x8000000000000000,
                                      0xffffffffffffffff,
                                      0x7ff0000000000000,
                                      0xfff0000000000000,
                                      0x7ff8000000000001,
                                      0x3ff0000000000000,
                                      0x7fefffffffffffff,
                                      0x7f7fffff,
                                      0xbf800000};

void change(Piece& piece, Input& input) {
  const std::uint8_t kind = input.byte();
  const std::size_t at = input.number() | std::size_t{input.byte()} << 16;
  if (piece.bytes.empty()) return;
  const auto target = piece.bytes.begin() + static_cast<std::ptrdiff_t>(at % piece.bytes.size());
  const std::size_t room = static_cast<std::size_t>(piece.bytes.end() - target);
  if (kind & 128) {
    const Bytes bytes = input.some(1 + (kind & 7));
    std::copy_n(bytes.begin(), std::min(bytes.size(), room), target);
    return;
  }
  const std::uint64_t number = kNumbers[input.byte() % std::size(kNumbers)];
  for (std::size_t i = 0; i < std::min<std::size_t>(kind & 1 ? 4 : 8, room); ++i)
    target[static_cast<std::ptrdiff_t>(i)] = static_cast<std::uint8_t>(number >> (8 * i));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Bases bases;
  Input input({data, size});
  Parts parts = bases.snapshots[input.byte() % bases.snapshots.size()];
  std::vector<Piece*> plain, packed;
  for (auto& part : parts.parts) {
    for (Piece& piece : part) (piece.packed ? packed : plain).push_back(&piece);
  }
  while (!input.empty()) {
    const std::uint8_t which = input.byte();
    // Most of the content is in the packed streams.
    const auto& pieces = which < 40 ? plain : packed;
    change(*pieces[which % pieces.size()], input);
  }
  Bench bench(settingsOf());
  if (!bench.engine.restore(parts.join())) return 0;
  for (const auto& step : bases.next) {
    if (const auto task = bench.process(step.signal, step.bytes); !task->failure.empty()) stop(task->failure.c_str());
  }
  bench.advance(60'000'000'000);
  FeedbackVisit word("default", "none", Feedback::Accept);
  bench.visit([&](std::uint32_t, Shard& shard) { word.visit(shard); });
  StatisticsPage page(1000);
  bench.visit([&](std::uint32_t number, Shard& shard) { page.take(number, shard); });
  page.join();
  Bench again(settingsOf());
  if (!again.engine.restore(bench.snapshot())) stop("a snapshot of an engine that took one is refused");
  return 0;
}
