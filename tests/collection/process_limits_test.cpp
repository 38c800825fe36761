// What a process may run into: a fork, and its limit of open files.
#include <quiver/collection/collection.hpp>
#include <quiver/collection/verify_path.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

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
    ::_exit(status);
  }
  int status = 0;
  BOOST_TEST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
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
