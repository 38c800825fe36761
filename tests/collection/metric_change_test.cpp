// Fields that hold data and get another metric.
#include <quiver/collection/metric_change.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/collection/repair.hpp>

#include "support/changed_metrics.hpp"
#include "support/error_code.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace metric_change {
using namespace quiver::test::changed_metrics;
}

BOOST_AUTO_TEST_SUITE(metric_change)

BOOST_AUTO_TEST_CASE(answers_are_those_of_a_collection_that_never_had_another_metric) {
  std::size_t turn = 0;
  for (const auto element : all_elements) {
    ++turn;
    const ElementRows data(element, 250, dimension, 3), asked(element, 12, dimension, 4);
    for (const auto from : every_metric)
      for (const auto to : every_metric) {
        if (from == to) continue;
        const auto with = [&]<class P>(std::type_identity<P>) {
          BOOST_TEST_CONTEXT(P::name << ", " << to_string(element) << ", from " << to_string(from) << " to " << to_string(to)) {
            const FreshFolder folder;
            auto c = made<P>(folder, schema_of(element, from));
            auto left = fill(c, data);
            std::erase_if(left, [](std::size_t i) { return i >= 230; });
            for (std::size_t i = 230; i < 250; ++i) c.erase(key(i));  // for afterwards
            const auto others = answers(c, asked, "w");
            BOOST_TEST(answers(c, asked) == right_answers(data, asked, from, left));
            const auto version = c.stats().version;
            c.create_index("v", {.metric = to});
            BOOST_TEST(c.stats().version == version + 2, "what was in memory, then the change");
            BOOST_TEST((c.schema() == schema_of(element, to)));
            BOOST_TEST(c.stats().memtable_documents == 0u);
            BOOST_TEST(answers(c, asked) == right_answers(data, asked, to, left));
            BOOST_TEST(answers(c, asked, "w") == others);
            check_documents(c, data, left);
            BOOST_TEST(c.verify().ok());
            // Nothing to be done, and nothing is.
            c.create_index("v", {.metric = to});
            BOOST_TEST(c.stats().version == version + 2);
            insert(c, data, numbers(230, 240));
            c.flush();
            insert(c, data, numbers(240, 250));
            for (std::size_t i = 230; i < 250; ++i) left.push_back(i);
            const auto all = right_answers(data, asked, to, left);
            BOOST_TEST(answers(c, asked) == all);
            if constexpr (!std::same_as<P, MemoryPolicy>) {
              BOOST_TEST(answers(Readers::open(folder.path()), asked) == all, "rows of the log too");
              c.close();
              BOOST_TEST(answers(Readers::open(folder.path()), asked) == all);
              c = Collection<P>::open(folder.path());
            }
            c.optimize();
            BOOST_TEST(c.stats().segments < 6u);
            BOOST_TEST(answers(c, asked) == all);
            check_documents(c, data, left);
            BOOST_TEST(c.verify().ok());
          }
        };
        with(std::type_identity<MemoryPolicy>{});
        // Syncs take their time: each pair with two elements, each element with half of the pairs.
        if (++turn % 2 == 0) with(std::type_identity<MMapPolicy>{});
      }
  }
}

