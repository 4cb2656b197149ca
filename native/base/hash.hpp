#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "base/bytes.hpp"
#include "base/words.hpp"
#include "base/work.hpp"

namespace driftlock {

/// SipHash-1-3 (J.-P. Aumasson, D. J. Bernstein, SipHash: a fast short-input PRF, 2012), equal on every machine. Without the key,
/// nobody can choose inputs that collide or distinguish a hash from chance.
class KeyedHash {
  /// SipHash's four words. Texts end with their length in the last word's upper byte; numbers end with a word that no text of
  /// that many words ends with.
  struct State {
    std::uint64_t v0, v1, v2, v3;

    bool operator==(const State&) const = default;
    void round() {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
    void word(std::uint64_t word) {
      v3 ^= word;
      round();
      v0 ^= word;
    }
    void number(std::uint64_t value) {
      word(value);
      word(std::uint64_t{0xff} << 56);
    }
    /// @param before the number of bytes hashed before
    void text(Bytes bytes, std::size_t before = 0) {
      countWork(bytes.size());
      const std::uint8_t* p = bytes.data();
      std::size_t left = bytes.size();
      for (; left >= 8; left -= 8, p += 8) word(loadWord(p));
      word(lastBytes(bytes, left) | std::uint64_t{bytes.size() + before} << 56);
    }
    std::uint64_t end() const {
      State s = *this;
      s.v2 ^= 0xff;
      for (int i = 0; i < 3; ++i) s.round();
      return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
    }
  };

 public:
  explicit KeyedHash(std::array<std::uint64_t, 2> key)
      : start_{key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
               key[1] ^ 0x7465646279746573} {}

  /// Whether they hash with the same key.
  bool operator==(const KeyedHash&) const = default;

  std::uint64_t operator()(Bytes bytes, std::uint64_t seed = 0) const {
    State state = start_;
    state.word(seed);
    state.text(bytes, sizeof seed);
    return state.end();
  }
  std::uint64_t operator()(std::uint64_t value, std::uint64_t seed) const {
    State state = start_;
    state.word(seed);
    state.number(value);
    return state.end();
  }

  /// A name under which values are hashed: cheaper than seeding with the name's hash.
  class Name {
   public:
    std::uint64_t hash() const { return hash_; }
    std::uint64_t value(Bytes bytes) const {
      State state = behind_;
      state.text(bytes);
      return state.end();
    }
    std::uint64_t value(std::uint64_t number) const {
      State state = behind_;
      state.number(number);
      return state.end();
    }

   private:
    friend KeyedHash;
    explicit Name(State state) : hash_(state.end()), behind_(state) {
      // This makes the end of the name significant.
      behind_.v1 ^= 0xee;
    }

    std::uint64_t hash_;
    State behind_;
  };
  Name name(Bytes bytes) const {
    State state = start_;
    state.text(bytes);
    return Name(state);
  }

 private:
  State start_;
};

}  // namespace driftlock
