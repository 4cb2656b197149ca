// Reads any bytes as recordings, and recordings in which something has changed and whose checksum is right nevertheless: they are
// refused, or computed again. The first byte says which.

#include <algorithm>
#include <vector>

#include "base/state_bytes.hpp"
#include "codec/codec.hpp"
#include "fuzz/input.hpp"
#include "fuzz/small_engine.hpp"
#include "otlp/wire.hpp"
#include "recording/recompute.hpp"
#include "recording/recording.hpp"

using namespace driftlock;
using namespace driftlock::fuzz;

namespace {

/// Recordings of some traffic.
struct Recordings {
  std::vector<Recording> all;

  Recordings() {
    Settings settings = settingsOf();
    settings.recordings = true;
    Bench bench(settings);
    Traffic traffic;
    for (int i = 0; i < 1500 && all.size() < 16; ++i) {
      const auto step = traffic.next();
      keep(*bench.process(step.signal, step.bytes));
      if (i % 300 == 299) keep(*bench.advance(60'000'000'000));
    }
    if (all.empty()) stop("nothing is recorded");
  }

  void keep(const Task& task) {
    for (const auto& report : task.anomalies) {
      otlp::Cursor in(report);
      while (const std::uint32_t tag = in.tag()) {
        if (tag == otlp::tag(36, otlp::Wire::Length)) all.push_back(readRecording(in.payload()));
        else in.skip(tag);
      }
    }
  }
};

ChannelId unitOf(std::uint32_t number) {
  const std::size_t index = number % (kChannelCount + 1);
  return index == kChannelCount ? ChannelId::None : static_cast<ChannelId>(index);
}

/// Changes one of the settings.
void change(Settings& settings, int which, std::uint32_t value) {
  switch (which % 8) {
    case 0: settings.baselineRecords = value; break;
    case 1: settings.windowRecords = value; break;
    case 2: settings.windowHop = value; break;
    case 3: settings.dictionarySize = value; break;
    case 4: settings.stepNanos = value; break;
    case 5: settings.acceptAfterNanos = value; break;
    case 6: settings.exactBaseline = value & 1; break;
    default: settings.alarmsPerStreamPerDay = value;
  }
}

void compute(Bytes recording) {
  try {
    if (recompute(recording).empty()) stop("an empty report");
  } catch (const DamagedInput&) {
  } catch (const OtherFormat&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Recordings recordings;
  static const auto packer = makeCodec(CodecName::Zstd, 1);
  Input input({data, size});
  const std::uint8_t choice = input.byte();
  if (choice & 1) {
    compute(input.bytes());
    return 0;
  }
  Recording recording = recordings.all[(choice >> 1 & 0x3f) % recordings.all.size()];
  while (!input.empty()) {
    const std::uint8_t kind = input.byte();
    const std::uint32_t at = input.number() | std::uint32_t{input.byte()} << 16;
    const std::uint64_t large = std::uint64_t{at} << (kind & 32);
    switch (kind % 8) {
      case 0: (at & 1 ? recording.moment.now : recording.moment.event) = large; break;
      case 1: recording.unit = unitOf(at); break;
      case 2: change(recording.settings, kind >> 3, at); break;
      case 3: recording.share.channels[at % 3] = at >> 2; break;
      case 4: (at & 1 ? recording.now : recording.arrival) = large; break;
      default: {
        auto& bytes = kind & 8 ? recording.request : recording.state;
        if (bytes.empty()) break;
        const Bytes given = input.some(1 + (kind >> 5));
        for (std::size_t i = 0; i < given.size(); ++i) bytes[(at + i) % bytes.size()] = given[i];
      }
    }
  }
  const Bytes state = packer->compress(recording.state);
  std::vector<std::uint8_t> packed(state.begin(), state.end());
  // The checksum is that of the damaged bytes, as someone would forge it.
  if (choice & 0x80) packed[size * 7919 % packed.size()] ^= 1 + choice;
  compute(encodeRecording(recording, packed));
  return 0;
}
