#include <quiver/index/hnsw_merge.hpp>

#include <quiver/index/hnsw_rows.hpp>

#include "support/clusters.hpp"
#include "support/graph_shape.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>
#include <stdexcept>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::check_shape;
using test::Clusters;
using test::out_of_reach;

namespace hnsw_merge {
namespace {

using Numbers = std::vector<std::uint32_t>;

/// Rows of a data set under numbers of their own.
struct Rows {
  Rows(const Clusters& data, const Numbers& which) : dimension(data.dimension()) {
    for (const auto row : which) {
      values.insert(values.end(), data.row(row).begin(), data.row(row).end());
      inverse_norms.push_back(inverse_norm(data.row(row)));
    }
  }
  [[nodiscard]] FlatRows flat() const noexcept { return {values.data(), inverse_norms.data(), inverse_norms.size(), dimension}; }
  std::size_t dimension;
  std::vector<float> values, inverse_norms;
};
[[nodiscard]] Numbers range(std::uint32_t first, std::uint32_t last) {
  Numbers all(last - first);
  std::iota(all.begin(), all.end(), first);
  return all;
}
[[nodiscard]] HnswLinks built(const Rows& rows, Metric metric = Metric::l2, const HnswBuildParameters& parameters = {}) {
  return HnswBuilder(FlatRowSpace(metric, rows.flat()), parameters).build(1, [] {});
}
/// Where each row of `before` is in `after`; both ascend.
[[nodiscard]] Numbers numbered(const Numbers& before, const Numbers& after) {
  Numbers to;
  for (const auto row : before) {
    const auto at = std::lower_bound(after.begin(), after.end(), row);
    to.push_back(at != after.end() && *at == row ? static_cast<std::uint32_t>(at - after.begin()) : no_link);
  }
  return to;
}
/// Of the graph over `before`, the graph over `after`.
[[nodiscard]] HnswLinks merged(const HnswGraph& graph, const Numbers& before, const Numbers& after, const Rows& rows, Metric metric = Metric::l2,
                               const HnswBuildParameters& parameters = {}, std::size_t threads = 1) {
  const auto to = numbered(before, after);
  const HnswOrigin origin{graph, to};
  BOOST_REQUIRE(origin.ascends());
  std::atomic<std::size_t> steps = 0;
  auto links = HnswMerger(FlatRowSpace(metric, rows.flat()), parameters, origin).build(threads, [&] { ++steps; });
  BOOST_TEST(steps >= after.size());
  check_shape(links.graph());
  BOOST_TEST(out_of_reach(links.graph()) == 0u);
  for (const auto& level : links.graph().upper)
    BOOST_TEST((level.nodes != 0 && std::adjacent_find(level.rows, level.rows + level.nodes, std::greater_equal<>()) == level.rows + level.nodes));
  return links;
}
[[nodiscard]] double recall(const Clusters& data, const Rows& rows, Metric metric, const HnswGraph& graph, std::size_t ef) {
  constexpr std::size_t k = 10, queries = 60;
  HnswScratch scratch;
  std::uint64_t distances = 0;
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    const FlatQuery query(metric, data.query(q));
    TopK best(k);
    flat_scan(query, rows.flat(), 0, best);
    const auto exact = best.take_sorted();
    search_graph(graph, FlatRowQuery(rows.flat(), query), ef, scratch, distances);
    for (std::size_t i = 0; i < std::min(k, scratch.pool.size()); ++i) hits += scratch.pool[i].distance <= exact.back().distance ? 1u : 0u;
  }
  return static_cast<double>(hits) / static_cast<double>(k * queries);
}
[[nodiscard]] Numbers some(const Numbers& of, double share, unsigned seed) {
  std::mt19937 random(seed);
  Numbers out;
  for (const auto row : of)
    if (static_cast<double>(random() % 1'000) < share * 1'000) out.push_back(row);
  return out;
}
const std::uint32_t many = test::sanitized ? 1'000 : 4'000;

}  // namespace
}  // namespace hnsw_merge

BOOST_AUTO_TEST_SUITE(hnsw_merge)

