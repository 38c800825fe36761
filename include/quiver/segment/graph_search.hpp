// One part searched along its graph, or row by row where that is exact or finds more.
#pragma once

#include <quiver/index/hnsw_rows.hpp>
#include <quiver/segment/part.hpp>
#include <quiver/segment/request.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace quiver::detail {

/// How much a search along a graph is to look at.
struct WalkEffort {
  std::size_t ef;      // rows that a walk keeps in mind
  std::size_t refine;  // of them, how many are compared by their vectors where the walk went by codes
};

/// What a request asks for, filled up by what the field's index says.
[[nodiscard]] inline WalkEffort effort_of(const VectorField& field, std::size_t ef, std::size_t refine, std::size_t k) noexcept {
  const auto* hnsw = std::get_if<Hnsw>(&field.index());
  if (ef == 0 && hnsw != nullptr) ef = hnsw->ef;
  // k is no more than there are documents. Of coarser codes more are compared by their vectors.
  if (refine == 0) refine = k + (std::holds_alternative<Sq4>(field.quantizer()) ? std::max<std::size_t>(3 * k, 30) : std::max<std::size_t>(k, 10));
  return {std::max(ef, k), std::max(refine, k)};
}

/// Of more rows to keep in mind a walk is slower than looking at every row.
inline constexpr std::size_t most_kept = 4096;
/// So many rows a walk looks at, about, for each that it keeps in mind.
inline constexpr std::uint64_t rows_per_kept = 8;

/// Counts rows that were compared with a query.
inline void looked_at(SearchStats& stats, const FlatQuery& query, std::uint64_t rows) noexcept {
  stats.rows_visited += rows;
  stats.distances_computed += rows;
  stats.bytes_read += rows * (query.dimension() * element_bytes(query.element()) + (query.metric() == Metric::cosine ? sizeof(float) : 0));
}

/// The same of rows whose codes were.
inline void looked_at_codes(SearchStats& stats, std::size_t row_bytes, std::uint64_t rows) noexcept {
  stats.rows_visited += rows;
  stats.distances_computed += rows;
  stats.bytes_read += rows * row_bytes;
}

/// Calls use(query) with what tells the distances of a part's rows, whatever its reader is. May renew the scope.
template <StoragePolicy P, class Use>
void with_row_query(typename P::ReadScope& scope, const FlatBlock<typename P::Reader>& vectors, const FlatQuery& query, Use&& use) {
  if (const auto all = vectors.in_memory())
    use(FlatRowQuery(*all, query));
  else
    use(ViewedRowQuery(vectors, scope, query));
}

/// Rows that a walk has met, nearest first, by whatever it measured.
class Met {
 public:
  /// The first `most` that live, of a walk that could keep `kept` in mind. is_live(row) is asked only where `all` do not.
  template <class IsLive>
  Met(const CandidatePool& pool, std::size_t kept, bool all, std::size_t most, IsLive&& is_live) : full_(pool.size() == kept) {
    near_.reserve(std::min(most, pool.size()));
    for (std::size_t i = 0; i < pool.size(); ++i) {
      if (!all && !is_live(pool[i].node)) continue;
      ++live_;
      if (near_.size() < most) near_.push_back({pool[i].node, pool[i].distance});
    }
  }
  [[nodiscard]] std::size_t size() const noexcept { return near_.size(); }
  /// All that live and were kept in mind.
  [[nodiscard]] std::size_t live() const noexcept { return live_; }
  /// False: there was nothing else to come to.
  [[nodiscard]] bool full() const noexcept { return full_; }
  void offer_all(std::uint64_t first_id, TopK& best) const {
    for (const auto& each : near_) best.offer(each.distance, first_id + each.row);
  }
  /// The same by distances that are measured anew.
  template <HnswQuery Query>
  void offer_all(std::uint64_t first_id, TopK& best, const Query& query) const {
    std::array<std::uint32_t, 128> rows;
    std::array<float, 128> distances;
    for (std::size_t first = 0; first < near_.size(); first += rows.size()) {
      const auto count = std::min(rows.size(), near_.size() - first);
      for (std::size_t i = 0; i < count; ++i) {
        rows[i] = near_[first + i].row;
        if (i < gather_ahead) query.fetch(rows[i]);
      }
      query.each(std::span(rows).first(count), distances.data());
      for (std::size_t i = 0; i < count; ++i) best.offer(distances[i], first_id + rows[i]);
    }
  }

