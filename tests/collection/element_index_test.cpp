// Graphs and codes over rows of float16, int8 and uint8.
#include "support/element_rows.hpp"
#include "support/error_code.hpp"
#include "support/indexed_rows.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <map>
#include <string>

using namespace quiver;
using namespace quiver::test;

namespace element_index {
using namespace quiver::test::indexed_rows;
namespace {

constexpr Metric every_metric[] = {Metric::l2, Metric::inner_product, Metric::cosine};
constexpr const char* codes = ".vector_quant";

/// Clusters whose numbers an element holds, in all of its range.
struct ElementClusters {
  ElementClusters(Element element, unsigned seed) {
    const Clusters from(many, dimension, 40, seed);
    const float scale = element == Element::float16 ? 1.0f : 5.0f;
    const auto take = [&](std::vector<float>& to, std::span<const float> row) {
      for (const float x : row) to.push_back(as_element(element, scale * (element == Element::uint8 ? std::abs(x) : x)));
      if (to[to.size() - dimension] == 0) to[to.size() - dimension] = 1;  // never all zero
    };
    for (std::size_t r = 0; r < many; ++r) take(rows, from.row(r));
    for (std::size_t q = 0; q < 30; ++q) take(queries, from.query(q));
  }
  [[nodiscard]] std::span<const float> row(std::size_t r) const { return std::span(rows).subspan(r * dimension, dimension); }
  [[nodiscard]] std::span<const float> query(std::size_t q) const { return std::span(queries).subspan(q * dimension, dimension); }
  std::vector<float> rows, queries;
};

Schema schema_of(Element element, Metric metric, const QuantizerType& quantizer = NoQuantizer{}) {
  return Schema{Field::int32("n"),
                VectorField("v", dimension).metric(metric).element(element).index(Hnsw{.m = 8, .ef_construction = 60, .ef = 48}).quantizer(quantizer)};
}
template <class C>
void insert_rows(C& to, const ElementClusters& data, std::size_t first, std::size_t last) {
  std::vector<Document> batch;
  for (auto i = first; i < last; ++i) batch.push_back(Document{key(i), {{"n", static_cast<std::int32_t>(i)}, {"v", data.row(i)}}});
  to.insert(batch, {Durability::none});
}
/// The share of the 10 nearest that are found, each at the very distance that a look at every row tells.
template <class C>
double share_found(const C& c, const ElementClusters& data) {
  std::size_t hits = 0, wrong = 0;
  for (std::size_t q = 0; q < 30; ++q) {
    const auto exact = ask(c, data.query(q), many, Hnsw::max_ef);
    std::map<std::string, float> at;
    for (std::size_t i = 0; i < exact.keys.size(); ++i) at[exact.keys[i]] = exact.distances[i];
    const auto found = ask(c, data.query(q));
    BOOST_REQUIRE(found.keys.size() == 10u);
    BOOST_TEST(found.visited < exact.visited);
    for (std::size_t i = 0; i < 10; ++i) {
      wrong += at.at(found.keys[i]) != found.distances[i];
      hits += found.distances[i] <= exact.distances[9];
    }
  }
  BOOST_TEST(wrong == 0u);
  return static_cast<double>(hits) / 300;
}
/// What that is to be. Products of vectors of one sign are greatest with the longest ones: a harder graph, of floats as well.
double least_found(Element element, Metric metric) { return metric == Metric::inner_product && element == Element::uint8 ? 0.85 : 0.95; }

}  // namespace
}  // namespace element_index

BOOST_AUTO_TEST_SUITE(element_index)

BOOST_AUTO_TEST_CASE(every_policy_finds_along_graphs_and_codes_what_is_there) {
  for (const auto element : narrow_elements)
    for (const auto metric : every_metric)
      for (const bool coded : {false, true}) {
        const auto schema = schema_of(element, metric, coded ? QuantizerType(Sq8{}) : QuantizerType(NoQuantizer{}));
        const ElementClusters data(element, 3);
        const FreshFolder folder;
        BOOST_TEST_CONTEXT(to_string(element) << ", " << to_string(metric) << (coded ? ", Sq8" : "")) {
          {
            auto c = Files::create(folder.path(), schema);
            insert_rows(c, data, 0, many);
            c.optimize();
            BOOST_TEST(graphs(folder.path()).size() == 1u);
            BOOST_TEST(graphs(folder.path(), codes).size() == (coded ? 1u : 0u));
            BOOST_TEST(share_found(c, data) >= least_found(element, metric));
            BOOST_TEST(c.verify().ok());
          }
          std::vector<Answer> expected;
          const auto check = [&]<class P>(std::type_identity<P>) {
            const auto c = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
            const auto batch = c.search_batch({.field = "v", .queries = data.queries, .k = 10, .fields = FieldNames::none(), .threads = 2});
            std::size_t wrong = 0;
            for (std::size_t q = 0; q < 30; ++q) {
              const auto answer = ask(c, data.query(q));
              if (expected.size() <= q) expected.push_back(answer);
              wrong += !(answer == expected[q]);
              for (std::size_t i = 0; i < 10; ++i) wrong += batch[q][i].key != answer.keys[i] || batch[q][i].distance != answer.distances[i];
            }
            BOOST_TEST(wrong == 0u, P::name);
          };
          std::apply([&]<class... P>(P...) { (check(std::type_identity<P>{}), ...); }, AllPolicies{});
        }
      }
}

