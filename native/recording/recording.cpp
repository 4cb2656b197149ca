#include "recording/recording.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "base/hash.hpp"
#include "codec/codec.hpp"
#include "otlp/wire.hpp"
#include "otlp/writer.hpp"

namespace driftlock {
namespace {

#ifndef DRIFTLOCK_VERSION
#define DRIFTLOCK_VERSION ""
#endif

constexpr std::size_t kMostBytes = 2 << 20;
constexpr std::size_t kMostFields = 4096;
constexpr std::uint32_t kMostPermutations = 9'999;

/// Lists the fields of the settings, the shares and the policy, so that one list serves both directions.
template <class Settings>
void visitSettings(Settings& s, auto& v) {
  v.integer(1, s.baselineRecords), v.flag(2, s.exactBaseline), v.fixed(3, s.stepNanos), v.integer(4, s.dictionarySize);
  v.fixed(5, s.acceptAfterNanos), v.integer(6, s.windowRecords), v.integer(7, s.windowHop), v.real(8, s.alarmsPerStreamPerDay);
  v.real(9, s.alarmsPerGroupPerDay), v.fixed(10, s.seed), v.enumerator(11, s.codec), v.integer(12, s.permutations);
  v.flag(13, s.llm.enabled);
}
template <class Share>
void visitShare(Share& s, auto& v) {
  v.integer(1, s.channels[0]), v.integer(2, s.channels[1]), v.integer(3, s.channels[2]), v.flag(4, s.compares);
}
template <class Policy>
void visitPolicy(Policy& p, auto& v) {
  v.real(1, p.alarmsPerDay), v.integer(2, p.channels), v.enumerator(3, p.direction), v.real(4, p.leastDeviation);
  v.real(5, p.leastShare), v.real(6, p.leastCount), v.texts(7, p.ignoredFields);
}

/// A rule of a privacy policy: its actions from 1, by place; 0 where it decides nothing.
struct PrivacyRule {
  std::string attribute{};
  privacy::Kinds kinds = 0;
  std::array<std::uint32_t, privacy::kPlaceCount> actions{};
};
struct PrivacyPolicy {
  privacy::Actions actions{};
  std::vector<PrivacyRule> rules{};
  /// The names of users' detectors.
  std::vector<std::string> detectors{};
  std::vector<privacy::Findings::Finding> findings{};
  std::vector<privacy::Findings::Allowed> allowed{};
};
void visitPrivacy(auto& p, auto& v) {
  for (std::uint32_t i = 0; i < privacy::kPlaceCount; ++i) v.enumerator(1 + i, p.actions[i]);
  v.messages(6, p.rules, [](auto& rule, auto& inner) {
    inner.text(1, rule.attribute), inner.integer(2, rule.kinds);
    for (std::uint32_t i = 0; i < privacy::kPlaceCount; ++i) inner.integer(3 + i, rule.actions[i]);
  });
  v.texts(7, p.detectors);
  v.messages(8, p.findings, [](auto& finding, auto& inner) {
    inner.fixed(1, finding.text);
    inner.messages(2, finding.parts, [](auto& part, auto& innermost) {
      innermost.integer(1, part.begin), innermost.integer(2, part.end), innermost.enumerator(3, part.kind);
    });
  });
  v.messages(9, p.allowed, [](auto& allowed, auto& inner) {
    inner.text(1, allowed.attribute), inner.text(2, allowed.value), inner.enumerator(3, allowed.kind);
  });
}
void visitGroup(auto& g, auto& v) {
  v.fixed(1, g.key.hash), v.text(2, g.key.tenant), v.text(3, g.key.service), v.text(4, g.key.groupName);
  v.messages(5, g.members, [](auto& member, auto& inner) {
    inner.fixed(1, member.stream), inner.text(2, member.name), inner.text(3, member.instance);
  });
}

void readFieldsOf(Bytes message, auto&& visit);

class FieldWriter {
 public:
  explicit FieldWriter(std::vector<std::uint8_t>& out) : write_(out) {}
  void integer(std::uint32_t number, std::uint64_t value) { write_.integer(number, value); }
  void flag(std::uint32_t number, bool value) { write_.integer(number, value ? 1 : 0); }
  void fixed(std::uint32_t number, std::uint64_t value) { write_.fixed(number, value); }
  void real(std::uint32_t number, double value) { write_.real(number, value); }
  void enumerator(std::uint32_t number, auto value) { write_.integer(number, static_cast<std::uint64_t>(value)); }
  void texts(std::uint32_t number, const std::vector<std::string>& values) {
    for (const std::string& value : values) write_.message(number, bytesOf(value));
  }
  void text(std::uint32_t number, const std::string& value) { write_.string(number, value); }
  void messages(std::uint32_t number, const auto& values, auto&& visit) {
    for (const auto& value : values) {
      std::vector<std::uint8_t> bytes;
      FieldWriter inner(bytes);
      visit(value, inner);
      write_.message(number, bytes);
    }
  }

