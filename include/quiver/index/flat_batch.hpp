// Exact search of many queries in one pass over the rows, with the answers of single searches bit for bit.
#pragma once

#include <quiver/index/flat.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

namespace quiver::detail {

/// Up to 32 queries that go over the rows together. Blocks of rows are compared in two steps: inner products of the whole panel, rough, bound every
/// distance from below (|q - r|^2 = |q|^2 + |r|^2 - 2 q.r under L2); what the bound cannot rule out is computed anew by the kernel of single searches.
/// Where the bound rules out too little (rows far from the origin and close to each other; k not yet found), the single kernel goes over the block alone.
/// Refers to its queries. One thread.
class FlatPanel {
 public:
  static constexpr std::size_t fewest = 8;  // queries from which on the rough step pays

  /// REQUIRES: 1 to 32 queries of one metric and one dimension.
  explicit FlatPanel(std::span<const FlatQuery> queries) : queries_(queries), dimension_(queries.front().dimension()) {
    for (const auto& query : queries) {
      values_.push_back(query.data());
      asked_.push_back(query.asked());
    }
    raw_.resize(queries.size() * panel_rows);
  }

  /// Offers a block of rows to each query's set. REQUIRES: at most panel_rows; as many sets as queries.
  void scan(const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) {
    if (queries_.size() < fewest || !all_bounded(best)) return scan_directly(rows, first_id, best);
    if (pause_ != 0) {
      --pause_;
      return scan_directly(rows, first_id, best);
    }
    prepare(best);
    const float* const floats = rows.floats(0, rows.count, widened_);
    set_row_values(rows, floats);
    queries_.front().panels().select(packed_.data(), queries_.size(), floats, rows.count, dimension_, thresholds_, row_values_.data(), interest_.data());
    std::size_t looked = 0;
    for (std::size_t r = 0; r < rows.count; ++r)
      for (auto bits = interest_[r]; bits != 0; bits &= bits - 1, ++looked) {
        const auto q = static_cast<std::size_t>(std::countr_zero(bits));
        const auto& query = queries_[q];
        best[q].offer(query.distance(query.kernels().one(query.asked(), rows.row(r), dimension_), rows, r), first_id + r);
      }
    // After a block in which the rough step was of little use, some go without it: more each time in a row.
    const bool useful = looked * 8 <= rows.count * queries_.size();
    next_pause_ = useful ? 1 : std::min<std::size_t>(next_pause_ * 2, 64);
    pause_ = useful ? 0 : next_pause_;
  }

 private:
  static bool all_bounded(std::span<const TopK> best) noexcept {
    return std::all_of(best.begin(), best.end(), [](const TopK& b) { return b.bound() < std::numeric_limits<float>::infinity(); });
  }

  void scan_directly(const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) {
    queries_.front().kernels().batch(asked_.data(), queries_.size(), rows.rows, rows.count, dimension_, raw_.data());
    for (std::size_t q = 0; q < queries_.size(); ++q) queries_[q].offer(raw_.data() + q * rows.count, rows, first_id, best[q]);
  }

  /// Packs the queries once, and brings the thresholds up to the bounds that the sets have reached.
  void prepare(std::span<const TopK> best) {
    if (packed_.empty()) {
      packed_ = pack_panel(values_.data(), queries_.size(), dimension_);
      for (const auto& query : queries_) norms_.push_back(oracle_dot({query.data(), dimension_}, {query.data(), dimension_}));
      bounds_.assign(queries_.size(), std::numeric_limits<float>::quiet_NaN());
      std::fill_n(thresholds_.factor, panel_width, 0.0f);
      std::fill_n(thresholds_.offset, panel_width, std::numeric_limits<float>::infinity());
    }
    for (std::size_t q = 0; q < queries_.size(); ++q)
      if (bounds_[q] != best[q].bound()) {
        bounds_[q] = best[q].bound();
        set_threshold(q);
      }
  }

  // What follows chooses factor, offset and row value so that dot < row value * factor + offset proves: the single kernel's distance is above the bound.
  // `rough` and `fine` are the shares by which the panel's and the single kernel's sums may be off, `lost` what underflow takes from any of them; a few
  // units of rounding (2^-24) cover the arithmetic on the thresholds themselves. Norms beyond `plain_norm` could overflow: NaN sends them to the single kernel.

  static constexpr double unit = 0x1p-24;
  static constexpr double plain_norm = 1e37;  // squared

