#include "crash/two_writers.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace {

struct CleanDisk {
  CleanDisk() { RecordingFileSystem::reset(); }
  ~CleanDisk() {
    RecordingFileSystem::reset();
    RecordedMutants::choose(Mutant::none);
  }
};

constexpr Budget few{16, 4, 4, false};

}  // namespace

BOOST_AUTO_TEST_SUITE(two_writers, *boost::unit_test::fixture<CleanDisk>())

BOOST_AUTO_TEST_CASE(no_crash_loses_what_one_of_two_threads_was_told_or_leaves_their_batches_out_of_order) {
  Tally all;
  for (std::uint64_t seed = 5; seed < (slow ? 6u : 10u); ++seed) all += explore_threads(seed, {.budget = slow ? few : Budget{16, 4, 4}, .double_every = 1024});
  BOOST_TEST_MESSAGE(all.scripts << " runs, " << all.points << " crash points, " << all.states << " states, " << all.distinct << " distinct, " << all.doubled
                                 << " of them after a second crash");
  BOOST_TEST(all.violations == 0u, all.first);
  BOOST_TEST(all.distinct > (slow ? 500u : 20'000u));
}

BOOST_AUTO_TEST_CASE(their_batches_alternate) {
  std::size_t alternations = 0, runs = 0;
  for (std::uint64_t seed = 1; seed <= (slow ? 3u : 20u); ++seed, ++runs) {
    TwoWriters run(seed);
    run.settle();
    alternations += run.alternations();
  }
  BOOST_TEST_MESSAGE(alternations << " batches in " << runs << " runs came behind one of the other thread");
  BOOST_TEST(alternations >= 2 * runs);
}

BOOST_AUTO_TEST_CASE(a_sync_that_is_left_out_or_too_late_is_noticed) {
  const auto finds = [] {
    for (std::uint64_t seed = 1; seed < 20; ++seed)
      if (const auto tally = explore_threads(seed, {.budget = few, .double_every = 0, .stop_at_first = true}); tally.violations != 0) {
        BOOST_TEST_MESSAGE(tally.first);
        BOOST_TEST(!tally.calls.empty());
        return true;
      }
    return false;
  };
  RecordingFileSystem::skip(SyncSite::log_data);
  BOOST_TEST(finds());
  RecordingFileSystem::skip(std::nullopt);
  RecordedMutants::choose(Mutant::batch_acknowledged_before_its_sync);
  BOOST_TEST(finds());
}

BOOST_AUTO_TEST_SUITE_END()
