// Repairs whose calls fail, and whose machine stops, at every step.
#include <quiver/collection/repair.hpp>

#include <quiver/collection/collection.hpp>

#include "support/crash_states.hpp"
#include "support/error_code.hpp"
#include "support/fault_sweep.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

#include <unordered_set>

using namespace quiver;
using namespace quiver::test;

namespace repair_faults {
namespace {

using Recording = quiver::test::RecordingFileSystem;
using Faulty = quiver::test::FaultyFileSystem<Recording>;
using Recorded = BasicMMapPolicy<Recording>;

const std::filesystem::path store = "/stores/c";

Document document(int i) { return Document{"k" + std::to_string(i), {{"n", i}, {"v", {float(i), 1.0f}}}}; }

/// What is shown of the collection; nothing: it does not open.
std::string shown() {
  try {
    const auto c = Collection<Recorded>::open(store, {.mode = OpenMode::read_only});
    return digest(c, c.schema());
  } catch (const Error& e) {
    return e.code() == Errc::corruption ? std::string() : "BROKEN " + std::string(e.what());
  }
}
void damage(const std::string& name) {
  auto bytes = *Recording::content(store / name);
  bytes[bytes.size() / 2] ^= std::byte{4};
  Recording::put(store / name, bytes);
}
/// A killed writer's collection of which the newest manifest and an id run are damaged, all of it durable; gives what it held.
std::string prepare() {
  Recording::reset();
  Recording::make_folder("/stores");
  std::string content;
  {
    auto c = Collection<Recorded>::create(store, Schema{Field::int32("n"), VectorField("v", 2)}, {.segment_rows = 3});
    c.insert({document(0), document(1), document(2)});
    c.flush();
    c.insert({document(3), document(4)});
    c.erase("k1");
    c.flush();
    c.insert(document(5));
    c.erase("k3");
    content = digest(c, c.schema());
    Recording::kill();
  }
  damage("MANIFEST_00000000000003");
  damage("idmap-000001");
  Recording::mount(copy_tree(Recording::root()));
  return content;
}

}  // namespace
}  // namespace repair_faults

BOOST_AUTO_TEST_SUITE(repair_faults)

BOOST_AUTO_TEST_CASE(a_repair_whose_calls_fail_can_be_made_again) {
  std::size_t injections = 0;
  for (const int error : {EIO, ENOSPC, EINTR, 0})
    for (const bool for_ever : {false, true}) {
      if (for_ever && error != ENOSPC) continue;
      for (std::size_t at = 1;; ++at) {
        const auto content = prepare();
        Faulty::plan({.at = at, .error = error, .for_ever = for_ever});
        std::optional<RepairReport> report;
        const auto failure = error_of([&] { report = detail::repair_store<Faulty>(store, {.dry_run = false}); });
        const bool fired = Faulty::fired() != 0, over = Faulty::calls() < at;
        Faulty::clear();
        BOOST_TEST_CONTEXT("call " << at << " fails with errno " << error << (for_ever ? " for ever: " : " once: ") << (failure ? failure->what() : "")) {
          if (fired) ++injections;
          if (error == EINTR || error == 0) BOOST_TEST(!failure.has_value());
          if (failure) {
            BOOST_TEST((failure->code() == Errc::io_error || failure->code() == Errc::no_space));
            BOOST_TEST(!failure->path().empty());
          } else {
            BOOST_TEST(report->documents_lost == 0u);
          }
          const auto there = shown();
          BOOST_TEST((there == content || (failure && there.empty())), there);
          const auto again = detail::repair_store<Recording>(store, {.dry_run = false});
          BOOST_TEST(again.possible);
          BOOST_TEST(again.documents_lost == 0u);
          BOOST_TEST(shown() == content);
          BOOST_TEST(detail::Verifier<Recorded>(Recorded::open_store(store, {}, OpenMode::read_only), VerifyLevel::full).run().ok());
        }
        if (over) break;
      }
    }
  BOOST_TEST_MESSAGE(injections << " injections");
  BOOST_TEST(injections > 200u);
}

BOOST_AUTO_TEST_CASE(a_machine_that_stops_during_a_repair_leaves_what_was_there_or_what_was_made) {
  const auto content = prepare();
  const auto base = copy_tree(Recording::root());
  BOOST_TEST(detail::repair_store<Recording>(store, {.dry_run = false}).documents_lost == 0u);
  const auto log = Recording::log();
  const auto durable = durable_at(log);
  std::mt19937_64 random(7);
  std::unordered_set<std::uint64_t> seen;
  std::size_t whole = 0;
  bool right = true;
  const auto check = [&](const Fates& fates, bool finished) {
    const auto disk = disk_after(base, log, fates);
    if (!finished && !seen.insert(hash_tree(*disk)).second) return true;
    Recording::mount(disk);
    const auto there = shown();
    if (there == content) ++whole;
    right = there == content || (there.empty() && !finished);
    if (right && there.empty()) {
      const auto again = detail::repair_store<Recording>(store, {.dry_run = false});
      right = again.possible && again.documents_lost == 0 && shown() == content;
    }
    // Nothing that was damaged is gone.
    std::size_t kept = 0;
    if (right && finished) {
      (void)Collection<Recorded>::open(store);
      for (const auto& file : Recorded::open_store(store, {}, OpenMode::read_only).list()) kept += file.name.starts_with("damaged-00000000000004/");
      BOOST_TEST(kept >= 2u);
    }
    BOOST_TEST(right, "after " << fates.size() << " operations, " << to_string(fates) << ": " << there);
    return right;
  };
  for (std::size_t k = 0; k <= log.size() && right; ++k)
    for_each_crash(log, durable, k, {.exhaustive = 16, .pairs = 2, .random = 2, .torn = false}, random,
                   [&](const Fates& fates) { return check(fates, false); });
  check(durable_fates(durable, log.size()), true);
  BOOST_TEST_MESSAGE(seen.size() << " disks, repaired on " << whole);
  BOOST_TEST(seen.size() > 50u);
}

BOOST_AUTO_TEST_SUITE_END()
