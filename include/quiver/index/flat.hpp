// Exact search of one query: every row is looked at. The oracle of all other indexes, at the speed of memory.
#pragma once

#include <quiver/core/top_k.hpp>
#include <quiver/distance/dispatch.hpp>
#include <quiver/distance/metric.hpp>

#include <array>
#include <span>
#include <type_traits>

namespace quiver::detail {

/// Dense rows somewhere in memory: count x dimension floats, and for cosine the inverse norm of each row. A view.
struct FlatRows {
  const float* rows = nullptr;
  const float* inverse_norms = nullptr;  // cosine only
  std::size_t count = 0;
  std::size_t dimension = 0;

  [[nodiscard]] const float* row(std::size_t r) const noexcept { return rows + r * dimension; }
  /// Rows [first, first + length). REQUIRES: within count.
  [[nodiscard]] FlatRows part(std::size_t first, std::size_t length) const noexcept {
    return {row(first), inverse_norms == nullptr ? nullptr : inverse_norms + first, length, dimension};
  }
};

/// A query prepared once for any number of rows: its kernels and, for cosine, its inverse norm. Refers to the caller's numbers. Any number of threads.
class FlatQuery {
 public:
  /// The architecture is a parameter so that units built for different ones do not share one constructor. REQUIRES: finite elements; under cosine not all zero.
  template <class Arch = DefaultArch>
  FlatQuery(Metric metric, std::span<const float> query, std::type_identity<Arch> arch = {})
      : FlatQuery(metric, query, metric == Metric::cosine ? detail::inverse_norm(query) : 1.0f, arch) {}
  /// The same where 1 / |query| is known.
  template <class Arch = DefaultArch>
  FlatQuery(Metric metric, std::span<const float> query, float inverse_norm, std::type_identity<Arch> = {}) noexcept
      : FlatQuery(metric, query, inverse_norm, kernel_set<Arch>()) {}
  /// The same by the kernels of one set.
  FlatQuery(Metric metric, std::span<const float> query, float inverse_norm, const KernelSet& set) noexcept
      : metric_(metric), inverse_norm_(inverse_norm), kernels_(&set.floats(metric)), panels_(&set.panels), query_(query) {}

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] const Kernels& kernels() const noexcept { return *kernels_; }
  [[nodiscard]] const PanelKernels& panels() const noexcept { return *panels_; }
  [[nodiscard]] const float* data() const noexcept { return query_.data(); }
  [[nodiscard]] std::size_t dimension() const noexcept { return query_.size(); }
  [[nodiscard]] float inverse_norm() const noexcept { return inverse_norm_; }

  /// The distance of row r, given its kernel's result.
  [[nodiscard]] float distance(float raw, const FlatRows& rows, std::size_t r) const noexcept {
    switch (metric_) {
      case Metric::l2:
        return l2_distance(raw);
      case Metric::inner_product:
        return inner_product_distance(raw, data(), rows.row(r), dimension());
      case Metric::cosine:
        break;
    }
    return cosine_distance(raw, inverse_norm_, rows.inverse_norms[r], data(), rows.row(r), dimension());
  }
  /// Offers all rows, given the kernel's results for them.
  void offer(const float* raw, const FlatRows& rows, std::uint64_t first_id, TopK& best) const {
    if (metric_ == Metric::l2)
      offer_each(rows.count, first_id, best, [&](std::size_t r) { return l2_distance(raw[r]); });
    else
      offer_each(rows.count, first_id, best, [&](std::size_t r) { return distance(raw[r], rows, r); });
  }

 private:
  template <class DistanceOf>
  static void offer_each(std::size_t count, std::uint64_t first_id, TopK& best, DistanceOf&& distance_of) {
    for (std::size_t r = 0; r < count; ++r) {
      const float d = distance_of(r);
      if (d <= best.bound()) best.offer(d, first_id + r);
    }
  }

  Metric metric_;
  float inverse_norm_;
  const Kernels* kernels_;
  const PanelKernels* panels_;
  std::span<const float> query_;
};

/// Offers every row; row r has the id first_id + r. O(count x dimension). REQUIRES: rows of the query's dimension.
inline void flat_scan(const FlatQuery& query, const FlatRows& rows, std::uint64_t first_id, TopK& best) {
  std::array<float, 256> raw;
  for (std::size_t first = 0; first < rows.count; first += raw.size()) {
    const auto part = rows.part(first, std::min(raw.size(), rows.count - first));
    query.kernels().many(query.data(), part.rows, part.count, part.dimension, raw.data());
    query.offer(raw.data(), part, first_id + first, best);
  }
}

}  // namespace quiver::detail
