#include <quiver/collection/index_change.hpp>

#include <quiver/collection/recovery.hpp>

#include "support/error_code.hpp"
#include "support/indexed_rows.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace create_index {
using namespace quiver::test::indexed_rows;
namespace {

const Hnsw graph{.m = 8, .ef_construction = 60, .ef = 48};

Schema flat() { return schema(Metric::l2, Flat{}); }

}  // namespace
}  // namespace create_index

BOOST_AUTO_TEST_SUITE(create_index)

BOOST_AUTO_TEST_CASE(a_field_gets_one_index_after_another) {
  const Clusters data(many, dimension, 40, 3);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), flat());
  insert(c, data, 0, many / 2);
  c.flush();
  insert(c, data, many / 2, many);
  const Schema& first = c.schema();
  const auto exact = ask(c, data.query(0));
  BOOST_TEST(exact.visited == many);
  const auto check = [&](const IndexSpec& spec, const Schema& expected, std::size_t with_links, std::size_t with_codes) {
    const auto version = c.stats().version;
    c.create_index("v", spec, {.threads = 2});
    BOOST_TEST((c.schema() == expected));
    const auto made = c.stats().version;
    BOOST_TEST(made > version);
    BOOST_TEST(c.stats().memtable_documents == 0u);
    if (with_links != 0) BOOST_TEST(recall(c, data) >= 0.95);
    c.create_index("v", spec);
    BOOST_TEST(c.stats().version == made, "once more is nothing");
    BOOST_TEST(c.verify().ok());
    c.close();
    c = Files::open(folder.path());
    BOOST_TEST((c.schema() == expected));
    const auto with = [](const detail::FileRef& file) { return file.name.empty() ? 0u : 1u; };
    std::size_t links = 0, codes = 0;
    const auto version_now =
        detail::open_newest<MMapPolicy>(std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(folder.path(), {}, OpenMode::read_only)));
    for (const auto& segment : version_now->manifest.segments)
      for (const auto& block : segment.blocks) links += with(block.graph), codes += with(block.codes);
    BOOST_TEST(links == with_links);
    BOOST_TEST(codes == with_codes);
    for (const auto& part : version_now->parts)
      if (const auto* links_of = part->graph(0)) BOOST_TEST(links_of->parameters().m == std::get<Hnsw>(expected.vectors()[0].index()).m);
  };
  BOOST_TEST(first.vectors()[0].index().index() == 0u);
  check({.index = graph}, schema(Metric::l2, graph), 2, 0);
  check({.quantizer = Sq8{}}, schema(Metric::l2, graph, Sq8{}), 2, 2);
  const Hnsw wider{.m = 12, .ef_construction = 60, .ef = 48};
  check({.index = wider}, schema(Metric::l2, wider, Sq8{}), 2, 2);
  check({.quantizer = NoQuantizer{}}, schema(Metric::l2, wider), 2, 0);
  check({.index = Hnsw{.m = 12, .ef_construction = 60, .ef = 50}}, schema(Metric::l2, Hnsw{.m = 12, .ef_construction = 60, .ef = 50}), 2, 0);
  check({.index = wider, .quantizer = Sq8{}, .metric = Metric::l2}, schema(Metric::l2, wider, Sq8{}), 2, 2);
  check({.quantizer = Sq4{}}, schema(Metric::l2, wider, Sq4{}), 2, 2);
  check({.quantizer = Float16{}}, schema(Metric::l2, wider, Float16{}), 2, 2);
  check({.index = Flat{}}, flat(), 0, 0);
  BOOST_TEST((ask(c, data.query(0)) == exact));
  c.create_index("v", {.index = graph, .quantizer = Sq8{}});
  c.drop_index("v");
  BOOST_TEST((c.schema() == flat()));
  BOOST_TEST((ask(c, data.query(0)) == exact));
}

BOOST_AUTO_TEST_CASE(a_schema_that_was_handed_out_stays_what_it_is) {
  const Clusters data(many, dimension, 40, 4);
  auto c = filled<MemoryPolicy>(data, flat());
  const Schema& before = c.schema();
  c.create_index("v", {.index = graph});
  const Schema& after = c.schema();
  BOOST_TEST((before == flat()));
  BOOST_TEST((after == schema(Metric::l2, graph)));
  c.drop_index("v");
  BOOST_TEST((c.schema() == before));
  BOOST_TEST((after == schema(Metric::l2, graph)));
}

