#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/portable_math.hpp"
#include "base/state_bytes.hpp"
#include "channels/channel.hpp"
#include "channels/content/content.hpp"
#include "channels/fields/fields.hpp"
#include "channels/recurrence.hpp"
#include "text/readable.hpp"
#include "text/sentence.hpp"

namespace driftlock {
namespace {

/// The key of a span's duration, which is a field as well. An attribute's name has this hash with probability 2^-64.
constexpr std::uint64_t kDuration = 1;

/// A field with unusual values, as people read it.
struct Shift {
  FieldFinding found{};
  std::string name{};
  /// The value that the finding is about, or one like it, and the most usual value; empty if they are numbers or not
  /// available.
  std::string value{}, usual{};
  /// Whether its numbers are nanoseconds.
  bool time = false;
};

class ShiftFinding final : public Finding {
 public:
  explicit ShiftFinding(Shift shift) : shift_(std::move(shift)) {}

  std::uint64_t kind() const override { return shift_.found.key; }

  void describe(const Texts&, Description& out) const override {
    using Kind = FieldFinding::Kind;
    const FieldFinding& found = shift_.found;
    out.field = shift_.name;
    out.usual = shift_.usual;
    if (found.records == 0) {
      out.sentence = "The values of a field are unusual";
      return;
    }
    const bool ranged = found.low <= found.high;
    if (ranged) out.range = {found.low, found.high};
    if (!found.novel && (found.kind == Kind::Number || found.kind == Kind::Range)) {
      out.value = found.number;
      if (shift_.time) out.unit = "ns";
    }
    const std::string records = text::format("the last %u records", found.records);
    const std::string share = text::percent(found.share), usual = text::percent(found.usualShare);
    const std::string example = shift_.value.empty() ? "" : ", such as " + text::quoted(shift_.value) + ",";
    std::string sentence;
    if (found.novel) {
      sentence = "new values" + example + text::format(" cost %.0f bits each", out.bits);
      if (std::round(out.usualBits) < std::round(out.bits)) sentence += text::format("; usually %.0f", out.usualBits);
    } else if (found.kind == Kind::Absent) {
      sentence = "missing from " + share + " of " + records + "; usually from " + usual;
    } else {
      std::string what;
      switch (found.kind) {
        case Kind::Unseen: what = "values that are new or rare" + example; break;
        case Kind::Number: what = number(found.number); break;
        case Kind::Range: what = "values around " + number(found.number); break;
        default: what = shift_.value.empty() ? "one value" : text::quoted(shift_.value);
      }
      sentence = what + " made up " + share + " of " + records + "; usually " + usual;
    }
    if (ranged && found.kind != Kind::Absent) {
      sentence += found.low == found.high ? "; most are " + number(found.low)
                                          : "; most are between " + number(found.low) + " and " + number(found.high);
    } else if (!shift_.usual.empty() && shift_.usual != shift_.value) {
      sentence += "; the most usual is " + text::quoted(shift_.usual);
    }
    out.sentence = (shift_.name.empty() ? "A field" : shift_.name) + ": " + sentence;
  }

 private:
  std::string number(double x) const { return shift_.time ? text::format("%.3g ms", x / 1e6) : text::format("%.6g", x); }

  Shift shift_;
};

/// Detects unusual values of fields, by blocks of records.
class FieldsChannel final : public Channel {
 public:
  explicit FieldsChannel(const ChannelContext& context) : key_(context.key), privacy_(context.privacy), hop_(context.windowHop) {}

  void observe(Observation&) override {}

  void learn(Observation& record, const Outcome&, Host& host) override {
    if (!model_) {
      // Records with only a body are left to the other channels. Blocks begin with hops.
      const bool begins = record.seen % hop_ == 0 && hop_ >= FieldsModel::kMinBlock;
      if (!begins || record.record.fields.size() < 2) return;
      model_ = makeModel();
    }
    // The state of a recording may have a block that was being judged.
    if (model_->complete()) model_->reject();
    if (model_->empty()) begun_ = record.now;
    // The shares of its values so far mean nothing any more.
    if (record.content.identifiers != 0) model_->forget(record.content.identifiers);
    for (std::size_t i = 0; i < record.record.fields.size(); ++i) {
      const Field& field = record.record.fields[i];
      const auto [key, value, identifier] = record.content.fields[i];
      if (identifier) {
        model_->word(key, value, {});
      } else if (field.kind == Field::Kind::Integer || field.kind == Field::Kind::Real) {
        model_->number(key, numberOf(field));
      } else {
        model_->word(key, value, record.content.textOf(record.record, static_cast<std::uint32_t>(i)));
      }
    }
    if (record.record.hasDuration) model_->number(kDuration, roughLog2(1 + static_cast<double>(record.record.duration)));
    if (model_->end()) judge(record.now, host);
  }

  void judgeAgain(std::uint64_t now, Host& host) override {
    if (model_ && model_->complete()) judge(now, host);
  }

  std::unique_ptr<Finding> find(const Observation*) const override { return nullptr; }

