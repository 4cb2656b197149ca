#include "channels/content/content.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <span>
#include <string>
#include <string_view>

#include "base/state_bytes.hpp"
#include "channels/content/masked_hashes.hpp"
#include "text/mask.hpp"

namespace driftlock {
namespace {

constexpr double kLiteralBits = 8;
constexpr double kMatchBits = 16;
/// The cost per novel byte is taken over at least this many bytes: for alarms, and for comparing windows.
constexpr double kShortest = 32, kShortestOfWindow = 8;
constexpr double kGravityBits = 3;
constexpr double kGraveFrom = 8;
/// What a kind of personal or secret values adds that a model has never said, or given to a tool.
constexpr double kLeak = 10;
constexpr std::string_view kEventName = "event_name";
/// The fewest characters of a token that is news by its length, and the most that count; a kind of personal or secret values that
/// a field has not had before counts as so many.
constexpr std::uint32_t kShortestToken = 24, kMostOfTokens = 32;
/// A dictionary has room for the lessons of at least so many texts of prose.
constexpr std::size_t kLessons = 32;

constexpr std::uint64_t kAnyNumber = 0x9e3779b97f4a7c15;
/// The longest identifier, in bytes.
constexpr std::size_t kLongestIdentifier = 64;

/// Whether a value may be an identifier: a whole number, or a text of one word. A path is none, and neither is the body.
bool mayIdentify(const Field& field) {
  if (field.key.empty()) return false;
  if (field.kind == Field::Kind::Integer) return true;
  if (field.kind != Field::Kind::Text || field.text.size() > kLongestIdentifier) return false;
  return std::ranges::none_of(field.text, [](std::uint8_t c) { return c <= ' ' || c == '/'; });
}

/// What a thread uses for one record after another.
struct Scratch {
  FieldKeys keys;
  MaskedHashes hashes;
  std::string digits;
  std::vector<ContentScore::Unknown> prose;
  std::vector<std::uint8_t> masked = std::vector<std::uint8_t>(kMaxTextSize);

