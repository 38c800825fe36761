// Collections of clustered rows with an index, and what searches in them find.
#pragma once

#include <quiver/quiver.hpp>

#include "support/clusters.hpp"
#include "support/sanitized.hpp"
#include "support/soon.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::test::indexed_rows {

inline constexpr std::size_t dimension = 12;
inline const std::size_t many = sanitized ? 1'200 : 3'000;

inline Schema schema(Metric metric = Metric::l2, const IndexType& index = Hnsw{.m = 8, .ef_construction = 60, .ef = 48},
                     const QuantizerType& quantizer = NoQuantizer{}) {
  return Schema{Field::int32("n"), VectorField("v", dimension).metric(metric).index(index).quantizer(quantizer)};
}
[[nodiscard]] inline std::string key(std::size_t i) { return "k" + std::to_string(i); }

/// Rows [first, last) of the data, in one batch.
template <class P>
void insert(Collection<P>& to, const Clusters& data, std::size_t first, std::size_t last) {
  std::vector<Document> batch;
  for (auto i = first; i < last; ++i) batch.push_back(Document{key(i), {{"n", static_cast<std::int32_t>(i)}, {"v", data.row(i)}}});
  to.insert(batch, {Durability::none});
}

struct Answer {
  std::vector<std::string> keys;
  std::vector<float> distances;
  std::uint64_t visited = 0;
  friend bool operator==(const Answer&, const Answer&) = default;
};
template <class C>
Answer ask(const C& collection, std::span<const float> query, std::size_t k = 10, std::size_t ef = 0) {
  Answer out;
  const auto found = collection.search({.field = "v", .query = query, .k = k, .ef = ef, .fields = FieldNames::none()});
  for (const auto& hit : found) out.keys.push_back(hit.key), out.distances.push_back(hit.distance);
  out.visited = found.stats().rows_visited;
  return out;
}
/// The share of the k nearest that are found, against the same rows looked at one by one.
template <class C>
double recall(const C& collection, const Clusters& data, std::size_t k = 10, std::size_t queries = 30) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < queries; ++q) {
    const auto exact = ask(collection, data.query(q), k, Hnsw::max_ef);
    BOOST_REQUIRE(exact.keys.size() == k);
    const auto found = ask(collection, data.query(q), k);
    BOOST_TEST(found.keys.size() == k);
    BOOST_TEST(found.visited < exact.visited);
    for (const auto distance : found.distances) hits += distance <= exact.distances.back() ? 1 : 0;
  }
  return static_cast<double>(hits) / static_cast<double>(k * queries);
}
/// A new collection of the first `many` rows, flushed and not in a graph yet. `where`: what create() takes before the schema.
template <class P, class... Where>
Collection<P> filled(const Clusters& data, const Schema& schema, const Where&... where) {
  auto c = Collection<P>::create(where..., schema, {.live_index = false});  // which may have a graph by the time of the flush
  insert(c, data, 0, many);
  c.flush();
  return c;
}
/// The same with its graph.
template <class P, class... Where>
Collection<P> indexed(const Clusters& data, const Where&... where) {
  auto c = filled<P>(data, schema(), where...);
  c.optimize();
  return c;
}
[[nodiscard]] inline std::vector<std::filesystem::path> graphs(const std::filesystem::path& store, std::string_view ending = ".vector_graph") {
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store))
    if (entry.path().extension() == ending) found.push_back(entry.path());
  return found;
}

/// Whether all rows are in graphs.
template <class C>
[[nodiscard]] bool linked(const C& c) {
  const auto now = c.stats();
  return now.memtable_linked == now.memtable_documents;
}

using Files = Collection<MMapPolicy>;

}  // namespace quiver::test::indexed_rows
