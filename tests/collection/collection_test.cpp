#include <quiver/collection/collection.hpp>

#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <ranges>

using namespace quiver;
using namespace quiver::test;

namespace collection {
namespace {

auto code(Errc wanted) {
  return [wanted](const Error& e) {
    if (e.code() != wanted) BOOST_TEST_MESSAGE("found " << e.what());
    return e.code() == wanted;
  };
}

Schema small_schema() { return Schema{Field::string("title"), VectorField("v", 3)}; }
Document small(const std::string& key, float x = 1.0f) { return Document{key, {{"title", "t-" + key}, {"v", {x, 0.0f, 0.0f}}}}; }

template <class P>
Collection<P> reopen(const std::filesystem::path& path) {
  return Collection<P>::open(path);
}

}  // namespace
}  // namespace collection

BOOST_AUTO_TEST_SUITE(collection)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_inserted_is_found_before_and_after_flush_and_reopen, P, WritablePolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  const auto documents = wide_documents(0, 50);
  std::string before;
  {
    auto c = Collection<P>::create(folder.path(), schema);
    c.insert(documents);
    for (const auto& d : documents) {
      const auto found = c.fetch(d.key());
      BOOST_TEST_REQUIRE(found.has_value());
      BOOST_TEST(same_fields(schema, d, *found));
    }
    before = digest(c, schema);
    c.flush();
    BOOST_TEST(digest(c, schema) == before);
    c.close();
  }
  auto c = reopen<P>(folder.path());
  BOOST_TEST(c.count() == 50u);
  BOOST_TEST(digest(c, schema) == before);
  for (const auto& d : documents) BOOST_TEST(same_fields(schema, d, *c.fetch(d.key())));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_store_written_under_one_policy_opens_under_every_other_at_the_same_time, P, WritablePolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  {
    auto c = Collection<P>::create(folder.path(), schema, {.segment_rows = 20});
    for (std::uint64_t i = 0; i < 90; i += 30) {
      c.insert(wide_documents(i, 30));
      c.flush();
    }
  }
  const auto mmap = Collection<MMapPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
  const auto checked = Collection<CheckedMMapPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
  const auto read = Collection<MMapReadPolicy>::open(folder.path());
  const auto memory = Collection<MemoryPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
  const auto file = Collection<FileReadPolicy>::open(folder.path());
  const auto writer = Collection<P>::open(folder.path());
  const auto expected = digest(mmap, schema);
  BOOST_TEST(mmap.count() == 90u);
  BOOST_TEST(digest(checked, schema) == expected);
  BOOST_TEST(digest(read, schema) == expected);
  BOOST_TEST(digest(memory, schema) == expected);
  BOOST_TEST(digest(file, schema) == expected);
  BOOST_TEST(digest(writer, schema) == expected);
  BOOST_TEST(writer.segments().size() == 5u);
}

BOOST_AUTO_TEST_CASE(a_volatile_collection_creates_nothing_anywhere) {
  const auto schema = wide_schema();
  auto c = Collection<MemoryPolicy>::create(schema);
  c.insert(wide_documents(0, 10));
  const auto before = digest(c, schema);
  c.flush();
  BOOST_TEST(digest(c, schema) == before);
  BOOST_TEST(c.versions().back().documents == 10u);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_taken_key_is_refused_before_and_after_flush_and_reopen_and_the_batch_leaves_no_trace, P, WritablePolicies) {
  const FreshFolder folder;
  {
    auto c = Collection<P>::create(folder.path(), small_schema());
    c.insert(small("a"));
    BOOST_CHECK_EXCEPTION(c.insert(small("a")), Error, code(Errc::duplicate_key));
    BOOST_CHECK_EXCEPTION(c.insert({small("b"), small("c"), small("b")}), Error, code(Errc::duplicate_key));
    BOOST_TEST(c.count() == 1u);
    BOOST_TEST(!c.fetch("b").has_value());
    c.insert(small("b"));
    c.flush();
    BOOST_CHECK_EXCEPTION(c.insert({small("d"), small("a")}), Error, code(Errc::duplicate_key));
    BOOST_TEST(c.count() == 2u);
  }
  auto c = reopen<P>(folder.path());
  BOOST_CHECK_EXCEPTION(c.insert(small("b")), Error, code(Errc::duplicate_key));
  c.insert(small("d"));
  BOOST_TEST(c.count() == 3u);
  BOOST_TEST(c.fetch("d")->id().value == 3u);
}

