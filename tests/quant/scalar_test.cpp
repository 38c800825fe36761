#include <quiver/quant/scalar.hpp>

#include <quiver/quant/sq4.hpp>
#include <quiver/quant/sq8.hpp>

#include <boost/test/unit_test.hpp>

#include "quant/coded.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <tuple>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::scalar_tests {
using namespace quiver::test::coded;

using ScalarQuantizers = std::tuple<Sq8Quantizer, Sq4Quantizer>;
template <class Q>
inline constexpr unsigned steps_of = 2 * Q::Codes::half - 1;

/// How far a number that was seen may be from its code's: half a step, and the rounding of offset, step and result.
template <class Q>
void check_round_trip(const Coded<Q>& all, const std::string& what) {
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const auto back = all.decoded(r);
    const auto vector = all.scaled(all.row(r));
    for (std::size_t i = 0; i < all.dimension; ++i) {
      const double offset = std::abs(wide(all.quantizer.parameters().offset[i])), step = wide(all.quantizer.parameters().step[i]);
      const double allowed = step / 2 + 0x1p-22 * (offset + Q::Codes::half * step) + 256 * 0x1p-149;
      if (!(std::abs(wide(vector.values[i] * vector.factor) - wide(back[i])) <= allowed)) ++wrong;
    }
  }
  BOOST_TEST(wrong == 0u, what << ": " << wrong << " numbers of " << all.rows() << " rows of " << all.dimension);
}

/// The distance to the numbers that a code stands for, which are not rounded, and how far from it ScalarQuery says that its estimate may be.
struct Expected {
  double distance, error;
};
template <class Q>
Expected expected(const Coded<Q>& all, std::span<const float> query, std::size_t r) {
  const bool squared = all.metric != Metric::inner_product;
  const double share = all.metric == Metric::cosine ? 0.5 : 1;  // 1 - q x is half of |q - x|^2 where both have the length 1
  const auto vector = all.scaled(query);
  double base = squared ? 0 : 1, magnitude = base, term = 0, cross = 0, crossed = 0, most = 0, sum = 0;
  for (std::size_t i = 0; i < all.dimension; ++i) {
    const double q = wide(vector.values[i] * vector.factor), o = wide(all.quantizer.parameters().offset[i]), s = wide(all.quantizer.parameters().step[i]);
    const double c = Q::Codes::get(all.code(r), i), one = squared ? q - o : q;
    base += squared ? one * one * share : -q * o;
    magnitude += std::abs(squared ? one * one * share : q * o);
    if (squared) term += s * c * s * c * share;
    cross += (squared ? 2 * share : 1) * one * s * c;
    crossed += (squared ? 2 * share : 1) * std::abs(one * s * c);
    most = std::max(most, (squared ? 2 * share : 1) * std::abs(one * s));
    sum += std::abs(c);
  }
  const double unit = most / Q::Codes::largest_weight(all.dimension);
  return {base + term - cross, unit * sum * 0.5 * (1 + 0x1p-20) + 0x1p-22 * (magnitude + term + crossed + unit * sum) + lost};
}

template <class Q>
void check_estimates(const Coded<Q>& all, std::span<const float> query, const std::string& what) {
  const auto prepared = all.prepare(query);
  BOOST_REQUIRE_MESSAGE(prepared.fits(), what);
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const auto [distance, error] = expected(all, query, r);
    const double found = wide(prepared.at(static_cast<std::uint32_t>(r)));
    if (std::abs(found - distance) <= error) continue;
    if (++wrong == 1)
      BOOST_TEST_MESSAGE(what << ", row " << r << ": " << found << " where " << distance << " +- " << error << " was expected, off by " << found - distance);
  }
  BOOST_TEST(wrong == 0u, what << ", " << name_of(all.metric) << ", dimension " << all.dimension << ": " << wrong << " estimates of " << all.rows());
}

}  // namespace quiver::test::scalar_tests

using namespace quiver::test::scalar_tests;

