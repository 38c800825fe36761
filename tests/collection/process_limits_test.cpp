// What a process may run into: a fork, a program that it starts, and its limit of open files.
#include <quiver/collection/collection.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/leave_child.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <map>
#include <string>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace process_limits {
namespace {

Document numbered(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }
Schema numbered_schema() { return Schema{Field::int32("n"), VectorField("v", 2)}; }

/// Runs `work` in a forked process; what it returns, at most 125, is the status.
template <class Work>
int in_a_fork(Work&& work) {
  const auto child = ::fork();
  if (child == 0) {
    int status = 125;
    try {
      status = work();
    } catch (...) {
    }
    leave_child(status);
  }
  int status = 0;
  BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

/// The descriptors of this process that point into `folder`: what each points to, and whether a program that is started inherits it.
std::map<std::string, bool> inherited(const std::filesystem::path& folder) {
  std::map<std::string, bool> out;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const auto target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (!target.starts_with(folder.string())) continue;
    const auto flags = ::fcntl(std::stoi(entry.path().filename().string()), F_GETFD);
    out[target] = out[target] || (flags & FD_CLOEXEC) == 0;
  }
  return out;
}

}  // namespace
}  // namespace process_limits

BOOST_AUTO_TEST_SUITE(process_limits)

BOOST_AUTO_TEST_CASE(a_forked_process_reads_and_cannot_write_and_harms_nothing_when_it_ends) {
  for (const bool background : {false, true}) {
    const FreshFolder folder;
    auto c = std::make_unique<Collection<MMapPolicy>>(Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.background_compaction = background}));
    c->insert(numbered(0));
    c->flush();
    c->insert(numbered(1));
    const auto before = c->versions().size();
    const auto status = in_a_fork([&] {
      if (c->count() != 2 || !c->fetch("k1") || c->search({.field = "v", .query = {1.0f, 1.0f}, .k = 1})[0].key != "k1") return 1;
      const auto refused = [](auto&& call) { return code_of(call) == Errc::closed; };
      if (!refused([&] { c->insert(numbered(2)); }) || !refused([&] { c->erase("k0"); }) || !refused([&] { c->flush(); })) return 2;
      if (!refused([&] { c->optimize(); }) || !refused([&] { c->rollback_to(1); }) || !refused([&] { c->refresh(); })) return 3;
      if (code_of([&] { (void)Collection<MMapPolicy>::open(folder.path()); }) != Errc::locked) return 4;
      if (!c->stats().background_error.empty()) return 6;
      c.reset();
      if (Collection<MMapReadPolicy>::open(folder.path()).count() != 2) return 5;
      return 0;
    });
    BOOST_TEST(status == 0);
    BOOST_TEST(c->versions().size() == before);
    BOOST_TEST((code_of([&] { (void)Collection<MMapPolicy>::open(folder.path()); }) == Errc::locked));
    c->insert(numbered(2));
    c->flush();
    c->close();
    BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 3u);
    BOOST_TEST(verify(folder.path()).ok());
  }
}

BOOST_AUTO_TEST_CASE(a_forked_process_refreshes_what_its_parent_has_open_for_reading) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema());
  auto reader = Collection<MMapReadPolicy>::open(folder.path());
  c.insert(numbered(0));
  const auto status = in_a_fork([&] {
    for (int i = 0; i < 2; ++i) reader.refresh();  // the first gives back what it locked
    return static_cast<int>(reader.count());
  });
  BOOST_TEST(status == 1);
  BOOST_TEST(reader.count() == 0u);
}

BOOST_AUTO_TEST_CASE(a_program_that_is_started_gets_no_file_of_a_collection) {
  const FreshFolder folder;
  const auto path = std::filesystem::canonical(folder.path().parent_path()) / folder.path().filename();
  auto writer = Collection<MMapPolicy>::create(path, numbered_schema());
  const auto check = [&](const char* when, std::size_t least) {
    const auto found = inherited(path);
    BOOST_TEST(found.size() >= least, when << ": " << found.size() << " descriptors");
    BOOST_TEST(found.contains((path / "LOCK").string()), when);
    for (const auto& [name, inherits] : found) BOOST_TEST(!inherits, when << ": " << name);
  };
  check("a new collection", 3);  // folder, lock and log
  writer.insert(numbered(0));
  writer.flush();
  writer.insert(numbered(1));
  check("a writer", 3);
  {
    const auto mapped = Collection<MMapReadPolicy>::open(path);
    const auto read = Collection<FileReadPolicy>::open(path);
    const auto checked = Collection<CheckedMMapPolicy>::open(path, {.mode = OpenMode::read_only});
    BOOST_TEST(mapped.count() + read.count() + checked.count() == 6u);
    check("readers", 6);  // what is read by calls stays open
  }
  writer.optimize({.progress = [&](const Progress&) {
    check("while it is merged", 3);
    return true;
  }});
  writer.close();
  BOOST_TEST(!inherited(path).contains((path / "LOCK").string()));
  auto again = Collection<MMapPolicy>::open(path);
  again.insert(numbered(2));
  check("opened again", 3);
}

// Not under sanitizers: UBSan opens a pipe to look at an object, and takes one that it cannot look at for none.
BOOST_AUTO_TEST_CASE(the_limit_of_open_files_is_named_and_nothing_is_lost, *boost::unit_test::enable_if<!sanitized>()) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
    for (int i = 0; i < 40; ++i) c.insert(numbered(i)), c.flush();
  }
  const auto status = in_a_fork([&] {
    const ::rlimit few{40, 40};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return 1;
    // A reader and a writer that cannot open all files, and one that cannot open its next ones.
    for (const auto mode : {OpenMode::read_only, OpenMode::read_write}) {
      const auto error = error_of([&] { (void)Collection<FileReadPolicy>::open(folder.path(), {.mode = OpenMode::read_only}); });
      if (!error || error->code() != Errc::io_error || std::string(error->what()).find("RLIMIT_NOFILE") == std::string::npos) return 2;
      const auto mapped = error_of([&] { (void)Collection<MMapPolicy>::open(folder.path(), {.mode = mode}); });
      if (mapped && std::string(mapped->what()).find("RLIMIT_NOFILE") == std::string::npos) return 3;
    }
    auto c = Collection<FileReadPolicy>::open(folder.path(), {.mode = OpenMode::read_only});
    return 4;
  });
  BOOST_TEST((status == 125), "status " << status);
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 40u);
}

BOOST_AUTO_TEST_SUITE_END()
