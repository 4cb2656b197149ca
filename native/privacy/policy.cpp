#include "privacy/policy.hpp"

#include <algorithm>

#include "base/pattern.hpp"
#include "base/sha256.hpp"

namespace driftlock::privacy {
namespace {

bool isDigit(std::uint8_t c) { return c >= '0' && c <= '9'; }
bool isLetter(std::uint8_t c) { return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c >= 0x80; }

/// Whether the value is a number with separators, perhaps behind the letters of a country.
bool isNumber(Kind kind, std::span<const std::uint8_t> value) {
  switch (kind) {
    case Kind::Phone: return std::ranges::none_of(value, [](std::uint8_t c) { return isLetter(c) && c != 'x'; });
    case Kind::Iban: return value.size() > 2 && std::ranges::none_of(value.subspan(2), isLetter);
    case Kind::Card:
    case Kind::Ssn:
    case Kind::Ip:
    case Kind::NationalId: return std::ranges::none_of(value, isLetter);
    default: return kind >= Kind::Custom && std::ranges::none_of(value, isLetter) && std::ranges::any_of(value, isDigit);
  }
}

/// Writes a mask over a value.
void blankOne(std::span<std::uint8_t> value, Kind kind, std::string_view name) {
  if (isNumber(kind, value)) {
    std::ranges::replace_if(value, isDigit, '0');
    return;
  }
  std::ranges::fill(value, '*');
  if (value.size() < name.size() + 3) return;
  value.front() = '[';
  std::ranges::copy(name, value.begin() + 1);
  value.back() = ']';
}

/// What a mask leaves may be complete without its neighbour, and is then found next time: `1+49 30 123456789` behind a token.
/// More rounds than these are not needed by any text that is not made for it.
constexpr int kMostRounds = 4;

/// Whether the name of an attribute may be all that makes its value one of this kind.
bool isNamed(Kind kind) { return kind == Kind::Person || kind == Kind::Password || kind == Kind::ApiKey; }

bool isWhole(const std::vector<Found>& found, std::size_t size) {
  return found.size() == 1 && found[0].begin == 0 && found[0].end == size;
}

/// The most values that a user's detector finds in one text. What follows them counts as one value, so that the work is linear
/// in the text, whatever the pattern.
constexpr int kMostCustomValues = 256;

bool isHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/// The length of the mask that begins a text behind its bracket and its name: `]`, `****]`, `:6f2a91c3:0b7e44d09a1f5c36]`. 0 if
/// there is none.
std::size_t maskEnd(std::string_view text) {
  std::size_t i = text.find_first_not_of('*');
  if (i == 0 && text[0] == ':') {
    constexpr std::string_view kForm = ":........:................";
    while (i < kForm.size() && i < text.size() && (kForm[i] == ':' ? text[i] == ':' : isHex(text[i]))) ++i;
    if (i < kForm.size()) return 0;
  }
  return i < text.size() && text[i] == ']' ? i + 1 : 0;
}

bool fits(std::string_view pattern, std::string_view text) { return pattern.empty() || matchesPattern(pattern, text); }

/// Whether a rule decides about texts of this source.
bool concerns(const Rule& rule, const Scope& scope) {
  return (!rule.signal || *rule.signal == scope.signal) && fits(rule.tenant, scope.tenant) && fits(rule.service, scope.service) &&
         fits(rule.stream, scope.stream);
}

void appendHex(Bytes bytes, std::string& out) {
  for (const std::uint8_t byte : bytes) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
}

/// A part of a text, and that which replaces it in another.
struct Replaced {
  std::size_t begin, end, newBegin, newEnd;
};

/// Moves parts of a text with what became of it.
void move(std::vector<LiteralRun>& runs, std::span<const Replaced> replaced) {
  // A place within a value moves to the beginning or the end of its replacement.
  const auto moved = [&](std::uint32_t at, bool isEnd) {
    const auto next = std::ranges::upper_bound(replaced, at, {}, &Replaced::begin);
    if (next == replaced.begin()) return at;
    const Replaced& last = *(next - 1);
    if (at >= last.end) return static_cast<std::uint32_t>(last.newEnd + (at - last.end));
    return static_cast<std::uint32_t>(isEnd && at > last.begin ? last.newEnd : last.newBegin);
  };
  for (LiteralRun& run : runs) run = {moved(run.start, false), moved(run.end, true)};
  // Two parts of one value are one part of its replacement now.
  std::size_t n = 0;
  for (const LiteralRun& run : runs) {
    if (n > 0 && runs[n - 1].end > run.start) runs[n - 1].end = std::max(runs[n - 1].end, run.end);
    else runs[n++] = run;
  }
  runs.resize(n);
}

}  // namespace

std::vector<Rule> Policy::rulesOf(const Scope& scope) const {
  std::vector<Rule> rules;
  for (const Rule& rule : rules_) {
    if (concerns(rule, scope)) rules.push_back({.attribute = rule.attribute, .kinds = rule.kinds, .actions = rule.actions});
  }
  return rules;
}

std::shared_ptr<const Policy> Policy::of(const Scope& scope, std::shared_ptr<Findings> given) const {
  std::vector<Detector> names;
  for (const Detector& detector : detectors_) names.push_back({detector.name, {}});
  auto policy = std::make_shared<Policy>(actions_, rulesOf(scope), std::vector<std::uint8_t>{}, std::move(names));
  policy->findings_ = std::move(given);
  return policy;
}

std::shared_ptr<const Policy> Policy::noting(const Scope& scope, std::shared_ptr<Findings> findings) const {
  auto policy = std::make_shared<Policy>(actions_, rulesOf(scope), key_, detectors_);
  policy->allowances_ = allowances_;
  policy->findings_ = std::move(findings);
  return policy;
}

std::uint64_t Policy::nextNumber() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

Action Policy::action(Place place, const Scope& scope, std::string_view attribute, Kind kind) const {
  const auto at = static_cast<std::size_t>(place);
  for (const Rule& rule : rules_) {
    if (rule.actions[at] && (rule.kinds & bitOf(kind)) != 0 && concerns(rule, scope) && fits(rule.attribute, attribute))
      return *rule.actions[at];
  }
  return actions_[at];
}

bool Policy::allows(std::string_view attribute, std::string_view value, Kind kind) const {
  if (findings_ && findings_->takeAllowed(attribute, value, kind)) return true;
  const bool allowed = std::ranges::any_of(*allowances_, [&](const Allowance& each) {
    return (each.kinds & bitOf(kind)) != 0 && (each.attribute.empty() || matchesPattern(each.attribute, attribute)) &&
           (std::ranges::binary_search(each.values, value) || (each.pattern && each.pattern->matches(value)));
  });
  if (allowed && findings_) findings_->noteAllowed(attribute, value, kind);
  return allowed;
}

std::string_view Policy::nameOf(Kind kind) const {
  const auto i = static_cast<std::size_t>(kind);
  if (i < kBuiltInCount) return kKindInfos[i].name;
  // A snapshot may be of a policy with more detectors.
  if (i - kBuiltInCount >= detectors_.size()) return "custom";
  return detectors_[i - kBuiltInCount].name;
}

std::string Policy::pluralOf(Kind kind) const {
  if (kind < Kind::Custom) return std::string(kKindInfos[static_cast<std::size_t>(kind)].plural);
  return "values of the kind \"" + std::string(nameOf(kind)) + '"';
}

bool Policy::isMasked(std::string_view text, std::size_t begin, std::size_t end) const {
  const std::string_view value = text.substr(begin, end - begin);
  if (value.find_first_not_of("0*[] -./:+()") == std::string_view::npos) return true;
  constexpr std::size_t kLongest = kLongestName + 32;
  const std::size_t from = begin > kLongest ? begin - kLongest : 0;
  const std::size_t open = text.substr(from, begin + 1 - from).rfind('[');
  if (open == std::string_view::npos) return false;
  const std::string_view rest = text.substr(from + open + 1);
  for (std::size_t kind = 0; kind < kBuiltInCount + detectors_.size(); ++kind) {
    const std::string_view name = nameOf(static_cast<Kind>(kind));
    if (!rest.starts_with(name)) continue;
    if (const std::size_t size = maskEnd(rest.substr(name.size())); size > 0 && end <= from + open + 1 + name.size() + size)
      return true;
  }
  return false;
}

bool Policy::acts(Place place) const {
  const auto at = static_cast<std::size_t>(place);
  return actions_[at] != Action::Flag ||
         std::ranges::any_of(rules_, [&](const Rule& rule) { return rule.actions[at].value_or(Action::Flag) != Action::Flag; });
}

bool Policy::equal(Place one, Place other) const {
  const auto a = static_cast<std::size_t>(one), b = static_cast<std::size_t>(other);
  return actions_[a] == actions_[b] &&
         std::ranges::all_of(rules_, [&](const Rule& rule) { return rule.actions[a] == rule.actions[b]; });
}

bool Policy::asksForStreams() const {
  return std::ranges::any_of(rules_, [](const Rule& rule) { return !rule.stream.empty(); });
}

Counts Policy::counts() const {
  Counts counts{};
  for (std::size_t place = 0; place < kPlaceCount; ++place) {
    for (std::size_t kind = 0; kind < kKindCount; ++kind)
      counts[place][kind] = counts_[place][kind].load(std::memory_order_relaxed);
  }
  return counts;
}

Tally::~Tally() {
  for (std::size_t i = 0; i < kKindCount; ++i) {
    if (counts_[i] == 0) continue;
    policy_.count(place_, static_cast<Kind>(i), counts_[i]);
    if (also_) policy_.count(*also_, static_cast<Kind>(i), counts_[i]);
  }
}

Masking::Masking(const Policy& policy, Place place, const Scope& scope, Tally* tally)
    : policy_(policy), place_(place), tally_(tally), scope_(scope), acts_(policy.acts(place)) {}

const std::vector<Found>& Masking::find(Bytes text, Bytes attribute, bool counts, bool& any) const {
  thread_local std::vector<Found> found;
  Findings* const findings = policy_.findings_.get();
  if (const std::vector<Found>* const given = findings ? findings->take(Findings::Text::AsItIs, text, attribute) : nullptr)
    return *given;
  search(text, attribute, counts, any, found);
  // Whoever computes again finds the rest.
  if (findings && std::ranges::any_of(found, [](const Found& each) { return each.kind >= Kind::Custom; }))
    findings->note(Findings::Text::AsItIs, text, attribute, found);
  return found;
}

void Masking::search(Bytes text, Bytes attribute, bool counts, bool& any, std::vector<Found>& found) const {
  const std::string_view all = textOf(text);
  scan(text, attribute, found);
  any = any || !found.empty();
  if (found.empty() && !policy_.hasDetectors()) return;
  const bool named = isWhole(found, text.size()) && isNamed(found[0].kind);
  select(all, attribute, counts, found);
  if (named && found.empty()) {
    // What the name alone says may stay; an e-mail address in it need not.
    scan(text, attribute, found, Names::Ignored);
    select(all, attribute, counts, found);
  }
  if (!policy_.hasDetectors()) return;
  thread_local std::vector<Found> custom;
  custom.clear();
  findCustom(all, custom);
  any = any || !custom.empty();
  select(all, attribute, counts, custom);
  if (custom.empty()) return;
  // Of parts that overlap, all is masked, as what the user's detector found.
  found.insert(found.end(), custom.begin(), custom.end());
  std::ranges::sort(found, {}, &Found::begin);
  std::size_t n = 0;
  for (const Found& each : found) {
    if (n > 0 && each.begin < found[n - 1].end) {
      found[n - 1].end = std::max(found[n - 1].end, each.end);
      found[n - 1].kind = std::max(found[n - 1].kind, each.kind);
    } else {
      found[n++] = each;
    }
  }
  found.resize(n);
}

void Masking::select(std::string_view text, Bytes attribute, bool counts, std::vector<Found>& found) const {
  std::erase_if(found, [&](const Found& each) {
    if (policy_.allows(textOf(attribute), text.substr(each.begin, each.end - each.begin), each.kind)) return true;
    if (counts) tally_ ? tally_->add(each.kind) : policy_.count(place_, each.kind);
    return policy_.action(place_, scope_, textOf(attribute), each.kind) == Action::Flag;
  });
}

void Masking::findCustom(std::string_view text, std::vector<Found>& found) const {
  for (std::size_t i = 0; i < policy_.detectors_.size(); ++i) {
    const std::optional<Pattern>& pattern = policy_.detectors_[i].pattern;
    if (!pattern || !pattern->mayMatch(text)) continue;
    const auto kind = static_cast<Kind>(kBuiltInCount + i);
    int values = 0;
    for (std::size_t from = 0; from < text.size();) {
      Pattern::Part part = pattern->find(text, from);
      if (part.begin == part.end) break;
      if (++values > kMostCustomValues) part.end = text.size();
      if (!policy_.isMasked(text, part.begin, part.end))
        found.push_back({static_cast<std::uint32_t>(part.begin), static_cast<std::uint32_t>(part.end), kind});
      from = part.end;
    }
  }
}

void Masking::blankAll(std::uint8_t* text, std::span<const Found> found) const {
  for (const auto& [begin, end, kind] : found) blankOne({text + begin, end - begin}, kind, policy_.nameOf(kind));
}

Kinds Masking::blank(std::span<std::uint8_t> text, Bytes attribute) const {
  Kinds kinds = 0;
  const auto mask = [&](std::span<const Found> found) {
    for (const Found& each : found) kinds |= bitOf(each.kind);
    blankAll(text.data(), found);
  };
  Findings* const findings = acts_ ? policy_.findings_.get() : nullptr;
  if (const std::vector<Found>* const given = findings ? findings->take(Findings::Text::Masked, text, attribute) : nullptr) {
    mask(*given);
    return kinds;
  }
  std::vector<Found> masked;
  bool any = false;
  for (int round = 0; acts_ && round < kMostRounds; ++round) {
    const std::vector<Found>& found = find(text, attribute, round == 0, any);
    if (found.empty()) break;
    mask(found);
    if (findings) masked.insert(masked.end(), found.begin(), found.end());
    // A name that makes a secret of the whole value has said all.
    if (isWhole(found, text.size())) break;
  }
  if (kinds != 0 && findings) findings->note(Findings::Text::Masked, text, attribute, masked);
  return kinds;
}

void Masking::appendReplacement(const Found& found, std::string_view text, Action action, std::string& out) const {
  if (action == Action::Drop) return;
  (out += '[') += policy_.nameOf(found.kind);
  if (action == Action::Hash) {
    constexpr std::size_t kKeyBytes = 4, kHashBytes = 8;
    const Digest key = hmacSha256(policy_.key_, bytesOf(scope_.tenant));
    const Digest id = hmacSha256(key, bytesOf("id"));
    const Digest value = hmacSha256(key, bytesOf(text.substr(found.begin, found.end - found.begin)));
    out += ':';
    appendHex(Bytes(id).first(kKeyBytes), out);
    out += ':';
    appendHex(Bytes(value).first(kHashBytes), out);
  }
  out += ']';
}

Masking::Change Masking::label(std::string& text, Bytes attribute, std::vector<LiteralRun>* runs) const {
  Change change;
  if (!acts_) return change;
  if (const std::vector<Found>& found = find(bytesOf(text), attribute, true, change.found); !found.empty()) {
    std::string labelled;
    replace(text, attribute, runs, found, change, labelled);
    text = std::move(labelled);
  }
  return change;
}

Masking::Change Masking::label(Bytes text, Bytes attribute, std::string& out) const {
  Change change;
  if (!acts_) return change;
  if (const std::vector<Found>& found = find(text, attribute, true, change.found); !found.empty())
    replace(textOf(text), attribute, nullptr, found, change, out);
  return change;
}

void Masking::replace(std::string_view text, Bytes attribute, std::vector<LiteralRun>* runs, const std::vector<Found>& first,
                      Change& change, std::string& out) const {
  std::string before;
  const std::vector<Found>* found = &first;
  for (int round = 1; !found->empty(); ++round) {
    const bool whole = isWhole(*found, text.size());
    std::vector<Replaced> replaced;
    std::size_t from = 0;
    out.clear();
    for (const Found& each : *found) {
      const Action action = policy_.action(place_, scope_, textOf(attribute), each.kind);
      if (each.begin > from) out += text.substr(from, each.begin - from);
      const std::size_t begin = out.size();
      appendReplacement(each, text, action, out);
      if (runs) replaced.push_back({each.begin, each.end, begin, out.size()});
      from = each.end;
      change.kinds |= bitOf(each.kind);
      change.strongest = std::max(change.strongest, action);
    }
    if (from < text.size()) out += text.substr(from);
    if (runs) move(*runs, replaced);
    if (whole || round == kMostRounds) break;
    found = &find(bytesOf(out), attribute, false, change.found);
    if (found->empty()) break;
    before = std::move(out);
    text = before;
  }
}

}  // namespace driftlock::privacy
