#include <quiver/ids/run.hpp>

#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/id_runs.hpp"

using namespace quiver;
using namespace quiver::detail;

namespace {

struct NoScope {
  void renew() noexcept {}
};
struct MappedReader {
  ByteSpan bytes;
  std::filesystem::path where = "tests/golden/idmap-000001";
  std::uint64_t size() const noexcept { return bytes.size(); }
  const std::filesystem::path& path() const noexcept { return where; }
  ByteSpan view(NoScope&, std::uint64_t offset, std::size_t length) const noexcept { return bytes.subspan(static_cast<std::size_t>(offset), length); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(golden)

BOOST_AUTO_TEST_CASE(the_golden_run_is_written_byte_for_byte_and_is_the_worked_example_of_the_readme) {
  const auto bytes = test::repository_file("tests/golden/idmap-000001");
  BOOST_TEST((test::sample_run().first == bytes));
  BOOST_TEST((test::worked_example("include/quiver/ids/README.md") == bytes));
}

BOOST_AUTO_TEST_CASE(the_golden_run_answers) {
  const auto bytes = test::repository_file("tests/golden/idmap-000001");
  NoScope scope;
  const IdRun<MappedReader> run(MappedReader{bytes}, scope, test::sample_run().second);
  run.block().verify(scope);
  const auto all = [&](std::uint64_t fingerprint) {
    std::vector<std::uint64_t> ids;
    run.find(scope, fingerprint, [&](DocId id) {
      ids.push_back(id.value);
      return false;
    });
    return ids;
  };
  BOOST_TEST(run.size() == 3u);
  BOOST_TEST((all(255) == std::vector<std::uint64_t>{3, 2}));
  BOOST_TEST((all(fingerprint("tt0111161")) == std::vector<std::uint64_t>{1}));
  BOOST_TEST(all(fingerprint("tt0111162")).empty());
}

BOOST_AUTO_TEST_SUITE_END()
