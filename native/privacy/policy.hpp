#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/literal_run.hpp"
#include "privacy/findings.hpp"
#include "privacy/kind.hpp"
#include "privacy/pattern.hpp"
#include "privacy/scanner.hpp"

namespace driftlock::privacy {

/// Where a policy acts, in the order of the path of a record.
enum class Place : std::uint8_t { Scoring, Forwarded, Stored, Logs, Evidence };
inline constexpr std::size_t kPlaceCount = 5;

/// What happens to a value.
enum class Action : std::uint8_t {
  /// It is counted, and stays.
  Flag,
  /// Its kind stands in its place.
  Mask,
  /// A keyed pseudonym stands in its place: equal values of a tenant have equal pseudonyms.
  Hash,
  /// It is removed.
  Drop,
};

using Actions = std::array<Action, kPlaceCount>;

/// Where a text comes from. The signal is as OTLP numbers it here: logs, traces, metrics; `kAnySignal` if it is of none.
struct Scope {
  static constexpr std::uint8_t kAnySignal = 0xff;

  std::string_view tenant{};
  std::uint8_t signal = kAnySignal;
  std::string_view service{};
  /// The name of the stream; empty for what belongs to several, such as resources.
  std::string_view stream{};
};

/// What operators have decided about some values. Empty patterns match everything.
struct Rule {
  std::string tenant{}, service{}, stream{}, attribute{};
  std::optional<std::uint8_t> signal{};
  Kinds kinds = kAllKinds;
  /// The actions that it decides about, by place.
  std::array<std::optional<Action>, kPlaceCount> actions{};
};

/// A detector of a user's own. Its name consists of at most so many of a-z, 0-9 and underscores.
inline constexpr std::size_t kLongestName = 32;
struct Detector {
  std::string name;
  /// None in a recording, which has what the pattern has found.
  std::optional<Pattern> pattern;
};

/// Values that are neither personal nor secret, whatever detectors say.
struct Allowance {
  Kinds kinds = kAllKinds;
  /// A pattern of the attribute's name; empty for all.
  std::string attribute{};
  /// Whole values, in ascending order.
  std::vector<std::string> values{};
  /// What whole values may match instead.
  std::optional<Pattern> pattern{};
};

/// How many values of each kind were found, by place.
using Counts = std::array<std::array<std::uint64_t, kKindCount>, kPlaceCount>;

/// What happens to personal and secret values. Its decisions never change; it counts what it finds, from any thread.
class Policy {
 public:
  /// What is judged and forwarded stays as it is; everything else is masked.
  static constexpr Actions kDefault{Action::Flag, Action::Flag, Action::Mask, Action::Mask, Action::Mask};

  /// @param key the secret that the keys of pseudonyms are derived from, one for each tenant
  /// @param detectors at most kMostCustom
  explicit Policy(Actions actions = kDefault, std::vector<Rule> rules = {}, std::vector<std::uint8_t> key = {},
                  std::vector<Detector> detectors = {}, std::vector<Allowance> allowances = {})
      : actions_(actions),
        rules_(std::move(rules)),
        key_(std::move(key)),
        detectors_(std::move(detectors)),
        allowances_(std::make_shared<const std::vector<Allowance>>(std::move(allowances))) {}

  Action action(Place place, const Scope& scope, std::string_view attribute, Kind kind) const;
  /// Whether what a detector has found is no personal or secret value, because an allow-list names it.
  bool allows(std::string_view attribute, std::string_view value, Kind kind) const;
  /// The name of a detector.
  std::string_view nameOf(Kind kind) const;
  /// A number that no other policy of the process has.
  std::uint64_t number() const { return number_; }
  /// Whether users have detectors of their own.
  bool hasDetectors() const { return !detectors_.empty(); }
  /// Whether a whole number may be a value that a detector looks for: built-in ones look for long ones only.
  bool mayBePersonal(std::uint64_t number) const { return (number >= 10'000'000 || hasDetectors()) && number <= INT64_MAX; }
  /// What people call several of its values, as in "e-mail addresses appear".
  std::string pluralOf(Kind kind) const;
  /// Whether it does anything but count at this place.
  bool acts(Place place) const;
  /// Whether it does the same at two places.
  bool equal(Place one, Place other) const;
  /// Whether a rule asks for the stream.
  bool asksForStreams() const;
  Counts counts() const;

  /// Returns what it decides about one source, without the key of pseudonyms, without patterns, and without allow-lists. In their
  /// place it has what is given.
  std::shared_ptr<const Policy> of(const Scope& scope, std::shared_ptr<Findings> given = {}) const;
  /// Returns what it decides about one source. It notes what it finds.
  std::shared_ptr<const Policy> noting(const Scope& scope, std::shared_ptr<Findings> findings) const;
  const Actions& actions() const { return actions_; }
  const std::vector<Rule>& rules() const { return rules_; }
  const std::vector<Detector>& detectors() const { return detectors_; }
  /// Null except for a verdict that is recorded or computed again.
  const std::shared_ptr<Findings>& findings() const { return findings_; }
  void setFindings(std::shared_ptr<Findings> findings) { findings_ = std::move(findings); }

