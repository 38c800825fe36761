#include <quiver/collection/loading_folder.hpp>

#include <quiver/collection/collection.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>
#include <csignal>
#include <functional>
#include <utility>

#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace loading {
namespace {

namespace fs = std::filesystem;

using Disk = Collection<MMapPolicy>;

/// Sends the process a signal in place of one of its calls.
class SignallingFileSystem : public PosixFileSystem {
 public:
  static inline int signal = 0;
  static inline int calls_left = 0;

  static IoResult create_file(const Folder& in, const std::string& name, File& file) {
    count();
    return PosixFileSystem::create_file(in, name, file);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    count();
    return PosixFileSystem::write_at(file, from, offset);
  }
  static IoResult sync_file(File& file, SyncSite site) {
    count();
    return PosixFileSystem::sync_file(file, site);
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    count();
    return PosixFileSystem::sync_folder(in, site);
  }
  static IoResult rename_new(const Folder& in, const std::string& from, const std::string& to) {
    count();
    return PosixFileSystem::rename_new(in, from, to);
  }

 private:
  static void count() {
    if (--calls_left == 0) ::raise(signal);
  }
};

/// Something happens once, before the mark of a load is opened; and the sync of one folder's entry may fail.
class InterruptedFileSystem : public PosixFileSystem {
 public:
  static inline std::function<void()> before_mark{};
  static inline fs::path fails_behind{};  // syncs of a folder above a store fail once this is there

  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    if (before_mark && name == quiver::detail::loading_mark_name) std::exchange(before_mark, {})();
    return PosixFileSystem::open_lock_file(in, name, file);
  }
  static IoResult sync_folder(const Folder& in, SyncSite site) {
    if (site == SyncSite::store_folder_entry && !fails_behind.empty() && fs::exists(fails_behind)) return {0, EIO};
    return PosixFileSystem::sync_folder(in, site);
  }
};

/// A dump of a few documents, and a place to load it to.
struct Place {
  TempFolder at;
  fs::path dump = at / "dump", target = at / "new.qvr", building = at / "new.qvr.loading";

  Place() {
    auto c = Collection<MemoryPolicy>::create(Schema{Field::int32("n"), VectorField("v", 2)});
    for (int i = 0; i < 20; ++i) c.insert(Document{"k" + std::to_string(i), {{"n", i}, {"v", {1.0f, 2.0f}}}});
    c.dump(dump);
  }
  [[nodiscard]] std::uint64_t load() const { return Disk::load(dump, target).count(); }
  [[nodiscard]] Errc refused() const {
    return code_of([&] { (void)Disk::load(dump, target); });
  }
  [[nodiscard]] Errc interrupted() const {
    using FS = InterruptedFileSystem;
    return code_of([&] { (void)quiver::detail::load_dump<FS, Collection<BasicMMapPolicy<FS>>>(dump, target, {}); });
  }
  /// A process that loads, with segments of 8 rows, and gets `signal` at its call number `call`.
  [[nodiscard]] ::pid_t loader(int signal, int call) const {
    const auto child = ::fork();
    if (child != 0) return child;
    SignallingFileSystem::signal = signal;
    SignallingFileSystem::calls_left = call;
    try {
      using P = BasicMMapPolicy<SignallingFileSystem>;
      (void)detail::load_dump<SignallingFileSystem, Collection<P>>(dump, target, {.segment_rows = 8});
    } catch (...) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  /// True: it was killed at that call, false: it loaded before.
  [[nodiscard]] bool killed_at(int call) const {
    const auto child = loader(SIGKILL, call);
    int status = 0;
    BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status)) return true;
    BOOST_TEST_REQUIRE((WIFEXITED(status) && WEXITSTATUS(status) == 0), "status " << status);
    return false;
  }
  /// What a load leaves that was killed after it had written blocks.
  void leave_a_leftover() const {
    const auto sample = at / "sample";
    for (int call = 25; !fs::exists(sample); call += 5) {
      BOOST_TEST_REQUIRE(killed_at(call));
      if (fs::exists(building / "seg-000001")) copy_store(building, sample);
      fs::remove_all(building);
    }
    copy_store(sample, building);
  }
};

}  // namespace
}  // namespace loading

BOOST_AUTO_TEST_SUITE(loading)

