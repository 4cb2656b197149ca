#include "record/redact.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <utility>

#include "otlp/move.hpp"
#include "otlp/value.hpp"
#include "otlp/views.hpp"
#include "privacy/clean_texts.hpp"
#include "record/text_walk.hpp"

namespace driftlock {
namespace {

using otlp::Wire;
using privacy::CleanTexts;
using privacy::Masking;
namespace schemas = otlp::schemas;

std::string serviceOf(Bytes resourceData) {
  std::string service;
  for (otlp::Cursor cursor(resourceData); !cursor.done();) {
    const std::uint32_t tag = cursor.tag();
    if (cursor.failure()) break;
    if (tag != otlp::tag(1, Wire::Length)) {
      cursor.skip(tag);
      continue;
    }
    for (const otlp::KeyValue& attribute : otlp::Attributes(cursor.payload(), 1)) {
      if (textOf(attribute.key) == "service.name") return std::string(textOf(attribute.value.bytes));
    }
  }
  return service;
}

/// Collects what changes in a request, and writes the request with it.
class Redactor {
 public:
  Redactor(const otlp::Index& index, const Redaction& of, const privacy::Policy& policy, std::vector<PrivacyExample>* examples)
      : index_(index),
        of_(of),
        policy_(policy),
        tally_(policy, of.place, of.also),
        examples_(examples),
        clean_(CleanTexts::of(policy)) {}

  std::optional<Redacted> run() {
    const Masking masking(policy_, of_.place, {of_.tenant}, &tally_);
    masking_ = &masking;
    TextWalk(index_.signal, *this).message(schemas::kEnvelopes[static_cast<std::size_t>(index_.signal)].request, index_.request);
    if (edits_.empty()) return {};
    Redacted out{.request = written(), .index = {}};
    out.index = renamed_ ? reread(out.request) : otlp::move(index_, out.request, replacements());
    return out;
  }

  void text(const FieldBytes& field, const Called& called) {
    if (field.content.empty()) return;
    // Whole attributes are known by themselves.
    const bool shared = !called.attribute;
    if (shared && clean_.knows(CleanTexts::Sort::Text, field.content)) return;
    const Masking::Change change = masking_->label(field.content, called.name, masked_);
    if (change.found) ++found_;
    else if (shared) clean_.learn(CleanTexts::Sort::Text, field.content);
    if (change.kinds == 0) return;
    example(change.kinds, called);
    // A text that is no attribute loses the value only.
    if (change.strongest == privacy::Action::Drop && called.attribute) {
      dropped_ = true;
      return;
    }
    if (called.name.empty()) renamed_ = true;
    const Edit edit = begin(field.after, field.content);
    writeVarint(masked_.size());
    write(bytesOf(masked_));
    finish(edit);
  }

  /// A number that is masked is 0, so that its type stays; a pseudonym is a text.
  void number(const FieldBytes& field, std::uint64_t value, const Called& called) {
    if (!policy_.mayBePersonal(value)) return;
    char digits[20];
    const char* const digitsEnd = std::to_chars(digits, digits + sizeof digits, value).ptr;
    const Masking::Change change = masking_->label(bytesOf({digits, digitsEnd}), called.name, masked_);
    found_ += change.found;
    if (change.kinds == 0) return;
    example(change.kinds, called);
    if (change.strongest == privacy::Action::Drop) {
      dropped_ = true;
      return;
    }
    const bool pseudonym = change.strongest == privacy::Action::Hash;
    const Edit edit = begin(pseudonym ? field.tag : field.after, field.content);
    if (pseudonym) {
      writeVarint(otlp::tag(1, Wire::Length));
      writeVarint(masked_.size());
      write(bytesOf(masked_));
    } else {
      writeVarint(0);
    }
    finish(edit);
  }

  void unknown(const FieldBytes&) {}

  void message(const FieldBytes& field, auto&& visit) {
    const std::size_t own = edits_.size();
    const std::ptrdiff_t before = growth_;
    edits_.push_back({});
    visit();
    if (edits_.size() == own + 1) {
      edits_.pop_back();
      return;
    }
    const Edit edit = begin(field.after, {field.content.data(), std::size_t{0}});
    writeVarint(static_cast<std::uint64_t>(static_cast<std::ptrdiff_t>(field.content.size()) + growth_ - before));
    edits_[own] = closed(edit);
  }

