// From what a kernel returns to the distance that ranks: smaller is nearer, never NaN.
#pragma once

#include <quiver/distance/kernels.hpp>
#include <quiver/distance/oracle.hpp>

#include <algorithm>

namespace quiver::detail {

/// 1 / |v|, at most the largest float: finite and positive for every vector. REQUIRES: finite elements, not all zero.
[[nodiscard]] inline float inverse_norm(std::span<const float> v) noexcept {
  // Four sums, so that the additions need not wait for each other.
  double sums[4] = {};
  std::size_t i = 0;
  for (; i + 4 <= v.size(); i += 4)
    for (std::size_t j = 0; j < 4; ++j) sums[j] += static_cast<double>(v[i + j]) * static_cast<double>(v[i + j]);
  for (; i < v.size(); ++i) sums[0] += static_cast<double>(v[i]) * static_cast<double>(v[i]);
  const double inverse = 1 / std::sqrt((sums[0] + sums[1]) + (sums[2] + sums[3]));
  return static_cast<float>(std::min(inverse, static_cast<double>(std::numeric_limits<float>::max())));
}

/// Between 2^-40 and 2^40: then no product of a cosine overflows, and none that matters underflows.
[[nodiscard]] inline bool plain_inverse_norm(float inverse) noexcept { return inverse >= 0x1p-40f && inverse <= 0x1p40f; }

[[nodiscard]] inline bool is_number(float x) noexcept { return std::abs(x) <= std::numeric_limits<float>::max(); }

// The distances of a pair from its kernel's result. Each is what oracle_distance() gives, but for distance_error(), as long as the kernel's sums stay within
// the range of float.

/// L2: as it is; what overflowed is +infinity.
[[nodiscard]] inline float l2_distance(float sum) noexcept { return sum == sum ? sum : std::numeric_limits<float>::infinity(); }

/// 1 - dot. Where float overflowed, the distance in double decides, exact(); only what is itself beyond the range of float is an infinity.
template <class Exact>
[[nodiscard, gnu::always_inline]] inline float inner_product_distance(float dot, Exact&& exact) noexcept {
  const float distance = 1.0f - dot;
  if (is_number(distance)) [[likely]]
    return distance;
  return to_distance(exact());
}
[[nodiscard]] inline float inner_product_distance(float dot, const float* query, const float* row, std::size_t dimension) noexcept {
  return inner_product_distance(dot, [&] { return oracle_distance(Metric::inner_product, {query, dimension}, {row, dimension}); });
}

/// 1 - dot / (|query| * |row|), in double where a norm is not plain. Not clamped: of a vector with itself it may be 1e-7 below zero.
template <class Exact>
[[nodiscard, gnu::always_inline]] inline float cosine_distance(float dot, float query_inverse, float row_inverse, Exact&& exact) noexcept {
  const float distance = 1.0f - dot * query_inverse * row_inverse;
  if (plain_inverse_norm(query_inverse) && plain_inverse_norm(row_inverse) && is_number(distance)) [[likely]]
    return distance;
  return to_distance(exact());
}
[[nodiscard]] inline float cosine_distance(float dot, float query_inverse, float row_inverse, const float* query, const float* row,
                                           std::size_t dimension) noexcept {
  return cosine_distance(dot, query_inverse, row_inverse, [&] { return oracle_distance(Metric::cosine, {query, dimension}, {row, dimension}); });
}

/// How far a distance may be from oracle_distance().
[[nodiscard]] inline double distance_error(Metric metric, std::span<const float> a, std::span<const float> b) noexcept {
  const double share = sum_error(a.size());
  const double lost = underflow_error(a.size());
  if (metric == Metric::l2) return share * oracle_l2(a, b) + lost;
  if (metric == Metric::cosine) return share + 0x1p-21;
  double magnitude = 0;
  for (std::size_t i = 0; i < a.size(); ++i) magnitude += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  return share * magnitude + (1 + magnitude) * 0x1p-23 + lost;
}

}  // namespace quiver::detail
