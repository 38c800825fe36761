// Files that verify by themselves and contradict each other: what no flipped bit makes, but a bug, a tool or a mixed up backup can.
#include <quiver/collection/collection.hpp>

#include <quiver/collection/dump.hpp>
#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/forging.hpp"
#include "support/policies.hpp"
#include "support/raw_manifest.hpp"
#include "support/store_files.hpp"
#include "support/stray_files.hpp"

#include <boost/test/unit_test.hpp>

#include <cstring>
#include <functional>

using namespace quiver;
using namespace quiver::test;

namespace forged {
namespace {

using namespace quiver::test::forging;

/// Every backend refuses to open it, and so do verify() and a look at what repair() would do.
RepairReport refused(const Left& store, const std::string& file, Errc code = Errc::corruption) {
  const auto open = [&]<class P>() {
    const auto error = error_of([&] { (void)Collection<P>::open(store.path(), {.mode = OpenMode::read_only}); });
    BOOST_TEST((error && error->code() == code && error->path().filename() == file), (error ? error->what() : "opened"));
  };
  open.template operator()<MMapPolicy>();
  open.template operator()<MemoryPolicy>();
  open.template operator()<FileReadPolicy>();
  open.template operator()<CheckedMMapPolicy>();
  BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(store.path()); }) == code));
  const auto report = verify(store.path());
  BOOST_TEST_REQUIRE(!report.ok());
  BOOST_TEST((report.problems.front().code == code && report.problems.front().path.filename() == file), report.problems.front().what);
  auto plan = repair(store.path());
  BOOST_TEST(std::any_of(plan.problems.begin(), plan.problems.end(), [&](const auto& p) { return p.code == code && p.path.filename() == file; }));
  return plan;
}

/// What repair() leaves as it is, saying that a newer quiver is needed.
void left_alone_by_repair(const Left& store) {
  const auto files = [&] {
    auto out = read_store(store.path());
    out.erase("LOCK");
    return out;
  };
  const auto before = files();
  for (const bool dry : {true, false}) {
    const auto report = repair(store.path(), {.dry_run = dry});
    BOOST_TEST(!report.possible);
    BOOST_TEST((!report.problems.empty() && report.problems.front().code == Errc::version_mismatch));
  }
  BOOST_TEST((files() == before));
}

}  // namespace
}  // namespace forged

BOOST_AUTO_TEST_SUITE(forged)

BOOST_AUTO_TEST_CASE(a_log_that_is_not_the_one_of_its_manifest_is_refused) {
  const auto refuse = [](const char* what, auto&& change) {
    BOOST_TEST_CONTEXT(what) {
      const Left store;
      BOOST_TEST_REQUIRE(keys(store.path()) == "k2 k3 ");
      auto header = store.header();
      change(header);
      store.put_log(store.log(), header, {batch({{4, 3}}, {})});
      refused(store, store.log());
    }
  };
  refuse("id", [](auto& header) { header.id.low ^= 1; });
  refuse("store", [](auto& header) { header.store.high ^= 1; });
  refuse("number", [](auto& header) { ++header.number; });
  refuse("sequence behind", [](auto& header) { ++header.first_sequence; });
  refuse("sequence before", [](auto& header) { --header.first_sequence; });
}

BOOST_AUTO_TEST_CASE(batches_that_cannot_follow_a_version_are_refused_and_repair_counts_them) {
  const auto refuse = [](const char* what, const Bytes& payload, std::uint64_t lost) {
    BOOST_TEST_CONTEXT(what) {
      const Left store;
      store.put_log(store.log(), store.header(), {batch({{4, 3}}, {}), payload});
      const auto plan = refused(store, store.log());
      BOOST_TEST(plan.possible);
      BOOST_TEST(plan.documents_lost == lost);
      BOOST_TEST(repair(store.path(), {.dry_run = false}).documents_lost == lost);
      BOOST_TEST(keys(store.path()) == "k0 k2 k3 ");
      BOOST_TEST(verify(store.path()).ok());
    }
  };
  refuse("an id is left out", batch({{6, 5}}, {}), 1);
  refuse("an id is given twice", batch({{4, 5}}, {}), 1);
  refuse("what is deleted was never there", batch({}, {5}), 0);
  refuse("what is deleted comes later", batch({{5, 4}}, {6}), 1);
  refuse("no batch at all", Bytes(3), 1);
}

