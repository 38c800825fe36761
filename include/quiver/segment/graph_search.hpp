// One part searched along its graph, or row by row where that is exact or finds more.
#pragma once

#include <quiver/index/hnsw_rows.hpp>
#include <quiver/segment/part.hpp>
#include <quiver/segment/request.hpp>

#include <algorithm>

namespace quiver::detail {

/// How a field is searched along graphs: how many rows a walk keeps in mind.
[[nodiscard]] inline std::size_t ef_of(const VectorField& field, std::size_t wanted, std::size_t k) noexcept {
  const auto* hnsw = std::get_if<Hnsw>(&field.index());
  return std::max(wanted != 0 || hnsw == nullptr ? wanted : hnsw->ef, k);
}

/// Of more rows to keep in mind a walk is slower than looking at every row.
inline constexpr std::size_t most_kept = 4096;

/// Counts rows that were compared with a query.
inline void looked_at(SearchStats& stats, const FlatQuery& query, std::uint64_t rows) noexcept {
  stats.rows_visited += rows;
  stats.distances_computed += rows;
  stats.bytes_read += rows * (query.dimension() + (query.metric() == Metric::cosine ? 1 : 0)) * sizeof(float);
}

/// Offers `best` rows near the query, row r as first_id + r; all rows where the part has no graph of the field, where `ef` is no fewer than there are or
/// too many for a walk to pay, or where the walk meets too few rows that live. `live`: rows that are not deleted; is_live(row) is asked only where some are.
/// Renews the scope.
template <StoragePolicy P, class IsLive>
void search_part(typename P::ReadScope& scope, const Part<P>& part, std::size_t field, const FlatQuery& query, std::uint64_t first_id, std::size_t ef,
                 std::uint64_t live, IsLive&& is_live, TopK& best, SearchStats& stats) {
  const auto& vectors = part.vectors(field);
  const auto rows = part.rows();
  if (live == 0) return;
  const auto* graph = part.graph(field);
  // So many that ef of them live if the deleted ones are spread evenly. ef < live < 2^31, so nothing overflows.
  const auto kept = ef < live ? static_cast<std::size_t>((ef * rows + live - 1) / live) : most_kept + 1;
  bool enough = false;
  if (graph != nullptr && kept <= most_kept) {
    const auto take = [&](const CandidatePool& pool) {
      const auto wanted = std::min<std::uint64_t>(best.k(), live);
      std::uint64_t found = live == rows ? pool.size() : 0;
      for (std::size_t i = 0; live != rows && i < pool.size() && found < wanted; ++i) found += is_live(pool[i].id()) ? 1 : 0;
      enough = found >= wanted;
      for (std::size_t i = 0; enough && i < pool.size(); ++i) best.offer(pool[i].distance, first_id + pool[i].id());
    };
    const auto walk = [&](const auto& row_query) { looked_at(stats, query, graph->search(row_query, kept, take)); };
    if (const auto all = vectors.in_memory())
      walk(FlatRowQuery(*all, query));
    else
      walk(ViewedRowQuery(vectors, scope, query));
  }
  if (enough) return;
  vectors.search(scope, query, first_id, best);
  looked_at(stats, query, rows);
}

}  // namespace quiver::detail
