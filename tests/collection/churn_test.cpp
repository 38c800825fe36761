#include <quiver/collection/collection.hpp>

#include "support/indexed_rows.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace churn {
namespace {

constexpr std::size_t dimension = 32;
const std::size_t many = sanitized ? 1'000 : 5'000;

[[nodiscard]] Schema schema(Metric metric = Metric::l2, std::size_t dimensions = dimension) {
  return Schema{VectorField("v", dimensions).metric(metric).index(Hnsw{.m = 12, .ef_construction = 80, .ef = 40})};
}
[[nodiscard]] std::string key(std::size_t i) { return "k" + std::to_string(i); }
/// The rows `which` of the data, in batches of one flush each, under the keys of their numbers modulo `keys`.
template <class P>
void put(Collection<P>& to, const Clusters& data, const std::vector<std::size_t>& which, std::size_t keys = ~std::size_t{0}) {
  std::vector<Document> batch;
  for (const auto i : which) batch.push_back(Document{key(i % keys), {{"v", data.row(i)}}});
  to.upsert(batch, {Durability::none});
  to.flush();
}
/// The first `many` rows, not flushed, in the graph of what is in memory.
template <class P>
void put_in_memory(Collection<P>& to, const Clusters& data) {
  std::vector<Document> batch;
  for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"v", data.row(i)}}});
  to.insert(batch, {Durability::none});
  BOOST_TEST(soon([&] { return indexed_rows::linked(to); }));
}
[[nodiscard]] std::vector<std::size_t> range(std::size_t first, std::size_t last) {
  std::vector<std::size_t> all;
  for (auto i = first; i < last; ++i) all.push_back(i);
  return all;
}
template <class C>
[[nodiscard]] std::vector<float> found(const C& collection, std::span<const float> query, std::size_t k, std::size_t ef) {
  std::vector<float> out;
  for (const auto& hit : collection.search({.field = "v", .query = query, .k = k, .ef = ef, .fields = FieldNames::none()})) out.push_back(hit.distance);
  return out;
}
template <class C>
[[nodiscard]] std::uint64_t visited(const C& collection, std::span<const float> query) {
  return collection.search({.field = "v", .query = query, .k = 10, .fields = FieldNames::none()}).stats().rows_visited;
}
template <class C>
[[nodiscard]] double recall(const C& collection, const Clusters& data, std::size_t ef = 0) {
  std::size_t hits = 0;
  for (std::size_t q = 0; q < 64; ++q) {
    const auto exact = found(collection, data.query(q), 10, Hnsw::max_ef);
    for (const auto distance : found(collection, data.query(q), 10, ef)) hits += distance <= exact.back() ? 1u : 0u;
  }
  return static_cast<double>(hits) / 640;
}
/// The k nearest of each query.
template <class C>
void erase_nearest(C& collection, const Clusters& data, std::size_t k) {
  std::set<std::string> gone;
  for (std::size_t q = 0; q < 64; ++q)
    for (const auto& hit : collection.search({.field = "v", .query = data.query(q), .k = k, .ef = Hnsw::max_ef, .fields = FieldNames::none()}))
      gone.insert(hit.key);
  const std::vector<std::string> keys(gone.begin(), gone.end());
  collection.erase(std::span<const std::string>(keys), {Durability::none});
}
/// Of the documents that a collection holds, in a collection that never held others.
template <class C>
[[nodiscard]] Collection<MemoryPolicy> anew(const C& collection) {
  auto fresh = Collection<MemoryPolicy>::create(collection.schema());
  std::vector<Document> batch;
  for (const auto& document : collection.scan({.fields = {"v"}}))
    batch.push_back(Document{document.key(), {{"v", document.template get<std::span<const float>>("v")}}});
  fresh.insert(batch);
  fresh.optimize({.threads = 1});
  return fresh;
}
template <class C>
void as_good_as_anew(const C& collection, const Clusters& data, const std::string& when) {
  const auto fresh = anew(collection);
  BOOST_REQUIRE(fresh.count() == collection.count());
  for (const std::size_t ef : {20u, 40u, 100u}) {
    const auto here = recall(collection, data, ef), there = recall(fresh, data, ef);
    BOOST_TEST_MESSAGE(when << ", ef " << ef << ": " << here << ", built anew " << there);
    BOOST_TEST(here >= there - 0.01, when << ", ef " << ef << ": " << here << ", built anew " << there);
  }
}

}  // namespace
}  // namespace churn

