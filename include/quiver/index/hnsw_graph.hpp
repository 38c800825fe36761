// A hierarchical navigable small world graph: its shape in memory, and the walks through it.
// Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs", 2016.
#pragma once

#include <quiver/distance/kernels.hpp>
#include <quiver/index/candidate_pool.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>

namespace quiver::detail {

inline constexpr std::size_t max_hnsw_m = 128;                          // as the schema has it, which this room does not know
inline constexpr std::uint64_t max_hnsw_rows = std::uint64_t{1} << 31;  // a bit of a node's number is the pool's
inline constexpr std::uint32_t no_link = ~std::uint32_t{0};

/// A distance that can be sorted: of numbers so large that it is none, as far as can be.
[[nodiscard]] inline float number_or_far(float distance) noexcept { return distance == distance ? distance : std::numeric_limits<float>::infinity(); }

/// Distances from one query, or one row, to rows: `at(row)` says how far one is, `each(rows, out)` how far some are, the first gather_ahead of which
/// `fetch(row)` has asked the processor for. `ahead()` rows may be fetched long before they are used.
template <class S>
concept HnswQuery = requires(const S& query, std::uint32_t row, std::span<const std::uint32_t> rows, float* out) {
  { query.at(row) } -> std::same_as<float>;
  query.fetch(row);
  { query.ahead() } -> std::same_as<std::size_t>;
  query.each(rows, out);
};

/// One level: its nodes are numbered from 0, and each has `degree` places for links to nodes of the same level, the used ones first, no_link behind them.
/// A view. Links may change while it is read: each is one atomic word, and any of them is the number of a node, which is linked itself before a link leads to
/// it.
struct HnswLevel {
  const std::uint32_t* links = nullptr;
  const std::uint32_t* rows = nullptr;  // of each node; null at the ground, where nodes are rows
  const std::uint32_t* down = nullptr;  // the node of the same row one level below; null at the ground
  std::uint32_t nodes = 0;
  std::uint32_t degree = 0;

  [[nodiscard]] const std::uint32_t* links_of(std::uint32_t node) const noexcept { return links + std::size_t{node} * degree; }
  /// Asks the processor for the first links of a node, which will be read soon.
  void fetch_links(std::uint32_t node) const noexcept {
    __builtin_prefetch(links_of(node));
    if (degree > 16) __builtin_prefetch(links_of(node) + 16);
  }
  [[nodiscard]] std::uint32_t row(std::uint32_t node) const noexcept { return rows == nullptr ? node : rows[node]; }
  [[nodiscard]] static std::uint32_t load(const std::uint32_t* link) noexcept { return __atomic_load_n(link, __ATOMIC_ACQUIRE); }
};

/// What a walk needs; used again by the next one of the same thread.
struct HnswScratch {
  using Nodes = std::array<std::uint32_t, 2 * max_hnsw_m>;

  CandidatePool pool;
  VisitedSet visited;
  Nodes nodes, ahead, rows;
  std::array<float, 2 * max_hnsw_m> distances;

