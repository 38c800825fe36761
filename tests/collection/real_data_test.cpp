// Real descriptors with exact answers, where they are found beside the repository: 10,000 of SIFT, 100 queries, the 100 nearest of each.
#include <quiver/collection/collection.hpp>
#include <quiver/formats/vecs.hpp>

#include "support/policies.hpp"
#include "support/sanitized.hpp"

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

// With what a search refines by itself, codes cost next to nothing of what the graph finds.
BOOST_AUTO_TEST_CASE(every_quantizer_finds_by_default_what_a_walk_by_vectors_does) {
  if (!std::filesystem::exists(data) || sanitized) {
    BOOST_TEST_MESSAGE("not run: there is no " << data.lexically_normal().string() << ", or it would take too long");
    return;
  }
  const Sift sift;
  const Hnsw graph{.m = 16, .ef_construction = 60, .ef = 64};
  for (const auto metric : {Metric::l2, Metric::cosine}) {
    auto c = Collection<MemoryPolicy>::create(Schema{VectorField("v", sift.base.dimension).metric(metric).index(graph)});
    std::vector<Document> batch;
    for (std::size_t i = 0; i < sift.base.rows; ++i) batch.push_back(Document{std::to_string(i), {{"v", sift.base.row(i)}}});
    c.insert(batch);
    c.optimize();
    const auto ask = [&](std::size_t q, std::size_t ef) {
      return c.search({.field = "v", .query = sift.queries.row(q), .k = 10, .ef = ef, .fields = FieldNames::none()});
    };
    std::vector<float> tenth;
    for (std::size_t q = 0; q < sift.queries.rows; ++q) tenth.push_back(ask(q, Hnsw::max_ef)[9].distance);
    double by_vectors = 0;
    for (const QuantizerType& quantizer : {QuantizerType(NoQuantizer{}), QuantizerType(Float16{}), QuantizerType(Sq8{}), QuantizerType(Sq4{})}) {
      c.create_index("v", {.quantizer = quantizer});
      double found = 0;
      for (std::size_t q = 0; q < sift.queries.rows; ++q)
        for (const auto& hit : ask(q, 0)) found += hit.distance <= tenth[q] ? 1 : 0;
      found /= 10 * static_cast<double>(sift.queries.rows);
      if (quantizer.index() == 0) by_vectors = found;
      BOOST_TEST_MESSAGE("metric " << static_cast<int>(metric) << ", quantizer " << quantizer.index() << ": " << found);
      BOOST_TEST((found >= 0.96 && found >= by_vectors - 0.01), "metric " << static_cast<int>(metric) << ", quantizer " << quantizer.index() << ": " << found);
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