 private:
  friend class Masking;
  friend class Tally;

  void count(Place place, Kind kind, std::uint64_t values = 1) const {
    counts_[static_cast<std::size_t>(place)][static_cast<std::size_t>(kind)].fetch_add(values, std::memory_order_relaxed);
  }
  /// Whether a part of a text is a mask, or belongs to one: `[email*****]`, zeros.
  bool isMasked(std::string_view text, std::size_t begin, std::size_t end) const;

  /// Returns the rules for one source.
  std::vector<Rule> rulesOf(const Scope& scope) const;
  static std::uint64_t nextNumber();

  std::uint64_t number_ = nextNumber();
  Actions actions_;
  std::vector<Rule> rules_;
  std::vector<std::uint8_t> key_;
  std::vector<Detector> detectors_;
  std::shared_ptr<const std::vector<Allowance>> allowances_;
  std::shared_ptr<Findings> findings_;
  mutable std::array<std::array<std::atomic<std::uint64_t>, kKindCount>, kPlaceCount> counts_{};
};

/// Collects how many values were found in many texts, for one thread, and hands the counts to the policy at its end. Counting
/// each value at once would cost more than looking at most of the texts.
class Tally {
 public:
  /// @param also a second place at which values are counted, since the policy does the same there
  explicit Tally(const Policy& policy, Place place, std::optional<Place> also = {})
      : policy_(policy), place_(place), also_(also) {}
  ~Tally();
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  void add(Kind kind) { ++counts_[static_cast<std::size_t>(kind)]; }

 private:
  const Policy& policy_;
  Place place_;
  std::optional<Place> also_;
  std::array<std::uint64_t, kKindCount> counts_{};
};

/// A policy at one place, for what comes from one source. The texts of the scope must outlive it.
class Masking {
 public:
  /// @param tally counts the values instead of the policy, and outlives this; null for none
  Masking(const Policy& policy, Place place, const Scope& scope, Tally* tally = nullptr);

  /// Whether there is anything to mask.
  bool acts() const { return acts_; }
  const Policy& policy() const { return policy_; }

  /// Masks the values in a text that is kept, without changing its length: a card becomes 0000000000000000, an e-mail address
  /// [email************]. Numbers become zeros because channels see all numbers as one anyway, so that the template of the text
  /// stays what it was. Nothing is left to find: masking a masked text changes nothing. Pseudonyms and removals are masks here.
  /// @param attribute the name of the attribute whose value the text is; empty for other texts
  /// @return the kinds that were masked
  Kinds blank(std::span<std::uint8_t> text, Bytes attribute) const;

  /// What became of a text: the kinds that were replaced, and the strongest action.
  struct Change {
    Kinds kinds = 0;
    Action strongest = Action::Flag;
    /// Whether there was a value, whatever became of it.
    bool found = false;
  };
  /// Replaces the values in a text: each becomes its kind in brackets, [email], or a pseudonym of its tenant,
  /// [email:6f2a91c3:0b7e44d09a1f5c36], whose second part names the key; or it is removed. `runs`, ascending parts of the text,
  /// follow their text.
  Change label(std::string& text, Bytes attribute = {}, std::vector<LiteralRun>* runs = nullptr) const;
  /// As above, but what becomes of the text is `out`, which is left alone if nothing does.
  Change label(Bytes text, Bytes attribute, std::string& out) const;

 private:
  /// Appends what stands in the place of a value.
  void appendReplacement(const Found& found, std::string_view text, Action action, std::string& out) const;
  /// Returns what is to be masked, in memory of the thread.
  /// @param any is set if anything was found, to be masked or not
  const std::vector<Found>& find(Bytes text, Bytes attribute, bool counts, bool& any) const;
  void search(Bytes text, Bytes attribute, bool counts, bool& any, std::vector<Found>& found) const;
  /// Sets `out` to a text with what was found in it replaced.
  void replace(std::string_view text, Bytes attribute, std::vector<LiteralRun>* runs, const std::vector<Found>& found,
               Change& change, std::string& out) const;
  /// Leaves those parts that are to be masked.
  void select(std::string_view text, Bytes attribute, bool counts, std::vector<Found>& found) const;
  /// Adds what users' detectors find.
  void findCustom(std::string_view text, std::vector<Found>& found) const;
  void blankAll(std::uint8_t* text, std::span<const Found> found) const;

  const Policy& policy_;
  Place place_;
  Tally* tally_;
  Scope scope_;
  bool acts_;
};

}  // namespace driftlock::privacy
