#include <quiver/quant/sq8.hpp>

#include <quiver/core/bytes.hpp>
#include <quiver/distance/oracle.hpp>

#include <boost/test/unit_test.hpp>

#include "support/clusters.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::sq8_tests {

constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};
[[nodiscard]] constexpr std::string_view name_of(Metric metric) { return metric == Metric::l2 ? "l2" : metric == Metric::cosine ? "cosine" : "inner_product"; }
constexpr double lost = 0x1p-118;  // what floats lose below the smallest normal one, times 31 bits

/// Rows, what was learned from them, and their codes.
struct Coded {
  Coded(Metric of, std::vector<float> all, std::size_t width) : metric(of), values(std::move(all)), dimension(width), quantizer(learn()) {
    codes.resize(rows() * quantizer.code_bytes() + code_block);
    terms.resize(rows());
    for (std::size_t r = 0; r < rows(); ++r) encode(r, row(r));
  }
  [[nodiscard]] std::size_t rows() const { return values.size() / dimension; }
  [[nodiscard]] std::span<const float> row(std::size_t r) const { return std::span(values).subspan(r * dimension, dimension); }
  [[nodiscard]] ScaledVector scaled(std::span<const float> vector) const { return {vector, metric == Metric::cosine ? inverse_norm(vector) : 1.0f}; }
  void encode(std::size_t r, std::span<const float> vector) { terms[r] = quantizer.encode(scaled(vector), &codes[r * quantizer.code_bytes()]); }
  [[nodiscard]] int code_of(std::size_t r, std::size_t i) const { return static_cast<std::int8_t>(codes[r * quantizer.code_bytes() + i]); }
  [[nodiscard]] std::vector<float> decoded(std::size_t r) const {
    std::vector<float> out(dimension);
    quantizer.decode(&codes[r * quantizer.code_bytes()], out);
    return out;
  }
  template <class Arch = NativeArch>
  [[nodiscard]] Sq8Query prepare(std::span<const float> query) const {
    return quantizer.prepare<Arch>(scaled(query), {codes.data(), terms.data()});
  }

  Metric metric;
  std::vector<float> values;
  std::size_t dimension;
  Sq8Quantizer quantizer;
  Bytes codes;
  std::vector<float> terms;

 private:
  [[nodiscard]] Sq8Quantizer learn() const {
    Sq8Quantizer::Trainer trainer(dimension);
    for (std::size_t r = 0; r < rows(); ++r) trainer.add(scaled(row(r)));
    return trainer.finish(metric);
  }
};

[[nodiscard]] double wide(float x) { return static_cast<double>(x); }

/// How far a number that was seen may be from its code's: half a step, and the rounding of offset, step and result.
void check_round_trip(const Coded& all, const std::string& what) {
  std::size_t wrong = 0;
  for (std::size_t r = 0; r < all.rows(); ++r) {
    const auto back = all.decoded(r);
    const auto vector = all.scaled(all.row(r));
    for (std::size_t i = 0; i < all.dimension; ++i) {
      const double offset = std::abs(wide(all.quantizer.parameters().offset[i])), step = wide(all.quantizer.parameters().step[i]);
      const double allowed = step / 2 + 0x1p-22 * (offset + 128 * step) + 256 * 0x1p-149;
      if (!(std::abs(wide(vector.values[i] * vector.factor) - wide(back[i])) <= allowed)) ++wrong;
    }
  }
  BOOST_TEST(wrong == 0u, what << ": " << wrong << " numbers of " << all.rows() << " rows of " << all.dimension);
}

/// The distance to the numbers that a code stands for, which are not rounded, and how far from it Sq8Query says that its estimate may be.
struct Expected {
  double distance, error;
};
Expected expected(const Coded& all, std::span<const float> query, std::size_t r) {
  const bool squared = all.metric != Metric::inner_product;
  const double share = all.metric == Metric::cosine ? 0.5 : 1;  // 1 - q x is half of |q - x|^2 where both have the length 1
  const auto vector = all.scaled(query);
  double base = squared ? 0 : 1, magnitude = base, term = 0, cross = 0, crossed = 0, most = 0, sum = 0;
  for (std::size_t i = 0; i < all.dimension; ++i) {
    const double q = wide(vector.values[i] * vector.factor), o = wide(all.quantizer.parameters().offset[i]), s = wide(all.quantizer.parameters().step[i]);
    const double c = all.code_of(r, i), one = squared ? q - o : q;
    base += squared ? one * one * share : -q * o;
    magnitude += std::abs(squared ? one * one * share : q * o);
    if (squared) term += s * c * s * c * share;
    cross += (squared ? 2 * share : 1) * one * s * c;
    crossed += (squared ? 2 * share : 1) * std::abs(one * s * c);
    most = std::max(most, (squared ? 2 * share : 1) * std::abs(one * s));
    sum += std::abs(c);
  }
  const double unit = most / largest_weight(all.dimension);
  return {base + term - cross, unit * sum * 0.5 * (1 + 0x1p-20) + 0x1p-22 * (magnitude + term + crossed + unit * sum) + lost};
}

