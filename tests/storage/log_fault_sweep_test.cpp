#include <quiver/storage/mmap.hpp>

#include <quiver/storage/file_read.hpp>

#include "storage/durable_file.hpp"
#include "support/error_code.hpp"
#include "support/fault_sweep.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

// Every call of writing a log fails in turn, in every way: a typed error, nothing that was appended is lost, nothing that was synced is not durable.

BOOST_AUTO_TEST_SUITE(log_fault_sweep)

using namespace quiver;
using namespace quiver::test;

namespace {

using Faulty = FaultyFileSystem<RecordingFileSystem>;
using Writer = BasicMMapPolicy<Faulty>;

constexpr auto name = "wal-000001";
constexpr auto log_path = "/stores/one/wal-000001";

enum class Step { before, begin, append, sync, done };

/// What a script did until it ended.
struct Progress {
  Step step = Step::before;
  Errc code = Errc::none;      // of the error that ended it
  std::size_t refused = 0;     // appends that found no room and were tried again
  Bytes appended, synced;      // what append and sync returned from, the begin bytes among both
  Bytes tried;                 // in the append that failed
  bool goes_on_after = false;  // writing was possible after the error
};

const Bytes& begin_bytes() {
  static const auto bytes = sample_bytes(64);
  return bytes;
}

/// A store with a log of pieces less and more than a step of growth, some synced. An append that finds no room is tried again once there is some.
Progress write_log() {
  Progress progress;
  std::optional<Writer::Store> store;
  std::optional<Writer::Log> log;
  try {
    store.emplace(Writer::create_store("/stores/one"));
    const auto lock = store->lock_for_writing();
    progress.step = Step::begin;
    log.emplace(store->append_log(name, begin_bytes()));
    progress.appended = progress.synced = begin_bytes();
    std::size_t n = 0;
    for (const std::size_t size : {100u, 17'000u, 1u, 40'000u, 8u}) {
      const auto piece = sample_bytes(size, ++n + 1);
      progress.step = Step::append;
      progress.tried = piece;
      try {
        log->append(piece);
      } catch (const Error& e) {
        if (e.code() != Errc::no_space) throw;
        BOOST_TEST(e.path() == log_path);
        ++progress.refused;
        Faulty::disarm();
        log->append(piece);
      }
      progress.tried.clear();
      detail::append(progress.appended, piece);
      if (n % 2 == 0) {
        progress.step = Step::sync;
        log->sync();
        progress.synced = progress.appended;
      }
    }
    progress.step = Step::done;
  } catch (const Error& e) {
    progress.code = e.code();
    BOOST_TEST(!e.path().empty(), e.what());
    Faulty::disarm();
    if (log) progress.goes_on_after = code_of([&] { log->append(sample_bytes(1)); }) == Errc::none || code_of([&] { log->sync(); }) == Errc::none;
  }
  Faulty::disarm();
  return progress;
}

void check_contents(const Progress& progress) {
  if (progress.appended.empty()) return;
  const auto reader = BasicFileReadPolicy<RecordingFileSystem>::open_store("/stores/one", {}, OpenMode::read_only).read_log(name);
  Bytes all(static_cast<std::size_t>(reader.size()));
  reader.read(0, all);
  BOOST_TEST(starts_with(all, progress.appended));
  // Behind it come zeros, or what was written of the piece that failed.
  auto rest = ByteSpan(all).subspan(progress.appended.size());
  const auto end = std::ranges::mismatch(rest, progress.tried).in1;
  BOOST_TEST(is_zero(ByteSpan(end, rest.end())));
  const auto durable = durable_file(log_path);
  BOOST_REQUIRE(durable.has_value());
  BOOST_TEST(starts_with(*durable, progress.synced));
}

/// The next process can write, under the same name too.
void check_next_writer() {
  if (!RecordingFileSystem::content("/stores/one/LOCK")) return;
  auto store = Writer::open_store("/stores/one", {}, OpenMode::read_write);
  const auto lock = store.lock_for_writing();
  const auto first = sample_bytes(10, 99);
  auto log = store.append_log(name, first);
  log.append(first);
  log.sync();
  auto both = first;
  detail::append(both, first);
  const auto durable = durable_file(log_path);
  BOOST_REQUIRE(durable.has_value());
  BOOST_TEST(starts_with(*durable, both));
}

bool is_full(int error) { return error == ENOSPC || error == EDQUOT; }
bool forbids(int error) { return error == EROFS || error == EACCES; }

}  // namespace

