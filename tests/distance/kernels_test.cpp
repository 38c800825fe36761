#include <quiver/distance/kernels.hpp>

#include <quiver/distance/oracle.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"
#include "distance/vectors.hpp"

#include <bit>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using namespace quiver::test;

namespace {

using Architectures = std::tuple<NativeArch, PortableArch>;

constexpr double largest = std::numeric_limits<float>::max();

double magnitude(Metric metric, std::span<const float> a, std::span<const float> b) {
  if (metric == Metric::l2) return oracle_l2(a, b);
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::abs(static_cast<double>(a[i]) * static_cast<double>(b[i]));
  return sum;
}

double exact(Metric metric, std::span<const float> a, std::span<const float> b) { return metric == Metric::l2 ? oracle_l2(a, b) : oracle_dot(a, b); }

}  // namespace

BOOST_AUTO_TEST_SUITE(kernels)

BOOST_AUTO_TEST_CASE_TEMPLATE(results_are_as_near_to_the_oracle_as_promised, Arch, Architectures) {
  std::mt19937 random(1);
  for (const auto metric : {Metric::l2, Metric::inner_product})
    for (const auto dimension : some_dimensions)
      for (const auto kind : all_kinds)
        for (const auto other : all_kinds) {
          std::vector<float> a(dimension), b(dimension);
          fill(a, kind, random);
          fill(b, other, random);
          const double m = magnitude(metric, a, b);
          const float result = kernels_for<Arch>(metric).one(a.data(), b.data(), dimension);
          BOOST_TEST_CONTEXT("dimension " << dimension << ", " << to_string(kind) << " with " << to_string(other)) {
            const double allowed = sum_error(dimension) * m + underflow_error(dimension);
            if (m + allowed < largest) BOOST_TEST(std::abs(static_cast<double>(result) - exact(metric, a, b)) <= allowed);
            if (metric == Metric::l2) BOOST_TEST(result >= 0.0f);
          }
        }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whole_numbers_are_exact, Arch, Architectures) {
  std::mt19937 random(2);
  for (std::size_t dimension = 1; dimension <= 300; ++dimension) {
    std::vector<float> a(dimension), b(dimension);
    for (auto* v : {&a, &b})
      for (auto& x : *v) x = static_cast<float>(random() % 128);
    BOOST_TEST(static_cast<double>(kernels_for<Arch>(Metric::l2).one(a.data(), b.data(), dimension)) == oracle_l2(a, b));
    BOOST_TEST(static_cast<double>(kernels_for<Arch>(Metric::inner_product).one(a.data(), b.data(), dimension)) == oracle_dot(a, b));
    BOOST_TEST(static_cast<double>(kernels_for<Arch>(Metric::cosine).one(a.data(), b.data(), dimension)) == oracle_dot(a, b));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(all_shapes_give_the_same_bits, Arch, Architectures) {
  std::mt19937 random(3);
  for (const auto metric : {Metric::l2, Metric::inner_product})
    for (const auto dimension : some_dimensions) {
      if (dimension > 5000) continue;
      constexpr std::size_t rows = 11, queries = 5;
      std::vector<float> r(rows * dimension), q(queries * dimension);
      fill(r, Kind::mixed, random);
      fill(q, Kind::mixed, random);
      const auto& kernels = kernels_for<Arch>(metric);
      std::vector<const void*> pointers;
      for (std::size_t i = 0; i < queries; ++i) pointers.push_back(&q[i * dimension]);
      for (std::size_t count = 1; count <= rows; ++count)
        for (std::size_t some = 1; some <= queries; ++some) {
          std::vector<float> batch(some * count), many(count), gathered(count);
          std::vector<std::uint32_t> backwards(count);
          for (std::size_t j = 0; j < count; ++j) backwards[j] = static_cast<std::uint32_t>(count - 1 - j);
          kernels.batch(pointers.data(), some, r.data(), count, dimension, batch.data());
          std::size_t different = 0;
          for (std::size_t i = 0; i < some; ++i) {
            kernels.many(pointers[i], r.data(), count, dimension, many.data());
            kernels.gather(pointers[i], r.data(), dimension, backwards.data(), count, gathered.data());
            for (std::size_t j = 0; j < count; ++j) {
              const auto one = std::bit_cast<std::uint32_t>(kernels.one(pointers[i], &r[j * dimension], dimension));
              different += one != std::bit_cast<std::uint32_t>(many[j]);
              different += one != std::bit_cast<std::uint32_t>(batch[i * count + j]);
              different += one != std::bit_cast<std::uint32_t>(gathered[count - 1 - j]);
            }
          }
          BOOST_TEST(different == 0u, "dimension " << dimension << ", " << count << " rows, " << some << " queries");
        }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(nothing_beyond_the_rows_is_read, Arch, Architectures) {
  for (const bool at_front : {false, true})
    for (std::size_t dimension = 1; dimension <= 70; ++dimension)
      for (std::size_t count = 1; count <= 9; ++count) {
        const GuardedFloats rows(count * dimension, at_front), queries(3 * dimension, at_front), out(3 * count, at_front);
        std::fill(rows.span().begin(), rows.span().end(), 2.0f);
        std::fill(queries.span().begin(), queries.span().end(), 1.0f);
        const void* const pointers[] = {queries.data(), queries.data() + dimension, queries.data() + 2 * dimension};
        for (const auto metric : {Metric::l2, Metric::inner_product}) {
          kernels_for<Arch>(metric).batch(pointers, 3, rows.data(), count, dimension, out.data());
          const float expected = static_cast<float>(dimension) * (metric == Metric::l2 ? 1.0f : 2.0f);
          BOOST_TEST(std::count(out.span().begin(), out.span().end(), expected) == static_cast<std::ptrdiff_t>(3 * count));
          kernels_for<Arch>(metric).many(queries.data(), rows.data(), count, dimension, out.data());
          BOOST_TEST(std::count(out.span().begin(), out.span().begin() + static_cast<std::ptrdiff_t>(count), expected) == static_cast<std::ptrdiff_t>(count));
          const auto last = static_cast<std::uint32_t>(count - 1);
          float gathered[2] = {};
          kernels_for<Arch>(metric).gather(queries.data(), rows.data(), dimension, std::array{last, 0u}.data(), 2, gathered);
          BOOST_TEST((gathered[0] == expected && gathered[1] == expected));
        }
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_overflows_under_l2_is_infinitely_far, Arch, Architectures) {
  for (const std::size_t dimension : {1u, 8u, 13u, 64u}) {
    const std::vector<float> a(dimension, std::numeric_limits<float>::max()), b(dimension, -std::numeric_limits<float>::max());
    BOOST_TEST(kernels_for<Arch>(Metric::l2).one(a.data(), b.data(), dimension) == std::numeric_limits<float>::infinity());
    BOOST_TEST(kernels_for<Arch>(Metric::l2).one(a.data(), a.data(), dimension) == 0.0f);
  }
}

BOOST_AUTO_TEST_SUITE_END()
