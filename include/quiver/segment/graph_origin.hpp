// Which graph of the parts that are merged is to be gone on with.
#pragma once

#include <quiver/index/hnsw_merge.hpp>
#include <quiver/segment/merge.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace quiver::detail {

/// True if a graph of `rows` rows, so many of which live, is to be gone on with in one of `rows_in_all`. index/README.md has the measurements behind it: of
/// fewer than a quarter building anew is as fast. Links between distant rows are made while there are few and become fewer with every row that is taken out,
/// so of all that there have been since the graph was built anew a third may go.
[[nodiscard]] constexpr bool pays_to_keep(std::uint64_t living, std::uint64_t rows, std::uint64_t taken_out, std::uint64_t rows_in_all) noexcept {
  return living != 0 && living >= rows_in_all / 4 && taken_out + (rows - living) <= rows_in_all / 2;
}

/// The graph of one field of one of some parts, if one is worth to be kept, and where its rows go when the live rows of all parts are numbered in their order.
/// Memory of 4 bytes for each of its rows. Refers to the parts.
template <StoragePolicy P>
class GraphOrigin {
 public:
  /// Looks for graphs of these parameters. Reads the file of the one that it takes, and takes none whose file cannot be read or does not match its checksums: a
  /// graph can always be built anew. `rows`: how many live, or it takes none.
  GraphOrigin(const typename P::Store& store, const VectorField& vector, std::size_t field, typename LiveCursor<P>::Parts parts, const DeleteSet& deletes,
              std::uint64_t rows, const HnswBuildParameters& parameters) {
    const Part<P>* best = nullptr;
    std::uint64_t most = 0, before = 0, first = 0;
    std::size_t which = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto& part = *parts[i];
      const auto living = part.rows() - deletes.count(part.first(), part.last());
      const auto* const graph = part.graph(field);
      if (living > most && graph != nullptr && graph->parameters().m == parameters.m && graph->parameters().ef_construction == parameters.ef_construction &&
          pays_to_keep(living, part.rows(), graph->parameters().taken_out, rows))
        best = &part, most = living, first = before, which = i;
      before += living;
    }
    // A set of deletes that knows more than there are rows would lead rows astray.
    if (best == nullptr || before != rows || !is_whole(store, *best->graph(field))) return;
    HnswOrigin origin{best->graph(field)->graph(), {}};
    if (!origin.ascends()) return;
    to_.assign(static_cast<std::size_t>(best->rows()), no_link);
    LiveCursor<P> cursor(store, parts.subspan(which, 1), deletes);
    const auto living = most;
    for (; most != 0 && cursor.next(); --most) to_[static_cast<std::size_t>(cursor.row())] = static_cast<std::uint32_t>(first++);
    if (most != 0 || cursor.next()) return;
    origin.to = to_;
    if (!origin.keeps_levels(parameters.m)) return;
    // Rows are found through the longest: where these went, others have to be linked to in their places, which takes a walk for each row.
    if (vector.metric() == Metric::inner_product && !origin.loses_links_evenly()) return;
    origin_ = origin;
    taken_out_ = static_cast<std::uint32_t>(best->graph(field)->parameters().taken_out + best->rows() - living);
  }
  GraphOrigin(const GraphOrigin&) = delete;
  GraphOrigin& operator=(const GraphOrigin&) = delete;

  [[nodiscard]] const std::optional<HnswOrigin>& get() const noexcept { return origin_; }
  /// Of what comes of it, since it was built anew.
  [[nodiscard]] std::uint32_t taken_out() const noexcept { return taken_out_; }

 private:
  [[nodiscard]] static bool is_whole(const typename P::Store& store, const typename Part<P>::Graph& graph) {
    try {
      auto scope = store.read_scope();
      graph.block().verify(scope);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  std::vector<std::uint32_t> to_;
  std::optional<HnswOrigin> origin_;
  std::uint32_t taken_out_ = 0;
};

}  // namespace quiver::detail