 private:
  otlp::Writer write_;
};

/// Reads the field with this tag of a message, if it is in the list.
class FieldReader {
 public:
  FieldReader(otlp::Cursor& in, std::uint32_t tag) : in_(in), tag_(tag) {}
  template <class Integer>
  void integer(std::uint32_t number, Integer& value) {
    if (!is(number, otlp::Wire::Varint)) return;
    const std::uint64_t given = in_.varint();
    value = static_cast<Integer>(given);
    if (value != given) in_.fail("a number is too large");
  }
  void flag(std::uint32_t number, bool& value) {
    if (is(number, otlp::Wire::Varint)) value = in_.varint() != 0;
  }
  void fixed(std::uint32_t number, std::uint64_t& value) {
    if (is(number, otlp::Wire::Fixed64)) value = in_.fixed64();
  }
  void real(std::uint32_t number, double& value) {
    if (is(number, otlp::Wire::Fixed64)) value = in_.real();
  }
  template <class Enum>
  void enumerator(std::uint32_t number, Enum& value) {
    if (is(number, otlp::Wire::Varint)) value = static_cast<Enum>(in_.varint());
  }
  void texts(std::uint32_t number, std::vector<std::string>& values) {
    if (!more(number, values)) return;
    const Bytes text = in_.payload();
    values.back().assign(text.begin(), text.end());
  }
  void text(std::uint32_t number, std::string& value) {
    if (!is(number, otlp::Wire::Length)) return;
    const Bytes text = in_.payload();
    value.assign(text.begin(), text.end());
  }
  void messages(std::uint32_t number, auto& values, auto&& visit) {
    if (more(number, values)) readFieldsOf(in_.payload(), [&](auto& inner) { visit(values.back(), inner); });
  }
  bool found() const { return found_; }

 private:
  bool is(std::uint32_t number, otlp::Wire wire) {
    if (tag_ != otlp::tag(number, wire)) return false;
    return found_ = true;
  }

  /// Adds an element for a field that may come again.
  bool more(std::uint32_t number, auto& values) {
    if (!is(number, otlp::Wire::Length)) return false;
    if (values.size() == kMostFields) refuseDamaged("it has too many fields of a kind");
    values.emplace_back();
    return true;
  }

