// What a reader meets where a writer creates, or removes what no version needs, between two steps of the reader.
#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/leave_child.hpp"
#include "support/policies.hpp"
#include "support/raw_manifest.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace pruned_meanwhile {
namespace {

/// Something happens once, before the next file whose name begins so is opened.
struct Meanwhile {
  std::string prefix;
  std::function<void()> happens;
};
Meanwhile meanwhile;

struct InterruptedFileSystem : PosixFileSystem {
  static IoResult open_file(const Folder& in, const std::string& name, File& file) {
    if (meanwhile.happens && name.starts_with(meanwhile.prefix)) std::exchange(meanwhile.happens, {})();
    return PosixFileSystem::open_file(in, name, file);
  }
  static IoResult list(const Folder& in, std::vector<FolderEntry>& entries) {
    const auto listed = PosixFileSystem::list(in, entries);
    if (meanwhile.happens && meanwhile.prefix == "list") std::exchange(meanwhile.happens, {})();
    return listed;
  }
};
using Reader = Collection<BasicFileReadPolicy<InterruptedFileSystem>>;

/// Reads of a log that are longer than its header find, once each, a byte of these offsets not written yet.
struct TornFileSystem : PosixFileSystem {
  static inline std::vector<std::size_t> torn{};

  static IoResult read_at(const File& file, std::span<std::byte> to, std::uint64_t offset) {
    const auto result = PosixFileSystem::read_at(file, to, offset);
    if (!torn.empty() && offset == quiver::detail::wal_header_size && to.size() > torn.front()) {
      to[torn.front()] ^= std::byte{1};
      torn.erase(torn.begin());
    }
    return result;
  }
};

Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}}}; }
Schema numbered_schema() { return Schema{Field::int32("n")}; }

/// A merged version 4, and version 3 before it with files of its own, which goes with the next but one.
Collection<MMapPolicy> two_versions(const std::filesystem::path& path) {
  auto c = Collection<MMapPolicy>::create(path, numbered_schema());
  for (int i = 0; i < 2; ++i) c.insert(numbered(i)), c.flush();
  c.optimize();
  return c;
}
void go_on(Collection<MMapPolicy>& c) {
  for (int i = 2; i < 5; ++i) c.insert(numbered(i)), c.flush();
}

}  // namespace
}  // namespace pruned_meanwhile

BOOST_AUTO_TEST_SUITE(pruned_meanwhile)

BOOST_AUTO_TEST_CASE(a_version_that_goes_while_it_is_opened_is_not_found) {
  for (const std::string prefix : {"MANIFEST_00000000000003", "seg-000001", "idmap-"}) {
    const FreshFolder folder;
    auto c = two_versions(folder.path());
    meanwhile = {prefix, [&] { go_on(c); }};
    BOOST_TEST((code_of([&] { (void)Reader::open(folder.path(), {.at_version = 3}); }) == Errc::not_found), prefix);
    BOOST_TEST(!meanwhile.happens);
  }
}

BOOST_AUTO_TEST_CASE(an_open_or_a_refresh_whose_version_goes_meanwhile_finds_the_one_that_came) {
  for (const std::string prefix : {"MANIFEST_00000000000004", "seg-000002", "idmap-", "wal-"})
    for (const bool refreshes : {false, true}) {
      const FreshFolder folder;
      auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
      std::optional<Reader> reader;
      if (refreshes) reader.emplace(Reader::open(folder.path()));
      for (int i = 0; i < 2; ++i) c.insert(numbered(i)), c.flush();
      c.optimize();
      meanwhile = {prefix, [&] { go_on(c); }};
      if (refreshes)
        reader->refresh();
      else
        reader.emplace(Reader::open(folder.path()));
      BOOST_TEST(!meanwhile.happens, prefix);
      BOOST_TEST(reader->count() == 5u, prefix << ": " << reader->count());
      BOOST_TEST(reader->verify().ok());
    }
}

BOOST_AUTO_TEST_CASE(a_version_that_is_kept_and_lacks_a_file_is_corrupt) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  std::filesystem::remove_all(folder.path() / "seg-000001");
  BOOST_TEST((code_of([&] { (void)Reader::open(folder.path(), {.at_version = 3}); }) == Errc::corruption));
}

