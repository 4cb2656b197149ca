#include "base/hash.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "stream/hash_key.hpp"
#include "test.hpp"

using namespace driftlock;

namespace {

/// Bytes 0, 1, 2, …, which the reference implementation's vectors use as key and input.
std::vector<std::uint8_t> counting(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

const KeyedHash reference({0x0706050403020100, 0x0f0e0d0c0b0a0908});

/// Checks vectors made by an implementation of the paper that gives the paper's own vector with its 2 and 4 rounds.
TEST(isSiphash13) {
  const std::pair<std::size_t, std::uint64_t> vectors[] = {
      {0, 0xabac0158050fc4dc},  {1, 0xc9f49bf37d57ca93},  {3, 0x8bf80ab8e7ddf7fb},
      {5, 0xdef9d52f49533b67},  {7, 0xd3927d989bb11140},  {8, 0x369095118d299a8e},
      {15, 0xd320d86d2a519956}, {16, 0xcc4fdd1a7d908b66}, {63, 0x9d199062b7bbb3a8},
  };
  for (const auto& [size, hash] : vectors) CHECK(reference.name(counting(size)).hash() == hash);
  // A seed is hashed as the first 8 bytes, before the input.
  CHECK(reference(bytesOf("driftlock"), 42) == 0xc8262d73cbd5be79);
}

/// Checks that names have ends, that numbers are not texts, and that different things have different hashes.
TEST(tellsApart) {
  std::set<std::uint64_t> seen;
  std::size_t hashed = 0;
  const auto add = [&](std::uint64_t hash) {
    seen.insert(hash);
    ++hashed;
  };
  const std::vector<std::uint8_t> bytes = counting(600);
  for (std::size_t name = 0; name <= 300; name += name < 20 ? 1 : 28) {
    const KeyedHash::Name named = reference.name(Bytes(bytes).first(name));
    for (std::size_t value = 0; value <= 300; value += value < 20 ? 1 : 28) add(named.value(Bytes(bytes).subspan(name, value)));
    add(named.value(std::uint64_t{name}));
  }
  for (std::size_t size = 0; size < 300; ++size) {
    add(reference(Bytes(bytes).first(size)));
    add(reference(Bytes(bytes).first(size), 1));
    add(reference(std::uint64_t{size}, 0));
  }
  // This is the text whose bytes equal a number's words.
  std::uint64_t number = 0x0361626300000000;
  std::uint8_t raw[8];
  std::memcpy(raw, &number, sizeof raw);
  add(reference.name({}).value(number));
  add(reference.name({}).value(Bytes(raw)));
  CHECK(seen.size() == hashed);
}

/// Checks the block that made the former hash, which had no key, forget all that came before: one that begins with its constant.
TEST(noBlockForgetsWhatWasBefore) {
  const std::string block("\xdb\x28\xb4\xa0\xd1\x7e\x03\xe7", 8);
  const auto line = [&](const std::string& text) { return text + std::string(96 - text.size(), ' ') + block + "aaaaaaaa end"; };
  const std::string a = line("request by agent mozilla"), b = line("FATAL rm -rf / ; DROP TABLE payments ;");
  CHECK(KeyedHash({0, 0}).name({}).value(bytesOf(a)) != KeyedHash({0, 0}).name({}).value(bytesOf(b)));
}

TEST(keysOfStreamsDiffer) {
  HashKey key{}, other{};
  other[31] = 1;
  CHECK(fingerprintOf(key) != fingerprintOf(other));
  std::set<std::uint64_t> seen;
  for (const HashKey& each : {key, other}) {
    seen.insert(streamHash(each)(bytesOf("shop")));
    for (std::uint64_t stream : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32})
      seen.insert(hashOfStream(each, stream)(bytesOf("shop")));
  }
  CHECK(seen.size() == 8);
}

std::string hex(const Digest& digest) {
  std::string out;
  for (const std::uint8_t byte : digest) {
    out += "0123456789abcdef"[byte >> 4];
    out += "0123456789abcdef"[byte & 15];
  }
  return out;
}

TEST(sha256IsThatOfTheStandard) {
  const auto digestOf = [](const std::string& text) {
    Sha256 hash;
    // In pieces of all sizes.
    for (std::size_t i = 0, piece = 1; i < text.size(); i += piece++)
      hash.update(bytesOf(std::string_view(text).substr(i, piece)));
    return hex(hash.finish());
  };
  CHECK(digestOf("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(digestOf("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(digestOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(digestOf(std::string(1'000'000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  // RFC 4231, test cases 2 and 6.
  CHECK(hex(hmacSha256(bytesOf("Jefe"), bytesOf("what do ya want for nothing?"))) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(hex(hmacSha256(bytesOf(std::string(131, '\xaa')), bytesOf("Test Using Larger Than Block-Size Key - Hash Key First"))) ==
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
