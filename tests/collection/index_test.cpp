#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/indexed_rows.hpp"
#include "support/policies.hpp"
#include "support/raw_manifest.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <fstream>
#include <set>
#include <string_view>
#include <thread>
#include <utility>

using namespace quiver;
using namespace quiver::test;

namespace index_life {
using namespace quiver::test::indexed_rows;
}

BOOST_AUTO_TEST_SUITE(index_life)

BOOST_AUTO_TEST_CASE(every_policy_finds_along_the_same_graph_what_the_others_find) {
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(many, dimension, 40, 3);
    const FreshFolder folder;
    {
      auto c = filled<MMapPolicy>(data, schema(metric), folder.path());
      const auto flat = ask(c, data.query(0));
      BOOST_TEST(flat.visited == many);
      BOOST_TEST(graphs(folder.path()).empty());
      c.optimize();
      BOOST_TEST(graphs(folder.path()).size() == 1u);
      const auto found = recall(c, data);
      BOOST_TEST_MESSAGE("metric " << static_cast<int>(metric) << ": recall " << found);
      BOOST_TEST(found >= 0.95);
      BOOST_TEST((ask(c, data.query(0), 10, many).distances == flat.distances));
      BOOST_TEST(c.verify().ok());
      // What is built is not built again.
      const auto version = c.stats().version;
      c.optimize();
      BOOST_TEST(c.stats().version == version);
    }
    BOOST_TEST(Collection<FileReadPolicy>::open(folder.path()).stats().resident >= many * 8 * 8);  // links, which are copied where files are not mapped
    BOOST_TEST(Collection<MMapReadPolicy>::open(folder.path()).stats().resident < many);
    std::vector<Answer> expected;
    const auto check = [&]<class P>(std::type_identity<P>) {
      const auto c = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
      BOOST_TEST((c.schema() == schema(metric)));
      std::vector<float> all;
      for (std::size_t q = 0; q < 40; ++q) {
        const auto answer = ask(c, data.query(q));
        if (expected.size() <= q) expected.push_back(answer);
        BOOST_TEST((answer == expected[q]), P::name << " differs at query " << q);
        all.insert(all.end(), data.query(q).begin(), data.query(q).end());
      }
      const auto batch = c.search_batch({.field = "v", .queries = all, .k = 10, .fields = FieldNames::none(), .threads = 2});
      BOOST_REQUIRE(batch.size() == 40u);
      for (std::size_t q = 0; q < 40; ++q) {
        BOOST_TEST(batch[q].stats().rows_visited == expected[q].visited);
        for (std::size_t i = 0; i < 10; ++i) BOOST_TEST((batch[q][i].key == expected[q].keys[i] && batch[q][i].distance == expected[q].distances[i]));
      }
    };
    std::apply([&]<class... P>(P...) { (check(std::type_identity<P>{}), ...); }, AllPolicies{});
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_in_a_graph_yet_is_found_too) {
  const Clusters data(many + 300, dimension, 40, 5);
  auto c = indexed<MemoryPolicy>(data);
  insert(c, data, many, many + 150);
  c.flush();
  insert(c, data, many + 150, many + 300);
  for (auto i = many; i < many + 300; i += 7) {
    const auto answer = ask(c, data.row(i), 1);
    BOOST_TEST((answer.keys == std::vector{key(i)}));
    BOOST_TEST(answer.visited < many);
    BOOST_TEST(answer.visited > 300u);
  }
  BOOST_TEST(recall(c, data) >= 0.95);
  c.optimize();
  BOOST_TEST(c.stats().segments == 1u);
  BOOST_TEST(recall(c, data) >= 0.95);
}

