#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#ifdef __SSE2__
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace driftlock::privacy {

/// Sixteen bytes that are compared at once, with whatever instructions the processor has.
using Sixteen = std::uint8_t __attribute__((vector_size(16)));

/// Returns one bit for each byte of a comparison, without instructions of a processor.
inline std::uint64_t portableBitsOf(Sixteen compared) {
  std::uint64_t halves[2];
  std::memcpy(halves, &compared, sizeof halves);
  // The product collects the highest bits of the bytes in its highest byte.
  const auto bitsOf = [](std::uint64_t half) { return (half & 0x8080808080808080) * 0x0002040810204081 >> 56; };
  static_assert(std::endian::native == std::endian::little);
  return bitsOf(halves[0]) | bitsOf(halves[1]) << 8;
}

inline std::uint64_t bitsOf(Sixteen compared) {
#ifdef __SSE2__
  return static_cast<std::uint64_t>(_mm_movemask_epi8(std::bit_cast<__m128i>(compared)));
#else
  return portableBitsOf(compared);
#endif
}

/// The classes of the bytes of a block, one bit for each byte, from the lowest. Bytes beyond the end of the text are of none.
struct ByteClasses {
  static constexpr std::size_t kBlock = 64;

  std::uint64_t digit = 0;
  /// Letters are those of ASCII, and all bytes of others.
  std::uint64_t letter = 0, underscore = 0;
  /// One of "-.", which tokens may hold.
  std::uint64_t joint = 0;
  /// One of " -./)".
  std::uint64_t separator = 0;
  /// One of "@:=+(".
  std::uint64_t sign = 0;
  /// The letter b.
  std::uint64_t b = 0;

  /// Returns those of a block of a text, by where it begins.
  static ByteClasses of(std::string_view text, std::size_t block) {
#ifdef __SSE2__
    static const bool wide = hasWide();
    if (wide) return ofWide(text, block);
#endif
    return ofSixteens(text, block);
  }

#ifdef __SSE2__
  /// Returns whether `ofWide` can be called. It asks the processor itself, because `__builtin_cpu_supports` of zig never finds
  /// anything.
  [[gnu::target("xsave")]] static bool hasWide() {
    constexpr unsigned kXgetbv = 1U << 27, kAvx512 = 1U << 16 | 1U << 30;
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & kXgetbv) == 0) return false;
    // The operating system has to preserve the registers of SSE, AVX and AVX-512.
    constexpr unsigned long long kPreserved = 0xe6;
    if ((_xgetbv(0) & kPreserved) != kPreserved) return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & kAvx512) == kAvx512;
  }

  /// The same with AVX-512, which compares all bytes of a block at once.
  [[gnu::target("avx512bw")]] static ByteClasses ofWide(std::string_view text, std::size_t block) {
    const std::size_t size = std::min(text.size() - block, kBlock);
    const __mmask64 within = size == kBlock ? ~__mmask64{0} : (__mmask64{1} << size) - 1;
    // What is beyond the end is 0, which is of no class.
    const __m512i bytes = _mm512_maskz_loadu_epi8(within, text.data() + block), lower = _mm512_or_si512(bytes, all(0x20));
    const __m512i fromDash = _mm512_sub_epi8(bytes, all('-'));
    return {
        .digit = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, all('0')), all(10)),
        .letter = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(lower, all('a')), all(26)) | _mm512_movepi8_mask(bytes),
        .underscore = equal(bytes, '_'),
        .joint = _mm512_cmplt_epu8_mask(fromDash, all(2)),
        .separator = _mm512_cmplt_epu8_mask(fromDash, all(3)) | equal(bytes, ' ') | equal(bytes, ')'),
        .sign = equal(bytes, '@') | equal(bytes, ':') | equal(bytes, '=') | equal(bytes, '+') | equal(bytes, '('),
        .b = equal(lower, 'b'),
    };
  }
#endif

  /// The same with whatever instructions every processor has.
  [[gnu::always_inline]] static ByteClasses ofSixteens(std::string_view text, std::size_t block) {
    ByteClasses classes;
    const std::size_t size = std::min(text.size() - block, kBlock), whole = size / sizeof(Sixteen) * sizeof(Sixteen);
    if (size == kBlock) {
#pragma GCC unroll 4
      for (std::size_t at = 0; at < kBlock; at += sizeof(Sixteen)) classes.add(load(text.data() + block + at), at, 0);
      return classes;
    }
    for (std::size_t at = 0; at < whole; at += sizeof(Sixteen)) classes.add(load(text.data() + block + at), at, 0);
    if (whole == size) return classes;
    if (text.size() >= sizeof(Sixteen)) {
      // The last bytes are read with those before them, which are shifted out.
      classes.add(load(text.data() + text.size() - sizeof(Sixteen)), whole, sizeof(Sixteen) - (size - whole));
    } else {
      char few[sizeof(Sixteen)] = {};
      std::memcpy(few, text.data(), text.size());
      classes.add(load(few), 0, 0);
    }
    return classes;
  }

  /// Letters, digits and underscores.
  std::uint64_t word() const { return digit | letter | underscore; }

 private:
#ifdef __SSE2__
  [[gnu::target("avx512bw")]] static __m512i all(char c) { return _mm512_set1_epi8(c); }
  [[gnu::target("avx512bw")]] static __mmask64 equal(__m512i bytes, char c) { return _mm512_cmpeq_epi8_mask(bytes, all(c)); }
#endif

  static Sixteen load(const char* from) {
    Sixteen bytes;
    std::memcpy(&bytes, from, sizeof bytes);
    return bytes;
  }

  /// Adds bytes at a place of the block, without the first ones.
  [[gnu::always_inline]] void add(Sixteen bytes, std::size_t at, std::size_t without) {
    const auto is = [](Sixteen each, char c) { return std::bit_cast<Sixteen>(each == static_cast<std::uint8_t>(c)); };
    const auto within = [](Sixteen each, char first, std::uint8_t count) {
      return std::bit_cast<Sixteen>(each - static_cast<std::uint8_t>(first) < count);
    };
    const auto to = [&](std::uint64_t& bits, Sixteen compared) { bits |= bitsOf(compared) >> without << at; };
    const Sixteen lower = bytes | std::uint8_t{0x20}, joints = is(bytes, '-') | is(bytes, '.');
    to(digit, within(bytes, '0', 10));
    // The highest bit is that of a letter that is not ASCII.
    to(letter, within(lower, 'a', 26) | bytes);
    to(underscore, is(bytes, '_'));
    to(joint, joints);
    to(separator, joints | is(bytes, ' ') | is(bytes, '/') | is(bytes, ')'));
    to(sign, is(bytes, '@') | is(bytes, ':') | is(bytes, '=') | is(bytes, '+') | is(bytes, '('));
    to(b, is(lower, 'b'));
  }
};

}  // namespace driftlock::privacy
