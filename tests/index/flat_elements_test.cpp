#include <quiver/index/flat_batch.hpp>

#include <quiver/index/flat_block.hpp>
#include <quiver/index/hnsw_rows.hpp>
#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/test/unit_test.hpp>

#include "support/element_rows.hpp"
#include "support/error_code.hpp"
#include "support/sanitized.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <algorithm>
#include <bit>
#include <numeric>
#include <tuple>

using namespace quiver;
using namespace quiver::detail;
using namespace quiver::test;

namespace {

constexpr Metric every_metric[] = {Metric::l2, Metric::inner_product, Metric::cosine};
constexpr std::string_view block_name = "seg-000001/blk-000001.vector_index";

using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, FileReadPolicy, BasicStrictPolicy<MemoryPolicy>>;

/// A store of one flat block of these rows.
struct Stored {
  Stored(Metric metric, const ElementRows& from) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(block_name);
    identity = write_flat_block(draft, metric, {from.dimension, from.element}, from.count(),
                                [&](std::uint64_t row) { return from.rows().row(static_cast<std::size_t>(row)); });
    store.publish(std::move(draft));
  }
  TempFolder folder;
  FileIdentity identity;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(flat_elements)

BOOST_AUTO_TEST_CASE(distances_are_those_of_the_numbers_that_are_stored) {
  for (const auto element : all_elements)
    for (const auto metric : every_metric)
      for (const std::size_t dimension : {1u, 3u, 17u, 129u}) {
        const ElementRows data(element, 120, dimension, 1), asked(element, 5, dimension, 2);
        for (std::size_t q = 0; q < asked.count(); ++q) {
          TopK best(10);
          flat_scan(asked.query(metric, q), data.rows(), 7, best);
          const auto found = best.take_sorted();
          BOOST_REQUIRE(found.size() == 10u);
          std::vector<double> all;
          for (std::size_t r = 0; r < data.count(); ++r) all.push_back(oracle_distance(metric, asked.row(q), data.row(r)));
          auto sorted = all;
          std::sort(sorted.begin(), sorted.end());
          for (std::size_t i = 0; i < found.size(); ++i) {
            const auto row = static_cast<std::size_t>(found[i].id - 7);
            const double allowed = distance_error(metric, asked.row(q), data.row(row));
            BOOST_TEST(std::abs(static_cast<double>(found[i].distance) - all[row]) <= allowed);
            BOOST_TEST(all[row] <= sorted[i] + 2 * allowed, "element " << static_cast<int>(element) << ", place " << i);
          }
        }
      }
}

BOOST_AUTO_TEST_CASE(a_batch_answers_as_single_searches_do) {
  for (const auto element : all_elements)
    for (const auto metric : every_metric)
      for (const std::size_t dimension : {3u, 40u, 257u}) {
        const ElementRows data(element, sanitized ? 300 : 1500, dimension, 3), asked(element, 40, dimension, 4);
        for (const std::size_t queries : {1u, 7u, 8u, 32u, 40u}) {
          std::vector<FlatQuery> prepared;
          for (std::size_t q = 0; q < queries; ++q) prepared.push_back(asked.query(metric, q));
          std::vector<TopK> best(queries, TopK(10));
          flat_scan_batch(prepared, data.rows(), 3, best);
          for (std::size_t q = 0; q < queries; ++q) {
            TopK alone(10);
            flat_scan(prepared[q], data.rows(), 3, alone);
            BOOST_TEST((best[q].take_sorted() == alone.take_sorted()), "element " << static_cast<int>(element) << ", query " << q << " of " << queries);
          }
        }
      }
}

BOOST_AUTO_TEST_CASE(a_row_asks_for_others_with_the_bits_of_a_query_of_its_numbers) {
  for (const auto element : all_elements)
    for (const auto metric : every_metric)
      for (const std::size_t dimension : {1u, 16u, 37u, 130u}) {
        const ElementRows data(element, 60, dimension, 5);
        std::vector<std::uint32_t> which(data.count());
        std::iota(which.begin(), which.end(), 0u);
        const auto space = FlatRowSpace(metric, data.rows());
        for (std::uint32_t r = 0; r < 5; ++r) {
          const FlatRowQuery alike(data.rows(), data.query(metric, r));
          const auto own = space.query(r);
          std::vector<float> some(which.size());
          own.each(which, some.data());
          std::size_t different = 0;
          for (const auto row : which) {
            different += std::bit_cast<std::uint32_t>(own.at(row)) != std::bit_cast<std::uint32_t>(alike.at(row));
            different += std::bit_cast<std::uint32_t>(own.at(row)) != std::bit_cast<std::uint32_t>(some[row]);
          }
          BOOST_TEST(different == 0u, "element " << static_cast<int>(element) << ", dimension " << dimension);
        }
      }
}

BOOST_AUTO_TEST_CASE(where_a_query_of_halves_overflows_the_sum_in_double_decides) {
  // 3e38 * 65504 twice, with opposite signs: float has infinities, the sum is 0.
  const ElementRows row(Element::float16, {65504, 65504, 1}, 3);
  const std::vector<float> huge{3e38f, -3e38f, 2};
  for (const auto metric : {Metric::inner_product, Metric::cosine}) {
    const FlatQuery query(metric, Element::float16, huge, huge.data(), metric == Metric::cosine ? inverse_norm(huge) : 1.0f, kernel_set<>());
    TopK best(1);
    flat_scan(query, row.rows(), 0, best);
    const auto exact = to_distance(oracle_distance(metric, huge, row.row(0)));
    BOOST_TEST(best.take_sorted().front().distance == exact);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_block_is_searched_as_the_rows_it_was_written_from, P, Policies) {
  for (const auto element : narrow_elements)
    for (const auto metric : every_metric)
      for (const std::size_t dimension : {3u, 257u}) {
        // More than one slab of a megabyte for readers that are no single stretch of memory.
        const std::size_t count = sanitized ? 700 : dimension == 3 ? 20'000 : 5'003;
        const ElementRows data(element, count, dimension, 6), asked(element, 9, dimension, 7);
        const Stored written(metric, data);
        const auto store = P::open_store(written.folder / "store", {}, OpenMode::read_only);
        auto scope = store.read_scope();
        const FlatBlock<typename P::Reader> block(store.open(block_name, written.identity), scope, written.identity, metric, {dimension, element}, count);
        std::vector<FlatQuery> queries;
        for (std::size_t q = 0; q < 9; ++q) queries.push_back(asked.query(metric, q));
        std::vector<TopK> best(9, TopK(10));
        block.search_batch(scope, queries, 50, best);
        for (std::size_t q = 0; q < 9; ++q) {
          TopK expected(10), found(10);
          flat_scan(queries[q], data.rows(), 50, expected);
          block.search(scope, queries[q], 50, found);
          const auto right = expected.take_sorted();
          BOOST_TEST((found.take_sorted() == right));
          BOOST_TEST((best[q].take_sorted() == right));
          const ViewedRowQuery viewed(block, scope, queries[q]);
          BOOST_TEST(viewed.at(static_cast<std::uint32_t>(right.front().id - 50)) == right.front().distance);
        }
        for (const std::size_t row : {std::size_t{0}, count / 2, count - 1}) {
          scope.renew();
          const auto found = block.row(scope, row);
          const auto* const from = static_cast<const std::byte*>(data.rows().row(row));
          BOOST_TEST(std::ranges::equal(found, std::span(from, data.rows().row_bytes())));
        }
        block.block().verify(scope);
      }
}

BOOST_AUTO_TEST_CASE(a_block_of_another_kind_of_numbers_is_corruption) {
  for (const auto element : all_elements)
    for (const auto metric : every_metric) {
      const ElementRows data(element, 21, 5, 8);
      const Stored written(metric, data);
      for (const auto told : all_elements) {
        const auto code = code_of([&] {
          const auto store = MemoryPolicy::open_store(written.folder / "store", {}, OpenMode::read_only);
          auto scope = store.read_scope();
          FlatBlock<MemoryPolicy::Reader>(store.open(block_name, written.identity), scope, written.identity, metric, {5, told}, 21);
        });
        BOOST_TEST((code == (element_bytes(told) == element_bytes(element) ? Errc::none : Errc::corruption)));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
