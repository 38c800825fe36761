#include <quiver/index/flat_block.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/sanitized.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <algorithm>
#include <random>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::code_of;

namespace {

constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};
constexpr std::string_view file_name = "seg-000001/blk-000001.vector_index";

std::vector<float> vectors(std::size_t count, std::size_t dimension, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(count * dimension);
  for (auto& x : values) x = normal(random);
  return values;
}

/// A store of one flat block, written under MMapPolicy.
struct Written {
  Written(Metric metric, const std::vector<float>& values, std::size_t dimension) : rows(values.size() / dimension) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(file_name);
    identity = write_flat_block(draft, metric, dimension, rows, [&](std::uint64_t row) { return &values[static_cast<std::size_t>(row) * dimension]; });
    store.publish(std::move(draft));
  }
  test::TempFolder folder;
  FileIdentity identity;
  std::uint64_t rows;
};

using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, FileReadPolicy, test::BasicStrictPolicy<MemoryPolicy>>;

}  // namespace

BOOST_AUTO_TEST_SUITE(flat_block)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_block_is_searched_as_the_rows_it_was_written_from, P, Policies) {
  // More than one slab of a megabyte for readers that are no single stretch of memory.
  for (const auto metric : all_metrics)
    for (const std::size_t dimension : {3u, 129u}) {
      if (test::sanitized && dimension == 3) continue;
      const std::size_t count = dimension == 3 ? 200'000 : 5'003;
      const auto values = vectors(count, dimension, 1), asked = vectors(9, dimension, 2);
      std::vector<float> norms;
      for (std::size_t r = 0; r < count; ++r) norms.push_back(inverse_norm({&values[r * dimension], dimension}));
      const Written written(metric, values, dimension);
      const auto store = P::open_store(written.folder / "store", {}, OpenMode::read_only);
      auto scope = store.read_scope();
      const FlatBlock<typename P::Reader> block(store.open(file_name, written.identity), scope, written.identity, metric, dimension, count);
      BOOST_TEST(block.rows() == count);

      std::vector<FlatQuery> queries;
      for (std::size_t q = 0; q < 9; ++q) queries.emplace_back(metric, std::span<const float>(&asked[q * dimension], dimension));
      std::vector<TopK> best(9, TopK(10));
      block.search_batch(scope, queries, 50, best);
      for (std::size_t q = 0; q < 9; ++q) {
        TopK expected(10), found(10);
        flat_scan(queries[q], {values.data(), norms.data(), count, dimension}, 50, expected);
        block.search(scope, queries[q], 50, found);
        const auto right = expected.take_sorted();
        BOOST_TEST((found.take_sorted() == right));
        BOOST_TEST((best[q].take_sorted() == right));
      }
      for (const std::size_t row : {std::size_t{0}, count / 2, count - 1}) {
        scope.renew();
        const auto found = block.row(scope, row);
        BOOST_TEST(std::ranges::equal(found, std::as_bytes(std::span(values).subspan(row * dimension, dimension))));
      }
      block.block().verify(scope);
    }
}

BOOST_AUTO_TEST_CASE(sections_that_do_not_hold_the_rows_are_corruption) {
  const auto values = vectors(20, 6, 1);
  const Written plain(Metric::l2, values, 6), cosine(Metric::cosine, values, 6);
  const auto open = [](const Written& written, Metric metric, std::size_t dimension, std::uint64_t rows) {
    return code_of([&] {
      const auto store = MemoryPolicy::open_store(written.folder / "store", {}, OpenMode::read_only);
      auto scope = store.read_scope();
      FlatBlock<MemoryPolicy::Reader>(store.open(file_name, written.identity), scope, written.identity, metric, dimension, rows);
    });
  };
  BOOST_TEST((open(plain, Metric::l2, 6, 20) == Errc::none));
  BOOST_TEST((open(plain, Metric::inner_product, 6, 20) == Errc::none));
  BOOST_TEST((open(cosine, Metric::cosine, 6, 20) == Errc::none));
  BOOST_TEST((open(plain, Metric::cosine, 6, 20) == Errc::corruption));
  BOOST_TEST((open(plain, Metric::l2, 6, 21) == Errc::corruption));
  BOOST_TEST((open(plain, Metric::l2, 6, 19) == Errc::corruption));
  BOOST_TEST((open(plain, Metric::l2, 7, 20) == Errc::corruption));
  BOOST_TEST((open(cosine, Metric::cosine, 3, 40) == Errc::corruption));
  BOOST_TEST((open(plain, Metric::l2, 6, 20 + (std::uint64_t{1} << 61)) == Errc::corruption));
}

BOOST_AUTO_TEST_SUITE_END()