BOOST_AUTO_TEST_CASE(deleted_rows_are_never_found_and_never_missed) {
  const Clusters data(many, dimension, 40, 6);
  const FreshFolder folder;
  auto c = indexed<MMapPolicy>(data, folder.path());
  std::set<std::string> dead;
  std::mt19937 random(4);
  std::vector<std::string> batch;
  for (std::size_t i = 0; i < many; ++i)
    if (random() % 2 == 0) batch.push_back(key(i));
  dead.insert(batch.begin(), batch.end());
  c.erase(std::span<const std::string>(batch), {Durability::none});
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(recall(c, data, 24) >= 0.95);  // half of the 48 that a walk keeps: about as many live, so it has to keep more, or every row is looked at
  for (std::size_t q = 0; q < 20; ++q)
    for (const auto& found : ask(c, data.query(q), 40).keys) BOOST_TEST(!dead.contains(found));
  // The nearest to one query, all of them: the walk ends among the dead, and the answer is whole all the same.
  const auto near = ask(c, data.query(3), many / 4, Hnsw::max_ef).keys;
  c.erase(std::span<const std::string>(near), {Durability::none});
  const auto left = ask(c, data.query(3), 10);
  BOOST_TEST(left.keys.size() == 10u);
  BOOST_TEST((left.distances == ask(c, data.query(3), 10, Hnsw::max_ef).distances));
  // All but five.
  batch.clear();
  for (std::size_t i = 5; i < many; ++i) batch.push_back(key(i));
  c.upsert(Document{key(0), {{"n", 0}, {"v", data.row(0)}}}, {Durability::none});
  c.erase(std::span<const std::string>(batch), {Durability::none});
  BOOST_TEST(ask(c, data.query(0)).keys.size() == c.count());
  c.optimize();
  BOOST_TEST(ask(c, data.query(0)).keys.size() == c.count());
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_fresh_graph_after_churn_is_as_good_as_the_first) {
  const Clusters data(many, dimension, 40, 7);
  auto c = indexed<MemoryPolicy>(data);
  const auto first = recall(c, data);
  for (int round = 0; round < 3; ++round) {
    std::vector<Document> batch;
    for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"n", round}, {"v", data.row(i)}}});
    c.upsert(batch, {Durability::none});
    c.optimize();
  }
  BOOST_TEST(c.count() == many);
  BOOST_TEST(recall(c, data) >= first - 0.01);
}

BOOST_AUTO_TEST_CASE(a_build_that_is_stopped_leaves_all_as_it_was) {
  const Clusters data(many, dimension, 40, 8);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, schema(), folder.path());
  const auto version = c.stats().version;
  const auto self = std::this_thread::get_id();
  const auto code = code_of([&] {
    c.optimize({.progress =
                    [&](const Progress& p) {
                      BOOST_TEST((std::this_thread::get_id() == self));
                      BOOST_TEST(p.done <= p.total);
                      return p.stage != "build index";
                    },
                .threads = 3});
  });
  BOOST_TEST((code == Errc::cancelled));
  BOOST_TEST(c.stats().version == version);
  BOOST_TEST(graphs(folder.path()).empty());
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  // Others write and flush meanwhile.
  std::size_t more = 0;
  c.optimize({.progress = [&](const Progress& p) {
    for (; p.stage == "build index" && more < 2; ++more) {
      c.insert(Document{"late" + std::to_string(more), {{"n", 1}, {"v", data.query(more)}}});
      c.flush();
    }
    return true;
  }});
  BOOST_TEST(more == 2u);
  BOOST_TEST(c.count() == many + 2);
  BOOST_TEST(graphs(folder.path()).size() == 1u);
  for (std::size_t q = 0; q < 2; ++q) BOOST_TEST((ask(c, data.query(q), 1).keys == std::vector{"late" + std::to_string(q)}));
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(c.verify().ok());
  c.close();
  auto again = Files::open(folder.path());
  BOOST_TEST(again.count() == many + 2);
  BOOST_TEST(recall(again, data) >= 0.95);
}

