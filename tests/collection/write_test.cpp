#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace writing {
namespace {

Schema small_schema() { return Schema{Field::string("title"), Field::int32("n").nullable(), VectorField("v", 2)}; }
Document small(const std::string& key, float x = 1.0f) { return Document{key, {{"title", "t-" + key}, {"n", 7}, {"v", {x, 0.0f}}}}; }
std::vector<Document> many(std::uint64_t count, float x = 1.0f) {
  std::vector<Document> out;
  for (std::uint64_t i = 0; i < count; ++i) out.push_back(small("k" + std::to_string(i), x));
  return out;
}
template <class C>
std::string keys(const C& c) {
  std::string out;
  for (const Document& d : c.scan()) out += d.key() + std::to_string(d.id().value) + " ";
  return out;
}
template <class C>
std::string title(const C& c, const std::string& key) {
  const auto found = c.fetch(key);
  return found ? found->template get<std::string>("title").value() : "not there";
}

}  // namespace
}  // namespace writing

BOOST_AUTO_TEST_SUITE(writing)

BOOST_AUTO_TEST_CASE_TEMPLATE(an_upsert_puts_a_new_document_in_the_place_of_the_old_one_with_all_its_fields, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), small_schema());
  c.insert({small("a"), small("b")});
  for (const bool flushed : {false, true}) {
    if (flushed) c.flush();
    const auto old = c.fetch("a")->id();
    c.upsert(Document{"a", {{"title", flushed ? "third" : "second"}, {"v", {9.0f, 9.0f}}}});
    const auto found = c.fetch("a");
    BOOST_TEST(found->id().value == (flushed ? 4u : 3u));
    BOOST_TEST(found->template get<std::string>("title").value() == (flushed ? "third" : "second"));
    BOOST_TEST(!found->template get<int>("n").has_value());
    BOOST_TEST(!c.fetch(old).has_value());
    BOOST_TEST(c.count() == 2u);
    const auto hits = c.search({.field = "v", .query = {1.0f, 0.0f}, .k = 10});
    BOOST_TEST(hits.size() == 2u);
    BOOST_TEST(hits[0].key == "b");
  }
  BOOST_TEST(c.stats().deleted == 2u);
}

BOOST_AUTO_TEST_CASE(of_a_key_twice_in_an_upsert_the_last_one_counts) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.upsert({small("a", 1), small("b", 2), small("a", 3), small("a", 4)});
  BOOST_TEST(keys(c) == "b2 a4 ");
  BOOST_TEST(c.stats().deleted == 2u);
  c.flush();
  BOOST_TEST(keys(c) == "b2 a4 ");
  BOOST_TEST(c.fetch("a")->id().value == 4u);  // three rows of one key in one id run
  BOOST_TEST(c.erase("a"));
  BOOST_TEST(!c.erase("a"));
  BOOST_TEST(!c.fetch("a").has_value());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_update_replaces_the_named_fields_and_keeps_the_others, P, WritablePolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  auto c = Collection<P>::create(folder.path(), schema);
  c.insert(wide_documents(0, 8));
  for (const bool flushed : {false, true}) {
    if (flushed) c.flush();
    for (std::uint64_t i = 0; i < 8; ++i) {
      auto wanted = *c.fetch("key-" + std::to_string(i));
      wanted.set("year", flushed ? 1 : 2);
      wanted.set("flag", nullptr);
      wanted.set("ip", {1.0f, 2.0f, 3.0f, 4.0f, flushed ? 5.0f : 6.0f});
      BOOST_TEST(c.update(wanted.key(), {{"year", flushed ? 1 : 2}, {"flag", nullptr}, {"ip", {1.0f, 2.0f, 3.0f, 4.0f, flushed ? 5.0f : 6.0f}}}));
      const auto found = *c.fetch(wanted.key());
      BOOST_TEST(same_fields(schema, wanted, found));
      BOOST_TEST(found.id().value == (flushed ? 17 : 9) + i);
    }
  }
  BOOST_TEST(c.count() == 8u);
}

