#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include <boost/test/unit_test.hpp>

#include "support/clusters.hpp"
#include "support/graph_shape.hpp"
#include "support/sanitized.hpp"

#include <numeric>
#include <stdexcept>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::check_shape;
using test::Clusters;

namespace {

constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};

HnswLinks build(const Clusters& data, Metric metric, const HnswBuildParameters& parameters = {}, std::size_t threads = 1) {
  return HnswBuilder(FlatRowSpace(metric, data.rows()), parameters).build(threads, [] {});
}

std::vector<Candidate> nearest(Metric metric, const Clusters& data, const HnswGraph& graph, std::span<const float> query, std::size_t k, std::size_t ef) {
  HnswScratch scratch;
  std::uint64_t distances = 0;
  search_graph(graph, FlatRowQuery(data.rows(), FlatQuery(metric, query)), ef, scratch, distances);
  BOOST_TEST(distances >= scratch.pool.size());
  std::vector<Candidate> found;
  for (std::size_t i = 0; i < std::min(k, scratch.pool.size()); ++i) found.push_back({scratch.pool[i].distance, scratch.pool[i].node});
  return found;
}

/// The share of the k nearest that were found, ties counted; each must be the distance of its row, bit for bit.
double recall(Metric metric, const Clusters& data, const HnswGraph& graph, std::size_t k, std::size_t ef, std::size_t queries = 50) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    const auto query = data.query(q);
    const FlatQuery flat(metric, query);
    TopK all(data.size());
    flat_scan(flat, data.rows(), 0, all);
    const auto exact = all.take_sorted();
    std::vector<float> distance_of(data.size());
    for (const auto& each : exact) distance_of[static_cast<std::size_t>(each.id)] = each.distance;
    const auto found = nearest(metric, data, graph, query, k, ef);
    BOOST_TEST(std::is_sorted(found.begin(), found.end()));
    for (const auto& each : found) {
      BOOST_REQUIRE(each.id < data.size());
      BOOST_TEST(each.distance == distance_of[static_cast<std::size_t>(each.id)]);
      hits += each.distance <= exact[k - 1].distance ? 1 : 0;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(k * queries);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(hnsw)

BOOST_AUTO_TEST_CASE(nearly_all_that_a_scan_finds_is_found) {
  const std::size_t rows = test::sanitized ? 1'500 : 6'000;
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {3u, 40u}) {
      const Clusters data(rows, dimension, 60, 7);
      const auto links = build(data, metric);
      check_shape(links.graph());
      const auto low = recall(metric, data, links.graph(), 10, 10), high = recall(metric, data, links.graph(), 10, 100);
      BOOST_TEST_MESSAGE("metric " << static_cast<int>(metric) << ", " << dimension << " dimensions: recall " << low << " at ef 10, " << high << " at ef 100");
      BOOST_TEST(high >= 0.97);
      BOOST_TEST(high >= low);
    }
}

BOOST_AUTO_TEST_CASE(with_as_many_candidates_as_rows_nothing_is_missed) {
  const Clusters data(300, 8, 5, 3);
  const auto links = build(data, Metric::l2);
  BOOST_TEST(recall(Metric::l2, data, links.graph(), 300, 300) == 1.0);
}