BOOST_AUTO_TEST_SUITE(churn)

BOOST_AUTO_TEST_CASE(a_random_half_is_deleted) {
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(many, dimension, 40, 5, 2.0f);
    auto c = Collection<MemoryPolicy>::create(schema(metric));
    put(c, data, range(0, many));
    c.optimize({.threads = 1});
    std::mt19937 random(3);
    std::vector<std::string> gone;
    for (std::size_t i = 0; i < many; ++i)
      if (random() % 2 == 0) gone.push_back(key(i));
    c.erase(std::span<const std::string>(gone), {Durability::none});
    const auto name = "metric " + std::to_string(static_cast<int>(metric));
    as_good_as_anew(c, data, name + ", deleted");
    c.optimize({.threads = 1});
    as_good_as_anew(c, data, name + ", deleted and merged");
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(what_lay_nearest_is_deleted) {
  // Deleted rows that lie together would fill the places of a walk near them, by which those that live are found.
  enum class Where { graph, codes, memory };
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
    for (const auto where : {Where::graph, Where::codes, Where::memory})
      BOOST_TEST_CONTEXT("metric " << static_cast<int>(metric) << ", where " << static_cast<int>(where)) {
        const Clusters data(many, dimension, 40, 8, 0.3f);
        auto c = Collection<MemoryPolicy>::create(schema(metric), {.live_index = where == Where::memory});
        if (where == Where::memory) {
          put_in_memory(c, data);
        } else {
          put(c, data, range(0, many));
          c.create_index("v", {.quantizer = where == Where::codes ? QuantizerType(Sq8{}) : QuantizerType(NoQuantizer{})}, {.threads = 1});
        }
        erase_nearest(c, data, 28);
        as_good_as_anew(c, data, "without the nearest");
        std::uint64_t looked_at = 0;
        for (std::size_t q = 0; q < 64; ++q) looked_at += visited(c, data.query(q));
        if (!sanitized) BOOST_TEST(looked_at < 64 * many / 2);  // of few rows a walk looks at most
      }
}

// A graph that is built anew is what another collection of the same rows has.
BOOST_AUTO_TEST_CASE(under_inner_product_a_graph_is_gone_on_with_unless_the_longest_are_deleted) {
  const std::size_t rows = sanitized ? 2'000 : 5'000;
  const Clusters data(rows, dimension, 40, 5, 2.0f);
  for (const bool longest : {false, true}) {
    auto c = Collection<MemoryPolicy>::create(schema(Metric::inner_product));
    put(c, data, range(0, rows));
    c.optimize({.threads = 1});
    std::vector<std::pair<double, std::string>> lengths;
    for (std::size_t i = 0; i < rows; ++i) lengths.emplace_back(-detail::oracle_dot(data.row(i), data.row(i)), key(i));
    std::mt19937 random(3);
    if (longest)
      std::sort(lengths.begin(), lengths.end());
    else
      std::shuffle(lengths.begin(), lengths.end(), random);
    std::vector<std::string> gone;
    for (std::size_t i = 0; i < rows / (longest ? 100 : 4); ++i) gone.push_back(lengths[i].second);
    c.erase(std::span<const std::string>(gone), {Durability::none});
    c.optimize({.threads = 1});
    as_good_as_anew(c, data, longest ? "without the longest" : "without a quarter");
    const auto fresh = anew(c);
    bool same = true;
    for (std::size_t q = 0; q < 64; ++q) same = same && visited(c, data.query(q)) == visited(fresh, data.query(q));
    BOOST_TEST(same == longest);
  }
}

// Through which all others were found, if links led to the nearest alone.
BOOST_AUTO_TEST_CASE(everybodys_nearest_under_inner_product_are_deleted) {
  const Clusters data(many, dimension, 40, 5, 2.0f);
  for (const bool in_memory : {false, true}) {
    auto c = Collection<MemoryPolicy>::create(schema(Metric::inner_product), {.live_index = in_memory});
    if (in_memory) {
      put_in_memory(c, data);
    } else {
      put(c, data, range(0, many));
      c.optimize({.threads = 1});
    }
    erase_nearest(c, data, 30);
    as_good_as_anew(c, data, in_memory ? "in memory" : "flushed");
    c.optimize({.threads = 1});
    as_good_as_anew(c, data, "merged");
  }
}

BOOST_AUTO_TEST_CASE(every_row_is_replaced_five_times) {
  const Clusters data(many * 6, dimension, 40, 6, 2.0f);
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    auto c = Collection<MemoryPolicy>::create(schema(metric));
    put(c, data, range(0, many));
    c.optimize({.threads = 1});
    std::mt19937 random(4);
    for (std::size_t generation = 1; generation <= (sanitized ? 3u : 5u); ++generation) {
      auto next = range(generation * many, (generation + 1) * many);
      std::shuffle(next.begin(), next.end(), random);
      constexpr std::size_t pieces = 5;
      for (std::size_t piece = 0; piece < pieces; ++piece) {
        put(c, data,
            {next.begin() + static_cast<std::ptrdiff_t>(many / pieces * piece), next.begin() + static_cast<std::ptrdiff_t>(many / pieces * (piece + 1))}, many);
        c.optimize({.threads = 1});
      }
      BOOST_REQUIRE(c.count() == many);
      if (generation % 2 == 1) as_good_as_anew(c, data, "metric " + std::to_string(static_cast<int>(metric)) + ", generation " + std::to_string(generation));
    }
    BOOST_TEST(c.segments().size() == 1u);
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(smaller_segments_are_inserted_into_the_graph_of_the_largest) {
  const Clusters data(many, dimension, 40, 7, 2.0f);
  for (const std::size_t first : {many / 2, many * 9 / 10}) {
    auto c = Collection<MemoryPolicy>::create(schema());
    put(c, data, range(0, first));
    c.optimize({.threads = 1});
    put(c, data, range(first, first + (many - first) / 2));
    put(c, data, range(first + (many - first) / 2, many));
    c.optimize({.threads = 1});
    BOOST_TEST(c.segments().size() == 1u);
    as_good_as_anew(c, data, std::to_string(first) + " rows and the others");
    // The rows stand in the same order, so the very same is found.
    const auto fresh = anew(c);
    for (std::size_t q = 0; q < 20; ++q) BOOST_TEST((found(c, data.query(q), 10, 30) == found(fresh, data.query(q), 10, 30)));
  }
}

// Its links are wrong and yet lead to rows. A graph that is built anew is what another collection of the same rows has.
BOOST_AUTO_TEST_CASE(a_damaged_graph_is_not_gone_on_with) {
  const Clusters data(many, dimension, 40, 8, 0.3f);
  for (const bool damaged : {false, true}) {
    const FreshFolder folder;
    {
      auto c = Collection<MMapPolicy>::create(folder.path(), schema());
      put(c, data, range(0, many * 9 / 10));
      c.optimize({.threads = 1});
      c.erase(key(5));
      put(c, data, range(many * 9 / 10, many));
    }
    for (const auto& path : indexed_rows::graphs(folder.path())) {
      if (!damaged) continue;
      auto bytes = read_store(folder.path()).at(std::filesystem::relative(path, folder.path()).string());
      for (std::size_t at = 0; at < 4'000; at += 4) bytes[at] = static_cast<char>(bytes[at] ^ 1);
      put_file(path, bytes);
    }
    auto c = Collection<MMapPolicy>::open(folder.path());
    c.optimize({.threads = 1});
    BOOST_TEST(c.segments().size() == 1u);
    const auto fresh = anew(c);
    bool same = true;
    for (std::size_t q = 0; q < 64; ++q) {
      same = same && visited(c, data.query(q)) == visited(fresh, data.query(q));
    }
    BOOST_TEST(same == damaged);
  }
}

// Only the rows of one part that all live stand in memory as a graph needs them.
BOOST_AUTO_TEST_CASE_TEMPLATE(where_the_rows_are_in_memory_no_copy_is_made, P, WritablePolicies) {
  const Clusters data(many, dimension, 40, 9, 2.0f);
  for (const auto metric : {Metric::l2, Metric::cosine}) {
    const FreshFolder folder;
    auto c = Collection<P>::create(folder.path(), schema(metric));
    put(c, data, range(0, many));
    c.optimize({.threads = 1});
    as_good_as_anew(c, data, "one part");
    c.erase(key(7));
    c.optimize({.threads = 1});
    as_good_as_anew(c, data, "one part without a row");
  }
}

BOOST_AUTO_TEST_CASE(more_effort_finds_no_less) {
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(many, dimension, 40, 10, 2.0f);
    auto c = Collection<MemoryPolicy>::create(schema(metric));
    put(c, data, range(0, many));
    c.optimize({.threads = 1});
    std::vector<std::string> gone;
    for (std::size_t i = 0; i < many; i += 3) gone.push_back(key(i));
    c.erase(std::span<const std::string>(gone), {Durability::none});
    for (const bool merged : {false, true}) {
      if (merged) c.optimize({.threads = 1});
      double best = 0;
      for (const std::size_t ef : {10u, 15u, 20u, 30u, 40u, 60u, 80u, 120u, 200u, 400u}) {
        const auto now = recall(c, data, ef);
        BOOST_TEST(now >= best - 0.002, "metric " << static_cast<int>(metric) << ", ef " << ef << ": " << now << " after " << best);
        best = std::max(best, now);
      }
      BOOST_TEST(best >= 0.99);
    }
  }
}

BOOST_AUTO_TEST_CASE(with_as_much_effort_as_rows_answers_are_exact) {
  Clusters equal(many, 8, 1, 1), apart(many, 8, 50, 2, 1e4f), flat(many, 8, 10, 3), huge(many, 8, 20, 4);
  equal.set_all(2.5f);
  flat.set(3, 7.25f);
  huge.scale(7, 1e15f);
  const auto check = [](const Clusters& data, Metric metric, const std::vector<std::size_t>& rows) {
    auto c = Collection<MemoryPolicy>::create(schema(metric, 8));
    auto plain = Collection<MemoryPolicy>::create(Schema{VectorField("v", 8).metric(metric)});
    for (auto* each : {&c, &plain}) put(*each, data, rows), each->optimize({.threads = 1});
    for (std::size_t q = 0; q < 20; ++q) {
      const auto expected = found(plain, data.query(q), 10, 0);
      BOOST_TEST((found(c, data.query(q), 10, rows.size()) == expected));
      BOOST_TEST(found(c, data.query(q), 10, 0).size() == expected.size());
      BOOST_TEST((found(c, data.query(q), rows.size() + 7, 0) == found(plain, data.query(q), rows.size() + 7, 0)));
    }
  };
  for (const auto* data : {&equal, &apart, &flat, &huge}) check(*data, Metric::l2, range(0, many / 4));
  check(huge, Metric::inner_product, range(0, many / 4));
  check(apart, Metric::cosine, range(0, many / 4));
  check(apart, Metric::l2, {0});
  check(apart, Metric::l2, {0, 1});
  auto none = Collection<MemoryPolicy>::create(schema(Metric::l2, 8));
  none.optimize();
  BOOST_TEST(found(none, apart.query(0), 10, 50).empty());
}

BOOST_AUTO_TEST_SUITE_END()
