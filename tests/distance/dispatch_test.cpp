#include <quiver/distance/dispatch.hpp>

#include <quiver/distance/oracle.hpp>
#include <quiver/index/flat_batch.hpp>
#include <quiver/quant/sq4.hpp>
#include <quiver/quant/sq8.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"
#include "distance/vectors.hpp"

#include <bit>
#include <cstdlib>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using namespace quiver::test;

namespace {

const SimdLevel level_at_start = simd_level();

constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};
constexpr SimdLevel all_levels[] = {SimdLevel::baseline, SimdLevel::avx2, SimdLevel::avx512, SimdLevel::avx512_vnni, SimdLevel::neon};

/// The levels that this machine has, the lowest first.
std::vector<SimdLevel> levels_here() {
  std::vector<SimdLevel> out;
  for (const auto* set : unit_sets)
    if (machine_has(set->level)) out.push_back(set->level);
  return out;
}

bool known_here(SimdLevel level) {
  return std::any_of(unit_sets.begin(), unit_sets.end(), [&](const auto* set) { return set->level == level; });
}

/// What is taken where `most` was asked for, by the words of the documentation.
SimdLevel expected_level(std::optional<SimdLevel> most) {
  const auto here = levels_here();
  if (!most || !known_here(*most)) return here.back();
  SimdLevel best = here.front();
  for (const auto level : here)
    if (level <= *most) best = level;
  return best;
}

std::string text_of(const char* variable) {
  const char* const text = std::getenv(variable);
  return text == nullptr ? "" : text;
}

/// Calls f for each level of this machine, and leaves the best one behind.
template <class F>
void for_each_level(F&& f) {
  for (const auto level : levels_here()) BOOST_TEST_CONTEXT(to_string(level)) {
      BOOST_REQUIRE((use_simd(level) == level));
      f();
    }
  use_simd(levels_here().back());
}

struct Vectors {
  Vectors(std::size_t count, std::size_t size, unsigned seed) : values(count * size), dimension(size) {
    std::mt19937 random(seed);
    fill(values, Kind::ordinary, random);
    for (std::size_t r = 0; r < count; ++r) inverse_norms.push_back(inverse_norm(row(r)));
  }
  [[nodiscard]] std::span<const float> row(std::size_t r) const { return {&values[r * dimension], dimension}; }
  [[nodiscard]] FlatRows rows() const { return {values.data(), inverse_norms.data(), inverse_norms.size(), dimension}; }

