#include <quiver/storage/posix_file_system.hpp>

#include <quiver/storage/mmap.hpp>

#include "support/recording_file_system.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <csignal>

#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/wait.h>

BOOST_AUTO_TEST_SUITE(posix_file_system)

using namespace quiver;
using namespace quiver::test;

namespace {

/// Runs `body` in a child process and gives its exit code.
template <class Body>
int in_child(Body&& body) {
  const auto child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/// What each file system answers to the same calls; they must agree, or tests on the one in memory prove nothing.
template <class FS>
Strings answers(const std::filesystem::path& root) {
  Strings all;
  const auto note = [&](const char* what, IoResult result) {
    all.push_back(std::string(what) + " " + std::to_string(result.count) + " " + std::to_string(result.error));
  };
  typename FS::Folder folder;
  note("open missing folder", FS::open_folder(root / "missing", folder));
  note("make folder", FS::make_folder(root / "one"));
  note("make folder again", FS::make_folder(root / "one"));
  note("make folder in missing", FS::make_folder(root / "missing" / "one"));
  note("open folder", FS::open_folder(root / "one", folder));
  note("make subfolder", FS::make_subfolder(folder, "seg"));
  note("make subfolder again", FS::make_subfolder(folder, "seg"));
  typename FS::File file;
  note("create", FS::create_file(folder, "seg/a.tmp", file));
  note("write", FS::write_at(file, Bytes(10, std::byte{1}), 0));
  note("write on", FS::write_at(file, Bytes(10, std::byte{2}), 10));
  note("sync", FS::sync_file(file, SyncSite::draft_data));
  FolderEntry entry;
  note("describe", FS::describe(file, entry));
  all.push_back(std::to_string(entry.size) + " " + std::to_string(static_cast<int>(entry.kind)));
  note("allocate", FS::allocate(file, 15, 100));
  note("describe allocated", FS::describe(file, entry));
  all.push_back(std::to_string(entry.size));
  note("allocate what is there", FS::allocate(file, 0, 20));
  note("describe again", FS::describe(file, entry));
  all.push_back(std::to_string(entry.size));
  typename FS::File other;
  note("create again", FS::create_file(folder, "seg/a.tmp", other));
  note("create in missing", FS::create_file(folder, "missing/a", other));
  note("rename", FS::rename_new(folder, "seg/a.tmp", "seg/a"));
  note("rename missing", FS::rename_new(folder, "seg/a.tmp", "seg/b"));
  note("link", FS::link(folder, "seg/a", "seg/b"));
  note("link again", FS::link(folder, "seg/a", "seg/b"));
  typename FS::Folder two;
  note("make another folder", FS::make_folder(root / "two"));
  note("open another folder", FS::open_folder(root / "two", two));
  note("link into it", FS::link_from(folder, "seg/a", two, "a"));
  note("link into it again", FS::link_from(folder, "seg/b", two, "a"));
  note("link missing", FS::link_from(folder, "seg/c", two, "c"));
  note("link into missing", FS::link_from(folder, "seg/a", two, "seg/a"));
  note("link a folder", FS::link_from(folder, "seg", two, "seg"));
  note("open link", FS::open_file(two, "a", other));
  note("describe link", FS::describe(other, entry));
  all.push_back(std::to_string(entry.size));
  note("remove link elsewhere", FS::remove(two, "a"));
  note("rename onto", FS::rename_new(folder, "seg/b", "seg/a"));
  typename FS::Folder inner;
  note("open subfolder", FS::open_subfolder(folder, "seg", inner));
  note("open file as folder", FS::open_subfolder(folder, "seg/a", inner));
  note("sync folder", FS::sync_folder(inner, SyncSite::published_name));
  note("open missing", FS::open_file(folder, "seg/c", other));
  note("open", FS::open_file(folder, "seg/a", other));
  Bytes bytes(30);
  note("read", FS::read_at(other, bytes, 5));
  all.push_back(std::to_string(static_cast<int>(bytes[4])) + std::to_string(static_cast<int>(bytes[5])));
  note("read where writing ended", FS::read_at(other, bytes, 19));
  all.push_back(std::to_string(static_cast<int>(bytes[0])) + std::to_string(static_cast<int>(bytes[1])));
  note("read what was allocated", FS::read_at(other, bytes, 100));
  all.push_back(std::to_string(static_cast<int>(bytes[0])) + std::to_string(static_cast<int>(bytes[14])));
  note("read behind the end", FS::read_at(other, bytes, 1000));
  typename FS::Mapping mapping;
  note("map", FS::map_ro(other, 20, {}, mapping));
  all.push_back(std::to_string(static_cast<int>(mapping.data()[19])));
  note("open folder as file", FS::open_file(folder, "seg", other));
  note("describe folder", FS::describe(other, entry));
  all.push_back(std::to_string(static_cast<int>(entry.kind)));
  std::vector<FolderEntry> entries;
  note("list", FS::list(inner, entries));
  std::ranges::sort(entries, {}, &FolderEntry::name);
  for (const auto& each : entries) all.push_back(each.name + " " + std::to_string(each.size));
  note("remove full folder", FS::remove_subfolder(folder, "seg"));
  note("remove folder as file", FS::remove(folder, "seg"));
  note("remove file as folder", FS::remove_subfolder(folder, "seg/a"));
  note("remove", FS::remove(folder, "seg/a"));
  note("remove missing", FS::remove(folder, "seg/a"));
  note("remove link", FS::remove(folder, "seg/b"));
  note("remove folder", FS::remove_subfolder(folder, "seg"));
  typename FS::File lock, second;
  note("open lock", FS::open_lock_file(folder, "LOCK", lock));
  note("open lock again", FS::open_lock_file(folder, "LOCK", second));
  note("lock", FS::try_lock(lock));
  note("lock again", FS::try_lock(second));
  lock = typename FS::File();
  note("lock when free", FS::try_lock(second));
  return all;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_machine_and_the_one_in_memory_answer_alike) {
  const TempFolder temp;
  RecordingFileSystem::reset();
  BOOST_TEST(answers<PosixFileSystem>(temp.path()) == answers<RecordingFileSystem>("/"), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(a_lock_keeps_other_processes_out_and_goes_with_a_killed_one) {
  const TempFolder temp;
  auto store = MMapPolicy::create_store(temp / "store");
  const auto tries = [&] {
    return in_child([&] {
      try {
        auto own = MMapPolicy::open_store(temp / "store", {}, OpenMode::read_write);
        static_cast<void>(own.lock_for_writing());
      } catch (const Error& e) {
        return e.code() == Errc::locked ? 1 : 2;
      }
      return 0;
    });
  };
  {
    const auto lock = store.lock_for_writing();
    BOOST_TEST(tries() == 1);
  }
  BOOST_TEST(tries() == 0);

  int ready[2];
  BOOST_REQUIRE(::pipe(ready) == 0);
  const auto child = ::fork();
  if (child == 0) {
    auto own = MMapPolicy::open_store(temp / "store", {}, OpenMode::read_write);
    const auto lock = own.lock_for_writing();
    const char byte = 'x';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  BOOST_REQUIRE(::read(ready[0], &byte, 1) == 1);
  BOOST_TEST(tries() == 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  BOOST_TEST(tries() == 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

BOOST_AUTO_TEST_CASE(a_store_is_found_again_after_the_working_folder_changed) {
  const TempFolder temp;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(temp.path());
  auto store = MMapPolicy::create_store("relative/store");
  std::filesystem::current_path("/");
  auto draft = store.create("seg-000001/a");
  draft.append(Bytes(3));
  store.publish(std::move(draft));
  BOOST_TEST(store.read_small("seg-000001/a").size() == 3u);
  std::filesystem::current_path(before);
  BOOST_TEST(std::filesystem::exists(temp / "relative" / "store" / "seg-000001" / "a"));
}

BOOST_AUTO_TEST_CASE(descriptors_are_owned_by_one) {
  const auto open_ones = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()); };
  const auto before = open_ones();
  {
    PosixFileSystem::Folder a, b;
    BOOST_TEST(a.get() == -1);
    BOOST_REQUIRE(PosixFileSystem::open_folder("/", a));
    BOOST_REQUIRE(PosixFileSystem::open_folder("/", b));
    auto& same = a;
    a = std::move(same);
    BOOST_TEST(a.get() >= 0);
    b = std::move(a);
    BOOST_TEST(a.get() == -1);
    const auto c = std::move(b);
    BOOST_TEST(c.get() >= 0);
    std::vector<FolderEntry> entries;
    BOOST_REQUIRE(PosixFileSystem::list(c, entries));
    const auto count = entries.size();
    BOOST_REQUIRE(PosixFileSystem::list(c, entries));  // a listing does not move the folder's place
    BOOST_TEST(entries.size() == 2 * count);
  }
  BOOST_TEST(open_ones() == before);
}

BOOST_AUTO_TEST_CASE(what_is_not_open_is_an_error_of_every_call) {
  PosixFileSystem::File none;
  FolderEntry entry{"", EntryKind::folder, 7};
  BOOST_TEST(PosixFileSystem::describe(none, entry).error == EBADF);
  BOOST_TEST((entry.kind == EntryKind::folder && entry.size == 7u));  // as it was
  std::vector<FolderEntry> entries;
  BOOST_TEST(PosixFileSystem::list(none, entries).error == EBADF);
  std::string kind = "as it was";
  BOOST_TEST(PosixFileSystem::remote_kind(none, kind).error == EBADF);
  BOOST_TEST(kind == "as it was");
  PosixFileSystem::Mapping mapping;
  BOOST_TEST(PosixFileSystem::map_ro(none, 10, {}, mapping).error == EBADF);
  BOOST_TEST(PosixFileSystem::try_lock(none).error == EBADF);
  BOOST_TEST(mapping.data() == nullptr);
}

BOOST_AUTO_TEST_CASE(an_empty_file_is_not_mapped) {
  const TempFolder temp;
  PosixFileSystem::Folder folder;
  BOOST_REQUIRE(PosixFileSystem::open_folder(temp.path(), folder));
  PosixFileSystem::File file;
  BOOST_REQUIRE(PosixFileSystem::create_file(folder, "a", file));
  BOOST_REQUIRE(PosixFileSystem::open_file(folder, "a", file));
  PosixFileSystem::Mapping mapping;
  BOOST_TEST(PosixFileSystem::map_ro(file, 0, {}, mapping).error == EINVAL);
}

BOOST_AUTO_TEST_CASE(a_link_to_nowhere_is_not_listed_and_one_that_leads_to_itself_is_an_error) {
  const TempFolder temp;
  PosixFileSystem::Folder folder;
  BOOST_REQUIRE(PosixFileSystem::open_folder(temp.path(), folder));
  PosixFileSystem::File file;
  BOOST_REQUIRE(PosixFileSystem::create_file(folder, "a", file));
  std::filesystem::create_symlink("nowhere", temp / "b");
  std::filesystem::create_symlink("a", temp / "c");
  std::vector<FolderEntry> entries;
  BOOST_TEST(PosixFileSystem::list(folder, entries).error == 0);
  std::ranges::sort(entries, {}, &FolderEntry::name);
  BOOST_REQUIRE(entries.size() == 2u);
  BOOST_TEST(entries[0].name == "a");
  BOOST_TEST(entries[1].name == "c");
  BOOST_TEST((entries[1].kind == EntryKind::file));
  std::filesystem::create_symlink("d", temp / "d");
  BOOST_TEST(PosixFileSystem::list(folder, entries).error == ELOOP);
}

BOOST_AUTO_TEST_CASE(a_listing_at_the_limit_of_open_files_says_so) {
  const TempFolder temp;
  PosixFileSystem::Folder folder;
  BOOST_REQUIRE(PosixFileSystem::open_folder(temp.path(), folder));
  struct ::rlimit before {};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  auto low = before;
  low.rlim_cur = 3;  // no further descriptor
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  std::vector<FolderEntry> entries;
  const auto result = PosixFileSystem::list(folder, entries);
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  BOOST_TEST(result.error == EMFILE);
}

BOOST_AUTO_TEST_CASE(remote_file_systems_are_known_by_their_numbers_and_local_ones_have_no_name) {
  using detail::remote_file_system;
  BOOST_TEST(remote_file_system(NFS_SUPER_MAGIC) == "NFS");
  BOOST_TEST(remote_file_system(V9FS_MAGIC) == "9p");
  BOOST_TEST(remote_file_system(0x65735546) == "FUSE");  // which older headers do not name, nor the next two
  BOOST_TEST(remote_file_system(0xFF534D42) == "CIFS");
  BOOST_TEST(remote_file_system(0xFE534D42) == "SMB");
  for (const std::int64_t local : std::initializer_list<std::int64_t>{EXT4_SUPER_MAGIC, BTRFS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC, 0})
    BOOST_TEST_CONTEXT(local) BOOST_TEST(remote_file_system(static_cast<std::uint32_t>(local)) == "");
}

BOOST_AUTO_TEST_SUITE_END()