  /// Leaves in `distances` how far the first `count` of some nodes are. The query has been asked to fetch the first of them.
  template <HnswQuery Query>
  void measure(const HnswLevel& level, const Query& query, const Nodes& of, std::size_t count) {
    if (level.rows == nullptr) return query.each(std::span(of).first(count), distances.data());
    for (std::size_t i = 0; i < count; ++i) rows[i] = level.rows[of[i]];
    query.each(std::span(rows).first(count), distances.data());
  }
  /// Leaves the neighbours of a node that were not visited in `to`. Returns how many.
  [[nodiscard]] std::size_t look_around(const HnswLevel& level, std::uint32_t node, Nodes& to) const noexcept {
    const auto* const links = level.links_of(node);
    std::size_t count = 0;
    for (; count < level.degree; ++count) {
      const auto neighbour = HnswLevel::load(links + count);
      if (neighbour >= level.nodes) break;  // no_link, or a damaged number
      to[count] = neighbour;
      visited.prefetch(neighbour);
    }
    return visited.keep_new(to.data(), count);
  }
};

/// Has the rows of nodes [first, last) of a list fetched. Inlined, as all that fetches is: g++ takes a call of what does nothing else for one that does
/// nothing.
template <HnswQuery Query>
[[gnu::always_inline]] inline void fetch_rows(const HnswLevel& level, const Query& query, const HnswScratch::Nodes& nodes, std::size_t first,
                                              std::size_t last) {
  for (auto i = first; i < last; ++i) query.fetch(level.row(nodes[i]));
}

/// Steps to the nearest neighbour as long as that is nearer; from `node` of the level, to a node of it.
template <HnswQuery Query>
[[nodiscard]] std::uint32_t descend(const HnswLevel& level, const Query& query, std::uint32_t node, HnswScratch& scratch, std::uint64_t& distances) {
  float best = query.at(level.row(node));
  ++distances;
  for (bool moved = true; moved;) {
    moved = false;
    const auto* const links = level.links_of(node);
    std::size_t count = 0;
    for (; count < level.degree; ++count) {
      const auto neighbour = HnswLevel::load(links + count);
      if (neighbour >= level.nodes) break;  // no_link, or a damaged number
      query.fetch(level.row(neighbour));
      level.fetch_links(neighbour);  // of one of them next, whichever it is
      scratch.nodes[count] = neighbour;
    }
    scratch.measure(level, query, scratch.nodes, count);
    distances += count;
    for (std::size_t i = 0; i < count; ++i) {
      const float distance = scratch.distances[i];
      if (distance < best || (distance == best && scratch.nodes[i] < node)) {
        best = distance;
        node = scratch.nodes[i];
        moved = true;
      }
    }
  }
  return node;
}

/// Leaves in scratch.pool the nodes of the level that were found nearest to the query, `ef` at most, from `entry` on. While the distances of one node's
/// neighbours are computed, the rows of the next one's are on their way, and the links of the one behind that: three of four nodes are the ones foreseen.
template <HnswQuery Query>
void walk(const HnswLevel& level, const Query& query, std::uint32_t entry, std::size_t ef, HnswScratch& scratch, std::uint64_t& distances) {
  auto& pool = scratch.pool;
  auto& visited = scratch.visited;
  auto* nodes = &scratch.nodes;
  auto* ahead = &scratch.ahead;
  pool.reset(ef);
  visited.reset(level.nodes);
  static_cast<void>(visited.insert(entry));
  const float first = query.at(level.row(entry));
  pool.offer(number_or_far(first), entry);  // what is no number elsewhere is below no bound
  ++distances;
  auto foreseen = CandidatePool::none;
  std::size_t ahead_count = 0;
  for (std::uint32_t node; (node = pool.next()) != CandidatePool::none;) {
    const bool fetched = node == foreseen;
    if (fetched)
      std::swap(nodes, ahead);
    else
      ahead_count = scratch.look_around(level, node, *nodes);
    const auto count = visited.insert(nodes->data(), ahead_count);
    fetch_rows(level, query, *nodes, fetched ? query.ahead() : 0, std::min(count, gather_ahead));
    const auto [next, second] = pool.peek();
    foreseen = next;
    if (next != CandidatePool::none) {
      ahead_count = scratch.look_around(level, next, *ahead);
      fetch_rows(level, query, *ahead, 0, std::min(ahead_count, query.ahead()));
    }
    if (second != CandidatePool::none) level.fetch_links(second);
    scratch.measure(level, query, *nodes, count);
    distances += count;
    // First those that may be near enough, without branches.
    auto& near = scratch.rows;
    std::size_t near_count = 0;
    const auto bound = pool.bound();
    for (std::size_t i = 0; i < count; ++i) {
      near[near_count] = static_cast<std::uint32_t>(i);
      near_count += static_cast<std::size_t>(scratch.distances[i] < bound);
    }
    for (std::size_t i = 0; i < near_count; ++i)
      if (pool.offer(scratch.distances[near[i]], (*nodes)[near[i]])) level.fetch_links((*nodes)[near[i]]);
  }
}

/// The whole graph, the ground and the levels above it, lowest first. A view.
struct HnswGraph {
  HnswLevel ground;
  std::span<const HnswLevel> upper;  // of the highest, node 0 is where every walk begins; empty: row 0 is
};

/// The nodes of the ground nearest to the query, `ef` at most, in scratch.pool. Adds the distances that were computed to `distances`.
/// REQUIRES: at least one row, ef > 0. Approximate; O(log rows + ef x degree) distances in practice.
template <HnswQuery Query>
void search_graph(const HnswGraph& graph, const Query& query, std::size_t ef, HnswScratch& scratch, std::uint64_t& distances) {
  std::uint32_t node = 0;
  for (auto level = graph.upper.rbegin(); level != graph.upper.rend(); ++level) {
    node = descend(*level, query, node, scratch, distances);
    node = level->down[node];
  }
  walk(graph.ground, query, node, ef, scratch, distances);
}

}  // namespace quiver::detail
