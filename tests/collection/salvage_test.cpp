// What a repair finds out about stores that no single flipped bit makes.
#include <quiver/collection/salvage.hpp>

#include <quiver/block/writer.hpp>
#include <quiver/collection/repair.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/forging.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cerrno>

using namespace quiver;
using namespace quiver::test;

namespace salvages {
namespace {

using namespace quiver::test::forging;

void damage(const Left& store, const std::string& name) {
  auto bytes = read_store(store.path()).at(name);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 0x20);
  put_file(store.path(name), bytes);
}
void damage_manifest(const Left& store, std::uint64_t number) { damage(store, detail::manifest_name(number)); }

/// All but LOCK, which a repair makes.
StoreFiles files(const Left& store) {
  auto out = read_store(store.path());
  out.erase("LOCK");
  return out;
}

/// The file as a quiver writes it that has another format of blocks.
std::string of_another_format(std::string block) {
  const auto bytes = detail::as_bytes(std::string_view(block));
  const auto at = detail::locate_trailer(bytes.last(detail::tail_frame_size), bytes.size(), "block");
  ++block[static_cast<std::size_t>(at) + 40];
  return block;
}

std::string text(const RepairReport& report) {
  std::string out = "version " + std::to_string(report.version) + ", lost " + std::to_string(report.documents_lost);
  for (const auto& problem : report.problems) out += "\n  " + problem.what;
  return out;
}

/// What the repair says, first dry and then done, after which the store verifies and shows these keys.
RepairReport repaired(const Left& store, const std::string& shows) {
  const auto plan = repair(store.path());
  BOOST_TEST(plan.possible, text(plan));
  BOOST_TEST(text(repair(store.path(), {.dry_run = false})) == text(plan));
  BOOST_TEST(keys(store.path()) == shows);
  BOOST_TEST(verify(store.path()).ok());
  return plan;
}

}  // namespace
}  // namespace salvages

BOOST_AUTO_TEST_SUITE(salvages)

BOOST_AUTO_TEST_CASE(an_older_version_that_loses_less_takes_the_place_of_the_newest) {
  const Left store;
  const auto part = store.newest().segments.front().blocks.back();
  damage(store, part.file.name);  // k2, which the log of the version before has
  const auto report = repaired(store, "k2 k3 ");
  BOOST_TEST(report.version == 2u);
  BOOST_TEST(report.documents_lost == 0u, text(report));
}

BOOST_AUTO_TEST_CASE(files_that_look_like_blocks_tell_nothing_of_a_lost_version) {
  const Left without;
  damage_manifest(without, 3);
  const auto expected = repair(without.path());
  BOOST_TEST(expected.documents_lost == 0u);
  const auto block = read_store(without.path()).at(without.newest().segments.front().blocks.back().file.name);
  for (const auto& bytes : {std::string(5, 'x'), std::string(500, 'x'), of_another_format(block)}) {
    const Left store;
    damage_manifest(store, 3);
    put_file(store.path("seg-000009/blk-000099.scalar"), bytes);
    const auto report = repaired(store, "k2 k3 ");
    BOOST_TEST(report.documents_lost == 0u, text(report));
    BOOST_TEST(report.problems.size() == expected.problems.size(), text(report));
  }
}

/// A file system in which one file is listed and gone.
struct GoneFileSystem : PosixFileSystem {
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    if (name.ends_with("blk-000099.scalar")) return {0, ENOENT};
    return PosixFileSystem::open_file(in, name, file);
  }
};

BOOST_AUTO_TEST_CASE(a_block_that_goes_while_it_is_looked_for_tells_nothing) {
  const Left store;
  damage_manifest(store, 3);
  put_file(store.path("seg-000009/blk-000099.scalar"), "x");
  const auto report = detail::repair_store<GoneFileSystem>(store.path(), {});
  BOOST_TEST(report.possible, text(report));
  BOOST_TEST(report.documents_lost == 0u);
}

BOOST_AUTO_TEST_CASE(a_block_that_a_newer_quiver_wrote_ends_the_look_and_nothing_is_changed) {
  const Left store;
  const auto name = store.newest().segments.front().blocks.front().file.name;
  put_file(store.path(name), of_another_format(read_store(store.path()).at(name)));
  damage_manifest(store, 2);
  const auto before = files(store);
  for (const bool dry : {true, false}) {
    const auto report = repair(store.path(), {.dry_run = dry});
    BOOST_TEST(!report.possible);
    BOOST_TEST_REQUIRE(report.problems.size() == 1u, text(report));
    BOOST_TEST((report.problems.front().code == Errc::version_mismatch && report.problems.front().path == store.path(name)));
  }
  BOOST_TEST((files(store) == before));
}

