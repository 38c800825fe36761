// Rows that no data set should have and some do: all equal, of one dimension that never changes, of sizes that floats hardly hold, few or none at all.
#include <quiver/collection/collection.hpp>

#include "support/indexed_rows.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace odd_rows {
namespace {

using indexed_rows::ask;
using indexed_rows::insert;
using indexed_rows::key;
using indexed_rows::linked;
using indexed_rows::recall;
using Rows = Collection<MemoryPolicy>;

const std::vector<std::pair<std::string, QuantizerType>> quantizers{{"none", NoQuantizer{}}, {"Sq8", Sq8{}}, {"Sq4", Sq4{}}, {"Float16", Float16{}}};

/// check(collection, where its graph came from): over the first rows of the data, in one segment, linked as they came, and half of them each.
void however_linked(const Schema& schema, const Clusters& data, std::size_t rows, const std::function<void(Rows&, const std::string&)>& check) {
  for (const std::string how : {"built", "live", "half of each"}) {
    auto c = Rows::create(schema);
    const auto built = how == "built" ? rows : how == "live" ? 0 : rows / 2;
    insert(c, data, 0, built);
    c.optimize();
    insert(c, data, built, rows);
    if (rows - built >= 1'000) BOOST_REQUIRE(soon([&] { return linked(c); }));
    check(c, how);
  }
}
void with_every_quantizer(Metric metric, const Clusters& data, std::size_t rows, const std::function<void(Rows&, const std::string&)>& check) {
  for (const auto& [name, quantizer] : quantizers)
    however_linked(indexed_rows::schema(metric, Hnsw{.m = 8, .ef_construction = 60, .ef = 48}, quantizer), data, rows,
                   [&](Rows& c, const std::string& how) { check(c, name + ", " + how); });
}

}  // namespace
}  // namespace odd_rows

BOOST_AUTO_TEST_SUITE(odd_rows)

// Nothing is nearer than anything else: a walk that goes on only to what is nearer stays where it began, and links all go to the same few.
BOOST_AUTO_TEST_CASE(a_hundred_thousand_equal_vectors) {
  const std::size_t most = sanitized ? 2'000 : 100'000;
  Clusters data(most, indexed_rows::dimension, 1, 1);
  data.set_all(2.5f);
  const std::vector<float> away(indexed_rows::dimension, 4.5f);
  for (const auto& [name, quantizer] : quantizers) {
    const auto many = sanitized || name == "none" || name == "Sq8" ? most : most / 5;  // fewer than 1,000 in memory are not linked
    const auto schema = indexed_rows::schema(Metric::l2, Hnsw{.m = 8, .ef_construction = 20, .ef = 20}, quantizer);
    however_linked(schema, data, many, [&](Rows& c, const std::string& how) {
      BOOST_TEST_CONTEXT(name << ", " << how) {
        for (const auto& query : {std::vector<float>(data.row(0).begin(), data.row(0).end()), away}) {
          const auto found = ask(c, query, 10);
          const float expected = query == away ? 4.0f * static_cast<float>(indexed_rows::dimension) : 0.0f;
          BOOST_TEST(std::count(found.distances.begin(), found.distances.end(), expected) == 10);
          BOOST_TEST(found.visited < many / 4);
        }
        c.insert(Document{"away", {{"n", 0}, {"v", away}}});
        BOOST_TEST(ask(c, away, 1).keys == std::vector<std::string>{"away"});
        std::vector<std::string> gone, kept;
        for (std::size_t i = 0; i < many; ++i) (i % (many / 5) == 7 ? kept : gone).push_back(key(i));
        c.erase(std::span<const std::string>(gone), {Durability::none});
        auto left = ask(c, data.row(0), 10).keys;
        BOOST_REQUIRE(left.size() == 6u);
        BOOST_TEST(left.back() == "away");
        left.pop_back();
        BOOST_TEST(left == kept);  // equal distances: the older first
      }
    });
  }
}

BOOST_AUTO_TEST_CASE(no_row_one_row_and_fewer_than_asked_for) {
  const Clusters data(20, indexed_rows::dimension, 3, 2);
  for (const std::size_t rows : {0u, 1u, 2u, 20u})
    with_every_quantizer(Metric::cosine, data, rows, [&](Rows& c, const std::string& how) {
      BOOST_TEST_CONTEXT(rows << " rows, " << how) {
        BOOST_TEST(ask(c, data.query(0), 1).keys.size() == std::min<std::size_t>(rows, 1));
        auto all = ask(c, data.query(1), 1'000);
        BOOST_TEST(all.keys.size() == rows);
        BOOST_TEST(std::is_sorted(all.distances.begin(), all.distances.end()));
        std::sort(all.keys.begin(), all.keys.end());
        BOOST_TEST((std::adjacent_find(all.keys.begin(), all.keys.end()) == all.keys.end()));
      }
    });
}

BOOST_AUTO_TEST_CASE(a_dimension_that_never_changes) {
  Clusters data(indexed_rows::many, indexed_rows::dimension, 30, 3);
  data.set(0, 0.0f);
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    data.set(5, metric == Metric::l2 ? 1e6f : 1e3f);  // beside which the others are small; the square of 1e6 is so large that as a summand it hides them
    with_every_quantizer(metric, data, data.size(), [&](Rows& c, const std::string& how) {
      const auto found = recall(c, data);
      BOOST_TEST(found >= 0.95, "metric " << static_cast<int>(metric) << ", " << how << ": " << found);
    });
  }
}

// The products of two of them are beyond floats, and beside them the others are no numbers at all to a quantizer.
BOOST_AUTO_TEST_CASE(some_rows_of_huge_norms_under_inner_product) {
  Clusters data(indexed_rows::many, indexed_rows::dimension, 30, 4);
  data.scale(97, 1e18f);
  with_every_quantizer(Metric::inner_product, data, data.size(), [&](Rows& c, const std::string& how) {
    const auto found = recall(c, data);
    BOOST_TEST(found >= 0.9, how << ": " << found);
  });
}

// To the steps of Sq8 and Sq4 all rows of a cluster are the same: such codes are left out.
BOOST_AUTO_TEST_CASE(clusters_far_apart) {
  const Clusters data(indexed_rows::many, indexed_rows::dimension, 30, 5, 1e3f);
  for (const auto metric : {Metric::l2, Metric::cosine})
    with_every_quantizer(metric, data, data.size(), [&](Rows& c, const std::string& how) {
      const auto found = recall(c, data);
      BOOST_TEST(found >= 0.95, "metric " << static_cast<int>(metric) << ", " << how << ": " << found);
    });
}

BOOST_AUTO_TEST_SUITE_END()