// What only gets a graph keeps its files, so what is thrown away with a build are not they.
BOOST_AUTO_TEST_CASE(a_rollback_amid_a_build_costs_the_graph_alone) {
  const Clusters data(many, dimension, 40, 12);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, schema(), folder.path());
  const auto versions = c.versions();
  BOOST_REQUIRE(versions.size() == 2u);
  const auto empty = versions[0].number, full = versions[1].number;
  bool back = false;
  c.optimize({.progress = [&](const Progress& p) {
    if (p.stage == "build index" && !back) {
      back = true;
      c.rollback_to(empty);
    }
    return true;
  }});
  BOOST_TEST(back);
  BOOST_TEST(c.count() == 0u);
  BOOST_TEST(graphs(folder.path()).empty());
  BOOST_TEST(c.verify().ok());
  c.rollback_to(full);
  BOOST_TEST(c.count() == many);
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_graph_goes_where_its_rows_go) {
  const Clusters data(many, dimension, 40, 9);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, schema(), folder.path());
  const auto before = c.versions().back().number;
  const auto flat = c.stats().bytes.vector_index;
  c.optimize();
  const auto size = std::filesystem::file_size(graphs(folder.path()).at(0));
  BOOST_TEST(size >= many * 8 * 8);
  BOOST_TEST(c.stats().bytes.vector_index == flat + size);
  BOOST_TEST(c.segments()[0].bytes == c.stats().bytes.scalar + flat + size);
  const auto answer = ask(c, data.query(1));
  for (const bool links : {true, false}) {
    const auto target = folder.path("backup" + std::to_string(links));
    c.backup(target, {.links = links});
    BOOST_TEST(graphs(target).size() == 1u);
    BOOST_TEST((ask(Files::open(target), data.query(1)) == answer));
  }
  BOOST_TEST((ask(c.copy_to<MemoryPolicy>(), data.query(1)) == answer));
  c.dump(folder.path("dump"));
  auto loaded = Files::load(folder.path("dump"), folder.path("loaded"));
  BOOST_TEST((loaded.schema() == c.schema()));
  loaded.optimize();
  BOOST_TEST(recall(loaded, data) >= 0.95);
  // Back to before the graph, and to a new one.
  c.rollback_to(before);
  BOOST_TEST(ask(c, data.query(1)).visited == many);
  c.optimize();
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(without_a_damaged_graph_nothing_is_lost) {
  const Clusters data(many, dimension, 40, 10);
  const FreshFolder folder;
  indexed<MMapPolicy>(data, folder.path()).close();
  const auto file = graphs(folder.path()).at(0);
  for (const bool gone : {false, true}) {
    if (gone) {
      std::filesystem::remove(graphs(folder.path()).at(0));
    } else {
      std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
      bytes.seekp(5000);
      bytes.put('\x55');
    }
    if (gone) {
      const auto error = error_of([&] { (void)Files::open(folder.path()); });
      BOOST_REQUIRE(error);
      BOOST_TEST((error->code() == Errc::corruption));
      BOOST_TEST(std::string_view(error->what()).find("or repair() the collection, which costs no document") != std::string_view::npos, error->what());
    }
    const auto report = quiver::verify(folder.path(), VerifyLevel::full);
    BOOST_REQUIRE(!report.ok());
    BOOST_TEST(report.problems[0].what.find("nothing else is lost with it") != std::string::npos, report.problems[0].what);
    const auto plan = quiver::repair(folder.path(), {.dry_run = true});
    BOOST_TEST((plan.possible && plan.documents_lost == 0));
    BOOST_TEST(quiver::repair(folder.path(), {.dry_run = false}).documents_lost == 0u);
    BOOST_TEST(quiver::verify(folder.path(), VerifyLevel::full).ok());
    auto c = Files::open(folder.path());
    BOOST_TEST(c.count() == many);
    BOOST_TEST(ask(c, data.query(0)).visited == many);
    c.optimize();
    BOOST_TEST(recall(c, data) >= 0.95);
  }
}

// The version before has a graph of its own: damaged, it costs that version its place in the history, and no file.
BOOST_AUTO_TEST_CASE(a_damaged_graph_of_an_older_version_is_kept_aside) {
  const Clusters data(many, dimension, 40, 14);
  const FreshFolder folder;
  std::uint64_t older = 0;
  {
    auto c = indexed<MMapPolicy>(data, folder.path());
    c.erase(key(0));
    c.flush();
    older = c.stats().version;
    c.optimize();
  }
  auto all = graphs(folder.path());
  std::sort(all.begin(), all.end());
  BOOST_REQUIRE(all.size() == 2u);
  const auto name = std::filesystem::relative(all[0], folder.path()).string();
  auto bytes = read_store(folder.path()).at(name);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  put_file(all[0], bytes);
  const auto report = quiver::repair(folder.path(), {.dry_run = false});
  BOOST_TEST((report.possible && report.documents_lost == 0u && report.problems.size() == 1u));
  BOOST_TEST(quiver::verify(folder.path(), VerifyLevel::full).ok());
  {
    auto c = Files::open(folder.path());  // clears garbage away
    for (const auto& version : c.versions()) BOOST_TEST(version.number != older);
    BOOST_TEST(c.count() == many - 1);
    BOOST_TEST(recall(c, data) >= 0.95);
    BOOST_TEST(c.verify().ok());
  }
  const auto after = read_store(folder.path());
  BOOST_TEST(std::count_if(after.begin(), after.end(), [&](const auto& file) { return file.second == bytes; }) == 1);
}

