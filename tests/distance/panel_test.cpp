#include <quiver/distance/panel.hpp>

#include <boost/test/unit_test.hpp>

#include "distance/guarded_floats.hpp"
#include "distance/vectors.hpp"
#include "support/sanitized.hpp"

#include <tuple>

using namespace quiver;
using namespace quiver::detail;
using namespace quiver::test;

namespace {

using Architectures = std::tuple<NativeArch, PortableArch>;

double norm(std::span<const float> v) { return std::sqrt(oracle_dot(v, v)); }

}  // namespace

BOOST_AUTO_TEST_SUITE(panel)

// Thresholds are put just above and just below each inner product: by twice what the panel may be off.
BOOST_AUTO_TEST_CASE_TEMPLATE(pairs_are_passed_over_by_their_inner_products, Arch, Architectures) {
  std::mt19937 random(1);
  for (const std::size_t dimension : {1u, 3u, 16u, 17u, 100u, 256u, 257u, 600u})
    for (const std::size_t count : {1u, 2u, 5u, 6u, 7u, 12u, 13u, 47u, 48u})
      for (const std::size_t queries : {1u, 2u, 15u, 16u, 17u, 31u, 32u}) {
        if (sanitized && dimension > 17 && queries != 17) continue;
        const GuardedFloats rows(count * dimension), q(queries * dimension);
        fill(rows.span(), Kind::ordinary, random);
        fill(q.span(), Kind::ordinary, random);
        std::vector<const float*> pointers;
        for (std::size_t i = 0; i < queries; ++i) pointers.push_back(q.data() + i * dimension);
        const auto packed = pack_panel(pointers.data(), queries, dimension);
        PanelThresholds thresholds;
        std::fill_n(thresholds.factor, panel_width, 1.0f);
        std::fill_n(thresholds.offset, panel_width, 0.5f);
        std::vector<float> values(count);
        std::vector<std::uint32_t> interest(count);
        std::size_t wrong = 0;
        // Row r's threshold is near its inner product with query r % queries.
        for (const double side : {-2.0, 2.0}) {
          const auto allowed = [&](std::size_t r, std::size_t i) {
            const std::span<const float> row(rows.data() + r * dimension, dimension), query(pointers[i], dimension);
            return panel_error(dimension) * norm(row) * norm(query) + 1e-6;
          };
          const auto dot = [&](std::size_t r, std::size_t i) {
            return oracle_dot(std::span<const float>(rows.data() + r * dimension, dimension), std::span<const float>(pointers[i], dimension));
          };
          for (std::size_t r = 0; r < count; ++r) values[r] = static_cast<float>(dot(r, r % queries) + side * allowed(r, r % queries)) - 0.5f;
          panel_kernels<Arch>().select(packed.data(), queries, rows.data(), count, dimension, thresholds, values.data(), interest.data());
          for (std::size_t r = 0; r < count; ++r) {
            wrong += queries < 32 && interest[r] >> queries != 0;
            for (std::size_t i = 0; i < queries; ++i) {
              const double threshold = static_cast<double>(values[r]) + 0.5;
              const bool bit = (interest[r] >> i & 1) != 0;
              if (dot(r, i) > threshold + allowed(r, i)) wrong += !bit;
              if (dot(r, i) < threshold - allowed(r, i)) wrong += bit;
            }
          }
        }
        BOOST_TEST(wrong == 0u, "dimension " << dimension << ", " << count << " rows, " << queries << " queries");
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_number_is_never_passed_over, Arch, Architectures) {
  const std::vector<float> query{1, 2, 3};
  const float* const pointer = query.data();
  const auto packed = pack_panel(&pointer, 1, 3);
  PanelThresholds thresholds;
  std::fill_n(thresholds.factor, panel_width, 1.0f);
  std::fill_n(thresholds.offset, panel_width, 1e30f);
  const float none = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> rows{1, 1, 1, none, 1, 1, 1, 1, 1};
  const std::vector<float> values{0, 0, none};
  std::uint32_t interest[3] = {};
  panel_kernels<Arch>().select(packed.data(), 1, rows.data(), 3, 3, thresholds, values.data(), interest);
  BOOST_TEST(interest[0] == 0u);
  BOOST_TEST(interest[1] == 1u);
  BOOST_TEST(interest[2] == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(squared_norms_are_as_near_as_promised, Arch, Architectures) {
  std::mt19937 random(2);
  for (const auto dimension : some_dimensions)
    for (const auto kind : {Kind::ordinary, Kind::tiny, Kind::mixed, Kind::alternating}) {
      std::vector<float> rows(3 * dimension);
      fill(rows, kind, random);
      float norms[3];
      panel_kernels<Arch>().squared_norms(rows.data(), 3, dimension, norms);
      for (std::size_t r = 0; r < 3; ++r) {
        const std::span<const float> row(&rows[r * dimension], dimension);
        const double exact = oracle_dot(row, row);
        BOOST_TEST(std::abs(static_cast<double>(norms[r]) - exact) <= sum_error(dimension) * exact + underflow_error(dimension));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
