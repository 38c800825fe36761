// What is true of every graph that a builder or a merge leaves.
#pragma once

#include <quiver/index/hnsw_graph.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace quiver::test {

/// Used links first, each to another node that is there and none twice; a level's nodes lead to their rows.
inline void check_shape(const detail::HnswGraph& graph) {
  const auto check = [](const detail::HnswLevel& level, const detail::HnswLevel* below) {
    for (std::uint32_t node = 0; node < level.nodes; ++node) {
      const std::span links(level.links_of(node), level.degree);
      const auto end = std::find(links.begin(), links.end(), detail::no_link);
      BOOST_TEST(std::all_of(end, links.end(), [](auto link) { return link == detail::no_link; }));
      std::vector<std::uint32_t> used(links.begin(), end);
      std::sort(used.begin(), used.end());
      BOOST_TEST((std::adjacent_find(used.begin(), used.end()) == used.end()));
      BOOST_TEST((used.empty() || (used.back() < level.nodes && !std::binary_search(used.begin(), used.end(), node))));
      if (below != nullptr) BOOST_TEST((level.down[node] < below->nodes && below->row(level.down[node]) == level.rows[node]));
    }
  };
  check(graph.ground, nullptr);
  for (std::size_t l = 0; l < graph.upper.size(); ++l) check(graph.upper[l], l == 0 ? &graph.ground : &graph.upper[l - 1]);
}

/// All that it consists of.
inline std::vector<std::uint32_t> words(const detail::HnswGraph& graph) {
  std::vector<std::uint32_t> all(graph.ground.links, graph.ground.links + std::size_t{graph.ground.nodes} * graph.ground.degree);
  for (const auto& level : graph.upper) {
    all.insert(all.end(), level.links, level.links + std::size_t{level.nodes} * level.degree);
    all.insert(all.end(), level.rows, level.rows + level.nodes);
    all.insert(all.end(), level.down, level.down + level.nodes);
  }
  return all;
}

/// How many nodes cannot be come to from the row where walks begin, on any of the levels that it has.
inline std::size_t out_of_reach(const detail::HnswGraph& graph) {
  std::size_t lost = 0;
  const auto count = [&](const detail::HnswLevel& level, std::uint32_t root) {
    std::vector<bool> met(level.nodes);
    std::vector<std::uint32_t> open{root};
    met[root] = true;
    for (std::size_t at = 0; at < open.size(); ++at)
      for (const auto link : std::span(level.links_of(open[at]), level.degree)) {
        if (link >= level.nodes) break;
        if (!met[link]) open.push_back(link);
        met[link] = true;
      }
    lost += level.nodes - open.size();
  };
  std::uint32_t root = 0;
  for (auto level = graph.upper.rbegin(); level != graph.upper.rend(); ++level) {
    count(*level, root);
    root = level->down[root];
  }
  count(graph.ground, root);
  return lost;
}

}  // namespace quiver::test