 private:
  struct Near {
    std::uint32_t row;
    float distance;
  };
  std::vector<Near> near_;
  std::size_t live_ = 0;
  bool full_;
};

/// What a walk meets that is to have about `ef` rows in mind that live: walk(kept) -> Met with ever more, for those that are deleted may lie close together,
/// and there fill the places of the others. Nothing: it would be more than `limit`.
template <class Walk>
[[nodiscard]] std::optional<Met> walk_among_live(std::uint64_t kept, std::uint64_t limit, std::size_t ef, Walk&& walk) {
  while (kept <= limit) {
    auto met = walk(static_cast<std::size_t>(kept));
    if (4 * met.live() >= 3 * ef || !met.full()) return met;
    kept += std::max<std::uint64_t>(kept, 2 * (ef - met.live()));
  }
  return std::nullopt;
}

/// Offers `best` rows near the query, row r as first_id + r; all rows where the part has no graph of the field, where `effort.ef` is no fewer than there are or
/// too many for a walk to pay, or where the walk meets too few rows that live. `live`: rows that are not deleted; is_live(row) is asked only where some are.
/// Renews the scope.
template <StoragePolicy P, class IsLive>
void search_part(typename P::ReadScope& scope, const Part<P>& part, std::size_t field, const FlatQuery& query, std::uint64_t first_id, const WalkEffort& effort,
                 std::uint64_t live, IsLive&& is_live, TopK& best, SearchStats& stats) {
  const auto& vectors = part.vectors(field);
  const auto rows = part.rows();
  if (live == 0) return;
  const auto* const graph = part.graph(field);
  // So many that ef of them live if the deleted ones are spread evenly. ef < live < 2^31, so nothing overflows.
  const auto kept = effort.ef < live ? static_cast<std::size_t>((effort.ef * rows + live - 1) / live) : most_kept + 1;
  if (graph != nullptr && kept <= most_kept) {
    const auto wanted = std::min<std::uint64_t>(best.k(), live);
    const auto limit = std::max<std::uint64_t>(kept, std::min<std::uint64_t>(most_kept, rows / rows_per_kept));
    std::uint64_t visited = 0;
    std::optional<Met> met;
    const auto walk = [&](const auto& row_query, std::size_t most) {
      met = walk_among_live(kept, limit, effort.ef, [&](std::size_t more) {
        std::optional<Met> found;
        visited += graph->search(row_query, more, [&](const CandidatePool& pool) { found.emplace(pool, more, live == rows, most, is_live); });
        return *std::move(found);
      });
    };
    const auto* const codes = part.codes(field);
    if (const auto by_codes = codes == nullptr ? std::nullopt : codes->prepare(query)) {
      std::visit([&](const auto& row_query) { walk(row_query, effort.refine); }, *by_codes);  // once for a part, never for a row
      looked_at_codes(stats, codes->row_bytes(), visited);
      if (met && met->size() >= wanted) {
        looked_at(stats, query, met->size());
        return with_row_query<P>(scope, vectors, query, [&](const auto& row_query) { met->offer_all(first_id, best, row_query); });
      }
    } else {
      with_row_query<P>(scope, vectors, query, [&](const auto& row_query) { walk(row_query, most_kept); });
      looked_at(stats, query, visited);
      if (met && met->size() >= wanted) return met->offer_all(first_id, best);
    }
  }
  vectors.search(scope, query, first_id, best);
  looked_at(stats, query, rows);
}

}  // namespace quiver::detail
