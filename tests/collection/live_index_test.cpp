#include <quiver/collection/live_index.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/graph_shape.hpp"
#include "support/indexed_rows.hpp"
#include "support/leave_child.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <set>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace live_index {
using namespace quiver::test::indexed_rows;
namespace {

using Faulty = FaultyFileSystem<PosixFileSystem>;
using FaultyPolicy = BasicMMapPolicy<Faulty>;

/// A new collection of the first rows, none of which are flushed.
template <class P, class... Where>
Collection<P> in_memory(const Clusters& data, const Schema& schema, const Where&... where) {
  auto c = Collection<P>::create(where..., schema);
  insert(c, data, 0, many);
  return c;
}
/// As recall(), and search_batch() says the same.
template <class C>
double checked_recall(const C& c, const Clusters& data) {
  std::vector<float> all;
  for (std::size_t q = 0; q < 40; ++q) all.insert(all.end(), data.query(q).begin(), data.query(q).end());
  const auto batch = c.search_batch({.field = "v", .queries = all, .k = 10, .fields = FieldNames::none()});
  for (std::size_t q = 0; q < 40; ++q) {
    const auto one = ask(c, data.query(q));
    BOOST_REQUIRE(batch[q].size() == 10u);
    BOOST_TEST(batch[q].stats().rows_visited == one.visited);
    for (std::size_t i = 0; i < 10; ++i) BOOST_TEST((batch[q][i].key == one.keys[i] && batch[q][i].distance == one.distances[i]));
  }
  return recall(c, data);
}
/// The graphs that the newest version names, by links of a row on the ground.
std::vector<std::size_t> graph_degrees(const std::filesystem::path& path) {
  const auto store = std::make_shared<MMapPolicy::Store>(MMapPolicy::open_store(path, {}, OpenMode::read_only));
  std::vector<std::size_t> out;
  const auto version = detail::open_newest<MMapPolicy>(store);
  for (const auto& part : version->parts)
    for (std::size_t i = 0; i < part->vector_fields(); ++i)
      if (const auto* const graph = part->graph(i)) {
        BOOST_TEST(graph->graph().ground.nodes == part->rows());
        BOOST_TEST(out_of_reach(graph->graph()) == 0u);
        out.push_back(graph->graph().ground.degree);
      }
  return out;
}

}  // namespace
}  // namespace live_index

BOOST_AUTO_TEST_SUITE(live_index)

BOOST_AUTO_TEST_CASE(rows_in_memory_are_found_along_a_graph_soon) {
  const auto check = [](auto&& c, const Clusters& data) {
    // At once by looking at them, and nothing is missing then either.
    const auto first = ask(c, data.query(3));
    BOOST_TEST(first.keys.size() == 10u);
    BOOST_TEST(soon([&] { return linked(c); }));
    BOOST_TEST(c.stats().memtable_documents == many);
    const auto found = checked_recall(c, data);
    BOOST_TEST_MESSAGE("recall " << found);
    BOOST_TEST(found >= 0.95);
    BOOST_TEST((ask(c, data.query(3), 10, Hnsw::max_ef).distances == first.distances || found < 1));
    for (std::size_t i = 0; i < many; i += 97) BOOST_TEST((ask(c, data.row(i), 1).keys == std::vector{key(i)}));
    BOOST_TEST(c.stats().background_error == "");
  };
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine}) {
    const Clusters data(many, dimension, 40, 3);
    if (metric == Metric::inner_product) continue;  // whose nearest is not the row itself
    check(in_memory<MemoryPolicy>(data, schema(metric)), data);
    const FreshFolder folder;
    check(in_memory<MMapPolicy>(data, schema(metric), folder.path()), data);
  }
  const Clusters data(many, dimension, 40, 3);
  auto c = in_memory<MemoryPolicy>(data, schema(Metric::inner_product));
  BOOST_TEST(soon([&] { return linked(c); }));
  BOOST_TEST(checked_recall(c, data) >= 0.9);
}