  /// In an addon it takes a call to find it. Inlined, that call would be repeated for each use, not made once for a record.
  [[gnu::noinline]] static Scratch& ofThread() {
    thread_local Scratch scratch;
    return scratch;
  }
};

/// @param buffer has room for the longest text
Bytes maskedText(Field::Kind kind, Bytes text, std::vector<std::uint8_t>& buffer) {
  return kind == Field::Kind::Text ? Bytes(buffer.data(), text::mask(text, buffer.data())) : text;
}

/// Counts the bytes of each unknown field, key and value, that no match covers. The runs are in the order of the text.
void countLiterals(const ContentScore& score, std::vector<std::uint32_t>& literals) {
  literals.clear();
  std::size_t run = 0;
  const std::vector<LiteralRun>& runs = score.novelty.literals;
  for (const ContentScore::Unknown& unknown : score.unknown) {
    while (run < runs.size() && runs[run].end <= unknown.begin) ++run;
    std::uint32_t& literal = literals.emplace_back();
    for (std::size_t i = run; i < runs.size() && runs[i].start < unknown.end; ++i) {
      literal += std::min(runs[i].end, unknown.end) - std::max(runs[i].start, unknown.begin);
    }
  }
}

/// Whether a word is neither a number nor a UUID or another hexadecimal one, of which every request may have some.
bool isToken(Bytes word) {
  if (word.size() < kShortestToken) return false;
  if (word[0] == '0' && (word[1] | 0x20) == 'x') word = word.subspan(2);
  return std::ranges::any_of(word, [](std::uint8_t c) { return (c | 0x20) > 'f' && (c | 0x20) <= 'z'; });
}

/// Counts the characters of the tokens in places where nothing is known to be: those that no match explains. Masked, each
/// of them is a single character.
std::uint32_t unknownTokens(const RecordView& record, const ContentScore& score) {
  thread_local std::vector<std::uint8_t> masked(kMaxTextSize);
  thread_local std::vector<std::uint32_t> origin(kMaxTextSize + 1);
  std::uint32_t characters = 0;
  std::size_t run = 0;
  const std::vector<LiteralRun>& runs = score.novelty.literals;
  for (const ContentScore::Unknown& unknown : score.unknown) {
    while (run < runs.size() && runs[run].end <= unknown.value) ++run;
    const Field& field = record.fields[unknown.field];
    const std::uint32_t size = unknown.end - 1 - unknown.value;
    const Bytes value = score.textOf(record, unknown.field);
    if (field.kind != Field::Kind::Text || value.size() < size + kShortestToken - 1) continue;
    text::mask(value, masked.data(), origin.data());
    origin[size] = static_cast<std::uint32_t>(value.size());
    for (std::size_t i = run; i < runs.size() && runs[i].start < unknown.end - 1; ++i) {
      const std::uint32_t from = std::max(runs[i].start, unknown.value) - unknown.value;
      const std::uint32_t to = std::min(runs[i].end, unknown.end - 1) - unknown.value;
      for (std::uint32_t k = from; k < to; ++k) {
        const Bytes word = value.subspan(origin[k], origin[k + 1] - origin[k]);
        if (isToken(word)) characters += static_cast<std::uint32_t>(word.size());
      }
    }
  }
  return characters;
}

}  // namespace

void ContentScore::clear() {
  score = density = bits = 0;
  novelBytes = 0;
  signature = templateHash = identifiers = 0;
  fields.clear();
  unknown.clear();
  prose.clear();
  nameUnknown = false;
  text.clear();
  concealedFields.clear();
  concealed.clear();
  appeared.reset();
  searchedVersion = searchedBytes = 0;
}

Bytes maskedText(Field::Kind kind, Bytes text) {
  thread_local std::vector<std::uint8_t> masked(kMaxTextSize);
  return maskedText(kind, text, masked);
}

Bytes maskedText(const Field& field) { return maskedText(field.kind, field.text); }

privacy::Masking ContentModel::masking() const { return {privacy_, privacy::Place::Stored, key_.scope()}; }

Bytes ContentModel::calledInRules(const Field& field) const {
  if (!field.key.empty()) return field.key;
  return bytesOf(key_.signal == otlp::Signal::Traces ? "name" : "body");
}

bool ContentModel::conceal(const RecordView& record, std::uint32_t number, const privacy::Masking& masking,
                           ContentScore& out) const {
  const Field& field = record.fields[number];
  const auto begin = static_cast<std::uint32_t>(out.concealed.size());
  out.concealed.insert(out.concealed.end(), field.text.begin(), field.text.end());
  const privacy::Kinds kinds = masking.blank(std::span(out.concealed).subspan(begin), calledInRules(field));
  if (kinds == 0) {
    out.concealed.resize(begin);
    return false;
  }
  out.concealedFields.push_back({number, begin, static_cast<std::uint32_t>(out.concealed.size()), kinds});
  return true;
}

ContentModel::ByName ContentModel::byName(const Field& field, privacy::Naming naming) const {
  // Shorter tokens are none.
  constexpr std::size_t kShortestToken = 12;
  if (naming == privacy::Naming::Nothing || field.kind != Field::Kind::Text || field.text.empty()) return {};
  if (naming == privacy::Naming::Token && field.text.size() < kShortestToken) return {};
  const ByName named = naming == privacy::Naming::Person   ? ByName{"[person*]", privacy::Kind::Person}
                       : naming == privacy::Naming::Secret ? ByName{"[password*]", privacy::Kind::Password}
                                                           : ByName{"[api_key*]", privacy::Kind::ApiKey};
  return masks(named.kind, field) ? named : ByName{};
}

void ContentModel::conceal(std::uint32_t number, const ByName& named, ContentScore& out) {
  const auto begin = static_cast<std::uint32_t>(out.concealed.size());
  out.concealed.insert(out.concealed.end(), named.text.begin(), named.text.end());
  out.concealedFields.push_back({number, begin, static_cast<std::uint32_t>(out.concealed.size()), privacy::bitOf(named.kind)});
}

std::optional<Bytes> ContentModel::mask(const RecordView& record, std::uint32_t number, const ByName& named,
                                        ContentScore& out) const {
  const Field& field = record.fields[number];
  if (field.text.empty()) return {};
  if (named) {
    conceal(number, named, out);
    // It has no variables.
    return bytesOf(named.text);
  }
  const privacy::Masking masking = this->masking();
  if (!masking.acts() || !conceal(record, number, masking, out)) return {};
  return maskedText(field.kind, out.textOf(record, number));
}

bool ContentModel::masks(privacy::Kind kind, const Field& field) const {
  const std::string_view attribute = driftlock::textOf(field.key);
  return privacy_.action(privacy::Place::Stored, key_.scope(), attribute, kind) != privacy::Action::Flag &&
         !privacy_.allows(attribute, driftlock::textOf(field.text), kind);
}

void ContentModel::lookForKinds(ContentScore& out) const {
  for (const ContentScore::Concealed& each : out.concealedFields) {
    const auto known = std::ranges::find(kindsOf_, out.fields[each.field].key, &KindsOf::key);
    const privacy::Kinds fresh = known == kindsOf_.end() ? each.kinds : each.kinds & ~known->kinds;
    if (fresh == 0 || (known == kindsOf_.end() && kindsOf_.size() == kMostKindsOf)) continue;
    out.appeared.emplace(each.field, static_cast<privacy::Kind>(std::countr_zero(fresh)));
    return;
  }
}

bool ContentModel::isWord(std::uint64_t key) const {
  for (const NumberKey& number : numberKeys_) {
    if (number.hash == key) return number.distinct <= kMostWords;
  }
  return numberKeys_.size() < kMostNumberKeys;
}

void ContentModel::append(const Field& field, std::uint32_t index, std::uint64_t hash, Bytes value, ContentScore& out) {
  ContentScore::Unknown unknown{index, hash, static_cast<std::uint32_t>(out.text.size()), 0, 0};
  if (!field.key.empty()) {
    out.text.insert(out.text.end(), field.key.begin(), field.key.end());
    out.text.push_back('=');
  }
  unknown.value = static_cast<std::uint32_t>(out.text.size());
  out.text.insert(out.text.end(), value.begin(), value.end());
  out.text.push_back('\n');
  unknown.end = static_cast<std::uint32_t>(out.text.size());
  out.unknown.push_back(unknown);
}

void ContentModel::score(const RecordView& record, ContentScore& out) {
  out.clear();
  auto& [keys, hashes, digits, prose, masked] = Scratch::ofThread();
  prose.clear();

  const auto size = static_cast<std::uint32_t>(record.fields.size());
  for (std::uint32_t i = 0; i < size; ++i) {
    const Field& field = record.fields[i];
    const auto& [name, naming] = keys.find(dictionary_.name(), hash_, field.key);
    const std::uint64_t key = name.hash();
    if (identifiers_.contains(key) && mayIdentify(field)) {
      out.fields.push_back({key, name.value(kAnyNumber), true});
      continue;
    }
    Bytes value = field.text;
    std::uint64_t h;
    if (field.kind == Field::Kind::Integer || field.kind == Field::Kind::Real) {
      const bool word = field.kind == Field::Kind::Integer && isWord(key);
      h = name.value(word ? field.bits : kAnyNumber);
      out.fields.push_back({key, h});
      if (i == 0) out.templateHash = h;
      if (known_.contains(h)) continue;
      digits.clear();
      if (word) renderValue(field, digits);
      if (!word || masking().blank({reinterpret_cast<std::uint8_t*>(digits.data()), digits.size()}, calledInRules(field)) != 0)
        digits = "0";
      value = {reinterpret_cast<const std::uint8_t*>(digits.data()), digits.size()};
    } else {
      // Most values under a telling name are new, and what stands for all of them is known.
      const ByName named = byName(field, naming);
      if (named) h = name.value(bytesOf(named.text));
      bool known = named && known_.contains(h);
      if (known) {
        conceal(i, named, out);
      } else {
        const bool text = field.kind == Field::Kind::Text;
        const auto mask = [&, &buffer = masked] { return value = maskedText(field.kind, field.text, buffer); };
        const auto hash = [&, &name = name] { return name.value(mask()); };
        h = text ? hashes.find(key, field.text, hash) : hash();
        known = known_.contains(h);
        // A hash that is remembered comes without the masked text.
        if (!known && value.data() == field.text.data()) mask();
        // What is known has been looked at.
        if (!known && text) {
          if (const std::optional<Bytes> concealed = this->mask(record, i, named, out)) {
            value = *concealed;
            h = name.value(value);
            known = known_.contains(h);
          }
        }
      }
      out.fields.push_back({key, h});
      if (i == 0) out.templateHash = h;
      if (known) {
        if (!prose_.empty()) prose_.count(key, false);
        continue;
      }
      if (!prose_.empty() && prose_.find(key)) {
        prose.push_back({i, h, 0, 0, 0});
        continue;
      }
    }
    append(field, i, h, value, out);
  }
  if (!record.eventName.empty()) {
    out.templateHash = hash_.name(bytesOf(kEventName)).value(record.eventName);
    out.nameUnknown = record.inSession() && !known_.contains(out.templateHash);
  }
  if (out.unknown.empty() && prose.empty()) return;

  if (out.text.empty()) {
    out.novelty = {};
  } else {
    dictionary_.novelty(out.text, out.novelty);
  }
  out.novelBytes = out.novelty.literalBytes;
  out.bits = kLiteralBits * out.novelBytes + kMatchBits * out.novelty.matches;
  lookForProse(record, out);
  for (const ContentScore::Unknown& unknown : prose) {
    const Field& field = record.fields[unknown.field];
    append(field, unknown.field, unknown.hash, maskedText(field.kind, out.textOf(record, unknown.field)), out);
    scoreProse(out);
  }
  sign(out);
  const auto bytes = static_cast<double>(out.text.size());
  out.density = out.bits / (kShortestOfWindow + bytes);
  lookForKinds(out);
  const bool leaks = out.appeared && key_.derived == Derived::Said;
  const double grave = std::min(1.0, out.novelBytes / kGraveFrom) * static_cast<double>(gravityOf(record)) + (leaks ? kLeak : 0);
  out.bits += kLiteralBits * (out.appeared ? kMostOfTokens : std::min(kMostOfTokens, unknownTokens(record, out)));
  out.score = out.bits / (kShortest + bytes) + kGravityBits * grave;
}

/// Names the novelty by the fields that most of the new bytes are in, not by those bytes: which bytes of a value no match
/// covers depends on what stands around it, and a number beside a new message is not what is new.
void ContentModel::sign(ContentScore& score) const {
  thread_local std::vector<std::uint32_t> literals;
  countLiterals(score, literals);
  for (const ContentScore::Prose& prose : score.prose) {
    const ContentScore::Unknown& unknown = score.unknown[prose.unknown];
    literals[prose.unknown] = unknown.end - unknown.value;
  }
  const std::uint32_t most = literals.empty() ? 0 : *std::ranges::max_element(literals);
  for (std::size_t i = 0; i < literals.size(); ++i) {
    if (2 * literals[i] >= most) score.signature = hash_(score.signature, score.unknown[i].hash);
  }
}

/// Counts the unknown values that are new prose: made of words, and a third of their bytes in no match.
void ContentModel::lookForProse(const RecordView& record, const ContentScore& score) {
  std::size_t run = 0;
  const std::vector<LiteralRun>& runs = score.novelty.literals;
  for (const ContentScore::Unknown& unknown : score.unknown) {
    std::uint32_t literal = 0;
    for (; run < runs.size() && runs[run].start < unknown.end; ++run) {
      const std::uint32_t from = std::max(runs[run].start, unknown.value), to = std::min(runs[run].end, unknown.end - 1);
      if (from < to) literal += to - from;
      if (runs[run].end > unknown.end) break;
    }
    if (record.fields[unknown.field].kind != Field::Kind::Text) continue;
    const Bytes value = Bytes(score.text).subspan(unknown.value, unknown.end - 1 - unknown.value);
    const bool newProse = 3 * literal > value.size() && isProse(value);
    if (newProse || !prose_.empty()) prose_.count(score.fields[unknown.field].key, newProse);
  }
}

/// Adds the cost of the last unknown field, which is prose: that of its costliest run throughout.
void ContentModel::scoreProse(ContentScore& out) {
  const ContentScore::Unknown& unknown = out.unknown.back();
  const std::uint64_t key = out.fields[unknown.field].key;
  const Bytes line = Bytes(out.text).subspan(unknown.begin, unknown.end - 1 - unknown.begin);
  const std::uint32_t head = unknown.value - unknown.begin;
  const Bytes value = line.subspan(head);
  thread_local std::vector<double> lengths;
  codeLengths(line, dictionary_, proseHint_, lengths);
  const double* const ofValue = lengths.data() + head;
  const ProseFields::Field& field = *prose_.find(key);
  const auto inText = [&](LiteralRun run) { return LiteralRun{unknown.value + run.start, unknown.value + run.end}; };
  const ProseCost cost = proseCost(ofValue, value.size());
  const bool unusual = cost.worst > field.usual.worst;
  const ContentScore::Prose prose{
      .unknown = static_cast<std::uint32_t>(out.unknown.size() - 1),
      .cost = cost,
      .usual = field.usual,
      .fresh = field.fresh(),
      .lesson = inText(costliestRun(ofValue, value.size(), dictionary_.capacity() / kLessons)),
      .part = unusual ? inText(costliestPart(ofValue, value, (cost.worst + field.usual.worst) / 2)) : LiteralRun{},
  };
  if (unusual) out.novelty.literals.push_back(prose.part);
  const double bits = prose.cost.worst * static_cast<double>(value.size());
  out.bits += bits;
  out.novelBytes += static_cast<std::uint32_t>(bits / kLiteralBits);
  out.prose.push_back(prose);
  prose_.count(key, isProse(value));
}

std::uint64_t ContentModel::noteNews(const RecordView& record, const ContentScore& score, std::uint64_t number) {
  // What only errors have is news, even if no two are alike.
  if (record.gravity >= Gravity::Error) return 0;
  for (const ContentScore::Unknown& unknown : score.unknown) {
    if (!mayIdentify(record.fields[unknown.field])) continue;
    const std::uint64_t key = score.fields[unknown.field].key;
    if (identifiers_.note(key, unknown.hash, number)) return key;
  }
  return 0;
}

void ContentModel::learn(const RecordView& record, const ContentScore& score) {
  for (const ContentScore::Concealed& each : score.concealedFields) {
    const std::uint64_t key = score.fields[each.field].key;
    const auto known = std::ranges::find(kindsOf_, key, &KindsOf::key);
    if (known != kindsOf_.end()) known->kinds |= each.kinds;
    else if (kindsOf_.size() < kMostKindsOf) kindsOf_.push_back({key, each.kinds});
  }
  for (const ContentScore::Unknown& unknown : score.unknown) {
    known_.insert(unknown.hash);
    if (record.fields[unknown.field].kind != Field::Kind::Integer) continue;
    const std::uint64_t key = hash_.name(record.fields[unknown.field].key).hash();
    const auto number = std::find_if(numberKeys_.begin(), numberKeys_.end(), [&](auto& n) { return n.hash == key; });
    if (number != numberKeys_.end()) {
      ++number->distinct;
    } else if (numberKeys_.size() < kMostNumberKeys) {
      numberKeys_.push_back({key, 1});
    }
  }
  if (score.prose.empty()) {
    dictionary_.add(score.text);
  } else {
    learnProse(score);
  }
  if (!score.nameUnknown) return;
  known_.insert(score.templateHash);
  std::string line(kEventName);
  line += '=';
  line.append(record.eventName.begin(), record.eventName.end());
  masking().blank({reinterpret_cast<std::uint8_t*>(line.data()), line.size()}, {});
  line += '\n';
  dictionary_.add(bytesOf(line));
}

/// Adds what is unknown to the dictionary. Of a long text, only the part that costs most leaves room for many others.
void ContentModel::learnProse(const ContentScore& score) {
  thread_local std::vector<std::uint8_t> line;
  const Bytes text(score.text);
  dictionary_.add(text.first(score.unknown[score.prose.front().unknown].begin));
  for (const ContentScore::Prose& prose : score.prose) {
    const ContentScore::Unknown& unknown = score.unknown[prose.unknown];
    const auto add = [&](std::uint32_t from, std::uint32_t to) {
      line.insert(line.end(), &text[from], &text[from] + (to - from));
    };
    line.clear();
    add(unknown.begin, unknown.value);
    add(prose.lesson.start, prose.lesson.end);
    line.push_back('\n');
    dictionary_.add(line);
    prose_.learn(score.fields[unknown.field].key, prose.cost);
  }
}

std::size_t ContentModel::memory() const {
  return prose_.memory() + proseBefore_.memory() + dictionary_.memory() + known_.memory() +
         numberKeys_.capacity() * sizeof(NumberKey) + identifiers_.memory() + kindsOf_.capacity() * sizeof(KindsOf);
}

void ContentModel::snapshot(std::vector<std::uint8_t>& out) const {
  putState(out, dictionary_);
  putState(out, known_);
  put(out, static_cast<std::uint32_t>(numberKeys_.size()));
  for (const NumberKey& number : numberKeys_) {
    put(out, number.hash);
    put(out, number.distinct);
  }
  putState(out, kept_ ? proseBefore_ : prose_);
  putState(out, identifiers_);
  put(out, static_cast<std::uint32_t>(kindsOf_.size()));
  for (const KindsOf& each : kindsOf_) {
    put(out, each.key);
    put(out, each.kinds);
  }
}

bool ContentModel::restore(Bytes in) {
  StateReader read(in);
  if (!dictionary_.restore(read.getBytes()) || !known_.restore(read.getBytes())) return false;
  const std::uint32_t count = read.get<std::uint32_t>();
  if (count > kMostNumberKeys) return false;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto key = read.get<std::uint64_t>();
    numberKeys_.push_back({key, read.get<std::uint32_t>()});
  }
  if (!prose_.restore(read.getBytes()) || !identifiers_.restore(read.getBytes())) return false;
  const auto kinds = read.get<std::uint32_t>();
  if (kinds > kMostKindsOf) return false;
  for (std::uint32_t i = 0; i < kinds; ++i) {
    const auto key = read.get<std::uint64_t>();
    kindsOf_.push_back({key, read.get<privacy::Kinds>()});
  }
  return read.done();
}