BOOST_AUTO_TEST_CASE(an_update_with_an_error_changes_nothing_and_says_what_it_is) {
  auto c = Collection<MemoryPolicy>::create(small_schema());
  c.insert(small("a"));
  const auto before = keys(c) + title(c, "a");
  const auto refuse = [&](const std::string& key, std::initializer_list<NamedValue> fields, Errc wanted) {
    BOOST_TEST(code_of([&] { c.update(key, fields); }) == wanted);
    BOOST_TEST(keys(c) + title(c, "a") == before);
  };
  refuse("a", {{"unknown", 1}}, Errc::schema_mismatch);
  refuse("a", {{"title", "x"}, {"unknown", 1}}, Errc::schema_mismatch);
  refuse("absent", {{"unknown", 1}}, Errc::schema_mismatch);
  refuse("a", {{"title", nullptr}}, Errc::schema_mismatch);
  refuse("a", {{"v", nullptr}}, Errc::schema_mismatch);
  refuse("a", {{"title", 5}}, Errc::type_mismatch);
  refuse("a", {{"n", std::int64_t{1} << 40}}, Errc::type_mismatch);
  refuse("a", {{"v", {1.0f}}}, Errc::dimension_mismatch);
  refuse("a", {{"v", {1.0f, std::numeric_limits<float>::infinity()}}}, Errc::invalid_vector);
  refuse("", {{"n", 1}}, Errc::invalid_argument);
  refuse(std::string(1025, 'k'), {{"n", 1}}, Errc::invalid_argument);
  BOOST_TEST(!c.update("absent", {{"n", 1}}));
  BOOST_TEST(keys(c) + title(c, "a") == before);
  BOOST_TEST(c.update("a", {}));  // nothing is named: the same document under a new id
  BOOST_TEST(keys(c) == "a2 ");
  BOOST_TEST(c.update("a", {{"n", 1}, {"n", 2}}));
  BOOST_TEST(c.fetch("a")->get<int>("n").value() == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_erased_key_is_free_again_and_its_id_never_comes_back, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), small_schema());
  std::vector<std::string> names;
  for (int i = 0; i < 50; ++i) names.push_back("k" + std::to_string(i));
  c.insert(many(50));
  for (int round = 1; round <= 4; ++round) {
    if (round % 2 == 0) c.flush();
    BOOST_TEST(c.erase("k7"));
    BOOST_TEST(!c.fetch("k7").has_value());
    if (round == 4) c.flush();
    c.insert(small("k7"));
    BOOST_TEST(c.fetch("k7")->id().value == static_cast<std::uint64_t>(51 * round));
    BOOST_TEST(c.erase(std::span<const std::string>(names)) == 50u);
    BOOST_TEST(c.count() == 0u);
    BOOST_TEST(c.search({.field = "v", .query = {1.0f, 0.0f}, .k = 100}).size() == 0u);
    c.insert(many(50, static_cast<float>(round)));
    BOOST_TEST(c.count() == 50u);
    BOOST_TEST(c.stats().deleted == static_cast<std::uint64_t>(51 * round));
    for (std::uint64_t id = 0; id <= static_cast<std::uint64_t>(51 * round); ++id) BOOST_TEST(!c.fetch(DocId{id}).has_value());
  }
  BOOST_TEST(c.erase({"k1", "absent", "k1", "k2"}) == 2u);
  BOOST_TEST(c.erase(std::initializer_list<Name>{}) == 0u);
  BOOST_TEST(c.count() == 48u);
}

BOOST_AUTO_TEST_CASE(keys_that_cannot_be_are_refused_by_every_write_and_the_batch_with_them) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.insert({small("a"), small("b")});
  for (const auto& key : {std::string(), std::string(1025, 'k'), std::string("\xFF")}) {
    BOOST_TEST(code_of([&] { c.erase(key); }) == Errc::invalid_argument);
    BOOST_TEST(code_of([&] { c.erase({"a", key}); }) == Errc::invalid_argument);
    BOOST_TEST(code_of([&] { c.upsert({small("a", 5), small(key)}); }) == Errc::invalid_argument);
    BOOST_TEST(keys(c) == "a1 b2 ");
  }
  BOOST_TEST(!c.erase(std::string(1024, 'k')));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_batch_with_an_error_leaves_memory_log_and_deletes_as_they_were, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), small_schema());
  c.insert({small("a"), small("b")});
  c.flush();
  c.insert(small("c"));
  const auto files = read_store(folder.path());
  auto bad = small("bad");
  bad.set("v", {1.0f});
  BOOST_TEST(code_of([&] { c.upsert({small("a", 5), small("c", 5), small("d"), bad, small("e")}); }) == Errc::dimension_mismatch);
  BOOST_TEST(code_of([&] { c.insert({small("d"), small("e"), small("d")}); }) == Errc::duplicate_key);
  BOOST_TEST(code_of([&] { c.insert({small("d"), small("c")}); }) == Errc::duplicate_key);
  BOOST_TEST(keys(c) == "a1 b2 c3 ");
  BOOST_TEST(c.stats().deleted == 0u);
  BOOST_TEST(c.stats().memtable_documents == 1u);
  BOOST_TEST((read_store(folder.path()) == files));
  c.insert(small("d"));
  BOOST_TEST(keys(c) == "a1 b2 c3 d4 ");
  BOOST_TEST(c.fetch("a")->template get<std::vector<float>>("v")->front() == 1.0f);
}