BOOST_AUTO_TEST_CASE(without_the_option_or_the_rows_there_is_no_graph) {
  const Clusters data(many, dimension, 40, 3);
  auto c = Collection<MemoryPolicy>::create(schema(), {.live_index = false});
  auto few = Collection<MemoryPolicy>::create(schema());
  auto flat = Collection<MemoryPolicy>::create(schema(Metric::l2, Flat{}));
  insert(c, data, 0, many);
  insert(few, data, 0, 999);
  insert(flat, data, 0, many);
  const auto one = few.stats().resident;
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  BOOST_TEST(ask(few, data.query(0)).visited == 999u);
  BOOST_TEST(ask(flat, data.query(0)).visited == many);
  BOOST_TEST(few.stats().resident == one);
  // One more, and it begins.
  insert(few, data, 999, 1'000);
  BOOST_TEST(soon([&] { return linked(few); }));
  BOOST_TEST(few.stats().resident >= one + 1'000 * 2 * 8 * 4);
}

BOOST_AUTO_TEST_CASE(deleted_rows_are_never_found_and_never_missed) {
  const Clusters data(many, dimension, 40, 6);
  auto c = in_memory<MemoryPolicy>(data, schema());
  BOOST_TEST(soon([&] { return linked(c); }));
  std::set<std::string> dead;
  std::vector<std::string> batch;
  for (std::size_t i = 0; i < many; i += 2) batch.push_back(key(i));
  dead.insert(batch.begin(), batch.end());
  c.erase(std::span<const std::string>(batch));
  BOOST_TEST(checked_recall(c, data) >= 0.95);
  for (std::size_t q = 0; q < 20; ++q)
    for (const auto& found : ask(c, data.query(q), 40).keys) BOOST_TEST(!dead.contains(found));
  // The nearest to one query, all of them: the walk ends among the dead, and the answer is whole all the same.
  const auto near = ask(c, data.query(3), many / 4, Hnsw::max_ef).keys;
  c.erase(std::span<const std::string>(near));
  const auto left = ask(c, data.query(3), 10);
  BOOST_TEST((left.distances == ask(c, data.query(3), 10, Hnsw::max_ef).distances));
  // Replaced ones are found under what took their place.
  for (std::size_t i = 1; i < 60; i += 2) c.upsert(Document{key(i), {{"n", 1}, {"v", data.row(i)}}});
  for (std::size_t i = 1; i < 60; i += 2) BOOST_TEST((ask(c, data.row(i), 1).keys == std::vector{key(i)}));
}

BOOST_AUTO_TEST_CASE(a_moment_before_the_graph_sees_its_own_rows) {
  const Clusters data(many, dimension, 40, 5);
  auto c = Collection<MemoryPolicy>::create(schema());
  insert(c, data, 0, many / 3);
  const auto before = c.snapshot();
  insert(c, data, many / 3, many - 2);
  c.erase(key(0));
  const auto late = c.snapshot();
  insert(c, data, many - 2, many);
  BOOST_TEST(soon([&] { return linked(c); }));
  BOOST_TEST(recall(late, data) >= 0.95);
  // A walk would meet three rows for one of its moment, and all of these are as soon looked at.
  for (std::size_t q = 0; q < 20; ++q) BOOST_TEST((ask(before, data.query(q)) == ask(before, data.query(q), 10, Hnsw::max_ef)));
  for (std::size_t q = 0; q < 40; ++q)
    for (const auto& found : ask(before, data.query(q), 20).keys) BOOST_TEST(std::stoul(found.substr(1)) < many / 3);
  BOOST_TEST((ask(before, data.row(0), 1).keys == std::vector{key(0)}));
  BOOST_TEST((ask(late, data.row(0), 1).keys != std::vector{key(0)}));
  BOOST_TEST((ask(late, data.row(many - 1), 1).keys != std::vector{key(many - 1)}));
}

BOOST_AUTO_TEST_CASE(a_flush_writes_the_graph) {
  const Clusters data(many + 200, dimension, 40, 7);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  BOOST_TEST(soon([&] { return linked(c); }));
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16}));
  BOOST_TEST(c.stats().memtable_documents == 0u);
  const auto found = checked_recall(c, data);
  BOOST_TEST(found >= 0.95);
  BOOST_TEST(c.verify().ok());
  // Nothing is left to be built.
  const auto version = c.stats().version;
  c.optimize();
  BOOST_TEST(c.stats().version == version);
  c.close();
  const auto again = Collection<FileReadPolicy>::open(folder.path());
  BOOST_TEST(recall(again, data) == found);
}

