#include <quiver/index/flat.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <random>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace {

constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};

/// Rows of small whole numbers, so that float is exact under L2 and inner product; many repeat, so that ties abound.
struct Data {
  Data(std::size_t n, std::size_t d, unsigned seed, unsigned range) : values(n * d), dimension(d) {
    std::mt19937 random(seed);
    for (auto& x : values) x = static_cast<float>(random() % range) - 1.0f;
    for (std::size_t r = 0; r < n; ++r) {
      // No row is zero, for cosine.
      values[r * d] = 3.0f;
      inverse_norms.push_back(inverse_norm(row(r)));
    }
  }
  [[nodiscard]] std::span<const float> row(std::size_t r) const { return {&values[r * dimension], dimension}; }
  [[nodiscard]] FlatRows rows() const { return {values.data(), inverse_norms.data(), inverse_norms.size(), dimension}; }

  std::vector<float> values, inverse_norms;
  std::size_t dimension;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flat)

BOOST_AUTO_TEST_CASE(a_scan_finds_what_the_oracle_finds) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 5u, 8u, 9u, 33u, 128u})
      for (const std::size_t count : {0u, 1u, 3u, 4u, 5u, 255u, 256u, 257u, 1000u})
        for (const std::size_t k : {0u, 1u, 10u, 300u}) {
          const Data data(count, dimension, 7, 4), query(1, dimension, 8, 4);
          std::vector<Candidate> expected;
          for (std::size_t r = 0; r < count; ++r) expected.push_back({to_distance(oracle_distance(metric, query.row(0), data.row(r))), 100 + r});
          std::sort(expected.begin(), expected.end());
          expected.resize(std::min(k, count));
          TopK best(k);
          flat_scan(FlatQuery(metric, query.row(0)), data.rows(), 100, best);
          const auto found = best.take_sorted();
          BOOST_TEST_CONTEXT("metric " << static_cast<int>(metric) << ", dimension " << dimension << ", " << count << " rows, k " << k) {
            BOOST_REQUIRE(found.size() == expected.size());
            for (std::size_t i = 0; i < found.size(); ++i)
              if (metric == Metric::cosine)
                BOOST_TEST(std::abs(found[i].distance - expected[i].distance) <= 2e-6f);
              else
                BOOST_TEST((found[i] == expected[i]));
          }
        }
}

BOOST_AUTO_TEST_CASE(a_scan_in_pieces_is_a_scan) {
  const Data data(700, 20, 1, 100), query(1, 20, 2, 100);
  for (const auto metric : all_metrics) {
    const FlatQuery prepared(metric, query.row(0));
    TopK whole(25), pieces(25);
    flat_scan(prepared, data.rows(), 0, whole);
    for (std::size_t first = 0, length = 1; first < 700; first += length, length = length * 2 % 97) {
      length = std::min(std::max<std::size_t>(length, 1), 700 - first);
      flat_scan(prepared, data.rows().part(first, length), first, pieces);
    }
    BOOST_TEST((whole.take_sorted() == pieces.take_sorted()));
  }
}

BOOST_AUTO_TEST_CASE(damaged_rows_are_farthest) {
  Data data(5, 4, 1, 9);
  data.values[4 * 2] = std::numeric_limits<float>::quiet_NaN();
  data.values[4 * 3] = std::numeric_limits<float>::infinity();
  data.inverse_norms[4] = std::numeric_limits<float>::quiet_NaN();
  for (const auto metric : all_metrics) {
    TopK best(5);
    flat_scan(FlatQuery(metric, data.row(0)), data.rows(), 0, best);
    const auto found = best.take_sorted();
    BOOST_REQUIRE(found.size() == 5u);
    for (const auto& candidate : found) BOOST_TEST(candidate.distance == candidate.distance);
    BOOST_TEST(found.back().id >= 2u);
    BOOST_TEST(found.back().id <= 3u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
