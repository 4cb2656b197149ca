#include "codec/codec.hpp"
#include "codec/encodings.hpp"

#include <openzl/openzl.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "cbad/chacha20.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

using Data = std::vector<std::uint8_t>;

constexpr std::array kCodecNames{CodecName::Openzl, CodecName::Zstd, CodecName::Lz4, CodecName::Gzip};

Bytes bytesOf(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

bool same(Bytes a, Bytes b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

Data copy(Bytes bytes) { return {bytes.begin(), bytes.end()}; }

/// Whether `call` throws exactly this type.
template <class Exception, class Call>
bool throws(Call&& call) {
  try {
    call();
  } catch (const Exception&) {
    return true;
  } catch (...) {
  }
  return false;
}

Data random(std::size_t size, std::uint64_t seed, std::uint32_t values = 256) {
  ChaCha20Random generator(seed);
  Data data(size);
  for (auto& byte : data) byte = static_cast<std::uint8_t>(generator.below(values));
  return data;
}

/// A column of each kind over the same bytes, whose number is a multiple of 24.
struct Columns {
  std::vector<std::uint32_t> lengths;
  std::vector<Column> all;

  explicit Columns(std::size_t size) {
    std::size_t rest = size;
    for (std::uint32_t i = 0; rest > 0; ++i) {
      const auto length = std::min<std::size_t>(rest, i * 7 % 23);
      lengths.push_back(static_cast<std::uint32_t>(length));
      rest -= length;
    }
    lengths.push_back(0);
    all.push_back({});
    for (const std::size_t width : {1, 2, 4, 8})
      for (const bool sorted : {false, true}) all.push_back({.kind = Column::Kind::Numeric, .width = width, .sorted = sorted});
    for (const std::size_t width : {1, 2, 3, 4, 8, 12, 24}) all.push_back({.kind = Column::Kind::Fixed, .width = width});
    if (size > 0) all.push_back({.kind = Column::Kind::Fixed, .width = size});
    all.push_back({.kind = Column::Kind::String, .lengths = lengths});
  }
};

TEST(roundTrips) {
  for (const std::size_t size : {0, 24, 48, 240, 4800, 120000}) {
    for (const std::uint32_t values : {1, 4, 256}) {
      const auto data = random(size, size + values, values);
      const Columns columns(size);
      for (const auto name : kCodecNames) {
        const auto codec = makeCodec(name);
        for (const auto& column : columns.all) {
          const auto compressed = copy(codec->compress(data, column));
          CHECK(codec->compressedSize(data, column) == compressed.size());
          CHECK(same(decompress(name, compressed, size), data));
          if (size > 0) CHECK(throws<std::length_error>([&] { decompress(name, compressed, size - 1); }));
        }
      }
    }
  }
}

TEST(everyLevel) {
  const auto data = random(30000, 1, 8);
  const std::array<std::pair<int, int>, 4> ranges{{{1, 9}, {1, 19}, {1, 12}, {1, 9}}};
  for (std::size_t i = 0; i < kCodecNames.size(); ++i) {
    for (int level = ranges[i].first; level <= ranges[i].second; ++level) {
      const auto codec = makeCodec(kCodecNames[i], level);
      CHECK(codec->level() == level && codec->name() == kCodecNames[i] && codec->reach() > 32000);
      for (const Bytes bytes : {Bytes(data), Bytes(data).first(1), Bytes(data).first(0), Bytes()})
        CHECK(same(decompress(kCodecNames[i], copy(codec->compress(bytes)), bytes.size()), bytes));
    }
    CHECK(throws<std::out_of_range>([&] { makeCodec(kCodecNames[i], ranges[i].first - 1); }));
    CHECK(throws<std::out_of_range>([&] { makeCodec(kCodecNames[i], ranges[i].second + 1); }));
  }
}

/// Checks that neither earlier uses of a context nor the thread change the output.
TEST(deterministic) {
  const auto data = random(50000, 2, 16);
  const Columns columns(48000);
  const Bytes whole(data.data(), 48000);
  for (const auto name : kCodecNames) {
    for (const auto level : {std::optional<int>{}, std::optional<int>{1}, std::optional<int>{5}}) {
      const auto codec = makeCodec(name, level);
      std::vector<Data> first;
      for (const auto& column : columns.all) first.push_back(copy(codec->compress(whole, column)));
      for (std::size_t i = 0; i < 40; ++i) codec->compress(Bytes(data).subspan(i * 1000 % 7919, i * 977 % 40000));
      for (std::size_t i = 0; i < columns.all.size(); ++i) CHECK(same(codec->compress(whole, columns.all[i]), first[i]));
      bool equal = true;
      std::thread([&] {
        for (std::size_t i = 0; i < columns.all.size(); ++i) equal &= same(codec->compress(whole, columns.all[i]), first[i]);
      }).join();
      CHECK(equal);
    }
  }
}

TEST(stringsKeepTheirLengths) {
  const std::string text = "GET /POST /GET /GET /healthz";
  const std::vector<std::uint32_t> lengths{5, 6, 5, 5, 0, 7};
  const auto compressed =
      copy(makeCodec(CodecName::Openzl)->compress(bytesOf(text), {.kind = Column::Kind::String, .lengths = lengths}));
  auto* context = ZL_DCtx_create();
  auto* buffer = ZL_TypedBuffer_create();
  CHECK(!ZL_isError(ZL_DCtx_decompressTBuffer(context, buffer, compressed.data(), compressed.size())));
  CHECK(ZL_TypedBuffer_type(buffer) == ZL_Type_string);
  CHECK(ZL_TypedBuffer_numElts(buffer) == lengths.size());
  CHECK(std::equal(lengths.begin(), lengths.end(), ZL_TypedBuffer_rStringLens(buffer)));
  ZL_TypedBuffer_free(buffer);
  ZL_DCtx_free(context);
  CHECK(same(decompress(CodecName::Openzl, compressed, text.size()), bytesOf(text)));
}

/// Checks that the graph that fits a column's type beats the bytes alone.
TEST(graphsFit) {
  const auto codec = makeCodec(CodecName::Openzl);
  ChaCha20Random generator(3);
  std::vector<std::uint64_t> timestamps(4096);
  std::uint64_t now = 1'700'000'000'000'000'000;
  for (auto& t : timestamps) t = now += generator.below(20) * 1'000'000ull;
  const Bytes numbers(reinterpret_cast<const std::uint8_t*>(timestamps.data()), timestamps.size() * 8);
  const auto sorted = codec->compressedSize(numbers, {.kind = Column::Kind::Numeric, .width = 8, .sorted = true});
  CHECK(sorted < codec->compressedSize(numbers) / 4);
  // 20 equally likely steps cost log2 20 bits each; the code and its table may take 3 % more.
  CHECK(sorted < 1.03 * 4096 * std::log2(20) / 8 + 64);

  std::string text;
  std::vector<std::uint32_t> lengths;
  for (int i = 0; i < 4096; ++i) {
    const auto path = "/api/v1/products/" + std::to_string(generator.below(50));
    text += path;
    lengths.push_back(static_cast<std::uint32_t>(path.size()));
  }
  CHECK(codec->compressedSize(bytesOf(text), {.kind = Column::Kind::String, .lengths = lengths}) <
        codec->compressedSize(bytesOf(text)));

  Data rows;
  for (std::uint32_t i = 0; i < 4096; ++i) {
    const std::uint32_t row[] = {i * 3, generator.below(4), generator.below(1000)};
    rows.insert(rows.end(), reinterpret_cast<const std::uint8_t*>(row), reinterpret_cast<const std::uint8_t*>(row + 3));
  }
  CHECK(codec->compressedSize(rows, {.kind = Column::Kind::Fixed, .width = 12}) < codec->compressedSize(rows));
}

TEST(misalignedNumbers) {
  const auto data = random(8 * 100 + 1, 4);
  const auto bytes = Bytes(data).subspan(1);
  const auto compressed =
      copy(makeCodec(CodecName::Openzl)->compress(bytes, {.kind = Column::Kind::Numeric, .width = 8, .sorted = true}));
  CHECK(same(decompress(CodecName::Openzl, compressed, bytes.size()), bytes));
}

TEST(columnsThatDoNotFit) {
  const auto data = random(10, 5);
  const std::vector<std::uint32_t> lengths{4, 5};
  for (const auto name : kCodecNames) {
    const auto codec = makeCodec(name);
    const auto refuses = [&](const Column& column) {
      return throws<std::invalid_argument>([&] { codec->compress(data, column); });
    };
    CHECK(refuses({.kind = Column::Kind::Numeric, .width = 3}));
    CHECK(refuses({.kind = Column::Kind::Numeric, .width = 4}));
    CHECK(refuses({.kind = Column::Kind::Fixed, .width = 0}));
    CHECK(refuses({.kind = Column::Kind::Fixed, .width = 3}));
    CHECK(refuses({.kind = Column::Kind::String, .lengths = lengths}));
  }
}

/// Checks frames of other programs, without a size in the header, in several pieces, or with a false size.
TEST(foreignFrames) {
  const auto data = random(300000, 6, 4);
  // A streamed zstd frame has no content size.
  auto* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  Data unsized(ZSTD_compressBound(data.size()));
  unsized.resize(ZSTD_compress2(context, unsized.data(), unsized.size(), data.data(), data.size()));
  ZSTD_freeCCtx(context);
  CHECK(ZSTD_getFrameContentSize(unsized.data(), unsized.size()) == ZSTD_CONTENTSIZE_UNKNOWN);
  CHECK(same(decompress(CodecName::Zstd, unsized, data.size()), data));
  CHECK(same(decompress(CodecName::Zstd, unsized, 1 << 30), data));
  CHECK(throws<std::length_error>([&] { decompress(CodecName::Zstd, unsized, data.size() - 1); }));

  // Concatenated members and frames decompress to their concatenated contents.
  for (const auto name : {CodecName::Zstd, CodecName::Gzip}) {
    auto twice = copy(makeCodec(name)->compress(data));
    const auto once = twice;
    twice.insert(twice.end(), once.begin(), once.end());
    auto expected = data;
    expected.insert(expected.end(), data.begin(), data.end());
    CHECK(same(decompress(name, twice, expected.size()), expected));
    CHECK(throws<std::length_error>([&] { decompress(name, twice, expected.size() - 1); }));
  }

  // If gzip's trailer understates or overstates the size, zlib itself detects it.
  for (const int byte : {1, 4}) {
    auto lying = copy(makeCodec(CodecName::Gzip)->compress(data));
    lying[lying.size() - static_cast<std::size_t>(byte)] ^= 0x55;
    CHECK(throws<std::runtime_error>([&] { decompress(CodecName::Gzip, lying, data.size()); }));
  }

  // LZ4 refuses a length that no block of this size can have, and one beyond 32 bits.
  CHECK(throws<std::runtime_error>([] { decompress(CodecName::Lz4, Data{0xFF, 0xFF, 0xFF, 0x7F, 0x00}, 1ull << 40); }));
  CHECK(throws<std::runtime_error>([] { decompress(CodecName::Lz4, Data{0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00}, 1ull << 40); }));
  CHECK(throws<std::length_error>([] { decompress(CodecName::Lz4, Data{0xFF, 0xFF, 0xFF, 0x7F, 0x00}, 1000); }));
}

/// Checks that megabytes of zeros in a few kilobytes are refused by their claimed size, before they expand.
TEST(bombs) {
  const Data zeros(8 << 20);
  for (const auto name : kCodecNames) {
    const auto bomb = copy(makeCodec(name)->compress(zeros));
    CHECK(bomb.size() < zeros.size() / 200);
    CHECK(throws<std::length_error>([&] { decompress(name, bomb, 1 << 16); }));
    CHECK(throws<std::length_error>([&] { decompress(name, bomb, 0); }));
    CHECK(same(decompress(name, bomb, zeros.size()), zeros));
  }
  // Strings without bytes have output as well: their lengths.
  const std::vector<std::uint32_t> lengths(1 << 20, 0);
  const auto empty = copy(makeCodec(CodecName::Openzl)->compress({}, {.kind = Column::Kind::String, .lengths = lengths}));
  CHECK(throws<std::length_error>([&] { decompress(CodecName::Openzl, empty, 1000); }));
  CHECK(decompress(CodecName::Openzl, empty, 1 << 20).size == 0);

  // An OpenZL frame that claims ten bytes and holds 32 MiB inside. The claim, plus 1, is the varint after magic and type.
  auto lying = copy(makeCodec(CodecName::Openzl)->compress(Data(32 << 20)));
  const Data claim{0x81, 0x80, 0x80, 0x10}, lie{0x8b, 0x80, 0x80, 0x00};
  CHECK(std::equal(claim.begin(), claim.end(), lying.begin() + 6));
  std::copy(lie.begin(), lie.end(), lying.begin() + 6);
  CHECK(throws<std::length_error>([&] { decompress(CodecName::Openzl, lying, 1000); }));
}

/// Checks that damaged input gives an error or bytes within the bound, never more.
TEST(damage) {
  const auto data = random(600, 7, 6);
  const Columns columns(600);
  ChaCha20Random generator(8);
  for (const auto name : kCodecNames) {
    CHECK(throws<std::runtime_error>([&] { decompress(name, {}, 100); }));
    const auto codec = makeCodec(name);
    for (const auto& column : columns.all) {
      const auto whole = copy(codec->compress(data, column));
      for (int i = 0; i < 300; ++i) {
        auto frame = whole;
        for (auto flips = generator.below(3) + 1; flips > 0; --flips)
          frame[generator.below(static_cast<std::uint32_t>(frame.size()))] ^= static_cast<std::uint8_t>(1 + generator.below(255));
        if (generator.below(4) == 0) frame.resize(generator.below(static_cast<std::uint32_t>(frame.size())));
        try {
          CHECK(decompress(name, frame, 2000).size <= 2000);
        } catch (const std::length_error&) {
        } catch (const std::runtime_error&) {
        }
      }
    }
  }
}

std::vector<std::uint8_t> fromHex(std::string_view hex) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
  return bytes;
}

/// Checks encodings of other programs, and damaged ones: no read or write out of bounds, and never more than is allowed.
TEST(encodingsOfOthers) {
  using Decompress = OwnedBytes (*)(Bytes, std::size_t);
  struct Case {
    Decompress decompress;
    std::string_view hex;
  };
  constexpr std::array<Case, 3> kCases{{
      {decompressLz4Frames,
       "04224d185440ae20000000616f6e65206c690500df6b6520746865206f746865720a18003050746865720a6514b75c00000000eb7f0f6b"},
      {decompressSnappy, "60146f6e65206c690505306b6520746865206f746865720afe18001118"},
      {decompressSnappy, "ff060000734e61507059002100000410ee6960146f6e65206c690505306b6520746865206f746865720afe18001118"},
  }};
  const std::string line = "one line like the other\n";
  const auto expected = line + line + line + line;
  ChaCha20Random generator(11);
  for (const Case& each : kCases) {
    const Decompress decompress = each.decompress;
    const auto whole = fromHex(each.hex);
    for (const std::size_t room : {expected.size(), std::size_t{1} << 20}) {
      const auto out = decompress(whole, room);
      CHECK(std::string(reinterpret_cast<const char*>(out.data.get()), out.size) == expected);
    }
    CHECK(throws<std::length_error>([&] { decompress(whole, expected.size() - 1); }));
    CHECK(throws<std::runtime_error>([&] { decompress({}, 100); }));
    CHECK(throws<std::runtime_error>([&] { decompress(Bytes(whole).first(whole.size() - 1), 100); }));
    for (int i = 0; i < 5'000; ++i) {
      auto frame = whole;
      for (auto flips = generator.below(3) + 1; flips > 0; --flips)
        frame[generator.below(static_cast<std::uint32_t>(frame.size()))] ^= static_cast<std::uint8_t>(1 + generator.below(255));
      if (generator.below(4) == 0) frame.resize(generator.below(static_cast<std::uint32_t>(frame.size())));
      try {
        CHECK(decompress(frame, 2000).size <= 2000);
      } catch (const std::length_error&) {
      } catch (const std::runtime_error&) {
      }
    }
  }
}

TEST(names) {
  for (const auto name : kCodecNames) CHECK(codecNamed(toString(name)) == name);
  CHECK(!codecNamed("brotli"));
}

}  // namespace