BOOST_AUTO_TEST_CASE(what_goes_while_everything_is_verified_is_no_problem) {
  for (const std::string prefix : {"MANIFEST_00000000000004", "MANIFEST_00000000000003", "seg-000001", "idmap-000001", "wal-"}) {
    const FreshFolder folder;
    auto c = two_versions(folder.path());
    const auto reader = Reader::open(folder.path());
    meanwhile = {prefix, [&] { go_on(c); }};
    const auto report = reader.verify();
    BOOST_TEST(report.ok(), prefix << ": " << (report.ok() ? "" : report.problems[0].what));
    BOOST_TEST(!meanwhile.happens);
  }
}

BOOST_AUTO_TEST_CASE(damage_is_a_problem_also_while_versions_go) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  const auto reader = Reader::open(folder.path());
  const std::string merged = "seg-000002";
  BOOST_TEST_REQUIRE(std::filesystem::exists(folder.path() / merged));
  std::filesystem::remove_all(folder.path() / merged);
  meanwhile = {"seg-000001", [&] { go_on(c); }};
  const auto report = reader.verify();
  BOOST_TEST(!meanwhile.happens);
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST((report.problems[0].code == Errc::corruption));
  BOOST_TEST(report.problems[0].path.parent_path() == folder.path() / merged);
}

BOOST_AUTO_TEST_CASE(a_problem_of_no_file_of_ours_stays_while_versions_go) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
    for (int i = 0; i < 2; ++i) c.insert(numbered(i)), c.flush();
  }
  // The run that leads to k1 is named no more.
  const auto store = MMapPolicy::open_store(folder.path(), {}, OpenMode::read_only);
  auto version = detail::read_manifest<MMapPolicy>(store, *detail::store_numbers<MMapPolicy>(store).newest()).version;
  version.id_runs.pop_back();
  put_file(folder.path() / detail::manifest_name(version.number), std::string(detail::as_text(raw_manifest(version))));
  const auto reader = Reader::open(folder.path());
  auto c = Collection<MMapPolicy>::open(folder.path());
  meanwhile = {"wal-", [&] { go_on(c); }};
  const auto report = reader.verify();
  BOOST_TEST(!meanwhile.happens);
  BOOST_TEST_REQUIRE(report.problems.size() == 1u);
  BOOST_TEST(report.problems[0].path == folder.path());
  BOOST_TEST(report.problems[0].what.find("'k1'") != std::string::npos, report.problems[0].what);
}

BOOST_AUTO_TEST_CASE(problems_stay_where_nobody_can_say_what_the_newest_version_names) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  const auto reader = Reader::open(folder.path());
  // The writer goes on, and a version that it keeps loses its manifest.
  meanwhile = {"seg-000001", [&] {
                 go_on(c);
                 std::filesystem::remove(folder.path() / detail::manifest_name(c.versions().front().number));
               }};
  const auto report = reader.verify();
  BOOST_TEST(!meanwhile.happens);
  BOOST_TEST(!report.ok());
}

BOOST_AUTO_TEST_CASE(what_goes_while_a_report_is_cleared_of_what_went_is_no_problem_either) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  const auto reader = Reader::open(folder.path());
  int times = 0;
  const auto prune = [&] {
    c.insert(numbered(100 + ++times)), c.flush();
    c.insert(numbered(200 + times)), c.flush();
  };
  meanwhile = {"seg-000001", [&] {
                 go_on(c);
                 // The manifest that the next look finds first.
                 meanwhile = {detail::manifest_name(c.versions().front().number), prune};
               }};
  const auto report = reader.verify();
  BOOST_TEST(times == 1);
  BOOST_TEST(!meanwhile.happens);
  BOOST_TEST(report.ok(), (report.ok() ? "" : report.problems[0].what));
}

BOOST_AUTO_TEST_CASE(a_log_that_a_writer_began_while_the_one_before_was_looked_at_is_no_problem) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  const auto reader = Reader::open(folder.path());
  meanwhile = {"wal-", [&] {
                 c.insert(numbered(7));
                 c.flush();
                 c.insert(numbered(8));
               }};
  const auto report = reader.verify();
  BOOST_TEST(!meanwhile.happens);
  BOOST_TEST(report.ok(), (report.ok() ? "" : report.problems[0].what));
}