void check_estimates(const Coded& all, std::span<const float> query, const std::string& what) {
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

[[nodiscard]] std::vector<float> gaussian(std::size_t count, unsigned seed, float scale = 1, float shift = 0) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> out(count);
  for (auto& x : out) x = shift + scale * normal(random);
  return out;
}
[[nodiscard]] std::vector<float> uniform(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> any(-3, 5);
  std::vector<float> out(count);
  for (auto& x : out) x = any(random);
  return out;
}

// The poorest types that conform, and some that lack one thing.
struct PoorestQuery {
  float at(std::uint32_t) const;
  void fetch(std::uint32_t) const;
  void each(std::span<const std::uint32_t>, float*) const;
};
struct AtInDouble : PoorestQuery {
  double at(std::uint32_t) const;
};
struct ChangesWhenAsked : PoorestQuery {
  void each(std::span<const std::uint32_t>, float*);
};
static_assert(CodeQuery<PoorestQuery> && CodeQuery<Sq8Query>);
static_assert(!CodeQuery<AtInDouble> && !CodeQuery<ChangesWhenAsked> && !CodeQuery<int>);

template <class Query = PoorestQuery>
struct Poorest {
  struct Trainer {
    void add(const ScaledVector&);
    Poorest finish(Metric);
  };
  bool fits() const;
  std::size_t code_bytes() const;
  bool with_terms() const;
  float encode(const ScaledVector&, std::byte*) const;
  void decode(const std::byte*, std::span<float>) const;
  Query prepare(const ScaledVector&, const CodeRows&) const;
};
struct WithoutTrainer {
  bool fits() const;
  std::size_t code_bytes() const;
  bool with_terms() const;
  float encode(const ScaledVector&, std::byte*) const;
  void decode(const std::byte*, std::span<float>) const;
  PoorestQuery prepare(const ScaledVector&, const CodeRows&) const;
};
struct TrainsAnother : Poorest<> {};  // whose trainer makes a Poorest
template <class Own>
struct WithTrainerOf : Poorest<> {
  struct Trainer {
    void add(const ScaledVector&);
    Own finish(Metric);
  };
};
struct OfOwnTrainer : WithTrainerOf<OfOwnTrainer> {};
struct CannotDecode : WithTrainerOf<CannotDecode> {
  void decode(const std::byte*, std::span<float>) const = delete;
};
struct CountsWhetherItFits : WithTrainerOf<CountsWhetherItFits> {
  int fits() const;
};
struct LearnsWhileItCodes : WithTrainerOf<LearnsWhileItCodes> {
  float encode(const ScaledVector&, std::byte*);
};
struct TellsNoTerm : WithTrainerOf<TellsNoTerm> {
  void encode(const ScaledVector&, std::byte*) const;
};
static_assert(Quantizer<Poorest<>> && Quantizer<OfOwnTrainer> && Quantizer<Sq8Quantizer>);
static_assert(!Quantizer<Poorest<AtInDouble>> && !Quantizer<WithoutTrainer> && !Quantizer<TrainsAnother> && !Quantizer<CannotDecode> &&
              !Quantizer<CountsWhetherItFits> && !Quantizer<LearnsWhileItCodes> && !Quantizer<TellsNoTerm> && !Quantizer<int>);

}  // namespace quiver::test::sq8_tests

using namespace quiver::test::sq8_tests;
using quiver::test::Clusters;

BOOST_AUTO_TEST_SUITE(sq8)

BOOST_AUTO_TEST_CASE(a_number_that_was_seen_comes_back_within_half_a_step) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 3u, 4u, 5u, 17u, 64u, 65u, 200u}) {
      check_round_trip(Coded(metric, uniform(50 * dimension, 1), dimension), "uniform");
      check_round_trip(Coded(metric, gaussian(50 * dimension, 2), dimension), "gaussian");
      check_round_trip(Coded(metric, gaussian(50 * dimension, 3, 1e-3f, 1000), dimension), "close together, far from zero");
      check_round_trip(Coded(metric, gaussian(2 * dimension, 4), dimension), "two rows");
      for (const float scale : {1e-44f, 1e-42f, 1e-40f, 1e-38f, 1e-30f, 1e-18f, 1e9f, 1e18f, 1e30f, 1e37f})
        if (metric != Metric::cosine || scale > 1e-37f) check_round_trip(Coded(metric, gaussian(20 * dimension, 5, scale), dimension), std::to_string(scale));
    }
}

