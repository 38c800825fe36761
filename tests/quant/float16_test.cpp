#include <quiver/quant/float16.hpp>

#include <boost/test/unit_test.hpp>

#include "quant/coded.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <string>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::float16_tests {
using namespace quiver::test::coded;
using Halves = Coded<Float16Quantizer>;

void check_round_trip(const Halves& all, const std::string& what) {
  const double least = 0x1p-25 / wide(all.quantizer.parameters().scale);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const auto back = all.decoded(r);
    const auto vector = all.scaled(all.row(r));
    for (std::size_t i = 0; i < all.dimension; ++i) {
      const double x = wide(vector.values[i] * vector.factor);
      if (!(std::abs(x - wide(back[i])) <= std::max(0x1p-11 * std::abs(x), least))) ++wrong;
    }
  }
  BOOST_TEST(wrong == 0u, what << ": " << wrong << " numbers of " << all.rows() << " rows of " << all.dimension);
}

/// Against the distance to what the codes stand for, by the error that Float16Query states.
void check_estimates(const Halves& all, std::span<const float> query, const std::string& what) {
  const auto prepared = all.prepare(query);
  BOOST_REQUIRE_MESSAGE(prepared.fits(), what);
  const bool squared = all.metric != Metric::inner_product;
  const auto vector = all.scaled(query);
  const double share = all.metric == Metric::cosine ? 0.5 : 1, scale = wide(all.quantizer.parameters().scale);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const auto row = all.decoded(r);
    double sum = 0, magnitude = 0;
    for (std::size_t i = 0; i < all.dimension; ++i) {
      const double q = wide(vector.values[i] * vector.factor), x = wide(row[i]);
      sum += squared ? (q - x) * (q - x) : q * x;
      magnitude += squared ? (q - x) * (q - x) : std::abs(q * x);
    }
    const double exact = squared ? share * sum : 1 - sum;
    const double rounded = (sum_error(all.dimension) + 0x1p-22) * magnitude + (squared ? 0 : 0x1p-22);
    const double error = share * rounded + underflow_error(all.dimension) * (squared ? share / scale / scale : 1 / scale) + 0x1p-126;
    wrong += std::abs(wide(prepared.at(static_cast<std::uint32_t>(r))) - exact) <= error ? 0u : 1u;
  }
  BOOST_TEST(wrong == 0u, what << ", " << name_of(all.metric) << ", dimension " << all.dimension << ": " << wrong << " estimates of " << all.rows());
}

}  // namespace quiver::test::float16_tests

using namespace quiver::test::float16_tests;

BOOST_AUTO_TEST_SUITE(float16_quantizer)

BOOST_AUTO_TEST_CASE(a_number_comes_back_as_near_as_halves_are_to_each_other) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 3u, 17u, 64u, 65u}) {
      check_round_trip(Halves(metric, uniform(50 * dimension, 1), dimension), "uniform");
      check_round_trip(Halves(metric, gaussian(50 * dimension, 2, 1e-3f, 1000), dimension), "close together, far from zero");
      for (const float scale : {1e-44f, 1e-40f, 1e-38f, 1e-30f, 1e-22f, 1e-18f, 1e-9f, 1e9f, 1e18f, 1e30f, 1e37f})
        if (metric != Metric::cosine || scale > 1e-37f) check_round_trip(Halves(metric, gaussian(20 * dimension, 3, scale), dimension), std::to_string(scale));
    }
  const Halves whole(Metric::l2, {0, 1, 255, 2048, -2047, 17}, 2);
  for (std::size_t r = 0; r < whole.rows(); ++r) BOOST_TEST((whole.decoded(r) == std::vector<float>(whole.row(r).begin(), whole.row(r).end())));
}

BOOST_AUTO_TEST_CASE(the_scale_is_a_power_of_two_that_brings_the_largest_number_below_2_to_the_15) {
  for (const float x : {1.0f, 1.99f, 2.0f, 3e-7f, 1e-18f, 1e12f, 0.7f}) {
    const Halves all(Metric::l2, {x, -x / 3}, 1);
    const float scale = all.quantizer.parameters().scale;
    BOOST_TEST(Float16Quantizer::valid(all.quantizer.parameters()));
    BOOST_TEST((x * scale >= 0x1p14f || scale == 0x1p63f), x);
    BOOST_TEST(x * scale < 0x1p15f, x);
  }
  BOOST_TEST(Halves(Metric::l2, {1e-44f}, 1).quantizer.parameters().scale == 0x1p63f);
  BOOST_TEST(Halves(Metric::l2, {0, 0}, 2).quantizer.parameters().scale == 1);
  for (const float scale : {0.0f, -1.0f, 3.0f, 0x1p64f, 0x1p-127f, 1.0000001f, std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()})
    BOOST_TEST(!Float16Quantizer::valid({scale}), scale);
}

