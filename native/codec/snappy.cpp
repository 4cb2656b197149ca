// Snappy, which other senders use and Driftlock itself does not: https://github.com/google/snappy, format_description.txt and
// framing_format.txt.
#include <algorithm>
#include <array>
#include <string>

#include "codec/encodings.hpp"
#include "codec/implementations.hpp"

namespace driftlock {
namespace {

constexpr std::array<std::uint8_t, 10> kStreamIdentifier{0xFF, 6, 0, 0, 's', 'N', 'a', 'P', 'p', 'Y'};
/// The largest size of a decompressed chunk.
constexpr std::size_t kMaxChunk = 65'536;
constexpr std::size_t kMaxLengthBytes = 5;

DamagedInput damaged(const char* what) { return DamagedInput(std::string("snappy: ") + what); }

std::length_error tooLarge(std::size_t maxSize) {
  return std::length_error("snappy: the output is larger than " + std::to_string(maxSize) + " bytes");
}

/// Reads from the front of bytes; whatever is missing is damage.
class Reader {
 public:
  explicit Reader(Bytes bytes) : left_(bytes) {}

  bool done() const { return left_.empty(); }
  std::size_t size() const { return left_.size(); }

  Bytes take(std::size_t size) {
    if (size > left_.size()) throw damaged("it ends early");
    const auto taken = left_.first(size);
    left_ = left_.subspan(size);
    return taken;
  }

  std::uint32_t number(std::size_t size) {
    std::uint32_t value = 0;
    const auto bytes = take(size);
    for (std::size_t i = 0; i < size; ++i) value |= std::uint32_t{bytes[i]} << (8 * i);
    return value;
  }

  std::uint32_t varint() {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < kMaxLengthBytes; ++i) {
      const auto byte = number(1);
      value |= std::uint64_t{byte & 0x7F} << (7 * i);
      if (byte >= 0x80) continue;
      if (value > UINT32_MAX) break;
      return static_cast<std::uint32_t>(value);
    }
    throw damaged("its length is malformed");
  }

 private:
  Bytes left_;
};

/// Decodes the elements of a block, which fill `out` exactly.
void decodeElements(Reader& reader, std::span<std::uint8_t> out) {
  std::size_t filled = 0;
  const auto copy = [&](std::size_t length, std::size_t offset) {
    if (offset == 0 || offset > filled || length > out.size() - filled) throw damaged("a copy is out of range");
    // The copy may overlap its own output.
    for (std::size_t i = 0; i < length; ++i, ++filled) out[filled] = out[filled - offset];
  };
  while (!reader.done()) {
    const auto tag = reader.number(1);
    switch (tag & 3) {
      case 0: {
        std::size_t length = tag >> 2;
        if (length >= 60) length = reader.number(length - 59);
        length += 1;
        if (length > out.size() - filled) throw damaged("a literal is out of range");
        const auto literal = reader.take(length);
        std::copy(literal.begin(), literal.end(), out.begin() + static_cast<std::ptrdiff_t>(filled));
        filled += length;
        break;
      }
      case 1: copy(4 + ((tag >> 2) & 7), ((tag >> 5) << 8) | reader.number(1)); break;
      case 2: copy(1 + (tag >> 2), reader.number(2)); break;
      default: copy(1 + (tag >> 2), reader.number(4));
    }
  }
  if (filled != out.size()) throw damaged("it is shorter than its length says");
}

OwnedBytes decodeBlock(Bytes bytes, std::size_t maxSize) {
  Reader reader(bytes);
  const std::size_t length = reader.varint();
  if (length > maxSize) throw tooLarge(maxSize);
  // Three bytes stand for 64 at most: a length beyond that is a lie, and nothing is allocated for it.
  if (length / 64 > bytes.size()) throw damaged("its length does not fit the block");
  auto out = codecs::allocate(length);
  decodeElements(reader, {out.data.get(), out.size});
  return out;
}

constexpr std::array<std::uint32_t, 256> crcTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < table.size(); ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
    table[i] = crc;
  }
  return table;
}

/// Returns the CRC-32C, masked as the framing format requires.
std::uint32_t maskedChecksum(Bytes bytes) {
  static constexpr auto kTable = crcTable();
  std::uint32_t crc = 0xFFFFFFFF;
  for (const auto byte : bytes) crc = (crc >> 8) ^ kTable[(crc ^ byte) & 0xFF];
  crc = ~crc;
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8u;
}

OwnedBytes decodeFrames(Bytes bytes, std::size_t maxSize) {
  // Its pages occupy memory as they are written.
  auto out = codecs::allocate(maxSize);
  std::size_t filled = 0;
  const auto append = [&](std::uint32_t checksum, Bytes chunk) {
    if (chunk.size() > kMaxChunk) throw damaged("a chunk is too long");
    if (checksum != maskedChecksum(chunk)) throw damaged("a checksum does not match");
    if (chunk.size() > maxSize - filled) throw tooLarge(maxSize);
    std::copy(chunk.begin(), chunk.end(), out.data.get() + filled);
    filled += chunk.size();
  };
  for (Reader reader(bytes); !reader.done();) {
    const auto kind = reader.number(1);
    Reader chunk(reader.take(reader.number(3)));
    const auto rest = [&] { return chunk.take(chunk.size()); };
    if (kind == 0x00) {
      const auto checksum = chunk.number(4);
      append(checksum, decodeBlock(rest(), kMaxChunk));
    } else if (kind == 0x01) {
      const auto checksum = chunk.number(4);
      append(checksum, rest());
    } else if (kind >= 0x02 && kind <= 0x7F) {
      throw damaged("it has a chunk of an unknown kind");
    }
    // Others are repeated stream identifiers, and chunks that may be skipped.
  }
  return codecs::shrunk(std::move(out), filled);
}

}  // namespace

OwnedBytes decompressSnappy(Bytes bytes, std::size_t maxSize) {
  const bool framed =
      bytes.size() >= kStreamIdentifier.size() && std::equal(kStreamIdentifier.begin(), kStreamIdentifier.end(), bytes.begin());
  return framed ? decodeFrames(bytes, maxSize) : decodeBlock(bytes, maxSize);
}

}  // namespace driftlock
