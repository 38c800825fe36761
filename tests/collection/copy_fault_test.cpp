// Backups whose calls fail, and whose machine stops, at every step.
#include <quiver/collection/collection.hpp>

#include <quiver/storage/mmap.hpp>

#include "support/crash_states.hpp"
#include "support/error_code.hpp"
#include "support/fault_sweep.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <unordered_set>

using namespace quiver;
using namespace quiver::test;

namespace copy_faults {
namespace {

using Recording = quiver::test::RecordingFileSystem;
using Faulty = quiver::test::FaultyFileSystem<Recording>;
using FaultyMMap = BasicMMapPolicy<Faulty>;
using Recorded = BasicMMapPolicy<Recording>;

Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {float(i), 1.0f}}}}; }

/// Two flushes with a delete, and a document and a delete that are not flushed.
template <class P>
Collection<P> filled() {
  auto c = Collection<P>::create("/stores/source", Schema{Field::int32("n"), VectorField("v", 2)}, {.segment_rows = 2});
  c.insert({document(0), document(1), document(2)});
  c.flush();
  c.insert(document(3));
  c.erase("k1");
  c.flush();
  c.insert(document(4));
  c.erase("k2");
  return c;
}
template <class C>
std::string shown(const C& c) {
  return digest(c, c.schema());
}
/// What is at `path`: its documents, or that there is nothing.
std::string found(const std::filesystem::path& path) {
  try {
    const auto c = Collection<Recorded>::open(path, {.mode = OpenMode::read_only});
    const auto report = c.verify();
    return report.ok() ? shown(c) : "DAMAGED " + report.problems.front().what;
  } catch (const Error& e) {
    if (e.code() == Errc::not_found) return "nothing";
    if (e.code() == Errc::corruption && std::string(e.what()).find("no manifest") != std::string::npos) return "leftovers";
    return "BROKEN " + std::string(e.what());
  }
}

void prepare() {
  Recording::reset();
  Recording::Folder root;
  Recording::make_folder("/stores");
  Recording::open_folder("/", root);
  Recording::sync_folder(root, SyncSite::store_folder_entry);
}

}  // namespace
}  // namespace copy_faults

BOOST_AUTO_TEST_SUITE(copy_faults)

BOOST_AUTO_TEST_CASE(a_backup_whose_calls_fail_harms_nothing_and_can_be_made_again) {
  std::size_t injections = 0, complete = 0;
  for (const int error : {EIO, ENOSPC, EINTR, 0})
    for (const bool for_ever : {false, true})
      for (const bool links : {true, false}) {
        if ((for_ever || !links) && error != EIO) continue;
        for (std::size_t at = 1;; ++at) {
          prepare();
          Faulty::clear();
          auto source = filled<FaultyMMap>();
          const auto before = shown(source);
          Faulty::plan({.at = at, .error = error, .for_ever = for_ever});
          const auto failure = error_of([&] { source.backup("/stores/backup", {.links = links}); });
          const bool fired = Faulty::fired() != 0, over = Faulty::calls() < at;
          Faulty::clear();
          BOOST_TEST_CONTEXT("call " << at << " fails with errno " << error << (for_ever ? " for ever" : " once") << (links ? ", links: " : ": ")
                                     << (failure ? failure->what() : "")) {
            if (fired) ++injections;
            if (error == EINTR || error == 0) BOOST_TEST(!failure.has_value());
            if (failure) {
              BOOST_TEST((failure->code() == Errc::io_error || failure->code() == Errc::no_space));
              BOOST_TEST(!failure->path().empty());
            }
            const auto there = found("/stores/backup");
            if (!failure)
              BOOST_TEST(there == before);
            else
              BOOST_TEST((there == "nothing" || there == "leftovers" || there == before), there);
            if (there == before && failure) ++complete;
            BOOST_TEST(shown(source) == before);
            BOOST_TEST(source.verify().ok());
            source.backup("/stores/another");
            BOOST_TEST(found("/stores/another") == before);
            source.insert(document(9));
            source.flush();
            source.close();
            BOOST_TEST(Collection<Recorded>::open("/stores/source").count() == 4u);
          }
          if (over) break;
        }
      }
  BOOST_TEST_MESSAGE(injections << " injections, " << complete << " of them into a backup that was complete");
  BOOST_TEST(injections > 300u);
}

// After a failure that says nothing of what the disk holds, the same folder takes the backup.
BOOST_AUTO_TEST_CASE(a_full_disk_leaves_a_folder_that_a_backup_can_be_made_in) {
  for (const bool links : {true, false})
    for (const auto call : {IoCall::write, IoCall::create_file, IoCall::rename, IoCall::allocate, IoCall::make_folder})
      for (std::size_t at = call == IoCall::make_folder ? 2 : 1;; ++at) {
        prepare();
        auto source = filled<FaultyMMap>();
        Faulty::plan({.at = at, .error = ENOSPC, .for_ever = true, .only = call});
        const auto failure = error_of([&] { source.backup("/stores/backup", {.links = links}); });
        Faulty::clear();
        if (!failure) break;
        BOOST_TEST_CONTEXT("call " << at << " of kind " << static_cast<int>(call) << ": " << failure->what()) {
          BOOST_TEST(failure->code() == Errc::no_space);
          BOOST_TEST(found("/stores/backup") == "nothing");
          source.backup("/stores/backup", {.links = links});
          BOOST_TEST(found("/stores/backup") == shown(source));
        }
      }
}

BOOST_AUTO_TEST_CASE(a_file_that_cannot_be_linked_is_copied) {
  for (const int error : {EXDEV, EPERM, EMLINK, ENOENT, EOPNOTSUPP}) {
    prepare();
    auto source = filled<FaultyMMap>();
    Faulty::plan({.at = 1, .error = error, .for_ever = true, .only = IoCall::link});
    source.backup("/stores/backup");
    BOOST_TEST(Faulty::fired() >= 6u);
    Faulty::clear();
    BOOST_TEST(found("/stores/backup") == shown(source));
  }
}

BOOST_AUTO_TEST_CASE(a_machine_that_stops_during_a_backup_leaves_the_source_and_no_wrong_copy) {
  for (const bool links : {true, false}) {
    prepare();
    auto source = filled<Recorded>();
    const auto before = shown(source);
    const auto from = Recording::log_size();
    source.backup("/stores/backup", {.links = links});
    const auto log = Recording::log();
    const auto durable = durable_at(log);
    std::mt19937_64 random(7);
    std::unordered_set<std::uint64_t> seen;
    std::size_t whole = 0;
    bool right = true;
    const auto check = [&](const Fates& fates, bool finished) {
      const auto disk = disk_after(empty_disk(), log, fates);
      if (!finished && !seen.insert(hash_tree(*disk)).second) return true;
      Recording::mount(disk);
      const auto there = found("/stores/backup");
      if (there == before) ++whole;
      right = found("/stores/source") == before && (there == before || (!finished && (there == "nothing" || there == "leftovers")));
      BOOST_TEST(right, "after " << fates.size() << " operations, " << to_string(fates) << ": " << there);
      return right;
    };
    for (auto k = from; k <= log.size() && right; ++k)
      for_each_crash(log, durable, k, {.exhaustive = 64, .pairs = 4, .random = 4, .torn = false}, random,
                     [&](const Fates& fates) { return check(fates, false); });
    // What is certain once the call returned: nothing but what was synced.
    check(durable_fates(durable, log.size()), true);
    BOOST_TEST_MESSAGE(seen.size() << " disks, the backup whole on " << whole);
    BOOST_TEST(seen.size() > 50u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