BOOST_AUTO_TEST_CASE(estimates_from_halves_are_as_near_to_the_distance_of_the_decoded_row_as_promised) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 7u, 16u, 64u, 100u, 513u, 1536u}) {
      const Halves ordinary(metric, gaussian(40 * dimension, 4), dimension), shifted(metric, gaussian(40 * dimension, 5, 0.01f, 5), dimension);
      for (const auto* all : {&ordinary, &shifted}) {
        BOOST_TEST(all->quantizer.code_bytes() == 2 * dimension);
        check_estimates(*all, all->row(3), "one of the rows");
        check_estimates(*all, gaussian(dimension, 6), "another vector");
        check_estimates(*all, gaussian(dimension, 7, 1e5f), "a long vector");
        check_estimates(*all, gaussian(dimension, 8, 1e-5f), "a short vector");
        if (metric != Metric::cosine) check_estimates(*all, std::vector<float>(dimension), "all zeros");
      }
    }
  for (const auto metric : {Metric::l2, Metric::inner_product})
    for (const float scale : {1e9f, 1e-9f, 1e-15f, 1e-18f, 1e-22f, 1e-30f, 1e-42f}) {
      const Halves all(metric, gaussian(40 * 24, 9, scale), 24);
      BOOST_REQUIRE(all.quantizer.fits());
      check_estimates(all, all.row(7), std::to_string(std::log10(scale)));
      check_estimates(all, gaussian(24, 10, scale), std::to_string(std::log10(scale)));
    }
}

BOOST_AUTO_TEST_CASE(where_halves_and_query_fit_every_estimate_is_a_number) {
  std::size_t fitting = 0, too_large = 0;
  for (const auto metric : all_metrics)
    for (int exponent = -44; exponent <= 38; exponent += 2)
      for (const std::size_t dimension : {1u, 70u}) {
        Halves all(metric, gaussian(6 * dimension, 11, std::pow(10.0f, static_cast<float>(exponent)) * 0.5f), dimension);
        for (auto& x : all.values)
          if (x == 0) x = 1e-44f;
        if (metric == Metric::cosine || exponent <= 9) BOOST_TEST(all.quantizer.fits(), "1e" << exponent);
        if (metric != Metric::cosine && exponent >= 14) BOOST_TEST(!all.quantizer.fits(), "1e" << exponent);
        if (!all.quantizer.fits()) continue;
        all.encode(0, std::vector<float>(dimension, std::numeric_limits<float>::max()));  // of which was not learned
        for (int other = -44; other <= 38; other += 2) {
          auto query = gaussian(dimension, 12, std::pow(10.0f, static_cast<float>(other)) * 0.5f);
          for (auto& x : query) x = std::clamp(x == 0 ? 1e-44f : x, -std::numeric_limits<float>::max(), std::numeric_limits<float>::max());
          const auto prepared = all.prepare(query);
          if (metric == Metric::cosine || (std::abs(exponent) <= 6 && other <= 6)) BOOST_TEST(prepared.fits(), "rows 1e" << exponent << ", query 1e" << other);
          if (metric != Metric::cosine && other >= 14) BOOST_TEST(!prepared.fits(), "rows 1e" << exponent << ", query 1e" << other);
          (prepared.fits() ? fitting : too_large) += 1;
          for (std::uint32_t r = 0; r < 6 && prepared.fits(); ++r) BOOST_TEST(is_number(prepared.at(r)), "rows 1e" << exponent << ", query 1e" << other);
        }
      }
  BOOST_TEST((fitting > 1000u && too_large > 100u));
}

BOOST_AUTO_TEST_CASE(what_is_no_number_does_not_fit_and_gets_a_half_all_the_same) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  for (const float x : {nan, infinite, -infinite}) {
    BOOST_TEST(!Halves(Metric::l2, {1, x}, 1).quantizer.fits());
    BOOST_TEST(!Halves(Metric::l2, {x, 1}, 1).quantizer.fits());
    Halves all(Metric::l2, {1, 2}, 1);
    all.encode(0, std::span(&x, 1));
    BOOST_TEST(all.decoded(0)[0] == (x == -infinite ? -65504.0f : 65504.0f) / all.quantizer.parameters().scale);
  }
}

BOOST_AUTO_TEST_CASE(estimates_from_halves_of_some_rows_are_those_of_each) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 6u, 64u, 99u}) {
      const Halves all(metric, gaussian(300 * dimension, 13), dimension);
      const auto prepared = all.prepare(gaussian(dimension, 14));
      std::vector<std::uint32_t> which(256);
      for (std::size_t i = 0; i < which.size(); ++i) which[i] = static_cast<std::uint32_t>(i * 7 % 300);
      for (const std::size_t count : {0u, 1u, 13u, 256u}) {
        std::vector<float> out(count);
        prepared.each(std::span(which).first(count), out.data());
        for (std::size_t i = 0; i < count; ++i) {
          prepared.fetch(which[i]);
          BOOST_TEST(std::bit_cast<std::uint32_t>(out[i]) == std::bit_cast<std::uint32_t>(prepared.at(which[i])));
        }
      }
    }
}

BOOST_AUTO_TEST_CASE(the_nearest_by_halves_are_the_nearest) {
  for (const auto metric : all_metrics) {
    const auto [within, twice, four_times] = shares_of_nearest<Float16Quantizer>(metric);
    BOOST_TEST_MESSAGE("halves, " << name_of(metric) << ": within ten " << within);
    BOOST_TEST(within >= 0.985, name_of(metric));
    BOOST_TEST(twice >= 1.0, name_of(metric));
  }
}

BOOST_AUTO_TEST_SUITE_END()