BOOST_AUTO_TEST_CASE(whole_numbers_within_255_of_each_other_come_back_as_they_were) {
  std::mt19937 random(6);
  for (const float least : {0.0f, -128.0f, -255.0f, 1.0f, 1000.0f, -70'000.0f, 8'000'000.0f, -8'388'608.0f}) {
    std::vector<float> values(40 * 9);
    for (auto& x : values) x = least + static_cast<float>(random() % 256);
    values[0] = least, values[9] = least + 255;  // the first dimension has both ends
    const Coded all(Metric::l2, values, 9);
    for (std::size_t r = 0; r < all.rows(); ++r)
      BOOST_TEST((all.decoded(r) == std::vector<float>(all.row(r).begin(), all.row(r).end())), "least " << least << ", row " << r);
    check_estimates(all, all.row(3), "whole numbers");
  }
  // Wider apart, or not whole: no longer.
  const Coded wider(Metric::l2, {0, 256}, 1);
  BOOST_TEST(wider.quantizer.parameters().step[0] == static_cast<float>(256.0 / 255));
  const Coded halves(Metric::l2, {0, 0.5f, 255}, 1);
  check_round_trip(halves, "halves");
  const Coded narrow(Metric::l2, {0, 0.5f, 1}, 1);
  BOOST_TEST(narrow.quantizer.parameters().step[0] < 0.1f);
}

// A dimension with steps far wider than its numbers would take the weights' bits from all the others.
BOOST_AUTO_TEST_CASE(steps_are_hardly_wider_than_the_numbers_need_whole_or_not) {
  for (const float least : {-3.0f, 0.0f, 1.0f, 500.0f})
    for (int range = 0; range <= 255; ++range)
      for (const float odd : {0.0f, 0.5f}) {
        const auto greatest = least + static_cast<float>(range);
        const Coded all(Metric::l2, {least, greatest, odd == 0 ? least : (least + greatest) / 2}, 1);
        const auto step = wide(all.quantizer.parameters().step[0]), offset = wide(all.quantizer.parameters().offset[0]);
        BOOST_TEST((step <= range / 127.5 && offset >= wide(least) && offset <= wide(greatest) + step), "from " << least << " over " << range);
        BOOST_TEST((all.decoded(0)[0] == least || odd != 0), "from " << least << " over " << range);
        BOOST_TEST((all.decoded(1)[0] == greatest || odd != 0), "from " << least << " over " << range);
      }
  // Numbers below one beside a flag, and beside dimensions that are always zero or seven.
  auto values = gaussian(200 * 8, 26, 0.1f);
  for (std::size_t r = 0; r < 200; ++r) values[r * 8] = 0, values[r * 8 + 3] = 7, values[r * 8 + 5] = r % 2 == 0 ? 0 : 1;
  const Coded all(Metric::l2, values, 8);
  for (std::size_t q = 0; q < 10; ++q) {
    const auto query = all.prepare(all.row(q));
    for (std::uint32_t r = 0; r < 200; ++r) BOOST_TEST(std::abs(wide(query.at(r)) - oracle_l2(all.row(q), all.row(r))) <= 5e-3, "row " << q << " to row " << r);
  }
}

BOOST_AUTO_TEST_CASE(one_vector_and_a_dimension_that_never_changes_come_back_as_they_were) {
  for (const auto metric : all_metrics) {
    const Coded one(metric, {0.3f, -7.25f, 1e-3f, 12, 0}, 5);
    const auto vector = one.scaled(one.row(0));
    for (std::size_t i = 0; i < 5; ++i) BOOST_TEST(one.decoded(0)[i] == vector.values[i] * vector.factor);
    check_estimates(one, one.row(0), "one vector");
    check_estimates(one, uniform(5, 7), "one vector");
  }
  auto values = gaussian(30 * 4, 8);
  for (std::size_t r = 0; r < 30; ++r) values[r * 4 + 2] = 0.7f;
  const Coded all(Metric::l2, values, 4);
  for (std::size_t r = 0; r < 30; ++r) BOOST_TEST(all.decoded(r)[2] == 0.7f);
  check_estimates(all, all.row(5), "a dimension that never changes");
}

BOOST_AUTO_TEST_CASE(codes_are_padded_with_zeros_and_the_term_is_their_squares) {
  for (const auto metric : all_metrics)
    for (std::size_t dimension = 1; dimension <= 9; ++dimension) {
      const auto padded = (dimension + 3) / 4 * 4;
      const Coded all(metric, gaussian(20 * dimension, 9), dimension);
      BOOST_TEST(all.quantizer.code_bytes() == padded);
      BOOST_TEST(all.quantizer.with_terms() == (metric != Metric::inner_product));
      Bytes code(all.quantizer.code_bytes() + 4, std::byte{0xAB});
      const float term = all.quantizer.encode(all.scaled(all.row(4)), code.data());
      double sum = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        const double s = wide(all.quantizer.parameters().step[i]), c = all.code_of(4, i);
        sum += s * c * s * c;
      }
      for (std::size_t i = dimension; i < padded; ++i) BOOST_TEST(std::to_integer<int>(code[i]) == 0);
      BOOST_TEST(wide(term) == (metric == Metric::l2 ? sum : metric == Metric::cosine ? sum / 2 : 0), boost::test_tools::tolerance(1e-6));
      for (std::size_t i = 0; i < 4; ++i) BOOST_TEST(std::to_integer<int>(code[all.quantizer.code_bytes() + i]) == 0xAB);
    }
}