BOOST_AUTO_TEST_CASE(what_a_killed_load_left_the_next_one_clears_away) {
  const Place place;
  int left = 0;
  for (int call = 1;; call += sanitized ? 7 : 3) {
    const bool killed = place.killed_at(call);
    if (!killed) break;
    if (fs::exists(place.target)) {
      // Killed behind the rename: all of it, and its first writer removes the mark.
      BOOST_TEST(!fs::exists(place.building));
      auto c = Disk::open(place.target);
      BOOST_TEST(c.count() == 20u);
      BOOST_TEST(c.verify().ok());
    } else {
      ++left;
      BOOST_TEST_CONTEXT("call " << call) {
        BOOST_TEST(place.load() == 20u);
        BOOST_TEST(Disk::open(place.target).verify().ok());
      }
    }
    BOOST_TEST(!fs::exists(place.building));
    BOOST_TEST(names_with(place.target, "LOADING").empty());
    fs::remove_all(place.target);
  }
  BOOST_TEST(left > (sanitized ? 4 : 10));
}

BOOST_AUTO_TEST_CASE(a_living_load_is_left_alone) {
  // Before the store in the making is locked, and while it is written.
  for (const int call : {4, 25}) {
    const Place place;
    const auto child = place.loader(SIGSTOP, call);
    int status = 0;
    BOOST_TEST_REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
    BOOST_TEST_REQUIRE(WIFSTOPPED(status));
    const auto before = read_store(place.building);
    BOOST_TEST((call == 4 ? before.size() == 2 : before.size() > 3), before.size() << " files");
    BOOST_TEST(place.refused() == Errc::locked);
    BOOST_TEST((read_store(place.building) == before));
    ::kill(child, SIGCONT);
    BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
    BOOST_TEST((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    BOOST_TEST(Disk::open(place.target).count() == 20u);
    BOOST_TEST(place.refused() == Errc::already_exists);
  }
}

BOOST_AUTO_TEST_CASE(what_a_load_left_and_a_writer_opened_is_left_alone) {
  const Place place;
  place.leave_a_leftover();
  const auto before = read_store(place.building);
  {
    const auto directory = detail::Directory<PosixFileSystem>::open(place.building, OpenMode::read_write);
    const auto lock = directory->lock();
    BOOST_TEST(place.refused() == Errc::locked);
    auto after = read_store(place.building);
    // The mark is written anew by whoever tries.
    after["LOADING.tmp"] = before.at("LOADING.tmp");
    BOOST_TEST((after == before));
  }
  BOOST_TEST(place.load() == 20u);
}

BOOST_AUTO_TEST_CASE(what_no_load_left_is_refused_and_untouched) {
  const Place place;
  const auto refuse = [&](const std::string& what) {
    BOOST_TEST_CONTEXT(what) {
      const auto before = read_store(place.building);
      BOOST_TEST(place.refused() == Errc::already_exists);
      BOOST_TEST((read_store(place.building) == before));
      BOOST_TEST(!fs::exists(place.target));
      fs::remove_all(place.building);
    }
  };
  put_file(place.building / "notes", "mine");
  refuse("a file");
  put_file(place.building / "notes.tmp", "mine");
  refuse("a temporary file");
  put_file(place.building / "wal-000001", "mine");
  refuse("a log without a mark");
  fs::create_directories(place.building / "seg-000001");
  refuse("a folder");
  {
    auto c = Disk::create(place.building, Schema{Field::int32("n")});
    c.insert(Document{"a", {{"n", 1}}});
  }
  refuse("a collection");
  for (const std::string name : {"notes", "seg-000001/notes", "seg-000001/idmap-000001", "folder/blk-000001.scalar", "seg-000001x/blk-000001.scalar"}) {
    place.leave_a_leftover();
    put_file(place.building / name, "mine");
    refuse("a leftover with " + name);
  }
  place.leave_a_leftover();
  fs::rename(place.building, place.at / "elsewhere");
  fs::create_directory_symlink(place.at / "elsewhere", place.building);
  const auto before = read_store(place.at / "elsewhere");
  BOOST_TEST(place.refused() == Errc::already_exists);
  BOOST_TEST((read_store(place.at / "elsewhere") == before));
  fs::remove(place.building);
  BOOST_TEST(place.load() == 20u);
}

BOOST_AUTO_TEST_CASE(an_empty_folder_or_one_with_a_lock_file_is_taken) {
  const Place place;
  fs::create_directory(place.building);
  BOOST_TEST(place.load() == 20u);
  fs::remove_all(place.target);
  put_file(place.building / "LOCK", "");
  BOOST_TEST(place.load() == 20u);
  fs::remove_all(place.target);
  {
    fs::create_directory(place.building);
    const auto directory = detail::Directory<PosixFileSystem>::open(place.building, OpenMode::read_write);
    const auto lock = directory->lock();
    BOOST_TEST(place.refused() == Errc::locked);
    BOOST_TEST(read_store(place.building).size() == 1u);
  }
  BOOST_TEST(place.load() == 20u);
}

BOOST_AUTO_TEST_CASE(a_load_that_another_one_overtakes_is_refused_and_leaves_what_that_one_published) {
  // Where a killed load left something, and where a third is killed in the same place once the other has published, or has only made the folder.
  enum class Third { none, killed, begins };
  for (const auto third : {Third::none, Third::killed, Third::begins}) {
    const Place place;
    place.leave_a_leftover();
    StoreFiles published, left;
    InterruptedFileSystem::before_mark = [&] {
      BOOST_TEST(place.load() == 20u);
      published = read_store(place.target);
      if (third == Third::none) return;
      if (third == Third::begins) return void(fs::create_directory(place.building));
      fs::rename(place.target, place.at / "aside");
      place.leave_a_leftover();
      fs::rename(place.at / "aside", place.target);
      left = read_store(place.building);
    };
    BOOST_TEST(place.interrupted() == Errc::locked);
    BOOST_TEST(!InterruptedFileSystem::before_mark);
    BOOST_TEST((read_store(place.target) == published));
    BOOST_TEST(fs::exists(place.building) == (third != Third::none));
    if (third != Third::none) BOOST_TEST((read_store(place.building) == left));
    auto c = Disk::open(place.target);
    BOOST_TEST(c.count() == 20u);
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_CASE(what_came_to_the_path_while_a_load_was_at_work_stays) {
  for (const bool folder : {false, true}) {
    const Place place;
    const auto theirs = folder ? place.target / "theirs" : place.target;
    InterruptedFileSystem::before_mark = [&] { put_file(theirs, "theirs"); };
    BOOST_TEST(place.interrupted() == Errc::already_exists);
    BOOST_TEST(!InterruptedFileSystem::before_mark);
    BOOST_TEST(!fs::exists(place.building));
    BOOST_TEST(fs::file_size(theirs) == 6u);
  }
}

BOOST_AUTO_TEST_CASE(a_killed_load_may_leave_a_folder_without_files) {
  const Place place;
  place.leave_a_leftover();
  fs::create_directory(place.building / "seg-000009");
  BOOST_TEST(place.load() == 20u);
  BOOST_TEST(!fs::exists(place.target / "seg-000009"));
}

BOOST_AUTO_TEST_CASE(a_load_whose_name_may_not_last_is_an_error) {
  const Place place;
  InterruptedFileSystem::fails_behind = place.target;
  const auto code = place.interrupted();
  InterruptedFileSystem::fails_behind.clear();
  BOOST_TEST(code == Errc::io_error);
  // It has the name all the same, and nothing of the making is left.
  BOOST_TEST(!fs::exists(place.building));
  auto c = Disk::open(place.target);
  BOOST_TEST(c.count() == 20u);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_policy_without_a_folder_cannot_be_loaded_into_one) {
  const Place place;
  detail::LoadingFolder<PosixFileSystem> folder(place.target);
  BOOST_TEST(code_of([&] { folder.publish(); }) == Errc::unsupported);
}

BOOST_AUTO_TEST_CASE(a_mark_that_cannot_be_locked_or_read_ends_the_load_and_the_next_one_goes_on) {
  using Faulty = FaultyFileSystem<PosixFileSystem>;
  const Place place;
  const auto fails = [&](const Fault& fault) {
    Faulty::plan(fault);
    const auto error = error_of([&] { const detail::LoadingFolder<Faulty> folder(place.target); });
    BOOST_TEST(Faulty::fired() == 1u);
    Faulty::clear();
    BOOST_TEST_REQUIRE(error.has_value());
    return *error;
  };
  // The lock of the store comes first.
  const auto error = fails({.at = 2, .error = ENOLCK, .only = IoCall::lock});
  BOOST_TEST(error.code() == Errc::io_error);
  BOOST_TEST(error.path() == place.building / std::string(detail::loading_mark_name));
  // Whoever cannot see that the mark is its own does not build.
  BOOST_TEST(fails({.at = 1, .error = EIO, .only = IoCall::read}).code() == Errc::locked);
  BOOST_TEST(place.load() == 20u);
  BOOST_TEST(!fs::exists(place.building));
}

BOOST_AUTO_TEST_CASE(a_path_that_no_folder_can_be_renamed_to_is_an_error_and_nothing_is_left_there) {
  const Place place;
  fs::create_directory(place.target);
  const auto error = error_of([&] { (void)Disk::load(place.dump, place.target / "."); });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::io_error);
  BOOST_TEST(fs::is_empty(place.target));
  BOOST_TEST(place.load() == 20u);
}

BOOST_AUTO_TEST_SUITE_END()
