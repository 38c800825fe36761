#include <quiver/collection/collection.hpp>

#include "support/clusters.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cmath>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_SUITE(index_threads)

// Writes, erases, flushes and builds in one thread, searches in two: each answer is whole, in order, of rows that were there, at their distances.
BOOST_AUTO_TEST_CASE(searches_go_on_while_graphs_are_built_and_replaced) {
  constexpr std::size_t dimension = 8;
  const std::size_t step = sanitized ? 150 : 600;
  const Clusters data(step * 6, dimension, 20, 3);
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), Schema{VectorField("v", dimension).index(Hnsw{.m = 6, .ef_construction = 30, .ef = 20})});
  const auto insert = [&](std::size_t part) {
    std::vector<Document> batch;
    for (std::size_t i = part * step; i < (part + 1) * step; ++i) batch.push_back(Document{std::to_string(i), {{"v", data.row(i)}}});
    c.insert(batch, {Durability::none});
  };
  insert(0);
  std::atomic<bool> done = false;
  std::mutex failure;
  std::string wrong;
  std::atomic<std::size_t> answers = 0;
  const auto search = [&](std::size_t q) {
    for (; !done || answers < 100; ++q, ++answers) {
      const auto found = c.search({.field = "v", .query = data.query(q), .k = 7, .fields = FieldNames::none()});
      bool good = found.size() == 7 && c.schema().vectors()[0].dimension() == dimension;
      for (std::size_t i = 0; good && i < found.size(); ++i) {
        float distance = 0;
        for (std::size_t d = 0; d < dimension; ++d) {
          const auto by = data.query(q)[d] - data.row(std::stoul(found[i].key))[d];
          distance += by * by;
        }
        good = std::abs(distance - found[i].distance) <= 1e-4f * (1 + distance) && (i == 0 || found[i - 1].distance <= found[i].distance);
      }
      if (good) continue;
      const std::lock_guard guard(failure);
      wrong = "query " + std::to_string(q) + " found " + std::to_string(found.size());
    }
  };
  std::thread first(search, 0), second(search, 31);
  for (std::size_t part = 1; part < 6; ++part) {
    insert(part);
    for (std::size_t i = part; i < part * step; i += 13) c.erase(std::to_string(i), {Durability::none});
    if (part % 2 == 0) c.flush();
    c.optimize({.threads = 2});
    const IndexSpec specs[] = {{.quantizer = Sq8{}}, {.index = Flat{}}, {.index = Hnsw{.m = 5, .ef_construction = 30, .ef = 20}, .quantizer = Sq4{}}};
    c.create_index("v", specs[part % 3], {.threads = 2, .background = part == 2});
  }
  done = true;
  first.join();
  second.join();
  BOOST_TEST(wrong == "");
  BOOST_TEST_MESSAGE(answers << " answers");
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_SUITE_END()
