// SIMD kernels for rows of int8 or uint8 and queries of the same: whole numbers summed exactly, so that every set of instructions gives the same bits.
#pragma once

#include <quiver/distance/kernels.hpp>

#include <cstddef>
#include <cstdint>

namespace quiver::detail {

/// Vectors of `width` numbers of 16 bits, made of as many bytes, and sums of their products: 32 bits wide, modulo 2^32.
template <class Arch>
struct WordLanes {
  static constexpr std::size_t width = 8;
  struct Vector {
    std::int16_t at[width];
  };
  using Sum = std::uint32_t;

  template <class T>
  static Vector widen(const T* from) noexcept {
    Vector out;
    for (std::size_t i = 0; i < width; ++i) out.at[i] = from[i];
    return out;
  }
  static Sum zero() noexcept { return 0; }
  static Vector subtract(const Vector& a, const Vector& b) noexcept {
    Vector out;
    for (std::size_t i = 0; i < width; ++i) out.at[i] = static_cast<std::int16_t>(a.at[i] - b.at[i]);
    return out;
  }
  static Sum multiply_add(const Vector& a, const Vector& b, Sum sum) noexcept {
    for (std::size_t i = 0; i < width; ++i) sum += static_cast<std::uint32_t>(std::int32_t{a.at[i]} * b.at[i]);
    return sum;
  }
  /// All but the last `rest` numbers become zero. REQUIRES: 0 < rest < width.
  static Vector keep_last(Vector v, std::size_t rest) noexcept {
    for (std::size_t i = 0; i < width - rest; ++i) v.at[i] = 0;
    return v;
  }
  static std::uint32_t total(Sum even, Sum odd) noexcept { return even + odd; }
};

/// `width` words of zero, then `width` with every bit set.
template <class Arch, std::size_t width>
inline constexpr auto word_masks = [] {
  std::array<std::int16_t, 2 * width> words{};
  for (std::size_t i = width; i < words.size(); ++i) words[i] = -1;
  return words;
}();

#if defined(__SSE2__)
[[nodiscard, gnu::always_inline]] inline std::uint32_t sum_of_words(__m128i four) noexcept {
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1))));
}
template <class Arch>
  requires(Lanes<Arch>::width == 4 && !std::is_same_v<Arch, PortableArch>)
struct WordLanes<Arch> {
  static constexpr std::size_t width = 8;
  using Vector = __m128i;
  using Sum = __m128i;

  [[gnu::always_inline]] static Vector widen(const std::int8_t* from) noexcept {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from));
    return _mm_srai_epi16(_mm_unpacklo_epi8(bytes, bytes), 8);
  }
  [[gnu::always_inline]] static Vector widen(const std::uint8_t* from) noexcept {
    return _mm_unpacklo_epi8(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)), _mm_setzero_si128());
  }
  [[gnu::always_inline]] static Sum zero() noexcept { return _mm_setzero_si128(); }
  [[gnu::always_inline]] static Vector subtract(Vector a, Vector b) noexcept { return _mm_sub_epi16(a, b); }
  [[gnu::always_inline]] static Sum multiply_add(Vector a, Vector b, Sum sum) noexcept { return _mm_add_epi32(sum, _mm_madd_epi16(a, b)); }
  [[gnu::always_inline]] static Vector keep_last(Vector v, std::size_t rest) noexcept {
    return _mm_and_si128(v, _mm_loadu_si128(reinterpret_cast<const __m128i*>(word_masks<Arch, width>.data() + rest)));
  }
  [[gnu::always_inline]] static std::uint32_t total(Sum even, Sum odd) noexcept { return sum_of_words(_mm_add_epi32(even, odd)); }
};
#endif

#if defined(__AVX2__)
template <class Arch>
  requires(Lanes<Arch>::width == 8 && !std::is_same_v<Arch, PortableArch>)
struct WordLanes<Arch> {
  static constexpr std::size_t width = 16;
  using Vector = __m256i;
  using Sum = __m256i;

