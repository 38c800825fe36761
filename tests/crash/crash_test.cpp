#include "crash/explore.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace {

/// Scripts that take the engine through what it can do; every bug that is found adds the one that shows it.
const Strings& scripts() {
  static const Strings all{"bf", "bbfBf", "bfkbf", "Bxbf", "bfbfbfbf", "bkbfrk", "xfbBfx"};
  return all;
}

void expect_none(const Tally& tally) {
  BOOST_TEST_MESSAGE(tally.scripts << " scripts, " << tally.points << " crash points, " << tally.states << " states, " << tally.distinct << " distinct, "
                                   << tally.doubled << " of them after a second crash");
  BOOST_TEST(tally.violations == 0u, tally.first);
}

struct CleanDisk {
  CleanDisk() { RecordingFileSystem::reset(); }
  ~CleanDisk() { RecordingFileSystem::reset(); }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(crash, *boost::unit_test::fixture<CleanDisk>())

BOOST_AUTO_TEST_CASE(no_crash_loses_what_was_acknowledged_or_leaves_what_never_was) {
  Tally all;
  for (const auto& script : scripts()) all += explore(script, 1);
  expect_none(all);
  BOOST_TEST(all.distinct > 3'000u);
  BOOST_TEST(all.doubled > 300u);
}

BOOST_AUTO_TEST_CASE(no_failed_call_and_no_kill_in_the_middle_of_one_loses_what_was_acknowledged) {
  Tally all;
  std::uint64_t injections = 0;
  for (const auto* script : {"bf", "Bfkbx"})
    for (const int error : {EIO, ENOSPC, EINTR})
      for (const bool for_ever : {false, true})
        if (error != EINTR || !for_ever) all += explore_faults(script, 1, error, for_ever, injections);
  BOOST_TEST_MESSAGE(injections << " injections");
  expect_none(all);
  BOOST_TEST(injections > 500u);
}

BOOST_AUTO_TEST_CASE(every_sync_is_needed_somewhere) {
  // A sync that can be left out without harm is waste, or the harness is blind; a sync that never happens is dead.
  for (std::size_t site = 0; site < sync_sites; ++site) {
    RecordingFileSystem::reset();
    RecordingFileSystem::skip(static_cast<SyncSite>(site));
    std::string killer;
    std::uint64_t injections = 0;
    for (const auto& script : scripts()) {
      // Some are needed only after a kill in the middle of a call.
      if (explore(script, 1, {.stop_at_first = true}).violations == 0 && explore_faults(script, 1, EIO, true, injections).violations == 0) continue;
      killer = script;
      break;
    }
    BOOST_TEST_MESSAGE("without sync site " << site << ": script " << killer << " finds it");
    BOOST_TEST(RecordingFileSystem::syncs()[site] != 0u, "sync site " << site << " is never reached");
    BOOST_TEST(!killer.empty(), "sync site " << site << " can be left out and nothing notices");
  }
}

BOOST_AUTO_TEST_SUITE_END()