BOOST_AUTO_TEST_CASE(graphs_and_codes_are_built_for_the_new_metric) {
  const std::size_t many = sanitized ? 1'000 : 2'000;
  const auto data = uneven(many, 3), asked = uneven(20, 3);
  const auto with = [&](Metric from, const IndexType& index, const IndexSpec& spec, bool background) {
    const auto to = *spec.metric;
    BOOST_TEST_CONTEXT("from " << to_string(from) << " to " << to_string(to) << ", background " << background) {
      const FreshFolder folder;
      auto c = Files::create(folder.path(), schema_of(Element::float32, from, index));
      insert(c, data, numbers(0, many / 2));
      c.optimize();
      insert(c, data, numbers(many / 2, many));
      c.create_index("v", spec, {.threads = 2, .background = background});
      BOOST_TEST((metric_of(c) == to));
      if (background) BOOST_TEST(soon([&] { return c.search({.field = "v", .query = asked.row(0)}).stats().rows_visited < many / 2; }));
      BOOST_TEST(c.stats().background_error == "");
      const auto fresh = [&] {
        auto other = Collection<MemoryPolicy>::create(c.schema());
        insert(other, data, numbers(0, many));
        other.optimize();
        return recall(other, asked);
      }();
      const auto found = recall(c, asked);
      BOOST_TEST_MESSAGE(to_string(from) << " -> " << to_string(to) << ": recall " << found << ", built at once " << fresh);
      BOOST_TEST(found >= (to == Metric::inner_product ? fresh - 0.03 : 0.95));
      BOOST_TEST(answers(c, asked) == right_answers(data, asked, to, numbers(0, many)));
      BOOST_TEST(c.verify().ok());
      c.close();
      const auto again = Readers::open(folder.path());
      BOOST_TEST(recall(again, asked) == found);
      BOOST_TEST(answers(again, asked) == right_answers(data, asked, to, numbers(0, many)));
    }
  };
  for (const auto from : every_metric)
    for (const auto to : every_metric)
      if (from != to) with(from, graph, {.metric = to}, false);
  with(Metric::l2, Flat{}, {.index = graph, .metric = Metric::cosine}, false);
  with(Metric::l2, graph, {.quantizer = Sq8{}, .metric = Metric::cosine}, false);
  with(Metric::cosine, graph, {.index = Hnsw{.m = 10, .ef_construction = 60, .ef = 64}, .quantizer = Sq4{}, .metric = Metric::l2}, false);
  with(Metric::inner_product, graph, {.metric = Metric::cosine}, true);
  with(Metric::cosine, Flat{}, {.index = graph, .quantizer = Float16{}, .metric = Metric::l2}, true);
}

