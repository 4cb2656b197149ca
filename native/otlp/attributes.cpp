#include "otlp/attributes.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

#include "base/work.hpp"
#include "otlp/wire.hpp"

namespace driftlock::otlp {
namespace {

/// Length of the well-formed UTF-8 sequence at the start of `text`, by Table 3-7 of the Unicode standard; 0 if there is
/// none.
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

/// Most text is, and eight bytes of it are told at once.
bool isAscii(std::string_view text) {
  constexpr std::uint64_t high = 0x8080808080808080;
  std::size_t at = 0;
  for (std::uint64_t word; at + sizeof word <= text.size(); at += sizeof word) {
    std::memcpy(&word, text.data() + at, sizeof word);
    if (word & high) return false;
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

void putVarint(std::vector<std::uint8_t>& out, std::uint64_t value) {
  if (value < 0x80) return out.push_back(static_cast<std::uint8_t>(value));
  std::uint8_t bytes[10];
  out.insert(out.end(), bytes, writeVarint(value, bytes));
}

void putText(std::vector<std::uint8_t>& out, std::string_view text) {
  countWork(text.size());
  out.insert(out.end(), text.begin(), text.end());
}

/// Everything of a KeyValue field up to the value's own field, of which `value` bytes follow.
void putKey(std::vector<std::uint8_t>& out, std::uint32_t number, std::string_view key, std::size_t value) {
  putVarint(out, tag(number, Wire::Length));
  putVarint(out, 1 + varintSize(key.size()) + key.size() + 1 + varintSize(value) + value);
  putVarint(out, tag(1, Wire::Length));
  putVarint(out, key.size());
  putText(out, key);
  putVarint(out, tag(2, Wire::Length));
  putVarint(out, value);
}

void putNumber(std::vector<std::uint8_t>& out, std::uint32_t number, std::string_view key, std::uint32_t member,
               std::uint64_t value) {
  putKey(out, number, key, 1 + varintSize(value));
  putVarint(out, tag(member, Wire::Varint));
  putVarint(out, value);
}

}  // namespace

void AttributeEncoder::string(std::string_view key, std::string_view value) {
  std::size_t size = 0;
  wellFormed(value, [&](std::string_view piece) { size += piece.size(); });
  putKey(out_, number_, key, 1 + varintSize(size) + size);
  putVarint(out_, tag(1, Wire::Length));
  putVarint(out_, size);
  wellFormed(value, [&](std::string_view piece) { putText(out_, piece); });
}

void AttributeEncoder::boolean(std::string_view key, bool value) { putNumber(out_, number_, key, 2, value); }

void AttributeEncoder::integer(std::string_view key, std::int64_t value) {
  putNumber(out_, number_, key, 3, static_cast<std::uint64_t>(value));
}

void AttributeEncoder::real(std::string_view key, double value) {
  putKey(out_, number_, key, 9);
  putVarint(out_, tag(4, Wire::Fixed64));
  static_assert(std::endian::native == std::endian::little);
  std::uint8_t bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out_.insert(out_.end(), bytes, bytes + sizeof bytes);
}

}  // namespace driftlock::otlp
