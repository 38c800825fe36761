#include <quiver/storage/directory_link.hpp>
#include <quiver/storage/directory_log.hpp>

#include "support/error_code.hpp"
#include "support/faulty_file_system.hpp"
#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

#include <new>

// A store's folder on a file system that refuses single calls, or answers what it should not.

BOOST_AUTO_TEST_SUITE(directory_failure)

using namespace quiver;
using namespace quiver::test;
using detail::Directory;

namespace {

using Faulty = FaultyFileSystem<RecordingFileSystem>;
using Action = RecordingFileSystem::Action;

template <class D>
void publish_text(D& directory, const std::string& name, std::string_view text) {
  auto draft = directory.create_draft(name);
  draft.append(detail::as_bytes(text));
  directory.publish(std::span(&draft, 1));
}

template <class FS = Faulty>
std::shared_ptr<Directory<FS>> fresh_store() {
  RecordingFileSystem::reset();
  Faulty::clear();
  return Directory<FS>::create("/one");
}

std::size_t synced_folders() {
  const auto log = RecordingFileSystem::log();
  return static_cast<std::size_t>(std::ranges::count(log, Action::sync_folder, &Op::action));
}

/// The recording one, with single answers exchanged.
struct Odd : RecordingFileSystem {
  static inline std::uint64_t size = 0;          // that describe answers, if not 0
  static inline bool writes_nothing = false;     // and names no error
  static inline bool out_of_memory = false;      // in write_at
  static inline std::size_t folders_missed = 0;  // so many calls of make_folder say that the folder above is missing

