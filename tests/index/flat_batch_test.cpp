#include <quiver/index/flat_batch.hpp>

#include <boost/test/unit_test.hpp>

#include "support/sanitized.hpp"

#include <functional>
#include <random>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace {

using Make = std::function<float(std::mt19937&, std::size_t row, std::size_t column)>;

struct Shape {
  std::string name;
  Make make;
};

float normal(std::mt19937& random) { return std::normal_distribution<float>()(random); }

// What could lead the rough step astray: cancellation, ties, overflow, underflow, norms of every size.
const Shape shapes[] = {
    {"ordinary", [](auto& random, auto, auto) { return normal(random); }},
    {"far from the origin and close together", [](auto& random, auto, auto) { return 1000.0f + 0.01f * normal(random); }},
    {"equal but for the last bits", [](auto& random, auto, auto) { return 1.0f + static_cast<float>(random() % 3) * 0x1p-23f; }},
    {"whole numbers with ties", [](auto& random, auto, auto) { return static_cast<float>(random() % 3) + 1.0f; }},
    {"all rows equal", [](auto&, auto, std::size_t column) { return static_cast<float>(column % 5) + 0.1f; }},
    {"huge", [](auto& random, auto, auto) { return 1e19f * normal(random); }},
    {"some rows huge", [](auto& random, std::size_t row, auto) { return (row % 7 == 3 ? 3e18f : 1.0f) * normal(random); }},
    {"tiny", [](auto& random, auto, auto) { return 1e-20f * normal(random); }},
    {"vanishing when squared", [](auto& random, auto, auto) { return 1e-22f * normal(random); }},
    {"parallel", [](auto&, std::size_t row, auto) { return 1.1f * (1.0f + static_cast<float>(row % 100) * 0.013f); }},
    {"subnormal", [](auto& random, auto, auto) { return 1e-39f * normal(random); }},
    {"lengths from short to long", [](auto& random, std::size_t row, auto) { return std::pow(10.0f, static_cast<float>(row % 13) - 6.0f) * normal(random); }},
    {"nearly parallel", [](auto& random, std::size_t row,
                           std::size_t column) { return static_cast<float>(row % 9 + 1) * (static_cast<float>(column % 4) + 1.0f + 1e-6f * normal(random)); }},
    {"becoming nearer", [](auto& random, std::size_t row, auto) { return normal(random) * 500.0f / (1.0f + static_cast<float>(row)); }},
};

struct Vectors {
  Vectors(const Shape& shape, std::size_t n, std::size_t d, unsigned seed) : values(n * d), dimension(d) {
    std::mt19937 random(seed);
    for (std::size_t r = 0; r < n; ++r) {
      for (std::size_t c = 0; c < d; ++c) values[r * d + c] = shape.make(random, r, c);
      // Never all zero, for cosine.
      if (values[r * d] == 0.0f) values[r * d] = std::numeric_limits<float>::denorm_min();
      inverse_norms.push_back(inverse_norm({&values[r * d], d}));
    }
  }
  [[nodiscard]] FlatRows rows() const { return {values.data(), inverse_norms.data(), inverse_norms.size(), dimension}; }

  std::vector<float> values, inverse_norms;
  std::size_t dimension;
};

template <class Arch = NativeArch>
void check_same(Metric metric, const Vectors& data, const Vectors& asked, std::size_t k) {
  std::vector<FlatQuery> queries;
  for (std::size_t q = 0; q < asked.inverse_norms.size(); ++q)
    queries.emplace_back(metric, std::span<const float>(&asked.values[q * asked.dimension], asked.dimension), std::type_identity<Arch>{});
  std::vector<TopK> best(queries.size(), TopK(k));
  flat_scan_batch(queries, data.rows(), 3, best);
  for (std::size_t q = 0; q < queries.size(); ++q) {
    TopK alone(k);
    flat_scan(queries[q], data.rows(), 3, alone);
    BOOST_TEST((best[q].take_sorted() == alone.take_sorted()),
               "query " << q << " of " << queries.size() << ", k " << k << ", metric " << static_cast<int>(metric));
  }
}

constexpr std::size_t rows_in_test = test::sanitized ? 200 : 1500;
constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};

}  // namespace

BOOST_AUTO_TEST_SUITE(flat_batch)

