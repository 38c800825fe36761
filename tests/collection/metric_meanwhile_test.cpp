// What happens while a field gets another metric.
#include <quiver/collection/metric_change.hpp>

#include <quiver/collection/collection.hpp>

#include "support/changed_metrics.hpp"
#include "support/error_code.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace metric_meanwhile {
using namespace quiver::test::changed_metrics;
}

BOOST_AUTO_TEST_SUITE(metric_meanwhile)

BOOST_AUTO_TEST_CASE(what_is_written_meanwhile_is_measured_too) {
  const ElementRows data(Element::float16, 300, dimension, 11), asked(Element::float16, 9, dimension, 12);
  for (const auto from : every_metric)
    for (const auto to : every_metric)
      for (const std::string_view stage : {"verify", "publish"}) {
        if (from == to) continue;
        const FreshFolder folder;
        auto c = made<MMapPolicy>(folder, schema_of(Element::float16, from, graph));
        insert(c, data, numbers(0, 200));
        const auto before = right_answers(data, asked, from, numbers(0, 200));
        const auto reader = Readers::open(folder.path());
        bool wrote = false;
        c.create_index("v", {.metric = to}, {.progress = [&](const Progress& p) {
                         BOOST_TEST((metric_of(c) == from));
                         if (wrote || p.stage != stage) return true;
                         wrote = true;
                         BOOST_TEST(answers(c, asked) == before);
                         insert(c, data, numbers(200, 230));
                         c.flush();
                         insert(c, data, numbers(230, 300));
                         c.erase({key(3), key(203), key(240)});
                         return true;
                       }});
        BOOST_TEST(wrote);
        auto left = numbers(0, 300);
        std::erase_if(left, [](std::size_t i) { return i == 3 || i == 203 || i == 240; });
        BOOST_TEST((c.schema() == schema_of(Element::float16, to, graph)));
        BOOST_TEST(answers(c, asked) == right_answers(data, asked, to, left));
        BOOST_TEST(answers(reader, asked) == before);
        check_documents(c, data, left);
        BOOST_TEST(c.verify().ok());
        c.close();
        BOOST_TEST(answers(Readers::open(folder.path()), asked) == right_answers(data, asked, to, left));
      }
}

BOOST_AUTO_TEST_CASE(what_comes_in_without_a_direction_meanwhile_ends_the_change) {
  const ElementRows data(Element::float32, 200, dimension, 13), asked(Element::float32, 9, dimension, 14);
  const std::vector<float> zeros(dimension, 0.0f);
  for (const bool flushed : {false, true}) {
    const FreshFolder folder;
    auto c = made<MMapPolicy>(folder, schema_of(Element::float32, Metric::l2, graph));
    insert(c, data, numbers(0, 200));
    c.flush();
    const auto had = files_of(folder.path(), ".vector_graph");
    bool wrote = false;
    const auto error = error_of([&] {
      c.create_index("v", {.metric = Metric::cosine}, {.progress = [&](const Progress& p) {
                       if (wrote || p.stage != "publish") return true;
                       wrote = true;
                       c.insert(Document{"zero", {{"n", 0}, {"v", zeros}, {"w", data.row(0)}}});
                       if (flushed) c.flush();
                       return true;
                     }});
    });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST((error->code() == Errc::invalid_vector));
    BOOST_TEST(std::string(error->what()).find("\"zero\"") != std::string::npos);
    BOOST_TEST((c.schema() == schema_of(Element::float32, Metric::l2, graph)));
    BOOST_TEST(c.count() == 201u);
    BOOST_TEST(c.search({.field = "v", .query = zeros, .k = 1})[0].key == "zero");
    BOOST_TEST((files_of(folder.path(), ".vector_graph") == had));
    BOOST_TEST(files_of(folder.path(), ".vector_index").size() == 10u);
    c.insert(Document{"another", {{"n", 0}, {"v", zeros}, {"w", data.row(0)}}});  // writing goes on
    c.erase({"zero", "another"});
    c.create_index("v", {.metric = Metric::cosine});
    BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::cosine, numbers(0, 200)));
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(a_change_that_is_stopped_leaves_everything_as_it_was) {
  const auto data = uneven(500, 19), asked = uneven(9, 19);
  const FreshFolder folder;
  auto c = made<MMapPolicy>(folder, schema_of(Element::float32, Metric::l2, graph));
  const auto left = fill(c, data);
  c.optimize();
  const auto version = c.stats().version;
  const auto had = files_of(folder.path(), ".vector_index"), graphs = files_of(folder.path(), ".vector_graph");
  for (const std::string_view stage : {"verify", "measure vectors", "build index", "publish"}) {
    bool stopped = false;
    std::uint64_t steps = 0;
    const auto stop = [&](const Progress& p) {
      BOOST_TEST((p.done >= steps && p.done <= p.total));
      steps = p.done;
      stopped = stopped || p.stage == stage;
      return !stopped;
    };
    BOOST_TEST((code_of([&] { c.create_index("v", {.metric = Metric::cosine}, {.progress = stop}); }) == Errc::cancelled));
    BOOST_TEST(stopped);
    BOOST_TEST(c.stats().version == version);
    BOOST_TEST((c.schema() == schema_of(Element::float32, Metric::l2, graph)));
    BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::l2, left));
    BOOST_TEST((files_of(folder.path(), ".vector_index") == had));
    BOOST_TEST((files_of(folder.path(), ".vector_graph") == graphs));
    BOOST_TEST(c.verify().ok());
  }
  std::uint64_t done = 0, total = 0;
  c.create_index("v", {.metric = Metric::cosine}, {.progress = [&](const Progress& p) { return done = p.done, total = p.total, true; }});
  BOOST_TEST(done == total);
  BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::cosine, left));
}