BOOST_AUTO_TEST_CASE(a_batch_with_an_error_in_its_middle_changes_nothing_however_large) {
  auto c = Collection<MemoryPolicy>::create(small_schema());
  c.insert(small("first"));
  std::vector<Document> batch;
  for (int i = 0; i < 5000; ++i) batch.push_back(small("k" + std::to_string(i)));
  batch.push_back(Document{"bad", {{"title", "x"}, {"v", {1.0f}}}});
  BOOST_CHECK_EXCEPTION(c.insert(batch), Error, code(Errc::dimension_mismatch));
  BOOST_TEST(c.count() == 1u);
  batch.pop_back();
  c.insert(batch);
  BOOST_TEST(c.count() == 5001u);
  for (const auto& d : batch) BOOST_TEST(c.fetch(d.key()).has_value());
}

BOOST_AUTO_TEST_CASE(each_kind_of_bad_document_is_refused_with_its_code) {
  auto c = Collection<MemoryPolicy>::create(Schema{Field::int32("n"), Field::string("s").nullable(), VectorField("v", 2).metric(Metric::cosine)});
  const auto refuse = [&](Document d, Errc wanted) { BOOST_CHECK_EXCEPTION(c.insert(d), Error, code(wanted)); };
  refuse(Document{"k", {{"v", {1.f, 2.f}}}}, Errc::schema_mismatch);
  refuse(Document{"k", {{"n", 1}, {"v", {1.f, 2.f}}, {"unknown", 1}}}, Errc::schema_mismatch);
  refuse(Document{"k", {{"n", "text"}, {"v", {1.f, 2.f}}}}, Errc::type_mismatch);
  refuse(Document{"k", {{"n", std::int64_t{1} << 40}, {"v", {1.f, 2.f}}}}, Errc::type_mismatch);
  refuse(Document{"k", {{"n", 1}, {"s", "\xFF"}, {"v", {1.f, 2.f}}}}, Errc::type_mismatch);
  refuse(Document{"k", {{"n", 1}, {"v", {1.f}}}}, Errc::dimension_mismatch);
  refuse(Document{"k", {{"n", 1}, {"v", {std::numeric_limits<float>::quiet_NaN(), 2.f}}}}, Errc::invalid_vector);
  refuse(Document{"k", {{"n", 1}, {"v", {0.f, 0.f}}}}, Errc::invalid_vector);
  refuse(Document{"", {{"n", 1}, {"v", {1.f, 2.f}}}}, Errc::invalid_argument);
  refuse(Document{std::string(1025, 'k'), {{"n", 1}, {"v", {1.f, 2.f}}}}, Errc::invalid_argument);
  BOOST_TEST(c.count() == 0u);
  c.insert(Document{std::string(1024, 'k'), {{"n", 1}, {"v", {1.f, 2.f}}}});
  BOOST_TEST(c.count() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(search_finds_unflushed_rows_like_flushed_ones_and_breaks_ties_by_doc_id, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), small_schema(), {.segment_rows = 3});
  for (int i = 0; i < 10; ++i) {
    c.insert(small("k" + std::to_string(i), static_cast<float>(i / 2)));
    if (i == 3 || i == 7) c.flush();
  }
  const auto hits = c.search({.field = "v", .query = {2.0f, 0.0f, 0.0f}, .k = 4});
  BOOST_TEST_REQUIRE(hits.size() == 4u);
  BOOST_TEST(hits[0].key == "k4");
  BOOST_TEST(hits[1].key == "k5");
  BOOST_TEST(hits[2].key == "k2");  // k2, k3, k6, k7 are all at distance 1
  BOOST_TEST(hits[3].key == "k3");
  BOOST_TEST(hits[0].distance == 0.0f);
  BOOST_TEST(hits[2].distance == 1.0f);
  BOOST_TEST(hits[0].document.template get<std::string>("title").value() == "t-k4");
  BOOST_CHECK_EXCEPTION((void)hits[0].document.template get<std::vector<float>>("v"), Error, code(Errc::not_found));
  BOOST_TEST(c.search({.field = "v", .query = {0.f, 0.f, 0.f}, .k = 100}).size() == 10u);
  BOOST_TEST(c.search({.field = "v", .query = {0.f, 0.f, 0.f}, .k = 0}).empty());
  BOOST_TEST(hits.stats().rows_visited == 10u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_batch_search_answers_as_single_searches_do, P, AllPolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), schema);
    c.insert(wide_documents(0, 700));
    c.flush();
    c.insert(wide_documents(700, 300));
  }
  const auto c = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
  std::mt19937 random(5);
  std::uniform_real_distribution<float> real(-1.f, 1.f);
  for (const auto& field : schema.vectors()) {
    std::vector<float> queries(37 * field.dimension());
    for (auto& x : queries) x = real(random);
    for (const std::size_t threads : {1u, 2u}) {
      const auto many = c.search_batch({.field = field.name(), .queries = queries, .k = 10, .fields = {"title"}, .threads = threads});
      BOOST_TEST_REQUIRE(many.size() == 37u);
      for (std::size_t q = 0; q < many.size(); ++q) {
        const auto one =
            c.search({.field = field.name(), .query = std::span(queries).subspan(q * field.dimension(), field.dimension()), .k = 10, .fields = {"title"}});
        BOOST_TEST_REQUIRE(one.size() == many[q].size());
        for (std::size_t i = 0; i < one.size(); ++i) {
          BOOST_TEST(one[i].key == many[q][i].key);
          BOOST_TEST(one[i].distance == many[q][i].distance);
          BOOST_TEST((one[i].document == many[q][i].document));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(requests_that_cannot_be_answered_are_typed_errors) {
  auto c = Collection<MemoryPolicy>::create(Schema{Field::string("title"), VectorField("v", 3).metric(Metric::cosine)});
  c.insert(small("a"));
  BOOST_CHECK_EXCEPTION((void)c.search({.field = "w", .query = {1.f, 2.f, 3.f}}), Error, code(Errc::invalid_argument));
  BOOST_CHECK_EXCEPTION((void)c.search({.field = "v", .query = {1.f, 2.f}}), Error, code(Errc::dimension_mismatch));
  BOOST_CHECK_EXCEPTION((void)c.search({.field = "v", .query = {0.f, 0.f, 0.f}}), Error, code(Errc::invalid_vector));
  BOOST_CHECK_EXCEPTION((void)c.search({.field = "v", .query = {1.f, 2.f, 3.f}, .fields = {"nope"}}), Error, code(Errc::invalid_argument));
  BOOST_CHECK_EXCEPTION((void)c.search_batch({.field = "v", .queries = {1.f, 2.f, 3.f, 4.f}}), Error, code(Errc::dimension_mismatch));
  BOOST_CHECK_EXCEPTION((void)c.fetch("a", {"nope"}), Error, code(Errc::invalid_argument));
  BOOST_CHECK_EXCEPTION((void)c.scan({.fields = {"nope"}}), Error, code(Errc::invalid_argument));
  BOOST_TEST(!c.fetch("missing").has_value());
  BOOST_TEST(!c.fetch(DocId{77}).has_value());
  BOOST_TEST(!c.fetch(DocId{0}).has_value());
}

BOOST_AUTO_TEST_CASE(options_that_no_collection_can_have_are_refused_and_nothing_is_made) {
  const FreshFolder folder;
  const auto refused = [&](const CreateOptions<MMapPolicy>& options) {
    BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::create(folder.path(), small_schema(), options), Error, code(Errc::invalid_argument));
    BOOST_TEST(!std::filesystem::exists(folder.path()));
  };
  refused({.segment_rows = 0});
  refused({.retain = {.versions = 0}});
  refused({.retain = {.age = std::chrono::seconds(-1)}});
  refused({.preferred_policy = std::string(257, 'p')});
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::create("", small_schema()), Error, code(Errc::invalid_argument));
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(""), Error, code(Errc::invalid_argument));
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.preferred_policy = std::string(256, 'p')});
  BOOST_TEST(c.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_refresh_moves_neither_a_writer_nor_who_asked_for_a_version) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.retain = {.versions = 5}});
  c.insert(small("a"));
  c.flush();
  auto past = Collection<MMapReadPolicy>::open(folder.path(), {.at_version = c.stats().version});
  c.insert(small("b"), {Durability::none});
  c.refresh();
  BOOST_TEST(c.count() == 2u);
  c.insert(small("c"), {Durability::none});
  c.refresh();
  c.flush();
  BOOST_TEST(c.count() == 3u);
  past.refresh();
  BOOST_TEST(past.count() == 1u);
  c.close();
  BOOST_CHECK_EXCEPTION(c.refresh(), Error, code(Errc::closed));
}

