#include <quiver/storage/directory_log.hpp>

#include "storage/durable_file.hpp"
#include "support/error_code.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(directory_log)

using namespace quiver;
using namespace quiver::test;
using detail::Directory;

namespace {

using Recorded = Directory<RecordingFileSystem>;
using Action = RecordingFileSystem::Action;

constexpr auto name = "wal-000001";
constexpr auto log_path = "/one/wal-000001";

std::shared_ptr<Recorded> fresh_store() {
  RecordingFileSystem::reset();
  return Recorded::create("/one");
}

/// From op `from` to op `until` every crash leaves a log that begins with `bytes`.
struct Promise {
  std::string log;
  std::size_t from = 0, until = never;
  Bytes bytes;
};

/// Two logs that begin, grow within and beyond their room, and are synced; the first is removed at the end.
std::vector<Promise> log_script() {
  std::vector<Promise> promises;
  const auto directory = Recorded::create("/one");
  Bytes all;
  const auto promise = [&](const char* log) { promises.push_back({log, RecordingFileSystem::log_size(), never, all}); };
  const auto write = [&](const char* log, std::initializer_list<std::size_t> sizes) {
    all = sample_bytes(64, sizes.size());
    auto written = directory->append_log(log, all);
    promise(log);
    for (const auto size : sizes) {
      const auto piece = sample_bytes(size, all.size());
      written.append(piece);
      detail::append(all, piece);
      if (size % 2 == 0) {
        written.sync();
        promise(log);
      }
    }
  };
  write("wal-000001", {100, 1, 17'000, 5, 50});
  write("wal-000002", {3000, 14'000, 10});
  for (auto& each : promises)
    if (each.log == "wal-000001") each.until = RecordingFileSystem::log_size();
  directory->remove("wal-000001");
  return promises;
}

/// The first promise that a crash breaks, in words; empty if none does.
std::string broken_promise(std::optional<SyncSite> skipped, std::size_t* states = nullptr) {
  RecordingFileSystem::reset();
  RecordingFileSystem::skip(skipped);
  const auto promises = log_script();
  RecordingFileSystem::skip(std::nullopt);
  const auto log = RecordingFileSystem::log();
  const auto durable = durable_at(log);
  const auto base = empty_disk();
  std::mt19937_64 random(5);
  std::string broken;
  for (std::size_t k = 0; k <= log.size() && broken.empty(); ++k)
    for_each_crash(log, durable, k, {.exhaustive = 128, .pairs = 16, .random = 16}, random, [&](const Fates& fates) {
      const auto disk = disk_after(base, log, fates);
      if (states != nullptr) ++*states;
      for (const auto& promise : promises) {
        if (k < promise.from || k > promise.until) continue;
        const auto found = file_on(disk, "/one/" + promise.log);
        if (!found || !starts_with(*found, promise.bytes))
          broken = promise.log + " lost some of its " + std::to_string(promise.bytes.size()) + " bytes after op " + std::to_string(k);
      }
      return broken.empty();
    });
  return broken;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_log_and_its_name_are_durable_when_it_begins) {
  const auto directory = fresh_store();
  const auto from = RecordingFileSystem::log_size();
  const auto first = sample_bytes(100);
  const auto log = directory->append_log(name, first);
  std::vector<std::pair<Action, SyncSite>> steps;
  const auto ops = RecordingFileSystem::log();
  for (auto i = from; i < ops.size(); ++i) steps.emplace_back(ops[i].action, ops[i].site);
  const std::vector<std::pair<Action, SyncSite>> wanted{
      {Action::create, {}}, {Action::allocate, {}}, {Action::write, {}}, {Action::sync_file, SyncSite::log_begin}, {Action::sync_folder, SyncSite::log_name}};
  BOOST_TEST((steps == wanted));
  BOOST_TEST(log.size() == 100u);
  const auto durable = durable_file(log_path);
  BOOST_REQUIRE(durable.has_value());
  BOOST_TEST(starts_with(*durable, first));
}

BOOST_AUTO_TEST_CASE(what_was_appended_is_durable_after_a_sync_and_not_before) {
  const auto directory = fresh_store();
  auto all = sample_bytes(100);
  auto log = directory->append_log(name, all);
  for (const std::size_t size : {10u, 40'000u, 1u, 5'000'000u}) {
    const auto piece = sample_bytes(size, size);
    log.append(piece);
    detail::append(all, piece);
    BOOST_TEST(!starts_with(durable_file(log_path).value(), all));
    const auto before = RecordingFileSystem::syncs();
    log.sync();
    const auto after = RecordingFileSystem::syncs();
    BOOST_TEST(after[static_cast<std::size_t>(SyncSite::log_data)] == before[static_cast<std::size_t>(SyncSite::log_data)] + 1);
    BOOST_TEST(starts_with(durable_file(log_path).value(), all));
  }
}

BOOST_AUTO_TEST_CASE(no_crash_loses_what_a_log_promised) {
  std::size_t states = 0;
  BOOST_TEST(broken_promise(std::nullopt, &states) == "");
  BOOST_TEST_MESSAGE("crash states: " << states);
  BOOST_TEST(states > 500u);
}

BOOST_AUTO_TEST_CASE(every_sync_of_a_log_is_needed) {
  for (const auto site : {SyncSite::log_begin, SyncSite::log_name, SyncSite::log_data})
    BOOST_TEST(broken_promise(site) != "", "leaving out sync site " << static_cast<int>(site) << " went unnoticed");
}

BOOST_AUTO_TEST_CASE(room_is_there_before_anything_is_written_into_it_and_is_asked_for_seldom) {
  const auto directory = fresh_store();
  auto log = directory->append_log(name, sample_bytes(70));
  for (std::size_t i = 0; i < 2000; ++i) log.append(sample_bytes(i % 300));
  log.append(sample_bytes(3'000'000));
  log.append(sample_bytes(1));
  std::uint64_t allocated = 0;
  std::size_t times = 0;
  for (const auto& op : RecordingFileSystem::log()) {
    if (op.action == Action::allocate) {
      BOOST_TEST(op.offset == allocated);
      allocated = op.offset + op.length;
      ++times;
    }
    if (op.action == Action::write) BOOST_TEST(op.offset + op.bytes.size() <= allocated);
  }
  BOOST_TEST(allocated >= log.size());
  BOOST_TEST(allocated <= log.size() + (4u << 20));
  BOOST_TEST(times > 3u);
  BOOST_TEST(times < 30u);
}

BOOST_AUTO_TEST_CASE(the_bytes_of_an_earlier_log_do_not_show_behind_the_new_ones) {
  const auto directory = fresh_store();
  static_cast<void>(directory->append_log(name, sample_bytes(30'000)));
  const auto log = directory->append_log(name, sample_bytes(10, 2));
  const auto content = RecordingFileSystem::content(log_path).value();
  BOOST_TEST(starts_with(content, sample_bytes(10, 2)));
  BOOST_TEST(is_zero(ByteSpan(content).subspan(10)));
}

BOOST_AUTO_TEST_CASE(names_of_logs_begin_with_wal_and_stay_in_the_store) {
  const auto directory = fresh_store();
  for (const auto* bad : {"", "log-000001", "MANIFEST_1", "LOCK", "../wal-000001", "wal-1/a", "seg-1/wal-1", "wal-000001.tmp", "wal-\n", ".wal-1"})
    BOOST_TEST_CONTEXT(bad) BOOST_TEST((code_of([&] { static_cast<void>(directory->append_log(bad, {})); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([&] { static_cast<void>(directory->read_log("../wal-1")); }) == Errc::corruption));
  BOOST_TEST(directory->list().empty());
}

BOOST_AUTO_TEST_CASE(a_folder_in_the_place_of_a_log_is_told) {
  const auto directory = fresh_store();
  RecordingFileSystem::make_folder(log_path);
  BOOST_TEST((code_of([&] { static_cast<void>(directory->read_log(name)); }) == Errc::corruption));
  BOOST_TEST((code_of([&] { static_cast<void>(directory->append_log(name, {})); }) == Errc::io_error));
  BOOST_TEST(!directory->poisoned());
  BOOST_TEST(directory->list().size() == 1u);
  BOOST_TEST((code_of([&] { static_cast<void>(Recorded::create("/one")); }) == Errc::already_exists));
}

BOOST_AUTO_TEST_CASE(create_takes_over_a_log_that_a_create_cut_short_left) {
  static_cast<void>(fresh_store()->append_log(name, sample_bytes(10)));
  BOOST_TEST(Recorded::create("/one")->list().size() == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
