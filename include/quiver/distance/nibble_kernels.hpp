// SIMD kernels for rows that are kept as numbers from 0 to 15, two to a byte: the inner product with a query's weights of 8 bits, exact, the same on every
// machine.
#pragma once

#include <quiver/distance/code_kernels.hpp>

#include <cstddef>
#include <cstdint>

namespace quiver::detail {

/// The largest weight of a nibble: the sum of two products fits in 16 bits, of max_code_dimension in 32, whatever their order.
inline constexpr std::int32_t largest_nibble_weight = 127;
static_assert(15 * largest_nibble_weight * std::int64_t{max_code_dimension} < (std::int64_t{1} << 31));

/// sum((codes[i] & 15) * low[i] + (codes[i] >> 4) * high[i]) over i < padded, where `high` lies behind `low`. Exact: nothing is rounded, nothing overflows.
/// REQUIRES: padded is a multiple of code_block, at most max_code_dimension / 2; weights are within largest_nibble_weight; `padded` bytes can be read.
template <class Arch>
struct NibbleProduct {
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot(const std::byte* codes, const std::int8_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(codes);
#if defined(__AVX512BW__) && defined(__AVX512F__)
    if constexpr (code_lanes<Arch> == 64) return dot_512(bytes, weights, padded, fetch);
#endif
#if defined(__AVX2__)
    if constexpr (code_lanes<Arch> == 32) return dot_256(bytes, weights, padded, fetch);
#endif
#if defined(__SSE2__)
    if constexpr (code_lanes<Arch> == 16) return dot_128(bytes, weights, padded, fetch);
#endif
#if defined(__aarch64__)
    if constexpr (code_lanes<Arch> == 16) return dot_neon(bytes, weights, padded, fetch);
#endif
    return oracle(codes, weights, padded);
  }
  /// The same, byte by byte.
  static std::int32_t oracle(const std::byte* codes, const std::int8_t* weights, std::size_t padded) noexcept {
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < padded; ++i) {
      const auto byte = static_cast<std::int32_t>(codes[i]);
      sum += (byte & 15) * weights[i] + (byte >> 4) * weights[padded + i];
    }
    return sum;
  }

 private:
#if defined(__AVX512BW__) && defined(__AVX512F__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_512(const std::uint8_t* codes, const std::int8_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512i even = _mm512_setzero_si512(), odd = even;
    for (std::size_t i = 0; i < padded; i += 64) {
      fetch(i);
      const __m512i bytes = _mm512_loadu_si512(codes + i);
      const __m512i low = _mm512_and_si512(bytes, nibble), high = _mm512_and_si512(_mm512_srli_epi16(bytes, 4), nibble);
      const __m512i of_low = _mm512_loadu_si512(weights + i), of_high = _mm512_loadu_si512(weights + padded + i);
#if defined(__AVX512VNNI__)
      if constexpr (Lanes<Arch>::vnni) {
        even = _mm512_dpbusd_epi32(even, low, of_low);
        odd = _mm512_dpbusd_epi32(odd, high, of_high);
        continue;
      }
#endif
      const __m512i pairs = _mm512_add_epi16(_mm512_maddubs_epi16(low, of_low), _mm512_maddubs_epi16(high, of_high));
      even = _mm512_add_epi32(even, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    }
    return CodeProduct<Arch>::sum_512(_mm512_add_epi32(even, odd));
  }
#endif
#if defined(__AVX2__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_256(const std::uint8_t* codes, const std::int8_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const __m256i nibble = _mm256_set1_epi8(15), one = _mm256_set1_epi16(1);
    const auto load = [](const void* from) __attribute__((always_inline)) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); };
    const auto add = [&](__m256i sum, std::size_t i) __attribute__((always_inline)) {
      const __m256i bytes = load(codes + i);
      const __m256i low = _mm256_and_si256(bytes, nibble), high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
      const __m256i pairs = _mm256_add_epi16(_mm256_maddubs_epi16(low, load(weights + i)), _mm256_maddubs_epi16(high, load(weights + padded + i)));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, one));
    };
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (std::size_t i = 0; i < padded; i += 64) {
      fetch(i);
      even = add(even, i);
      odd = add(odd, i + 32);
    }
    return CodeProduct<Arch>::sum_256(_mm256_add_epi32(even, odd));
  }
#endif
#if defined(__SSE2__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_128(const std::uint8_t* codes, const std::int8_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const auto load = [](const void* from) __attribute__((always_inline)) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); };
    // Bytes as words, those at even places and those at odd ones, since without SSSE3 only words are multiplied.
    const __m128i nibble = _mm_set1_epi16(15);
    const auto even_of = [](__m128i w) __attribute__((always_inline)) { return _mm_srai_epi16(_mm_slli_epi16(w, 8), 8); };
    const auto odd_of = [](__m128i w) __attribute__((always_inline)) { return _mm_srai_epi16(w, 8); };
    __m128i even = _mm_setzero_si128(), odd = even;
    for (std::size_t i = 0; i < padded; i += 16) {
      if (i % 64 == 0) fetch(i);
      const __m128i bytes = load(codes + i), of_low = load(weights + i), of_high = load(weights + padded + i);
      const __m128i low_even = _mm_and_si128(bytes, nibble), low_odd = _mm_and_si128(_mm_srli_epi16(bytes, 8), nibble);
      const __m128i high_even = _mm_and_si128(_mm_srli_epi16(bytes, 4), nibble), high_odd = _mm_srli_epi16(bytes, 12);
      even = _mm_add_epi32(even, _mm_madd_epi16(low_even, even_of(of_low)));
      odd = _mm_add_epi32(odd, _mm_madd_epi16(low_odd, odd_of(of_low)));
      even = _mm_add_epi32(even, _mm_madd_epi16(high_even, even_of(of_high)));
      odd = _mm_add_epi32(odd, _mm_madd_epi16(high_odd, odd_of(of_high)));
    }
    return CodeProduct<Arch>::sum_128(_mm_add_epi32(even, odd));
  }
#endif
#if defined(__aarch64__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_neon(const std::uint8_t* codes, const std::int8_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    int32x4_t even = vdupq_n_s32(0), odd = even;
    for (std::size_t i = 0; i < padded; i += 16) {
      if (i % 64 == 0) fetch(i);
      const uint8x16_t bytes = vld1q_u8(codes + i);
      const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), high = vreinterpretq_s8_u8(vshrq_n_u8(bytes, 4));
      const int8x16_t of_low = vld1q_s8(weights + i), of_high = vld1q_s8(weights + padded + i);
      even = vpadalq_s16(even, vmlal_s8(vmull_s8(vget_low_s8(low), vget_low_s8(of_low)), vget_low_s8(high), vget_low_s8(of_high)));
      odd = vpadalq_s16(odd, vmlal_high_s8(vmull_high_s8(low, of_low), high, of_high));
    }
    return vaddvq_s32(vaddq_s32(even, odd));
  }
#endif
};

using NibbleKernels = ProductKernels<std::int8_t>;

template <class Arch>
inline constexpr NibbleKernels nibble_kernels_of{code_product<NibbleProduct<Arch>, std::int8_t>, code_products<NibbleProduct<Arch>, std::int8_t>};

template <class Arch = NativeArch>
[[nodiscard]] constexpr const NibbleKernels& nibble_kernels() noexcept {
  return nibble_kernels_of<Arch>;
}

}  // namespace quiver::detail