  otlp::Cursor& in_;
  std::uint32_t tag_;
  bool found_ = false;
};

/// Reads a message whose fields `visit` lists.
void readFieldsOf(Bytes message, auto&& visit) {
  otlp::Cursor in(message);
  while (const std::uint32_t tag = in.tag()) {
    FieldReader read(in, tag);
    visit(read);
    if (!read.found()) in.skip(tag);
  }
  if (in.failure()) refuseDamaged(in.failure());
}

constexpr std::uint32_t varint(std::uint32_t number) { return otlp::tag(number, otlp::Wire::Varint); }
constexpr std::uint32_t fixed(std::uint32_t number) { return otlp::tag(number, otlp::Wire::Fixed64); }
constexpr std::uint32_t length(std::uint32_t number) { return otlp::tag(number, otlp::Wire::Length); }

std::uint64_t littleEndian(Bytes bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value |= std::uint64_t{bytes[i]} << 8 * i;
  return value;
}

/// The hash of a recording's other fields; never 0.
std::uint64_t checksumOf(Bytes fields, const std::array<std::uint64_t, 2>& key) { return KeyedHash(key)(fields) | 1; }

/// Checks what the engine takes for granted of its settings: the options check it there.
bool sound(const Settings& s) {
  const auto budget = [](double perDay) { return perDay >= 0 && perDay <= 1e6; };
  return s.baselineRecords >= 2 && s.stepNanos >= 1 && s.dictionarySize >= 64 && s.dictionarySize <= 65'536 &&
         s.windowRecords >= 1 && s.windowHop >= 1 && s.alarmsPerStreamPerDay > 0 && budget(s.alarmsPerStreamPerDay) &&
         budget(s.alarmsPerGroupPerDay) && s.codec <= CodecName::Gzip && s.permutations <= kMostPermutations;
}

bool sound(const Policy& p) {
  const auto least = [](double x) { return x >= 0 && std::isfinite(x); };
  return p.direction <= Policy::Direction::Down && p.alarmsPerDay >= 0 && p.alarmsPerDay <= 1e6 && least(p.leastDeviation) &&
         least(p.leastShare) && least(p.leastCount);
}

/// Reads the first two fields, which are the same in all formats, into a recording.
void readFormat(Bytes bytes, Recording& r) {
  std::uint64_t format = 0;
  otlp::Cursor in(bytes);
  for (std::uint32_t tag = in.tag(); tag == varint(1) || tag == length(2); tag = in.tag()) {
    if (tag == varint(1)) {
      format = in.varint();
      continue;
    }
    const Bytes text = in.payload();
    r.version.assign(text.begin(), text.end());
  }
  if (in.failure()) refuseDamaged(in.failure());
  if (format < kOldestRecordingFormat || format > kRecordingFormat) {
    refuseFormat(format, r.version,
                 "formats " + std::to_string(kOldestRecordingFormat) + " to " + std::to_string(kRecordingFormat));
  }
  r.format = static_cast<std::uint32_t>(format);
}

PrivacyPolicy wireOf(const privacy::Policy& policy) {
  PrivacyPolicy wire{.actions = policy.actions()};
  for (const privacy::Rule& rule : policy.rules()) {
    PrivacyRule& each = wire.rules.emplace_back(PrivacyRule{.attribute = rule.attribute, .kinds = rule.kinds});
    for (std::size_t i = 0; i < privacy::kPlaceCount; ++i)
      if (rule.actions[i]) each.actions[i] = 1 + static_cast<std::uint32_t>(*rule.actions[i]);
  }
  for (const privacy::Detector& detector : policy.detectors()) wire.detectors.push_back(detector.name);
  if (const auto& findings = policy.findings()) {
    wire.findings = findings->takenFindings();
    wire.allowed = findings->takenAllowed();
  }
  return wire;
}

std::shared_ptr<const privacy::Policy> policyOf(PrivacyPolicy& wire, const KeyedHash& hash) {
  constexpr auto kMost = static_cast<std::uint32_t>(privacy::Action::Drop);
  std::vector<privacy::Rule> rules;
  for (PrivacyRule& each : wire.rules) {
    privacy::Rule& rule = rules.emplace_back();
    rule.attribute = std::move(each.attribute);
    rule.kinds = each.kinds;
    for (std::size_t i = 0; i < privacy::kPlaceCount; ++i) {
      if (each.actions[i] > 1 + kMost) refuseDamaged("its privacy policy is impossible");
      if (each.actions[i] > 0) rule.actions[i] = static_cast<privacy::Action>(each.actions[i] - 1);
    }
  }
  for (const privacy::Action action : wire.actions)
    if (action > privacy::Action::Drop) refuseDamaged("its privacy policy is impossible");
  std::vector<privacy::Detector> detectors;
  for (std::string& name : wire.detectors) detectors.push_back({std::move(name), {}});
  const auto sound = [&](const privacy::Found& part) {
    return static_cast<std::size_t>(part.kind) < privacy::kBuiltInCount + detectors.size();
  };
  for (const privacy::Findings::Finding& finding : wire.findings)
    if (!std::ranges::all_of(finding.parts, sound)) refuseDamaged("its privacy policy is impossible");
  if (detectors.size() > privacy::kMostCustom) refuseDamaged("its privacy policy is impossible");
  auto policy =
      std::make_shared<privacy::Policy>(wire.actions, std::move(rules), std::vector<std::uint8_t>{}, std::move(detectors));
  if (!wire.findings.empty() || !wire.allowed.empty())
    policy->setFindings(std::make_shared<privacy::Findings>(hash, std::move(wire.findings), std::move(wire.allowed)));
  return policy;
}

}  // namespace

void refuseFormat(std::uint64_t format, const std::string& version, const std::string& reads) {
  throw OtherFormat("the recording has format " + std::to_string(format) + ", and this version of Driftlock reads " + reads +
                    (version.empty() ? "" : ": use driftlock-verify of version " + version.substr(0, 64) + ", which made it"));
}

void refuseDamaged(const char* what) { throw DamagedInput(std::string("the recording is damaged: ") + what); }

std::vector<std::uint8_t> encodeRecording(const Recording& r, Bytes packed) {
  std::vector<std::uint8_t> out, inner;
  otlp::Writer write(out);
  const auto message = [&](std::uint32_t number, auto&& visit) {
    inner.clear();
    FieldWriter fields(inner);
    visit(fields);
    write.message(number, inner);
  };
  write.integer(1, kRecordingFormat);
  write.string(2, DRIFTLOCK_VERSION);
  write.integer(3, static_cast<std::uint64_t>(r.signal));
  write.message(4, packed);
  message(5, [&](auto& v) { visitShare(r.share, v); });
  inner.clear();
  for (const std::uint64_t word : r.hashKey) {
    for (int shift = 0; shift < 64; shift += 8) inner.push_back(static_cast<std::uint8_t>(word >> shift));
  }
  write.message(6, inner);
  write.bytes(7, r.request);
  write.integer(8, r.record);
  write.integer(9, r.first ? 1 : 0);
  write.fixed(10, r.arrival);
  write.fixed(11, r.moment.now);
  write.fixed(12, r.moment.event);
  message(13, [&](auto& v) { visitSettings(r.settings, v); });
  message(14, [&](auto& v) { visitPolicy(r.policy, v); });
  write.integer(15, r.resumed ? 1 : 0);
  write.integer(16, r.unit == ChannelId::None ? 0 : 1 + indexOf(r.unit));
  write.fixed(17, r.now);
  write.integer(19, r.measured ? 1 : 0);
  const PrivacyPolicy privacy = wireOf(*r.settings.privacy);
  message(20, [&](auto& v) { visitPrivacy(privacy, v); });
  if (r.group) message(21, [&](auto& v) { visitGroup(*r.group, v); });
  write.fixed(18, checksumOf(out, r.hashKey));
  return out;
}

Recording readRecording(Bytes bytes) {
  if (bytes.size() > kMostBytes) refuseDamaged("it is larger than any recording");
  Recording r{};
  readFormat(bytes, r);
  r.policy.channels = 0;
  std::optional<PrivacyPolicy> privacy;
  std::uint64_t signal = 0, unit = 0, checksum = 0;
  Bytes state, key, sealed;
  otlp::Cursor in(bytes);
  while (const std::uint32_t tag = in.tag()) {
    switch (tag) {
      case varint(3): signal = in.varint(); break;
      case length(4): state = in.payload(); break;
      case length(5): readFieldsOf(in.payload(), [&](auto& v) { visitShare(r.share, v); }); break;
      case length(6): key = in.payload(); break;
      case length(7): {
        const Bytes request = in.payload();
        r.request.assign(request.begin(), request.end());
        break;
      }
      case varint(8): r.record = static_cast<std::uint32_t>(in.varint()); break;
      case varint(9): r.first = in.varint() != 0; break;
      case fixed(10): r.arrival = in.fixed64(); break;
      case fixed(11): r.moment.now = in.fixed64(); break;
      case fixed(12): r.moment.event = in.fixed64(); break;
      case length(13): readFieldsOf(in.payload(), [&](auto& v) { visitSettings(r.settings, v); }); break;
      case length(14): readFieldsOf(in.payload(), [&](auto& v) { visitPolicy(r.policy, v); }); break;
      case varint(15): r.resumed = in.varint() != 0; break;
      case varint(16): unit = in.varint(); break;
      case fixed(17): r.now = in.fixed64(); break;
      case varint(19): r.measured = in.varint() != 0; break;
      case length(20): {
        PrivacyPolicy& wire = privacy ? *privacy : privacy.emplace();
        readFieldsOf(in.payload(), [&](auto& v) { visitPrivacy(wire, v); });
        break;
      }
      case length(21): readFieldsOf(in.payload(), [&](auto& v) { visitGroup(r.group ? *r.group : r.group.emplace(), v); }); break;
      case fixed(18):
        sealed = bytes.first(static_cast<std::size_t>(in.start() - bytes.data()));
        checksum = in.fixed64();
        if (!in.done()) in.fail("something follows its checksum");
        break;
      default: in.skip(tag);
    }
  }
  if (in.failure()) refuseDamaged(in.failure());
  if (signal > static_cast<std::uint64_t>(otlp::Signal::Metrics)) refuseDamaged("its signal is unknown");
  r.signal = static_cast<otlp::Signal>(signal);
  if (unit > kChannelCount) refuseDamaged("its channel is unknown");
  if (unit > 0) r.unit = static_cast<ChannelId>(unit - 1);
  if (key.size() != 16) refuseDamaged("its hash key does not have 16 bytes");
  r.hashKey = {littleEndian(key), littleEndian(key.subspan(8))};
  if (checksum != checksumOf(sealed, r.hashKey)) refuseDamaged("it does not have its checksum");
  if (privacy) r.settings.privacy = policyOf(*privacy, KeyedHash(r.hashKey));
  if (!sound(r.settings)) refuseDamaged("its settings are impossible");
  if (!sound(r.policy)) refuseDamaged("its policy is impossible");
  if (r.group) {
    StreamKey& of = r.group->key;
    of.signal = r.signal;
    of.group = of.hash;
    of.name = "group " + of.groupName;
  }
  try {
    const OwnedBytes unpacked = decompress(CodecName::Zstd, state, Recording::kMostState);
    r.state.assign(unpacked.data.get(), unpacked.data.get() + unpacked.size);
  } catch (const std::length_error&) {
    refuseDamaged("its state is larger than any");
  }
  return r;
}

}  // namespace driftlock
