// Exact search of one query: every row is looked at. The oracle of all other indexes, at the speed of memory.
#pragma once

#include <quiver/core/top_k.hpp>
#include <quiver/distance/dispatch.hpp>
#include <quiver/distance/metric.hpp>

#include <array>
#include <span>
#include <type_traits>
#include <vector>

namespace quiver::detail {

/// Dense rows somewhere in memory: count x dimension numbers of one kind, and for cosine the inverse norm of each row. A view.
struct FlatRows {
  const void* rows = nullptr;
  const float* inverse_norms = nullptr;  // cosine only
  std::size_t count = 0;
  std::size_t dimension = 0;
  Element element = Element::float32;

  [[nodiscard]] std::size_t row_bytes() const noexcept { return dimension * element_bytes(element); }
  [[nodiscard]] const void* row(std::size_t r) const noexcept { return static_cast<const std::byte*>(rows) + r * row_bytes(); }
  /// Rows [first, first + length). REQUIRES: within count.
  [[nodiscard]] FlatRows part(std::size_t first, std::size_t length) const noexcept {
    return {row(first), inverse_norms == nullptr ? nullptr : inverse_norms + first, length, dimension, element};
  }
  /// Rows [first, first + length) as floats, one behind the other: where they are, or in `room`, which they replace. REQUIRES: within count.
  template <class Arch = DefaultArch>
  [[nodiscard]] const float* floats(std::size_t first, std::size_t length, std::vector<float>& room) const {
    if (element == Element::float32) return static_cast<const float*>(row(first));
    room.resize(length * dimension);
    kernel_set<Arch>().elements.widen(element, row(first), room.size(), room.data());
    return room.data();
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
      : FlatQuery(metric, Element::float32, query, query.data(), inverse_norm, set) {}
  /// For rows of any kind: `asked` are the numbers of the query as asked_as(rows) says.
  FlatQuery(Metric metric, Element rows, std::span<const float> query, const void* asked, float inverse_norm, const KernelSet& set) noexcept
      : FlatQuery(metric, rows, asked_as(rows), inverse_norm, set.rows(rows, metric), set, query.data(), asked, query.size()) {}

  /// A row as a query for the others: data() is there for rows of floats alone. REQUIRES: under cosine inverse norms.
  template <class Arch = DefaultArch>
  [[nodiscard]] static FlatQuery of_row(Metric metric, const FlatRows& rows, std::size_t row) noexcept {
    const KernelSet& set = kernel_set<Arch>();
    const void* const asked = rows.row(row);
    return {metric,
            rows.element,
            rows.element,
            metric == Metric::cosine ? rows.inverse_norms[row] : 1.0f,
            set.pairs(rows.element, metric),
            set,
            rows.element == Element::float32 ? static_cast<const float*>(asked) : nullptr,
            asked,
            rows.dimension};
  }

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  /// What the rows are that it is prepared for.
  [[nodiscard]] Element element() const noexcept { return rows_; }
  [[nodiscard]] const Kernels& kernels() const noexcept { return *kernels_; }
  [[nodiscard]] const PanelKernels& panels() const noexcept { return *panels_; }
  [[nodiscard]] const float* data() const noexcept { return floats_; }
  /// The same numbers as kernels() take them.
  [[nodiscard]] const void* asked() const noexcept { return asked_; }
  [[nodiscard]] std::size_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] float inverse_norm() const noexcept { return inverse_norm_; }

  /// The distance of row r, given its kernel's result.
  [[nodiscard]] float distance(float raw, const FlatRows& rows, std::size_t r) const noexcept {
    switch (metric_) {
      case Metric::l2:
        return l2_distance(raw);
      case Metric::inner_product:
        return inner_product_distance(raw, [&] { return exact(rows, r); });
      case Metric::cosine:
        break;
    }
    return cosine_distance(raw, inverse_norm_, rows.inverse_norms[r], [&] { return exact(rows, r); });
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

  FlatQuery(Metric metric, Element rows, Element kind, float inverse_norm, const Kernels& kernels, const KernelSet& set, const float* floats, const void* asked,
            std::size_t dimension) noexcept
      : metric_(metric),
        rows_(rows),
        kind_(kind),
        inverse_norm_(inverse_norm),
        kernels_(&kernels),
        panels_(&set.panels),
        floats_(floats),
        asked_(asked),
        dimension_(dimension) {}

  [[nodiscard, gnu::cold, gnu::noinline]] double exact(const FlatRows& rows, std::size_t r) const noexcept {
    return oracle_distance(metric_, kind_, asked_, rows.element, rows.row(r), dimension_);
  }

  Metric metric_;
  Element rows_, kind_;  // of the rows; of asked_
  float inverse_norm_;
  const Kernels* kernels_;
  const PanelKernels* panels_;
  const float* floats_;
  const void* asked_;
  std::size_t dimension_;
};

/// Offers every row; row r has the id first_id + r. O(count x dimension). REQUIRES: rows of the query's dimension.
inline void flat_scan(const FlatQuery& query, const FlatRows& rows, std::uint64_t first_id, TopK& best) {
  std::array<float, 256> raw;
  for (std::size_t first = 0; first < rows.count; first += raw.size()) {
    const auto part = rows.part(first, std::min(raw.size(), rows.count - first));
    query.kernels().many(query.asked(), part.rows, part.count, part.dimension, raw.data());
    query.offer(raw.data(), part, first_id + first, best);
  }
}

}  // namespace quiver::detail
