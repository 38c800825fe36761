// Rows of floats in memory, as a graph is built over them and walked.
#pragma once

#include <quiver/distance/kernels.hpp>
#include <quiver/distance/metric.hpp>
#include <quiver/index/flat.hpp>
#include <quiver/index/hnsw_graph.hpp>

#include <algorithm>

namespace quiver::detail {

/// Distances from one vector to rows, bit for bit those of a flat scan. A view; any number of threads.
template <class Arch, Metric metric>
class FlatRowQuery {
 public:
  FlatRowQuery(const FlatRows& rows, const float* query, float inverse_norm) noexcept
      : rows_(rows), query_(query), inverse_norm_(inverse_norm), lines_(std::min<std::size_t>((rows.dimension * sizeof(float) + 63) / 64, 16)) {}

  [[nodiscard]] float at(std::uint32_t row) const noexcept {
    const float* const other = rows_.row(row);
    if constexpr (metric == Metric::l2) return l2_distance(one_to_one<Arch, SquaredDifference>(query_, other, rows_.dimension));
    const float dot = one_to_one<Arch, Product>(query_, other, rows_.dimension);
    if constexpr (metric == Metric::cosine) return cosine_distance(dot, inverse_norm_, rows_.inverse_norms[row], query_, other, rows_.dimension);
    return inner_product_distance(dot, query_, other, rows_.dimension);
  }
  void fetch(std::uint32_t row) const noexcept {
    const float* const begin = rows_.row(row);
    for (std::size_t line = 0; line < lines_; ++line) prefetch(begin, line * 64);
    if constexpr (metric == Metric::cosine) prefetch(rows_.inverse_norms + row, 0);
  }

 private:
  FlatRows rows_;
  const float* query_;
  float inverse_norm_;
  std::size_t lines_;  // of a row that are fetched; the processor itself goes on with longer ones
};

/// The same where a row is viewed each time, and bit for bit as well. Renews the scope; one thread.
template <class Block, class Scope>
class ViewedRowQuery {
 public:
  ViewedRowQuery(const Block& block, Scope& scope, const FlatQuery& query) noexcept : block_(block), scope_(scope), query_(query) {}
  [[nodiscard]] float at(std::uint32_t row) const {
    scope_.renew();
    const auto one = block_.one(scope_, row);
    return query_.distance(query_.kernels().one(query_.data(), one.rows, one.dimension), one, 0);
  }
  void fetch(std::uint32_t) const noexcept {}

 private:
  const Block& block_;
  Scope& scope_;
  const FlatQuery& query_;
};

/// Calls f(query) with what a graph over the rows is walked by.
template <class Arch = NativeArch, class F>
decltype(auto) with_row_query(const FlatQuery& query, const FlatRows& rows, F&& f) {
  switch (query.metric()) {
    case Metric::l2:
      return f(FlatRowQuery<Arch, Metric::l2>(rows, query.data(), query.inverse_norm()));
    case Metric::inner_product:
      return f(FlatRowQuery<Arch, Metric::inner_product>(rows, query.data(), query.inverse_norm()));
    case Metric::cosine:
      break;
  }
  return f(FlatRowQuery<Arch, Metric::cosine>(rows, query.data(), query.inverse_norm()));
}

/// The rows, each of which can be asked for its distances to others. A view; any number of threads.
template <class Arch, Metric metric>
class FlatRowSpace {
 public:
  using Query = FlatRowQuery<Arch, metric>;

  explicit FlatRowSpace(const FlatRows& rows) noexcept : rows_(rows) {}
  [[nodiscard]] std::uint32_t rows() const noexcept { return static_cast<std::uint32_t>(rows_.count); }
  [[nodiscard]] Query query(std::uint32_t row) const noexcept {
    return Query(rows_, rows_.row(row), metric == Metric::cosine ? rows_.inverse_norms[row] : 1.0f);
  }

 private:
  FlatRows rows_;
};

/// Calls f(space) with the rows under their metric.
template <class Arch = NativeArch, class F>
decltype(auto) with_space(Metric metric, const FlatRows& rows, F&& f) {
  switch (metric) {
    case Metric::l2:
      return f(FlatRowSpace<Arch, Metric::l2>(rows));
    case Metric::inner_product:
      return f(FlatRowSpace<Arch, Metric::inner_product>(rows));
    case Metric::cosine:
      break;
  }
  return f(FlatRowSpace<Arch, Metric::cosine>(rows));
}

}  // namespace quiver::detail