BOOST_AUTO_TEST_CASE(one_thread_builds_the_same_graph_again_and_another_seed_another) {
  const Clusters data(2'000, 12, 20, 5);
  for (const auto metric : all_metrics) {
    const auto first = test::words(build(data, metric).graph()), again = test::words(build(data, metric).graph());
    BOOST_TEST((first == again));
    BOOST_TEST((first != test::words(build(data, metric, {.seed = 101}).graph())));
  }
}

BOOST_AUTO_TEST_CASE(few_rows_equal_rows_and_rows_without_variance) {
  for (const std::size_t rows : {1u, 2u, 3u, 17u}) {
    const Clusters data(rows, 5, 2, 1);
    const auto links = build(data, Metric::l2);
    check_shape(links.graph());
    BOOST_TEST(recall(Metric::l2, data, links.graph(), rows, 50) == 1.0);
  }
  auto same = Clusters(500, 6, 1, 1);
  same.set_all(2.5f);
  const auto links = build(same, Metric::l2);
  check_shape(links.graph());
  const auto found = nearest(Metric::l2, same, links.graph(), same.query(0), 10, 20);
  BOOST_TEST(found.size() == 10u);
  BOOST_TEST((build(Clusters(0, 4, 1, 1), Metric::l2).graph().ground.nodes == 0u));
}

BOOST_AUTO_TEST_CASE(copies_of_rows_do_not_shut_each_other_in) {
  constexpr std::size_t different = 150, copies = 40, dimension = 12;
  const Clusters from(different, dimension, 5, 2, 1.0f);
  for (const bool in_order : {false, true}) {
    std::vector<float> values;
    for (std::size_t i = 0; i < different * copies; ++i) {
      const auto row = from.row(in_order ? i / copies : i % different);
      values.insert(values.end(), row.begin(), row.end());
    }
    const FlatRows rows{values.data(), nullptr, different * copies, dimension};
    const auto links = HnswBuilder(FlatRowSpace(Metric::l2, rows), {.m = 8, .ef_construction = 60}).build(1, [] {});
    check_shape(links.graph());
    HnswScratch scratch;
    std::size_t found = 0;
    for (std::size_t i = 0; i < different; ++i) {
      std::uint64_t distances = 0;
      search_graph(links.graph(), FlatRowQuery(rows, FlatQuery(Metric::l2, from.row(i))), 30, scratch, distances);
      found += scratch.pool.size() == 30 && scratch.pool[9].distance == 0 ? 1u : 0u;
    }
    BOOST_TEST_MESSAGE(found << " of " << different);
    BOOST_TEST(found >= different * 9 / 10);  // 121 and 33 where copies take all places
  }
}

BOOST_AUTO_TEST_CASE(clusters_far_apart_are_all_reached) {
  const Clusters data(3'000, 10, 30, 2, 1e4f);
  const auto links = build(data, Metric::l2);
  BOOST_TEST(recall(Metric::l2, data, links.graph(), 10, 64) >= 0.97);
}

BOOST_AUTO_TEST_CASE(huge_norms_under_inner_product) {
  Clusters data(2'000, 10, 30, 2);
  data.scale(7, 1e18f);  // the product of two is beyond float
  const auto links = build(data, Metric::inner_product);
  BOOST_TEST(recall(Metric::inner_product, data, links.graph(), 1, 64) >= 0.9);
}

// Nobody's nearest would be linked to but the longest rows, and where these are deleted walks end.
BOOST_AUTO_TEST_CASE(under_inner_product_what_is_found_does_not_hang_on_the_longest_rows) {
  constexpr std::size_t many = 6'000;
  const Clusters data(many, 32, 40, 5, 2.0f);
  const auto links = build(data, Metric::inner_product, {.m = 12, .ef_construction = 80});
  std::vector<bool> gone(many);
  for (std::size_t q = 0; q < 64; ++q) {
    TopK best(30);
    flat_scan(FlatQuery(Metric::inner_product, data.query(q)), data.rows(), 0, best);
    for (const auto& each : best.take_sorted()) gone[static_cast<std::size_t>(each.id)] = true;
  }
  const TopK::Accept lives = [&](std::uint64_t row) { return !gone[static_cast<std::size_t>(row)]; };
  for (const std::size_t ef : {80u, 160u}) {
    std::size_t hits = 0;
    for (std::size_t q = 0; q < 64; ++q) {
      TopK best(10, &lives);
      flat_scan(FlatQuery(Metric::inner_product, data.query(q)), data.rows(), 0, best);
      const auto last = best.take_sorted().back();
      for (const auto& each : nearest(Metric::inner_product, data, links.graph(), data.query(q), ef, ef)) hits += lives(each.id) && !(last < each) ? 1u : 0u;
    }
    BOOST_TEST_MESSAGE(hits << " of 640 at ef " << ef);
    BOOST_TEST(hits >= 620u);
  }
}

BOOST_AUTO_TEST_CASE(rows_of_one_direction_and_rows_of_almost_no_length_under_inner_product) {
  Clusters line(1'000, 6, 1, 1), tiny(1'000, 6, 10, 3);
  line.set_all(1);
  for (const std::size_t every : {2u, 3u, 5u, 7u}) line.scale(every, 1.5f);
  tiny.scale(1, 1e-22f);  // their products are nothing beside 1
  for (const auto* data : {&line, &tiny}) {
    const auto links = build(*data, Metric::inner_product, {.m = 6, .ef_construction = 40});
    check_shape(links.graph());
    BOOST_TEST(test::out_of_reach(links.graph()) == 0u);
    BOOST_TEST(recall(Metric::inner_product, *data, links.graph(), 10, 1'000, 5) == 1.0);
  }
}

BOOST_AUTO_TEST_CASE(a_step_that_throws_ends_the_build) {
  const Clusters data(3'000, 4, 10, 1);
  for (const std::size_t threads : {1u, 3u}) {
    std::atomic<int> left = 1'000;
    const auto step = [&] {
      if (--left < 0) throw std::runtime_error("enough");
    };
    BOOST_CHECK_THROW(static_cast<void>(HnswBuilder(FlatRowSpace(Metric::l2, data.rows()), {}).build(threads, step)), std::runtime_error);
  }
}

BOOST_AUTO_TEST_CASE(a_visited_set_tells_what_is_new_and_takes_it_in_once) {
  VisitedSet visited;
  for (const std::uint64_t nodes : {200u, 1000u, 64u}) {
    visited.reset(nodes);
    std::array<std::uint32_t, 6> list{5, 63, 5, 0, 63, 7}, copy = list;  // a damaged list may name a node twice
    BOOST_TEST(visited.keep_new(copy.data(), copy.size()) == 6u);
    BOOST_TEST(visited.insert(list.data(), list.size()) == 4u);
    BOOST_TEST((list[0] == 5 && list[1] == 63 && list[2] == 0 && list[3] == 7));
    copy = {63, 1, 0, 2, 7, 5};
    BOOST_TEST(visited.keep_new(copy.data(), copy.size()) == 2u);
    BOOST_TEST((copy[0] == 1 && copy[1] == 2));
    BOOST_TEST(visited.insert(copy.data(), 2) == 2u);
    BOOST_TEST(visited.insert(copy.data(), 2) == 0u);
  }
}

BOOST_AUTO_TEST_CASE(a_pool_keeps_the_nearest_and_hands_each_out_once) {
  CandidatePool pool;
  VisitedSet visited;
  for (const std::size_t capacity : {1u, 2u, 7u, 100u}) {
    pool.reset(capacity);
    visited.reset(64);
    std::vector<Candidate> all;
    std::vector<std::uint32_t> handed;
    for (std::uint32_t i = 0; i < 60; ++i) {
      const auto node = i * 37 % 61;
      BOOST_TEST(visited.insert(node));
      BOOST_TEST(!visited.insert(node));
      const auto distance = static_cast<float>(node % 7) - 3;  // inner products give negative ones
      pool.offer(distance, node);
      all.push_back({distance, node});
      if (i % 3 == 0) {
        const auto [first, second] = pool.peek();
        const auto next = pool.next();
        BOOST_TEST(next == first);
        BOOST_TEST(pool.peek().first == second);
        if (next != CandidatePool::none) handed.push_back(next);
      }
    }
    for (std::uint32_t next; (next = pool.next()) != CandidatePool::none;) handed.push_back(next);
    BOOST_TEST(pool.size() == std::min<std::size_t>(capacity, 60));
    BOOST_TEST((pool.bound() == (capacity > 60 ? std::numeric_limits<float>::infinity() : pool[pool.size() - 1].distance)));
    // Of equal ones at the end those that came first stay, so distances are compared.
    std::sort(all.begin(), all.end());
    for (std::size_t i = 0; i < pool.size(); ++i) {
      BOOST_TEST(pool[i].distance == all[i].distance);
      if (i != 0) BOOST_TEST((pool[i - 1].distance < pool[i].distance || pool[i - 1].node < pool[i].node));
      BOOST_TEST((std::count(handed.begin(), handed.end(), pool[i].node) == 1));
    }
    std::sort(handed.begin(), handed.end());
    BOOST_TEST((std::adjacent_find(handed.begin(), handed.end()) == handed.end()));
  }
}

BOOST_AUTO_TEST_SUITE_END()
