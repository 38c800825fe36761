// SIMD kernels for rows that are kept as small whole numbers: the inner product of such a row with a query's weights, exact, the same on every machine.
#pragma once

#include <quiver/distance/kernels.hpp>

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace quiver::detail {

inline constexpr std::size_t code_block = 64;  // weights are padded with zeros to a multiple of it, and as many bytes behind the last row may be read

/// The largest weight with which no sum of `dimension` products with numbers from -128 to 127 leaves 32 bits, in whatever order it is added up.
[[nodiscard]] constexpr std::int32_t largest_weight(std::size_t dimension) noexcept {
  const std::size_t most = (std::size_t{1} << 31) / 128 / std::max<std::size_t>(dimension, 1) - 1;
  return static_cast<std::int32_t>(std::min<std::size_t>(most, 32767));
}
inline constexpr std::size_t max_code_dimension = std::size_t{1} << 16;  // weights of more dimensions would have too few bits

/// How many bytes a register of an architecture holds where it is used for whole numbers; 0: plain loops. AVX without AVX2 has those of SSE for them, AVX-512
/// without BW those of AVX2.
template <class Arch>
inline constexpr std::size_t code_lanes = [] {
  if (std::is_base_of_v<Lanes<PortableArch>, Lanes<Arch>>) return std::size_t{0};
#if defined(__AVX512BW__) || !defined(__SSE2__)
  constexpr std::size_t most = 64;
#elif defined(__AVX2__)
  constexpr std::size_t most = 32;
#else
  constexpr std::size_t most = 16;
#endif
  return std::min(Lanes<Arch>::width * sizeof(float), most);
}();

/// sum(codes[i] * weights[i]) over i < padded. Exact: nothing is rounded, nothing overflows. REQUIRES: padded is a multiple of code_block, the weights are
/// within largest_weight() of the true dimension and zero behind it, `padded` bytes can be read. `fetch(i)` asks for what will be needed later, on the way.
template <class Arch>
struct CodeProduct {
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot(const std::byte* row, const std::int16_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const auto* const codes = reinterpret_cast<const std::int8_t*>(row);
#if defined(__AVX512BW__) && defined(__AVX512F__)
    if constexpr (code_lanes<Arch> == 64) return dot_512(codes, weights, padded, fetch);
#endif
#if defined(__AVX2__)
    if constexpr (code_lanes<Arch> == 32) return dot_256(codes, weights, padded, fetch);
#endif
#if defined(__SSE2__)
    if constexpr (code_lanes<Arch> == 16) return dot_128(codes, weights, padded, fetch);
#endif
#if defined(__aarch64__)
    if constexpr (code_lanes<Arch> == 16) return dot_neon(codes, weights, padded, fetch);
#endif
    return oracle(row, weights, padded);
  }
  /// The same, number by number.
  static std::int32_t oracle(const std::byte* row, const std::int16_t* weights, std::size_t padded) noexcept {
    const auto* const codes = reinterpret_cast<const std::int8_t*>(row);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < padded; ++i) sum += std::int32_t{codes[i]} * weights[i];
    return sum;
  }

  // The numbers of a register added up.
#if defined(__SSE2__)
  static std::int32_t sum_128(__m128i four) noexcept {
    const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
  }
#endif
#if defined(__AVX2__)
  static std::int32_t sum_256(__m256i eight) noexcept { return sum_128(_mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1))); }
#endif
#if defined(__AVX512BW__) && defined(__AVX512F__)
  static std::int32_t sum_512(__m512i sixteen) noexcept {
    // With masks, since g++ 12 takes the plain extraction and _mm512_reduce_add_epi32 for reads of what was never set (-Wmaybe-uninitialized).
    return sum_256(_mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xF, sixteen, 0), _mm512_maskz_extracti64x4_epi64(0xF, sixteen, 1)));
  }
#endif

 private:
#if defined(__AVX512BW__) && defined(__AVX512F__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_512(const std::int8_t* codes, const std::int16_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const auto add = [](__m512i sum, const std::int8_t* c, const std::int16_t* w) __attribute__((always_inline)) {
      const __m512i wide = _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(c)));
      const __m512i weight = _mm512_loadu_si512(w);
#if defined(__AVX512VNNI__)
      if constexpr (Lanes<Arch>::vnni) return _mm512_dpwssd_epi32(sum, wide, weight);
#endif
      return _mm512_add_epi32(sum, _mm512_madd_epi16(wide, weight));
    };
    __m512i even = _mm512_setzero_si512(), odd = even;
    // Four turns at once: g++ 12 copies both sums in each.
