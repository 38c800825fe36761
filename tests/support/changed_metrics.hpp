// Collections of which a field gets another metric, and what they must answer.
#pragma once

#include <quiver/collection/collection.hpp>

#include "support/clusters.hpp"
#include "support/element_rows.hpp"
#include "support/policies.hpp"
#include "support/soon.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace quiver::test::changed_metrics {

using Files = Collection<MMapPolicy>;
using Readers = Collection<FileReadPolicy>;

inline constexpr Metric every_metric[] = {Metric::l2, Metric::inner_product, Metric::cosine};
inline constexpr std::size_t dimension = 12;
inline const Hnsw graph{.m = 8, .ef_construction = 60, .ef = 48};

[[nodiscard]] inline std::string key(std::size_t i) { return "k" + std::to_string(i); }
/// Fields "v" and "w" of the same vectors, of which "v" is the one that changes.
[[nodiscard]] inline Schema schema_of(Element element, Metric metric, const IndexType& index = Flat{}) {
  return Schema{Field::int32("n"), VectorField("v", dimension).metric(metric).element(element).index(index),
                VectorField("w", dimension).metric(Metric::cosine).element(element)};
}
[[nodiscard]] inline Document document(const ElementRows& data, std::size_t i) {
  return Document{key(i), {{"n", static_cast<std::int32_t>(i)}, {"v", data.row(i)}, {"w", data.row(i)}}};
}
template <class C>
void insert(C& to, const ElementRows& data, const std::vector<std::size_t>& rows) {
  std::vector<Document> batch;
  for (const auto i : rows) batch.push_back(document(data, i));
  to.insert(batch, {Durability::buffered});
}
[[nodiscard]] inline std::vector<std::size_t> numbers(std::size_t first, std::size_t last) {
  std::vector<std::size_t> out;
  for (auto i = first; i < last; ++i) out.push_back(i);
  return out;
}
/// Several segments, sealed and not, and rows in memory; deleted rows in each. Which are left.
template <class C>
[[nodiscard]] std::vector<std::size_t> fill(C& c, const ElementRows& data) {
  const auto third = data.count() / 3;
  insert(c, data, numbers(0, third));
  c.flush();
  insert(c, data, numbers(third, 2 * third));
  c.erase(key(5));
  c.flush();
  insert(c, data, numbers(2 * third, data.count()));
  c.erase({key(third + 1), key(data.count() - 2)});
  auto left = numbers(0, data.count());
  std::erase_if(left, [&](std::size_t i) { return i == 5 || i == third + 1 || i == data.count() - 2; });
  return left;
}
template <class P>
[[nodiscard]] Collection<P> made(const FreshFolder& folder, const Schema& schema, const std::string& name = "c.qvr") {
  const CreateOptions<P> options{.durability = Durability::buffered, .segment_rows = 50, .retain = {.versions = 20}};
  if constexpr (std::same_as<P, MemoryPolicy>)
    return Collection<P>::create(schema, options);
  else
    return Collection<P>::create(folder.path(name), schema, options);
}

/// Everything that searches of a field answer: keys and distances, bit for bit.
template <class C>
[[nodiscard]] std::string answers(const C& c, const ElementRows& asked, const char* field = "v") {
  std::string out;
  const auto add = [&](const SearchResult& found) {
    for (const Hit& hit : found) out += hit.key + ":" + std::to_string(std::bit_cast<std::uint32_t>(hit.distance)) + " ";
    out += "\n";
  };
  for (std::size_t q = 0; q < asked.count(); ++q)
    add(c.search({.field = field, .query = asked.row(q), .k = 30, .ef = Hnsw::max_ef, .fields = FieldNames::none()}));
  for (const auto& found : c.search_batch({.field = field, .queries = asked.numbers, .k = 9, .ef = Hnsw::max_ef, .fields = FieldNames::none(), .threads = 1}))
    add(found);
  return out;
}
/// The same of a collection that never had another metric.
[[nodiscard]] inline std::string right_answers(const ElementRows& data, const ElementRows& asked, Metric metric, const std::vector<std::size_t>& rows) {
  auto c = Collection<MemoryPolicy>::create(schema_of(data.element, metric));
  insert(c, data, rows);
  return answers(c, asked);
}
template <class C>
void check_documents(const C& c, const ElementRows& data, const std::vector<std::size_t>& left) {
  std::size_t at = 0, wrong = 0;
  for (const Document& found : c.scan()) {
    const std::vector<float> right(data.row(left[std::min(at, left.size() - 1)]).begin(), data.row(left[std::min(at, left.size() - 1)]).end());
    wrong += at >= left.size() || found.key() != key(left[at]) || found.get<std::vector<float>>("v") != right || found.get<std::vector<float>>("w") != right;
    ++at;
  }
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(at == left.size());
  BOOST_TEST(c.fetch(key(left.back()))->template get<int>("n").value() == static_cast<int>(left.back()));
}
template <class C>
[[nodiscard]] Metric metric_of(const C& c) {
  return c.schema().vectors()[0].metric();
}
/// Names of all files of a store.
[[nodiscard]] inline std::set<std::string> files_of(const std::filesystem::path& store, std::string_view ending) {
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store))
    if (entry.path().extension() == ending) out.insert(entry.path().lexically_relative(store).generic_string());
  return out;
}
/// Rows of very different lengths, so that each metric has neighbours of its own.
[[nodiscard]] inline ElementRows uneven(std::size_t count, unsigned seed, std::size_t zero = ~std::size_t{0}) {
  const Clusters clusters(count, dimension, 40, seed);
  auto values = clusters.values();
  for (std::size_t r = 0; r < count; ++r)
    for (std::size_t i = 0; i < dimension; ++i) values[r * dimension + i] *= r == zero ? 0.0f : 0.2f + static_cast<float>(r % 7);
  return {Element::float32, std::move(values), dimension};
}
/// The share of the ten nearest that are found.
template <class C>
[[nodiscard]] double recall(const C& c, const ElementRows& asked) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < asked.count(); ++q) {
    const auto exact = c.search({.field = "v", .query = asked.row(q), .ef = Hnsw::max_ef, .fields = FieldNames::none()});
    const auto found = c.search({.field = "v", .query = asked.row(q), .fields = FieldNames::none()});
    BOOST_REQUIRE((exact.size() == 10u && found.size() == 10u));
    BOOST_TEST(found.stats().rows_visited < exact.stats().rows_visited);
    for (const Hit& hit : found) hits += std::size_t{hit.distance <= exact[9].distance};
  }
  return static_cast<double>(hits) / static_cast<double>(10 * asked.count());
}

}  // namespace quiver::test::changed_metrics