std::vector<FieldCost> fieldCosts(const RecordView& record, const ContentScore& score, otlp::Signal signal) {
  constexpr std::size_t kMost = 16;
  std::vector<std::uint32_t> literals;
  countLiterals(score, literals);
  std::vector<double> bits(literals.begin(), literals.end());
  for (double& each : bits) each *= kLiteralBits;
  for (const ContentScore::Prose& prose : score.prose) {
    const ContentScore::Unknown& unknown = score.unknown[prose.unknown];
    bits[prose.unknown] = prose.cost.worst * static_cast<double>(unknown.end - unknown.value - 1);
  }
  std::vector<FieldCost> costs;
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] > 0) costs.push_back({fieldName(record.fields[score.unknown[i].field].key, signal), bits[i]});
  }
  std::ranges::stable_sort(costs, std::ranges::greater{}, &FieldCost::bits);
  if (costs.size() > kMost) costs.resize(kMost);
  return costs;
}

std::string blamedField(const RecordView& record, const ContentScore& score, otlp::Signal signal) {
  std::vector<std::uint32_t> literals;
  countLiterals(score, literals);
  const auto most = std::ranges::max_element(literals);
  if (most == literals.end() || *most == 0) return {};
  const ContentScore::Unknown& blamed = score.unknown[static_cast<std::size_t>(most - literals.begin())];
  return fieldName(record.fields[blamed.field].key, signal);
}