BOOST_AUTO_TEST_CASE(a_collection_that_is_removed_while_it_is_opened_or_verified_is_an_error) {
  for (const bool verifies : {false, true}) {
    const FreshFolder folder;
    auto c = two_versions(folder.path());
    c.close();
    const auto reader = Reader::open(folder.path());
    meanwhile = {"idmap-", [&] {
                   for (const auto& entry : std::filesystem::directory_iterator(folder.path())) std::filesystem::remove_all(entry.path());
                 }};
    if (verifies)
      BOOST_TEST(!reader.verify().ok());
    else
      BOOST_TEST((code_of([&] { (void)Reader::open(folder.path()); }) == Errc::corruption));
    BOOST_TEST(!meanwhile.happens);
  }
}

BOOST_AUTO_TEST_CASE(a_newest_manifest_that_comes_and_goes_is_not_waited_for) {
  const FreshFolder folder;
  auto c = two_versions(folder.path());
  c.close();
  const auto fifth = folder.path() / detail::manifest_name(5);
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("idmap-")) std::filesystem::remove(entry.path());
  int times = 0;
  // It is there whenever a missing file of the fourth version asks for an excuse.
  const std::function<void()> comes = [&] {
    if (++times > 10) return;
    put_file(fifth, "");
    meanwhile = {"list", [&] {
                   std::filesystem::remove(fifth);
                   meanwhile = {"idmap-", comes};
                 }};
  };
  meanwhile = {"idmap-", comes};
  BOOST_TEST((code_of([&] { (void)Reader::open(folder.path()); }) == Errc::corruption));
  BOOST_TEST(times == 2);
  meanwhile = {};
}

BOOST_AUTO_TEST_CASE(what_is_created_while_it_is_opened_is_not_damaged) {
  for (const bool verifies : {false, true}) {
    const FreshFolder folder;
    std::filesystem::create_directory(folder.path());
    std::optional<Collection<MMapPolicy>> c;
    int lists = 0;
    const std::function<void()> second = [&] {
      if (++lists < 2) return void(meanwhile = {"list", second});
      c.emplace(Collection<MMapPolicy>::create(folder.path(), numbered_schema()));
      c->insert(numbered(0));
    };
    meanwhile = {"list", second};
    if (verifies) {
      const auto store = BasicFileReadPolicy<InterruptedFileSystem>::open_store(folder.path(), {}, OpenMode::read_only);
      BOOST_TEST(detail::Verifier<BasicFileReadPolicy<InterruptedFileSystem>>(store, VerifyLevel::full).run().ok());
    } else {
      BOOST_TEST(Reader::open(folder.path()).count() == 1u);
    }
    BOOST_TEST(c.has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_log_that_is_written_to_while_it_is_read_is_judged_once_two_looks_agree) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
  for (int i = 0; i < 3; ++i) c.insert(numbered(i));
  using TornReader = Collection<BasicFileReadPolicy<TornFileSystem>>;
  // Each look meets the writer a little further on.
  TornFileSystem::torn = {130, 250};
  BOOST_TEST(TornReader::open(folder.path()).count() == 3u);
  BOOST_TEST(TornFileSystem::torn.empty());
  TornFileSystem::torn = {130, 130};
  BOOST_TEST((code_of([&] { (void)TornReader::open(folder.path()); }) == Errc::corruption));
  BOOST_TEST(TornFileSystem::torn.empty());
}

BOOST_AUTO_TEST_CASE(a_child_of_a_process_that_refreshes_is_told_so_and_does_not_wait) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
  auto reader = Reader::open(folder.path());
  std::atomic<bool> within = false, forked = false;
  meanwhile = {"list", [&] {
                 within = true;
                 while (!forked) std::this_thread::yield();
               }};
  std::thread refreshes([&] { reader.refresh(); });
  while (!within) std::this_thread::yield();
  const auto child = ::fork();
  if (child == 0) {
    ::alarm(20);
    leave_child(code_of([&] { reader.refresh(); }) == Errc::closed && reader.count() == 0 ? 0 : 1);
  }
  forked = true;
  refreshes.join();
  int status = 0;
  BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0), "status " << status);
}

BOOST_AUTO_TEST_CASE(versions_are_kept_for_ever_where_that_is_asked_for) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.retain = {.versions = 1, .age = std::chrono::seconds::max()}});
  for (int i = 0; i < 5; ++i) c.insert(numbered(i)), c.flush();
  BOOST_TEST(c.versions().size() == 6u);
}

BOOST_AUTO_TEST_SUITE_END()
