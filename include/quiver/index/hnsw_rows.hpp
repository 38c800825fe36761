// Rows in memory, as a graph is built over them and walked.
#pragma once

#include <quiver/distance/metric.hpp>
#include <quiver/index/flat.hpp>
#include <quiver/index/hnsw_graph.hpp>

#include <array>

namespace quiver::detail {

/// Distances from one vector to rows, bit for bit those of a flat scan. A view; any number of threads.
class FlatRowQuery {
 public:
  FlatRowQuery(const FlatRows& rows, const FlatQuery& query) noexcept
      : rows_(rows), query_(query), stride_(rows.row_bytes()), lines_(lines_to_fetch(stride_)) {}

  [[nodiscard]] float at(std::uint32_t row) const noexcept {
    return query_.distance(query_.kernels().one(query_.asked(), at_row(row), rows_.dimension), rows_, row);
  }
  [[gnu::always_inline]] void fetch(std::uint32_t row) const noexcept { fetch_lines(at_row(row), lines_); }
  [[nodiscard]] std::size_t ahead() const noexcept { return rows_ahead(lines_); }
  void each(std::span<const std::uint32_t> which, float* out) const noexcept {
    if (query_.metric() == Metric::cosine)
      for (const auto row : which) __builtin_prefetch(rows_.inverse_norms + row);
    query_.kernels().gather(query_.asked(), rows_.rows, rows_.dimension, which.data(), which.size(), out);
    if (query_.metric() == Metric::l2)
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = l2_distance(out[i]);
    else
      for (std::size_t i = 0; i < which.size(); ++i) out[i] = query_.distance(out[i], rows_, which[i]);
  }

 private:
  [[nodiscard]] const std::byte* at_row(std::uint32_t row) const noexcept { return static_cast<const std::byte*>(rows_.rows) + row * stride_; }

  FlatRows rows_;
  FlatQuery query_;
  std::size_t stride_, lines_;
};

/// The same where rows are viewed, those that are asked for together read together, and bit for bit as well. Renews the scope; one thread.
template <class Block, class Scope>
class ViewedRowQuery {
 public:
  ViewedRowQuery(const Block& block, Scope& scope, const FlatQuery& query) noexcept : block_(block), scope_(scope), query_(query) {}
  [[nodiscard]] float at(std::uint32_t row) const {
    scope_.renew();
    return distance(row);
  }
  void fetch(std::uint32_t) const noexcept {}
  [[nodiscard]] static std::size_t ahead() noexcept { return 0; }
  void each(std::span<const std::uint32_t> which, float* out) const {
    scope_.renew();
    block_.prefetch(scope_, which);
    for (std::size_t i = 0; i < which.size(); ++i) out[i] = distance(which[i]);
  }

 private:
  [[nodiscard]] float distance(std::uint32_t row) const {
    const auto one = block_.one(scope_, row);
    return query_.distance(query_.kernels().one(query_.asked(), one.rows, one.dimension), one, 0);
  }

  const Block& block_;
  Scope& scope_;
  const FlatQuery& query_;
};

/// The rows under a metric, each of which can be asked for its distances to others. A view; any number of threads.
class FlatRowSpace {
 public:
  using Query = FlatRowQuery;

  FlatRowSpace(Metric metric, const FlatRows& rows) noexcept : metric_(metric), rows_(rows) {}
  [[nodiscard]] std::uint32_t rows() const noexcept { return static_cast<std::uint32_t>(rows_.count); }
  /// False where few rows are near all others, and most rows near to nobody.
  [[nodiscard]] bool near_is_mutual() const noexcept { return metric_ != Metric::inner_product; }
  /// The same rows by a distance under which near is mutual.
  [[nodiscard]] FlatRowSpace apart() const noexcept { return {near_is_mutual() ? metric_ : Metric::l2, rows_}; }
  [[nodiscard]] Query query(std::uint32_t row) const noexcept { return Query(rows_, FlatQuery::of_row(metric_, rows_, row)); }

 private:
  Metric metric_;
  FlatRows rows_;
};

}  // namespace quiver::detail
