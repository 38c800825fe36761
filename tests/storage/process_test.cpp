#include <quiver/storage/process.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <set>

#include <sys/wait.h>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(storage_process)

BOOST_AUTO_TEST_CASE(ids_are_random_and_never_zero) {
  std::set<std::uint64_t> words;
  for (int i = 0; i < 1000; ++i) {
    const auto id = random_file_id();
    BOOST_TEST((id != FileId{}));
    words.insert({id.low, id.high});
  }
  BOOST_TEST(words.size() == 2000u);
}

// A generator seeded once per process would give parent and child the same ids from here on.
BOOST_AUTO_TEST_CASE(a_child_is_another_process_with_ids_of_its_own) {
  static_cast<void>(random_file_id());
  std::array<int, 2> ends{};
  BOOST_REQUIRE(::pipe(ends.data()) == 0);
  const auto child = ::fork();
  if (child == 0) {
    const auto id = random_file_id();
    const auto process = process_id();
    const bool sent = ::write(ends[1], &id, sizeof id) == sizeof id && ::write(ends[1], &process, sizeof process) == sizeof process;
    ::_exit(sent ? 0 : 1);
  }
  BOOST_REQUIRE(child > 0);
  FileId id;
  std::int64_t process = 0;
  BOOST_TEST(::read(ends[0], &id, sizeof id) == static_cast<::ssize_t>(sizeof id));
  BOOST_TEST(::read(ends[0], &process, sizeof process) == static_cast<::ssize_t>(sizeof process));
  int status = 0;
  BOOST_TEST(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
  for (const int end : ends) ::close(end);
  BOOST_TEST((id != random_file_id()));
  BOOST_TEST((process == child && process != process_id()));
}

BOOST_AUTO_TEST_SUITE_END()