  static IoResult describe(const File& file, FolderEntry& entry) {
    const auto result = RecordingFileSystem::describe(file, entry);
    if (size != 0) entry.size = size;
    return result;
  }
  static IoResult write_at(File& file, ByteSpan from, std::uint64_t offset) {
    if (out_of_memory) throw std::bad_alloc();
    return std::exchange(writes_nothing, false) ? IoResult{} : RecordingFileSystem::write_at(file, from, offset);
  }
  static IoResult make_folder(const std::filesystem::path& path) {
    if (folders_missed == 0) return RecordingFileSystem::make_folder(path);
    --folders_missed;
    return {0, ENOENT};
  }
  static void clear() {
    size = folders_missed = 0;
    writes_nothing = out_of_memory = false;
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_small_file_of_more_than_a_gibibyte_is_damage_and_gets_no_memory) {
  const auto directory = fresh_store<Odd>();
  publish_text(*directory, "idmap-1", "text");
  Odd::size = (std::uint64_t{1} << 30) + 1;
  const auto error = error_of([&] { static_cast<void>(directory->read_small("idmap-1")); });
  Odd::clear();
  BOOST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::corruption);
  BOOST_TEST(error->path() == "/one/idmap-1");
  BOOST_TEST(!error->offset().has_value());  // not even read: reading would have found where it ends
}

BOOST_AUTO_TEST_CASE(a_folder_that_goes_while_the_store_is_listed_is_left_out_and_one_that_cannot_be_read_is_an_error) {
  const auto directory = fresh_store();
  publish_text(*directory, "seg-1/a", "a");
  publish_text(*directory, "seg-2/b", "b");
  for (const int error : {ENOENT, ENOTDIR}) {
    Faulty::plan({.at = 1, .error = error, .only = IoCall::open_folder});
    const auto files = directory->list();
    BOOST_REQUIRE(files.size() == 1u);
    BOOST_TEST(files[0].name == "seg-2/b");
  }
  for (const int number : {EIO, EACCES, EPERM}) {
    Faulty::plan({.at = 1, .error = number, .only = IoCall::open_folder});
    const auto error = error_of([&] { static_cast<void>(directory->list()); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::io_error);
    BOOST_TEST(error->path() == "/one/seg-1");
  }
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_file_kept_aside_has_two_names_and_is_kept_once) {
  const auto directory = fresh_store();
  publish_text(*directory, "MANIFEST_1", "one");
  publish_text(*directory, "MANIFEST_2", "two");
  directory->keep_aside("MANIFEST_1", "kept/MANIFEST_1");
  directory->keep_aside("MANIFEST_2", "kept/MANIFEST_1");  // the name is taken, by what an earlier attempt kept
  directory->sync_aside("kept");
  BOOST_TEST((RecordingFileSystem::content("/one/kept/MANIFEST_1") == RecordingFileSystem::content("/one/MANIFEST_1")));
  for (const auto& [name, second, bad] : {std::tuple("../a", "kept/a", "'../a'"), std::tuple("MANIFEST_1", "a/b/c", "'a/b/c'")}) {
    const auto error = error_of([&, name = name, second = second] { directory->keep_aside(name, second); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::invalid_argument);
    BOOST_TEST(std::string(error->what()).find(bad) != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(where_a_file_gets_no_second_name_keeping_it_aside_is_unsupported) {
  const auto directory = fresh_store();
  publish_text(*directory, "MANIFEST_1", "one");
  for (const int number : {EPERM, EOPNOTSUPP, ENOSYS, EMLINK, EIO, ENOENT}) {
    Faulty::plan({.at = 1, .error = number, .only = IoCall::link});
    const auto error = error_of([&] { directory->keep_aside("MANIFEST_1", "kept-1"); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == (number == EIO || number == ENOENT ? Errc::io_error : Errc::unsupported));
    BOOST_TEST(error->path() == "/one/MANIFEST_1");
  }
  Faulty::clear();
  BOOST_TEST(directory->list().size() == 1u);
  BOOST_TEST(!directory->poisoned());
}

BOOST_AUTO_TEST_CASE(a_file_in_the_place_of_a_store_is_no_store) {
  publish_text(*fresh_store(), "MANIFEST_1", "text");
  for (const auto mode : {OpenMode::read_only, OpenMode::read_write}) {
    const auto error = error_of([&] { static_cast<void>(Directory<Faulty>::open("/one/MANIFEST_1", mode)); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::not_found);
    BOOST_TEST(error->path() == "/one/MANIFEST_1");
  }
}

BOOST_AUTO_TEST_CASE(the_rights_that_are_missing_are_named_for_reading_and_for_writing) {
  const auto directory = fresh_store();
  publish_text(*directory, "idmap-1", "text");
  for (const int number : {EACCES, EPERM}) {
    Faulty::plan({.at = 1, .error = number, .only = IoCall::open_file});
    BOOST_TEST(code_of([&] { static_cast<void>(directory->open_file("idmap-1")); }) == Errc::io_error);
    Faulty::plan({.at = 1, .error = number, .only = IoCall::create_file});
    BOOST_TEST(code_of([&] { static_cast<void>(directory->create_draft("idmap-2")); }) == Errc::read_only);
  }
  // What is gone is nothing to read; where something should be written it is a failure.
  Faulty::plan({.at = 1, .error = ENOENT, .only = IoCall::open_file});
  BOOST_TEST(code_of([&] { static_cast<void>(directory->open_file("idmap-1")); }) == Errc::not_found);
  Faulty::plan({.at = 1, .error = ENOENT, .only = IoCall::create_file});
  BOOST_TEST(code_of([&] { static_cast<void>(directory->create_draft("idmap-2")); }) == Errc::io_error);
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_working_folder_that_was_removed_or_a_missing_root_is_an_error_at_once) {
  for (const auto* path : {"one", "/"}) {
    RecordingFileSystem::reset();
    Faulty::plan({.at = 1, .error = ENOENT, .only = IoCall::make_folder});
    const auto error = error_of([&] { static_cast<void>(Directory<Faulty>::create(path)); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::io_error);
    BOOST_TEST(error->path() == path);
    BOOST_TEST(Faulty::calls() == 1u);
    BOOST_TEST(RecordingFileSystem::log_size() == 0u);
  }
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_folder_above_that_another_process_made_meanwhile_is_taken_and_left_to_it) {
  RecordingFileSystem::reset();
  RecordingFileSystem::make_folder("/above");
  Odd::folders_missed = 1;
  static_cast<void>(Directory<Odd>::create("/above/one"));
  BOOST_TEST(Odd::folders_missed == 0u);
  BOOST_TEST(synced_folders() == 1u);  // of the store's own entry
}

BOOST_AUTO_TEST_CASE(a_store_in_an_empty_folder_needs_no_right_to_the_folder_above_and_a_new_folder_does) {
  for (const bool there : {true, false}) {
    RecordingFileSystem::reset();
    if (there) RecordingFileSystem::make_folder("/one");
    Faulty::plan({.at = 1, .error = EACCES, .only = IoCall::open_folder});
    const auto error = error_of([&] { static_cast<void>(Directory<Faulty>::create("/one")); });
    BOOST_TEST(Faulty::fired() == 1u);
    BOOST_TEST((error ? error->code() : Errc::none) == (there ? Errc::none : Errc::read_only));
    if (error) BOOST_TEST(error->path() == "/");
  }
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_kernel_without_the_call_that_refuses_to_replace_gets_links) {
  const auto directory = fresh_store();
  for (const int number : {ENOSYS, EINVAL}) {
    const auto name = "idmap-" + std::to_string(number);
    auto draft = directory->create_draft(name);
    Faulty::plan({.at = 1, .error = number, .only = IoCall::rename});
    directory->publish(std::span(&draft, 1));
    BOOST_TEST(Faulty::fired() == 1u);
    BOOST_TEST(directory->open_file(name).size == 0u);
  }
  Faulty::clear();
  BOOST_TEST(directory->list().size() == 2u);  // without a temporary name
}

BOOST_AUTO_TEST_CASE(a_draft_that_is_a_link_takes_no_bytes_and_is_published_as_it_is) {
  const auto from = fresh_store();
  const auto sample = make_sample(sample_bytes(5000));
  auto original = from->create_draft("seg-1/a");
  original.append(sample.bytes);
  from->publish(std::span(&original, 1));
  const auto directory = Directory<Faulty>::create("/two");
  auto link = directory->link_draft("seg-1/a", *from, sample.identity);
  BOOST_REQUIRE(link.has_value());
  BOOST_TEST(code_of([&] { link->append(sample_bytes(1)); }) == Errc::invalid_argument);
  directory->publish(std::span(&*link, 1));
  BOOST_TEST((directory->read_small("seg-1/a") == sample.bytes));
  BOOST_TEST((from->read_small("seg-1/a") == sample.bytes));
}

BOOST_AUTO_TEST_CASE(a_draft_that_another_shortened_is_not_published) {
  const auto directory = fresh_store();
  auto draft = directory->create_draft("idmap-1");
  draft.append(sample_bytes(100));
  for (const std::size_t size : {99u, 101u}) {
    RecordingFileSystem::put("/one/idmap-1.tmp", sample_bytes(size));
    const auto error = error_of([&] { directory->publish(std::span(&draft, 1)); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::io_error);
    BOOST_TEST(error->path() == "/one/idmap-1.tmp");
  }
  RecordingFileSystem::put("/one/idmap-1.tmp", sample_bytes(100));
  directory->publish(std::span(&draft, 1));
  BOOST_TEST((directory->read_small("idmap-1") == sample_bytes(100)));
}

BOOST_AUTO_TEST_CASE(a_write_that_moves_nothing_and_names_no_error_is_an_error) {
  const auto directory = fresh_store<Odd>();
  auto draft = directory->create_draft("idmap-1");
  Odd::writes_nothing = true;
  const auto error = error_of([&] { draft.append(sample_bytes(100)); });
  BOOST_TEST(!std::exchange(Odd::writes_nothing, false));
  BOOST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::io_error);
  BOOST_TEST(std::string(error->what()).find("errno " + std::to_string(EIO)) != std::string::npos);
  BOOST_TEST(code_of([&] { directory->publish(std::span(&draft, 1)); }) == Errc::io_error);
}

BOOST_AUTO_TEST_CASE(memory_that_is_short_in_the_middle_of_an_append_ends_the_writing) {
  const auto directory = fresh_store<Odd>();
  auto log = directory->append_log("wal-000001", sample_bytes(100));
  Odd::out_of_memory = true;
  BOOST_CHECK_THROW(log.append(sample_bytes(10)), std::bad_alloc);
  Odd::clear();
  BOOST_TEST(directory->poisoned());
  BOOST_TEST(log.size() == 100u);
  BOOST_TEST(code_of([&] { log.append(sample_bytes(10)); }) == Errc::io_error);
}

BOOST_AUTO_TEST_CASE(a_lock_that_is_assigned_gives_back_the_one_it_was) {
  const auto one = fresh_store<RecordingFileSystem>();
  const auto two = Directory<RecordingFileSystem>::create("/two");
  const auto free = [](auto& directory) { return code_of([&] { static_cast<void>(directory->lock()); }) == Errc::none; };
  {
    auto lock = one->lock();
    lock = two->lock();
    BOOST_TEST(free(one));
    BOOST_TEST(!free(two));
  }
  BOOST_TEST(free(two));
}

BOOST_AUTO_TEST_SUITE_END()
