// Inner products of a panel of 32 queries with blocks of rows: the fast, rough pass of a batched search, which tells whom to look at exactly.
#pragma once

#include <quiver/distance/kernels.hpp>
#include <quiver/distance/oracle.hpp>

#include <cstdint>
#include <vector>

namespace quiver::detail {

inline constexpr std::size_t panel_width = 32;   // queries side by side
inline constexpr std::size_t panel_depth = 256;  // dimensions at a time: 32 KiB of queries
inline constexpr std::size_t panel_rows = 48;    // rows at a time

/// The pair (row r, query q) is passed over if dot < row_values[r] * factor[q] + offset[q]; where a NaN comes in, it is not.
struct PanelThresholds {
  alignas(64) float factor[panel_width];
  alignas(64) float offset[panel_width];
};

/// How far the inner products of a panel may be off, as a share of |query| * |row|; underflow_error() comes on top.
[[nodiscard]] constexpr double panel_error(std::size_t dimension) noexcept {
  return static_cast<double>(std::min(dimension, panel_depth) + dimension / panel_depth + 8) * 0x1p-24;
}

/// Queries as a panel: transposed, zeros where there are fewer than 32. Component d of query q stands at d * panel_width + q.
[[nodiscard]] inline std::vector<float> pack_panel(const float* const* queries, std::size_t count, std::size_t dimension) {
  std::vector<float> packed(dimension * panel_width);
  for (std::size_t q = 0; q < count; ++q)
    for (std::size_t d = 0; d < dimension; ++d) packed[d * panel_width + q] = queries[q][d];
  return packed;
}

/// The functions of panels for one architecture.
struct PanelKernels {
  /// Sets bit q of interest[r] for every pair that is not passed over. REQUIRES: count <= panel_rows, queries <= panel_width.
  void (*select)(const float* packed, std::size_t queries, const float* rows, std::size_t count, std::size_t dimension, const PanelThresholds& thresholds,
                 const float* row_values, std::uint32_t* interest) noexcept;
  /// out[r] = the squared norm of row r, off by at most sum_error(dimension) of itself and underflow_error(dimension).
  void (*squared_norms)(const float* rows, std::size_t count, std::size_t dimension, float* out) noexcept;
};

/// The inner products of R rows with V vectors of queries over `depth` dimensions, those of `count` rows written (`first`) or added to what is there.
/// The dots of one row begin panel_width behind those of the row before. The line `ahead` bytes behind each one read is fetched early.
template <class Arch, std::size_t V, std::size_t R>
[[gnu::always_inline]] inline void panel_tile(const float* packed, const float* const (&rows)[R], std::size_t depth, std::size_t ahead, bool first, float* dots,
                                              std::size_t count) noexcept {
  using L = Lanes<Arch>;
  using Vector = typename L::Vector;
  Vector sums[R][V];
  const Vector zero = L::broadcast(0.0f);
  unrolled<R>([&](auto r) { unrolled<V>([&](auto v) { sums[r][v] = zero; }); });
  for (std::size_t line = 0; line < depth; line += 16) {
    unrolled<R>([&](auto r) { prefetch(rows[r] + line, ahead); });
    const auto end = std::min(line + 16, depth);
    for (std::size_t d = line; d < end; ++d) {
      Vector queries[V];
      unrolled<V>([&](auto v) { queries[v] = L::load(packed + d * panel_width + v * L::width); });
      unrolled<R>([&](auto r) {
        const Vector value = L::broadcast(rows[r][d]);
        unrolled<V>([&](auto v) { sums[r][v] = L::multiply_add(value, queries[v], sums[r][v]); });
      });
    }
  }
  unrolled<R>([&](auto r) {
    if (r >= count) return;
    unrolled<V>([&](auto v) {
      float* const to = dots + r * panel_width + v * L::width;
      L::store(to, first ? sums[r][v] : L::add(L::load(to), sums[r][v]));
    });
  });
}

template <class Arch>
inline void panel_select(const float* packed, std::size_t queries, const float* rows, std::size_t count, std::size_t dimension,
                         const PanelThresholds& thresholds, const float* row_values, std::uint32_t* interest) noexcept {
  using L = Lanes<Arch>;
  // As many sums as registers can hold beside the operands of a step: 12 of 16, 24 of 32.
  constexpr std::size_t V = 2;
  constexpr std::size_t R = L::registers == 32 ? 12 : 6;
  const std::size_t used = (queries + V * L::width - 1) / (V * L::width) * V;  // vectors of queries
  alignas(64) float dots[panel_rows * panel_width];
  for (std::size_t d = 0; d < dimension; d += panel_depth) {
    const auto depth = std::min(panel_depth, dimension - d);
    for (std::size_t r = 0; r < count; r += R) {
      // The last tile takes its last row again for those that are not there.
      const float* tile[R];
      const auto here = std::min(R, count - r);
      for (std::size_t i = 0; i < R; ++i) tile[i] = rows + (r + std::min(i, here - 1)) * dimension + d;
      for (std::size_t v = 0; v < used; v += V)
        panel_tile<Arch, V, R>(packed + d * panel_width + v * L::width, tile, depth, v == 0 ? panel_rows * dimension * sizeof(float) : 0, d == 0,
                               dots + r * panel_width + v * L::width, here);
    }
  }
  for (std::size_t r = 0; r < count; ++r) {
    std::uint32_t bits = 0;
    const auto value = L::broadcast(row_values[r]);
    for (std::size_t v = 0; v < used; ++v) {
      const float* const at = dots + r * panel_width + v * L::width;
      const auto threshold = L::multiply_add(value, L::load(thresholds.factor + v * L::width), L::load(thresholds.offset + v * L::width));
      if (!L::any_not_less(L::load(at), threshold)) [[likely]]
        continue;
      float limits[L::width];
      L::store(limits, threshold);
      for (std::size_t i = 0; i < L::width; ++i) bits |= std::uint32_t{!(at[i] < limits[i])} << (v * L::width + i);
    }
    interest[r] = queries == panel_width ? bits : bits & ((std::uint32_t{1} << queries) - 1);
  }
}

template <class Arch>
inline void panel_squared_norms(const float* rows, std::size_t count, std::size_t dimension, float* out) noexcept {
  for (std::size_t r = 0; r < count; ++r) out[r] = one_to_one<Arch, Product>(rows + r * dimension, rows + r * dimension, dimension);
}

template <class Arch>
inline constexpr PanelKernels panel_kernels_of{panel_select<Arch>, panel_squared_norms<Arch>};

template <class Arch = NativeArch>
[[nodiscard]] constexpr const PanelKernels& panel_kernels() noexcept {
  return panel_kernels_of<Arch>;
}

}  // namespace quiver::detail
