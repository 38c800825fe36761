// A graph that begins as the graph of some of its rows: what was deleted is taken out, what is new is inserted, and no row is out of reach afterwards.
#pragma once

#include <quiver/index/hnsw_builder.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A graph, and for each of its rows that row's number in the graph that comes of it, or no_link: it is not in that one. A view. REQUIRES: the numbers ascend.
struct HnswOrigin {
  HnswGraph graph;
  std::span<const std::uint32_t> to;

  /// True if the rows of each level ascend, as they do in what a builder has written.
  [[nodiscard]] bool ascends() const noexcept {
    return std::all_of(graph.upper.begin(), graph.upper.end(), [](const HnswLevel& level) {
      return std::adjacent_find(level.rows, level.rows + level.nodes, std::greater_equal<>()) == level.rows + level.nodes;
    });
  }
  /// True if about as many of the rows that are kept are above the ground as are to be, one in m: half of that. Else walks begin far from where they should.
  [[nodiscard]] bool keeps_levels(std::size_t m) const noexcept {
    const auto is_kept = [](std::uint32_t row) { return row != no_link; };
    const auto kept = static_cast<std::size_t>(std::count_if(to.begin(), to.end(), is_kept));
    if (graph.upper.empty()) return kept < 2 * m;
    const auto* const rows = graph.upper.front().rows;
    const auto above = std::count_if(rows, rows + graph.upper.front().nodes, [&](std::uint32_t row) { return is_kept(to[row]); });
    return static_cast<std::size_t>(above) * 2 * m >= kept;
  }
  /// True if the rows that are not kept were linked to about as much as others: of the links of those that are kept no more than one in twelve beyond the share
  /// of the rows is lost. Else, as where the longest rows go under inner product, what is left has links to find others, few to find them well. O(links).
  [[nodiscard]] bool loses_links_evenly() const noexcept {
    const auto& ground = graph.ground;
    std::uint64_t links = 0, lost = 0, gone = 0;
    for (std::uint32_t row = 0; row < ground.nodes; ++row) {
      if (to[row] == no_link) {
        ++gone;
        continue;
      }
      const auto* const all = ground.links_of(row);
      for (std::size_t i = 0; i < ground.degree && all[i] < ground.nodes; ++i, ++links) lost += static_cast<std::uint64_t>(to[all[i]] == no_link);
    }
    return static_cast<double>(lost) * ground.nodes * 12 <= static_cast<double>(links) * static_cast<double>(gone) * 13;
  }
};

/// Links every row of a space, those of another graph by its links. One use.
template <class Space>
class HnswMerger : HnswBuilder<Space> {
  using Base = HnswBuilder<Space>;
  using typename Base::Near;
  using typename Base::Worker;

 public:
  /// REQUIRES: as HnswBuilder; origin.ascends(), its levels have as many links as `parameters` say, and one of its rows is kept.
  HnswMerger(Space space, const HnswBuildParameters& parameters, const HnswOrigin& origin)
      : HnswMerger(space, parameters, origin, fresh_rows(space.rows(), origin)) {}

  /// As HnswBuilder::build(), of the same graph.
  template <class Step>
  [[nodiscard]] HnswLinks build(std::size_t threads, Step&& step) {
    const auto& levels = this->links_.levels();
    this->measure_rows();
    for (std::size_t level = 0; level <= std::min(levels.count(), origin_.graph.upper.size()); ++level) mend(level, threads, step);
    // Where walks begin until the row where they will is linked.
    auto top = levels.count();
    auto node = kept_node(top);
    while (node == no_link) node = kept_node(--top);
    const auto start = this->links_.level(top).row(node);
    const auto first = levels.count() == 0 ? 0 : levels.rows(levels.count()).front();
    if (is_fresh(first)) {
      Worker worker;
      this->add(first, top, node, worker);
      step();
    }
    const auto inserted = out_of_reach(start);
    this->add_all(
        static_cast<std::uint32_t>(inserted.size()), [&](std::uint32_t i) { return inserted[i]; }, first, threads, step);
    return this->connected(step);
  }

