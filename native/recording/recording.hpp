#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/common_clock.hpp"
#include "channels/policy.hpp"
#include "group/group.hpp"
#include "otlp/reader.hpp"
#include "record/stream_key.hpp"
#include "recording/format.hpp"
#include "stream/settings.hpp"

namespace driftlock {

/// A resource group whose streams were strange together.
struct RecordedGroup {
  struct Member {
    std::uint64_t stream = 0;
    std::string name, instance;
  };
  StreamKey key;
  /// The streams that the report names.
  std::vector<Member> members;
};

/// What a verdict depends on, from before it: driftlock.v1.Recording.
struct Recording {
  /// The limits of what is recorded, in bytes.
  static constexpr std::size_t kMostRecord = 256 << 10, kMostState = 8 << 20;

  /// The format that it was read from, and the version of Driftlock that wrote it.
  std::uint32_t format = kRecordingFormat;
  std::string version{};
  otlp::Signal signal = otlp::Signal::Logs;
  /// The states of the group, with its length before it, and of the stream; or that of a GroupState.
  std::vector<std::uint8_t> state{};
  Group::Share share{};
  std::array<std::uint64_t, 2> hashKey{};
  /// A request with the record alone; empty if what was judged is none.
  std::vector<std::uint8_t> request{};
  /// The index of the record in its own request, and whether it was the first of its stream there.
  std::uint32_t record = 0;
  bool first = false;
  /// Whether a reported silence ended with it.
  bool resumed = false;
  std::uint64_t arrival = 0;
  /// The moment at which a silence was judged.
  Moment moment{};
  /// The channel that judged what ended at a time, and that time by the stream's clock; None for a record or a silence.
  ChannelId unit = ChannelId::None;
  std::uint64_t now = 0;
  /// Those on which the verdict depends. The privacy policy is that of the stream, with what is given of its findings; without
  /// `permutations` there was no test.
  Settings settings{};
  Policy policy{};
  /// Whether the report has the metrics of its window.
  bool measured = false;
  /// Set if the verdict is about a group, which has neither a record nor a policy.
  std::optional<RecordedGroup> group{};
};

/// @throws DamagedInput that says what is wrong with a recording
[[noreturn]] void refuseDamaged(const char* what);

/// @throws OtherFormat, which says what this version reads, and which version of Driftlock has to be used
[[noreturn]] void refuseFormat(std::uint64_t format, const std::string& version, const std::string& reads);

/// Encodes a recording, whose state is packed. Of what is given of the findings of its privacy policy, it has what was taken.
/// @param packed the state packed by zstd, which stands for `recording.state`
std::vector<std::uint8_t> encodeRecording(const Recording& recording, Bytes packed);

/// Reads a recording. @throws DamagedInput if the bytes are none; OtherFormat if it is of another format.
Recording readRecording(Bytes bytes);

/// Thrown for a recording that this version cannot read.
class OtherFormat : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace driftlock