  void resource(const FieldBytes& field, auto&& visit) {
    service_ = serviceOf(field.content);
    within({}, [&] { message(field, visit); });
  }

  void record(const FieldBytes& field, auto&& visit) {
    if (!of_.streamOf) return message(field, visit);
    const std::string stream = of_.streamOf(field.content.data());
    within(stream, [&] { message(field, visit); });
  }

  void attribute(const FieldBytes& field, auto&& visit) {
    if (!clean_.knows(CleanTexts::Sort::Attribute, field.content)) unknownAttribute(field, visit);
  }

  [[gnu::noinline]] void unknownAttribute(const FieldBytes& field, auto&& visit) {
    const std::uint64_t before = found_;
    otlp::KeyValue plain;
    if (readPlain(field.content, plain) && plain.value.type == otlp::AnyValue::Type::String &&
        clean_.knows(CleanTexts::Sort::Text, plain.key))
      plainAttribute(field, plain);
    else element(field, visit);
    if (found_ == before) clean_.learn(CleanTexts::Sort::Attribute, field.content);
  }

  void element(const FieldBytes& field, auto&& visit) {
    const std::size_t own = edits_.size();
    const std::ptrdiff_t before = growth_;
    message(field, visit);
    if (!dropped_) return;
    // It is left out, with all that has changed in it.
    dropped_ = false;
    renamed_ = true;
    edits_.resize(own);
    growth_ = before;
    finish(begin(field.tag, field.content));
  }

 private:
  /// Masks the value of an attribute that has a text and nothing else, as most have. It replaces the attribute as a whole, so
  /// that what is around the value needs no parts of its own.
  void plainAttribute(const FieldBytes& field, const otlp::KeyValue& attribute) {
    const Masking::Change change = masking_->label(attribute.value.bytes, attribute.key, masked_);
    found_ += change.found;
    if (change.kinds == 0) return;
    example(change.kinds, {attribute.key, true});
    if (change.strongest == privacy::Action::Drop) {
      renamed_ = true;
      finish(begin(field.tag, field.content));
      return;
    }
    const std::size_t text = 1 + otlp::varintSize(masked_.size()) + masked_.size();
    const std::size_t value = 1 + otlp::varintSize(text) + text;
    // The key with its tag and its length stays. Both are shorter than 130 bytes.
    const Bytes key = field.content.first(2 + attribute.key.size());
    std::array<std::uint8_t, 130 + 32> head;
    std::uint8_t* at = std::ranges::copy(key, otlp::writeVarint(key.size() + value, head.data())).out;
    at = otlp::writeVarint(text, otlp::writeVarint(otlp::tag(2, Wire::Length), at));
    at = otlp::writeVarint(masked_.size(), otlp::writeVarint(otlp::tag(1, Wire::Length), at));
    const Edit edit = begin(field.after, field.content);
    write({head.data(), at});
    write(bytesOf(masked_));
    finish(edit);
  }

  /// A part of the request, and the part of what is written that replaces it.
  struct Edit {
    const std::uint8_t *begin = nullptr, *end = nullptr;
    std::uint32_t from = 0, to = 0;
  };

  /// Visits what is of one stream, or of several.
  void within(std::string_view stream, auto&& visit) {
    const Masking own(policy_, of_.place, {of_.tenant, static_cast<std::uint8_t>(index_.signal), service_, stream}, &tally_);
    const Masking* const outer = std::exchange(masking_, &own);
    visit();
    masking_ = outer;
  }