BOOST_AUTO_TEST_CASE(a_batch_answers_as_single_searches_do_to_the_bit) {
  for (const auto& shape : shapes)
    for (const std::size_t dimension : {1u, 2u, 7u, 16u, 19u, 64u, 130u, 300u}) {
      if (test::sanitized && dimension > 64) continue;
      const Vectors data(shape, rows_in_test, dimension, 1), some(shape, 300, dimension, 1), asked(shape, 32, dimension, 2);
      for (const auto metric : all_metrics) BOOST_TEST_CONTEXT(shape.name << ", dimension " << dimension) {
          check_same(metric, data, asked, 10);
          check_same<PortableArch>(metric, some, asked, 10);
        }
    }
}

BOOST_AUTO_TEST_CASE(any_number_of_queries_and_neighbours_will_do) {
  for (const std::size_t queries : {0u, 1u, 7u, 8u, 16u, 17u, 31u, 33u, 64u, 70u})
    for (const std::size_t k : {0u, 1u, 5u, 100u, 2000u})
      for (const auto metric : all_metrics) check_same(metric, Vectors(shapes[0], rows_in_test, 24, 3), Vectors(shapes[0], queries, 24, 4), k);
}

BOOST_AUTO_TEST_CASE(rows_of_one_scale_may_be_searched_with_queries_of_another) {
  for (const auto& shape : shapes)
    for (const auto& other : shapes)
      for (const auto metric : all_metrics) BOOST_TEST_CONTEXT(shape.name << " with " << other.name) {
          check_same(metric, Vectors(shape, rows_in_test / 3, 33, 5), Vectors(other, 12, 33, 6), 4);
        }
}

BOOST_AUTO_TEST_CASE(inner_products_that_overflow_on_their_way_are_not_passed_over) {
  // Among the first products are more than float can hold; the whole is positive, and larger than that of the rows without such products.
  const Shape rows{"", [](auto& random, std::size_t row, std::size_t column) {
                     if (row % 2 == 0) return 1e3f * normal(random);
                     return column < 16 ? -1e9f : 1e9f * (1.0f + static_cast<float>(row % 50) * 1e-3f);
                   }};
  const Shape queries{"", [](auto&, auto, auto) { return 1e29f; }};
  check_same(Metric::inner_product, Vectors(rows, 500, 32, 11), Vectors(queries, 16, 32, 12), 4);
}

BOOST_AUTO_TEST_CASE(rows_whose_squared_norms_overflow_may_be_near) {
  const Shape rows{"", [](auto&, std::size_t row, auto) { return 6.6e18f * (1.0f + static_cast<float>(row * 37 % 500) * 1e-4f); }};
  const Shape queries{"", [](auto& random, auto, auto) { return 1.1e18f + 1e10f * normal(random); }};
  for (const auto metric : all_metrics) check_same(metric, Vectors(rows, 500, 8, 13), Vectors(queries, 16, 8, 14), 4);
}

BOOST_AUTO_TEST_CASE(cosines_whose_products_underflow_are_not_passed_over) {
  const Shape rows{"", [](auto& random, auto, auto) { return 1e-30f * normal(random); }};
  const Shape queries{"", [](auto& random, auto, auto) { return 1e-11f * normal(random); }};
  for (const std::size_t dimension : {2u, 33u}) check_same(Metric::cosine, Vectors(rows, 3000, dimension, 15), Vectors(queries, 16, dimension, 16), 4);
}

BOOST_AUTO_TEST_CASE(very_many_dimensions_will_do) {
  const Vectors data(shapes[0], test::sanitized ? 20 : 150, 65536, 7), asked(shapes[0], 9, 65536, 8);
  for (const auto metric : all_metrics) check_same(metric, data, asked, 3);
}

BOOST_AUTO_TEST_CASE(rows_may_come_piece_by_piece) {
  const Vectors data(shapes[0], 1200, 40, 9), asked(shapes[0], 32, 40, 10);
  std::vector<FlatQuery> queries;
  for (std::size_t q = 0; q < 32; ++q) queries.emplace_back(Metric::cosine, std::span<const float>(&asked.values[q * 40], 40));
  std::vector<TopK> whole(32, TopK(7)), pieces(32, TopK(7));
  flat_scan_batch(queries, data.rows(), 0, whole);
  FlatBatch batch(queries);
  for (std::size_t first = 0; first < 1200; first += 75) batch.scan(data.rows().part(first, 75), first, pieces);
  for (std::size_t q = 0; q < 32; ++q) BOOST_TEST((whole[q].take_sorted() == pieces[q].take_sorted()));
}

BOOST_AUTO_TEST_SUITE_END()
