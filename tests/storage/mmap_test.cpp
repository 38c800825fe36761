#include <quiver/storage/mmap.hpp>

#include <quiver/storage/mmap_read.hpp>

#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"
#include "support/temp_folder.hpp"

#include <boost/test/unit_test.hpp>

#include <sys/resource.h>
#include <sys/stat.h>

BOOST_AUTO_TEST_SUITE(mmap_policy)

using namespace quiver;
using namespace quiver::test;

namespace {

/// Remembers how the last file was mapped.
struct HintedFileSystem : PosixFileSystem {
  static inline MapHints last{};
  static IoResult map_ro(const File& file, std::size_t length, const MapHints& hints, Mapping& mapping) {
    last = hints;
    return PosixFileSystem::map_ro(file, length, hints, mapping);
  }
};

template <class Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e;
  }
  return Error(Errc::none, "nothing was thrown");
}

struct OneFile {
  TempFolder temp;
  std::filesystem::path path = temp / "store";
  MMapPolicy::Store store = MMapPolicy::create_store(path);
  SampleFile sample = make_sample(sample_bytes(100'000));
  std::string name = "seg-000001/blk-000001.scalar";
  OneFile() { publish_sample(store, name, sample); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(options_reach_the_mapping) {
  const OneFile one;
  using P = BasicMMapPolicy<HintedFileSystem>;
  static_cast<void>(P::open_store(one.path, {}, OpenMode::read_only).open(one.name, one.sample.identity));
  BOOST_TEST(!HintedFileSystem::last.populate);
  BOOST_TEST((HintedFileSystem::last.advice == Advice::normal));
  for (const auto advice : {Advice::random, Advice::sequential}) {
    const auto reader = P::open_store(one.path, {.populate = true, .advice = advice}, OpenMode::read_only).open(one.name, one.sample.identity);
    BOOST_TEST(HintedFileSystem::last.populate);
    BOOST_TEST((HintedFileSystem::last.advice == advice));
    BOOST_TEST(std::ranges::equal(std::span(reader.data(), one.sample.bytes.size()), one.sample.bytes));
  }
}

BOOST_AUTO_TEST_CASE(a_view_is_the_mapping_itself) {
  OneFile one;
  const auto reader = one.store.open(one.name, one.sample.identity);
  auto scope = one.store.read_scope();
  BOOST_TEST(reader.view(scope, 777, 10).data() == reader.data() + 777);
  const auto copy = reader;
  BOOST_TEST(copy.data() == reader.data());
}

BOOST_AUTO_TEST_CASE(a_file_shorter_than_recorded_is_refused_and_not_mapped) {
  OneFile one;
  for (const std::uintmax_t length : {std::uintmax_t{0}, std::uintmax_t{1}, std::uintmax_t{50'000}, std::uintmax_t{100'000}}) {
    std::filesystem::resize_file(one.path / one.name, length);
    const auto error = error_of([&] { static_cast<void>(one.store.open(one.name, one.sample.identity)); });
    BOOST_TEST((error.code() == Errc::corruption));
    BOOST_TEST(error.path() == one.path / one.name);
    BOOST_TEST(error.offset().value() == length);
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_a_file_is_corruption) {
  OneFile one;
  std::filesystem::create_directory(one.path / "idmap-000001");
  BOOST_REQUIRE(::mkfifo((one.path / "idmap-000002").c_str(), 0600) == 0);  // opening it must not wait for a writer
  for (const auto* name : {"idmap-000001", "idmap-000002"}) {
    BOOST_TEST((error_of([&] { static_cast<void>(one.store.open(name, one.sample.identity)); }).code() == Errc::corruption));
    BOOST_TEST((error_of([&] { static_cast<void>(one.store.read_small(name)); }).code() == Errc::corruption));
  }
}

BOOST_AUTO_TEST_CASE(a_process_at_its_limit_of_open_files_is_told_so) {
  OneFile one;
  struct ::rlimit before {};
  BOOST_REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  auto low = before;
  low.rlim_cur = 3;  // no further descriptor
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  const auto error = error_of([&] { static_cast<void>(one.store.open(one.name, one.sample.identity)); });
  BOOST_REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  BOOST_TEST((error.code() == Errc::io_error));
  BOOST_TEST(std::string(error.what()).find("RLIMIT_NOFILE") != std::string::npos);
  BOOST_TEST((error_of([&] { static_cast<void>(one.store.open(one.name, one.sample.identity)); }).code() == Errc::none));
}

BOOST_AUTO_TEST_CASE(an_open_file_holds_no_descriptor) {
  OneFile one;
  const auto count = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()); };
  const auto before = count();
  const auto reader = one.store.open(one.name, one.sample.identity);
  BOOST_TEST(count() == before);
}

BOOST_AUTO_TEST_CASE(reading_writes_not_one_byte) {
  using Writer = BasicMMapPolicy<RecordingFileSystem>;
  RecordingFileSystem::reset();
  const auto sample = make_sample(sample_bytes(10'000));
  {
    auto store = Writer::create_store("/store");
    publish_sample(store, "seg-000001/a", sample);
  }
  const auto before = RecordingFileSystem::log().size();
  const auto read = [&](const auto& store) {
    static_cast<void>(store.list());
    static_cast<void>(store.read_small("seg-000001/a"));
    static_cast<void>(store.open("seg-000001/a", sample.identity));
  };
  read(BasicMMapReadPolicy<RecordingFileSystem>::open_store("/store", {}, OpenMode::read_only));
  read(Writer::open_store("/store", {}, OpenMode::read_only));
  BOOST_TEST(RecordingFileSystem::log().size() == before);
}

BOOST_AUTO_TEST_SUITE_END()
