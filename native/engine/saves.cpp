#include "engine/saves.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/state_bytes.hpp"

namespace driftlock {
namespace {

constexpr std::uint32_t kRemoved = 0xffffffff;

}  // namespace

void SavedKey::write(std::vector<std::uint8_t>& out) const {
  put(out, static_cast<std::uint8_t>(kind));
  put(out, number);
  out.insert(out.end(), tenant.begin(), tenant.end());
}

bool SavedKey::read(Bytes in, SavedKey& key) {
  StateReader read(in);
  const auto kind = static_cast<SavedKind>(read.get<std::uint8_t>());
  constexpr SavedKind kKinds[] = {SavedKind::Stream, SavedKind::Group, SavedKind::PutAside, SavedKind::Head};
  if (std::ranges::find(kKinds, kind) == std::end(kKinds)) return false;
  key.kind = kind;
  key.number = read.get<std::uint64_t>();
  if (!read.ok() || read.left() > kLongestTenant) return false;
  const Bytes tenant = in.last(read.left());
  key.tenant = {reinterpret_cast<const char*>(tenant.data()), tenant.size()};
  return true;
}

void SavedRecord::write(std::vector<std::uint8_t>& out) const {
  put(out, static_cast<std::uint32_t>(key.size()));
  put(out, removed ? kRemoved : static_cast<std::uint32_t>(value.size()));
  out.insert(out.end(), key.begin(), key.end());
  out.insert(out.end(), value.begin(), value.end());
}

bool SavedRecord::read(Bytes& in, SavedRecord& record) {
  StateReader read(in);
  const std::uint64_t key = read.get<std::uint32_t>();
  const std::uint32_t value = read.get<std::uint32_t>();
  record.removed = value == kRemoved;
  const std::uint64_t size = record.removed ? 0 : value;
  if (!read.ok() || key + size > read.left()) return false;
  in = in.last(read.left());
  record.key = in.first(key);
  record.value = in.subspan(key, size);
  in = in.subspan(key + size);
  return true;
}

std::uint64_t SavedRecord::digest(const KeyedHash& hash) const { return std::max<std::uint64_t>(1, hash(value, hash(key))); }

void Saves::pack(Savable& item) {
  std::vector<std::uint8_t> key, value, record;
  item.savedKey().write(key);
  item.save(packer_, value);
  const SavedRecord saved{key, value};
  record.reserve(key.size() + value.size() + 2 * sizeof(std::uint32_t));
  saved.write(record);
  ready_.push_back(std::move(record));
  const std::uint64_t digest = saved.digest(hash_);
  sumThen_ += digest;
  if (!copies_) {
    sumThen_ -= item.saved_;
    sum_ += digest - std::exchange(item.saved_, digest);
  }
  pending_.erase(item.pendingAt_);
  item.pending_ = false;
}

void Saves::remove(Savable& item) {
  if (item.pending_) pack(item);
  if (item.unsaved_) unsaved_.erase(item.unsavedAt_);
  item.unsaved_ = false;
  if (item.saved_ == 0) return;
  sum_ -= std::exchange(item.saved_, 0);
  item.savedKey().write(gone_.emplace_back());
}

void Saves::begin(CheckpointOf what) {
  copies_ = what == CheckpointOf::Copy;
  sumThen_ = copies_ ? 0 : sum_;
  if (copies_) return;
  for (Savable* item : unsaved_) {
    item->unsaved_ = false;
    item->pending_ = true;
    item->pendingAt_ = item->unsavedAt_;
  }
  pending_.splice(pending_.end(), unsaved_);
  if (what == CheckpointOf::Changes) going_.clear();
  std::ranges::move(gone_, std::back_inserter(going_));
  gone_.clear();
  // What was removed comes first, because some of it may have come back.
  for (const auto& key : going_) SavedRecord{.key = key, .value = {}, .removed = true}.write(ready_.emplace_back());
}

void Saves::add(Savable& item) {
  if (item.pending_) return;
  item.pending_ = true;
  item.pendingAt_ = pending_.insert(pending_.end(), &item);
}

bool Saves::step(std::size_t most, std::vector<std::uint8_t>& out) {
  const std::size_t before = out.size();
  while (out.size() - before < most && !(ready_.empty() && pending_.empty())) {
    if (ready_.empty()) pack(*pending_.front());
    out.insert(out.end(), ready_.front().begin(), ready_.front().end());
    ready_.pop_front();
  }
  return !(ready_.empty() && pending_.empty());
}

void Saves::end() {
  for (Savable* item : pending_) item->pending_ = false;
  pending_.clear();
  ready_.clear();
}

void Saves::restored(Savable& item, std::uint64_t digest) {
  if (item.unsaved_) unsaved_.erase(item.unsavedAt_);
  item.unsaved_ = false;
  item.saved_ = digest;
  sum_ += digest;
}

void Saves::forget(Savable& item) {
  change(item);
  sum_ -= std::exchange(item.saved_, 0);
}

}  // namespace driftlock
