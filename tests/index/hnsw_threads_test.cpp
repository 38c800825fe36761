#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include <boost/test/unit_test.hpp>

#include "support/clusters.hpp"
#include "support/graph_shape.hpp"
#include "support/sanitized.hpp"

#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::Clusters;

namespace {

double recall(Metric metric, const Clusters& data, const HnswGraph& graph) {
  std::size_t hits = 0;
  HnswScratch scratch;
  std::uint64_t distances = 0;
  for (std::size_t q = 0; q < 50; ++q) {
    const auto query = data.query(q);
    TopK best(10);
    flat_scan(FlatQuery(metric, query), data.rows(), 0, best);
    const auto exact = best.take_sorted();
    search_graph(graph, FlatRowQuery(data.rows(), FlatQuery(metric, query)), 40, scratch, distances);
    for (std::size_t i = 0; i < 10; ++i) hits += scratch.pool[i].distance <= exact.back().distance ? 1 : 0;
  }
  return static_cast<double>(hits) / 500;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hnsw_threads)

BOOST_AUTO_TEST_CASE(many_threads_build_a_graph_as_good_as_one_does) {
  const Clusters data(test::sanitized ? 1'500 : 6'000, 24, 60, 9);
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    const auto alone = HnswBuilder(FlatRowSpace(metric, data.rows()), {}).build(1, [] {}),
               together = HnswBuilder(FlatRowSpace(metric, data.rows()), {}).build(4, [] {});
    test::check_shape(together.graph());
    const auto one = recall(metric, data, alone.graph()), many = recall(metric, data, together.graph());
    BOOST_TEST_MESSAGE("metric " << static_cast<int>(metric) << ": recall " << one << " of one thread, " << many << " of four");
    BOOST_TEST(many >= one - 0.02);
  }
}

// Rows that are all alike have their links rewritten again and again, by all threads at once.
BOOST_AUTO_TEST_CASE(many_threads_link_the_same_rows) {
  auto data = Clusters(test::sanitized ? 1'000 : 4'000, 3, 1, 1);
  data.set_all(1.5f);
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::l2})
    test::check_shape(HnswBuilder(FlatRowSpace(metric, data.rows()), {.m = 2, .ef_construction = 10}).build(4, [] {}).graph());
}

BOOST_AUTO_TEST_SUITE_END()