// Under inner product nobody links to most rows but those that are told to.
BOOST_AUTO_TEST_CASE(in_a_graph_that_a_flush_writes_no_row_is_out_of_reach) {
  Clusters data(many, dimension, 40, 7);
  data.scale(7, 50);
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), schema(Metric::inner_product, Hnsw{.m = 4, .ef_construction = 20, .ef = 48}));
  insert(c, data, 0, many - 50);
  BOOST_TEST(soon([&] { return linked(c); }));
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{8}));
}

BOOST_AUTO_TEST_CASE(a_flush_links_the_last_few_rows_and_leaves_many_to_optimize) {
  const Clusters data(4 * many, dimension, 40, 7);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  BOOST_TEST(soon([&] { return linked(c); }));
  // However many of them it is given the time for.
  insert(c, data, many, many + 5);
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16}));
  for (std::size_t i = many; i < many + 5; ++i) BOOST_TEST((ask(c, data.row(i), 1).keys == std::vector{key(i)}));
  insert(c, data, many + 5, 4 * many);
  c.flush();
  BOOST_TEST(graph_degrees(folder.path()).size() == 1u);
  BOOST_TEST(ask(c, data.query(0)).visited > 3 * many - 5);
  c.optimize();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16}));
  BOOST_TEST(recall(c, data) >= 0.95);
  BOOST_TEST(c.verify().ok());
}

// A segment that is full takes some of the rows: no block has those of the graph.
BOOST_AUTO_TEST_CASE(rows_that_go_into_two_segments_have_no_graph_yet) {
  const Clusters data(many, dimension, 40, 7);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), schema(), {.segment_rows = many - 100});
  insert(c, data, 0, many);
  BOOST_TEST(soon([&] { return linked(c); }));
  c.flush();
  BOOST_TEST(graph_degrees(folder.path()).empty());
  BOOST_TEST(ask(c, data.query(0)).visited == many);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(what_is_recovered_is_linked_and_found_before_that) {
  const Clusters data(many, dimension, 40, 8);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  c.erase(key(7));
  c.insert(Document{"last", {{"n", 1}, {"v", data.query(9)}}}, {Durability::buffered});
  // What is there when the process dies.
  std::filesystem::copy(folder.path(), folder.path("dead.qvr"), std::filesystem::copy_options::recursive);
  {
    const auto reader = Collection<MMapPolicy>::open(folder.path("dead.qvr"), {.mode = OpenMode::read_only});
    BOOST_TEST(ask(reader, data.query(9)).visited == many + 1);
  }
  {
    auto again = Files::open(folder.path("dead.qvr"), {.live_index = false});
    BOOST_TEST(ask(again, data.query(9)).visited == many + 1);
    BOOST_TEST((ask(again, data.query(9), 1).keys == std::vector<std::string>{"last"}));
    std::filesystem::copy(folder.path("dead.qvr"), folder.path("deader.qvr"), std::filesystem::copy_options::recursive);
  }
  auto again = Files::open(folder.path("deader.qvr"));
  BOOST_TEST(again.count() == many);
  BOOST_TEST((ask(again, data.query(9), 1).keys == std::vector<std::string>{"last"}));
  BOOST_TEST((ask(again, data.row(7), 1).keys != std::vector{key(7)}));
  BOOST_TEST(soon([&] { return linked(again); }));
  BOOST_TEST(again.stats().memtable_documents == many + 1);
  BOOST_TEST(checked_recall(again, data) >= 0.95);
  BOOST_TEST((ask(again, data.query(9), 1).keys == std::vector<std::string>{"last"}));
  again.close();
  BOOST_TEST((graph_degrees(folder.path("deader.qvr")) == std::vector<std::size_t>{16}));
}