BOOST_AUTO_TEST_CASE(a_scan_is_an_input_range_in_doc_id_order_with_projection_and_limit) {
  static_assert(std::ranges::input_range<ScanResult>);
  static_assert(std::movable<ScanResult> && !std::copyable<ScanResult>);
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  for (int i = 0; i < 6; ++i) {
    c.insert(small("k" + std::to_string(i)));
    if (i % 2 == 1) c.flush();
  }
  c.insert(small("k6"));
  std::vector<std::string> keys;
  for (const Document& d : c.scan({.fields = {"title", "title"}, .limit = 5})) {
    keys.push_back(d.key());
    BOOST_TEST(d.has("title"));
    BOOST_TEST(!d.has("v"));
    c.insert(small("new" + d.key()));  // writing while a scan runs does not disturb it
    BOOST_TEST(c.search({.field = "v", .query = {1.f, 0.f, 0.f}, .k = 1}).size() == 1u);
  }
  BOOST_TEST(keys == (std::vector<std::string>{"k0", "k1", "k2", "k3", "k4"}), boost::test_tools::per_element());
  std::size_t all = 0;
  for (const Document& d : c.scan({.fields = FieldNames::none()})) {
    BOOST_TEST(d.fields().empty());
    ++all;
  }
  BOOST_TEST(all == 12u);
  BOOST_TEST(std::ranges::distance(c.scan({.limit = 0})) == 0);
  auto scan = c.scan({.limit = 2});
  auto at = scan.begin();
  BOOST_TEST(at->key() == "k0");
  at++;
  BOOST_TEST(scan.begin()->key() == "k1");                       // an input range begins where it is
  for (int i = 0; i < 2; ++i) BOOST_TEST((++at == scan.end()));  // and there it stays
}

