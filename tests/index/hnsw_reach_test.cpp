#include <quiver/index/hnsw_reach.hpp>

#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include "support/clusters.hpp"
#include "support/graph_shape.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::check_shape;
using test::Clusters;
using test::out_of_reach;

namespace hnsw_reach {
namespace {

/// A level of nodes with some links each, which connect() may change.
struct Loose {
  Loose(std::uint32_t nodes, std::uint32_t degree) : words(std::size_t{nodes} * degree, no_link), view{words.data(), nullptr, nullptr, nodes, degree} {}
  [[nodiscard]] const HnswLevel& level(std::size_t) const noexcept { return view; }
  [[nodiscard]] std::uint32_t* links_of(std::size_t, std::uint32_t node) noexcept { return &words[std::size_t{node} * view.degree]; }

  std::vector<std::uint32_t> words;
  HnswLevel view;
};
[[nodiscard]] std::size_t connected(Loose& links, const Clusters& data, std::uint32_t root) {
  HnswScratch scratch;
  std::size_t steps = 0;
  const FlatRowSpace space(Metric::l2, data.rows());
  connect(links, 0, root, space, space, scratch, [&] { ++steps; });
  const HnswReach reach(links.view, root);
  for (std::uint32_t node = 0; node < links.view.nodes; ++node) BOOST_TEST(reach.has(node));
  return steps;
}

}  // namespace
}  // namespace hnsw_reach

BOOST_AUTO_TEST_SUITE(hnsw_reach)

BOOST_AUTO_TEST_CASE(it_follows_links_from_the_root_alone) {
  Loose links(6, 2);
  *links.links_of(0, 0) = 2;
  *links.links_of(0, 2) = 4;
  links.links_of(0, 2)[1] = 0;
  *links.links_of(0, 3) = 0;   // leads to what is in reach, and is not itself
  *links.links_of(0, 4) = 77;  // no node: ends the list
  links.links_of(0, 4)[1] = 5;
  HnswReach reach(links.view, 0);
  for (const std::uint32_t node : {0u, 2u, 4u}) BOOST_TEST(reach.has(node));
  for (const std::uint32_t node : {1u, 3u, 5u}) BOOST_TEST(!reach.has(node));
  BOOST_TEST((reach.hangs_on(0, 2) && reach.hangs_on(2, 4) && !reach.hangs_on(2, 0)));
  BOOST_TEST(reach.last() == 4u);
  reach.add(2, 3);
  BOOST_TEST((reach.has(3) && reach.hangs_on(2, 3) && reach.last() == 3u));
}

BOOST_AUTO_TEST_CASE(nodes_without_any_link_are_all_connected) {
  for (const std::uint32_t nodes : {1u, 2u, 9u, 400u})
    for (const std::uint32_t degree : {2u, 5u}) {
      const Clusters data(nodes, 4, 3, 5);
      Loose links(nodes, degree);
      BOOST_TEST(connected(links, data, nodes / 2) == nodes - 1);
      BOOST_TEST(connected(links, data, nodes / 2) == 0u);  // and stay so
    }
}

// Two rings, each node of which has no free place: one link of one ring must go, and none whose loss cuts its ring off.
BOOST_AUTO_TEST_CASE(a_link_is_given_up_only_where_nobody_hangs_on_it) {
  const Clusters data(40, 4, 2, 6);
  Loose links(40, 2);
  for (std::uint32_t node = 0; node < 40; ++node) {
    const auto ring = node / 20 * 20;
    links.links_of(0, node)[0] = ring + (node + 1) % 20;
    links.links_of(0, node)[1] = ring + (node + 19) % 20;
  }
  BOOST_TEST(connected(links, data, 3) == 1u);
}

BOOST_AUTO_TEST_CASE(equal_rows_are_all_connected) {
  Clusters data(500, 6, 1, 1);
  data.set_all(2.5f);
  Loose links(500, 3);
  BOOST_TEST(connected(links, data, 0) == 499u);
}

// A builder links to the nearest, so without more a cluster far from the others is found from above only, or not at all; and under inner product nobody links
// to a row that is not among the longest.
BOOST_AUTO_TEST_CASE(no_row_of_a_built_graph_is_out_of_reach) {
  const auto check = [](const Clusters& data, const HnswBuildParameters& parameters) {
    for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
      const auto links = HnswBuilder(FlatRowSpace(metric, data.rows()), parameters).build(1, [] {});
      check_shape(links.graph());
      BOOST_TEST(out_of_reach(links.graph()) == 0u, "metric " << static_cast<int>(metric));
    }
  };
  const std::size_t rows = test::sanitized ? 800 : 3'000;
  check(Clusters(rows, 10, 30, 2, 1e4f), {});
  check(Clusters(rows, 10, 30, 2, 1e4f), {.m = 2, .ef_construction = 4});
  Clusters same(rows, 6, 1, 1);
  same.set_all(2.5f);
  check(same, {.m = 4, .ef_construction = 20});
  Clusters lengths(rows, 10, 30, 2);
  lengths.scale(3, 0.01f);
  lengths.scale(7, 50);
  check(lengths, {});
  lengths.scale(5, 1e18f);  // the product of two is beyond float
  check(lengths, {});
}

BOOST_AUTO_TEST_SUITE_END()