BOOST_AUTO_TEST_CASE(damage_found_after_what_a_newer_quiver_wrote_makes_no_repair_possible) {
  const Left store;
  auto version = store.version(2);
  version.features.incompat = std::uint32_t{1} << 31;
  store.put(version);
  damage_manifest(store, 1);
  const auto report = repair(store.path());
  BOOST_TEST(!report.possible);
  BOOST_TEST(report.problems.size() == 2u, text(report));
}

BOOST_AUTO_TEST_CASE(deletes_that_verify_and_are_none_are_made_anew) {
  const Left store;
  auto version = store.newest();
  {
    auto folder = MMapPolicy::open_store(store.path(), {}, OpenMode::read_write);
    auto draft = folder.create("deletes-000009");
    detail::BlockWriter writer(draft, detail::BlockKind::deletes);
    for (const auto section : {detail::delete_pieces_section, detail::delete_bits_section}) {
      writer.begin_section(section);
      writer.append(detail::as_bytes(std::string_view("odd")));
      writer.end_section();
    }
    version.deletes.file = {"deletes-000009", writer.finish()};
    folder.publish(std::span(&draft, 1));
  }
  version.next_deletes = 10;
  store.put(version);
  const auto report = repaired(store, "k2 k3 ");
  BOOST_TEST(report.version == 2u);
  BOOST_TEST(report.documents_lost == 0u, text(report));
}

BOOST_AUTO_TEST_CASE(damaged_deletes_of_a_version_in_which_nothing_is_deleted_cost_nothing) {
  const Left store;
  auto version = store.newest();
  version.documents += version.deletes.count;
  version.deletes.count = 0;
  store.put(version);
  damage(store, version.deletes.file.name);
  const auto report = repaired(store, "k1 k2 k3 ");
  BOOST_TEST(report.version == 3u, text(report));
  BOOST_TEST(report.documents_lost == 0u, text(report));
}

BOOST_AUTO_TEST_CASE(a_log_older_than_every_version_that_can_be_read_is_not_asked) {
  const Left store;
  const auto log = detail::log_name(store.version(1).log.number);
  damage_manifest(store, 3);
  fs::remove(store.path(detail::manifest_name(1)));
  put_file(store.path(log), "none");
  const auto report = repaired(store, "k2 k3 ");
  BOOST_TEST(std::none_of(report.problems.begin(), report.problems.end(), [&](const auto& p) { return p.path == store.path(log); }), text(report));
}

BOOST_AUTO_TEST_CASE(a_log_that_ends_within_its_header_is_one_problem) {
  const Left store;
  put_file(store.path(store.log()), read_store(store.path()).at(store.log()).substr(0, 10));
  const auto report = repaired(store, "k0 k2 ");
  BOOST_TEST(report.problems.size() == 1u, text(report));
  BOOST_TEST(report.problems.front().path == store.path(store.log()));
}

BOOST_AUTO_TEST_CASE(the_last_id_of_all_in_a_log_is_no_reason_to_begin_again_with_the_first) {
  const Left store;
  store.put_log(store.log(), store.header(), {batch({{4, 3}}, {}), batch({{~std::uint64_t{0}, 4}}, {})});
  const auto report = repaired(store, "k0 k2 k3 ");
  BOOST_TEST(report.documents_lost == 1u, text(report));
  const auto next = detail::read_manifest<FileReadPolicy>(FileReadPolicy::open_store(store.path(), {}, OpenMode::read_only), 4).version.next_doc_id;
  BOOST_TEST(next == ~std::uint64_t{0});
}

BOOST_AUTO_TEST_CASE(without_deletes_and_without_a_newest_manifest_nothing_is_made_of_unnamed_blocks) {
  const Left store;
  damage_manifest(store, 3);
  auto version = store.version(2);
  version.deletes = {{"deletes-000009", {{9, 9}, 1000, 9}}, 1};
  version.next_deletes = 10;
  version.documents -= 1;
  store.put(version);
  fs::remove(store.path(detail::manifest_name(1)));
  const auto report = repair(store.path());
  BOOST_TEST(!report.possible);
  BOOST_TEST(report.problems.back().what.find("come back") != std::string::npos, text(report));
}

/// The first version and logs from it to the newest, of which the deletes and, with k0 and k1 in it, the first block are damaged.
struct FromTheFirst : Left {
  FromTheFirst() {
    const auto first = version(1);
    put_log(detail::log_name(first.log.number), {first.log.id, first.store_id, first.log.number, first.last_sequence + 1}, {batch({{1, 0}, {2, 1}}, {})});
    put_log(log(), header(), {batch({{4, 3}}, {})});
    damage(*this, newest().deletes.file.name);
    damage(*this, newest().segments.front().blocks.front().file.name);
  }
};