  OwnedBytes written() const {
    const Bytes request = index_.request;
    const std::size_t size = request.size() + static_cast<std::size_t>(growth_);
    OwnedBytes out{std::make_unique_for_overwrite<std::uint8_t[]>(size), size};
    std::uint8_t* to = out.data.get();
    const std::uint8_t* from = request.data();
    for (const Edit& edit : edits_) {
      to = std::copy(from, edit.begin, to);
      // Many of these are a length, of a byte or two.
      constexpr std::uint32_t kFew = 4;
      if (edit.to - edit.from > kFew) to = std::copy(&written_[edit.from], written_.data() + edit.to, to);
      else
        for (std::uint32_t i = edit.from; i < edit.to; ++i) *to++ = written_[i];
      from = edit.end;
    }
    std::copy(from, request.data() + request.size(), to);
    return out;
  }

  std::vector<otlp::Replacement> replacements() const {
    std::vector<otlp::Replacement> out;
    out.reserve(edits_.size());
    const auto at = [&](const std::uint8_t* place) { return static_cast<std::uint32_t>(place - index_.request.data()); };
    for (const Edit& edit : edits_) out.push_back({at(edit.begin), at(edit.end), edit.to - edit.from});
    return out;
  }

  otlp::Index reread(Bytes request) const {
    otlp::Index index;
    otlp::WireError error;
    if (!otlp::index(index_.signal, request, index, error)) throw std::runtime_error("a masked request cannot be read");
    return index;
  }

  /// Begins to replace what is between a place and the end of some bytes.
  Edit begin(const std::uint8_t* from, Bytes content) const {
    const auto at = static_cast<std::uint32_t>(written_.size());
    return {from, content.data() + content.size(), at, at};
  }
  Edit closed(Edit edit) {
    edit.to = static_cast<std::uint32_t>(written_.size());
    growth_ += static_cast<std::ptrdiff_t>(edit.to - edit.from) - (edit.end - edit.begin);
    return edit;
  }
  void finish(const Edit& edit) { edits_.push_back(closed(edit)); }
  void write(Bytes bytes) { written_.insert(written_.end(), bytes.begin(), bytes.end()); }
  void writeVarint(std::uint64_t value) {
    std::uint8_t varint[10];
    const std::uint8_t* const end = otlp::writeVarint(value, varint);
    for (const std::uint8_t* byte = varint; byte != end; ++byte) written_.push_back(*byte);
  }

  void example(privacy::Kinds kinds, const Called& called) {
    if (!examples_) return;
    constexpr std::size_t kLongest = 96, kBefore = 32;
    const std::string_view attribute = called.attribute ? textOf(called.name) : std::string_view();
    for (std::size_t kind = 0; kind < privacy::kKindCount; ++kind) {
      const auto which = static_cast<privacy::Kind>(kind);
      if ((kinds & privacy::bitOf(which)) == 0 || examples_->size() == examples_->capacity()) continue;
      if (std::ranges::any_of(*examples_, [&](const PrivacyExample& e) { return e.kind == which && e.attribute == attribute; }))
        continue;
      const std::size_t at = std::min(masked_.find('[' + std::string(policy_.nameOf(which))), masked_.size());
      const std::size_t from = at > kBefore ? at - kBefore : 0;
      examples_->push_back({which, std::string(attribute), masked_.substr(from, kLongest)});
    }
  }

  const otlp::Index& index_;
  const Redaction& of_;
  const privacy::Policy& policy_;
  privacy::Tally tally_;
  std::vector<PrivacyExample>* examples_;
  /// The service of the resource, and how its texts or those of the record are masked.
  std::string service_;
  const Masking* masking_ = nullptr;
  CleanTexts& clean_;
  /// In the order of the request.
  std::vector<Edit> edits_;
  std::vector<std::uint8_t> written_;
  /// By how much the request becomes longer.
  std::ptrdiff_t growth_ = 0;
  /// Whether a key, another name or an attribute is no longer what it was, so that the index may be another.
  bool renamed_ = false;
  /// How many texts and numbers have had a value, whatever became of it.
  std::uint64_t found_ = 0;
  /// Whether the innermost attribute or element is to be left out.
  bool dropped_ = false;
  std::string masked_;
};

}  // namespace

std::optional<Redacted> redact(const otlp::Index& index, const Redaction& of, const privacy::Policy& policy,
                               std::vector<PrivacyExample>* examples) {
  if (!policy.acts(of.place)) return {};
  return Redactor(index, of, policy, examples).run();
}

}  // namespace driftlock