// What does not change keeps its file: a graph of 300 links is not built for codes beside it, nor for another field.
BOOST_AUTO_TEST_CASE(what_still_fits_is_not_built_again) {
  const Clusters data(many, dimension, 40, 5);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), Schema{VectorField("v", dimension).index(graph), VectorField("w", dimension)});
  std::vector<Document> batch;
  for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"v", data.row(i)}, {"w", data.row(i)}}});
  c.insert(batch, {Durability::none});
  c.optimize();
  const auto had = graphs(folder.path());
  BOOST_REQUIRE(had.size() == 1u);
  c.create_index("v", {.quantizer = Sq8{}});
  BOOST_TEST((graphs(folder.path()) == had));
  c.create_index("w", {.index = graph});
  const auto have = graphs(folder.path());
  BOOST_TEST(have.size() == 2u);
  BOOST_TEST((std::find(have.begin(), have.end(), had[0]) != have.end()));
  c.create_index("v", {.index = Hnsw{.m = 8, .ef_construction = 60, .ef = 20}});
  BOOST_TEST((graphs(folder.path()) == have));
  BOOST_TEST(graphs(folder.path(), ".vector_quant").size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_build_that_is_stopped_leaves_everything_as_it_was) {
  const Clusters data(many, dimension, 40, 6);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, schema(Metric::l2, graph), folder.path());
  c.optimize();
  const auto version = c.stats().version;
  const auto answer = ask(c, data.query(0));
  for (const std::string_view stage : {"verify", "build index", "publish"}) {
    bool stopped = false;
    const auto stop = [&](const Progress& p) {
      BOOST_TEST((c.schema() == schema(Metric::l2, graph)));
      BOOST_TEST((ask(c, data.query(0)) == answer));  // by the index before
      stopped = stopped || p.stage == stage;
      return !stopped;
    };
    BOOST_TEST((code_of([&] { c.create_index("v", {.index = Hnsw{.m = 12}, .quantizer = Sq8{}}, {.progress = stop}); }) == Errc::cancelled));
    BOOST_TEST(stopped);
    BOOST_TEST((c.schema() == schema(Metric::l2, graph)));
    BOOST_TEST((ask(c, data.query(0)) == answer));
    BOOST_TEST(c.stats().version == version);
    BOOST_TEST(graphs(folder.path()).size() == 1u);
    BOOST_TEST(graphs(folder.path(), ".vector_quant").empty());
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(what_is_written_meanwhile_is_there_and_found) {
  const Clusters data(many + 100, dimension, 40, 7);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  bool wrote = false;
  c.create_index("v", {.index = graph, .quantizer = Sq8{}}, {.progress = [&](const Progress& p) {
                   if (p.stage != "build index" || wrote) return true;
                   wrote = true;
                   insert(c, data, many, many + 50);
                   c.flush();
                   insert(c, data, many + 50, many + 100);
                   c.erase(key(1), {Durability::none});
                   return true;
                 }});
  BOOST_TEST(wrote);
  const auto check = [&](const Files& in) {
    BOOST_TEST(in.count() == many + 99);
    BOOST_TEST((in.schema() == schema(Metric::l2, graph, Sq8{})));
    for (auto i = many; i < many + 100; i += 7) BOOST_TEST((ask(in, data.row(i), 1).keys == std::vector{key(i)}));
    BOOST_TEST((ask(in, data.row(1), 1).keys != std::vector{key(1)}));
    BOOST_TEST(ask(in, data.query(0)).visited < many);
    BOOST_TEST(in.verify().ok());
  };
  check(c);
  c.close();
  check(Files::open(folder.path()));
}

// The files that the index was built beside are gone before it is published.
BOOST_AUTO_TEST_CASE(who_rolls_back_meanwhile_gets_the_index_over_what_is_there_then) {
  const Clusters data(many, dimension, 40, 13);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), flat());
  insert(c, data, 0, many / 2);
  c.flush();
  const auto old = c.stats().version;
  insert(c, data, many / 2, many);
  bool back = false;
  c.create_index("v", {.index = graph}, {.progress = [&](const Progress& p) {
                   if (back || p.stage != "publish") return true;
                   back = true;
                   c.rollback_to(old);
                   for (const auto i : {many - 3, many - 2, many - 1}) insert(c, data, i, i + 1), c.flush();
                   return true;
                 }});
  BOOST_TEST(back);
  BOOST_TEST(c.count() == many / 2 + 3);
  BOOST_TEST((c.schema() == schema(Metric::l2, graph)));
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(in_the_background_searches_are_exact_until_it_is_built) {
  const Clusters data(many, dimension, 40, 8);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  const auto exact = ask(c, data.query(0));
  std::atomic<bool> go = false;
  const auto wait = [&](const Progress&) {
    while (!go) std::this_thread::yield();
    return true;
  };
  c.create_index("v", {.index = graph, .quantizer = Sq8{}}, {.progress = wait, .threads = 1, .background = true});
  BOOST_TEST((c.schema() == schema(Metric::l2, graph, Sq8{})));
  BOOST_TEST((ask(c, data.query(0)) == exact));
  BOOST_TEST((ask(Collection<MMapReadPolicy>::open(folder.path()), data.query(0)) == exact));
  go = true;
  BOOST_TEST(soon([&] { return ask(c, data.query(0)).visited < many; }));
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(c.stats().background_error == "");
  // Again, and closed before it is there: the schema stays, and who optimizes builds it.
  go = false;
  c.create_index("v", {.index = Hnsw{.m = 12}}, {.progress = [&](const Progress&) { return go = true, true; }, .background = true});
  c.close();
  auto again = Files::open(folder.path());
  BOOST_TEST((again.schema().vectors()[0].index() == IndexType(Hnsw{.m = 12})));
  BOOST_TEST(ask(again, data.query(0)).keys.size() == 10u);
  again.optimize();
  BOOST_TEST(recall(again, data) >= 0.95);
  BOOST_TEST(again.verify().ok());
}