BOOST_AUTO_TEST_CASE(a_document_may_be_deleted_twice_or_in_the_batch_that_puts_it) {
  const Left store;
  store.put_log(store.log(), store.header(), {batch({{4, 3}, {5, 4}}, {4, 1, 2}), batch({}, {1, 4})});
  BOOST_TEST(keys(store.path()) == "k2 k4 ");
  auto c = Collection<MMapPolicy>::open(store.path());
  BOOST_TEST(c.count() == 2u);
  BOOST_TEST(c.stats().documents == 2u);
  c.flush();
  BOOST_TEST(c.verify().ok());
  c.optimize();
  BOOST_TEST(c.stats().deleted == 0u);
}

BOOST_AUTO_TEST_CASE(a_later_log_of_another_store_or_without_a_record_says_nothing_of_this_one) {
  const Left store;
  auto header = store.header();
  const auto name = detail::log_name(++header.number);
  header.store.low ^= 1;
  store.put_log(name, header, {batch({{5, 4}}, {})});
  BOOST_TEST(keys(store.path()) == "k2 k3 ");
  header.store = store.newest().store_id;
  store.put_log(name, header, {});
  BOOST_TEST(keys(store.path()) == "k2 k3 ");
  const auto begun = read_store(store.path()).at(name);
  for (std::size_t length = 0; length <= begun.size(); ++length) {
    put_file(store.path(name), begun.substr(0, length));
    BOOST_TEST(keys(store.path()) == "k2 k3 ");
  }
  // A record behind the first mark, or the beginning of one, is there only once a manifest names the log.
  store.put_log(name, header, {batch({{5, 4}}, {})});
  const auto whole = read_store(store.path()).at(name);
  for (auto length = begun.size(); length <= whole.size(); ++length) {
    put_file(store.path(name), whole.substr(0, length));
    const bool told = length >= begun.size() + detail::wal_record_header_size;
    BOOST_TEST((code_of([&] { (void)keys(store.path()); }) == (told ? Errc::corruption : Errc::none)));
  }
  // The batches that a writer took over lie before the mark.
  auto taken_over = detail::encode_wal_header(header);
  detail::append_wal_record(taken_over, header.id, taken_over.size(), header.first_sequence, detail::wal_header_size, batch({{4, 3}}, {}));
  for (const bool behind : {false, true}) {
    detail::append_wal_mark(taken_over, header.id, taken_over.size(), header.first_sequence, taken_over.size());
    put_file(store.path(name), text_of(taken_over));
    BOOST_TEST((code_of([&] { (void)keys(store.path()); }) == (behind ? Errc::corruption : Errc::none)));
  }
}

BOOST_AUTO_TEST_CASE(an_older_version_of_another_store_is_refused_and_repair_goes_on_without_it) {
  const Left store;
  auto older = store.version(2);
  older.store_id.low ^= 1;
  store.put(older);
  BOOST_TEST(keys(store.path()) == "k2 k3 ");
  const auto error = error_of([&] { (void)keys(store.path(), 2); });
  BOOST_TEST((error && error->code() == Errc::corruption && error->path().filename() == detail::manifest_name(2)));
  BOOST_TEST(!verify(store.path()).ok());
  const auto plan = repair(store.path());
  BOOST_TEST_REQUIRE(plan.problems.size() == 1u);
  BOOST_TEST(plan.problems.front().path.filename() == detail::manifest_name(2));
  BOOST_TEST(plan.possible);
  BOOST_TEST(plan.documents_lost == 0u);
  static_cast<void>(repair(store.path(), {.dry_run = false}));
  BOOST_TEST(verify(store.path()).ok());
  BOOST_TEST(keys(store.path()) == "k2 k3 ");
}

