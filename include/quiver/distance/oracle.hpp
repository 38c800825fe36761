// Distances in double precision, one term after another: what every kernel is held against, and what answers where float cannot.
#pragma once

#include <quiver/core/half.hpp>
#include <quiver/core/types.hpp>

#include <cmath>
#include <limits>
#include <span>

namespace quiver::detail {

// REQUIRES for all: spans of one size. Exact to about size * 2^-53; finite floats never overflow a double.

/// Sum of (a[i] - b[i])^2.
[[nodiscard]] inline double oracle_l2(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    sum += difference * difference;
  }
  return sum;
}

/// Sum of a[i] * b[i].
[[nodiscard]] inline double oracle_dot(std::span<const float> a, std::span<const float> b) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

/// The distance by a metric: squared L2; 1 - inner product; 1 - cosine similarity (of vectors that are not zero).
[[nodiscard]] inline double oracle_distance(Metric metric, std::span<const float> a, std::span<const float> b) noexcept {
  if (metric == Metric::l2) return oracle_l2(a, b);
  if (metric == Metric::inner_product) return 1 - oracle_dot(a, b);
  return 1 - oracle_dot(a, b) / (std::sqrt(oracle_dot(a, a)) * std::sqrt(oracle_dot(b, b)));
}

/// One number of a vector of any kind.
[[nodiscard]] inline double number_at(Element element, const void* vector, std::size_t i) noexcept {
  switch (element) {
    case Element::float32:
      return static_cast<double>(static_cast<const float*>(vector)[i]);
    case Element::float16:
      return static_cast<double>(half_to_float(static_cast<const Half*>(vector)[i]));
    case Element::int8:
      return static_cast<double>(static_cast<const std::int8_t*>(vector)[i]);
    case Element::uint8:
      break;
  }
  return static_cast<double>(static_cast<const std::uint8_t*>(vector)[i]);
}

/// The same distance of vectors of any kinds.
[[nodiscard]] inline double oracle_distance(Metric metric, Element a_kind, const void* a, Element b_kind, const void* b, std::size_t dimension) noexcept {
  double squares = 0, dot = 0, a_dot = 0, b_dot = 0;
  for (std::size_t i = 0; i < dimension; ++i) {
    const double x = number_at(a_kind, a, i), y = number_at(b_kind, b, i);
    squares += (x - y) * (x - y);
    dot += x * y;
    a_dot += x * x;
    b_dot += y * y;
  }
  if (metric == Metric::l2) return squares;
  return metric == Metric::inner_product ? 1 - dot : 1 - dot / (std::sqrt(a_dot) * std::sqrt(b_dot));
}

/// The nearest float; beyond the range of float an infinity of its sign. What is no number is +infinity: farther than all that is one.
[[nodiscard]] inline float to_distance(double value) noexcept {
  constexpr double largest = std::numeric_limits<float>::max();
  if (!(value <= largest)) return std::numeric_limits<float>::infinity();
  return value < -largest ? -std::numeric_limits<float>::infinity() : static_cast<float>(value);
}

/// How far a float sum of `terms` products may be off, as a share of the sum of their magnitudes, where at least eight chains are added side by side.
[[nodiscard]] constexpr double sum_error(std::size_t terms) noexcept { return (static_cast<double>(terms) / 8 + 20) * 0x1p-24; }

/// What `terms` products may lose below the smallest normal float, whether or not the program lets subnormals live.
[[nodiscard]] constexpr double underflow_error(std::size_t terms) noexcept {
  return 4 * static_cast<double>(terms) * static_cast<double>(std::numeric_limits<float>::min());
}

}  // namespace quiver::detail
