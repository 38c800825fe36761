#include "crash/scripts.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

namespace {

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
  for (const auto& script : slow ? Strings{"sdk"} : kept_scripts()) all += explore(script, 1, {.budget = {64, 8, 8}, .double_every = slow ? 64u : 512u});
  expect_none(all);
  BOOST_TEST(all.distinct > (slow ? 300u : 10'000u));
  BOOST_TEST(all.doubled > (slow ? 30u : 1'000u));
}

BOOST_AUTO_TEST_CASE(every_policy_reads_what_a_crash_left_on_a_real_file_system) {
  std::size_t seen = 0, opened = 0;
  const auto look = [&](const InodePtr& disk, const std::string& digest) {
    if (seen++ % 97 != 0) return;
    const TempFolder folder;
    write_tree(*disk, folder / "disk");
    const auto path = folder / "disk" / crash_path.relative_path();
    const auto same = [&]<class P>(std::type_identity<P>) {
      BOOST_TEST((digest_of_collection(Collection<P>::open(path, {.mode = OpenMode::read_only})) == digest), P::name << " differs at state " << seen);
      ++opened;
    };
    std::apply([&]<class... P>(P...) { (same(P{}), ...); },
               std::tuple<std::type_identity<MMapPolicy>, std::type_identity<CheckedMMapPolicy>, std::type_identity<MMapReadPolicy>,
                          std::type_identity<MemoryPolicy>, std::type_identity<FileReadPolicy>>{});
    // And as a writer, which clears away what the crash left.
    BOOST_TEST((digest_of_collection(Collection<MMapPolicy>::open(path)) == digest));
  };
  for (const auto& script : slow ? Strings{"sf"} : Strings{"bsfSf", "sfkbf"}) expect_none(explore(script, 5, {.double_every = 0, .look = look}));
  BOOST_TEST_MESSAGE(opened << " opened");
  BOOST_TEST(opened > (slow ? 20u : 200u));
}

BOOST_AUTO_TEST_CASE(no_failed_call_and_no_kill_in_the_middle_of_one_loses_what_was_acknowledged) {
  Tally all;
  std::uint64_t injections = 0;
  struct Kind {
    int error;
    bool short_first = false;
  };
  const auto kinds = slow ? std::vector<Kind>{{EIO}} : std::vector<Kind>{{EIO}, {ENOSPC}, {EDQUOT}, {EROFS}, {EINTR}, {ENOSPC, true}};
  for (const auto& script : slow ? Strings{"sf"} : Strings{"sf", "ukd", "bx"})
    for (const auto& kind : kinds)
      for (const bool for_ever : {false, true})
        if (!(slow && for_ever)) all += explore_faults(script, 1, kind.error, for_ever, injections, kind.short_first);
  BOOST_TEST_MESSAGE(injections << " injections");
  expect_none(all);
  BOOST_TEST(injections > (slow ? 40u : 500u));
}

BOOST_AUTO_TEST_CASE(every_sync_is_needed_somewhere) {
  // A sync that can be left out without harm is waste, or the harness is blind; a sync that never happens is dead.
  for (std::size_t site = 0; site < sync_sites; ++site) {
    RecordingFileSystem::reset();
    const auto killer = killer_of(static_cast<SyncSite>(site));
    BOOST_TEST_MESSAGE("without sync " << sync_site_names[site] << ": script " << killer << " finds it");
    BOOST_TEST(RecordingFileSystem::syncs()[site] != 0u, "sync " << sync_site_names[site] << " is never reached");
    BOOST_TEST(!killer.empty(), "sync " << sync_site_names[site] << " can be left out and nothing notices");
  }
}

BOOST_AUTO_TEST_CASE(a_failure_says_enough_to_look_at_that_one_disk_again) {
  for (const auto site : {SyncSite::draft_data, SyncSite::log_data}) {
    RecordingFileSystem::reset();
    RecordingFileSystem::skip(site);
    const auto tally = explore("rsS", 3, {.double_every = 0, .stop_at_first = true});
    BOOST_TEST_REQUIRE(tally.violations == 1u);
    const auto from = tally.first.find("--k ") + 4, fates = tally.first.find(" --fates ") + 9;
    InodePtr disk;
    BOOST_TEST(!look_again("rsS", 3, std::stoul(tally.first.substr(from)), tally.first.substr(fates, tally.first.find('\n') - fates), disk).empty(),
               tally.first);
    BOOST_TEST(hash_tree(*disk, 0) == hash_tree(*tally.image, 0));
  }
  RecordingFileSystem::reset();
}

BOOST_AUTO_TEST_CASE(a_failure_names_the_shortest_script_that_repeats_it) {
  RecordingFileSystem::skip(SyncSite::draft_data);
  const auto tally = explore("rbSfxr", 3, {.stop_at_first = true});
  BOOST_TEST(tally.violations == 1u);
  BOOST_TEST(tally.first.starts_with("--script rbSfxr --seed 3 --k "), tally.first);
  BOOST_TEST(to_string(parse_fates("01zsp(5)x(7)g(3-9)1")) == "01zsp(5)x(7)g(3-9)1");
  for (const auto* text : {"2", "p", "p(", "p()", "g(3)", "0 1"}) BOOST_CHECK_THROW(static_cast<void>(parse_fates(text)), std::invalid_argument);
  const auto shortest = shrink("rbSfxr", 3, {});
  BOOST_TEST(shortest.size() < 3u, shortest);
  BOOST_TEST(explore(shortest, 3, {.stop_at_first = true}).violations == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
