#include "stream/stream.hpp"

#include <algorithm>
#include <bit>

#include "text/readable.hpp"

namespace driftlock {
namespace {

/// A span's duration is a field as well. An attribute's name has this hash with a chance of 2^-64.
constexpr std::uint64_t kDuration = 1;

/// log2 by its whole part, with a straight line from each to the next: within .09, which no bin tells apart, in no time.
double roughLog2(double x) { return static_cast<double>(std::bit_cast<std::uint64_t>(x)) * 0x1p-52 - 1023; }
double roughExp2(double y) { return std::bit_cast<double>(static_cast<std::uint64_t>((std::max(0.0, y) + 1023) * 0x1p52)); }

}  // namespace

void Stream::observeFields(const RecordView& record, const ContentScore& content, std::vector<Event>& events) {
  if (!fields_) {
    // A body alone is for the other channels. Blocks begin where hops do.
    const bool begins = seen_ % settings_.windowHop == 0 && settings_.windowHop >= FieldsChannel::min_block;
    if (!begins || record.fields.size() < 2) return;
    fields_ = makeFields();
  }
  for (std::size_t i = 0; i < record.fields.size(); ++i) {
    const Field& field = record.fields[i];
    const auto [key, value] = content.fields[i];
    if (field.kind == Field::Kind::Integer || field.kind == Field::Kind::Real) {
      fields_->number(key, numberOf(field));
    } else {
      fields_->word(key, value, field.text);
    }
  }
  if (key_.signal == otlp::Signal::Traces) fields_->number(kDuration, roughLog2(1 + static_cast<double>(record.duration)));
  if (!fields_->end()) return;

  const FieldsVerdict block = fields_->judge();
  if (!block.judged || !calibrating()) return fields_->learn(block);
  says_.clear();
  say(Channel::Fields, block.score, block.bits, block.usual_bits);
  pardoned_ = false;
  // What a person accepted is to be usual soon: by the blocks that come now, strange or not, and by no later ones.
  std::uint32_t& left = pardons_[static_cast<std::size_t>(Channel::Fields)].left;
  const bool accepted = left > 0;
  const Verdict verdict = judgeUnit();
  // A spread is about a bit: what one in a hundred exceeds is near three, a measure of strangeness.
  if (!verdict.learning) hops_.back().hear(Channel::Fields, block.score);
  if (!pardoned_) {
    learnScores(verdict);
    if (accepted) --left;
  }
  if (verdict.flagged) {
    const std::uint64_t time = clock_.eventAt(clock_.now());
    // Texts are looked for only if they will be shown.
    events.push_back({.verdict = verdict, .timeUnixNano = time, .fields = reportsNext(events) ? shiftOf(fields_->explain(block)) : FieldShift{}});
  }
  // What lasts for as long as the settings say becomes normal.
  if (verdict.flagged && !settled()) return fields_->reject();
  fields_->learn(block, accepted || verdict.flagged);
}

std::unique_ptr<FieldsChannel> Stream::makeFields() const {
  // Longer hops in equal parts.
  const std::uint32_t parts = (settings_.windowHop + FieldsChannel::max_block - 1) / FieldsChannel::max_block;
  return std::make_unique<FieldsChannel>(settings_.windowHop / parts);
}

FieldShift Stream::shiftOf(FieldFinding finding) const {
  FieldShift shift{.finding = finding};
  if (finding.key == kDuration) {
    shift.name = "duration";
    shift.time = true;
    for (double* nanos : {&shift.finding.number, &shift.finding.low, &shift.finding.high}) *nanos = roughExp2(*nanos) - 1;
    return shift;
  }
  const auto name = [&](Bytes key) { shift.name = fieldName(key, key_.signal); };
  const auto text = [&](Bytes value, std::uint64_t hash) {
    if (fields_->shows(finding, hash)) shift.value.assign(value.begin(), value.end());
    if (FieldsChannel::word_of(hash) == finding.usual_word) shift.usual.assign(value.begin(), value.end());
  };
  // The channel has hashes alone. Texts are in what the dictionary keeps, masked, and, as they came, in the latest records.
  const Bytes known = content_->dictionary().text();
  const bool plain = finding.key == hash_.name({}).hash();
  for (std::size_t begin = 0, end; begin < known.size(); begin = end + 1) {
    end = begin;
    std::size_t value = begin;
    while (end < known.size() && known[end] != '\n') ++end;
    if (!plain) value = static_cast<std::size_t>(std::find(known.begin() + begin, known.begin() + end, '=') - known.begin());
    const Bytes key = known.subspan(begin, value - begin);
    const KeyedHash::Name hashed = hash_.name(key);
    if (hashed.hash() != finding.key || (!plain && value == end)) continue;
    if (!plain) ++value;
    const Bytes masked = known.subspan(value, end - value);
    name(key);
    text(masked, hashed.value(masked));
  }
  thread_local RecordView record;
  window_.forEach([&](Bytes raw) {
    readFields(key_.signal, key_.metricType, raw, record);
    for (const Field& field : record.fields) {
      const KeyedHash::Name hashed = hash_.name(field.key);
      if (hashed.hash() != finding.key) continue;
      name(field.key);
      if (field.kind == Field::Kind::Text || field.kind == Field::Kind::Word) {
        text(field.text, hashed.value(maskedText(field)));
        continue;
      }
      std::string digits;
      renderValue(field, digits);
      if (fields_->shows(finding, numberOf(field))) shift.value = digits;
    }
  });
  for (std::string* each : {&shift.value, &shift.usual}) text::makeReadable(*each);
  return shift;
}

}  // namespace driftlock