 private:
  using Rows = std::vector<std::uint32_t>;

  HnswMerger(const Space& space, const HnswBuildParameters& parameters, const HnswOrigin& origin, Rows fresh)
      : Base(space, parameters, HnswLinks(space.rows(), parameters, merged_levels(origin, fresh, parameters))), origin_(origin), fresh_(std::move(fresh)) {}

  [[nodiscard]] static Rows fresh_rows(std::uint32_t rows, const HnswOrigin& origin) {
    Rows fresh;
    std::uint32_t row = 0;
    for (const auto kept : origin.to) {
      if (kept == no_link) continue;
      for (; row < kept; ++row) fresh.push_back(row);
      ++row;
    }
    for (; row < rows; ++row) fresh.push_back(row);
    return fresh;
  }
  /// Rows that are kept stay on their levels, others are drawn theirs by their new numbers.
  [[nodiscard]] static HnswLevels merged_levels(const HnswOrigin& origin, const Rows& fresh, const HnswBuildParameters& parameters) {
    std::vector<Rows> kept(origin.graph.upper.size()), drawn, all;
    for (std::size_t l = 0; l < kept.size(); ++l) {
      const auto& level = origin.graph.upper[l];
      for (std::uint32_t node = 0; node < level.nodes; ++node)
        if (const auto row = origin.to[level.rows[node]]; row != no_link) kept[l].push_back(row);
    }
    for (const auto row : fresh) {
      const auto own = HnswLevels::drawn(row, parameters);
      if (drawn.size() < own) drawn.resize(own);
      for (std::size_t l = 0; l < own; ++l) drawn[l].push_back(row);
    }
    kept.resize(std::max(kept.size(), drawn.size()));
    drawn.resize(kept.size());
    for (std::size_t l = 0; l < kept.size() && kept[l].size() + drawn[l].size() != 0; ++l)
      std::merge(kept[l].begin(), kept[l].end(), drawn[l].begin(), drawn[l].end(), std::back_inserter(all.emplace_back()));
    return HnswLevels(std::move(all));
  }
  [[nodiscard]] bool is_fresh(std::uint32_t row) const noexcept { return std::binary_search(fresh_.begin(), fresh_.end(), row); }
  /// The first node of a level that is kept; no_link: none is.
  [[nodiscard]] std::uint32_t kept_node(std::size_t l) const noexcept {
    const auto& level = this->links_.level(l);
    for (std::uint32_t node = 0; node < level.nodes; ++node)
      if (!is_fresh(level.row(node))) return node;
    return no_link;
  }
  /// The new rows, and those that were left without links or cannot be come to from `start` any more, at the ground.
  [[nodiscard]] Rows out_of_reach(std::uint32_t start) const {
    const auto& ground = this->links_.level(0);
    const HnswReach reach(ground, start);
    Rows rows;
    for (std::uint32_t row = 0; row < ground.nodes; ++row)
      if (!reach.has(row) || *ground.links_of(row) == no_link) rows.push_back(row);
    return rows;
  }

  const HnswLevel& old_level(std::size_t l) const noexcept { return l == 0 ? origin_.graph.ground : origin_.graph.upper[l - 1]; }
  [[nodiscard]] bool is_kept(const HnswLevel& old, std::uint32_t node) const noexcept { return origin_.to[old.row(node)] != no_link; }

