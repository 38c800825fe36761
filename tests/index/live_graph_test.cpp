#include <quiver/index/live_graph.hpp>

#include <quiver/index/hnsw_rows.hpp>

#include <boost/test/unit_test.hpp>

#include "support/clusters.hpp"
#include "support/graph_shape.hpp"
#include "support/sanitized.hpp"

#include <algorithm>
#include <set>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::Clusters;

namespace live_graphs {
namespace {

using Graph = LiveGraph<FlatRowSpace>;

void append(Graph& graph, std::size_t rows) {
  for (std::size_t i = 0; i < rows; ++i) graph.append();
}
Graph& grown(Graph& graph, std::size_t rows, const HnswBuildParameters& parameters = {}) {
  graph.begin(parameters);
  append(graph, rows);
  return graph;
}
std::vector<Candidate> found_by(const Graph::Stage& stage, Metric metric, const Clusters& data, std::span<const float> query, std::size_t ef) {
  std::vector<Candidate> found;
  const auto distances = stage.search(stage.covered(), FlatRowQuery(data.rows(), FlatQuery(metric, query)), ef, [&](const CandidatePool& pool) {
    for (std::size_t i = 0; i < pool.size(); ++i) found.push_back({pool[i].distance, pool[i].node});
  });
  BOOST_TEST(distances >= found.size());
  return found;
}
/// The share of the ten nearest of the first `rows` that `find(query)` finds.
template <class Find>
double recall(Metric metric, const Clusters& data, std::size_t rows, Find&& find) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < 60; ++q) {
    TopK best(10);
    flat_scan(FlatQuery(metric, data.query(q)), data.rows().part(0, rows), 0, best);
    const auto exact = best.take_sorted();
    const std::vector<Candidate> found = find(data.query(q));
    for (std::size_t i = 0; i < std::min<std::size_t>(10, found.size()); ++i) {
      BOOST_TEST(found[i].id < rows);
      hits += found[i].distance <= exact.back().distance ? 1u : 0u;
    }
  }
  return static_cast<double>(hits) / 600;
}

}  // namespace
}  // namespace live_graphs

BOOST_AUTO_TEST_SUITE(live_graphs)

BOOST_AUTO_TEST_CASE(rows_that_come_one_by_one_are_found_as_in_a_graph_of_all_at_once) {
  const std::size_t rows = test::sanitized ? 1'500 : 6'000;
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(rows, 24, 60, 7);
    Graph graph{FlatRowSpace(metric, data.rows())};
    grown(graph, rows);
    const auto stage = graph.now();
    BOOST_TEST(stage->covered() == rows);
    stage->whole([](const HnswGraph& whole) { test::check_shape(whole); });
    const auto built = HnswBuilder(FlatRowSpace(metric, data.rows()), {}).build(1, [] {});
    const auto live = recall(metric, data, rows, [&](auto query) { return found_by(*stage, metric, data, query, 40); });
    const auto batch = recall(metric, data, rows, [&](auto query) {
      HnswScratch scratch;
      std::uint64_t distances = 0;
      search_graph(built.graph(), FlatRowQuery(data.rows(), FlatQuery(metric, query)), 40, scratch, distances);
      std::vector<Candidate> found;
      for (std::size_t i = 0; i < scratch.pool.size(); ++i) found.push_back({scratch.pool[i].distance, scratch.pool[i].node});
      return found;
    });
    BOOST_TEST_MESSAGE("metric " << static_cast<int>(metric) << ": recall " << live << " of a graph that grew, " << batch << " of one that was built");
    BOOST_TEST(live >= batch - 0.02);
  }
}