BOOST_AUTO_TEST_CASE(rows_in_memory_are_linked_by_the_numbers_that_are_stored) {
  for (const auto element : narrow_elements)
    for (const auto metric : every_metric) BOOST_TEST_CONTEXT(to_string(element) << ", " << to_string(metric)) {
        const ElementClusters data(element, 11);
        const FreshFolder folder;
        auto c = Files::create(folder.path(), schema_of(element, metric));
        insert_rows(c, data, 0, many);
        BOOST_TEST(soon([&] { return linked(c); }));
        BOOST_TEST(c.stats().memtable_documents == many);
        const double least = least_found(element, metric);
        BOOST_TEST(share_found(c, data) >= least);
        for (std::size_t i = 3; i < many; i += 7) BOOST_TEST(c.erase(key(i)));
        for (std::size_t q = 0; q < 30; ++q)
          for (const auto& each : ask(c, data.query(q)).keys) BOOST_TEST(std::stoul(each.substr(1)) % 7 != 3u);
        BOOST_TEST(share_found(c, data) >= least);
        c.flush();
        BOOST_TEST(graphs(folder.path()).size() == 1u);
        BOOST_TEST(share_found(c, data) >= least);
        BOOST_TEST(c.verify().ok());
        BOOST_TEST(c.stats().background_error == "");
      }
}

BOOST_AUTO_TEST_CASE(every_quantizer_has_codes_of_every_element) {
  const QuantizerType quantizers[] = {Float16{}, Sq8{}, Sq4{}};
  for (const auto element : narrow_elements)
    for (const auto metric : every_metric)
      for (const auto& quantizer : quantizers) BOOST_TEST_CONTEXT(to_string(element) << ", " << to_string(metric) << ", quantizer " << quantizer.index()) {
          const ElementClusters data(element, 13);
          const FreshFolder folder;
          auto c = Files::create(folder.path(), schema_of(element, metric, quantizer), {.live_index = false});
          insert_rows(c, data, 0, many);
          c.optimize();
          BOOST_TEST(graphs(folder.path(), codes).size() == 1u);
          BOOST_TEST(share_found(c, data) >= least_found(element, metric));
          BOOST_TEST(c.verify().ok());
        }
}

BOOST_AUTO_TEST_CASE(whole_numbers_within_255_of_each_other_are_exact_as_codes) {
  // Codes of bytes are the bytes: what a walk by codes finds is what one by vectors finds.
  for (const auto element : {Element::int8, Element::uint8}) {
    const ElementClusters data(element, 5);
    auto plain = Collection<MemoryPolicy>::create(schema_of(element, Metric::l2)),
         coded = Collection<MemoryPolicy>::create(schema_of(element, Metric::l2, Sq8{}));
    for (auto* c : {&plain, &coded}) {
      insert_rows(*c, data, 0, many);
      c->optimize({.threads = 1});
    }
    std::size_t same = 0;
    for (std::size_t q = 0; q < 30; ++q) same += ask(plain, data.query(q)).distances == ask(coded, data.query(q)).distances;
    BOOST_TEST(same >= 29u);
  }
}

BOOST_AUTO_TEST_CASE(an_index_made_changed_and_dropped_leaves_the_element_and_the_numbers) {
  for (const auto element : narrow_elements) {
    const ElementClusters data(element, 7);
    const FreshFolder folder;
    auto c = Files::create(folder.path(), Schema{Field::int32("n"), VectorField("v", dimension).metric(Metric::cosine).element(element)});
    insert_rows(c, data, 0, many - 100);
    c.flush();
    const auto all = [&] {
      std::vector<Answer> out;
      for (std::size_t q = 0; q < 10; ++q) out.push_back(ask(c, data.query(q), 10, Hnsw::max_ef));
      return out;
    };
    const auto exact = all();
    const auto kept = [&] { return c.schema().vectors()[0].element() == element && all() == exact; };
    c.create_index("v", {.index = Hnsw{.m = 8, .ef_construction = 60}, .quantizer = Sq8{}});
    BOOST_TEST((graphs(folder.path()).size() == 1 && graphs(folder.path(), codes).size() == 1));
    BOOST_TEST(kept());
    BOOST_TEST(share_found(c, data) >= 0.95);
    c.create_index("v", {.index = Hnsw{.m = 12}, .quantizer = NoQuantizer{}});
    BOOST_TEST(kept());
    BOOST_TEST(share_found(c, data) >= 0.95);
    c.close();
    c = Files::open(folder.path());
    BOOST_TEST(kept());
    c.drop_index("v");
    BOOST_TEST(kept());
    // Rows behind the graph, deleted ones, and both merged.
    c.create_index("v", {.index = Hnsw{.m = 8, .ef_construction = 60}});
    insert_rows(c, data, many - 100, many);
    for (std::size_t i = 0; i < many; i += 5) c.erase(key(i));
    BOOST_TEST(ask(c, data.row(many - 1), 1).keys.front() == key(many - 1));
    c.optimize();
    BOOST_TEST(c.stats().deleted == 0u);
    BOOST_TEST(share_found(c, data) >= 0.95);
    BOOST_TEST(ask(c, data.row(many - 1), 1).keys.front() == key(many - 1));
    BOOST_TEST(c.verify().ok());
    BOOST_TEST((c.fetch(key(1))->get<std::vector<float>>("v") == std::vector<float>(data.row(1).begin(), data.row(1).end())));
  }
}

BOOST_AUTO_TEST_SUITE_END()
