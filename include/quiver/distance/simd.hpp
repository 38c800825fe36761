// The one door to xsimd: the few vector operations that the kernels are written in, for any architecture, under xsimd 8.1 and 13 alike.
#pragma once

#include <quiver/core/half.hpp>

#include <xsimd/xsimd.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace quiver::detail {

/// AVX-512 whose processor also multiplies and adds words in one step. xsimd 8.1 has no name for it.
struct Avx512Vnni {};

/// The architecture that the compiler's flags allow. Everything with SIMD code in it is a template on its architecture, so that translation units
/// built with different flags carry different symbols and never take each other's code.
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
using NativeArch = Avx512Vnni;
#else
using NativeArch = xsimd::default_arch;
#endif

/// An architecture of plain loops over eight floats: to hold the kernels against another set, and for machines that xsimd has nothing for.
struct PortableArch {};

#if defined(__SSE2__)
/// Four halves as floats, by arithmetic on their bits. No subnormal float comes up on the way: a program may have them taken for zeros.
[[nodiscard, gnu::always_inline]] inline __m128 widen_four(const Half* from) noexcept {
  const __m128i bits = _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)), _mm_setzero_si128());
  const __m128i sign = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x8000)), 16);
  const __m128i moved = _mm_slli_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7FFF)), 13);
  // The exponent counts from -15 in a half, from -127 in a float; the highest one means infinity in both.
  const __m128i rebase = _mm_set1_epi32(112 << 23);
  const __m128i highest = _mm_cmpgt_epi32(moved, _mm_set1_epi32(0x7BFF << 13));
  const __m128i normal = _mm_add_epi32(_mm_add_epi32(moved, rebase), _mm_and_si128(highest, rebase));
  // A subnormal half is fraction * 2^-24: behind the leading one of 2^-14 the fraction stands right, and then 2^-14 is taken off.
  const __m128i leading_one = _mm_set1_epi32(113 << 23);
  const __m128i subnormal = _mm_castps_si128(_mm_sub_ps(_mm_castsi128_ps(_mm_add_epi32(moved, leading_one)), _mm_castsi128_ps(leading_one)));
  const __m128i is_subnormal = _mm_cmplt_epi32(moved, _mm_set1_epi32(0x0400 << 13));
  const __m128i magnitude = _mm_or_si128(_mm_and_si128(is_subnormal, subnormal), _mm_andnot_si128(is_subnormal, normal));
  return _mm_castsi128_ps(_mm_or_si128(magnitude, sign));
}
#endif

/// Vectors of `width` floats and what the kernels do with them. Stateless.
template <class Arch>
struct Lanes {
  using Vector = xsimd::batch<float, Arch>;
  static constexpr std::size_t width = Vector::size;
  static constexpr std::size_t registers = width == 16 || std::is_same_v<Arch, xsimd::neon64> ? 32 : 16;
  static constexpr bool vnni = false;

