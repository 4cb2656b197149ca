#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.hpp"
#include "channels/content/content_score.hpp"
#include "channels/content/dictionary.hpp"
#include "channels/content/field_keys.hpp"
#include "channels/content/identifiers.hpp"
#include "channels/content/known_set.hpp"
#include "channels/content/prose.hpp"
#include "channels/finding.hpp"
#include "privacy/policy.hpp"
#include "record/record.hpp"
#include "record/stream_key.hpp"

namespace driftlock {

/// Returns a field's value with its variables masked, if it has a text, in a buffer of the thread that is valid until
/// the next call.
Bytes maskedText(const Field& field);
Bytes maskedText(Field::Kind kind, Bytes text);

/// The model of the content channel: the bytes of a record that no match in the stream's baseline explains.
///
/// A record is a set of fields, `key=value` with variables masked. A field that the baseline holds costs nothing and is
/// found by its hash, in constant time; the others are compressed together against the baseline (Dictionary). Score =
/// bits / (32 + bytes of the unknown fields) + 3 g, with g = 0..3 for normal, warning, error, fatal. The division takes
/// out what length alone explains; 32 bytes keep a short new word from outweighing a new sentence. A new message with
/// the severity of an error is more often an incident than another: g is that prior, in the score's unit, and grows
/// with the first eight novel bytes. Known fields score 0 whatever their severity.
class ContentModel {
 public:
  /// @param key that of the stream, which outlives the model, as does the privacy policy
  ContentModel(std::size_t dictionarySize, const KeyedHash& hash, const privacy::Policy& privacy, const StreamKey& key)
      : hash_(hash), privacy_(privacy), key_(key), dictionary_(dictionarySize) {}

  void score(const RecordView& record, ContentScore& out);
  /// Keeps what `score` changes, for snapshots until `release`.
  void keep() {
    kept_ = true;
    if (!prose_.empty() || !proseBefore_.empty()) proseBefore_ = prose_;
  }
  void release() { kept_ = false; }
  /// Adds to the baseline what `score` found unknown.
  void learn(const RecordView& record, const ContentScore& score);
  /// Notes which keys have new values, in a record of this number, to find those whose values are identifiers. These
  /// cost nothing from then on. Returns the key that was found, or 0.
  std::uint64_t noteNews(const RecordView& record, const ContentScore& score, std::uint64_t number);
  /// Marks a field as known by its hash alone: it costs nothing from now on, but explains nothing similar.
  void know(std::uint64_t hash) { known_.insert(hash); }
  /// Fixes what has been learned so far; from now on the baseline adapts beside it.
  void anchor() { dictionary_.anchor(); }

  const Dictionary& dictionary() const { return dictionary_; }
  std::size_t memory() const;

  void snapshot(std::vector<std::uint8_t>& out) const;
  /// Returns false if the bytes are not a snapshot of a channel with this dictionary size; the channel is then unusable.
  bool restore(Bytes in);

 private:
  /// The integers under a key, which are words (status codes) until there are too many of them (sizes, durations).
  struct NumberKey {
    std::uint64_t hash;
    std::uint32_t distinct;
  };
  static constexpr std::uint32_t kMostWords = 24;
  static constexpr std::size_t kMostNumberKeys = 64;

  bool isWord(std::uint64_t key) const;
  static void append(const Field& field, std::uint32_t index, std::uint64_t hash, Bytes value, ContentScore& out);
  void sign(ContentScore& score) const;
  void lookForProse(const RecordView& record, const ContentScore& score);
  void scoreProse(ContentScore& out);
  void learnProse(const ContentScore& score);

  /// What stands for every value of an attribute whose name makes all of them personal or secret, whatever they are; nothing if
  /// the name says nothing or the policy leaves them.
  struct ByName {
    std::string_view text{};
    privacy::Kind kind{};
    explicit operator bool() const { return !text.empty(); }
  };
  ByName byName(const Field& field, privacy::Naming naming) const;
  static void conceal(std::uint32_t field, const ByName& named, ContentScore& out);
  /// Returns the value of a text field that the baseline does not contain with its personal and secret values and its variables
  /// masked; nothing if it has no such values. It is no part of `score`, in which most fields are known.
  [[gnu::noinline]] std::optional<Bytes> mask(const RecordView& record, std::uint32_t field, const ByName& named,
                                              ContentScore& out) const;
  bool masks(privacy::Kind kind, const Field& field) const;
  /// What rules and allow-lists call a field: the body of a log record and the name of a span have no key.
  Bytes calledInRules(const Field& field) const;
  bool conceal(const RecordView& record, std::uint32_t field, const privacy::Masking& masking, ContentScore& out) const;
  /// Looks for a kind of such values that is new in its field.
  void lookForKinds(ContentScore& out) const;
  privacy::Masking masking() const;

  KeyedHash hash_;
  const privacy::Policy& privacy_;
  const StreamKey& key_;
  Dictionary dictionary_;
  KnownSet known_{512};
  std::vector<NumberKey> numberKeys_;
  ProseFields prose_;
  /// The fields that were prose before the current record, while they are kept.
  ProseFields proseBefore_;
  bool kept_ = false;
  /// Where a thread's index of the dictionary was found last; no part of the state.
  std::uint32_t proseHint_ = 0;
  Identifiers identifiers_;
  /// The kinds of personal and secret values that fields have had, by the hashes of their keys.
  struct KindsOf {
    std::uint64_t key;
    privacy::Kinds kinds;
  };
  static constexpr std::size_t kMostKindsOf = 64;
  std::vector<KindsOf> kindsOf_;
};

/// The costs of the unknown fields, the costliest first. What matches cost belongs to no field.
std::vector<FieldCost> fieldCosts(const RecordView& record, const ContentScore& score, otlp::Signal signal);
/// The field that contributes most of the novelty: "body" or "name" for the first, otherwise its key.
std::string blamedField(const RecordView& record, const ContentScore& score, otlp::Signal signal);

/// Finds the novel parts of the rendered record (`render`), ascending.
void novelRanges(const RecordView& record, const ContentScore& score, const std::vector<std::uint32_t>& starts,
                 std::vector<LiteralRun>& out);

}  // namespace driftlock
