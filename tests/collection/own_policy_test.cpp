// Collections over policies that are not the library's: the one that storage/README.md teaches, and those that watch how a collection reads.
#include <quiver/collection/collection.hpp>
#include <quiver/collection/salvage.hpp>
#include <quiver/collection/verify.hpp>
#include <quiver/storage/file_read.hpp>

#include "storage/readme_policy.hpp"
#include "support/archetype_policy.hpp"
#include "support/counting_policy.hpp"
#include "support/policies.hpp"
#include "support/strict_policy.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace own_policy {
namespace {

// The strict one makes a view that is used longer than its scope promises unreadable; the archetype has nothing but what the concepts ask for.
using OwnPolicies = std::tuple<my::ShelfPolicy, StrictPolicy, CountingPolicy<MMapPolicy>, WritingArchetype>;

/// A policy that says what is wrong with a file and not with which.
struct NamelessPolicy : CountingPolicy<FileReadPolicy> {
  using Base = CountingPolicy<FileReadPolicy>;

  class Store : public Base::Store {
   public:
    using Base::Store::Store;
    [[nodiscard]] Reader open(std::string_view, const FileIdentity&) const { quiver::detail::fail(Errc::corruption, "the shelf broke"); }
  };
  [[nodiscard]] static Store open_store(const std::filesystem::path& path, const Options& options, OpenMode mode) {
    return Store(FileReadPolicy::open_store(path, options, mode));
  }
};

}  // namespace
}  // namespace own_policy

BOOST_AUTO_TEST_SUITE(own_policy)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_collection_answers_as_under_the_library_s_own, P, OwnPolicies) {
  const FreshFolder folder;
  const auto schema = wide_schema();
  auto expected = Collection<MemoryPolicy>::create(schema, {.segment_rows = 40});
  {
    auto c = Collection<P>::create(folder.path(), schema, {.segment_rows = 40});
    for (std::uint64_t i = 0; i < 90; i += 30) {
      expected.insert(wide_documents(i, 30));
      c.insert(wide_documents(i, 30));
      BOOST_TEST(digest(c, schema) == digest(expected, schema));
      c.flush();
      expected.flush();
    }
    BOOST_CHECK_EXCEPTION(c.insert(wide_document(3)), Error, [](const Error& e) { return e.code() == Errc::duplicate_key; });
    BOOST_TEST(digest(c, schema) == digest(expected, schema));
    BOOST_TEST(c.verify().ok());
    c.close();
  }
  const auto c = Collection<P>::open(folder.path(), {.mode = OpenMode::read_only});
  BOOST_TEST(digest(c, schema) == digest(expected, schema));
}

BOOST_AUTO_TEST_CASE(a_problem_that_a_policy_tells_without_a_path_gets_the_path_of_the_file) {
  const FreshFolder folder;
  {
    auto c = Collection<MMapPolicy>::create(folder.path(), Schema{Field::int32("n")});
    c.insert(Document{"a", {{"n", 1}}});
    c.flush();
  }
  const auto store = NamelessPolicy::open_store(folder.path(), {}, OpenMode::read_only);
  const auto report = detail::Verifier<NamelessPolicy>(store, VerifyLevel::full).run();
  const auto saved = detail::Salvage<NamelessPolicy>(store).problems();
  for (const auto* problems : {&report.problems, &saved}) {
    BOOST_TEST_REQUIRE(problems->size() == 2u);
    BOOST_TEST((*problems)[0].path == folder.path() / "seg-000001" / "blk-000001.scalar");
    BOOST_TEST((*problems)[1].path == folder.path() / "idmap-000001");
  }
}

BOOST_AUTO_TEST_SUITE_END()
