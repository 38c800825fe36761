// A hierarchical navigable small world graph: its shape in memory, and the walks through it.
// Source: Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World graphs", 2016.
#pragma once

#include <quiver/index/candidate_pool.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace quiver::detail {

inline constexpr std::size_t max_hnsw_m = 128;                          // as the schema has it, which this room does not know
inline constexpr std::uint64_t max_hnsw_rows = std::uint64_t{1} << 31;  // a bit of a node's number is the pool's
inline constexpr std::uint32_t no_link = ~std::uint32_t{0};

/// Distances from one query, or one row, to rows: `at(row)` says how far, `fetch(row)` asks the processor for its bytes.
template <class S>
concept HnswQuery = requires(const S& query, std::uint32_t row) {
  { query.at(row) } -> std::same_as<float>;
  query.fetch(row);
};

/// One level: its nodes are numbered from 0, and each has `degree` places for links to nodes of the same level, the used ones first, no_link behind them.
/// A view. Links may change while it is read: each is one atomic word, and any of them is the number of a node.
struct HnswLevel {
  const std::uint32_t* links = nullptr;
  const std::uint32_t* rows = nullptr;  // of each node; null at the ground, where nodes are rows
  const std::uint32_t* down = nullptr;  // the node of the same row one level below; null at the ground
  std::uint32_t nodes = 0;
  std::uint32_t degree = 0;

  [[nodiscard]] const std::uint32_t* links_of(std::uint32_t node) const noexcept { return links + std::size_t{node} * degree; }
  [[nodiscard]] std::uint32_t row(std::uint32_t node) const noexcept { return rows == nullptr ? node : rows[node]; }
  [[nodiscard]] static std::uint32_t load(const std::uint32_t* link) noexcept { return __atomic_load_n(link, __ATOMIC_RELAXED); }
};

/// What a walk needs; used again by the next one of the same thread.
struct HnswScratch {
  CandidatePool pool;
  VisitedSet visited;
};

/// Steps to the nearest neighbour as long as that is nearer; from `node` of the level, to a node of it.
template <HnswQuery Query>
[[nodiscard]] std::uint32_t descend(const HnswLevel& level, const Query& query, std::uint32_t node, std::uint64_t& distances) {
  float best = query.at(level.row(node));
  ++distances;
  for (bool moved = true; moved;) {
    moved = false;
    const auto* const links = level.links_of(node);
    std::array<std::uint32_t, 2 * max_hnsw_m> near;
    std::size_t count = 0;
    for (; count < level.degree; ++count) {
      near[count] = HnswLevel::load(links + count);
      if (near[count] >= level.nodes) break;  // no_link, or a damaged number
      query.fetch(level.row(near[count]));
    }
    distances += count;
    for (std::size_t i = 0; i < count; ++i) {
      const float distance = query.at(level.row(near[i]));
      if (distance < best || (distance == best && near[i] < node)) {
        best = distance;
        node = near[i];
        moved = true;
      }
    }
  }
  return node;
}

/// Leaves in scratch.pool the nodes of the level that were found nearest to the query, `ef` at most, from `entry` on.
template <bool Ground, HnswQuery Query>
void walk(const HnswLevel& level, const Query& query, std::uint32_t entry, std::size_t ef, HnswScratch& scratch, std::uint64_t& distances) {
  const auto row_of = [&](std::uint32_t node) { return Ground ? node : level.rows[node]; };
  auto& pool = scratch.pool;
  auto& visited = scratch.visited;
  pool.reset(ef);
  visited.reset(level.nodes);
  static_cast<void>(visited.insert(entry));
  pool.offer(query.at(row_of(entry)), entry);
  ++distances;
  constexpr std::size_t ahead = 6;  // rows that are fetched before they are needed
  std::array<std::uint32_t, 2 * max_hnsw_m + ahead> fresh;
  for (std::uint32_t node; (node = pool.next()) != CandidatePool::none;) {
    const auto* const links = level.links_of(node);
    std::size_t count = 0;
    for (; count < level.degree; ++count) {
      const auto neighbour = HnswLevel::load(links + count);
      if (neighbour >= level.nodes) break;
      fresh[count] = neighbour;
      visited.prefetch(neighbour);
    }
    if (const auto next = pool.peek(); next != CandidatePool::none) {
      const auto* const soon = level.links_of(next);
      __builtin_prefetch(soon);
      if (level.degree > 16) __builtin_prefetch(soon + 16);
    }
    std::size_t left = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (!visited.insert(fresh[i])) continue;
      fresh[left] = fresh[i];
      if (left < ahead) query.fetch(row_of(fresh[left]));
      ++left;
    }
    distances += left;
    for (std::size_t i = 0; i < left; ++i) {
      if (i + ahead < left) query.fetch(row_of(fresh[i + ahead]));
      const float distance = query.at(row_of(fresh[i]));
      if (distance < pool.bound()) pool.offer(distance, fresh[i]);
    }
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
    node = descend(*level, query, node, distances);
    node = level->down[node];
  }
  walk<true>(graph.ground, query, node, ef, scratch, distances);
}

}  // namespace quiver::detail