BOOST_AUTO_TEST_CASE(without_the_deleted_rows_it_finds_what_a_fresh_graph_finds) {
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(many, 24, 40, 7, 3.0f);
    const auto before = range(0, many);
    const auto old = built(Rows(data, before), metric);
    for (const auto share : {0.9, 0.7, 0.5, 0.3}) {
      const auto after = some(before, share, 3);
      const Rows rows(data, after);
      const auto links = merged(old.graph(), before, after, rows, metric), fresh = built(rows, metric);
      for (const std::size_t ef : {20u, 50u, 100u}) {
        const auto kept = recall(data, rows, metric, links.graph(), ef), anew = recall(data, rows, metric, fresh.graph(), ef);
        BOOST_TEST(kept >= anew - 0.01,
                   "metric " << static_cast<int>(metric) << ", " << share << " left, ef " << ef << ": " << kept << ", built anew " << anew);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(what_is_added_behind_the_rows_gives_the_very_graph_that_building_anew_does) {
  const Clusters data(many, 12, 30, 4);
  const auto all = range(0, many);
  const Rows rows(data, all);
  const auto fresh = built(rows);
  for (const auto first : {many, many - many / 10, many / 2}) {
    const auto before = range(0, first);
    const auto old = built(Rows(data, before));
    BOOST_TEST((test::words(merged(old.graph(), before, all, rows).graph()) == test::words(fresh.graph())), first << " rows first");
  }
}

BOOST_AUTO_TEST_CASE(rows_are_added_before_and_between_and_some_are_taken_out) {
  const Clusters data(many, 16, 30, 9, 4.0f);
  const auto before = range(many / 4, many * 3 / 4);
  const auto old = built(Rows(data, before));
  auto after = range(0, many / 4);
  for (const auto row : some(before, 0.6, 8)) after.push_back(row);
  for (auto row = many * 3 / 4; row < many; ++row) after.push_back(row);
  const Rows rows(data, after);
  const auto links = merged(old.graph(), before, after, rows), fresh = built(rows);
  BOOST_TEST(recall(data, rows, Metric::l2, links.graph(), 50) >= recall(data, rows, Metric::l2, fresh.graph(), 50) - 0.01);
  BOOST_TEST((test::words(links.graph()) == test::words(merged(old.graph(), before, after, rows).graph())));
}

// Where walks begin may be a row that went, one that is new, or one on a level by itself.
BOOST_AUTO_TEST_CASE(whatever_is_left_walks_begin_where_they_can_go_on) {
  const Clusters data(600, 5, 10, 3);
  const auto before = range(100, 500);
  const HnswBuildParameters small{.m = 3, .ef_construction = 16};
  const auto old = built(Rows(data, before), Metric::l2, small);
  const auto& upper = old.graph().upper;
  BOOST_REQUIRE(upper.size() >= 3u);
  const auto without = [&](const HnswLevel& level, Numbers rows) {
    std::erase_if(rows, [&](auto row) { return row >= 100 && std::binary_search(level.rows, level.rows + level.nodes, row - 100); });
    return rows;
  };
  const auto check = [&](const Numbers& after) {
    const Rows rows(data, after);
    const auto links = merged(old.graph(), before, after, rows, Metric::l2, small);
    if (after.size() >= 10) BOOST_TEST(recall(data, rows, Metric::l2, links.graph(), after.size()) == 1.0);
  };
  for (const auto& level : upper) {
    check(without(level, before));
    check(without(level, range(0, 500)));
    check(without(level, range(100, 600)));
  }
  for (const std::uint32_t row : {100u, 101u, 377u, 499u}) {
    check({row});
    check({3, row});
    check({row, 555});
    auto few = range(0, 100);
    few.push_back(row);
    check(few);
  }
  check({100, 499});
}

BOOST_AUTO_TEST_CASE(it_is_told_where_too_few_are_left_above_the_ground) {
  const Numbers above{0, 4, 9};
  const HnswLevel level{nullptr, above.data(), nullptr, 3, 2};
  const auto keeps = [&](const Numbers& to, std::size_t m, bool levels = true) {
    return HnswOrigin{{{}, levels ? std::span(&level, 1) : std::span<const HnswLevel>{}}, to}.keeps_levels(m);
  };
  auto to = range(0, 12);
  BOOST_TEST(keeps(to, 2));
  to[0] = to[4] = no_link;
  BOOST_TEST(!keeps(to, 2));
  BOOST_TEST(keeps(to, 5));
  BOOST_TEST(!keeps(to, 5, false));
  BOOST_TEST(keeps(to, 6, false));
}

BOOST_AUTO_TEST_CASE(it_is_told_where_those_are_gone_that_others_are_linked_to) {
  // Row 0 is linked to by all, each row to the next.
  constexpr std::uint32_t nodes = 60;
  Numbers words(nodes * 3, no_link);
  for (std::uint32_t node = 0; node < nodes; ++node) {
    words[node * 3] = (node + 1) % nodes;
    if (node != 0 && node + 1 != nodes) words[node * 3 + 1] = 0;
  }
  const auto evenly = [&](const Numbers& gone) {
    auto to = range(0, nodes);
    for (const auto row : gone) to[row] = no_link;
    return HnswOrigin{{{words.data(), nullptr, nullptr, nodes, 3}, {}}, to}.loses_links_evenly();
  };
  BOOST_TEST(evenly({}));
  BOOST_TEST(!evenly({0}));
  BOOST_TEST(evenly({7}));
  BOOST_TEST(evenly({7, 30, 31}));
  BOOST_TEST(!evenly({0, 7, 30}));
  BOOST_TEST(evenly(range(0, nodes)));
  words[3] = 1'000;  // no row's number: ends the list
  BOOST_TEST(evenly({7}));
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    const Clusters data(many, 24, 40, 7, 3.0f);
    const auto before = range(0, many);
    const auto old = built(Rows(data, before), metric, {.m = 12, .ef_construction = 80});
    for (const auto share : {0.9, 0.7}) BOOST_TEST((HnswOrigin{old.graph(), numbered(before, some(before, share, 3))}.loses_links_evenly()));
    if (metric == Metric::l2) continue;
    std::vector<float> lengths;
    for (const auto row : before) lengths.push_back(std::inner_product(data.row(row).begin(), data.row(row).end(), data.row(row).begin(), 0.0f));
    auto sorted = lengths;
    std::sort(sorted.begin(), sorted.end());
    Numbers after;
    for (const auto row : before)
      if (lengths[row] < sorted[many * 49 / 50]) after.push_back(row);
    BOOST_TEST((!HnswOrigin{old.graph(), numbered(before, after)}.loses_links_evenly()));
  }
}

BOOST_AUTO_TEST_CASE(links_lead_on_through_rows_that_are_gone) {
  constexpr std::uint32_t nodes = 50;
  const Clusters data(nodes, 3, 1, 3);
  Numbers line(nodes * 4, no_link);
  for (std::uint32_t node = 0; node + 1 < nodes; ++node) line[node * 4] = node + 1;
  const HnswGraph graph{{line.data(), nullptr, nullptr, nodes, 4}, {}};
  Numbers to(nodes, no_link);
  to.front() = 0;
  to.back() = 1;
  const Rows rows(data, {0, nodes - 1});
  const auto links = HnswMerger(FlatRowSpace(Metric::l2, rows.flat()), {.m = 2, .ef_construction = 1}, HnswOrigin{graph, to}).build(1, [] {});
  BOOST_TEST(*links.graph().ground.links_of(0) == 1u);
  BOOST_TEST(out_of_reach(links.graph()) == 0u);
}

BOOST_AUTO_TEST_CASE(equal_rows_rows_far_apart_and_rows_too_large_for_distances) {
  const HnswBuildParameters small{.m = 4, .ef_construction = 20};
  auto same = Clusters(many / 4, 6, 1, 1);
  same.set_all(2.5f);
  const Clusters apart(many / 4, 6, 20, 2, 1e4f);
  auto huge = Clusters(many / 4, 6, 20, 2);
  huge.scale(7, 1e25f);
  for (const Clusters* data : std::initializer_list<const Clusters*>{&same, &apart, &huge})
    for (const auto metric : {Metric::l2, Metric::inner_product}) {
      const auto before = range(0, many / 5);
      const auto old = built(Rows(*data, before), metric, small);
      auto after = some(before, 0.5, 2);
      for (auto row = many / 5; row < many / 4; ++row) after.push_back(row);
      static_cast<void>(merged(old.graph(), before, after, Rows(*data, after), metric, small));
    }
}

// No checksum shields from whoever writes a file with right ones: every number may stand where links do.
BOOST_AUTO_TEST_CASE(links_of_any_kind_do_no_harm) {
  const Clusters data(300, 4, 8, 3);
  const auto before = range(0, 300);
  const HnswBuildParameters small{.m = 3, .ef_construction = 16};
  const auto old = built(Rows(data, before), Metric::l2, small);
  std::mt19937 random(5);
  for (int round = 0; round < 20; ++round) {
    std::vector<Numbers> links;
    std::vector<HnswLevel> levels;
    const auto spoil = [&](HnswLevel level) {
      auto& words = links.emplace_back(level.links, level.links + std::size_t{level.nodes} * level.degree);
      for (auto& word : words)
        if (random() % 3 == 0) word = random() % 4 == 0 ? static_cast<std::uint32_t>(random()) : static_cast<std::uint32_t>(random() % level.nodes);
      level.links = words.data();
      return level;
    };
    links.reserve(20);
    const auto ground = spoil(old.graph().ground);
    for (const auto& level : old.graph().upper) levels.push_back(spoil(level));
    const auto after = some(before, 0.5, static_cast<unsigned>(round));
    static_cast<void>(merged({ground, levels}, before, after, Rows(data, after), Metric::l2, small));
  }
}

BOOST_AUTO_TEST_CASE(levels_whose_rows_do_not_ascend_are_told) {
  const std::uint32_t links[] = {no_link, no_link, no_link, no_link}, down[] = {0, 1}, good[] = {0, 3}, twice[] = {3, 3}, back[] = {3, 0};
  const auto ascends = [&](const std::uint32_t* rows) {
    const HnswLevel level{links, rows, down, 2, 2};
    return HnswOrigin{{{}, std::span(&level, 1)}, {}}.ascends();
  };
  BOOST_TEST(ascends(good));
  BOOST_TEST(!ascends(twice));
  BOOST_TEST(!ascends(back));
}

BOOST_AUTO_TEST_CASE(a_step_that_throws_ends_it) {
  const Clusters data(1'000, 4, 10, 1);
  const auto before = range(0, 600);
  const auto old = built(Rows(data, before));
  for (const int after : {0, 300, 700}) {
    int left = after;
    const HnswOrigin origin{old.graph(), before};
    const auto step = [&] {
      if (--left < 0) throw std::runtime_error("enough");
    };
    BOOST_CHECK_THROW(static_cast<void>(HnswMerger(FlatRowSpace(Metric::l2, data.rows()), {}, origin).build(1, step)), std::runtime_error);
  }
}

BOOST_AUTO_TEST_SUITE_END()