// Files that verify by themselves and are not what their names say: those of two segments, the other way round.
BOOST_AUTO_TEST_CASE(graphs_and_codes_of_other_rows_cost_no_document_where_they_are_repaired) {
  const Clusters data(many, dimension, 40, 15);
  for (const bool codes : {false, true}) {
    const FreshFolder folder;
    std::uint64_t newest = 0;
    {
      auto c = Files::create(folder.path(), schema(Metric::l2, Hnsw{.m = 8, .ef_construction = 60, .ef = 48}, codes ? QuantizerType(Sq8{}) : NoQuantizer{}),
                             {.segment_rows = 2 * many / 3, .retain = {.versions = 1}, .live_index = false});
      insert(c, data, 0, many);
      c.optimize();
      BOOST_REQUIRE(c.segments().size() == 2u);
      newest = c.stats().version;
    }
    const auto name = detail::manifest_name(newest);
    auto version = detail::decode_version(detail::as_bytes(std::string_view(read_store(folder.path()).at(name))), name);
    auto& blocks = version.segments;
    auto& first = codes ? blocks[0].blocks.back().codes : blocks[0].blocks.back().graph;
    auto& second = codes ? blocks[1].blocks.back().codes : blocks[1].blocks.back().graph;
    const auto files = read_store(folder.path());
    put_file(folder.path() / first.name, files.at(second.name));
    put_file(folder.path() / second.name, files.at(first.name));
    std::swap(first.identity, second.identity);
    put_file(folder.path() / name, std::string(detail::as_text(raw_manifest(version))));
    BOOST_TEST((code_of([&] { (void)Files::open(folder.path()); }) == Errc::corruption));
    const auto report = quiver::repair(folder.path(), {.dry_run = false});
    BOOST_TEST(report.possible);
    BOOST_TEST(report.documents_lost == 0u);
    BOOST_TEST(report.problems.size() == 2u);
    for (const auto& problem : report.problems) BOOST_TEST(problem.what.find("nothing else is lost with it") != std::string::npos, problem.what);
    auto c = Files::open(folder.path());
    BOOST_TEST(c.count() == many);
    c.optimize();
    BOOST_TEST(recall(c, data) >= 0.95);
    BOOST_TEST(c.verify(VerifyLevel::full).ok());
  }
}

BOOST_AUTO_TEST_CASE(where_a_walk_would_be_slower_every_row_is_looked_at) {
  constexpr std::size_t rows = 5'000;
  const Clusters data(rows, 2, 40, 13);
  auto c = Collection<MemoryPolicy>::create(Schema{VectorField("v", 2).index(Hnsw{.m = 4, .ef_construction = 10, .ef = 4'200})});
  std::vector<Document> batch;
  for (std::size_t i = 0; i < rows; ++i) batch.push_back(Document{key(i), {{"v", data.row(i)}}});
  c.insert(batch);
  c.optimize();
  BOOST_TEST(ask(c, data.query(0)).visited == rows);
  BOOST_TEST(ask(c, data.query(0), 10, 4'097).visited == rows);
  BOOST_TEST(ask(c, data.query(0), 4'097, 10).visited == rows);
  BOOST_TEST(ask(c, data.query(0), 10, 10).visited < rows / 4);
}

BOOST_AUTO_TEST_CASE(numbers_that_no_index_has_are_refused) {
  const auto refused = [](const Hnsw& index) { return code_of([&] { static_cast<void>(schema(Metric::l2, index)); }); };
  BOOST_TEST((refused({}) == Errc::none));
  BOOST_TEST((refused({.m = 1}) == Errc::invalid_argument));
  BOOST_TEST((refused({.m = 129}) == Errc::invalid_argument));
  BOOST_TEST((refused({.ef_construction = 0}) == Errc::invalid_argument));
  BOOST_TEST((refused({.ef_construction = 65'536}) == Errc::invalid_argument));
  BOOST_TEST((refused({.ef = 0}) == Errc::invalid_argument));
  BOOST_TEST((refused({.ef = 1'000'001}) == Errc::invalid_argument));
  BOOST_TEST((schema(Metric::l2, Hnsw{.m = 2}) != schema(Metric::l2, Flat{})));
}

BOOST_AUTO_TEST_CASE(several_fields_each_with_an_index_of_its_own) {
  const Clusters data(many, dimension, 40, 11);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), Schema{VectorField("flat", dimension), VectorField("v", dimension).index(Hnsw{.m = 8, .ef_construction = 60}),
                                               VectorField("w", 2).metric(Metric::cosine).index(Hnsw{.m = 4, .ef_construction = 20, .ef = 20})});
  std::vector<Document> batch;
  for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"flat", data.row(i)}, {"v", data.row(i)}, {"w", data.row(i).first(2)}}});
  c.insert(batch, {Durability::none});
  c.optimize();
  BOOST_TEST(graphs(folder.path()).size() == 2u);
  BOOST_TEST(recall(c, data) >= 0.95);
  const auto query = data.query(0).first(2);
  BOOST_TEST(c.search({.field = "w", .query = query}).stats().rows_visited < many);
  BOOST_TEST(c.search({.field = "flat", .query = data.query(0)}).stats().rows_visited == many);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_SUITE_END()