BOOST_AUTO_TEST_CASE(the_index_changes_while_rows_are_in_memory) {
  const Clusters data(many, dimension, 40, 9);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(Metric::l2, Flat{}), folder.path());
  const auto old = c.snapshot();
  const auto exact = ask(c, data.query(0));
  BOOST_TEST(exact.visited == many);
  c.create_index("v", {.index = Hnsw{.m = 8, .ef_construction = 60, .ef = 48}}, {.background = true});
  BOOST_TEST(soon([&] { return linked(c); }));
  BOOST_TEST(ask(old, data.query(0)).visited == many);  // a moment without an index stays one
  // The builder flushes what is there; what comes now is behind that.
  const Clusters more(3 * many, dimension, 40, 9);
  insert(c, more, many, 2 * many);
  BOOST_TEST(soon([&] { return linked(c); }));
  c.drop_index("v");
  BOOST_TEST(ask(c, data.query(0)).visited == 2 * many);
  BOOST_TEST((ask(c, data.row(5), 1).keys == std::vector{key(5)}));
  BOOST_TEST(c.verify().ok());
}

// The graph in memory is of the index before: no block may have it under the one after.
BOOST_AUTO_TEST_CASE(a_graph_with_other_parameters_is_not_written) {
  const Clusters data(many, dimension, 40, 9);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  BOOST_TEST(soon([&] { return linked(c); }));
  c.create_index("v", {.index = Hnsw{.m = 5, .ef_construction = 60, .ef = 48}}, {.background = true});
  c.flush();
  const auto degrees = graph_degrees(folder.path());
  BOOST_TEST((degrees.empty() || degrees == std::vector<std::size_t>{10}));
  BOOST_TEST(soon([&] { return graph_degrees(folder.path()) == std::vector<std::size_t>{10}; }));
  BOOST_TEST(soon([&] { return ask(c, data.query(0)).visited < many; }));  // a moment after it is there for others
  BOOST_TEST(recall(c, data) >= 0.95);
}

BOOST_AUTO_TEST_CASE(a_flush_that_fails_keeps_the_graph) {
  const Clusters data(many, dimension, 40, 10);
  const FreshFolder folder;
  auto c = in_memory<FaultyPolicy>(data, schema(), folder.path());
  BOOST_TEST(soon([&] { return linked(c); }));
  const auto before = recall(c, data);
  // The last writes of a flush are those of its manifest.
  Faulty::plan({});
  for (const std::size_t at : {1u, 3u, 4u}) {
    Faulty::plan({.at = at, .error = ENOSPC, .for_ever = true, .only = IoCall::write});
    BOOST_TEST((code_of([&] { c.flush(); }) == Errc::no_space));
    BOOST_TEST(Faulty::fired() != 0u);
    Faulty::clear();
    BOOST_TEST(linked(c));
    BOOST_TEST(c.stats().memtable_documents == many);
    BOOST_TEST(recall(c, data) == before);
    BOOST_TEST(graph_degrees(folder.path()).empty());
  }
  c.insert(Document{"last", {{"n", 1}, {"v", data.query(9)}}}, {Durability::none});
  BOOST_TEST((ask(c, data.query(9), 1).keys == std::vector<std::string>{"last"}));
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16}));
  BOOST_TEST((ask(c, data.query(9), 1).keys == std::vector<std::string>{"last"}));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_rollback_leaves_the_graph_with_the_rows_that_it_leaves) {
  const Clusters data(2 * many, dimension, 40, 11);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  BOOST_TEST(soon([&] { return linked(c); }));
  const auto empty = c.versions().front().number;
  c.rollback_to(empty);
  BOOST_TEST(ask(c, data.query(0)).keys.empty());
  insert(c, data, many, 2 * many);
  BOOST_TEST(soon([&] { return linked(c); }));
  BOOST_TEST(recall(c, data) >= 0.95);
  for (std::size_t q = 0; q < 20; ++q)
    for (const auto& found : ask(c, data.query(q)).keys) BOOST_TEST(std::stoul(found.substr(1)) >= many);
}