BOOST_AUTO_TEST_CASE(a_snapshot_keeps_showing_its_moment_through_flushes_and_after_close) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.insert(small("a"));
  const auto first = c.snapshot();
  c.insert(small("b"));
  c.flush();
  c.insert(small("c"));
  const auto second = c.snapshot();
  c.close();
  BOOST_TEST(first.count() == 1u);
  BOOST_TEST(!first.fetch("b").has_value());
  BOOST_TEST(first.fetch("a").has_value());
  BOOST_TEST(second.count() == 3u);
  BOOST_TEST(second.fetch("c")->get<std::string>("title").value() == "t-c");
  BOOST_TEST(second.search({.field = "v", .query = {1.f, 0.f, 0.f}}).size() == 3u);
  BOOST_CHECK_EXCEPTION((void)c.count(), Error, code(Errc::closed));
  BOOST_CHECK_EXCEPTION(c.insert(small("d")), Error, code(Errc::closed));
  BOOST_CHECK_EXCEPTION((void)c.schema(), Error, code(Errc::closed));
  c.close();
}

BOOST_AUTO_TEST_CASE(a_second_writer_is_locked_out_at_once_and_readers_are_not) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.insert(small("a"));
  c.flush();
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(folder.path()), Error, code(Errc::locked));
  BOOST_CHECK_EXCEPTION((void)Collection<MemoryPolicy>::open(folder.path()), Error, code(Errc::locked));
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::create(folder.path(), small_schema()), Error, code(Errc::already_exists));
  auto reader = Collection<MMapPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
  BOOST_TEST(reader.count() == 1u);
  BOOST_CHECK_EXCEPTION(reader.insert(small("b")), Error, code(Errc::read_only));
  BOOST_CHECK_EXCEPTION(reader.flush(), Error, code(Errc::read_only));
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 1u);
}

