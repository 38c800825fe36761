#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/indexed_rows.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

using namespace quiver;
using namespace quiver::test;

namespace quantized {
using namespace quiver::test::indexed_rows;
namespace {

constexpr const char* codes = ".vector_quant";

const QuantizerType all_quantizers[] = {Float16{}, Sq8{}, Sq4{}};
constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};

Schema with_codes(Metric metric = Metric::l2, const QuantizerType& quantizer = Sq8{}) {
  return schema(metric, Hnsw{.m = 8, .ef_construction = 60, .ef = 48}, quantizer);
}
/// Bytes of a row that a walk reads: its code, a multiple of four where codes are rounded, and its term.
std::size_t bytes_of(const QuantizerType& quantizer, Metric metric = Metric::l2) {
  if (std::holds_alternative<Float16>(quantizer)) return 2 * dimension;
  return (std::holds_alternative<Sq8>(quantizer) ? dimension : (dimension + 7) / 8 * 4) + (metric == Metric::inner_product ? 0 : 4);
}

std::vector<std::pair<Metric, QuantizerType>> every_pair() {
  std::vector<std::pair<Metric, QuantizerType>> out;
  for (const auto metric : all_metrics)
    for (const auto& quantizer : all_quantizers) out.emplace_back(metric, quantizer);
  return out;
}

template <class P, class... Where>
Collection<P> coded(const Clusters& data, const QuantizerType& quantizer, const Where&... where) {
  auto c = filled<P>(data, with_codes(Metric::l2, quantizer), where...);
  c.optimize();
  return c;
}

}  // namespace
}  // namespace quantized

BOOST_AUTO_TEST_SUITE(quantized)

BOOST_AUTO_TEST_CASE(every_policy_finds_by_codes_what_the_others_find_at_the_distances_of_the_vectors) {
  for (const auto& [metric, quantizer] : every_pair()) BOOST_TEST_CONTEXT("metric " << static_cast<int>(metric) << ", quantizer " << quantizer.index()) {
      const Clusters data(many, dimension, 40, 3);
      const FreshFolder folder;
      std::map<std::string, float> at;  // of each row, from the first query
      {
        auto c = filled<MMapPolicy>(data, with_codes(metric, quantizer), folder.path());
        const auto all = ask(c, data.query(0), many);
        for (std::size_t i = 0; i < many; ++i) at[all.keys[i]] = all.distances[i];
        c.optimize();
        BOOST_TEST(graphs(folder.path()).size() == 1u);
        BOOST_TEST(graphs(folder.path(), codes).size() == 1u);
        BOOST_TEST(recall(c, data) >= 0.95);
        BOOST_TEST(c.verify().ok());
        // What is there is not written again.
        const auto version = c.stats().version;
        c.optimize();
        BOOST_TEST(c.stats().version == version);
      }
      BOOST_TEST(Collection<FileReadPolicy>::open(folder.path()).stats().resident >=
                 many * (8 * 8 + bytes_of(quantizer, metric)));  // links and codes are copied
      std::vector<Answer> expected;
      const auto check = [&, metric = metric, quantizer = quantizer]<class P>(std::type_identity<P>) {
        const auto c = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
        BOOST_TEST((c.schema() == with_codes(metric, quantizer)));
        std::vector<float> all;
        for (std::size_t q = 0; q < 20; ++q) {
          const auto answer = ask(c, data.query(q));
          if (expected.size() <= q) expected.push_back(answer);
          BOOST_TEST((answer == expected[q]), P::name << " differs at query " << q);
          all.insert(all.end(), data.query(q).begin(), data.query(q).end());
        }
        for (std::size_t i = 0; i < 10; ++i) BOOST_TEST(expected[0].distances[i] == at.at(expected[0].keys[i]));
        const auto batch = c.search_batch({.field = "v", .queries = all, .k = 10, .fields = FieldNames::none(), .threads = 2});
        BOOST_REQUIRE(batch.size() == 20u);
        for (std::size_t q = 0; q < 20; ++q)
          for (std::size_t i = 0; i < 10; ++i) BOOST_TEST((batch[q][i].key == expected[q].keys[i] && batch[q][i].distance == expected[q].distances[i]));
      };
      std::apply([&]<class... P>(P...) { (check(std::type_identity<P>{}), ...); }, AllPolicies{});
    }
}

