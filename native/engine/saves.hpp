#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "base/hash.hpp"
#include "codec/codec.hpp"

namespace driftlock {

/// What a checkpoint is of: what has changed since the last one, all, or a copy of all, which the next checkpoint does not know
/// about. The one of all does not rely on the last one having been kept.
enum class CheckpointOf : std::uint8_t { Changes, All, Copy };

/// What a record of a checkpoint holds.
enum class SavedKind : std::uint8_t { Stream = 's', Group = 'g', PutAside = 'p', Head = 'h' };

/// The key of a record: its kind, then a number, then a tenant.
struct SavedKey {
  SavedKind kind;
  /// The hash of a stream or group, or the number of a piece of the head.
  std::uint64_t number = 0;
  std::string_view tenant{};

  /// The most bytes of a tenant.
  static constexpr std::size_t kLongestTenant = 65'536;
  /// Appends the key's bytes.
  void write(std::vector<std::uint8_t>& out) const;
  /// Reads a key. Returns false if the bytes are none.
  static bool read(Bytes in, SavedKey& key);
};

/// A record of a checkpoint as it was read. Without a value, the key was removed.
struct SavedRecord {
  Bytes key;
  Bytes value;
  bool removed = false;

  /// Appends a record: the lengths of the key and the value, then both. A removed key has the length 0xffffffff.
  void write(std::vector<std::uint8_t>& out) const;
  /// Takes the next record from the beginning of `in`. Returns false if there is no whole one.
  static bool read(Bytes& in, SavedRecord& record);
  /// A keyed hash of both, never 0.
  std::uint64_t digest(const KeyedHash& hash) const;
};

/// What checkpoints save under a key of its own.
class Savable {
 public:
  Savable() = default;
  Savable(const Savable&) = delete;
  Savable& operator=(const Savable&) = delete;
  virtual ~Savable() = default;

  virtual SavedKey savedKey() const = 0;
  /// Appends the value.
  virtual void save(const Codec& packer, std::vector<std::uint8_t>& value) const = 0;

 private:
  friend class Saves;
  using Place = std::list<Savable*>::iterator;

  /// Whether it has changed since the last checkpoint, and whether the checkpoint that is being taken still has to save it.
  bool unsaved_ = false, pending_ = false;
  Place unsavedAt_, pendingAt_;
  /// The digest of its record in the latest checkpoint; 0 if it has none.
  std::uint64_t saved_ = 0;
};

/// Which items of a shard have changed since the last checkpoint, and which of them the checkpoint that is being taken still has
/// to save. Judging goes on meanwhile: an item that is about to change is saved before, so that a checkpoint is of one moment.
class Saves {
 public:
  Saves(const KeyedHash& hash, const Codec& packer) : hash_(hash), packer_(packer) {}

  /// Notes that an item is about to change, or is new.
  void change(Savable& item) {
    if (item.pending_) pack(item);
    if (item.unsaved_) return;
    item.unsaved_ = true;
    item.unsavedAt_ = unsaved_.insert(unsaved_.end(), &item);
  }
  /// Notes that an item is about to go.
  void remove(Savable& item);

  /// Begins a checkpoint. Unless it is of changes, `add` lists the items.
  void begin(CheckpointOf what);
  void add(Savable& item);
  /// Appends records until there are at least `most` bytes of them. Returns false once there is none left.
  bool step(std::size_t most, std::vector<std::uint8_t>& out);
  /// The sum of the digests of all items that were there when the checkpoint began, once `step` has saved the last.
  std::uint64_t sum() const { return sumThen_; }
  /// Ends a checkpoint. If it was not read to its end, or is not kept, the next one has to be of all items.
  void end();

  /// Notes that an item that is new was restored from a record with this digest.
  void restored(Savable& item, std::uint64_t digest);
  bool wasRestored(const Savable& item) const { return item.saved_ != 0; }
  /// Forgets that an item was saved.
  void forget(Savable& item);

  /// Returns the next number in the order of use.
  std::uint64_t use() { return ++uses_; }
  std::uint64_t uses() const { return uses_; }
  void restoreUses(std::uint64_t uses) { uses_ = uses; }

  const KeyedHash& hash() const { return hash_; }

 private:
  void pack(Savable& item);

  KeyedHash hash_;
  const Codec& packer_;
  std::list<Savable*> unsaved_, pending_;
  /// Records that are ready: of items that were about to change, and what the current step made.
  std::deque<std::vector<std::uint8_t>> ready_;
  /// The keys that checkpoints have saved and that are gone since the last one, and those that the current or last one removes.
  std::vector<std::vector<std::uint8_t>> gone_, going_;
  /// The sum of the digests of all records, now and when the current checkpoint began.
  std::uint64_t sum_ = 0, sumThen_ = 0;
  bool copies_ = false;
  std::uint64_t uses_ = 0;
};

}  // namespace driftlock