BOOST_AUTO_TEST_CASE(a_read_only_policy_refuses_read_write_at_run_time) {
  const FreshFolder folder;
  { auto c = Collection<MMapPolicy>::create(folder.path(), small_schema()); }
  BOOST_CHECK_EXCEPTION((void)Collection<MMapReadPolicy>::open(folder.path(), {.mode = OpenMode::read_write}), Error, code(Errc::read_only));
  BOOST_CHECK_EXCEPTION((void)Collection<FileReadPolicy>::open(folder.path(), {.mode = OpenMode::read_write}), Error, code(Errc::read_only));
  BOOST_TEST(Collection<MMapReadPolicy>::open(folder.path()).count() == 0u);
}

BOOST_AUTO_TEST_CASE(versions_are_kept_as_configured_and_open_by_number) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.retain = {.versions = 3}});
  for (int i = 0; i < 6; ++i) {
    c.insert(small("k" + std::to_string(i)));
    c.flush();
    c.flush();  // nothing pending: no version
  }
  std::vector<std::uint64_t> numbers;
  for (const auto& v : c.versions()) numbers.push_back(v.number);
  BOOST_TEST(numbers == (std::vector<std::uint64_t>{5, 6, 7}), boost::test_tools::per_element());
  const auto past = Collection<MMapReadPolicy>::open(folder.path(), {.at_version = 5});
  BOOST_TEST(past.count() == 4u);
  BOOST_TEST(!past.fetch("k4").has_value());
  BOOST_CHECK_EXCEPTION((void)Collection<MMapReadPolicy>::open(folder.path(), {.at_version = 4}), Error, code(Errc::not_found));
  BOOST_CHECK_EXCEPTION((void)Collection<MMapReadPolicy>::open(folder.path(), {.at_version = 8}), Error, code(Errc::not_found));
  auto here = Collection<MMapPolicy>::open(folder.path(), {.at_version = 7});  // beside the writer, so it must not want the lock
  BOOST_CHECK_EXCEPTION(here.insert(small("x")), Error, code(Errc::read_only));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_full_memtable_is_flushed_by_the_next_batch) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.flush_bytes = 1, .segment_rows = 4});
  for (int i = 0; i < 10; ++i) c.insert(small("k" + std::to_string(i)));
  const auto stats = c.stats();
  BOOST_TEST(stats.documents == 10u);
  BOOST_TEST(stats.memtable_documents == 1u);
  BOOST_TEST(stats.segments == 3u);
  BOOST_TEST(stats.version == 10u);
  BOOST_TEST(stats.resident > 0u);
  BOOST_TEST(stats.bytes.scalar > 0u);
  BOOST_TEST(stats.bytes.vector_index > 0u);
  BOOST_TEST(stats.bytes.ids > 0u);
  BOOST_TEST(stats.bytes.manifests > 0u);
  BOOST_TEST(stats.bytes.total == stats.bytes.scalar + stats.bytes.vector_index + stats.bytes.ids + stats.bytes.wal + stats.bytes.manifests);
  BOOST_TEST(stats.bytes.wal > 0u);
  const auto segments = c.segments();
  BOOST_TEST(segments[0].sealed);
  BOOST_TEST(segments[0].rows == 4u);
  BOOST_TEST(!segments[2].sealed);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_segment_opens_by_itself, P, AllPolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  auto c = Collection<MMapPolicy>::create(folder.path(), schema, {.segment_rows = 25});
  c.insert(wide_documents(0, 40));
  c.flush();
  const auto infos = c.segments();
  BOOST_TEST_REQUIRE(infos.size() == 2u);
  const auto segment = Segment<P>::open(folder.path(), infos[1].id);
  BOOST_TEST(segment.rows() == 15u);
  BOOST_TEST(segment.physical_schema().size() == 2 + schema.fields().size());
  BOOST_TEST(segment.physical_schema()[0].name == "_key");
  BOOST_TEST(segment.row_groups().size() == 1u);
  BOOST_TEST(segment.row_groups()[0].first_doc_id.value == 26u);
  const auto row = segment.fetch(RowId{3}, {"title"});
  BOOST_TEST(row->key() == "key-28");
  BOOST_TEST(!row->has("year"));
  BOOST_TEST(same_fields(schema, wide_document(39), *segment.fetch(RowId{14})));
  BOOST_TEST(!segment.fetch(RowId{15}).has_value());
  const auto query = *wide_document(30).template get<std::vector<float>>("l2");
  BOOST_TEST(segment.search({.field = "l2", .query = query, .k = 1})[0].key == "key-30");
  BOOST_CHECK_EXCEPTION((void)Segment<P>::open(folder.path(), SegmentId{99}), Error, code(Errc::not_found));
}