BOOST_AUTO_TEST_CASE(numbers_beyond_those_that_were_seen_get_the_nearest_code) {
  const Coded all(Metric::l2, {-1, 0, 5, 254, 1, 30}, 3);  // in steps of 1, 1 / 128 and 1 / 8
  const auto code_of = [&](std::vector<float> vector) {
    Bytes code(all.quantizer.code_bytes());
    static_cast<void>(all.quantizer.encode({vector}, code.data()));
    return std::vector<int>{static_cast<std::int8_t>(code[0]), static_cast<std::int8_t>(code[1]), static_cast<std::int8_t>(code[2])};
  };
  BOOST_TEST((code_of({-1, 0, 5}) == std::vector{-128, -128, -128}));
  BOOST_TEST((code_of({254, 1, 30}) == std::vector{127, 0, 72}));
  BOOST_TEST((code_of({12.4f, 0.503f, 5.05f}) == std::vector{-115, -64, -128}));  // the nearest, up or down
  BOOST_TEST((code_of({12.6f, 0.505f, 5.07f}) == std::vector{-114, -63, -127}));
  constexpr float far = std::numeric_limits<float>::max();
  for (const float x : {-2.0f, -1e9f, -far}) BOOST_TEST((code_of({x, x, x}) == std::vector{-128, -128, -128}), x);
  for (const float x : {300.0f, 1e9f, far}) BOOST_TEST((code_of({x, x, x}) == std::vector{127, 127, 127}), x);
  const Coded flat(Metric::l2, {0.5f, 0.5f}, 1);  // no step at all
  for (const float x : {-far, 0.5f, far}) {
    Bytes code(flat.quantizer.code_bytes());
    static_cast<void>(flat.quantizer.encode({std::span(&x, 1)}, code.data()));
    BOOST_TEST(std::to_integer<int>(code[0]) == 0);
  }
}

// A damaged file of vectors may hold them.
BOOST_AUTO_TEST_CASE(what_is_no_number_gets_a_code_all_the_same) {
  const Coded all(Metric::l2, {0.5f, 1.5f, 0.25f}, 1);
  constexpr float nan = std::numeric_limits<float>::quiet_NaN(), infinite = std::numeric_limits<float>::infinity();
  for (const auto& [x, wanted] : {std::pair{nan, 127}, {-nan, 127}, {infinite, 127}, {-infinite, -128}}) {
    Bytes code(all.quantizer.code_bytes());
    BOOST_TEST(is_number(all.quantizer.encode({std::span(&x, 1)}, code.data())));
    BOOST_TEST(int{static_cast<std::int8_t>(code[0])} == wanted, x);
  }
  BOOST_TEST(!Coded(Metric::l2, {nan, nan}, 1).quantizer.fits());
  BOOST_TEST(!Coded(Metric::l2, {1, infinite}, 1).quantizer.fits());
  BOOST_TEST(!Coded(Metric::l2, {1, -infinite}, 1).quantizer.fits());
}