BOOST_AUTO_TEST_CASE(a_document_without_a_direction_is_named_and_nothing_changes) {
  const ElementRows data(Element::float32, 120, dimension, 7), asked(Element::float32, 5, dimension, 8);
  for (const auto element : {Element::float32, Element::float16, Element::int8}) {
    const FreshFolder folder;
    const Schema before = Schema{VectorField("v", dimension).element(element), VectorField("w", dimension)};
    auto c = Files::create(folder.path(), before, {.retain = {.versions = 20}});
    const std::vector<float> zeros(dimension, 0.0f), one(dimension, 1.0f), negative(dimension, -0.0f);
    const auto of = [&](const std::string& name, const std::vector<float>& v) { return Document{name, {{"v", v}, {"w", one}}}; };
    c.insert({of("a", one), of("flushed", zeros), of("b", one)});
    c.flush();
    c.insert({of("second", element == Element::int8 ? zeros : negative), of("c", one)});
    c.flush();
    c.insert({of("in memory", zeros), of("d", one)});
    for (const std::string name : {"flushed", "second", "in memory"}) {
      for (const bool background : {false, true}) {
        const auto held = digest(c, before);
        const auto error = error_of([&] { c.create_index("v", {.metric = Metric::cosine}, {.background = background}); });
        BOOST_REQUIRE(error.has_value());
        BOOST_TEST((error->code() == Errc::invalid_vector));
        const std::string text = error->what();
        BOOST_TEST(text.find('"' + name + '"') != std::string::npos, text);
        BOOST_TEST(text.find("\"v\"") != std::string::npos, text);
        BOOST_TEST(text.find("erase or update") != std::string::npos, text);
        BOOST_TEST((c.schema() == before));
        BOOST_TEST(digest(c, before) == held);
        BOOST_TEST(files_of(folder.path(), ".vector_index").size() == 2 * files_of(folder.path(), ".scalar").size());
        BOOST_TEST(c.verify().ok());
      }
      if (name == "second")
        c.update(name, {{"v", one}});
      else
        c.erase(name);
    }
    BOOST_TEST(c.count() == 5u);
    c.create_index("v", {.metric = Metric::cosine});
    BOOST_TEST((metric_of(c) == Metric::cosine));
    BOOST_TEST((code_of([&] { c.insert(of("later", zeros)); }) == Errc::invalid_vector));
    const auto found = c.search({.field = "v", .query = one, .k = 9});
    BOOST_TEST(found.size() == 5u);
    for (const Hit& hit : found) BOOST_TEST(std::abs(hit.distance) < 1e-6f);
    // The other metrics know no directions.
    c.create_index("v", {.metric = Metric::inner_product});
    c.insert(of("later", zeros));
    BOOST_TEST((code_of([&] { c.create_index("v", {.metric = Metric::cosine}); }) == Errc::invalid_vector));
    c.create_index("v", {.metric = Metric::l2});
    BOOST_TEST(c.count() == 6u);
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(a_deleted_row_without_a_direction_is_no_hindrance) {
  const std::size_t many = sanitized ? 600 : 1'500;
  const auto data = uneven(many, 9, 0), asked = uneven(20, 9);  // the row where walks begin
  const FreshFolder folder;
  auto c = Files::create(folder.path(), Schema{VectorField("v", dimension).index(graph)}, {.retain = {.versions = 20}, .live_index = false});
  std::vector<Document> batch;
  for (std::size_t i = 0; i < many; ++i) batch.push_back(Document{key(i), {{"v", data.row(i)}}});
  c.insert(batch, {Durability::none});
  c.flush();
  const auto lives = c.stats().version;
  c.erase(key(0));
  c.create_index("v", {.quantizer = Sq8{}, .metric = Metric::cosine});
  BOOST_TEST(recall(c, asked) >= 0.95);
  for (const Hit& hit : c.search({.field = "v", .query = asked.row(0), .k = many})) BOOST_TEST((hit.key != key(0) && std::isfinite(hit.distance)));
  BOOST_TEST(c.verify().ok());
  // In a version in which it lives the metric is the one before.
  c.rollback_to(lives);
  BOOST_TEST((metric_of(c) == Metric::l2));
  BOOST_TEST(c.fetch(key(0)).has_value());
  BOOST_TEST((code_of([&] { c.create_index("v", {.metric = Metric::cosine}); }) == Errc::invalid_vector));
  // Somebody brings it back while norms are written of blocks in which it was deleted.
  c.erase(key(0));
  c.flush();
  bool back = false;
  const auto bring_back = [&](const Progress& p) {
    if (p.stage == "publish" && !back) back = true, c.rollback_to(lives);
    return true;
  };
  BOOST_TEST((code_of([&] { c.create_index("v", {.index = Flat{}, .metric = Metric::cosine}, {.progress = bring_back}); }) == Errc::invalid_vector));
  BOOST_TEST(back);
  BOOST_TEST((metric_of(c) == Metric::l2));
  BOOST_TEST(c.count() == many);
  BOOST_TEST(files_of(folder.path(), ".vector_index").size() == 2u, "that of the versions under cosine, and the one before");
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(readers_snapshots_and_older_versions_keep_the_metric_that_they_had) {
  const ElementRows data(Element::int8, 260, dimension, 15), asked(Element::int8, 9, dimension, 16);
  const FreshFolder folder;
  auto c = made<MMapPolicy>(folder, schema_of(Element::int8, Metric::inner_product));
  auto left = fill(c, data);
  std::map<Metric, std::string> right;
  for (const auto metric : every_metric) right[metric] = right_answers(data, asked, metric, left);
  auto reader = Readers::open(folder.path());
  auto mapped = Collection<MMapReadPolicy>::open(folder.path());
  auto snapshot = c.snapshot();
  std::map<std::uint64_t, Metric> versions;
  auto metric = Metric::inner_product;
  // Each to each, so that blocks with norms are there under every metric.
  for (const auto to :
       {Metric::cosine, Metric::l2, Metric::cosine, Metric::inner_product, Metric::l2, Metric::inner_product, Metric::cosine, Metric::inner_product}) {
    c.flush();
    versions[c.stats().version] = metric;
    c.create_index("v", {.metric = to});
    BOOST_TEST(answers(c, asked) == right[to]);
    BOOST_TEST(answers(snapshot, asked) == right[metric]);
    BOOST_TEST(answers(reader, asked) == right[metric]);
    BOOST_TEST((metric_of(reader) == metric));
    reader.refresh();
    mapped.refresh();
    snapshot = c.snapshot();
    metric = to;
    BOOST_TEST(answers(reader, asked) == right[to]);
    BOOST_TEST(answers(mapped, asked) == right[to]);
    BOOST_TEST((metric_of(mapped) == to));
  }
  versions[c.stats().version] = metric;
  // Norms that are there once are not written again.
  BOOST_TEST(files_of(folder.path(), ".vector_index").size() == 3 * c.segments().size() + 6);
  for (const auto& [number, had] : versions) {
    BOOST_TEST_CONTEXT("version " << number) {
      BOOST_TEST(answers(Files::open(folder.path(), {.at_version = number}), asked) == right[had]);
      BOOST_TEST(answers(Readers::open(folder.path(), {.at_version = number}), asked) == right[had]);
    }
  }
  for (const auto& [number, had] : versions) {
    BOOST_TEST_CONTEXT("back to version " << number) {
      c.rollback_to(number);
      BOOST_TEST((metric_of(c) == had));
      BOOST_TEST(answers(c, asked) == right[had]);
      c.upsert(document(data, left.back()));
      BOOST_TEST(answers(c, asked) == right[had]);
      reader.refresh();
      mapped.refresh();
      BOOST_TEST(answers(reader, asked) == right[had]);
      BOOST_TEST(answers(mapped, asked) == right[had]);
    }
  }
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(copies_and_dumps_are_of_the_new_metric) {
  const ElementRows data(Element::uint8, 200, dimension, 17), asked(Element::uint8, 9, dimension, 18);
  const FreshFolder folder;
  for (const auto to : {Metric::cosine, Metric::l2}) {
    const auto name = std::string(to_string(to));
    auto c = made<MMapPolicy>(folder, schema_of(Element::uint8, to == Metric::l2 ? Metric::cosine : Metric::l2), name);
    auto left = fill(c, data);
    c.create_index("v", {.metric = to});
    c.erase(key(7));
    std::erase(left, std::size_t{7});
    c.upsert(document(data, left.back()));
    const auto right = right_answers(data, asked, to, left);
    BOOST_TEST(answers(c, asked) == right);
    for (const bool links : {false, true}) {
      const auto path = folder.path(name + (links ? "-linked" : "-copied"));
      c.backup(path, {.links = links});
      BOOST_TEST(answers(Readers::open(path), asked) == right);
      BOOST_TEST(Files::open(path).verify().ok());
    }
    BOOST_TEST(answers(c.copy_to<MemoryPolicy>(), asked) == right);
    c.dump(folder.path(name + "-dump"));
    BOOST_TEST(answers(Collection<MemoryPolicy>::load(folder.path(name + "-dump")), asked) == right);
    // As a killed writer leaves it: the log holds what came after the change.
    std::filesystem::copy(folder.path(name), folder.path(name + "-killed"), std::filesystem::copy_options::recursive);
    auto again = Files::open(folder.path(name + "-killed"));
    BOOST_TEST(again.stats().memtable_documents == 1u);
    BOOST_TEST(answers(again, asked) == right);
    again.create_index("v", {.metric = Metric::inner_product});  // an open that has written nothing yet
    BOOST_TEST(answers(again, asked) == right_answers(data, asked, Metric::inner_product, left));
    BOOST_TEST(again.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(vectors_that_are_damaged_where_they_have_norms_are_there_without) {
  const ElementRows data(Element::float32, 200, dimension, 21), asked(Element::float32, 9, dimension, 22);
  const FreshFolder folder;
  std::vector<std::size_t> left;
  std::set<std::string> fresh;
  {
    auto c = made<MMapPolicy>(folder, schema_of(Element::float32, Metric::l2));
    left = fill(c, data);
    c.flush();
    const auto before = files_of(folder.path(), ".vector_index");
    c.create_index("v", {.metric = Metric::cosine});
    fresh = files_of(folder.path(), ".vector_index");
    std::erase_if(fresh, [&](const std::string& name) { return before.contains(name); });
    c.erase(key(9));
    std::erase(left, std::size_t{9});
  }
  BOOST_REQUIRE(!fresh.empty());
  const auto damaged = folder.path() / *fresh.begin();
  auto bytes = read_store(folder.path()).at(*fresh.begin());
  bytes[100] ^= 4;
  put_file(damaged, bytes);
  const auto report = repair(folder.path());
  BOOST_TEST(report.possible);
  BOOST_TEST(report.documents_lost == 0u);
  BOOST_TEST(std::any_of(report.problems.begin(), report.problems.end(), [](const Problem& p) { return p.what.find("metric") != std::string::npos; }));
  BOOST_TEST(repair(folder.path(), {.dry_run = false}).documents_lost == 0u);
  auto c = Files::open(folder.path());
  BOOST_TEST((metric_of(c) == Metric::l2));
  BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::l2, left));
  c.create_index("v", {.metric = Metric::cosine});
  BOOST_TEST(answers(c, asked) == right_answers(data, asked, Metric::cosine, left));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_SUITE_END()