  void set_threshold(std::size_t q) noexcept {
    const double rough = panel_error(dimension_), fine = sum_error(dimension_), lost = underflow_error(dimension_);
    const double bound = static_cast<double>(bounds_[q]);
    double factor = 0, offset = 0;
    switch (queries_[q].metric()) {
      case Metric::l2: {
        const double share = l2_share();
        factor = 1;
        offset = (norms_[q] * (1 - share) - bound * (1 + share)) / 2 - 4 * lost;
        break;
      }
      case Metric::inner_product: {
        const double limit = 1 - bound - 4 * unit * (1 + std::abs(bound)) - 3 * lost;
        factor = -(rough + fine) * std::sqrt(norms_[q]) * (1 + 16 * unit);
        offset = limit - 4 * unit * std::abs(limit);
        break;
      }
      case Metric::cosine: {
        // 2^80 bounds the product of two plain inverse norms.
        const double limit = 1 - bound - 4 * unit * (1 + std::abs(bound)) - (rough + fine + 8 * unit) - 3 * lost * 0x1p80;
        factor = (limit - 8 * unit * std::abs(limit)) / static_cast<double>(queries_[q].inverse_norm());
        break;
      }
    }
    const bool plain = queries_[q].metric() == Metric::cosine ? plain_inverse_norm(queries_[q].inverse_norm()) : norms_[q] <= plain_norm;
    thresholds_.factor[q] = plain ? at_most(factor) : std::numeric_limits<float>::quiet_NaN();
    thresholds_.offset[q] = at_most(offset);
  }

  void set_row_values(const FlatRows& rows, const float* floats) noexcept {
    constexpr float none = std::numeric_limits<float>::quiet_NaN();
    if (queries_.front().metric() == Metric::cosine) {
      for (std::size_t r = 0; r < rows.count; ++r) row_values_[r] = plain_inverse_norm(rows.inverse_norms[r]) ? 1.0f / rows.inverse_norms[r] : none;
      return;
    }
    queries_.front().panels().squared_norms(floats, rows.count, dimension_, row_values_.data());
    if (queries_.front().metric() == Metric::l2) {
      const float half = at_most((1 - l2_share()) / 2);
      for (std::size_t r = 0; r < rows.count; ++r) row_values_[r] = row_values_[r] <= static_cast<float>(plain_norm) ? row_values_[r] * half : none;
    } else {
      const float more = static_cast<float>(1 + sum_error(dimension_) + 8 * unit);
      const float lost = static_cast<float>(2 * underflow_error(dimension_));
      for (std::size_t r = 0; r < rows.count; ++r)
        row_values_[r] = row_values_[r] <= static_cast<float>(plain_norm) ? std::sqrt(row_values_[r] + lost) * more : none;
    }
  }

  [[nodiscard]] double l2_share() const noexcept { return 2 * (panel_error(dimension_) + sum_error(dimension_)) + 16 * unit; }

  /// A float not above `value`.
  [[nodiscard]] static float at_most(double value) noexcept {
    const float near = to_distance(value);
    if (static_cast<double>(near) <= value) return near;
    return std::nextafter(near, -std::numeric_limits<float>::infinity());
  }

  std::span<const FlatQuery> queries_;
  std::size_t dimension_;
  std::vector<const float*> values_;
  std::vector<const void*> asked_;  // the same as the kernels take them
  std::vector<float> raw_;          // kernel results of a block
  std::vector<float> packed_;       // empty until first needed
  std::vector<double> norms_;       // squared
  std::vector<float> widened_;      // the rows of a block, where they are no floats
  std::vector<float> bounds_;       // those that the thresholds were made for
  PanelThresholds thresholds_;
  std::array<float, panel_rows> row_values_;
  std::array<std::uint32_t, panel_rows> interest_;
  std::size_t pause_ = 0;
  std::size_t next_pause_ = 1;
};

/// Any number of queries, in panels of 32. May be given rows piece by piece. Refers to its queries. One thread.
class FlatBatch {
 public:
  /// REQUIRES: queries of one metric and one dimension.
  explicit FlatBatch(std::span<const FlatQuery> queries) {
    for (std::size_t first = 0; first < queries.size(); first += panel_width)
      panels_.emplace_back(queries.subspan(first, std::min(panel_width, queries.size() - first)));
  }

  /// Offers every row to the set of each query; row r has the id first_id + r.
  void scan(const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) {
    for (std::size_t first = 0; first < rows.count; first += panel_rows) {
      const auto block = rows.part(first, std::min(panel_rows, rows.count - first));
      std::size_t at = 0;
      for (auto& panel : panels_) {
        const auto some = std::min(panel_width, best.size() - at);
        panel.scan(block, first_id + first, best.subspan(at, some));
        at += some;
      }
    }
  }

 private:
  std::vector<FlatPanel> panels_;
};

/// flat_scan() of each query, in one pass: the same answers to the bit.
inline void flat_scan_batch(std::span<const FlatQuery> queries, const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) {
  FlatBatch(queries).scan(rows, first_id, best);
}

}  // namespace quiver::detail