BOOST_AUTO_TEST_CASE(refine_says_how_many_are_compared_by_their_vectors) {
  const Clusters data(many, dimension, 40, 4);
  for (const auto& quantizer : all_quantizers) {
    const auto c = coded<MemoryPolicy>(data, quantizer);
    const auto code = bytes_of(quantizer), vector = dimension * sizeof(float);
    const auto visited = [&](std::size_t k, std::size_t refine) {
      const auto found = c.search({.field = "v", .query = data.query(0), .k = k, .fields = FieldNames::none(), .refine = refine});
      BOOST_TEST(found.size() == k);
      // Each row that was visited is one code or one vector.
      const auto rows = found.stats().rows_visited, bytes = found.stats().bytes_read;
      BOOST_TEST((bytes - rows * code) % (vector - code) == 0u);
      return (bytes - rows * code) / (vector - code);  // how many by their vectors
    };
    const bool coarse = std::holds_alternative<Sq4>(quantizer);
    BOOST_TEST(visited(10, 0) == (coarse ? 40u : 20u));
    BOOST_TEST(visited(3, 0) == (coarse ? 33u : 13u));
    BOOST_TEST(visited(11, 0) == (coarse ? 44u : 22u));
    BOOST_TEST(visited(10, 4) == 10u);
    BOOST_TEST(visited(10, 33) == 33u);
    BOOST_TEST(visited(10, 1'000'000) == 48u);  // all that the walk kept
    const auto one = c.search_batch({.field = "v", .queries = data.query(0), .k = 10, .fields = FieldNames::none(), .refine = 33});
    BOOST_TEST(one[0].stats().bytes_read == one[0].stats().rows_visited * code + 33 * (vector - code));
  }
}

