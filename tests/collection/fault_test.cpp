#include <quiver/collection/collection.hpp>

#include <quiver/storage/posix_file_system.hpp>

#include "support/faulty_file_system.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <cerrno>

using namespace quiver;
using namespace quiver::test;

namespace faults {
namespace {

using Faulty = quiver::test::FaultyFileSystem<PosixFileSystem>;
using FaultyMMap = BasicMMapPolicy<Faulty>;

Schema tiny_schema() { return Schema{Field::string("s").nullable(), Field::int32("n"), VectorField("v", 2)}; }
Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {static_cast<float>(i), 1.0f}}}}; }

/// What a run of the workload got acknowledged: documents that an insert, which syncs, or a flush returned for.
struct Acknowledged {
  bool created = false;
  int acknowledged = 0;
  int flushed = 0;
  int issued = 0;
};

/// create, then twice: insert, flush; then optimize. Stops at the first error, which must be typed.
Acknowledged run(const std::filesystem::path& path, std::string& failure) {
  Acknowledged done;
  try {
    auto c = Collection<FaultyMMap>::create(path, tiny_schema());
    done.created = true;
    for (int i = 0; i < 2; ++i) {
      done.issued = i + 1;  // a batch whose sync fails may be there later
      c.insert(document(i));
      done.acknowledged = i + 1;
      c.flush();
      done.flushed = i + 1;
    }
    c.optimize();
    c.close();
  } catch (const Error& e) {
    failure = e.what();
    BOOST_TEST((e.code() == Errc::io_error || e.code() == Errc::no_space || e.code() == Errc::read_only), "not an error of writing: " << e.what());
    BOOST_TEST(!e.path().empty(), "names no path: " << e.what());
  }
  return done;
}

/// What was acknowledged is there, whole; nothing that was never inserted is; and a new writer can go on.
void check_after(const std::filesystem::path& path, const Acknowledged& done, const std::string& what) {
  BOOST_TEST_CONTEXT(what) {
    try {
      auto c = Collection<MMapPolicy>::open(path);
      const auto count = static_cast<int>(c.count());
      BOOST_TEST(count >= done.acknowledged);
      BOOST_TEST(count <= done.issued);
      for (int i = 0; i < count; ++i) BOOST_TEST(c.fetch("k" + std::to_string(i))->get<int>("n").value() == i);
      BOOST_TEST(c.verify().ok());
      c.insert(document(100));
      c.flush();
      BOOST_TEST(c.count() == static_cast<std::size_t>(count) + 1);
    } catch (const Error& e) {
      // Only a create() that never returned may have left nothing, and then it can be done again.
      BOOST_TEST(!done.created, e.what());
      BOOST_TEST((e.code() == Errc::not_found), e.what());
      auto again = Collection<MMapPolicy>::create(path, tiny_schema());
      again.insert(document(0));
    }
  }
}

}  // namespace
}  // namespace faults

BOOST_AUTO_TEST_SUITE(faults)

BOOST_AUTO_TEST_CASE(a_failure_of_any_call_is_a_typed_error_and_what_was_flushed_stays) {
  std::size_t injections = 0;
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS, EINTR, 0 /* half the bytes, no error */}) {
    for (const bool for_ever : {false, true}) {
      // A call that is interrupted for ever never returns, in any program; and two kinds that stay are enough.
      if (for_ever && error != EIO && error != ENOSPC) continue;
      for (std::size_t at = 1;; ++at) {
        const FreshFolder folder;
        std::string failure;
        Faulty::plan({.at = at, .error = error, .for_ever = for_ever});
        const auto done = run(folder.path(), failure);
        const bool fired = Faulty::fired() != 0;
        Faulty::clear();
        if (!fired) {
          BOOST_TEST(done.flushed == 2);
          break;
        }
        ++injections;
        if (error == EINTR || error == 0) BOOST_TEST(done.flushed == 2, "call " << at << " was not taken up again: " << failure);
        check_after(folder.path(), done,
                    "call " + std::to_string(at) + " fails with errno " + std::to_string(error) + (for_ever ? " for ever" : " once") + ": " + failure);
      }
    }
  }
  BOOST_TEST_MESSAGE(injections << " injections");
  BOOST_TEST(injections > 300u);
}

BOOST_AUTO_TEST_CASE(a_failed_draft_costs_nothing_and_the_next_flush_succeeds) {
  const FreshFolder folder;
  auto c = Collection<FaultyMMap>::create(folder.path(), tiny_schema());
  c.insert(document(0));
  Faulty::plan({.at = 1, .error = ENOSPC, .for_ever = true, .only = quiver::test::IoCall::write});
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::no_space; });
  BOOST_TEST(c.count() == 1u);
  Faulty::clear();
  c.insert(document(1));
  c.flush();
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 2u);
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_final_for_this_writer_and_readers_go_on) {
  const FreshFolder folder;
  auto c = Collection<FaultyMMap>::create(folder.path(), tiny_schema());
  c.insert(document(0));
  c.flush();
  c.insert(document(1));
  Faulty::plan({.at = 1, .error = EIO, .only = quiver::test::IoCall::sync_file});
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  Faulty::clear();
  BOOST_TEST(c.count() == 2u);
  BOOST_TEST(c.fetch("k1").has_value());
  BOOST_CHECK_EXCEPTION(c.flush(), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  BOOST_CHECK_EXCEPTION(c.insert(document(2)), Error, [](const Error& e) { return e.code() == Errc::io_error; });
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 2u);  // the log had it
}

BOOST_AUTO_TEST_SUITE_END()