  [[gnu::always_inline]] static Vector widen(const std::int8_t* from) noexcept {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  [[gnu::always_inline]] static Vector widen(const std::uint8_t* from) noexcept {
    return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  [[gnu::always_inline]] static Sum zero() noexcept { return _mm256_setzero_si256(); }
  [[gnu::always_inline]] static Vector subtract(Vector a, Vector b) noexcept { return _mm256_sub_epi16(a, b); }
  [[gnu::always_inline]] static Sum multiply_add(Vector a, Vector b, Sum sum) noexcept { return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b)); }
  [[gnu::always_inline]] static Vector keep_last(Vector v, std::size_t rest) noexcept {
    return _mm256_and_si256(v, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(word_masks<Arch, width>.data() + rest)));
  }
  [[gnu::always_inline]] static std::uint32_t total(Sum even, Sum odd) noexcept {
    const __m256i both = _mm256_add_epi32(even, odd);
    return sum_of_words(_mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1)));
  }
};
#endif

#if defined(__AVX512F__) && defined(__AVX512BW__)
template <class Arch>
  requires(Lanes<Arch>::width == 16)
struct WordLanes<Arch> {
  static constexpr std::size_t width = 32;
  using Vector = __m512i;
  using Sum = __m512i;

  [[gnu::always_inline]] static Vector widen(const std::int8_t* from) noexcept {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static Vector widen(const std::uint8_t* from) noexcept {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  [[gnu::always_inline]] static Sum zero() noexcept { return _mm512_setzero_si512(); }
  [[gnu::always_inline]] static Vector subtract(Vector a, Vector b) noexcept { return _mm512_sub_epi16(a, b); }
  [[gnu::always_inline]] static Sum multiply_add(Vector a, Vector b, Sum sum) noexcept {
#if defined(__AVX512VNNI__)
    if constexpr (Lanes<Arch>::vnni) return _mm512_dpwssd_epi32(sum, a, b);
#endif
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
  }
  [[gnu::always_inline]] static Vector keep_last(Vector v, std::size_t rest) noexcept {
    return _mm512_and_si512(v, _mm512_loadu_si512(word_masks<Arch, width>.data() + rest));
  }
  [[gnu::always_inline]] static std::uint32_t total(Sum even, Sum odd) noexcept {
    const __m512i both = _mm512_add_epi32(even, odd);
    // With masks for the same reason as in code_kernels.hpp.
    const __m256i eight = _mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xF, both, 0), _mm512_maskz_extracti64x4_epi64(0xF, both, 1));
    return sum_of_words(_mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1)));
  }
};
#endif

#if defined(__aarch64__)
template <class Arch>
  requires(Lanes<Arch>::width == 4 && !std::is_same_v<Arch, PortableArch>)
struct WordLanes<Arch> {
  static constexpr std::size_t width = 8;
  using Vector = int16x8_t;
  using Sum = int32x4_t;

  [[gnu::always_inline]] static Vector widen(const std::int8_t* from) noexcept { return vmovl_s8(vld1_s8(from)); }
  [[gnu::always_inline]] static Vector widen(const std::uint8_t* from) noexcept { return vreinterpretq_s16_u16(vmovl_u8(vld1_u8(from))); }
  [[gnu::always_inline]] static Sum zero() noexcept { return vdupq_n_s32(0); }
  [[gnu::always_inline]] static Vector subtract(Vector a, Vector b) noexcept { return vsubq_s16(a, b); }
  [[gnu::always_inline]] static Sum multiply_add(Vector a, Vector b, Sum sum) noexcept {
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b)), a, b);
  }
  [[gnu::always_inline]] static Vector keep_last(Vector v, std::size_t rest) noexcept { return vandq_s16(v, vld1q_s16(word_masks<Arch, width>.data() + rest)); }
  [[gnu::always_inline]] static std::uint32_t total(Sum even, Sum odd) noexcept { return vaddvq_u32(vreinterpretq_u32_s32(vaddq_s32(even, odd))); }
};
#endif

/// Adds (a - b)^2, or a * b, word by word. `keep_last` of one operand is enough: what is zero adds nothing.
template <class Arch, bool squared>
struct WordFormula {
  using L = WordLanes<Arch>;
  using V = typename L::Vector;
  [[gnu::always_inline]] static typename L::Sum add(typename L::Sum sum, V a, V b) noexcept {
    if constexpr (squared) {
      const V difference = L::subtract(a, b);
      return L::multiply_add(difference, difference, sum);
    } else {
      return L::multiply_add(a, b, sum);
    }
  }
  [[gnu::always_inline]] static typename L::Sum add_last(typename L::Sum sum, V a, V b, std::size_t rest) noexcept {
    if constexpr (squared) {
      const V difference = L::keep_last(L::subtract(a, b), rest);
      return L::multiply_add(difference, difference, sum);
    } else {
      return L::multiply_add(L::keep_last(a, rest), b, sum);
    }
  }
};