  std::size_t memory() const override { return sizeof *this + (model_ ? model_->memory() : 0); }
  void snapshot(std::vector<std::uint8_t>& out) const override {
    StateWriter write(out);
    write(begun_), Recurrence::visit(recurrence_, write);
    putOptional(out, model_);
  }
  bool restore(Bytes in) override {
    StateReader read(in);
    read(begun_), Recurrence::visit(recurrence_, read);
    return getOptional(read, model_, [&] { return makeModel(); }) && read.done();
  }

 private:
  std::unique_ptr<FieldsModel> makeModel() const {
    // Longer hops are divided into equal parts.
    const std::uint32_t parts = (hop_ + FieldsModel::kMaxBlock - 1) / FieldsModel::kMaxBlock;
    return std::make_unique<FieldsModel>(hop_ / parts, privacy::Masking(privacy_, privacy::Place::Stored, key_.scope()));
  }

  void judge(std::uint64_t now, Host& host) {
    const FieldsVerdict block = model_->judge();
    if (!block.judged || !host.calibrating()) return model_->learn(block);
    const FieldFinding found = model_->explain(block);
    const auto count = static_cast<std::uint32_t>(found.share * found.records);
    // A block may end within a burst, and show a part of it.
    if (recurrence_.recurs(found.subject(), begun_, now, count / 2)) {
      recurrence_.add(found.subject(), begun_, now, count);
      return model_->reject();
    }
    // What a person accepted should become usual soon: through the next blocks, strange or not, and no later ones.
    const Outcome outcome =
        host.judge({.channel = ChannelId::Fields, .score = block.score, .bits = block.bits, .usualBits = block.usualBits},
                   Host::Unit::Lapsing);
    // A spread is about one bit: one block in a hundred exceeds nearly three, which is one measure of strangeness.
    if (!outcome.learning) host.noticeMix(ChannelId::Fields, block.score);
    if (outcome.flagged) {
      // Texts are looked up only if they will be shown.
      host.raise(now, std::make_unique<ShiftFinding>(host.reportsNext(found.key) ? shiftOf(found, host) : Shift{.found = found}));
    }
    if (outcome.flagged || outcome.strange) recurrence_.add(found.subject(), begun_, now, count);
    // A shift that lasts for as long as the settings require becomes normal.
    if (outcome.flagged && !host.settled()) return model_->reject();
    model_->learn(block, outcome.accepted || outcome.flagged);
  }

  Shift shiftOf(const FieldFinding& found, const Host& host) const {
    Shift shift{.found = found};
    if (found.key == kDuration) {
      shift.name = "duration";
      shift.time = true;
      for (double* nanos : {&shift.found.number, &shift.found.low, &shift.found.high}) *nanos = roughExp2(*nanos) - 1;
      return shift;
    }
    const Texts texts = host.texts();
    const auto name = [&](Bytes key) { shift.name = fieldName(key, key_.signal); };
    const auto text = [&](Bytes value, std::uint64_t hash) {
      if (model_->shows(found, hash)) shift.value.assign(value.begin(), value.end());
      if (FieldsModel::wordOf(hash) == found.usualWord) shift.usual.assign(value.begin(), value.end());
    };
    // The model holds only hashes. The texts are in the baseline, masked, and unmasked in the latest records.
    const Bytes known = texts.known;
    const bool plain = found.key == texts.hash.name({}).hash();
    if (plain) name({});
    for (std::size_t begin = 0, end; begin < known.size(); begin = end + 1) {
      end = begin;
      std::size_t value = begin;
      while (end < known.size() && known[end] != '\n') ++end;
      if (!plain) value = static_cast<std::size_t>(std::find(known.begin() + begin, known.begin() + end, '=') - known.begin());
      const Bytes key = known.subspan(begin, value - begin);
      const KeyedHash::Name hashed = texts.hash.name(key);
      if (hashed.hash() != found.key || (!plain && value == end)) continue;
      if (!plain) ++value;
      const Bytes masked = known.subspan(value, end - value);
      name(key);
      text(masked, hashed.value(masked));
    }
    thread_local RecordView record;
    host.latest().forEach([&](Bytes raw) {
      readFields(key_.signal, key_.metricType, raw, record);
      for (const Field& field : record.fields) {
        const KeyedHash::Name hashed = texts.hash.name(field.key);
        if (hashed.hash() != found.key) continue;
        name(field.key);
        if (field.kind == Field::Kind::Text || field.kind == Field::Kind::Word) {
          text(field.text, hashed.value(maskedText(field)));
          continue;
        }
        std::string digits;
        renderValue(field, digits);
        if (model_->shows(found, numberOf(field))) shift.value = digits;
      }
    });
    for (std::string* each : {&shift.value, &shift.usual}) text::makeReadable(*each);
    return shift;
  }

  const StreamKey& key_;
  const privacy::Policy& privacy_;
  std::uint32_t hop_;
  /// The stream's clock at the first record of the block.
  std::uint64_t begun_ = 0;
  Recurrence recurrence_;
  /// Null until records have more than a body.
  std::unique_ptr<FieldsModel> model_;
};

}  // namespace

std::unique_ptr<Channel> makeFieldsChannel(const ChannelContext& context) {
  if (context.key.signal == otlp::Signal::Metrics || context.key.derived != Derived::None) return nullptr;
  return std::make_unique<FieldsChannel>(context);
}

}  // namespace driftlock