BOOST_AUTO_TEST_SUITE(scalar_quantizers)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_number_that_was_seen_comes_back_within_half_a_step, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 3u, 4u, 5u, 17u, 64u, 65u, 200u}) {
      check_round_trip(Coded<Q>(metric, uniform(50 * dimension, 1), dimension), "uniform");
      check_round_trip(Coded<Q>(metric, gaussian(50 * dimension, 2), dimension), "gaussian");
      check_round_trip(Coded<Q>(metric, gaussian(50 * dimension, 3, 1e-3f, 1000), dimension), "close together, far from zero");
      check_round_trip(Coded<Q>(metric, gaussian(2 * dimension, 4), dimension), "two rows");
      for (const float scale : {1e-44f, 1e-42f, 1e-40f, 1e-38f, 1e-30f, 1e-18f, 1e9f, 1e18f, 1e30f, 1e37f})
        if (metric != Metric::cosine || scale > 1e-37f)
          check_round_trip(Coded<Q>(metric, gaussian(20 * dimension, 5, scale), dimension), std::to_string(scale));
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(whole_numbers_near_each_other_come_back_as_they_were, Q, ScalarQuantizers) {
  constexpr unsigned steps = steps_of<Q>;
  std::mt19937 random(6);
  for (const float least : {0.0f, -128.0f, -255.0f, 1.0f, 1000.0f, -70'000.0f, 8'000'000.0f, -8'388'608.0f}) {
    std::vector<float> values(40 * 9);
    for (auto& x : values) x = least + static_cast<float>(random() % (steps + 1));
    values[0] = least, values[9] = least + steps;  // the first dimension has both ends
    const Coded<Q> all(Metric::l2, values, 9);
    for (std::size_t r = 0; r < all.rows(); ++r)
      BOOST_TEST((all.decoded(r) == std::vector<float>(all.row(r).begin(), all.row(r).end())), "least " << least << ", row " << r);
    check_estimates(all, all.row(3), "whole numbers");
  }
  // Wider apart, or not whole: no longer.
  const Coded<Q> wider(Metric::l2, {0, steps + 1}, 1);
  BOOST_TEST(wider.quantizer.parameters().step[0] == static_cast<float>((steps + 1.0) / steps));
  const Coded<Q> halves(Metric::l2, {0, 0.5f, steps}, 1);
  check_round_trip(halves, "halves");
  const Coded<Q> narrow(Metric::l2, {0, 0.5f, 1}, 1);
  BOOST_TEST(narrow.quantizer.parameters().step[0] == static_cast<float>(1.0 / steps));
}

// A dimension with steps far wider than its numbers would take the weights' bits from all the others.
BOOST_AUTO_TEST_CASE_TEMPLATE(steps_are_hardly_wider_than_the_numbers_need_whole_or_not, Q, ScalarQuantizers) {
  for (const float least : {-3.0f, 0.0f, 1.0f, 500.0f})
    for (int range = 0; range <= static_cast<int>(steps_of<Q>); ++range)
      for (const float odd : {0.0f, 0.5f}) {
        const auto greatest = least + static_cast<float>(range);
        const Coded<Q> all(Metric::l2, {least, greatest, odd == 0 ? least : (least + greatest) / 2}, 1);
        const auto step = wide(all.quantizer.parameters().step[0]), offset = wide(all.quantizer.parameters().offset[0]);
        BOOST_TEST((step <= 2.0 * range / steps_of<Q> && offset >= wide(least) && offset <= wide(greatest) + step), "from " << least << " over " << range);
        BOOST_TEST((all.decoded(0)[0] == least || odd != 0), "from " << least << " over " << range);
        BOOST_TEST((all.decoded(1)[0] == greatest || odd != 0), "from " << least << " over " << range);
      }
  // Numbers below one beside a flag, and beside dimensions that are always zero or seven.
  auto values = gaussian(200 * 8, 26, 0.1f);
  for (std::size_t r = 0; r < 200; ++r) values[r * 8] = 0, values[r * 8 + 3] = 7, values[r * 8 + 5] = r % 2 == 0 ? 0 : 1;
  const Coded<Q> all(Metric::l2, values, 8);
  for (std::size_t q = 0; q < 10; ++q) {
    const auto query = all.prepare(all.row(q));
    for (std::uint32_t r = 0; r < 200; ++r)
      BOOST_TEST(std::abs(wide(query.at(r)) - oracle_l2(all.row(q), all.row(r))) <= (Q::Codes::half == 128 ? 5e-3 : 0.3), "row " << q << " to row " << r);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_vector_and_a_dimension_that_never_changes_come_back_as_they_were, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics) {
    const Coded<Q> one(metric, {0.3f, -7.25f, 1e-3f, 12, 0}, 5);
    const auto vector = one.scaled(one.row(0));
    for (std::size_t i = 0; i < 5; ++i) BOOST_TEST(one.decoded(0)[i] == vector.values[i] * vector.factor);
    check_estimates(one, one.row(0), "one vector");
    check_estimates(one, uniform(5, 7), "one vector");
  }
  auto values = gaussian(30 * 4, 8);
  for (std::size_t r = 0; r < 30; ++r) values[r * 4 + 2] = 0.7f;
  const Coded<Q> all(Metric::l2, values, 4);
  for (std::size_t r = 0; r < 30; ++r) BOOST_TEST(all.decoded(r)[2] == 0.7f);
  check_estimates(all, all.row(5), "a dimension that never changes");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(codes_are_padded_with_zeros_and_the_term_is_their_squares, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics)
    for (std::size_t dimension = 1; dimension <= 9; ++dimension) {
      const Coded<Q> all(metric, gaussian(20 * dimension, 9), dimension);
      const std::size_t bits = Q::Codes::half == 128 ? 8 : 4;
      BOOST_TEST(all.quantizer.code_bytes() == (dimension * bits + 31) / 32 * 4);
      BOOST_TEST(all.quantizer.with_terms() == (metric != Metric::inner_product));
      Bytes code(all.quantizer.code_bytes() + 4, std::byte{0xAB});
      const float term = all.quantizer.encode(all.scaled(all.row(4)), code.data());
      double sum = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        const double s = wide(all.quantizer.parameters().step[i]), c = Q::Codes::get(all.code(4), i);
        sum += s * c * s * c;
      }
      for (std::size_t i = (dimension * bits + 7) / 8; i < all.quantizer.code_bytes(); ++i) BOOST_TEST(std::to_integer<int>(code[i]) == 0);
      if (bits == 4 && dimension % 2 == 1) BOOST_TEST(std::to_integer<int>(code[dimension / 2]) < 16);
      BOOST_TEST(wide(term) == (metric == Metric::l2 ? sum : metric == Metric::cosine ? sum / 2 : 0), boost::test_tools::tolerance(1e-6));
      for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::to_integer<int>(code[all.quantizer.code_bytes() + i]) == 0xAB);
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(numbers_beyond_those_that_were_seen_get_the_nearest_code, Q, ScalarQuantizers) {
  constexpr int half = Q::Codes::half, steps = 2 * half - 1;
  const Coded<Q> all(Metric::l2, {-1, 0, 5, steps - 1, 1, 30}, 3);
  const auto code_of = [&](std::vector<float> vector) {
    Bytes code(all.quantizer.code_bytes());
    static_cast<void>(all.quantizer.encode({vector}, code.data()));
    return std::vector<int>{Q::Codes::get(code.data(), 0), Q::Codes::get(code.data(), 1), Q::Codes::get(code.data(), 2)};
  };
  const auto& step = all.quantizer.parameters().step;
  BOOST_TEST((step == std::vector<float>{1, half == 128 ? 1.0f / 128 : 1.0f / 8, half == 128 ? 1.0f / 8 : static_cast<float>(25.0 / 15)}));
  BOOST_TEST((code_of({-1, 0, 5}) == std::vector{-half, -half, -half}));
  const int thirty = half == 128 ? 72 : 7;
  BOOST_TEST((code_of({steps - 1, 1, 30}) == std::vector{half - 1, 0, thirty}));
  // The nearest, up or down.
  BOOST_TEST((code_of({2.4f, 3.4f * step[1], 5 + 0.4f * step[2]}) == std::vector{3 - half, 3 - half, -half}));
  BOOST_TEST((code_of({2.6f, 3.6f * step[1], 5 + 0.6f * step[2]}) == std::vector{4 - half, 4 - half, 1 - half}));
  constexpr float far = std::numeric_limits<float>::max();
  for (const float x : {-2.0f, -1e9f, -far}) BOOST_TEST((code_of({x, x, x}) == std::vector{-half, -half, -half}), x);
  for (const float x : {300.0f, 1e9f, far}) BOOST_TEST((code_of({x, x, x}) == std::vector{half - 1, half - 1, half - 1}), x);
  const Coded<Q> flat(Metric::l2, {0.5f, 0.5f}, 1);  // no step at all
  for (const float x : {-far, 0.5f, far}) {
    Bytes code(flat.quantizer.code_bytes());
    static_cast<void>(flat.quantizer.encode({std::span(&x, 1)}, code.data()));
    BOOST_TEST(Q::Codes::get(code.data(), 0) == 0);
  }
}

// A damaged file of vectors may hold them.
BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_number_gets_a_code_all_the_same, Q, ScalarQuantizers) {
  constexpr int half = Q::Codes::half;
  const Coded<Q> all(Metric::l2, {0.5f, 1.5f, 0.25f}, 1);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  for (const auto& [x, wanted] : {std::pair{nan, half - 1}, {-nan, half - 1}, {infinite, half - 1}, {-infinite, -half}}) {
    Bytes code(all.quantizer.code_bytes());
    BOOST_TEST(is_number(all.quantizer.encode({std::span(&x, 1)}, code.data())));
    BOOST_TEST(Q::Codes::get(code.data(), 0) == wanted, x);
  }
  BOOST_TEST(!Coded<Q>(Metric::l2, {nan, nan}, 1).quantizer.fits());
  BOOST_TEST(!Coded<Q>(Metric::l2, {1, infinite}, 1).quantizer.fits());
  BOOST_TEST(!Coded<Q>(Metric::l2, {1, -infinite}, 1).quantizer.fits());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(estimates_are_as_near_to_the_distance_of_the_decoded_row_as_promised, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 7u, 16u, 64u, 100u, 513u, 1536u}) {
      const Coded<Q> ordinary(metric, gaussian(40 * dimension, 10), dimension), shifted(metric, gaussian(40 * dimension, 11, 0.01f, 5), dimension);
      for (const auto* all : {&ordinary, &shifted}) {
        check_estimates(*all, all->row(3), "one of the rows");
        check_estimates(*all, gaussian(dimension, 12), "another vector");
        check_estimates(*all, gaussian(dimension, 13, 1e5f), "a long vector");
        check_estimates(*all, gaussian(dimension, 14, 1e-5f), "a short vector");
        auto zeros = gaussian(dimension, 15);
        for (std::size_t i = 1; i < dimension; i += 2) zeros[i] = 0;
        check_estimates(*all, zeros, "a vector with zeros");
        if (metric != Metric::cosine) check_estimates(*all, std::vector<float>(dimension), "all zeros");
        std::vector<float> spike(dimension, 1e-4f);
        spike[dimension / 2] = 100;
        check_estimates(*all, spike, "one number far above the others");
      }
    }
  const Coded<Q> widest(Metric::l2, gaussian(3 * max_code_dimension, 16), max_code_dimension);
  check_estimates(widest, gaussian(max_code_dimension, 17), "the widest vector");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(small_numbers_are_told_apart_as_well_as_others, Q, ScalarQuantizers) {
  for (const auto metric : {Metric::l2, Metric::inner_product})
    for (const float scale : {1e-12f, 1e-15f, 1e-16f, 1e-17f, 1e-18f, 1e-19f, 1e-22f, 1e-30f, 1e-38f, 1e-42f})
      for (const std::size_t dimension : {1u, 5u, 64u}) {
        auto values = gaussian(40 * dimension, 18, scale);
        for (std::size_t r = 0; r < 40; ++r) values[r * dimension] = scale;  // no step, so its weight is zero
        const Coded<Q> all(metric, std::move(values), dimension);
        BOOST_REQUIRE(all.quantizer.fits());
        check_estimates(all, all.row(7), std::to_string(std::log10(scale)));
        check_estimates(all, gaussian(dimension, 19, scale), std::to_string(std::log10(scale)));
        check_estimates(all, gaussian(dimension, 20), std::to_string(std::log10(scale)));
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(where_rows_and_query_fit_every_estimate_is_a_number, Q, ScalarQuantizers) {
  std::size_t fitting = 0, too_large = 0;
  for (const auto metric : all_metrics)
    for (int exponent = -44; exponent <= 38; exponent += 2)
      for (const std::size_t dimension : {1u, 3u, 70u}) {
        Coded<Q> all(metric, gaussian(6 * dimension, 21, std::pow(10.0f, static_cast<float>(exponent)) * 0.5f), dimension);
        for (auto& x : all.values)
          if (x == 0) x = 1e-44f;
        const bool fits = all.quantizer.fits();
        if (metric == Metric::cosine || exponent <= 10) BOOST_TEST(fits, "1e" << exponent);
        if (metric != Metric::cosine && exponent >= 14) BOOST_TEST(!fits, "1e" << exponent);
        if (!fits) continue;
        // Rows that were not learned from, too.
        std::vector<float> largest(dimension, std::numeric_limits<float>::max());
        all.encode(0, largest);
        for (int other = -44; other <= 38; other += 2) {
          auto query = gaussian(dimension, 22, std::pow(10.0f, static_cast<float>(other)) * 0.5f);
          for (auto& x : query) x = std::clamp(x == 0 ? 1e-44f : x, -std::numeric_limits<float>::max(), std::numeric_limits<float>::max());
          const auto prepared = all.prepare(query);
          if (metric == Metric::cosine || (exponent <= 10 && other <= 10)) BOOST_TEST(prepared.fits(), "rows 1e" << exponent << ", query 1e" << other);
          if (metric == Metric::l2 && other >= 14) BOOST_TEST(!prepared.fits(), "rows 1e" << exponent << ", query 1e" << other);
          (prepared.fits() ? fitting : too_large) += 1;
          for (std::uint32_t r = 0; r < 6 && prepared.fits(); ++r) BOOST_TEST(is_number(prepared.at(r)), "rows 1e" << exponent << ", query 1e" << other);
        }
      }
  BOOST_TEST((fitting > 1000u && too_large > 100u));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_query_whose_factor_alone_is_too_large_does_not_fit, Q, ScalarQuantizers) {
  const Coded<Q> all(Metric::inner_product, {-Q::Codes::half, Q::Codes::half - 1}, 1);
  BOOST_REQUIRE(all.quantizer.parameters().offset[0] == 0.0f);  // so the query's own term is 1, whatever the query
  BOOST_TEST(!all.prepare(std::vector{3e38f}).fits());
  check_estimates(all, std::vector{0x1p79f * static_cast<float>(Q::Codes::largest_weight(1))}, "as large as fits");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(estimates_of_some_rows_are_those_of_each_on_every_set_of_instructions, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 6u, 64u, 99u}) {
      const Coded<Q> all(metric, gaussian(300 * dimension, 23), dimension);
      const auto query = gaussian(dimension, 24);
      const auto prepared = all.prepare(query), portable = all.template prepare<PortableArch>(query);
      std::vector<std::uint32_t> which(256);
      for (std::size_t i = 0; i < which.size(); ++i) which[i] = static_cast<std::uint32_t>(i * 7 % 300);
      for (const std::size_t count : {0u, 1u, 13u, 256u}) {
        std::vector<float> out(count), other(count);
        prepared.each(std::span(which).first(count), out.data());
        portable.each(std::span(which).first(count), other.data());
        for (std::size_t i = 0; i < count; ++i) {
          prepared.fetch(which[i]);
          BOOST_TEST(std::bit_cast<std::uint32_t>(out[i]) == std::bit_cast<std::uint32_t>(prepared.at(which[i])));
          BOOST_TEST(std::bit_cast<std::uint32_t>(out[i]) == std::bit_cast<std::uint32_t>(other[i]));
        }
      }
    }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_nearest_by_codes_are_nearly_the_nearest, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics) {
    const auto [within, twice, four_times] = shares_of_nearest<Q>(metric);
    BOOST_TEST_MESSAGE(2 * Q::Codes::half << " steps, " << name_of(metric) << ": within ten " << within << ", twenty " << twice << ", forty " << four_times);
    const bool fine = Q::Codes::half == 128;
    BOOST_TEST(within >= (fine ? 0.93 : 0.45), name_of(metric));
    BOOST_TEST(twice >= (fine ? 0.99 : 0.7), name_of(metric));
    BOOST_TEST(four_times >= (fine ? 1.0 : 0.9), name_of(metric));
  }
}

BOOST_AUTO_TEST_SUITE_END()