BOOST_AUTO_TEST_CASE(estimates_are_as_near_to_the_distance_of_the_decoded_row_as_promised) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 2u, 7u, 16u, 64u, 100u, 513u, 1536u}) {
      const Coded ordinary(metric, gaussian(40 * dimension, 10), dimension), shifted(metric, gaussian(40 * dimension, 11, 0.01f, 5), dimension);
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
  const Coded widest(Metric::l2, gaussian(3 * max_code_dimension, 16), max_code_dimension);
  check_estimates(widest, gaussian(max_code_dimension, 17), "the widest vector");
}

BOOST_AUTO_TEST_CASE(small_numbers_are_told_apart_as_well_as_others) {
  for (const auto metric : {Metric::l2, Metric::inner_product})
    for (const float scale : {1e-12f, 1e-15f, 1e-16f, 1e-17f, 1e-18f, 1e-19f, 1e-22f, 1e-30f, 1e-38f, 1e-42f})
      for (const std::size_t dimension : {1u, 5u, 64u}) {
        auto values = gaussian(40 * dimension, 18, scale);
        for (std::size_t r = 0; r < 40; ++r) values[r * dimension] = scale;  // no step, so its weight is zero
        const Coded all(metric, std::move(values), dimension);
        BOOST_REQUIRE(all.quantizer.fits());
        check_estimates(all, all.row(7), std::to_string(std::log10(scale)));
        check_estimates(all, gaussian(dimension, 19, scale), std::to_string(std::log10(scale)));
        check_estimates(all, gaussian(dimension, 20), std::to_string(std::log10(scale)));
      }
}

BOOST_AUTO_TEST_CASE(where_rows_and_query_fit_every_estimate_is_a_number) {
  std::size_t fitting = 0, too_large = 0;
  for (const auto metric : all_metrics)
    for (int exponent = -44; exponent <= 38; exponent += 2)
      for (const std::size_t dimension : {1u, 3u, 70u}) {
        Coded all(metric, gaussian(6 * dimension, 21, std::pow(10.0f, static_cast<float>(exponent)) * 0.5f), dimension);
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

BOOST_AUTO_TEST_CASE(a_query_whose_factor_alone_is_too_large_does_not_fit) {
  const Coded all(Metric::inner_product, {-128, 127}, 1);
  BOOST_REQUIRE(all.quantizer.parameters().offset[0] == 0.0f);  // so the query's own term is 1, whatever the query
  BOOST_TEST(!all.prepare(std::vector{3e38f}).fits());
  check_estimates(all, std::vector{1e28f}, "as large as fits");
}

BOOST_AUTO_TEST_CASE(estimates_of_some_rows_are_those_of_each_on_every_set_of_instructions) {
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {1u, 6u, 64u, 99u}) {
      const Coded all(metric, gaussian(300 * dimension, 23), dimension);
      const auto query = gaussian(dimension, 24);
      const auto prepared = all.prepare(query), portable = all.prepare<PortableArch>(query);
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

BOOST_AUTO_TEST_CASE(the_nearest_by_codes_are_nearly_the_nearest) {
  const Clusters data(3000, 24, 20, 25);
  constexpr std::size_t k = 10;
  for (const auto metric : all_metrics) {
    const Coded all(metric, data.values(), 24);
    std::size_t found = 0, among_twice = 0;
    for (std::size_t q = 0; q < 64; ++q) {
      const auto nearest = [&](auto&& distance, std::size_t count) {
        std::vector<std::pair<double, std::size_t>> order;
        for (std::size_t r = 0; r < all.rows(); ++r) order.emplace_back(distance(r), r);
        std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end());
        std::set<std::size_t> out;
        for (std::size_t i = 0; i < count; ++i) out.insert(order[i].second);
        return out;
      };
      const auto prepared = all.prepare(data.query(q));
      const auto by_code = [&](std::size_t r) { return wide(prepared.at(static_cast<std::uint32_t>(r))); };
      const auto truth = nearest([&](std::size_t r) { return oracle_distance(metric, data.query(q), all.row(r)); }, k);
      const auto some = nearest(by_code, k), twice = nearest(by_code, 2 * k);
      for (const auto r : truth) found += some.count(r), among_twice += twice.count(r);
    }
    BOOST_TEST_MESSAGE(name_of(metric) << ": recall " << static_cast<double>(found) / (64 * k) << ", among twice as many "
                                       << static_cast<double>(among_twice) / (64 * k));
    BOOST_TEST(found >= 64 * k * 93 / 100, name_of(metric) << ": " << found);
    BOOST_TEST(among_twice >= 64 * k * 99 / 100, name_of(metric) << ": " << among_twice);
  }
}

BOOST_AUTO_TEST_SUITE_END()