/// Numbers whose sum fits in 32 bits whatever they are: of squares up to 255^2 without a sign, of products of int8 with one.
inline constexpr std::size_t byte_chunk = 65536;
static_assert(std::uint64_t{255} * 255 * byte_chunk < (std::uint64_t{1} << 32) && std::uint64_t{128} * 128 * byte_chunk < (std::uint64_t{1} << 31));

/// sum((a[i] - b[i])^2) if `squared`, else sum(a[i] * b[i]). Exact. `fetch(i)` asks for what will be needed later, on the way. REQUIRES: dimension >= 1.
template <class Arch, class T, bool squared, class Fetch = NoFetch>
[[gnu::always_inline]] inline std::int64_t byte_sum(const T* a, const T* b, std::size_t dimension, const Fetch& fetch = {}) noexcept {
  using L = WordLanes<Arch>;
  using F = WordFormula<Arch, squared>;
  constexpr std::size_t width = L::width;
  const auto as_number = [](std::uint32_t sum) { return squared || std::is_unsigned_v<T> ? std::int64_t{sum} : std::int64_t{static_cast<std::int32_t>(sum)}; };
  if (dimension < width) [[unlikely]] {
    T left[width] = {}, right[width] = {};
    for (std::size_t i = 0; i < dimension; ++i) {
      left[i] = a[i];
      right[i] = b[i];
    }
    return as_number(L::total(F::add(L::zero(), L::widen(left), L::widen(right)), L::zero()));
  }
  std::int64_t sum = 0;
  std::size_t i = 0;
  do {
    auto even = L::zero(), odd = L::zero();
    const std::size_t end = std::min(dimension, i + byte_chunk);
    for (; i + 2 * width <= end; i += 2 * width) {
      if (2 * width % 64 == 0 || i % 64 == 0) fetch(i);
      even = F::add(even, L::widen(a + i), L::widen(b + i));
      odd = F::add(odd, L::widen(a + i + width), L::widen(b + i + width));
    }
    if (end == dimension) {
      if (i < end) fetch(i);
      if (i + width <= end) {
        even = F::add(even, L::widen(a + i), L::widen(b + i));
        i += width;
      }
      // The last whole vector once more, without the numbers that have been counted: nothing beyond the row is read.
      if (i < end) odd = F::add_last(odd, L::widen(a + end - width), L::widen(b + end - width), end - i);
      i = end;
    }
    sum += as_number(L::total(even, odd));
  } while (i < dimension);
  return sum;
}

template <class Arch, class T, bool squared>
[[nodiscard]] inline float byte_one(const void* query, const void* row, std::size_t dimension) noexcept {
  return static_cast<float>(byte_sum<Arch, T, squared>(static_cast<const T*>(query), static_cast<const T*>(row), dimension));
}
template <class Arch, class T, bool squared>
inline void byte_many(const void* query, const void* rows, std::size_t count, std::size_t dimension, float* out) noexcept {
  for (std::size_t r = 0; r < count; ++r) out[r] = byte_one<Arch, T, squared>(query, static_cast<const T*>(rows) + r * dimension, dimension);
}
template <class Arch, class T, bool squared>
inline void byte_some(const void* query, const void* rows, std::size_t dimension, const std::uint32_t* which, std::size_t count, float* out) noexcept {
  const auto row = [&](std::size_t i) { return static_cast<const T*>(rows) + std::size_t{which[i]} * dimension; };
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<float>(byte_sum<Arch, T, squared>(static_cast<const T*>(query), row(i), dimension, FetchRow{row(std::min(i + 1, count - 1))}));
}
template <class Arch, class T, bool squared>
inline void byte_batch(const void* const* queries, std::size_t query_count, const void* rows, std::size_t count, std::size_t dimension, float* out) noexcept {
  // Rows outside: each stays in the first-level cache while the queries pass.
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t q = 0; q < query_count; ++q)
      out[q * count + r] = byte_one<Arch, T, squared>(queries[q], static_cast<const T*>(rows) + r * dimension, dimension);
}

template <class Arch, class T, bool squared>
inline constexpr Kernels byte_kernels_of{byte_one<Arch, T, squared>, byte_many<Arch, T, squared>, byte_some<Arch, T, squared>, byte_batch<Arch, T, squared>};

/// Floats of `count` bytes.
template <class Arch, class T>
inline void widen_bytes(const T* from, std::size_t count, float* out) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<float>(from[i]);
}

}  // namespace quiver::detail