BOOST_AUTO_TEST_CASE(a_retained_version_without_its_manifest_is_corruption_and_no_version_that_was_pruned) {
  const Left store;
  fs::remove(store.path(detail::manifest_name(2)));
  const auto error = error_of([&] { (void)keys(store.path(), 2); });
  BOOST_TEST((error && error->code() == Errc::corruption && error->path().filename() == detail::manifest_name(2)));
  BOOST_TEST((code_of([&] { (void)keys(store.path(), 77); }) == Errc::not_found));
  const auto report = verify(store.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST((report.problems[0].code == Errc::corruption));
  auto c = Collection<MMapPolicy>::open(store.path());
  BOOST_TEST((code_of([&] { c.rollback_to(2); }) == Errc::corruption));
  BOOST_TEST(c.count() == 2u);
}

BOOST_AUTO_TEST_CASE(two_logs_that_disagree_are_not_mixed) {
  const Left store;
  // The newest manifest is gone; of the log behind it only the first batch is the one that the log before has, too.
  auto header = store.header();
  const auto name = detail::log_name(++header.number);
  store.put_log(store.log(), store.header(), {batch({{4, 3}}, {}), batch({{5, 4}}, {})});
  store.put_log(name, header, {batch({{4, 3}}, {}), batch({{5, 5}}, {}), batch({{6, 6}}, {})});
  put_file(store.path(detail::manifest_name(4)), "");
  const auto plan = repair(store.path());
  BOOST_TEST(std::count_if(plan.problems.begin(), plan.problems.end(), [&](const auto& p) { return p.path.filename() == name && p.offset.has_value(); }) == 1);
  BOOST_TEST(plan.possible);
  static_cast<void>(repair(store.path(), {.dry_run = false}));
  BOOST_TEST(keys(store.path()) == "k0 k2 k3 k4 ");
}

BOOST_AUTO_TEST_CASE(versions_that_grew_old_while_nobody_wrote_go_with_their_files) {
  // With batches in the log the open takes over and lists them no more; without, the first write does.
  for (const bool batches : {true, false}) {
    const Left store;
    if (!batches) Collection<MMapPolicy>::open(store.path()).close();
    const auto numbers = names_with(store.path(), "MANIFEST");
    auto version = detail::decode_version(detail::as_bytes(std::string_view(read_store(store.path()).at(numbers.back()))), numbers.back());
    version.retain_versions = 1, version.retain_age_seconds = 1000;
    for (auto& kept : version.retained) kept.time = std::numeric_limits<std::int64_t>::min();
    store.put(version);
    BOOST_TEST_REQUIRE(version.retained.size() >= 2u);
    auto c = Collection<MMapPolicy>::open(store.path());
    if (!batches) c.insert(document(7));
    BOOST_TEST(names_with(store.path(), "MANIFEST").size() == 3u);  // the one that continues, the one it continues, and the one before
    BOOST_TEST(stray_files<MMapPolicy>(store.path()) == "");
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(id_runs_that_do_not_know_a_document_are_found_by_verify) {
  const Left store;
  auto version = store.newest();
  BOOST_TEST_REQUIRE(version.id_runs.size() == 2u);
  version.id_runs.pop_back();
  store.put(version);
  const auto report = verify(store.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST((report.problems.front().code == Errc::corruption && report.problems.front().what.find("'k2'") != std::string::npos));
}

BOOST_AUTO_TEST_CASE(id_runs_in_which_an_older_document_of_a_key_comes_first_are_found_by_verify) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), tiny_schema(), {.retain = {.versions = 1}});
  c.insert(document(1));
  c.flush();
  c.upsert(document(1));
  c.flush();
  BOOST_TEST(c.verify().ok());
  c.close();
  const auto name = names_with(folder.path(), "MANIFEST").back();
  auto version = detail::decode_version(detail::as_bytes(std::string_view(read_store(folder.path()).at(name))), name);
  std::swap(version.id_runs.front(), version.id_runs.back());
  put_file(folder.path() / name, text_of(raw_manifest(version)));
  const auto report = verify(folder.path());
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST(report.problems.front().what.find("'k1' to document 2") != std::string::npos, report.problems.front().what);
}

BOOST_AUTO_TEST_CASE(a_store_that_only_a_newer_quiver_may_write_is_read_and_nothing_else) {
  const Left store;
  auto version = store.newest();
  version.features.ro_compat = std::uint32_t{1} << 31;
  store.put(version);
  BOOST_TEST(keys(store.path()) == "k2 k3 ");
  const auto mismatch = [](auto&& call) { BOOST_TEST((code_of(call) == Errc::version_mismatch)); };
  mismatch([&] { (void)Collection<MMapPolicy>::open(store.path()); });
  const auto reader = Collection<MMapPolicy>::open(store.path(), {.mode = OpenMode::read_only});
  mismatch([&] { reader.backup(store.other("backup")); });
  mismatch([&] { (void)reader.copy_to<MemoryPolicy>(store.other("copy")); });
  BOOST_TEST(verify(store.path()).ok());
  left_alone_by_repair(store);
}

BOOST_AUTO_TEST_CASE(a_format_that_only_a_newer_quiver_reads_is_left_alone_by_repair) {
  for (const std::uint64_t number : {3u, 2u}) {
    const Left store;
    auto version = store.version(number);
    version.features.incompat = std::uint32_t{1} << 31;
    store.put(version);
    left_alone_by_repair(store);
  }
}

BOOST_AUTO_TEST_CASE(a_log_that_became_shorter_than_what_was_read_is_damage) {
  const Left store;
  auto reader = Collection<FileReadPolicy>::open(store.path());
  const auto log = read_store(store.path()).at(store.log());
  put_file(store.path(store.log()), log.substr(0, detail::wal_header_size + detail::wal_mark_size));
  const auto error = error_of([&] { reader.refresh(); });
  BOOST_TEST((error && error->code() == Errc::corruption && error->path().filename() == store.log() && error->offset().has_value()));
  BOOST_TEST(reader.count() == 2u);
  put_file(store.path(store.log()), log);
  reader.refresh();
  BOOST_TEST(reader.count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_version_without_a_log_is_read_by_itself_and_gets_one) {
  const Left store;
  auto version = store.newest();
  version.log = {};
  store.put(version);
  // What there is of logs is nobody's, though it looks like one behind a newer version.
  for (const auto& name : names_with(store.path(), "wal-")) fs::remove(store.path(name));
  auto header = store.header();
  header.number = 1;
  store.put_log(detail::log_name(1), header, {batch({{4, 3}}, {})});
  BOOST_TEST(keys(store.path()) == "k0 k2 ");
  BOOST_TEST(Collection<MemoryPolicy>::open(store.path(), {.mode = OpenMode::read_only}).count() == 2u);
  BOOST_TEST(verify(store.path()).ok());
  const auto plan = repair(store.path());
  BOOST_TEST(plan.possible);
  BOOST_TEST(plan.problems.empty());
  BOOST_TEST(plan.documents_lost == 0u);
  auto c = Collection<MMapPolicy>::open(store.path());
  c.insert(document(4));
  c.close();
  BOOST_TEST(keys(store.path()) == "k0 k2 k4 ");
  BOOST_TEST(verify(store.path()).ok());
}

BOOST_AUTO_TEST_CASE(a_later_log_that_only_a_newer_quiver_reads_is_told_as_that) {
  const Left store;
  auto header = store.header();
  const auto name = detail::log_name(++header.number);
  store.put_log(name, header, {});
  auto bytes = read_store(store.path()).at(name);
  // The version of the format is at 8, the checksum of the header is its last field.
  bytes[8] = static_cast<char>(detail::wal_format_version + 1);
  const auto sum = detail::checksum(detail::as_bytes(std::string_view(bytes).substr(0, detail::wal_header_size - 8)), 0);
  std::memcpy(&bytes[detail::wal_header_size - 8], &sum, sizeof sum);
  put_file(store.path(name), bytes);
  const auto error = error_of([&] { (void)keys(store.path()); });
  BOOST_TEST((error && error->code() == Errc::version_mismatch && error->path() == store.path(name)), (error ? error->what() : "opened"));
  const auto report = verify(store.path());
  BOOST_TEST((!report.ok() && report.problems.front().code == Errc::version_mismatch));
}

BOOST_AUTO_TEST_CASE(a_document_that_is_in_no_block_any_more_is_not_deleted_by_the_log) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path("live"), tiny_schema());
    c.insert({document(0), document(1)});
    c.flush();
    c.erase("k1");
    c.optimize();
    c.erase("k0");
    copy_store(folder.path("live"), folder.path("left"));
  }
  const auto path = folder.path("left");
  const auto name = names_with(path, "MANIFEST").back();
  const auto version = detail::decode_version(detail::as_bytes(std::string_view(read_store(path).at(name))), name);
  auto log = detail::encode_wal_header({version.log.id, version.store_id, version.log.number, version.last_sequence + 1});
  detail::append_wal_record(log, version.log.id, log.size(), version.last_sequence + 1, detail::wal_header_size, batch({{3, 2}}, {2}));
  put_file(path / detail::log_name(version.log.number), text_of(log));
  BOOST_TEST(keys(path) == "k0 k2 ");
  BOOST_TEST(stats(path).documents == 2u);
  BOOST_TEST(stats(path).deleted == 0u);
  Collection<MMapPolicy>::open(path).close();
  BOOST_TEST(keys(path) == "k0 k2 ");
  BOOST_TEST(verify(path).ok());
}