BOOST_AUTO_TEST_CASE(each_field_has_the_graph_that_it_asks_for) {
  const Clusters data(many, dimension, 40, 12);
  const FreshFolder folder;
  const Schema schema{VectorField("flat", dimension), VectorField("v", dimension).index(Hnsw{.m = 8, .ef_construction = 60, .ef = 48}),
                      VectorField("w", dimension).metric(Metric::cosine).index(Hnsw{.m = 5, .ef_construction = 40, .ef = 48})};
  auto c = Files::create(folder.path(), schema);
  std::vector<Document> batch;
  for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"flat", data.row(i)}, {"v", data.row(i)}, {"w", data.row(many - 1 - i)}}});
  c.insert(batch, {Durability::none});
  const auto visits = [&](const char* field, std::size_t ef) {
    return c.search({.field = field, .query = data.query(0), .k = 1, .ef = ef, .fields = FieldNames::none()}).stats().rows_visited;
  };
  BOOST_TEST(soon([&] { return visits("v", 1) <= 250 && visits("w", 1) <= 250; }));
  BOOST_TEST(visits("flat", 1) == many);
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16, 10}));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(close_does_not_wait_for_the_graph) {
  const Clusters data(many, dimension, 40, 13);
  const FreshFolder folder;
  auto c = Files::create(folder.path(), schema(Metric::l2, Hnsw{.m = 64, .ef_construction = 2'000}));
  insert(c, data, 0, many);
  BOOST_TEST(soon([&] { return c.stats().memtable_linked != 0; }));
  const auto began = std::chrono::steady_clock::now();
  c.close();
  BOOST_TEST((std::chrono::steady_clock::now() - began < std::chrono::seconds(sanitized ? 20 : 2)));
  BOOST_TEST(graph_degrees(folder.path()).empty());
  // So does an object that goes, and one that another one is moved into.
  auto second = Files::open(folder.path());
  insert(second, Clusters(2 * many, dimension, 40, 13), many, 2 * many);
  second = Files::create(folder.path("other.qvr"), schema());
  BOOST_TEST(Files::open(folder.path(), {.mode = OpenMode::read_only}).count() == 2 * many);
}

BOOST_AUTO_TEST_CASE(a_forked_child_searches_while_its_parent_links) {
  const Clusters data(many, dimension, 40, 14);
  const FreshFolder folder;
  auto c = in_memory<MMapPolicy>(data, schema(), folder.path());
  for (int round = 0; round < 5; ++round) {
    const auto child = ::fork();
    if (child == 0) {
      bool good = true;
      for (std::size_t i = 0; i < many; i += 301) good = good && ask(c, data.row(i), 3).keys.size() == 3;
      good = good && code_of([&] { c.flush(); }) == Errc::closed;
      c.close();
      leave_child(good ? 0 : 1);
    }
    BOOST_REQUIRE(child > 0);
    int status = 0;
    BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
  BOOST_TEST(soon([&] { return linked(c); }));
  c.flush();
  BOOST_TEST((graph_degrees(folder.path()) == std::vector<std::size_t>{16}));
}

BOOST_AUTO_TEST_SUITE_END()
