// Two create() in one place at the same time.
#include <quiver/collection/new_store.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <functional>
#include <optional>
#include <utility>

using namespace quiver;
using namespace quiver::test;

namespace creating {
namespace {

/// Something happens once, before the lock of a store is asked for.
class InterruptedFileSystem : public PosixFileSystem {
 public:
  static inline std::function<void()> before_lock{};
  static IoResult open_lock_file(const Folder& in, const std::string& name, File& file) {
    if (before_lock) std::exchange(before_lock, {})();
    return PosixFileSystem::open_lock_file(in, name, file);
  }
};
using Interrupted = Collection<BasicMMapPolicy<InterruptedFileSystem>>;
using Disk = Collection<MMapPolicy>;

Schema numbered_schema() { return Schema{Field::int32("n")}; }

}  // namespace
}  // namespace creating

BOOST_AUTO_TEST_SUITE(creating)

BOOST_AUTO_TEST_CASE(of_two_at_the_same_time_the_second_is_refused_and_leaves_the_first_as_it_is) {
  // With nothing in it, with a document that only the log has, with one in blocks; and while its writer is still there.
  for (const int written : {0, 1, 2}) {
    for (const bool closed : {true, false}) {
      const FreshFolder folder;
      std::optional<Disk> first;
      StoreFiles before;
      InterruptedFileSystem::before_lock = [&] {
        const auto path = closed ? folder.path("elsewhere") : folder.path();
        first.emplace(Disk::create(path, numbered_schema()));
        if (written > 0) first->insert(Document{"a", {{"n", 1}}});
        if (written > 1) first->flush();
        // Its process ends without a word.
        if (closed)
          for (const auto& [name, bytes] : read_store(path)) put_file(folder.path() / name, bytes);
        before = read_store(folder.path());
      };
      BOOST_TEST_CONTEXT("written: " << written << ", closed: " << closed) {
        BOOST_TEST(code_of([&] { (void)Interrupted::create(folder.path(), numbered_schema()); }) == (closed ? Errc::already_exists : Errc::locked));
        BOOST_TEST(!InterruptedFileSystem::before_lock);
        BOOST_TEST((read_store(folder.path()) == before));
        if (closed) first.emplace(Disk::open(folder.path()));
        BOOST_TEST(first->count() == (written > 0 ? 1u : 0u));
        first->insert(Document{"b", {{"n", 2}}});
        first->flush();
        BOOST_TEST(first->verify().ok());
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