BOOST_AUTO_TEST_CASE(rows_too_large_for_codes_are_found_by_their_vectors) {
  for (const auto& quantizer : all_quantizers) {
    const Clusters data(many, dimension, 40, 5);
    const FreshFolder folder;
    auto c = Files::create(folder.path(), with_codes(Metric::inner_product, quantizer));
    std::vector<Document> batch;
    for (std::size_t i = 0; i < many; ++i) {
      std::vector<float> row(data.row(i).begin(), data.row(i).end());
      for (auto& x : row) x *= 1e14f;
      batch.push_back(Document{key(i), {{"n", 1}, {"v", row}}});
    }
    c.insert(batch, {Durability::none});
    c.optimize();
    BOOST_TEST(graphs(folder.path(), codes).size() == 1u);
    BOOST_TEST(std::filesystem::file_size(graphs(folder.path(), codes)[0]) < 10'000u);
    BOOST_TEST(recall(c, data) >= 0.9);
    const auto version = c.stats().version;
    c.optimize();
    BOOST_TEST(c.stats().version == version);
    BOOST_TEST(c.verify().ok());
    // And queries, where the rows are not.
    const auto plain = coded<MemoryPolicy>(data, quantizer);
    std::vector<float> far(dimension, 1e18f);
    BOOST_TEST(ask(plain, far).keys.size() == 10u);
    for (const auto distance : ask(plain, far).distances) BOOST_TEST(distance == distance);
  }
}

BOOST_AUTO_TEST_CASE(deleted_rows_are_never_found_by_codes_and_never_missed) {
  for (const auto& quantizer : all_quantizers) {
    const Clusters data(many, dimension, 40, 6);
    auto c = coded<MemoryPolicy>(data, quantizer);
    std::vector<std::string> dead;
    for (std::size_t i = 0; i < many; i += 2) dead.push_back(key(i));
    c.erase(std::span<const std::string>(dead), {Durability::none});
    BOOST_TEST(recall(c, data) >= 0.95);
    BOOST_TEST(recall(c, data, 24) >= 0.95);
    const std::set<std::string> gone(dead.begin(), dead.end());
    for (std::size_t q = 0; q < 20; ++q)
      for (const auto& found : ask(c, data.query(q), 40).keys) BOOST_TEST(!gone.contains(found));
    const auto near = ask(c, data.query(3), many / 4, Hnsw::max_ef).keys;
    c.erase(std::span<const std::string>(near), {Durability::none});
    BOOST_TEST((ask(c, data.query(3)).distances == ask(c, data.query(3), 10, Hnsw::max_ef).distances));
  }
}

BOOST_AUTO_TEST_CASE(codes_go_where_their_rows_go) {
  for (const auto& quantizer : all_quantizers) {
    const Clusters data(many + 200, dimension, 40, 9);
    const FreshFolder folder;
    auto c = filled<MMapPolicy>(data, with_codes(Metric::l2, quantizer), folder.path());
    BOOST_TEST(c.stats().bytes.vector_quant == 0u);
    c.optimize();
    const auto size = std::filesystem::file_size(graphs(folder.path(), codes).at(0));
    BOOST_TEST(size >= many * bytes_of(quantizer));
    BOOST_TEST(c.stats().bytes.vector_quant == size);
    const auto total = c.stats().bytes;
    BOOST_TEST(total.total == total.scalar + total.vector_index + total.vector_quant + total.ids + total.deletes + total.wal + total.manifests);
    const auto answer = ask(c, data.query(1));
    for (const bool links : {true, false}) {
      const auto target = folder.path("backup" + std::to_string(links));
      c.backup(target, {.links = links});
      BOOST_TEST(graphs(target, codes).size() == 1u);
      BOOST_TEST((ask(Files::open(target), data.query(1)) == answer));
    }
    BOOST_TEST((ask(c.copy_to<MemoryPolicy>(), data.query(1)) == answer));
    c.dump(folder.path("dump"));
    auto loaded = Files::load(folder.path("dump"), folder.path("loaded"));
    BOOST_TEST((loaded.schema() == c.schema()));
    // Rows that come later are found without codes, and then with.
    insert(c, data, many, many + 100);
    c.flush();
    insert(c, data, many + 100, many + 200);
    for (auto i = many; i < many + 200; i += 9) BOOST_TEST((ask(c, data.row(i), 1).keys == std::vector{key(i)}));
    c.optimize();
    BOOST_TEST(c.stats().segments == 1u);
    BOOST_TEST(recall(c, data) >= 0.95);
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(without_damaged_codes_nothing_is_lost) {
  const Clusters data(many, dimension, 40, 10);
  for (const auto& quantizer : all_quantizers)
    for (const bool gone : {false, true}) {
      const FreshFolder folder;
      coded<MMapPolicy>(data, quantizer, folder.path()).close();
      const auto file = graphs(folder.path(), codes).at(0);
      auto bytes = read_store(folder.path()).at(std::filesystem::relative(file, folder.path()).string());
      bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
      if (gone)
        std::filesystem::remove(file);
      else
        put_file(file, bytes);
      const auto report = quiver::verify(folder.path(), VerifyLevel::full);
      BOOST_REQUIRE(!report.ok());
      BOOST_TEST(report.problems[0].what.find("nothing else is lost with it") != std::string::npos, report.problems[0].what);
      const auto done = quiver::repair(folder.path(), {.dry_run = false});
      BOOST_TEST((done.possible && done.documents_lost == 0u));
      BOOST_TEST(quiver::verify(folder.path(), VerifyLevel::full).ok());
      auto c = Files::open(folder.path());
      BOOST_TEST(c.count() == many);
      BOOST_TEST(recall(c, data) >= 0.95);  // along the graph that is left
      BOOST_TEST(c.stats().bytes.vector_quant == 0u);
      c.optimize();
      BOOST_TEST(c.stats().bytes.vector_quant != 0u);
      BOOST_TEST(recall(c, data) >= 0.95);
      const auto after = read_store(folder.path());
      if (!gone) BOOST_TEST(std::count_if(after.begin(), after.end(), [&](const auto& f) { return f.second == bytes; }) == 1, "it is kept aside");
    }
}

// What still fits is not built again, and nothing else stays.
BOOST_AUTO_TEST_CASE(one_quantizer_takes_the_place_of_another) {
  const Clusters data(many, dimension, 40, 11);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, with_codes(), folder.path());
  c.optimize();
  const QuantizerType order[] = {Sq4{}, Float16{}, Sq8{}, Float16{}, Sq4{}, Sq8{}, NoQuantizer{}, Sq4{}, NoQuantizer{}, Float16{}};
  for (const auto& quantizer : order) {
    const auto links = graphs(folder.path());
    c.create_index("v", {.quantizer = quantizer});
    BOOST_TEST((c.schema() == with_codes(Metric::l2, quantizer)));
    // Two versions are kept: this one's codes and those of the one before.
    const auto version = c.stats().version;
    const bool none = std::holds_alternative<NoQuantizer>(quantizer);
    const auto bytes = c.stats().bytes.vector_quant;
    BOOST_TEST((none ? bytes == 0 : bytes >= many * bytes_of(quantizer) && bytes < many * bytes_of(quantizer) + 2048), quantizer.index() << ": " << bytes);
    BOOST_TEST((graphs(folder.path()) == links), "the graph was built again");
    BOOST_TEST(recall(c, data) >= 0.95);
    c.create_index("v", {.quantizer = quantizer});
    c.optimize();
    BOOST_TEST(c.stats().version == version);
    BOOST_TEST(c.verify().ok());
    BOOST_TEST((Files::open(folder.path(), {.mode = OpenMode::read_only}).schema() == c.schema()));
  }
  c.rollback_to(c.versions().at(1).number);
  BOOST_TEST(c.verify().ok());
  BOOST_TEST(recall(c, data) >= 0.95);
}

BOOST_AUTO_TEST_CASE(codes_without_a_graph_are_refused) {
  for (const auto& quantizer : all_quantizers)
    BOOST_TEST((code_of([&] { static_cast<void>(Schema{VectorField("v", 2).quantizer(quantizer)}); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([] { static_cast<void>(Schema{VectorField("v", 2).quantizer(NoQuantizer{})}); }) == Errc::none));
  BOOST_TEST((with_codes() != schema()));
}

BOOST_AUTO_TEST_SUITE_END()
