#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace quiver;
using namespace quiver::test;

namespace permission {
namespace {

constexpr int fine = 0, wrong = 1;

/// What `work` returns in a process that is not root: root may do everything, so no permission could be refused to it.
int as_nobody(const std::function<int()>& work) {
  const ::pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    int result = wrong;
    constexpr unsigned nobody = 65534;
    if (::getuid() != 0 || (::setgid(nobody) == 0 && ::setuid(nobody) == 0)) try {
        result = work();
      } catch (...) {
      }
    ::_exit(result);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/// fine, if `work` throws this code and names this path.
template <class Work>
int refused(Errc code, const std::filesystem::path& path, Work&& work) {
  const auto error = error_of(work);
  return error && error->code() == code && error->path() == path ? fine : wrong;
}

void allow(const std::filesystem::path& path, unsigned rights) { std::filesystem::permissions(path, static_cast<std::filesystem::perms>(rights)); }

struct Store {
  Store() {
    auto c = Collection<MMapPolicy>::create(path, Schema{Field::int32("n"), VectorField("v", 2)});
    c.insert(Document{"a", {{"n", 1}, {"v", {1.0f, 2.0f}}}});
    c.close();
  }
  ~Store() { allow(path, 0755); }
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  FreshFolder folder;
  std::filesystem::path path = folder.path();
};

template <class P>
int open_and_count(const std::filesystem::path& path) {
  return Collection<P>::open(path, {.mode = OpenMode::read_only}).count() == 1 ? fine : wrong;
}

}  // namespace
}  // namespace permission

BOOST_AUTO_TEST_SUITE(permission)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_file_that_may_not_be_read_is_named, P, AllPolicies) {
  const Store store;
  allow(store.path, 0755);
  BOOST_TEST(as_nobody([&] { return open_and_count<P>(store.path); }) == fine);
  for (const auto* name : {"MANIFEST_00000000000002", "seg-000001/blk-000001.scalar", "seg-000001/blk-000002.vector_index"}) {
    const auto file = store.path / name;
    BOOST_REQUIRE(std::filesystem::exists(file));
    allow(file, 0);
    BOOST_TEST(as_nobody([&] { return refused(Errc::io_error, file, [&] { return open_and_count<P>(store.path); }); }) == fine, name);
    allow(file, 0644);
  }
  allow(store.path, 0);
  BOOST_TEST(as_nobody([&] { return refused(Errc::io_error, store.path, [&] { return open_and_count<P>(store.path); }); }) == fine);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_folder_that_may_not_be_written_opens_for_reading_only, P, WritablePolicies) {
  const Store store;
  allow(store.path, 0555);
  allow(store.path / "LOCK", 0444);
  BOOST_TEST(as_nobody([&] { return refused(Errc::read_only, store.path / "LOCK", [&] { (void)Collection<P>::open(store.path); }); }) == fine);
  BOOST_TEST(as_nobody([&] { return open_and_count<P>(store.path); }) == fine);
  const auto above = store.path.parent_path();
  allow(above, 0555);
  BOOST_TEST(as_nobody([&] {
               return refused(Errc::read_only, above / "new", [&] { (void)Collection<P>::create(above / "new", Schema{VectorField("v", 2)}); });
             }) == fine);
  allow(above, 0755);
  BOOST_TEST(Collection<P>::open(store.path, {.mode = OpenMode::read_only}).count() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
