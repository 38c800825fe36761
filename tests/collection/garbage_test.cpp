// What an open for writing collects, and what it must leave alone.
#include <quiver/collection/recovery.hpp>

#include "support/policies.hpp"
#include "support/store_files.hpp"
#include "support/stray_files.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <set>
#include <string>

using namespace quiver;
using namespace quiver::test;

namespace garbage {
namespace {

namespace fs = std::filesystem;

using Disk = Collection<MMapPolicy>;

Schema numbered_schema() { return Schema{Field::int32("n"), VectorField("v", 2)}; }
Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }

/// Three flushes, the last of deletes alone, and then everything merged: only the version before names the files of the first segment.
void make_store(const fs::path& path) {
  auto c = Disk::create(path, numbered_schema());
  for (int i = 0; i < 4; ++i) {
    c.insert(numbered(i));
    if (i % 2 == 1) c.flush();
  }
  c.erase("k0");
  c.flush();
  c.optimize();
  c.close();
  (void)Disk::open(path);  // collects what the last writer kept until then
}
}  // namespace
}  // namespace garbage

BOOST_AUTO_TEST_SUITE(garbage)

BOOST_AUTO_TEST_CASE(what_a_kept_manifest_names_stays_also_while_that_manifest_cannot_be_read) {
  const FreshFolder folder;
  const auto path = folder.path();
  make_store(path);
  const auto before = read_store(path);
  const auto named = named_files<MMapPolicy>(MMapPolicy::open_store(path, {}, OpenMode::read_only));
  const auto versions = Disk::open(path).versions();
  BOOST_TEST_REQUIRE(versions.size() == 2u);
  const auto older = versions.front().number;
  const auto name = quiver::detail::manifest_name(older);
  BOOST_TEST_REQUIRE(named.contains(name));
  BOOST_TEST_REQUIRE(named.contains("seg-000001/blk-000001.scalar"));

  const auto bytes = before.at(name);
  auto flipped = bytes;
  flipped[flipped.size() / 2] = static_cast<char>(flipped[flipped.size() / 2] ^ 1);
  for (const auto& damaged : {flipped, bytes.substr(0, bytes.size() / 2), std::string()}) {
    put_file(path / name, damaged);
    put_file(path / "seg-000077/blk-000077.scalar", "nobody's");
    {
      auto c = Disk::open(path);
      BOOST_TEST(c.count() == 3u);
    }
    auto now = read_store(path);
    BOOST_TEST((now[name] == damaged));
    now[name] = bytes;
    // Nothing at all is garbage while it is not known what the damaged one names.
    BOOST_TEST(now.erase("seg-000077/blk-000077.scalar") == 1u);
    BOOST_TEST((now == before));
  }
  // With the manifest restored, the version is whole.
  put_file(path / name, bytes);
  BOOST_TEST(Disk::open(path).verify().ok());
  BOOST_TEST(!fs::exists(path / "seg-000077"));
  BOOST_TEST((read_store(path) == before));
  BOOST_TEST(Disk::open(path, {.at_version = older}).count() == 3u);
}

BOOST_AUTO_TEST_CASE(a_folder_in_the_place_of_a_file_that_nobody_names_is_left_alone) {
  const FreshFolder folder;
  const auto path = folder.path();
  make_store(path);
  for (const std::string name : {"idmap-000099", "deletes-000098", "wal-000097", "idmap-000001.tmp"}) {
    fs::create_directory(path / name);
    put_file(path / name / "mine", "mine");
  }
  const auto before = read_store(path);
  {
    auto c = Disk::open(path);
    c.insert(numbered(7));
    c.flush();
    c.optimize();
    BOOST_TEST(c.count() == 4u);
    BOOST_TEST(c.verify().ok());
  }
  const auto after = read_store(path);
  for (const auto& [name, bytes] : before)
    if (bytes == "mine") BOOST_TEST(after.contains(name), name);
}

BOOST_AUTO_TEST_CASE(a_draft_of_every_kind_of_file_is_collected_by_the_next_writer_and_by_no_reader) {
  const FreshFolder folder;
  const auto path = folder.path();
  make_store(path);
  const auto before = read_store(path);
  const auto named = named_files<MMapPolicy>(MMapPolicy::open_store(path, {}, OpenMode::read_only));
  StoreFiles left;
  const auto leave = [&](const std::string& name, const std::string& bytes) { put_file(path / name, left[name] = bytes); };
  // Of files that are there, as a crash between link and unlink leaves them, and of some that never came to be.
  for (const auto& name : named) leave(name + ".tmp", before.at(name));
  for (const std::string name :
       {"MANIFEST_00000000000099", "idmap-000099", "deletes-000099", "seg-000099/blk-000099.scalar", "seg-000099/blk-000100.vector_index"})
    leave(name + ".tmp", "begun");
  // What no draft of a collection is called, a log's included, is somebody else's.
  StoreFiles foreign;
  for (const std::string name : {"wal-000099.tmp", "notes.tmp", "MANIFEST_1.tmp", "idmap-000001.tmp.tmp", "seg-000002/notes.tmp"})
    put_file(path / name, foreign[name] = "mine");

  auto all = before;
  all.insert(left.begin(), left.end());
  all.insert(foreign.begin(), foreign.end());
  BOOST_TEST(all.size() == before.size() + left.size() + foreign.size());
  {
    auto reader = Collection<MMapReadPolicy>::open(path);
    BOOST_TEST(reader.count() == 3u);
    reader.refresh();
    BOOST_TEST(reader.verify().ok());
    BOOST_TEST(Disk::open(path, {.mode = OpenMode::read_only}).count() == 3u);
    BOOST_TEST(Disk::open(path, {.at_version = reader.versions().front().number}).count() == 3u);
  }
  BOOST_TEST((read_store(path) == all));

  BOOST_TEST(Disk::open(path).count() == 3u);
  auto kept = before;
  kept.insert(foreign.begin(), foreign.end());
  const auto now = read_store(path);
  for (const auto& [name, bytes] : left) BOOST_TEST(!now.contains(name), name);
  BOOST_TEST((now == kept));
  BOOST_TEST(!fs::exists(path / "seg-000099"));
}

BOOST_AUTO_TEST_SUITE_END()