BOOST_AUTO_TEST_CASE(in_the_background_the_metric_changes_at_once) {
  const auto data = uneven(600, 5), asked = uneven(9, 5);
  const FreshFolder folder;
  auto c = made<MMapPolicy>(folder, schema_of(Element::float32, Metric::l2, graph));
  auto left = fill(c, data);
  std::atomic<bool> go = false;
  const auto wait = [&](const Progress&) {
    while (!go) std::this_thread::yield();
    return true;
  };
  c.create_index("v", {.metric = Metric::cosine}, {.progress = wait, .threads = 1, .background = true});
  BOOST_TEST((metric_of(c) == Metric::cosine));
  BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::cosine, left));
  BOOST_TEST(answers(Readers::open(folder.path()), asked) == right_answers(data, asked, Metric::cosine, left));
  BOOST_TEST(c.search({.field = "v", .query = asked.row(0), .k = 1}).stats().rows_visited == 600u);
  go = true;
  c.close();
  BOOST_TEST(Files::open(folder.path()).verify().ok());
}

// The files that the change was made from are gone before it is published.
BOOST_AUTO_TEST_CASE(who_rolls_back_meanwhile_has_the_change_made_of_what_is_there_then) {
  const ElementRows data(Element::float32, 120, dimension, 23), asked(Element::float32, 9, dimension, 24);
  for (const auto from : every_metric)
    for (const auto to : every_metric) {
      if (from == to) continue;
      const auto other = from != Metric::l2 && to != Metric::l2           ? Metric::l2
                         : from == Metric::cosine || to == Metric::cosine ? Metric::inner_product
                                                                          : Metric::cosine;
      for (const bool indexed : {false, true}) {
        const FreshFolder folder;
        const CreateOptions<MMapPolicy> options{.durability = Durability::buffered};
        auto c = Files::create(folder.path(), schema_of(Element::float32, other, indexed ? IndexType(graph) : IndexType(Flat{})), options);
        insert(c, data, numbers(0, 40));
        c.flush();
        const auto old = c.stats().version;
        c.create_index("v", {.metric = from});
        bool back = false;
        c.create_index("v", {.metric = to}, {.progress = [&](const Progress& p) {
                         if (back || p.stage != "publish") return true;
                         back = true;
                         c.rollback_to(old);
                         for (std::size_t i = 40; i < 120; i += 20) insert(c, data, numbers(i, i + 20)), c.flush();
                         return true;
                       }});
        BOOST_TEST(back);
        BOOST_TEST((metric_of(c) == to));
        BOOST_TEST(answers(c, asked) == right_answers(data, asked, to, numbers(0, 120)));
        BOOST_TEST(c.verify().ok());
        c.close();
        BOOST_TEST(answers(Readers::open(folder.path()), asked) == right_answers(data, asked, to, numbers(0, 120)));
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