  [[gnu::always_inline]] static Vector load(const float* from) noexcept { return Vector::load_unaligned(from); }
  /// `width` halves as floats, exactly.
  [[gnu::always_inline]] static Vector load(const Half* from) noexcept {
#if defined(__AVX512F__)
    if constexpr (width == 16) return Vector(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#endif
#if defined(__F16C__)
    if constexpr (width == 8) return Vector(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#elif defined(__AVX__)
    if constexpr (width == 8) return Vector(_mm256_insertf128_ps(_mm256_castps128_ps256(widen_four(from)), widen_four(from + 4), 1));
#endif
#if defined(__SSE2__)
    if constexpr (width == 4) return Vector(widen_four(from));
#elif defined(__aarch64__)
    if constexpr (width == 4) return Vector(vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(from)))));
#endif
    float wide[width];
    for (std::size_t i = 0; i < width; ++i) wide[i] = half_to_float(from[i]);
    return load(wide);
  }
  [[gnu::always_inline]] static void store(float* to, const Vector& v) noexcept { v.store_unaligned(to); }
  [[gnu::always_inline]] static Vector broadcast(float value) noexcept { return Vector(value); }
  [[gnu::always_inline]] static Vector both(const Vector& a, const Vector& b) noexcept { return a & b; }
  [[gnu::always_inline]] static Vector add(const Vector& a, const Vector& b) noexcept { return a + b; }
  [[gnu::always_inline]] static Vector subtract(const Vector& a, const Vector& b) noexcept { return a - b; }
  /// a * b + c, fused where the architecture can.
  [[gnu::always_inline]] static Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) noexcept {
#ifdef __AVX512F__
    // xsimd 8.1 multiplies and adds in two steps here.
    if constexpr (width == 16) return Vector(_mm512_fmadd_ps(a, b, c));
#endif
    return xsimd::fma(a, b, c);
  }
  [[gnu::always_inline]] static float sum(const Vector& v) noexcept {
#if XSIMD_VERSION_MAJOR < 9
    return xsimd::hadd(v);
#else
    return xsimd::reduce_add(v);
#endif
  }
  /// False if a < b in every lane; a NaN is not less.
  [[gnu::always_inline]] static bool any_not_less(const Vector& a, const Vector& b) noexcept { return !xsimd::all(a < b); }
};

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
template <>
struct Lanes<Avx512Vnni> : Lanes<xsimd::avx512bw> {
  static constexpr bool vnni = true;
};
#endif

template <>
struct Lanes<PortableArch> {
  static constexpr std::size_t width = 8;
  static constexpr std::size_t registers = 16;
  static constexpr bool vnni = false;
  struct Vector {
    float at[width];
  };

  static Vector load(const float* from) noexcept {
    return each([&](std::size_t i) { return from[i]; });
  }
  static Vector load(const Half* from) noexcept {
    return each([&](std::size_t i) { return half_to_float(from[i]); });
  }
  static void store(float* to, const Vector& v) noexcept {
    for (std::size_t i = 0; i < width; ++i) to[i] = v.at[i];
  }
  static Vector broadcast(float value) noexcept {
    return each([&](std::size_t) { return value; });
  }
  static Vector both(const Vector& a, const Vector& b) noexcept {
    return each([&](std::size_t i) { return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a.at[i]) & std::bit_cast<std::uint32_t>(b.at[i])); });
  }
  static Vector add(const Vector& a, const Vector& b) noexcept {
    return each([&](std::size_t i) { return a.at[i] + b.at[i]; });
  }
  static Vector subtract(const Vector& a, const Vector& b) noexcept {
    return each([&](std::size_t i) { return a.at[i] - b.at[i]; });
  }
  static Vector multiply_add(const Vector& a, const Vector& b, const Vector& c) noexcept {
    return each([&](std::size_t i) {
      // Through a volatile: an optimizer that fuses the two in one kernel and not in the other would make them disagree.
      const volatile float product = a.at[i] * b.at[i];
      return product + c.at[i];
    });
  }
  static float sum(const Vector& v) noexcept { return ((v.at[0] + v.at[4]) + (v.at[1] + v.at[5])) + ((v.at[2] + v.at[6]) + (v.at[3] + v.at[7])); }
  static bool any_not_less(const Vector& a, const Vector& b) noexcept {
    bool all = true;
    for (std::size_t i = 0; i < width; ++i) all = all && a.at[i] < b.at[i];
    return !all;
  }

 private:
  template <class F>
  static Vector each(F&& f) noexcept {
    Vector v;
    for (std::size_t i = 0; i < width; ++i) v.at[i] = f(i);
    return v;
  }
};

/// Calls f(integral_constant 0), ... f(integral_constant N - 1) without a loop, so that arrays of vectors stay in registers under any optimizer.
template <std::size_t N, class F>
[[gnu::always_inline]] inline void unrolled(F&& f) noexcept {
  [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) { (f(std::integral_constant<std::size_t, I>{}), ...); }
  (std::make_index_sequence<N>{});
}

/// Asks for the cache line `ahead` bytes behind `from`; any address will do.
[[gnu::always_inline]] inline void prefetch(const float* from, std::size_t ahead) noexcept {
  __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from) + ahead));
}

}  // namespace quiver::detail