BOOST_AUTO_TEST_CASE(every_row_is_found_through_all_doublings) {
  const Clusters data(9'000, 6, 40, 11);
  Graph graph{FlatRowSpace(Metric::l2, data.rows())};
  graph.begin({.m = 6, .ef_construction = 60});
  std::set<std::uint64_t> sizes;
  std::size_t there = 0;
  for (const std::size_t rows : {1u, 2u, 3u, 500u, 1'023u, 1'024u, 1'025u, 2'047u, 2'049u, 4'097u, 9'000u}) {
    append(graph, rows - there);
    there = rows;
    const auto stage = graph.now();
    BOOST_TEST(stage->covered() == rows);
    sizes.insert(stage->bytes());
    stage->whole([&](const HnswGraph& whole) {
      test::check_shape(whole);
      BOOST_TEST(whole.ground.nodes == rows);
      for (const auto& level : whole.upper) BOOST_TEST((level.nodes != 0 && level.rows[level.nodes - 1] < rows));
    });
    if (rows >= 500) BOOST_TEST(recall(Metric::l2, data, rows, [&](auto query) { return found_by(*stage, Metric::l2, data, query, 100); }) >= 0.95);
  }
  BOOST_TEST(sizes.size() == 5u);  // room for 1024, 2048, 4096, 8192, 16384
}

// Under inner product nobody links to a row that is not among the longest, and what is added later takes the places of links that others hung on.
BOOST_AUTO_TEST_CASE(no_row_stays_out_of_reach) {
  const auto lost = [](const Graph& graph) { return graph.now()->whole([](const HnswGraph& whole) { return test::out_of_reach(whole); }); };
  Clusters data(5'000, 10, 30, 2);
  data.scale(3, 0.01f);
  data.scale(7, 50);
  std::size_t most = 0;
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    Graph graph{FlatRowSpace(metric, data.rows())};
    graph.begin({.m = 4, .ef_construction = 20});
    std::size_t there = 0;
    for (const std::size_t rows : {1u, 100u, 129u, 300u, 1'024u, 1'025u, 1'800u, 4'097u, 5'000u}) {
      append(graph, rows - there);
      there = rows;
      most = std::max(most, lost(graph));
      graph.connect();
      BOOST_TEST(lost(graph) == 0u, "metric " << static_cast<int>(metric) << ", " << rows << " rows");
      graph.now()->whole([](const HnswGraph& whole) { test::check_shape(whole); });
    }
  }
  BOOST_TEST(most > 0u);
}

BOOST_AUTO_TEST_CASE(a_graph_connects_itself_as_it_grows) {
  Clusters data(1'200, 10, 30, 2);
  data.scale(7, 50);
  std::size_t before = 0, after = 0;
  Graph graph{FlatRowSpace(Metric::inner_product, data.rows())};
  graph.begin({.m = 4, .ef_construction = 20});
  const auto lost = [&] { return graph.now()->whole([](const HnswGraph& whole) { return test::out_of_reach(whole); }); };
  for (std::size_t rows = 1; rows <= 1'200; ++rows) {
    graph.append();
    if (rows % 128 == 0 && rows <= 1'024) before += lost();
    if (rows % 128 == 1 && rows > 1) after += lost();
  }
  BOOST_TEST_MESSAGE(before << " rows out of reach in all, " << after << " one row later");
  BOOST_TEST(before > 20u);
  BOOST_TEST(after * 4 < before);
}

BOOST_AUTO_TEST_CASE(the_same_rows_make_the_same_graph_wherever_it_was_looked_at) {
  const Clusters data(2'500, 8, 20, 5);
  const auto words = [](const Graph::Stage& stage) { return stage.whole([](const HnswGraph& whole) { return test::words(whole); }); };
  Graph first{FlatRowSpace(Metric::l2, data.rows())}, again{FlatRowSpace(Metric::l2, data.rows())};
  grown(first, 2'500);
  grown(again, 1'200);
  static_cast<void>(words(*again.now()));
  append(again, 1'300);
  BOOST_TEST((words(*first.now()) == words(*again.now())));
}

BOOST_AUTO_TEST_CASE(who_walks_in_an_old_stage_finds_what_it_covers) {
  const Clusters data(3'000, 8, 20, 6);
  Graph graph{FlatRowSpace(Metric::l2, data.rows())};
  grown(graph, 1'000);
  const auto old = graph.now();
  append(graph, 2'000);
  BOOST_TEST((graph.now() != old));
  BOOST_TEST(old->covered() == 1'024u);
  BOOST_TEST(recall(Metric::l2, data, 1'024, [&](auto query) { return found_by(*old, Metric::l2, data, query, 100); }) >= 0.97);
}

BOOST_AUTO_TEST_CASE(equal_rows_and_one_row) {
  auto data = Clusters(1'500, 5, 3, 3);
  data.set_all(2.5f);
  Graph graph{FlatRowSpace(Metric::l2, data.rows())};
  grown(graph, 1);
  BOOST_TEST(found_by(*graph.now(), Metric::l2, data, data.query(0), 10).size() == 1u);
  append(graph, 1'499);
  graph.now()->whole([](const HnswGraph& whole) { test::check_shape(whole); });
  BOOST_TEST(found_by(*graph.now(), Metric::l2, data, data.query(0), 10).size() == 10u);
}

BOOST_AUTO_TEST_CASE(a_graph_is_dropped_and_begun_with_other_parameters) {
  const Clusters data(300, 5, 3, 3);
  Graph graph{FlatRowSpace(Metric::l2, data.rows())};
  BOOST_TEST((graph.now() == nullptr && !graph.covered()));
  grown(graph, 300);
  const auto first = graph.now();
  graph.begin({.m = 4, .ef_construction = 20});
  BOOST_TEST((graph.now()->covered() == 0u && graph.covered() == 0u));
  BOOST_TEST(graph.now()->parameters().m == 4u);
  BOOST_TEST(first->covered() == 300u);
  BOOST_TEST(found_by(*first, Metric::l2, data, data.query(0), 10).size() == 10u);
  append(graph, 300);
  graph.now()->whole([](const HnswGraph& whole) { BOOST_TEST((whole.ground.degree == 8u && whole.ground.nodes == 300u)); });
  graph.drop();
  BOOST_TEST((graph.now() == nullptr && !graph.covered()));
}

BOOST_AUTO_TEST_SUITE_END()