void novelRanges(const RecordView& record, const ContentScore& score, const std::vector<std::uint32_t>& starts,
                 std::vector<LiteralRun>& out) {
  out.clear();
  thread_local std::vector<std::uint8_t> masked(kMaxTextSize);
  thread_local std::vector<std::uint32_t> origin(kMaxTextSize);
  std::size_t next = 0;
  const std::vector<LiteralRun>& runs = score.novelty.literals;
  for (const ContentScore::Unknown& unknown : score.unknown) {
    const Field& field = record.fields[unknown.field];
    const std::uint32_t start = starts[unknown.field];
    const std::uint32_t keySize = unknown.value - unknown.begin;
    const bool text = field.kind == Field::Kind::Text;
    const Bytes value = score.textOf(record, unknown.field);
    const std::size_t size = text ? text::mask(value, masked.data(), origin.data()) : unknown.end - unknown.value - 1;
    // Converts an offset in `score.text` to one in the rendered record; a variable is novel as a whole.
    auto place = [&](std::uint32_t at, bool end) {
      if (at < unknown.value) return start - keySize + (at - unknown.begin);
      const std::uint32_t k = at - unknown.value;
      if (!text) return start + k;
      if (k >= size) return start + static_cast<std::uint32_t>(field.text.size());
      // What stands for a value may be longer than the value.
      return start + (end && k == 0 ? 0 : std::min(origin[k], static_cast<std::uint32_t>(field.text.size())));
    };
    while (next < runs.size() && runs[next].end <= unknown.begin) ++next;
    for (std::size_t r = next; r < runs.size() && runs[r].start < unknown.end - 1; ++r) {
      const std::uint32_t from = place(std::max(runs[r].start, unknown.begin), false);
      const std::uint32_t to = place(std::min(runs[r].end, unknown.end - 1), true);
      if (from < to) out.push_back({from, to});
    }
  }
  // Prose comes last in `text`, but not in the record.
  if (!score.prose.empty()) std::ranges::sort(out, {}, &LiteralRun::start);
}

}  // namespace driftlock
