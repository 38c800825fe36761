// The flat index: every row is looked at. The oracle of all other indexes, and exact search at the speed of memory.
#pragma once

#include <quiver/core/top_k.hpp>
#include <quiver/distance/metric.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

namespace quiver::detail {

/// Dense rows somewhere in memory: count x dimension floats, and for cosine the inverse norm of each row.
struct FlatRows {
  const float* rows = nullptr;
  const float* inverse_norms = nullptr;  // cosine only
  std::size_t count = 0;
  std::size_t dimension = 0;
};

/// A query prepared once: its kernels and, for cosine, a copy of unit length. Refers to the caller's numbers for the other metrics. One thread.
class FlatQuery {
 public:
  /// REQUIRES: check_query() has passed.
  FlatQuery(Metric metric, std::span<const float> query) : metric_(metric), kernels_(&kernels(metric)), given_(query) {
    if (metric != Metric::cosine) return;
    const double inverse = 1.0 / std::sqrt(oracle_dot(query, query));
    unit_.reserve(query.size());
    for (const float x : query) unit_.push_back(static_cast<float>(static_cast<double>(x) * inverse));
  }

  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] const Kernels& kernel() const noexcept { return *kernels_; }
  [[nodiscard]] const float* data() const noexcept { return unit_.empty() ? given_.data() : unit_.data(); }
  [[nodiscard]] std::size_t dimension() const noexcept { return given_.size(); }

  /// The distance from what the kernel gave for row `row`; never NaN.
  [[nodiscard]] float finish(float raw, const FlatRows& rows, std::size_t row) const noexcept {
    if (metric_ == Metric::l2) return raw;
    const float distance = 1.0f - (metric_ == Metric::cosine ? raw * rows.inverse_norms[row] : raw);
    return std::isnan(distance) ? std::numeric_limits<float>::infinity() : distance;
  }

 private:
  Metric metric_;
  const Kernels* kernels_;
  std::span<const float> given_;
  std::vector<float> unit_;
};

/// Offers what a kernel computed for rows [first, first + count) under the ids first_id + row.
inline void offer_all(const FlatQuery& query, const FlatRows& rows, std::size_t first, std::size_t count, const float* raw, std::uint64_t first_id, TopK& best) {
  if (query.metric() == Metric::l2) {
    for (std::size_t i = 0; i < count; ++i)
      if (raw[i] <= best.bound()) best.offer(raw[i], first_id + first + i);
    return;
  }
  for (std::size_t i = 0; i < count; ++i) {
    const float distance = query.finish(raw[i], rows, first + i);
    if (distance <= best.bound()) best.offer(distance, first_id + first + i);
  }
}

/// One query over all rows; row r has the id first_id + r. O(count x dimension).
inline void flat_scan(const FlatQuery& query, const FlatRows& rows, std::uint64_t first_id, TopK& best) {
  std::array<float, 128> raw;
  for (std::size_t first = 0; first < rows.count; first += raw.size()) {
    const auto count = std::min(raw.size(), rows.count - first);
    query.kernel().many(query.data(), rows.rows + first * rows.dimension, count, rows.dimension, raw.data());
    offer_all(query, rows, first, count, raw.data(), first_id, best);
  }
}

/// Many queries in one pass over the rows; answers are those of flat_scan() of each, to the bit. REQUIRES: one metric, as many queries as sets.
class FlatBatch {
 public:
  explicit FlatBatch(std::span<const FlatQuery> queries) : queries_(queries) {
    if (queries.empty()) return;
    packed_.reserve(queries.size() * queries.front().dimension());
    for (const auto& query : queries) packed_.insert(packed_.end(), query.data(), query.data() + query.dimension());
  }

  void scan(const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) {
    if (queries_.empty()) return;
    // A block of rows stays in the second-level cache while all queries pass over it.
    const std::size_t block = std::clamp<std::size_t>(131072 / (rows.dimension * sizeof(float)), 3, 384) / 3 * 3;
    raw_.resize(queries_.size() * block);
    for (std::size_t first = 0; first < rows.count; first += block) {
      const auto count = std::min(block, rows.count - first);
      queries_.front().kernel().batch(packed_.data(), queries_.size(), rows.rows + first * rows.dimension, count, rows.dimension, raw_.data());
      for (std::size_t q = 0; q < queries_.size(); ++q) offer_all(queries_[q], rows, first, count, raw_.data() + q * count, first_id, best[q]);
    }
  }

 private:
  std::span<const FlatQuery> queries_;
  std::vector<float> packed_;  // the queries as dense rows
  std::vector<float> raw_;
};

inline void flat_scan_batch(std::span<const FlatQuery> queries, const FlatRows& rows, std::uint64_t first_id, std::span<TopK> best) { FlatBatch(queries).scan(rows, first_id, best); }

}  // namespace quiver::detail