BOOST_AUTO_TEST_CASE(what_is_not_there_or_not_ours_is_said_and_left_alone) {
  const FreshFolder folder;
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(folder.path()), Error, code(Errc::not_found));
  BOOST_TEST(!std::filesystem::exists(folder.path()));
  std::filesystem::create_directories(folder.path());
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(folder.path()), Error, code(Errc::not_found));
  BOOST_TEST(std::filesystem::is_empty(folder.path()));
  { auto c = Collection<MMapPolicy>::create(folder.path(), small_schema()); }
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 0u);
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::create("", small_schema()), Error, code(Errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_create_that_died_within_the_log_is_no_collection_and_is_taken_over) {
  const FreshFolder folder;
  const auto store = folder.path(), begun = folder.path("begun");
  auto living = Collection<MMapPolicy>::create(begun, small_schema());
  living.insert(small("a"));
  const auto log = read_store(begun).at("wal-000001");
  // Of the log its header, its first mark and its room may be there, of a mark any part.
  for (std::size_t size = 0; size <= 112; ++size) {
    std::filesystem::remove_all(store);
    put_file(store / "wal-000001", log.substr(0, size));
    BOOST_TEST_CONTEXT("the first " << size << " bytes") { BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(store), Error, code(Errc::not_found)); }
  }
  auto c = Collection<MMapPolicy>::create(store, small_schema());
  BOOST_TEST(c.count() == 0u);
  // Behind them there are batches, which a create that was cut short cannot have written.
  put_file(folder.path("lost") / "wal-000001", log.substr(0, 200));
  BOOST_CHECK_EXCEPTION((void)Collection<MMapPolicy>::open(folder.path("lost")), Error, code(Errc::corruption));
}

BOOST_AUTO_TEST_CASE(leftovers_of_a_writer_that_died_are_collected_at_the_next_read_write_open_only) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
    c.insert(small("a"));
  }
  const auto leave = [&](const std::string& name) { std::filesystem::copy_file(folder.path() / "MANIFEST_00000000000002", folder.path() / name); };
  leave("idmap-000099");
  leave("MANIFEST_00000000000009.tmp");
  leave("seg-000001/blk-000099.scalar");
  leave("notes.txt");
  { const auto reader = Collection<MMapReadPolicy>::open(folder.path()); }
  BOOST_TEST(std::filesystem::exists(folder.path() / "idmap-000099"));
  { const auto writer = Collection<MMapPolicy>::open(folder.path()); }
  BOOST_TEST(!std::filesystem::exists(folder.path() / "idmap-000099"));
  BOOST_TEST(!std::filesystem::exists(folder.path() / "MANIFEST_00000000000009.tmp"));
  BOOST_TEST(!std::filesystem::exists(folder.path() / "seg-000001/blk-000099.scalar"));
  BOOST_TEST(std::filesystem::exists(folder.path() / "notes.txt"));
}

BOOST_AUTO_TEST_CASE(a_collection_moves_and_its_moved_from_husk_is_closed) {
  auto a = Collection<MemoryPolicy>::create(small_schema());
  a.insert(small("a"));
  Collection b = std::move(a);
  BOOST_TEST(b.count() == 1u);
  BOOST_CHECK_EXCEPTION((void)a.count(), Error, code(Errc::closed));  // NOLINT(bugprone-use-after-move): what is tested
  auto& self = b;
  b = std::move(self);
  BOOST_TEST(b.count() == 1u);
  b = Collection<MemoryPolicy>::create(small_schema());
  BOOST_TEST(b.count() == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