BOOST_AUTO_TEST_CASE(every_failure_is_a_typed_error_and_loses_nothing) {
  std::size_t injections = 0, refused = 0, ended_in_append = 0, ended_in_sync = 0, failed_begins = 0;
  for (const int error : {EIO, ENOSPC, EDQUOT, EROFS, EACCES, EFBIG})
    for (const bool for_ever : {false, true})
      injections += sweep(error, for_ever, [&](std::size_t at) {
        BOOST_TEST_CONTEXT("errno " << error << " at call " << at << (for_ever ? " and for ever" : "")) {
          const auto progress = write_log();
          if (is_full(error)) BOOST_TEST((progress.step != Step::append || progress.code == Errc::none));  // it goes on
          if (!is_full(error)) BOOST_TEST(progress.refused == 0u);
          const bool expected = progress.code == Errc::none || (forbids(error) && progress.step == Step::before) ||
                                progress.code == (forbids(error) ? Errc::read_only : Errc::io_error) ||
                                (progress.code == Errc::no_space && is_full(error) && progress.step <= Step::begin);
          BOOST_TEST(expected, to_string(progress.code));
          BOOST_TEST((progress.code == Errc::none) == (progress.step == Step::done));
          BOOST_TEST(!progress.goes_on_after);
          check_contents(progress);
          if (progress.step == Step::begin && !for_ever) BOOST_TEST(!RecordingFileSystem::content(log_path).has_value());
          check_next_writer();
          refused += progress.refused;
          failed_begins += progress.step == Step::begin;
          ended_in_append += progress.step == Step::append;
          ended_in_sync += progress.step == Step::sync;
        }
      });
  BOOST_TEST_MESSAGE("injections: " << injections);
  BOOST_TEST(injections > 200u);
  BOOST_TEST(refused > 20u);
  BOOST_TEST(failed_begins > 20u);
  BOOST_TEST(ended_in_append > 20u);
  BOOST_TEST(ended_in_sync > 10u);
}

BOOST_AUTO_TEST_CASE(short_and_interrupted_calls_change_nothing) {
  for (const int error : {0, EINTR})
    for (const bool for_ever : {false, true}) {
      if (error == EINTR && for_ever) continue;
      const auto injections = sweep(error, for_ever, [&](std::size_t at) {
        BOOST_TEST_CONTEXT("errno " << error << " at call " << at << (for_ever ? " and for ever" : "")) {
          const auto progress = write_log();
          BOOST_TEST((progress.step == Step::done));
          BOOST_TEST(progress.refused == 0u);
          check_contents(progress);
        }
      });
      BOOST_TEST(injections >= (error == 0 ? 6u : 15u));
    }
}

BOOST_AUTO_TEST_CASE(a_storm_of_signals_is_an_error_and_no_hang) {
  const auto injections = sweep(EINTR, true, [&](std::size_t at) {
    BOOST_TEST_CONTEXT("from call " << at) {
      const auto progress = write_log();
      BOOST_TEST((progress.code == Errc::none || progress.code == Errc::io_error));
      BOOST_TEST(!progress.goes_on_after);
      check_contents(progress);
    }
  });
  BOOST_TEST(injections > 15u);
}

BOOST_AUTO_TEST_CASE(every_failure_of_a_reader_is_a_typed_error_and_passes) {
  for (const int error : {EIO, EMFILE, ENFILE, EACCES, ENOMEM, EINTR, 0})
    for (std::size_t at = 1;; ++at) {
      RecordingFileSystem::reset();
      auto store = BasicMMapPolicy<RecordingFileSystem>::create_store("/one");
      auto log = store.append_log(name, begin_bytes());
      Faulty::plan({.at = at, .error = error});
      const auto look = [&] {
        const auto reader = Writer::open_store("/one", {}, OpenMode::read_only).read_log(name);
        Bytes bytes(static_cast<std::size_t>(std::min<std::uint64_t>(reader.size(), begin_bytes().size())));
        reader.read(0, bytes);
        BOOST_TEST(std::ranges::equal(bytes, begin_bytes()));
      };
      BOOST_TEST_CONTEXT("errno " << error << " at call " << at) {
        const auto failure = error_of(look);
        const auto fired = Faulty::fired();
        BOOST_TEST(failure.has_value() == (fired > 0 && error != EINTR && error != 0));
        if (failure) BOOST_TEST((failure->code() == Errc::io_error && !failure->path().empty()), failure->what());
        Faulty::clear();
        look();
        if (fired == 0 && at > 10) break;
      }
    }
}

BOOST_AUTO_TEST_SUITE_END()