  std::vector<float> values, inverse_norms;
  std::size_t dimension;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(dispatch)

BOOST_AUTO_TEST_CASE(a_program_starts_with_the_best_set_that_the_machine_has_and_the_environment_allows) {
  std::string here;
  for (const auto level : levels_here()) here += " " + std::string(to_string(level));
  BOOST_TEST_MESSAGE("sets of this machine:" << here << "; at the start: " << to_string(level_at_start));
  std::optional<SimdLevel> asked;
  for (const auto level : all_levels)
    if (text_of("QUIVER_SIMD_LEVEL") == to_string(level)) asked = level;
  BOOST_TEST((level_at_start == expected_level(asked)));
  // Who emulates a processor knows what it has.
  const auto known = text_of("QUIVER_EXPECTED_LEVEL");
  if (!known.empty()) BOOST_TEST(to_string(levels_here().back()) == known);
}

BOOST_AUTO_TEST_CASE(use_simd_goes_no_higher_than_asked_and_than_the_machine) {
  for (const auto level : all_levels) BOOST_TEST_CONTEXT(to_string(level)) {
      BOOST_TEST((use_simd(level) == expected_level(level)));
      BOOST_TEST((simd_level() == expected_level(level)));
      BOOST_TEST((machine_has(simd_level())));
    }
  use_simd(levels_here().back());
}

BOOST_AUTO_TEST_CASE(each_unit_says_which_set_it_is_and_shares_no_kernel_with_another) {
  for (const auto* a : unit_sets)
    for (const auto* b : unit_sets) {
      BOOST_TEST((a->level == b->level) == (a == b));
      BOOST_TEST((a->products.many == b->products.many) == (a == b));
      BOOST_TEST((a->panels.select == b->panels.select) == (a == b));
      BOOST_TEST((a->codes.gather == b->codes.gather) == (a == b));
      BOOST_TEST((a->nibbles.gather == b->nibbles.gather) == (a == b));
    }
}

BOOST_AUTO_TEST_CASE(a_query_keeps_the_set_that_it_was_prepared_with) {
  const std::vector<float> values{1, 2, 3};
  const auto best = levels_here().back();
  use_simd(best);
  const FlatQuery before(Metric::l2, values);
  const Kernels* const kernels = &before.kernels();
  use_simd(SimdLevel::baseline);
  const FlatQuery after(Metric::l2, values);
  BOOST_TEST(&before.kernels() == kernels);
  BOOST_TEST((&after.kernels() == &baseline_set.squared_differences));
  BOOST_TEST((&after.panels() == &baseline_set.panels));
  BOOST_TEST((&before.kernels() == &after.kernels()) == (best == SimdLevel::baseline));
  use_simd(best);
}

BOOST_AUTO_TEST_CASE(every_set_is_as_near_to_the_oracle_as_promised) {
  for_each_level([] {
    std::mt19937 random(1);
    for (const auto metric : all_metrics)
      for (const auto dimension : some_dimensions)
        for (const auto kind : {Kind::ordinary, Kind::large, Kind::mixed, Kind::alternating}) {
          if (dimension > 5000) continue;
          std::vector<float> a(dimension), b(dimension);
          fill(a, kind, random);
          fill(b, Kind::ordinary, random);
          const float norm = inverse_norm(b);
          const FlatRows rows{b.data(), &norm, 1, dimension};
          const FlatQuery query(metric, a);
          const double exact = oracle_distance(metric, a, b);
          const double allowed = distance_error(metric, a, b);
          if (std::abs(exact) + allowed >= static_cast<double>(std::numeric_limits<float>::max())) continue;
          const float distance = query.distance(query.kernels().one(a.data(), b.data(), dimension), rows, 0);
          BOOST_TEST(std::abs(static_cast<double>(distance) - exact) <= allowed, "metric " << static_cast<int>(metric) << ", dimension " << dimension);
        }
  });
}

BOOST_AUTO_TEST_CASE(all_kernels_of_a_set_give_the_same_bits_and_read_nothing_beyond_the_rows) {
  for_each_level([] {
    std::mt19937 random(2);
    for (const auto metric : {Metric::l2, Metric::inner_product})
      for (const std::size_t dimension : {1u, 3u, 4u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 100u, 640u, 785u})
        for (const std::size_t count : {1u, 2u, 3u, 8u, 9u}) {
          const GuardedFloats rows(count * dimension), queries(3 * dimension);
          fill(rows.span(), Kind::mixed, random);
          fill(queries.span(), Kind::mixed, random);
          const void* const pointers[] = {queries.data(), queries.data() + dimension, queries.data() + 2 * dimension};
          const FlatQuery query(metric, queries.span().first(dimension));
          const auto& kernels = query.kernels();
          std::vector<float> batch(3 * count), many(count), gathered(count);
          std::vector<std::uint32_t> which(count);
          for (std::size_t r = 0; r < count; ++r) which[r] = static_cast<std::uint32_t>(r);
          kernels.batch(pointers, 3, rows.data(), count, dimension, batch.data());
          std::size_t different = 0;
          for (std::size_t q = 0; q < 3; ++q) {
            kernels.many(pointers[q], rows.data(), count, dimension, many.data());
            kernels.gather(pointers[q], rows.data(), dimension, which.data(), count, gathered.data());
            for (std::size_t r = 0; r < count; ++r) {
              const auto one = std::bit_cast<std::uint32_t>(kernels.one(pointers[q], rows.data() + r * dimension, dimension));
              for (const float other : {many[r], gathered[r], batch[q * count + r]}) different += std::bit_cast<std::uint32_t>(other) != one;
            }
          }
          BOOST_TEST(different == 0u, "dimension " << dimension << ", " << count << " rows");
        }
  });
}

BOOST_AUTO_TEST_CASE(a_batch_answers_as_single_searches_do_in_every_set) {
  const Vectors data(700, 37, 3), asked(32, 37, 4);
  for_each_level([&] {
    for (const auto metric : all_metrics) {
      std::vector<FlatQuery> queries;
      for (std::size_t q = 0; q < 32; ++q) queries.emplace_back(metric, asked.row(q));
      std::vector<TopK> best(queries.size(), TopK(10));
      flat_scan_batch(queries, data.rows(), 0, best);
      for (std::size_t q = 0; q < queries.size(); ++q) {
        TopK alone(10);
        flat_scan(queries[q], data.rows(), 0, alone);
        BOOST_TEST((best[q].take_sorted() == alone.take_sorted()), "query " << q << ", metric " << static_cast<int>(metric));
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(sums_over_codes_are_the_same_whole_numbers_in_every_set) {
  std::mt19937 random(5);
  for (const std::size_t padded : {64u, 128u, 192u, 832u, 1024u, 65536u})
    for (const bool extreme : {false, true}) {
      const auto largest = largest_weight(padded);
      std::vector<std::int8_t> codes(3 * padded);
      std::vector<std::int16_t> weights(padded);
      for (auto& code : codes) code = static_cast<std::int8_t>(extreme ? -128 : static_cast<int>(random() % 256) - 128);
      for (auto& weight : weights)
        weight = static_cast<std::int16_t>(extreme ? largest : static_cast<int>(random() % (2 * static_cast<unsigned>(largest) + 1)) - largest);
      const std::uint32_t which[] = {2, 0, 1};
      for (const auto level : levels_here()) {
        const CodeKernels& kernels = best_set(level).codes;
        std::int32_t sums[3];
        kernels.gather(reinterpret_cast<const std::byte*>(codes.data()), padded, weights.data(), padded, which, 3, sums);
        for (std::size_t i = 0; i < 3; ++i) {
          const auto* const row = reinterpret_cast<const std::byte*>(codes.data()) + which[i] * padded;
          const auto exact = CodeProduct<PortableArch>::oracle(row, weights.data(), padded);
          BOOST_TEST(sums[i] == exact, to_string(level));
          BOOST_TEST(kernels.dot(row, weights.data(), padded) == exact, to_string(level));
        }
      }
    }
}

BOOST_AUTO_TEST_CASE(sums_over_nibbles_are_the_same_whole_numbers_in_every_set) {
  std::mt19937 random(9);
  for (const std::size_t padded : {64u, 128u, 448u, 32768u})
    for (const bool extreme : {false, true}) {
      std::vector<std::byte> codes(3 * padded);
      std::vector<std::int8_t> weights(2 * padded);
      for (auto& code : codes) code = static_cast<std::byte>(extreme ? 255 : random() % 256);
      for (auto& weight : weights) weight = static_cast<std::int8_t>(extreme ? -largest_nibble_weight : static_cast<int>(random() % 255) - 127);
      const std::uint32_t which[] = {2, 0, 1};
      for (const auto level : levels_here()) {
        const NibbleKernels& kernels = best_set(level).nibbles;
        std::int32_t sums[3];
        kernels.gather(codes.data(), padded, weights.data(), padded, which, 3, sums);
        for (std::size_t i = 0; i < 3; ++i) {
          const auto exact = NibbleProduct<PortableArch>::oracle(&codes[which[i] * padded], weights.data(), padded);
          BOOST_TEST(sums[i] == exact, to_string(level));
          BOOST_TEST(kernels.dot(&codes[which[i] * padded], weights.data(), padded) == exact, to_string(level));
        }
      }
    }
}

BOOST_AUTO_TEST_CASE(sums_over_bytes_are_the_same_bits_in_every_set_and_those_over_halves_as_near_to_the_oracle_as_promised) {
  std::mt19937 random(8);
  for (const std::size_t dimension : {1u, 7u, 15u, 16u, 33u, 63u, 64u, 100u, 785u, 4097u, 65536u})
    for (const bool extreme : {false, true}) {
      std::vector<std::uint8_t> rows(3 * dimension), bytes(dimension);
      for (auto* v : {&rows, &bytes})
        for (auto& x : *v) x = static_cast<std::uint8_t>(extreme ? (v == &rows ? 0x80 : 0x7F) : random());
      std::vector<Half> halves(3 * dimension);
      for (auto& x : halves) x = float_to_half(static_cast<float>(random() % 4096) / 64 - 32);
      std::vector<float> query(dimension), wide(3 * dimension);
      fill(query, Kind::ordinary, random);
      const std::uint32_t which[] = {2, 0, 1};
      for (const auto metric : {Metric::l2, Metric::inner_product})
        for (const auto level : levels_here()) BOOST_TEST_CONTEXT(to_string(level) << ", dimension " << dimension) {
            const KernelSet& set = best_set(level);
            for (const auto element : {Element::int8, Element::uint8}) {
              const auto& expected = kernel_set_of<PortableArch>.rows(element, metric);
              float sums[3];
              set.rows(element, metric).gather(bytes.data(), rows.data(), dimension, which, 3, sums);
              for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(sums[i] == expected.one(bytes.data(), rows.data() + which[i] * dimension, dimension));
            }
            set.elements.widen(Element::float16, halves.data(), halves.size(), wide.data());
            const std::span<const float> floats(wide);
            for (std::size_t r = 0; r < 3; ++r) {
              const auto row = floats.subspan(r * dimension, dimension);
              const double exact = metric == Metric::l2 ? oracle_l2(query, row) : oracle_dot(query, row);
              const float sum = set.rows(Element::float16, metric).one(query.data(), halves.data() + r * dimension, dimension);
              BOOST_TEST(std::abs(static_cast<double>(sum) - exact) <= distance_error(metric, query, row));
              BOOST_TEST(sum == set.floats(metric).one(query.data(), row.data(), dimension));
            }
          }
    }
}

using ScalarQuantizers = std::tuple<Sq8Quantizer, Sq4Quantizer>;
BOOST_AUTO_TEST_CASE_TEMPLATE(estimates_from_codes_are_the_same_bits_in_every_set, Q, ScalarQuantizers) {
  for (const auto metric : all_metrics) {
    const Vectors data(50, 100, 6), asked(1, 100, 7);
    const auto scaled = [&](const Vectors& vectors, std::size_t r) {
      return ScaledVector{vectors.row(r), metric == Metric::cosine ? vectors.inverse_norms[r] : 1.0f};
    };
    typename Q::Trainer trainer(100);
    for (std::size_t r = 0; r < 50; ++r) trainer.add(scaled(data, r));
    const auto quantizer = trainer.finish(metric);
    std::vector<std::byte> codes(50 * quantizer.code_bytes() + code_block);
    std::vector<float> terms(50);
    for (std::size_t r = 0; r < 50; ++r) terms[r] = quantizer.encode(scaled(data, r), &codes[r * quantizer.code_bytes()]);
    std::vector<std::uint32_t> first;
    for_each_level([&] {
      const auto query = quantizer.prepare(scaled(asked, 0), {codes.data(), terms.data()});
      std::vector<std::uint32_t> bits, which;
      for (std::uint32_t r = 0; r < 50; ++r) which.push_back(r);
      std::vector<float> estimates(50);
      query.each(which, estimates.data());
      for (std::uint32_t r = 0; r < 50; ++r) {
        bits.push_back(std::bit_cast<std::uint32_t>(estimates[r]));
        BOOST_TEST(bits.back() == std::bit_cast<std::uint32_t>(query.at(r)));
        const double exact = oracle_distance(metric, asked.row(0), data.row(r));
        const double lengths = metric == Metric::cosine ? 1 : std::sqrt(oracle_dot(asked.row(0), asked.row(0)) * oracle_dot(data.row(r), data.row(r)));
        BOOST_TEST(std::abs(static_cast<double>(estimates[r]) - exact) <= (Q::Codes::half == 128 ? 0.01 : 0.2) * lengths);
      }
      if (first.empty()) first = bits;
      BOOST_TEST((bits == first));
    });
  }
}

BOOST_AUTO_TEST_SUITE_END()
