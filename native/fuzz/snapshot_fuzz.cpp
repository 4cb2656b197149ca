// Changes some bytes of the records of snapshots, and gives them digests that fit: an engine refuses such a snapshot, or
// continues from it and its state then survives a restart. The input is a sequence of changes.

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

/// A record of a snapshot: what precedes its packed bytes, and what is packed in them.
struct Record {
  Buffer key, before, packed;

  bool isHead() const { return key[0] == static_cast<std::uint8_t>(SavedKind::Head); }
};

/// A snapshot's records. The head is one piece; its last two numbers, which are digests, are left out.
struct Parts {
  std::vector<Record> records;
  Record head;

  explicit Parts(Bytes snapshot) {
    for (SavedRecord record; SavedRecord::read(snapshot, record);) {
      constexpr std::uint8_t kMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
      const auto frame = std::search(record.value.begin(), record.value.end(), std::begin(kMagic), std::end(kMagic));
      if (frame == record.value.end()) stop("a record without packed bytes");
      const auto at = static_cast<std::size_t>(frame - record.value.begin());
      const OwnedBytes packed = decompress(CodecName::Zstd, record.value.subspan(at), 8 << 20);
      Record each{{record.key.begin(), record.key.end()},
                  {record.value.begin(), frame},
                  {packed.data.get(), packed.data.get() + packed.size}};
      if (each.isHead()) head = std::move(each);
      else records.push_back(std::move(each));
    }
    if (!snapshot.empty() || head.packed.size() < kDigests) stop("the records of a snapshot");
    head.packed.resize(head.packed.size() - kDigests);
  }

  /// Returns the snapshot with digests that fit.
  Buffer join() const {
    const KeyedHash hash = streamHash(kPublicHashKey);
    Buffer all;
    std::uint64_t sum = 0;
    for (const Record& each : records) sum += append(each, hash, all);
    Record last = head;
    put(last.packed, sum);
    put(last.packed, hash(last.packed));
    append(last, hash, all);
    return all;
  }

 private:
  static constexpr std::size_t kDigests = 2 * sizeof(std::uint64_t);

  /// Returns the digest of the record.
  static std::uint64_t append(const Record& record, const KeyedHash& hash, Buffer& all) {
    Buffer value = record.before;
    const auto packer = makeCodec(CodecName::Zstd, 1);
    const Bytes packed = packer->compress(record.packed);
    value.insert(value.end(), packed.begin(), packed.end());
    const SavedRecord saved{record.key, value};
    saved.write(all);
    return saved.digest(hash);
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

void change(Buffer& buffer, Input& input) {
  const std::uint8_t kind = input.byte();
  const std::size_t at = input.number() | std::size_t{input.byte()} << 16;
  if (buffer.empty()) return;
  const auto target = buffer.begin() + static_cast<std::ptrdiff_t>(at % buffer.size());
  const std::size_t room = static_cast<std::size_t>(buffer.end() - target);
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
  while (!input.empty()) {
    const std::uint8_t which = input.byte();
    Record& record = which < 40 ? parts.head : parts.records[which % parts.records.size()];
    // Most of the content is in what is packed.
    change(which % 8 == 1 ? record.before : which % 8 == 2 ? record.key : record.packed, input);
  }
  Bench bench(settingsOf());
  if (!bench.restore(parts.join(), true)) return 0;
  for (const auto& step : bases.next) {
    if (const auto task = bench.process(step.signal, step.bytes); !task->failure.empty()) stop(task->failure.c_str());
  }
  bench.advance(60'000'000'000);
  FeedbackVisit word("default", "none", Feedback::Accept);
  bench.visit([&](std::uint32_t, Shard& shard) { word.visit(shard); });
  StatisticsPage page(1000);
  bench.visit([&](std::uint32_t number, Shard& shard) { page.take(number, shard); });
  page.join();
  bench.records(CheckpointOf::Changes);
  Bench again(settingsOf());
  if (!again.restore(bench.snapshot())) stop("a snapshot of an engine that took one is refused");
  return 0;
}