#pragma GCC unroll 4
    for (std::size_t i = 0; i < padded; i += 64) {
      fetch(i);
      even = add(even, codes + i, weights + i);
      odd = add(odd, codes + i + 32, weights + i + 32);
    }
    return sum_512(_mm512_add_epi32(even, odd));
  }
#endif
#if defined(__AVX2__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_256(const std::int8_t* codes, const std::int16_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    const auto add = [](__m256i sum, const std::int8_t* c, const std::int16_t* w) __attribute__((always_inline)) {
      const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(c)));
      return _mm256_add_epi32(sum, _mm256_madd_epi16(wide, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w))));
    };
    __m256i even = _mm256_setzero_si256(), odd = even;
    for (std::size_t i = 0; i < padded; i += 32) {
      if (i % 64 == 0) fetch(i);
      even = add(even, codes + i, weights + i);
      odd = add(odd, codes + i + 16, weights + i + 16);
    }
    return sum_256(_mm256_add_epi32(even, odd));
  }
#endif
#if defined(__SSE2__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_128(const std::int8_t* codes, const std::int16_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    __m128i even = _mm_setzero_si128(), odd = even;
    for (std::size_t i = 0; i < padded; i += 16) {
      if (i % 64 == 0) fetch(i);
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i));
      // Each byte in the upper half of a word, shifted down with its sign.
      const __m128i low = _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8), high = _mm_srai_epi16(_mm_unpackhi_epi8(bytes, bytes), 8);
      even = _mm_add_epi32(even, _mm_madd_epi16(low, _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + i))));
      odd = _mm_add_epi32(odd, _mm_madd_epi16(high, _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + i + 8))));
    }
    return sum_128(_mm_add_epi32(even, odd));
  }
#endif
#if defined(__aarch64__)
  template <class Fetch>
  [[gnu::always_inline]] static std::int32_t dot_neon(const std::int8_t* codes, const std::int16_t* weights, std::size_t padded, const Fetch& fetch) noexcept {
    int32x4_t even = vdupq_n_s32(0), odd = even;
    for (std::size_t i = 0; i < padded; i += 16) {
      if (i % 64 == 0) fetch(i);
      const int8x16_t bytes = vld1q_s8(codes + i);
      const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_s8(vget_high_s8(bytes));
      const int16x8_t first = vld1q_s16(weights + i), second = vld1q_s16(weights + i + 8);
      even = vmlal_s16(vmlal_s16(even, vget_low_s16(low), vget_low_s16(first)), vget_low_s16(high), vget_low_s16(second));
      odd = vmlal_high_s16(vmlal_high_s16(odd, low, first), high, second);
    }
    return vaddvq_s32(vaddq_s32(even, odd));
  }
#endif
};

/// The kernels for codes of one kind and one architecture.
template <class Weight>
struct ProductKernels {
  std::int32_t (*dot)(const std::byte* row, const Weight* weights, std::size_t padded) noexcept;
  /// out[i] for the row which[i], which lies at rows + which[i] * stride. Each is fetched while the one before it is computed; the caller fetches the first
  /// lines of the first `gather_ahead`.
  void (*gather)(const std::byte* rows, std::size_t stride, const Weight* weights, std::size_t padded, const std::uint32_t* which, std::size_t count,
                 std::int32_t* out) noexcept;
};
using CodeKernels = ProductKernels<std::int16_t>;

template <class Product, class Weight>
std::int32_t code_product(const std::byte* row, const Weight* weights, std::size_t padded) noexcept {
  return Product::dot(row, weights, padded, NoFetch{});
}
template <class Product, class Weight>
void code_products(const std::byte* rows, std::size_t stride, const Weight* weights, std::size_t padded, const std::uint32_t* which, std::size_t count,
                   std::int32_t* out) noexcept {
  const auto row = [&](std::size_t i) { return rows + std::size_t{which[i]} * stride; };
  for (std::size_t i = 0; i < count; ++i) out[i] = Product::dot(row(i), weights, padded, FetchRow{row(std::min(i + 1, count - 1))});
}

template <class Arch>
inline constexpr CodeKernels code_kernels_of{code_product<CodeProduct<Arch>, std::int16_t>, code_products<CodeProduct<Arch>, std::int16_t>};

template <class Arch = NativeArch>
[[nodiscard]] constexpr const CodeKernels& code_kernels() noexcept {
  return code_kernels_of<Arch>;
}

}  // namespace quiver::detail
