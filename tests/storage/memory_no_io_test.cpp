#include <quiver/storage/memory.hpp>

#include "support/sample_file.hpp"
#include "support/sanitized.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <cstdlib>
#include <fstream>

#include <unistd.h>

// strace is asked what system calls this program makes between the load of a store in memory and the end of reading it: none that touch a file.

#if !QUIVER_TEST_SANITIZED

BOOST_AUTO_TEST_SUITE(memory_no_io)

using namespace quiver;
using namespace quiver::test;

// Run by the case below, under strace.
BOOST_AUTO_TEST_CASE(probe, *boost::unit_test::disabled()) {
  const TempFolder temp;
  auto store = MemoryPolicy::create_store(temp / "store");
  const auto sample = make_sample(sample_bytes(3'000'000));
  publish_sample(store, "seg-000001/a", sample);
  const auto reader = store.open("seg-000001/a", sample.identity);
  const auto volatile_store = [&] {
    ::access("/marker-load-ends", F_OK);
    auto made = MemoryPolicy::create_store({});
    publish_sample(made, "seg-000001/a", sample);
    return made;
  }();
  const auto other = volatile_store.open("seg-000001/a", sample.identity);
  auto scope = store.read_scope();
  std::uint64_t sum = 0;
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t at = 0; at + 1000 <= reader.size(); at += 500) {
      const Range range{at, 1000};
      reader.prefetch(scope, std::span(&range, 1));
      sum += static_cast<std::uint64_t>(reader.view(scope, at, 1000)[7]) + static_cast<std::uint64_t>(other.view(scope, at, 1000)[8]);
    }
    scope.renew();
  }
  ::access("/marker-reading-ends", F_OK);
  BOOST_TEST(sum != 0u);
}

BOOST_AUTO_TEST_CASE(a_store_in_memory_makes_no_call_on_any_file_after_its_load) {
  const TempFolder temp;
  const auto trace = temp / "trace";
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto command = "strace -f -o '" + trace.string() + "' '" + self + "' --run_test=memory_no_io/probe --report_level=no > /dev/null 2>&1";
  if (std::system("strace -o /dev/null true > /dev/null 2>&1") != 0) {
    BOOST_TEST_MESSAGE("not run: strace is not there or may not trace");
    return;
  }
  BOOST_REQUIRE(std::system(command.c_str()) == 0);
  std::ifstream lines(trace);
  int seen = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("/marker-load-ends") != std::string::npos) seen = 1;
    if (line.find("/marker-reading-ends") != std::string::npos) seen = 2;
    if (seen != 1 || line.find("/marker-") != std::string::npos) continue;
    const bool memory = line.find("brk(") != std::string::npos || line.find("munmap(") != std::string::npos || line.find("mremap(") != std::string::npos ||
                        line.find("madvise(") != std::string::npos || line.find("mprotect(") != std::string::npos ||
                        line.find("MAP_ANONYMOUS") != std::string::npos;
    BOOST_TEST(memory, line);
  }
  BOOST_TEST(seen == 2);
}

BOOST_AUTO_TEST_SUITE_END()

#endif