BOOST_AUTO_TEST_CASE(who_may_not_write_is_told_so_by_every_write) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.insert(small("a"));
  c.flush();
  const auto refuse = [](auto& to, Errc wanted) {
    BOOST_TEST(code_of([&] { to.insert(small("z")); }) == wanted);
    BOOST_TEST(code_of([&] { to.upsert(small("a")); }) == wanted);
    BOOST_TEST(code_of([&] { to.update("a", {{"n", 1}}); }) == wanted);
    BOOST_TEST(code_of([&] { to.update("absent", {{"n", 1}}); }) == wanted);
    BOOST_TEST(code_of([&] { to.erase("a"); }) == wanted);
    BOOST_TEST(code_of([&] { to.erase({"absent"}); }) == wanted);
    BOOST_TEST(code_of([&] { to.flush(); }) == wanted);
  };
  auto reader = Collection<MMapPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
  refuse(reader, Errc::read_only);
  auto older = Collection<MMapPolicy>::open(folder.path(), {.at_version = 2});
  refuse(older, Errc::read_only);
  c.close();
  refuse(c, Errc::closed);
  BOOST_TEST(keys(reader) == "a1 ");
}

BOOST_AUTO_TEST_CASE(large_records_and_large_batches_come_back) {
  const FreshFolder folder;
  const std::size_t length = (std::size_t{4} << 20) + 17;
  const std::uint64_t rows = slow ? 5'000 : 60'000;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.durability = Durability::buffered});
  c.insert(small("before"));
  auto large = small("large");
  large.set("title", std::string(length, 'x'));
  c.insert(large);
  c.upsert(many(rows));
  c.upsert(many(rows, 2.0f));
  c.erase("before");
  const auto killed = folder.path("killed");
  copy_store(folder.path(), killed);
  const auto again = Collection<MMapPolicy>::open(killed);
  BOOST_TEST(again.count() == rows + 1);
  BOOST_TEST(again.stats().deleted == rows + 1);
  BOOST_TEST((title(again, "large") == std::string(length, 'x')));
  BOOST_TEST(again.fetch("k77")->id().value == 2 + rows + 78);
  BOOST_TEST(keys(again) == keys(c));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(versions_show_their_moment_and_take_their_deletes_with_them_when_they_go, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), small_schema());
  c.insert(many(6));
  c.flush();  // version 2
  BOOST_TEST(c.stats().bytes.deletes == 0u);
  BOOST_TEST(names_with(folder.path(), "deletes").empty());
  c.erase({"k0", "k1"});
  c.flush();  // version 3
  BOOST_TEST(c.stats().version == 3u);
  BOOST_TEST(c.stats().bytes.deletes > 0u);
  BOOST_TEST(names_with(folder.path(), "deletes") == std::vector<std::string>{"deletes-000001"}, boost::test_tools::per_element());
  const auto at = [&](std::uint64_t version) { return Collection<P>::open(folder.path(), {.at_version = version}); };
  BOOST_TEST(at(2).count() == 6u);
  BOOST_TEST(at(2).stats().deleted == 0u);
  BOOST_TEST(title(at(2), "k0") == "t-k0");
  BOOST_TEST(at(3).count() == 4u);
  c.insert(small("more"));
  c.flush();  // version 4: the deletes of version 3
  BOOST_TEST(names_with(folder.path(), "deletes") == std::vector<std::string>{"deletes-000001"}, boost::test_tools::per_element());
  BOOST_TEST(keys(at(3)) == "k23 k34 k45 k56 ");
  c.erase("k2");
  c.flush();  // version 5
  BOOST_TEST(names_with(folder.path(), "deletes").size() == 2u);
  BOOST_TEST(at(4).count() == 5u);
  BOOST_TEST(at(4).fetch("k2").has_value());
  BOOST_TEST(!at(4).fetch("k1").has_value());
  c.erase("k3");
  c.flush();  // version 6: no version names the first deletes any more
  BOOST_TEST(names_with(folder.path(), "deletes").size() == 2u);
  BOOST_TEST(names_with(folder.path(), "deletes-000001").empty());
  BOOST_TEST(keys(at(5)) == "k34 k45 k56 more7 ");
  BOOST_TEST(c.verify().ok());
  BOOST_TEST(code_of([&] { (void)at(3); }) == Errc::not_found);
}