BOOST_AUTO_TEST_CASE(one_that_is_stopped_in_the_background_is_built_by_the_next) {
  const Clusters data(many, dimension, 40, 9);
  auto c = filled<MemoryPolicy>(data, flat());
  std::atomic<int> asked = 0;
  c.create_index("v", {.index = graph}, {.progress = [&](const Progress&) { return ++asked, false; }, .background = true});
  BOOST_TEST(soon([&] { return asked > 0; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // longer than the first pause after a failure, which this is none
  BOOST_TEST(asked == 1);
  BOOST_TEST(c.stats().background_error == "");
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  c.create_index("v", {}, {.background = true});
  BOOST_TEST(soon([&] { return ask(c, data.query(0)).visited < many; }));
}

// The compactor waits for the builder: both are told before either is waited for.
BOOST_AUTO_TEST_CASE(closing_does_not_wait_until_an_index_is_built) {
  const Clusters data(many, dimension, 40, 12);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), flat(), {.background_compaction = true});
  insert(c, data, 0, many - 1);
  std::atomic<bool> building = false, go = false;
  c.create_index("v", {.index = graph},
                 {.progress =
                      [&](const Progress&) {
                        building = true;
                        while (!go) std::this_thread::yield();
                        return true;
                      },
                  .background = true});
  BOOST_TEST(soon([&] { return building.load(); }));
  insert(c, data, many - 1, many);
  c.flush();  // wakes the compactor
  std::thread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    go = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  c.close();
  later.join();
  BOOST_TEST(graphs(folder.path()).empty());
  BOOST_TEST(Files::open(folder.path()).count() == many);
}

BOOST_AUTO_TEST_CASE(readers_and_older_versions_keep_theirs_until_they_move) {
  const Clusters data(many, dimension, 40, 10);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  const auto before = c.stats().version;
  auto reader = Collection<MMapReadPolicy>::open(folder.path());
  const auto snapshot = c.snapshot();
  c.create_index("v", {.index = graph});
  BOOST_TEST((reader.schema() == flat()));
  BOOST_TEST(ask(reader, data.query(0)).visited == many);
  BOOST_TEST(snapshot.search({.field = "v", .query = data.query(0)}).stats().rows_visited == many);
  reader.refresh();
  BOOST_TEST((reader.schema() == schema(Metric::l2, graph)));
  BOOST_TEST(ask(reader, data.query(0)).visited < many);
  BOOST_TEST((Collection<MMapReadPolicy>::open(folder.path(), {.at_version = before}).schema() == flat()));
  c.rollback_to(before);
  BOOST_TEST((c.schema() == flat()));
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  insert(c, Clusters(many + 1, dimension, 40, 10), many, many + 1);
  BOOST_TEST(c.count() == many + 1);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_is_refused_and_changes_nothing) {
  const Clusters data(many, dimension, 40, 11);
  const FreshFolder folder;
  auto c = filled<MMapPolicy>(data, flat(), folder.path());
  const auto version = c.stats().version;
  const auto refused = [&](const char* field, const IndexSpec& spec) { return code_of([&] { c.create_index(field, spec); }); };
  BOOST_TEST((refused("x", {.index = graph}) == Errc::invalid_argument));
  BOOST_TEST((refused("n", {.index = graph}) == Errc::invalid_argument));
  const auto scalar = [&](auto&& work) {
    const auto error = error_of(work);
    return error && error->code() == Errc::invalid_argument && std::string_view(error->what()).find("field 'n' holds no vectors") != std::string_view::npos;
  };
  BOOST_TEST(scalar([&] { c.create_index("n", {.index = graph}); }));
  BOOST_TEST(scalar([&] { (void)c.search({.field = "n", .query = data.query(0)}); }));
  BOOST_TEST((refused("v", {.index = Hnsw{.m = 1}}) == Errc::invalid_argument));
  BOOST_TEST((refused("v", {.quantizer = Sq8{}}) == Errc::invalid_argument));
  BOOST_TEST((refused("v", {.index = graph, .metric = static_cast<Metric>(7)}) == Errc::invalid_argument));
  BOOST_TEST((refused("v", {}) == Errc::none));
  BOOST_TEST((code_of([&] { c.drop_index("x"); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([&] {
                c.create_index("v", {.index = graph}, {.progress = [&](const Progress&) {
                                 c.create_index("v", {.index = graph});
                                 return true;
                               }});
              }) == Errc::invalid_argument));
  BOOST_TEST((c.schema() == flat()));
  BOOST_TEST(c.stats().version == version);
  auto reader = Files::open(folder.path(), {.mode = OpenMode::read_only});
  BOOST_TEST((code_of([&] { reader.create_index("v", {.index = graph}); }) == Errc::read_only));
  c.close();
  BOOST_TEST((code_of([&] { c.create_index("v", {.index = graph}); }) == Errc::closed));
}

BOOST_AUTO_TEST_SUITE_END()
