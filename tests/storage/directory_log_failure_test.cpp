#include <quiver/storage/directory_log.hpp>

#include "storage/durable_file.hpp"
#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

// Logs on a disk that is full, that cannot allocate, or that fails.

BOOST_AUTO_TEST_SUITE(directory_log_failure)

using namespace quiver;
using namespace quiver::test;
using detail::Directory;

namespace {

using Faulty = FaultyFileSystem<RecordingFileSystem>;

constexpr auto name = "wal-000001";
constexpr auto log_path = "/one/wal-000001";

std::shared_ptr<Directory<Faulty>> fresh_faulty_store() {
  RecordingFileSystem::reset();
  Faulty::clear();
  return Directory<Faulty>::create("/one");
}

/// A store on a disk that takes files of up to `room` bytes, and allocates or cannot.
struct SmallDisk : RecordingFileSystem {
  static inline std::uint64_t room = 0;
  static inline int cannot_allocate = 0;  // the errno value of allocate; 0: it can
  static inline int full = ENOSPC;        // the errno value of what has no room
  static inline std::size_t asked = 0, written = 0;

  static IoResult allocate(File& file, std::uint64_t offset, std::size_t length) {
    ++asked;
    if (cannot_allocate != 0) return {0, cannot_allocate};
    return offset + length > room ? IoResult{0, full} : RecordingFileSystem::allocate(file, offset, length);
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    ++written;
    FolderEntry entry;
    describe(file, entry);
    const auto most = std::max(room, entry.size);
    if (offset >= most) return {0, full};
    return RecordingFileSystem::write_at(file, from.first(std::min<std::size_t>(from.size(), static_cast<std::size_t>(most - offset))), offset);
  }
  static std::shared_ptr<Directory<SmallDisk>> store(std::uint64_t size, int allocate_error) {
    RecordingFileSystem::reset();
    room = size, cannot_allocate = allocate_error, asked = written = 0;
    return Directory<SmallDisk>::create("/one");
  }
};

/// A disk that takes nothing of zeros and says no error; asked too often for that, it fails.
struct NoZeros : RecordingFileSystem {
  static inline std::size_t asked = 0;

  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    if (!detail::all_zero(from)) return RecordingFileSystem::write_at(file, from, offset);
    return {0, ++asked > 100 ? EIO : 0};
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_what_has_no_room_and_the_log_goes_on) {
  for (const int full : {ENOSPC, EDQUOT}) {
    SmallDisk::full = full;
    const auto directory = SmallDisk::store(20'000, 0);
    auto all = sample_bytes(100);
    auto log = directory->append_log(name, all);
    const auto add = [&](std::size_t size) {
      const auto piece = sample_bytes(size, all.size());
      log.append(piece);
      detail::append(all, piece);
    };
    add(16'000);  // fits, though not with what a log likes to have in reserve
    add(3'900);   // the last of it
    for (int i = 0; i < 3; ++i) {
      const auto before = SmallDisk::written;
      const auto error = error_of([&] { log.append(sample_bytes(1)); });
      BOOST_REQUIRE(error.has_value());
      BOOST_TEST((error->code() == Errc::no_space));
      BOOST_TEST(error->path() == log_path);
      BOOST_TEST(SmallDisk::written == before);  // not even tried, each time
      log.append({});
      log.sync();
    }
    BOOST_TEST(!directory->poisoned());
    BOOST_TEST(log.size() == all.size());
    BOOST_TEST((RecordingFileSystem::content(log_path) == all));
    SmallDisk::room = 1'000'000;
    add(5'000);
    log.sync();
    BOOST_TEST(starts_with(durable_file(log_path).value(), all));
  }
}

BOOST_AUTO_TEST_CASE(a_file_system_that_cannot_allocate_is_asked_once) {
  for (const int cannot : {EOPNOTSUPP, ENOSYS}) {
    const auto directory = SmallDisk::store(50'000, cannot);
    auto all = sample_bytes(100);
    auto log = directory->append_log(name, all);
    for (int i = 0; i < 20; ++i) {
      log.append(sample_bytes(2'000));
      detail::append(all, sample_bytes(2'000));
    }
    log.sync();
    BOOST_TEST(SmallDisk::asked == 1u);
    BOOST_TEST((durable_file(log_path) == all));
    // An append that begins where the disk is full moves nothing; one that begins before is cut in the middle.
    SmallDisk::room = all.size();
    BOOST_TEST((code_of([&] { log.append(sample_bytes(10)); }) == Errc::no_space));
    BOOST_TEST(!directory->poisoned());
    SmallDisk::room += 15;
    log.append(sample_bytes(10));
    detail::append(all, sample_bytes(10));
    const auto error = error_of([&] { log.append(sample_bytes(10)); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST((error->code() == Errc::io_error));
    BOOST_TEST(error->path() == log_path);
    BOOST_TEST(directory->poisoned());
    SmallDisk::room = 1'000'000;
    BOOST_TEST((code_of([&] { log.append(sample_bytes(1)); }) == Errc::io_error));
    BOOST_TEST(starts_with(RecordingFileSystem::content(log_path).value(), all));
  }
}

BOOST_AUTO_TEST_CASE(a_disk_that_takes_nothing_of_the_room_that_comes_next_loses_nothing) {
  RecordingFileSystem::reset();
  NoZeros::asked = 0;
  const auto directory = Directory<NoZeros>::create("/one");
  auto all = sample_bytes(100);
  auto log = directory->append_log(name, all);
  for (std::size_t i = 0; i < 3; ++i) {
    log.append(sample_bytes(600, i));
    detail::append(all, sample_bytes(600, i));
    log.sync();
  }
  BOOST_TEST(NoZeros::asked == 1u);
  BOOST_TEST(!directory->poisoned());
  BOOST_TEST(starts_with(durable_file(log_path).value(), all));
}

BOOST_AUTO_TEST_CASE(the_room_that_comes_next_is_written_to_once_for_many_syncs_and_only_where_there_are_any) {
  for (const bool syncs : {true, false}) {
    const auto directory = SmallDisk::store(1'000'000, 0);
    auto all = sample_bytes(100);
    auto log = directory->append_log(name, all);
    const auto before = SmallDisk::written;
    for (std::size_t i = 0; i < 300; ++i) {
      const auto piece = sample_bytes(600 + i % 7, i);
      log.append(piece);
      detail::append(all, piece);
      if (syncs) log.sync();
      const auto now = RecordingFileSystem::content(log_path).value();
      BOOST_TEST_REQUIRE(starts_with(now, all));
      BOOST_TEST_REQUIRE(detail::all_zero(ByteSpan(now).subspan(all.size())));
    }
    const auto more = SmallDisk::written - before - 300;
    BOOST_TEST(more >= (syncs ? 3u : 0u));
    BOOST_TEST(more <= (syncs ? 30u : 0u));
    if (syncs) BOOST_TEST(starts_with(durable_file(log_path).value(), all));
  }
}

BOOST_AUTO_TEST_CASE(where_the_room_that_comes_next_cannot_be_written_to_nothing_is_lost) {
  for (const int error : {EIO, ENOSPC, 0}) {
    const auto directory = fresh_faulty_store();
    auto all = sample_bytes(100);
    auto log = directory->append_log(name, all);
    log.sync();
    Faulty::plan({.at = 1, .error = error, .only = IoCall::write});
    log.append(sample_bytes(500));
    BOOST_TEST(Faulty::fired() == 1u);
    log.append(sample_bytes(500));
    log.sync();
    for (int i = 0; i < 2; ++i) detail::append(all, sample_bytes(500));
    BOOST_TEST(!directory->poisoned());
    BOOST_TEST(starts_with(durable_file(log_path).value(), all));
  }
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(after_a_failure_a_log_takes_nothing_more) {
  for (const auto call : {IoCall::allocate, IoCall::write, IoCall::sync_file})
    for (const int error : {EIO, ENOSPC, EROFS}) {
      if (error == ENOSPC && call != IoCall::sync_file) continue;
      BOOST_TEST_CONTEXT("call " << static_cast<int>(call) << " errno " << error) {
        const auto directory = fresh_faulty_store();
        auto all = sample_bytes(100);
        auto log = directory->append_log(name, all);
        auto other = directory->append_log("wal-000002", {});
        log.append(sample_bytes(10));
        detail::append(all, sample_bytes(10));
        Faulty::plan({.at = 1, .error = error, .only = call});
        const auto code = code_of([&] {
          log.append(sample_bytes(20'000));
          log.sync();
        });
        BOOST_TEST((code == (error == EROFS ? Errc::read_only : Errc::io_error)), to_string(code));
        BOOST_TEST(Faulty::fired() == 1u);
        BOOST_TEST(directory->poisoned());
        const auto before = RecordingFileSystem::log_size();
        BOOST_TEST((code_of([&] { log.append(sample_bytes(1)); }) == Errc::io_error));
        BOOST_TEST((code_of([&] { log.sync(); }) == Errc::io_error));
        BOOST_TEST((code_of([&] { other.append({}); }) == Errc::io_error));
        BOOST_TEST((code_of([&] { other.sync(); }) == Errc::io_error));
        BOOST_TEST((code_of([&] { static_cast<void>(directory->append_log("wal-000003", {})); }) == Errc::io_error));
        BOOST_TEST((code_of([&] { static_cast<void>(directory->create_draft("idmap-1")); }) == Errc::io_error));
        BOOST_TEST(RecordingFileSystem::log_size() == before);
        Bytes found(all.size());
        directory->read_log(name).read(0, found);  // reading goes on
        BOOST_TEST((found == all));
        Faulty::clear();
      }
    }
}

BOOST_AUTO_TEST_CASE(a_log_that_failed_to_begin_leaves_no_name) {
  for (const auto call : {IoCall::create_file, IoCall::allocate, IoCall::write, IoCall::sync_file, IoCall::sync_folder}) {
    BOOST_TEST_CONTEXT("call " << static_cast<int>(call)) {
      const auto directory = fresh_faulty_store();
      Faulty::plan({.at = 1, .error = EIO, .only = call});
      BOOST_TEST((code_of([&] { static_cast<void>(directory->append_log(name, sample_bytes(100))); }) == Errc::io_error));
      BOOST_TEST(Faulty::fired() == 1u);
      BOOST_TEST(directory->list().empty());
      BOOST_TEST(directory->poisoned() == (call == IoCall::sync_file || call == IoCall::sync_folder));
      Faulty::clear();
      const auto again = Directory<Faulty>::open("/one", OpenMode::read_write);
      const auto log = again->append_log(name, sample_bytes(50, 2));
      BOOST_TEST(starts_with(durable_file(log_path).value(), sample_bytes(50, 2)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()