BOOST_AUTO_TEST_CASE(segments_do_not_show_deleted_rows_and_count_them) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema(), {.segment_rows = 4});
  c.insert(many(10));
  c.flush();
  c.erase({"k0", "k5", "k6"});
  c.upsert(small("k9", 3.0f));
  const auto deleted = [&] {
    std::vector<std::uint64_t> out;
    for (const auto& segment : c.segments()) out.push_back(segment.deleted);
    return out;
  };
  const std::vector<std::uint64_t> expected{1, 2, 1};
  BOOST_TEST(deleted() == expected, boost::test_tools::per_element());
  c.flush();
  BOOST_TEST(deleted() == expected, boost::test_tools::per_element());
  const auto second = Segment<MMapPolicy>::open(folder.path(), c.segments()[1].id);
  BOOST_TEST(second.rows() == 4u);
  BOOST_TEST(second.fetch(RowId{0})->key() == "k4");
  BOOST_TEST(!second.fetch(RowId{1}).has_value());
  BOOST_TEST(!second.fetch(RowId{2}).has_value());
  BOOST_TEST(second.fetch(RowId{3})->key() == "k7");
  const auto hits = second.search({.field = "v", .query = {1.0f, 0.0f}, .k = 10});
  BOOST_TEST(hits.size() == 2u);
  BOOST_TEST(hits[1].key == "k7");
}

BOOST_AUTO_TEST_CASE(stats_follow_what_is_deleted_and_what_is_in_the_log) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  const auto empty = c.stats();
  c.insert(many(2000));
  const auto filled = c.stats();
  BOOST_TEST(filled.documents == 2000u);
  BOOST_TEST(filled.memtable_documents == 2000u);
  BOOST_TEST(filled.bytes.wal > empty.bytes.wal);
  c.erase({"k0", "k1"});
  BOOST_TEST(c.stats().deleted == 2u);
  BOOST_TEST(c.stats().documents == 1998u);
  BOOST_TEST(c.stats().bytes.deletes == 0u);
  c.flush();
  c.erase("k2");
  c.flush();  // the first log is gone, and the one before this holds a single erase
  const auto flushed = c.stats();
  BOOST_TEST(flushed.deleted == 3u);
  BOOST_TEST(flushed.memtable_documents == 0u);
  BOOST_TEST(flushed.bytes.wal < filled.bytes.wal);
  BOOST_TEST(flushed.bytes.deletes > 0u);
  const auto& b = flushed.bytes;
  BOOST_TEST(b.total == b.scalar + b.vector_index + b.ids + b.deletes + b.wal + b.manifests);
}

BOOST_AUTO_TEST_CASE(verify_tells_of_deletes_that_are_damaged_missing_or_miscounted) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), small_schema());
  c.insert(many(5));
  c.flush();
  c.erase("k3");
  c.flush();
  BOOST_TEST(c.verify().ok());
  const auto files = read_store(folder.path());
  const auto deletes = folder.path() / "deletes-000001";
  const auto manifest = names_with(folder.path(), "MANIFEST_").back();
  const auto expect = [&](const std::string& file) {
    const auto report = c.verify();
    BOOST_TEST_REQUIRE(!report.ok());
    BOOST_TEST(report.problems[0].code == Errc::corruption);
    BOOST_TEST(report.problems[0].path.filename() == file);
  };
  auto damaged = files.at("deletes-000001");
  damaged[damaged.size() / 3] = static_cast<char>(damaged[damaged.size() / 3] ^ 4);
  put_file(deletes, damaged);
  expect("deletes-000001");
  BOOST_TEST(code_of([&] { (void)Collection<MMapPolicy>::open(folder.path(), {.mode = OpenMode::read_only}); }) == Errc::corruption);
  std::filesystem::remove(deletes);
  expect("deletes-000001");
  put_file(deletes, files.at("deletes-000001"));
  BOOST_TEST(c.verify().ok());
  auto version = detail::decode_version(detail::as_bytes(std::string_view(files.at(manifest))), folder.path() / manifest);
  version.deletes.count = 2;
  version.documents = 3;
  const auto bytes = detail::encode_version(version);
  put_file(folder.path() / manifest, std::string(detail::as_text(bytes)));
  expect(manifest);
  put_file(folder.path() / manifest, files.at(manifest));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_SUITE_END()
