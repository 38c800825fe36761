// Real descriptors with exact answers, where they are found beside the repository: 10,000 of SIFT, 100 queries, the 100 nearest of each.
#include <quiver/collection/collection.hpp>
#include <quiver/formats/vecs.hpp>

#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <memory>

using namespace quiver;
using namespace quiver::test;

namespace real_data {
namespace {

const std::filesystem::path data = std::filesystem::path(QUIVER_SOURCE_DIR) / "../shared/data/sift10k";

struct Sift {
  Sift() {
    auto c = Collection<MMapPolicy>::create(folder.path(), Schema{Field::uint32("row"), VectorField("v", base.dimension)}, {.segment_rows = 3'000});
    std::vector<Document> batch;
    for (std::size_t i = 0; i < base.rows; ++i) {
      Document d("sift-" + std::to_string(i));
      d.set("row", static_cast<std::uint32_t>(i));
      d.set("v", base.row(i));  // bytes, to a field of floats
      batch.push_back(std::move(d));
      if (batch.size() == 1'700 || i + 1 == base.rows) {
        c.insert(batch);
        batch.clear();
      }
      if (i % 4'000 == 3'999) c.flush();
    }
  }

  FreshFolder folder;
  Matrix<std::uint8_t> base = read_bvecs(data / "base.bvecs");
  Matrix<float> queries = read_fvecs(data / "query.fvecs");
  Matrix<std::int32_t> nearest = read_ivecs(data / "groundtruth.ivecs");
  Matrix<float> distances = read_fvecs(data / "groundtruth_dist2.fvecs");
};

/// The answers are whole numbers below 2^24, so exact ones are equal to the last bit, ties by row number included.
bool right(const Sift& sift, std::size_t query, const SearchResult& found) {
  if (found.size() != 100) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    const auto row = static_cast<std::uint32_t>(sift.nearest.row(query)[i]);
    if (found[i].distance != sift.distances.row(query)[i] || found[i].document.get<std::uint32_t>("row") != row) return false;
    if (found[i].key != "sift-" + std::to_string(row)) return false;
  }
  return true;
}

}  // namespace
}  // namespace real_data

BOOST_AUTO_TEST_SUITE(real_data)

BOOST_AUTO_TEST_CASE_TEMPLATE(every_policy_finds_the_exact_neighbours, P, AllPolicies) {
  if (!std::filesystem::exists(data)) {
    BOOST_TEST_MESSAGE("not run: there is no " << data.lexically_normal().string());
    return;
  }
  static const Sift sift;
  const auto c = Collection<P>::open(sift.folder.path(), {.mode = OpenMode::read_only});
  BOOST_TEST(c.count() == sift.base.rows);
  std::size_t wrong = 0;
  const auto together = c.search_batch({.field = "v", .queries = sift.queries.values, .k = 100, .fields = {"row"}, .threads = 2});
  BOOST_REQUIRE(together.size() == sift.queries.rows);
  for (std::size_t q = 0; q < sift.queries.rows; ++q) {
    wrong += right(sift, q, together[q]) ? 0 : 1;
    if (q % 5 == 0) wrong += right(sift, q, c.search({.field = "v", .query = sift.queries.row(q), .k = 100})) ? 0 : 1;
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