BOOST_AUTO_TEST_CASE(a_version_that_continues_another_is_not_opened_by_its_own_number) {
  const Left store;
  auto version = store.newest();
  version.retained = {{1, 0, 0, false}, {2, 0, 0, true}};
  store.put(version);
  BOOST_TEST((code_of([&] { (void)keys(store.path(), 2); }) == Errc::not_found));
  BOOST_TEST(keys(store.path(), 1) == "");
  version.retained[1].continues = false;
  store.put(version);
  BOOST_TEST(keys(store.path(), 2) == "k0 k1 ");
}

BOOST_AUTO_TEST_CASE(more_deletes_than_the_manifest_counts_are_found_by_a_dump_and_by_verify) {
  const Left store;
  auto version = store.newest();
  {
    auto folder = MMapPolicy::open_store(store.path(), {}, OpenMode::read_write);
    auto draft = folder.create("deletes-000009");
    // k1 and k2; the manifest counts one.
    version.deletes.file = {"deletes-000009", detail::write_deletes(draft, detail::DeleteSet().with(std::vector<DocId>{{2}, {3}}))};
    folder.publish(std::span(&draft, 1));
  }
  version.next_deletes = 10;
  store.put(version);
  store.put_log(store.log(), store.header(), {});
  const auto reader = Collection<FileReadPolicy>::open(store.path(), {.mode = OpenMode::read_only});
  const auto error = error_of([&] { reader.dump(store.other("dump")); });
  BOOST_TEST((error && error->code() == Errc::corruption && error->path() == store.path()), (error ? error->what() : "dumped"));
  BOOST_TEST(!fs::exists(store.other("dump")));
  BOOST_TEST(!verify(store.path()).ok());
}

BOOST_AUTO_TEST_SUITE_END()