  /// Gives the kept nodes of a level their links.
  template <class Step>
  void mend(std::size_t l, std::size_t threads, Step&& step) {
    const auto& old = old_level(l);
    constexpr std::uint32_t batch = 256;
    parallel_for((std::size_t{old.nodes} + batch - 1) / batch, threads, [&](std::size_t i) {
      Mending mending;
      const auto begin = static_cast<std::uint32_t>(i) * batch;
      for (auto node = begin; node < std::min(old.nodes, begin + batch); ++node) {
        if (!is_kept(old, node)) continue;
        mend(l, node, mending);
        if (l == 0) step();
      }
    });
  }
  struct Mending {
    Worker worker;
    Rows candidates, removed;  // nodes of the old level
  };
  /// The links that are left, and where some are not, the best of these and of those of the nodes that are gone.
  void mend(std::size_t l, std::uint32_t node, Mending& mending) {
    const auto& old = old_level(l);
    const auto& level = this->links_.level(l);
    const auto& levels = this->links_.levels();
    const auto row = origin_.to[old.row(node)];
    const auto self = levels.node(l, row);
    auto& [worker, candidates, removed] = mending;
    candidates.clear();
    removed.clear();
    worker.scratch.visited.reset(old.nodes);
    static_cast<void>(worker.scratch.visited.insert(node));
    const auto take = [&](std::uint32_t from) {
      const auto* const links = old.links_of(from);
      for (std::size_t i = 0; i < old.degree && links[i] < old.nodes; ++i)
        if (worker.scratch.visited.insert(links[i])) (is_kept(old, links[i]) ? candidates : removed).push_back(links[i]);
    };
    take(node);
    const auto left = candidates.size(), lost = removed.size();
    // Through those that are gone, and on to those behind them as long as there is nobody else.
    constexpr std::size_t far = 4096;
    for (std::size_t at = 0, ring = lost; at < removed.size(); ++at) {
      if (at == ring) {
        if (!candidates.empty() || at > far) break;
        ring = removed.size();
      }
      take(removed[at]);
    }
    auto& near = worker.candidates;
    near.clear();
    for (const auto each : candidates) near.push_back({0, levels.node(l, origin_.to[old.row(each)])});
    if (!removed.empty()) {
      const auto query = this->space_.query(row);
      auto& scratch = worker.scratch;
      for (std::size_t first = 0; first < near.size();) {
        const auto count = std::min<std::size_t>(near.size() - first, 2 * max_hnsw_m);
        for (std::size_t i = 0; i < count; ++i) {
          scratch.nodes[i] = near[first + i].node;
          if (i < gather_ahead) query.fetch(level.row(scratch.nodes[i]));
        }
        scratch.measure(level, query, scratch.nodes, count);
        for (std::size_t i = 0; i < count; ++i) near[first + i].distance = number_or_far(scratch.distances[i]);
        first += count;
      }
      std::sort(near.begin() + static_cast<std::ptrdiff_t>(left), near.end(),
                [](const Near& a, const Near& b) { return a.distance < b.distance || (a.distance == b.distance && a.node < b.node); });
      fill_up(level, near, left, lost);
    }
    Base::write(this->links_.links_of(l, self), level.degree, near);
  }

  /// Of nodes the first `left` of which are links already, the others nearest first, leaves these and up to `more` others: those that are nearer to the node
  /// than to any that is linked, and as far as there are too few such, simply the nearest.
  void fill_up(const HnswLevel& level, std::vector<Near>& near, std::size_t left, std::size_t more) const {
    auto end = left;  // of what is taken
    for (auto i = left; i < near.size() && end < left + more; ++i) {
      const auto query = this->space_.query(level.row(near[i].node));
      const auto linked = std::span(near).first(end);
      const bool apart = std::none_of(linked.begin(), linked.end(), [&](const Near& each) { return query.at(level.row(each.node)) < near[i].distance; });
      if (apart)
        std::rotate(near.begin() + static_cast<std::ptrdiff_t>(end++), near.begin() + static_cast<std::ptrdiff_t>(i),
                    near.begin() + static_cast<std::ptrdiff_t>(i + 1));
    }
    near.resize(std::min(near.size(), left + more));
  }

  HnswOrigin origin_;
  Rows fresh_;
};

}  // namespace quiver::detail
