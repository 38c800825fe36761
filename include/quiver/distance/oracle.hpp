// Distances in double precision, as the formulas stand: what the kernels are held against.
#pragma once

#include <quiver/core/types.hpp>

#include <cmath>
#include <span>

namespace quiver::detail {

// REQUIRES for all: spans of one size.

[[nodiscard]] inline double oracle_l2(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

[[nodiscard]] inline double oracle_dot(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// The distance by a metric: squared L2; 1 - inner product; 1 - cosine similarity (vectors that are not zero).
[[nodiscard]] inline double oracle_distance(Metric metric, std::span<const float> a, std::span<const float> b) noexcept {
  if (metric == Metric::l2) return oracle_l2(a, b);
  const double dot = oracle_dot(a, b);
  return metric == Metric::inner_product ? 1 - dot : 1 - dot / (std::sqrt(oracle_dot(a, a)) * std::sqrt(oracle_dot(b, b)));
}

}  // namespace quiver::detail
