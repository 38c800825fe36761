#include <quiver/distance/metric.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/vectors.hpp"

#include <vector>

using namespace quiver;
using namespace quiver::detail;
using namespace quiver::test;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float largest = std::numeric_limits<float>::max();

float ranked(Metric metric, const std::vector<float>& a, const std::vector<float>& b) {
  const float raw = kernels_for(metric).one(a.data(), b.data(), a.size());
  if (metric == Metric::l2) return l2_distance(raw);
  if (metric == Metric::inner_product) return inner_product_distance(raw, a.data(), b.data(), a.size());
  return cosine_distance(raw, inverse_norm(a), inverse_norm(b), a.data(), b.data(), a.size());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(metric)

BOOST_AUTO_TEST_CASE(distances_are_as_near_to_the_oracle_as_promised) {
  std::mt19937 random(1);
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
    for (const auto dimension : some_dimensions)
      for (const auto kind : all_kinds)
        for (const auto other : all_kinds) {
          std::vector<float> a(dimension), b(dimension);
          fill(a, kind, random);
          fill(b, other, random);
          const double expected = oracle_distance(metric, a, b);
          const double allowed = distance_error(metric, a, b);
          const float distance = ranked(metric, a, b);
          BOOST_TEST_CONTEXT("dimension " << dimension << ", " << to_string(kind) << " with " << to_string(other) << ", metric " << static_cast<int>(metric)) {
            BOOST_TEST(distance == distance);
            if (std::abs(expected) + allowed < static_cast<double>(largest)) BOOST_TEST(std::abs(static_cast<double>(distance) - expected) <= allowed);
          }
        }
}

BOOST_AUTO_TEST_CASE(an_inner_product_that_overflows_on_its_way_is_decided_in_double) {
  // The sums of either sign overflow by themselves; it is the whole that counts.
  std::vector<float> a(32), b(32, 1e20f);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = i % 2 == 0 ? 1.5e19f : -1e19f;
  BOOST_TEST(ranked(Metric::inner_product, a, b) == -infinity);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = i < 16 ? 1e19f : -1e19f;
  BOOST_TEST(ranked(Metric::inner_product, a, b) == 1.0f);
  a[0] = 2e19f;
  BOOST_TEST(ranked(Metric::inner_product, a, b) == -infinity);
  a[0] = 1.00001e19f;
  BOOST_TEST(std::abs(ranked(Metric::inner_product, a, b) + 1e34f) < 1e32f);
  const std::vector<float> up(32, largest), down(32, -largest);
  BOOST_TEST(ranked(Metric::inner_product, up, down) == infinity);
  BOOST_TEST(ranked(Metric::inner_product, up, up) == -infinity);
}

BOOST_AUTO_TEST_CASE(cosine_knows_no_vector_too_short_or_too_long) {
  for (const float scale : {std::numeric_limits<float>::denorm_min(), 1e-40f, 1e-30f, 1e-13f, 1.0f, 1e13f, 1e30f, 1e37f})
    for (const float other : {std::numeric_limits<float>::denorm_min(), 1e-40f, 1e-13f, 1.0f, 1e13f, 1e37f}) {
      const std::vector<float> a{3 * scale, 4 * scale, 0}, b{4 * other, 3 * other, 0}, c{0, 0, other};
      BOOST_TEST(std::abs(ranked(Metric::cosine, a, b) - 0.04f) < 1e-6f, scale << " and " << other);
      BOOST_TEST(std::abs(ranked(Metric::cosine, a, a)) < 1e-6f);
      BOOST_TEST(ranked(Metric::cosine, a, c) == 1.0f);
    }
}

BOOST_AUTO_TEST_CASE(an_inverse_norm_is_finite_and_positive) {
  for (const float scale : {std::numeric_limits<float>::denorm_min(), 1e-40f, 1e-20f, 1.0f, 1e20f, largest})
    for (std::size_t dimension = 1; dimension < 12; ++dimension) {
      const float inverse = inverse_norm(std::vector<float>(dimension, scale));
      BOOST_TEST(inverse > 0.0f);
      BOOST_TEST(inverse <= largest);
    }
  BOOST_TEST(inverse_norm(std::vector<float>{3, 0, 0, 0, 4}) == 0.2f);
}

BOOST_AUTO_TEST_CASE(numbers_that_are_none_are_farthest) {
  const float none = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> damaged{none, 1}, whole{1, 2};
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) BOOST_TEST(ranked(metric, whole, damaged) == infinity);
  BOOST_TEST(to_distance(1e300) == infinity);
  BOOST_TEST(to_distance(-1e300) == -infinity);
  BOOST_TEST(to_distance(0.5) == 0.5f);
}

BOOST_AUTO_TEST_SUITE_END()
