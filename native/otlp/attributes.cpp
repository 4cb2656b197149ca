#include "otlp/attributes.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "base/work.hpp"
#include "otlp/wire.hpp"

namespace driftlock::otlp {
namespace {

/// Returns the length of the well-formed UTF-8 sequence at the start of `text`, by Table 3-7 of the Unicode standard; 0 if there
/// is none.
std::size_t sequence(std::string_view text) {
  const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<std::uint8_t>(text[i]) : 0u; };
  const auto follows = [&](std::size_t i) { return (at(i) & 0xc0u) == 0x80; };
  const unsigned first = at(0);
  const unsigned second = at(1);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4 || !follows(1)) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) {
    const bool overlong = first == 0xe0 && second < 0xa0;
    const bool surrogate = first == 0xed && second > 0x9f;
    return follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  const bool overlong = first == 0xf0 && second < 0x90;
  const bool beyond = first == 0xf4 && second > 0x8f;
  return follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
}

/// Whether the text is ASCII, as most is; eight bytes are checked at once.
bool isAscii(std::string_view text) {
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  std::size_t at = 0;
  for (std::uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if (word & kHigh) return false;
  }
  for (; at < text.size(); ++at)
    if (static_cast<std::uint8_t>(text[at]) >= 0x80) return false;
  return true;
}

/// Calls `piece` with runs of well-formed text and with U+FFFD for each byte between them.
template <typename Piece>
void wellFormed(std::string_view text, Piece piece) {
  if (isAscii(text)) return piece(text);
  std::size_t run = 0;
  while (run < text.size()) {
    const std::size_t length = sequence(text.substr(run));
    if (length > 0) {
      run += length;
      continue;
    }
    piece(text.substr(0, run));
    piece(std::string_view("\xef\xbf\xbd"));
    text.remove_prefix(run + 1);
    run = 0;
  }
  piece(text);
}

std::uint8_t* putText(std::uint8_t* out, std::string_view text) {
  countWork(text.size());
  return std::copy(text.begin(), text.end(), out);
}

/// Appends a KeyValue field up to the value's own field, and returns where the `value` bytes of that field belong.
std::uint8_t* putKey(std::vector<std::uint8_t>& all, std::uint32_t number, std::string_view key, std::size_t value) {
  const std::size_t content = 1 + varintSize(key.size()) + key.size() + 1 + varintSize(value) + value;
  const std::size_t begin = all.size();
  all.resize(begin + varintSize(tag(number, Wire::Length)) + varintSize(content) + content);
  std::uint8_t* out = writeVarint(tag(number, Wire::Length), all.data() + begin);
  out = writeVarint(content, out);
  out = writeVarint(tag(1, Wire::Length), out);
  out = writeVarint(key.size(), out);
  out = putText(out, key);
  out = writeVarint(tag(2, Wire::Length), out);
  return writeVarint(value, out);
}

void putNumber(std::vector<std::uint8_t>& out, std::uint32_t number, std::string_view key, std::uint32_t member,
               std::uint64_t value) {
  std::uint8_t* const at = putKey(out, number, key, 1 + varintSize(value));
  writeVarint(value, writeVarint(tag(member, Wire::Varint), at));
}

}  // namespace

void AttributeEncoder::string(std::string_view key, std::string_view value) {
  std::size_t size = 0;
  wellFormed(value, [&](std::string_view piece) { size += piece.size(); });
  std::uint8_t* at = putKey(out_, number_, key, 1 + varintSize(size) + size);
  at = writeVarint(size, writeVarint(tag(1, Wire::Length), at));
  wellFormed(value, [&](std::string_view piece) { at = putText(at, piece); });
}

void AttributeEncoder::boolean(std::string_view key, bool value) { putNumber(out_, number_, key, 2, value); }

void AttributeEncoder::integer(std::string_view key, std::int64_t value) {
  putNumber(out_, number_, key, 3, static_cast<std::uint64_t>(value));
}

void AttributeEncoder::real(std::string_view key, double value) {
  std::uint8_t* const at = putKey(out_, number_, key, 1 + sizeof value);
  static_assert(std::endian::native == std::endian::little);
  std::memcpy(writeVarint(tag(4, Wire::Fixed64), at), &value, sizeof value);
}

}  // namespace driftlock::otlp