BOOST_AUTO_TEST_CASE(an_older_version_of_another_schema_takes_the_place_of_none) {
  {
    const FromTheFirst store;
    const auto report = repaired(store, "k0 k2 k3 ");
    BOOST_TEST(report.version == 1u, text(report));
    BOOST_TEST(report.documents_lost == 0u, text(report));
  }
  const FromTheFirst store;
  auto first = store.version(1);
  first.schema = Schema{Field::int32("m")};  // the same bytes in a log
  store.put(first);
  const auto report = repaired(store, "k2 k3 ");
  BOOST_TEST(report.version == 2u, text(report));
  BOOST_TEST(report.documents_lost == 1u, text(report));
}

BOOST_AUTO_TEST_CASE(an_older_version_whose_batches_give_other_ids_takes_the_place_of_none) {
  const Left store;
  auto version = store.newest();
  ++version.next_doc_id;
  store.put(version);
  damage(store, version.deletes.file.name);
  const auto report = repair(store.path());
  BOOST_TEST(!report.possible, text(report));
}

BOOST_AUTO_TEST_CASE(what_a_damaged_block_had_deleted_is_not_lost_and_counted_once) {
  const auto lost = [](const std::vector<std::uint64_t>& deletes, const std::string& shows) {
    const Left store;
    store.put_log(store.log(), store.header(), {batch({{4, 3}}, deletes)});
    // So that no older version is better.
    fs::remove(store.path(detail::manifest_name(1)));
    damage_manifest(store, 2);
    damage(store, store.newest().segments.front().blocks.front().file.name);
    return repaired(store, shows).documents_lost;
  };
  // Of k0 and k1 the version has deleted k1 already.
  BOOST_TEST(lost({}, "k2 k3 ") == 1u);
  BOOST_TEST(lost({1}, "k2 k3 ") == 0u);
  BOOST_TEST(lost({2}, "k2 k3 ") == 1u);
  BOOST_TEST(lost({1, 2}, "k2 k3 ") == 0u);
  BOOST_TEST(lost({1, 2, 3}, "k3 ") == 0u);
}

BOOST_AUTO_TEST_CASE(deletes_of_documents_that_no_block_had_any_more_make_no_loss_smaller_than_none) {
  const FreshFolder folder;
  const auto path = folder.path("left");
  {
    auto c = Collection<MMapPolicy>::create(folder.path("live"), tiny_schema());
    c.insert({document(0), document(1), document(2)});
    c.flush();
    c.erase("k1");
    c.optimize();  // k1 is in no block now
    c.erase({"k0", "k2"});
    copy_store(folder.path("live"), path);
  }
  const auto manifests = names_with(path, "MANIFEST");
  const auto newest =
      detail::read_manifest<FileReadPolicy>(FileReadPolicy::open_store(path, {}, OpenMode::read_only), *detail::parse_manifest_name(manifests.back())).version;
  for (std::size_t i = 0; i + 1 < manifests.size(); ++i) fs::remove(path / manifests[i]);
  auto log = detail::encode_wal_header({newest.log.id, newest.store_id, newest.log.number, newest.last_sequence + 1});
  detail::append_wal_record(log, newest.log.id, log.size(), newest.last_sequence + 1, detail::wal_header_size, batch({}, {1, 2, 3}));
  put_file(path / detail::log_name(newest.log.number), text_of(log));
  fs::remove(path / newest.segments.front().blocks.front().file.name);
  const auto report = repair(path);
  BOOST_TEST(report.possible, text(report));
  BOOST_TEST(report.documents_lost == 0u, text(report));
}

BOOST_AUTO_TEST_CASE(a_document_that_is_deleted_a_second_time_by_the_log_is_counted_once_by_a_repair) {
  const Left store;
  store.put_log(store.log(), store.header(), {batch({{4, 3}}, {2, 1}), batch({}, {1, 2})});
  damage(store, store.newest().id_runs.front().name);
  const auto report = repaired(store, "k2 k3 ");
  BOOST_TEST(report.documents_lost == 0u, text(report));
  BOOST_TEST(stats(store.path()).documents == 2u);
}

BOOST_AUTO_TEST_CASE(a_name_that_uses_up_the_last_number_is_told_and_nothing_is_changed) {
  const Left store;
  damage(store, store.newest().id_runs.front().name);
  const auto name = "idmap-" + std::to_string(~std::uint64_t{0});
  put_file(store.path(name), "none");
  BOOST_TEST(repair(store.path()).possible);
  const auto before = files(store);
  BOOST_TEST((code_of([&] { (void)repair(store.path(), {.dry_run = false}); }) == Errc::corruption));
  BOOST_TEST((files(store) == before));
  fs::remove(store.path(name));
  static_cast<void>(repaired(store, "k2 k3 "));
}

BOOST_AUTO_TEST_SUITE_END()
