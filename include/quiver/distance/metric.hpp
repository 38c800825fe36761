// From a metric to its kernels, norms and distances.
#pragma once

#include <quiver/core/types.hpp>
#include <quiver/distance/kernels.hpp>
#include <quiver/distance/oracle.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

namespace quiver::detail {

/// The kernels that a metric is computed with: L2 directly, inner product and cosine by the dot product.
[[nodiscard]] inline const Kernels& kernels(Metric metric) noexcept { return metric == Metric::l2 ? kernels_of<L2> : kernels_of<Dot>; }

/// 1 / |v|, bounded by the largest float; summed in double, so that neither large nor tiny elements overflow or vanish. REQUIRES: v is not zero.
[[nodiscard]] inline float inverse_norm(std::span<const float> v) noexcept {
  const double inverse = 1.0 / std::sqrt(oracle_dot(v, v));
  return static_cast<float>(std::min(inverse, static_cast<double>(std::numeric_limits<float>::max())));
}

}  // namespace quiver::detail
