#include "channels/content/dictionary.hpp"

#include <lz4.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/state_bytes.hpp"
#include "base/work.hpp"
#include "channels/content/slots.hpp"

namespace driftlock {
namespace {

// LZ4 begins no match in the last 12 bytes and always ends on 5 literals. Padding moves both past the text.
constexpr std::size_t kPadding = 16;
constexpr std::size_t kHead = 1;

struct Scratch {
  LZ4_stream_t stream;
  std::vector<std::uint8_t> source, packed;
  Scratch() { LZ4_initStream(&stream, sizeof stream); }
};

Scratch& scratch() {
  thread_local Scratch scratch;
  return scratch;
}

/// Reads a length, which above 14 continues in bytes of up to 255.
std::size_t extended(const std::uint8_t*& p, std::size_t length) {
  if (length < 15) return length;
  std::uint8_t more;
  do length += more = *p++;
  while (more == 255);
  return length;
}

/// The table that speeds up the search of a dictionary: it has 16 KiB, and takes about 20 us to fill.
struct Table {
  std::uint64_t owner = 0;
  /// The version of the owner's text when the table was filled.
  std::uint64_t version = 0;
  LZ4_stream_t stream;
  Table() { LZ4_initStream(&stream, sizeof stream); }
};

using Tables = Slots<Table, 64>;

Tables& tables() {
  thread_local Tables tables;
  return tables;
}

}  // namespace

Dictionary::Dictionary(std::size_t capacity) : capacity_(std::min<std::size_t>(capacity, 65'536)) {
  static std::atomic<std::uint64_t> last{0};
  name_ = ++last;
}

void Dictionary::add(Bytes lines) {
  // A quarter is reserved for the adaptive part, however much the anchored part needs.
  const std::size_t anchoredCapacity = capacity_ - capacity_ / 4;
  if (lines.empty() || lines.size() > capacity_ / 4) return;
  // Growing by a quarter wastes less than growing by doubling, and stops at the capacity.
  const auto grow = [&] {
    const std::size_t size = text_.size() + lines.size();
    if (size > text_.capacity()) text_.reserve(std::max(size, std::min(capacity_, size + size / 4)));
  };
  if (!anchored_ && anchoredSize_ + lines.size() <= anchoredCapacity) {
    if (anchoredSize_ < text_.size()) ++rewrites_;
    grow();
    text_.insert(text_.begin() + static_cast<std::ptrdiff_t>(anchoredSize_), lines.begin(), lines.end());
    anchoredSize_ += lines.size();
  } else {
    if (text_.size() + lines.size() > capacity_) {
      // Half of the adaptive part goes at once, so that this is rare.
      const auto adaptive = text_.begin() + static_cast<std::ptrdiff_t>(anchoredSize_);
      const std::size_t drop = std::max(text_.size() + lines.size() - capacity_, (text_.size() - anchoredSize_) / 2);
      auto cut = adaptive + static_cast<std::ptrdiff_t>(std::min(drop, text_.size() - anchoredSize_));
      while (cut != text_.end() && cut != adaptive && cut[-1] != '\n') ++cut;
      text_.erase(adaptive, cut);
      ++rewrites_;
    }
    grow();
    text_.insert(text_.end(), lines.begin(), lines.end());
  }
  ++version_;
}

void Dictionary::novelty(Bytes text, Novelty& out) {
  out.literals.clear();
  out.literalBytes = out.matches = 0;
  Table& table = tables().find(name_, slot_);
  if (table.owner != name_ || table.version != version_) {
    table.owner = name_;
    table.version = version_;
    countWork(text_.size());
    LZ4_loadDictSlow(&table.stream, reinterpret_cast<const char*>(text_.data()), static_cast<int>(text_.size()));
  }

  countWork(text.size());
  Scratch& s = scratch();
  const std::size_t size = kHead + text.size() + kPadding;
  s.source.resize(size);
  s.source[0] = '\n';  // A line follows a line's end, as in the dictionary.
  std::memcpy(s.source.data() + kHead, text.data(), text.size());
  std::memset(s.source.data() + kHead + text.size(), 0, kPadding);
  s.packed.resize(static_cast<std::size_t>(LZ4_compressBound(static_cast<int>(size))));

  LZ4_resetStream_fast(&s.stream);
  LZ4_attach_dictionary(&s.stream, text_.empty() ? nullptr : &table.stream);
  const int packed = LZ4_compress_fast_continue(&s.stream, reinterpret_cast<const char*>(s.source.data()),
                                                reinterpret_cast<char*>(s.packed.data()), static_cast<int>(size),
                                                static_cast<int>(s.packed.size()), 1);
  const std::uint8_t* p = s.packed.data();
  const std::uint8_t* const end = p + packed;
  std::size_t at = 0;
  while (p < end) {
    const std::uint8_t token = *p++;
    const std::size_t literals = extended(p, token >> 4);
    const std::size_t from = std::max(at, kHead) - kHead;
    const std::size_t to = std::min(std::max(at + literals, kHead) - kHead, text.size());
    if (from < to) {
      out.literals.push_back({static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)});
      out.literalBytes += static_cast<std::uint32_t>(to - from);
    }
    at += literals;
    p += literals;
    if (p >= end) break;
    p += 2;
    if (at < kHead + text.size()) ++out.matches;
    at += 4 + extended(p, token & 15);
  }
}

std::size_t Dictionary::memory() const { return text_.capacity(); }

void Dictionary::snapshot(std::vector<std::uint8_t>& out) const {
  put(out, static_cast<std::uint32_t>(anchoredSize_));
  put<std::uint8_t>(out, anchored_ ? 1 : 0);
  putBytes(out, text_);
}

bool Dictionary::restore(Bytes in) {
  StateReader read(in);
  const std::uint32_t anchoredSize = read.get<std::uint32_t>();
  const std::uint8_t anchored = read.get<std::uint8_t>();
  const Bytes text = read.getBytes();
  if (!read.done() || text.size() > capacity_ || anchoredSize > text.size() || anchored > 1) return false;
  anchoredSize_ = anchoredSize;
  anchored_ = anchored == 1;
  text_.assign(text.begin(), text.end());
  ++version_;
  ++rewrites_;
  return true;
}

}  // namespace driftlock
