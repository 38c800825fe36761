#include <quiver/storage/directory.hpp>

#include "support/crash_states.hpp"
#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

#include <sstream>

BOOST_AUTO_TEST_SUITE(directory)

using namespace quiver;
using namespace quiver::test;
using detail::Directory;

namespace {

using Recorded = Directory<RecordingFileSystem>;
using Action = RecordingFileSystem::Action;

template <class D>
auto draft_of(D& directory, const std::string& name, std::string_view text) {
  auto draft = directory.create_draft(name);
  draft.append(detail::as_bytes(text));
  return draft;
}

template <class D>
void publish_text(D& directory, const std::string& name, std::string_view text) {
  auto draft = draft_of(directory, name, text);
  directory.publish(std::span(&draft, 1));
}

/// The log since `from` in words.
Strings words(std::size_t from) {
  static constexpr const char* names[] = {"create", "make_folder", "write",         "allocate",  "rename",
                                          "link",   "remove",      "remove_folder", "sync_file", "sync_folder"};
  Strings all;
  const auto log = RecordingFileSystem::log();
  for (auto i = from; i < log.size(); ++i) all.push_back(std::string(names[static_cast<int>(log[i].action)]) + (log[i].name.empty() ? "" : " " + log[i].name));
  return all;
}

/// What a collection does in small: blocks of two segments, a manifest that names them, the same again, the first block removed. A manifest holds the names
/// of its files, one a line, and every file but a manifest holds its own name. `acknowledged` gets, for each name, the length of the log when publish returned.
void script(std::map<std::string, std::size_t>& acknowledged) {
  RecordingFileSystem::make_folder("/stores");
  const auto directory = Recorded::create("/stores/one");
  const auto done = [&](const std::string& name) { acknowledged[name] = RecordingFileSystem::log().size(); };
  const auto step = [&](const Strings& blocks, const std::string& manifest, const std::string& names) {
    std::vector<Recorded::Draft> drafts;
    for (const auto& block : blocks) drafts.push_back(draft_of(*directory, block, block));
    directory->publish(std::span(drafts));
    for (const auto& block : blocks) done(block);
    publish_text(*directory, manifest, names);
    done(manifest);
  };
  step({"seg-000001/a", "seg-000002/b", "idmap-1"}, "MANIFEST_1", "seg-000001/a\nseg-000002/b\nidmap-1\n");
  step({"seg-000003/c"}, "MANIFEST_2", "seg-000002/b\nseg-000003/c\nidmap-1\n");
  directory->remove("MANIFEST_1");
  acknowledged.erase("MANIFEST_1");
  directory->remove("seg-000001/a");
  acknowledged.erase("seg-000001/a");
}

std::string text_of(const Recorded& directory, const std::string& name) {
  const auto bytes = directory.read_small(name);
  return std::string(detail::as_text(bytes));
}

/// What is wrong with the disk that is there now, given what was acknowledged at op `k`; empty if nothing is.
std::string fault_of(const std::map<std::string, std::size_t>& acknowledged, std::size_t k) {
  try {
    std::shared_ptr<Recorded> directory;
    for (const auto& [name, at] : acknowledged) {
      if (at > k) continue;
      if (!directory) directory = Recorded::open("/stores/one", OpenMode::read_only);
      if (!name.starts_with("MANIFEST") && text_of(*directory, name) != name) return name + " was acknowledged and is not whole";
    }
    try {
      if (!directory) directory = Recorded::open("/stores/one", OpenMode::read_only);
    } catch (const Error&) {
      return {};  // no store yet, and nothing promised
    }
    for (const auto& file : directory->list()) {
      if (!file.name.starts_with("MANIFEST") || file.name.ends_with(".tmp")) continue;
      // The first is history once the second is acknowledged: what it names may go.
      if (file.name == "MANIFEST_1" && acknowledged.contains("MANIFEST_2") && acknowledged.at("MANIFEST_2") <= k) continue;
      std::istringstream names(text_of(*directory, file.name));
      if (names.str().empty()) return file.name + " is visible and empty";
      for (std::string name; std::getline(names, name);)
        if (text_of(*directory, name) != name) return file.name + " names " + name + ", which is not whole";
    }
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

/// The first fault among the disks that crashes of the script may leave: at every op, every subset of up to ten pending ops, else the pending
/// ops all present, all absent, each alone present and each alone absent.
std::string first_fault(std::optional<SyncSite> skipped, bool without_rename, std::size_t* states = nullptr) {
  RecordingFileSystem::reset();
  RecordingFileSystem::skip(skipped);
  RecordingFileSystem::without_rename(without_rename);
  std::map<std::string, std::size_t> acknowledged;
  script(acknowledged);
  const auto log = RecordingFileSystem::log();
  const auto durable = durable_at(log);
  const auto base = empty_disk();
  for (std::size_t k = 0; k <= log.size(); ++k) {
    auto fates = durable_fates(durable, k);
    if (k > 0) fates[0] = present;  // the folder above the store was there before
    std::vector<std::size_t> pending;
    for (std::size_t i = 1; i < k; ++i)
      if (log[i].changes() && durable[i] >= k) pending.push_back(i);
    const auto fails = [&](const auto& survives) {
      for (std::size_t p = 0; p < pending.size(); ++p) fates[pending[p]] = survives(p) ? present : absent;
      RecordingFileSystem::mount(disk_after(base, log, fates));
      if (states != nullptr) ++*states;
      return fault_of(acknowledged, k);
    };
    if (pending.size() <= 10) {
      for (std::size_t mask = 0; mask < std::size_t{1} << pending.size(); ++mask)
        if (const auto fault = fails([&](std::size_t i) { return (mask >> i & 1) != 0; }); !fault.empty())
          return "after op " + std::to_string(k) + ": " + fault;
      continue;
    }
    for (std::size_t one = 0; one <= pending.size(); ++one)
      for (const bool alone : {false, true})
        if (const auto fault = fails([&](std::size_t i) { return (i == one) == alone; }); !fault.empty()) return "after op " + std::to_string(k) + ": " + fault;
  }
  return {};
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_is_written_synced_renamed_and_its_name_synced) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  const auto from = RecordingFileSystem::log().size();
  publish_text(*directory, "idmap-1", "text");
  BOOST_TEST(words(from) == (Strings{"create idmap-1.tmp", "write", "sync_file", "rename idmap-1", "sync_folder"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(several_files_share_the_syncs_of_their_folders) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  std::vector<Recorded::Draft> drafts;
  for (const auto* name : {"seg-1/a", "seg-1/b", "seg-2/c"}) drafts.push_back(draft_of(*directory, name, name));
  const auto from = RecordingFileSystem::log().size();
  directory->publish(std::span(drafts));
  BOOST_TEST(words(from) == (Strings{"sync_file", "sync_file", "sync_file", "rename a", "rename b", "rename c", "sync_folder", "sync_folder", "sync_folder"}),
             boost::test_tools::per_element());
  // The folders' own entries are there by now.
  const auto again = RecordingFileSystem::log().size();
  publish_text(*directory, "seg-1/d", "d");
  BOOST_TEST(words(again) == (Strings{"create d.tmp", "write", "sync_file", "rename d", "sync_folder"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(no_crash_leaves_a_name_without_its_bytes) {
  std::size_t states = 0;
  BOOST_TEST(first_fault(std::nullopt, false, &states) == "");
  BOOST_TEST(first_fault(std::nullopt, true, &states) == "");
  BOOST_TEST_MESSAGE("crash states: " << states);
  BOOST_TEST(states > 500u);
}

BOOST_AUTO_TEST_CASE(every_sync_of_publishing_is_needed) {
  for (const auto site : {SyncSite::draft_data, SyncSite::published_name, SyncSite::store_folder_entry})
    BOOST_TEST(first_fault(site, false) != "", "leaving out sync site " << static_cast<int>(site) << " went unnoticed");
}

BOOST_AUTO_TEST_CASE(whoever_takes_the_lock_finds_durable_what_a_killed_writer_left_visible) {
  RecordingFileSystem::reset();
  RecordingFileSystem::skip(SyncSite::published_name);  // where the first writer is killed
  publish_text(*Recorded::create("/one"), "MANIFEST_1", "text");
  RecordingFileSystem::skip(std::nullopt);
  const auto directory = Recorded::open("/one", OpenMode::read_write);
  const auto survivors = [] {
    const auto log = RecordingFileSystem::log();
    return disk_after(empty_disk(), log, durable_fates(durable_at(log), log.size()))->names.at("one")->names.size();
  };
  BOOST_TEST(survivors() == 0u);
  const auto lock = directory->lock();
  BOOST_TEST(survivors() == 2u);  // and LOCK
}

BOOST_AUTO_TEST_CASE(the_entry_of_a_folder_that_a_killed_process_made_is_synced) {
  RecordingFileSystem::reset();
  static_cast<void>(Recorded::create("/one"));
  RecordingFileSystem::make_folder("/one/seg-1");
  const auto directory = Recorded::open("/one", OpenMode::read_write);
  const auto from = RecordingFileSystem::log().size();
  publish_text(*directory, "seg-1/a", "a");
  BOOST_TEST(words(from) == (Strings{"create a.tmp", "write", "sync_file", "rename a", "sync_folder", "sync_folder"}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_file_system_that_cannot_refuse_to_replace_gets_links) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  RecordingFileSystem::without_rename(true);
  const auto from = RecordingFileSystem::log().size();
  publish_text(*directory, "idmap-1", "text");
  BOOST_TEST(words(from) == (Strings{"create idmap-1.tmp", "write", "sync_file", "link idmap-1", "remove idmap-1.tmp", "sync_folder"}),
             boost::test_tools::per_element());
  BOOST_TEST((code_of([&] { publish_text(*directory, "idmap-1", "other"); }) == Errc::already_exists));
  BOOST_TEST(text_of(*directory, "idmap-1") == "text");
}

BOOST_AUTO_TEST_CASE(an_old_draft_is_replaced_and_never_written_through) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  publish_text(*directory, "idmap-1", "published");
  RecordingFileSystem::Folder folder;
  RecordingFileSystem::open_folder("/one", folder);
  // A crash between link and unlink: the temporary name is a second name of a published file.
  RecordingFileSystem::link(folder, "idmap-1", "idmap-2.tmp");
  publish_text(*directory, "idmap-2", "new");
  BOOST_TEST(text_of(*directory, "idmap-1") == "published");
  BOOST_TEST(text_of(*directory, "idmap-2") == "new");
}

BOOST_AUTO_TEST_CASE(a_file_has_one_draft_at_a_time) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  {
    auto first = draft_of(*directory, "idmap-1", "first");
    BOOST_TEST((code_of([&] { draft_of(*directory, "idmap-1", "second"); }) == Errc::already_exists));
    first.append(detail::as_bytes(std::string_view(" and last")));
    directory->publish(std::span(&first, 1));
    BOOST_TEST((code_of([&] { first.append(Bytes(1)); }) == Errc::invalid_argument));
    BOOST_TEST((code_of([&] { directory->publish(std::span(&first, 1)); }) == Errc::invalid_argument));
  }
  BOOST_TEST(text_of(*directory, "idmap-1") == "first and last");
  { auto dropped = draft_of(*directory, "idmap-2", "dropped"); }
  publish_text(*directory, "idmap-2", "again");
  BOOST_TEST(text_of(*directory, "idmap-2") == "again");
}

BOOST_AUTO_TEST_CASE(a_draft_moves_and_takes_its_file_along) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  auto a = draft_of(*directory, "idmap-1", "a");
  auto b = draft_of(*directory, "idmap-2", "b");
  auto& same = a;
  a = std::move(same);
  b = std::move(a);  // what b was is discarded
  BOOST_TEST((code_of([&] { a.append(Bytes(1)); }) == Errc::invalid_argument));
  BOOST_TEST(directory->list().size() == 1u);
  directory->publish(std::span(&b, 1));
  BOOST_TEST(text_of(*directory, "idmap-1") == "a");
  BOOST_TEST(directory->list().size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_draft_of_another_store_is_not_published) {
  RecordingFileSystem::reset();
  const auto one = Recorded::create("/one");
  const auto two = Recorded::create("/two");
  auto draft = draft_of(*one, "idmap-1", "text");
  BOOST_TEST((code_of([&] { two->publish(std::span(&draft, 1)); }) == Errc::invalid_argument));
  one->publish(std::span(&draft, 1));
}

BOOST_AUTO_TEST_CASE(names_stay_within_the_store) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  for (const auto* name : {"", "/", "/a", "a/", "a/b/c", "..", "../a", "a/..", "a/../b", ".hidden", "a/.b", "a\\b", "a b", "a\n", "a{", "a[", "a:", "\xff"}) {
    BOOST_TEST_CONTEXT(name) {
      BOOST_TEST(!detail::valid_file_name(name));
      BOOST_TEST((code_of([&] { static_cast<void>(directory->create_draft(name)); }) == Errc::invalid_argument));
      BOOST_TEST((code_of([&] { static_cast<void>(directory->open_file(name)); }) == Errc::corruption));
      BOOST_TEST((code_of([&] { directory->remove(name); }) == Errc::invalid_argument));
    }
  }
  BOOST_TEST((code_of([&] { static_cast<void>(directory->create_draft("a.tmp")); }) == Errc::invalid_argument));
  BOOST_TEST(!detail::valid_file_name(std::string(201, 'a')));
  for (const auto* name : {"LOCK", "MANIFEST_00000000000042", "seg-000007/blk-000003.scalar", "idmap-000009", "a.tmp"})
    BOOST_TEST(detail::valid_file_name(name));
}

BOOST_AUTO_TEST_CASE(a_folder_goes_with_its_last_file) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  publish_text(*directory, "seg-1/a", "a");
  publish_text(*directory, "seg-1/b", "b");
  directory->remove("seg-1/a");
  BOOST_TEST(RecordingFileSystem::log().back().name == "a");
  directory->remove("seg-1/b");
  BOOST_TEST(RecordingFileSystem::log().back().name == "seg-1");
  publish_text(*directory, "seg-1/a", "a");
  BOOST_TEST(text_of(*directory, "seg-1/a") == "a");
}

BOOST_AUTO_TEST_CASE(create_takes_over_what_a_create_cut_short_left_and_nothing_else) {
  RecordingFileSystem::reset();
  {
    const auto directory = Recorded::create("/one/two/three/");
    const auto lock = directory->lock();
    auto draft = draft_of(*directory, "MANIFEST_1", "text");
    BOOST_TEST(Recorded::create("/one/two/three")->list().size() == 2u);
  }
  BOOST_TEST((code_of([] { static_cast<void>(Recorded::create("/one")); }) == Errc::already_exists));  // a folder is in it
  publish_text(*Recorded::create("/one/two/three"), "MANIFEST_1", "text");
  BOOST_TEST((code_of([] { static_cast<void>(Recorded::create("/one/two/three")); }) == Errc::already_exists));
  BOOST_TEST((code_of([] { static_cast<void>(Recorded::create("/one/two/three/MANIFEST_1")); }) == Errc::already_exists));
  BOOST_TEST((code_of([] { static_cast<void>(Recorded::create("")); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([] { static_cast<void>(Recorded::open("", OpenMode::read_write)); }) == Errc::not_found));
}

BOOST_AUTO_TEST_CASE(a_folder_in_place_of_a_file_is_corruption) {
  RecordingFileSystem::reset();
  const auto directory = Recorded::create("/one");
  RecordingFileSystem::make_folder("/one/MANIFEST_1");
  BOOST_TEST((code_of([&] { static_cast<void>(directory->read_small("MANIFEST_1")); }) == Errc::corruption));
}

BOOST_AUTO_TEST_CASE(after_a_failed_sync_nothing_is_written_until_the_store_is_opened_again) {
  using Faulty = FaultyFileSystem<RecordingFileSystem>;
  for (const auto call : {IoCall::sync_file, IoCall::sync_folder}) {
    RecordingFileSystem::reset();
    Faulty::clear();
    const auto directory = Directory<Faulty>::create("/one");
    publish_text(*directory, "idmap-1", "one");
    auto other = draft_of(*directory, "idmap-3", "three");
    Faulty::plan({.at = 1, .error = EIO, .only = call});
    BOOST_TEST((code_of([&] { publish_text(*directory, "idmap-2", "two"); }) == Errc::io_error));
    BOOST_TEST(Faulty::fired() == 1u);
    BOOST_TEST(directory->poisoned());
    BOOST_TEST(Faulty::calls() == 1u);  // not tried again
    BOOST_TEST((code_of([&] { static_cast<void>(directory->create_draft("idmap-4")); }) == Errc::io_error));
    BOOST_TEST((code_of([&] { other.append(Bytes(1)); }) == Errc::io_error));
    BOOST_TEST((code_of([&] { directory->publish(std::span(&other, 1)); }) == Errc::io_error));
    BOOST_TEST((code_of([&] { directory->remove("idmap-1"); }) == Errc::io_error));
    BOOST_TEST((code_of([&] { static_cast<void>(directory->lock()); }) == Errc::io_error));
    BOOST_TEST(directory->read_small("idmap-1").size() == 3u);  // reading goes on
    const auto again = Directory<Faulty>::open("/one", OpenMode::read_write);
    publish_text(*again, "idmap-5", "five");
    Faulty::clear();
  }
}

BOOST_AUTO_TEST_CASE(a_full_disk_costs_the_draft_and_nothing_more) {
  using Faulty = FaultyFileSystem<RecordingFileSystem>;
  RecordingFileSystem::reset();
  Faulty::clear();
  const auto directory = Directory<Faulty>::create("/one");
  {
    auto draft = draft_of(*directory, "idmap-1", "begins");
    Faulty::plan({.at = 1, .error = ENOSPC, .only = IoCall::write});
    BOOST_TEST((code_of([&] { draft.append(Bytes(100)); }) == Errc::no_space));
    BOOST_TEST((code_of([&] { directory->publish(std::span(&draft, 1)); }) == Errc::io_error));
  }
  BOOST_TEST(directory->list().empty());
  BOOST_TEST(!directory->poisoned());
  publish_text(*directory, "idmap-1", "whole");
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(where_locks_and_syncs_cannot_be_trusted_only_reading_is_allowed) {
  struct Remote : RecordingFileSystem {
    static IoResult remote_kind(const Folder&, std::string& kind) {
      kind = "NFS";
      return {};
    }
  };
  RecordingFileSystem::reset();
  static_cast<void>(Recorded::create("/one"));
  BOOST_TEST((code_of([] { static_cast<void>(Directory<Remote>::create("/two")); }) == Errc::unsupported));
  BOOST_TEST((code_of([] { static_cast<void>(Directory<Remote>::open("/one", OpenMode::read_write)); }) == Errc::unsupported));
  BOOST_TEST((code_of([] { static_cast<void>(Directory<Remote>::open("/one", OpenMode::read_only)); }) == Errc::none));
  // Who knows better says so, as the README of storage shows.
  struct Trusted : Remote {
    static IoResult remote_kind(const Folder&, std::string&) { return {}; }
  };
  BOOST_TEST((code_of([] { static_cast<void>(Directory<Trusted>::open("/one", OpenMode::read_write)); }) == Errc::none));
}

BOOST_AUTO_TEST_SUITE_END()
