#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.hpp"
#include "base/state_bytes.hpp"

namespace driftlock {

/// Finds the keys whose values are identifiers, such as ports, connections and builds: new values keep coming.
///
/// The latest eight new values of a key decide: if the later four took at most half as long again as the earlier four,
/// counted in records of the stream, the key has no end of them. The values of a status code are all new at first, and
/// then ever more rarely. A key that is found stays an identifier, of which there may be 64. At most 16 other keys are
/// followed: of more, those with the latest new values.
class Identifiers {
 public:
  bool contains(std::uint64_t key) const { return std::ranges::find(found_, key) != found_.end(); }

  /// Notes a new value of a key, which may be the same as before, in a record of this number. Returns true if it shows
  /// that the key has identifiers.
  bool note(std::uint64_t key, std::uint64_t value, std::uint64_t record) {
    const auto at = static_cast<std::uint32_t>(record);
    const auto hash = static_cast<std::uint16_t>(value);
    Candidate& candidate = find(key);
    if (std::ranges::find(candidate.values, hash) != candidate.values.end()) return false;
    std::ranges::copy_backward(candidate.values.begin(), candidate.values.end() - 1, candidate.values.end());
    std::ranges::copy_backward(candidate.records.begin(), candidate.records.end() - 1, candidate.records.end());
    candidate.values[0] = hash, candidate.records[0] = at;
    if (++candidate.count < kNews) return false;
    candidate.count = kNews;
    const std::uint32_t later = at - candidate.records[kNews / 2],
                        earlier = candidate.records[kNews / 2] - candidate.records[kNews - 1];
    if (later + earlier < kFewestRecords || 2 * later > 3 * earlier || found_.size() == kMost) return false;
    found_.push_back(key);
    candidates_.erase(candidates_.begin() + (&candidate - candidates_.data()));
    return true;
  }

  std::size_t memory() const { return candidates_.capacity() * sizeof(Candidate) + found_.capacity() * sizeof(std::uint64_t); }

  void snapshot(std::vector<std::uint8_t>& out) const {
    StateWriter write(out);
    put(out, static_cast<std::uint32_t>(found_.size()));
    for (const std::uint64_t key : found_) write(key);
    put(out, static_cast<std::uint32_t>(candidates_.size()));
    for (const Candidate& candidate : candidates_) Candidate::visit(candidate, write);
  }

  /// Returns false if the bytes are not a snapshot of identifiers; the object is then unusable.
  bool restore(Bytes in) {
    StateReader read(in);
    const auto found = read.get<std::uint32_t>();
    if (found > kMost) return false;
    found_.resize(found);
    for (std::uint64_t& key : found_) read(key);
    const auto candidates = read.get<std::uint32_t>();
    if (candidates > kMostCandidates) return false;
    candidates_.resize(candidates);
    for (Candidate& candidate : candidates_) {
      Candidate::visit(candidate, read);
      if (candidate.count > kNews) return false;
    }
    return read.done();
  }

 private:
  static constexpr std::size_t kMost = 64, kMostCandidates = 16;
  static constexpr std::uint32_t kNews = 8;
  /// In fewer records, new values say little: everything is new once.
  static constexpr std::uint32_t kFewestRecords = 64;

  struct Candidate {
    std::uint64_t key = 0;
    std::uint32_t count = 0;
    /// The hashes of the latest new values, and the records that had them; the latest first.
    std::array<std::uint16_t, kNews> values{};
    std::array<std::uint32_t, kNews> records{};

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor& v) {
      v(self.key), v(self.count);
      for (auto& value : self.values) v(value);
      for (auto& record : self.records) v(record);
    }
  };

  Candidate& find(std::uint64_t key) {
    const auto known = std::ranges::find(candidates_, key, &Candidate::key);
    if (known != candidates_.end()) return *known;
    if (candidates_.size() < kMostCandidates) return candidates_.emplace_back(Candidate{.key = key});
    const auto oldest =
        std::ranges::min_element(candidates_, {}, [](const Candidate& candidate) { return candidate.records[0]; });
    return *oldest = Candidate{.key = key};
  }

  std::vector<std::uint64_t> found_;
  std::vector<Candidate> candidates_;
};

}  // namespace driftlock
