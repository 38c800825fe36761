#include <quiver/storage/file_read.hpp>

#include <quiver/storage/mmap.hpp>

#include "support/faulty_file_system.hpp"
#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(file_read_policy)

using namespace quiver;
using namespace quiver::test;

namespace {

using Faulty = FaultyFileSystem<RecordingFileSystem>;
using P = BasicFileReadPolicy<Faulty>;

SampleFile one_file(std::size_t size) {
  RecordingFileSystem::reset();
  Faulty::clear();
  auto store = BasicMMapPolicy<RecordingFileSystem>::create_store("/store");
  auto sample = make_sample(sample_bytes(size));
  publish_sample(store, "seg-000001/a", sample);
  return sample;
}

void count_reads() { Faulty::plan({.only = IoCall::read}); }

}  // namespace

BOOST_AUTO_TEST_CASE(many_ranges_are_fetched_with_few_reads) {
  const auto sample = one_file(4'000'000);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < 200; ++i) ranges.push_back({i * 5000, 100});                // neighbours
  for (std::size_t i = 0; i < 10; ++i) ranges.push_back({2'000'000 + i * 200'000, 100});  // far from each other
  auto scope = store.read_scope();
  count_reads();
  reader.prefetch(scope, ranges);
  BOOST_TEST(Faulty::calls() <= 11u);
  const auto so_far = Faulty::calls();
  for (const auto& range : ranges)
    BOOST_REQUIRE(std::ranges::equal(reader.view(scope, range.offset, range.length),
                                     ByteSpan(sample.bytes).subspan(static_cast<std::size_t>(range.offset), range.length)));
  reader.prefetch(scope, ranges);
  BOOST_TEST(Faulty::calls() == so_far);  // all of it is there
  scope.renew();
  static_cast<void>(reader.view(scope, 0, 1));
  BOOST_TEST(Faulty::calls() == so_far + 1);
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(what_is_put_together_from_many_ranges_is_at_most_a_mebibyte) {
  constexpr std::size_t chunks = 600, most = 256;
  const auto sample = one_file(chunks * 4096);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  std::vector<Range> ranges;
  for (std::size_t i = 0; i < chunks; ++i) ranges.push_back({i * 4096, 4096});
  auto scope = store.read_scope();
  count_reads();
  reader.prefetch(scope, ranges);
  BOOST_TEST(Faulty::calls() == (chunks + most - 1) / most);
  for (const auto& range : ranges)
    BOOST_REQUIRE(std::ranges::equal(reader.view(scope, range.offset, range.length),
                                     ByteSpan(sample.bytes).subspan(static_cast<std::size_t>(range.offset), range.length)));
  BOOST_TEST(Faulty::calls() == (chunks + most - 1) / most);
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(what_a_scope_holds_is_not_read_again) {
  const auto sample = one_file(100'000);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  auto scope = store.read_scope();
  count_reads();
  const auto first = reader.view(scope, 5000, 10);
  const auto second = reader.view(scope, 5005, 10);
  BOOST_TEST(second.data() == first.data() + 5);
  BOOST_TEST(Faulty::calls() == 1u);
  static_cast<void>(reader.view(scope, reader.size() - 70, 70));  // the footer is in memory
  static_cast<void>(reader.view(scope, 7, 0));
  BOOST_TEST(Faulty::calls() == 1u);
  Faulty::clear();
}

BOOST_AUTO_TEST_CASE(a_failing_device_is_an_error_of_the_view_and_silence_of_the_prefetch) {
  const auto sample = one_file(100'000);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  auto scope = store.read_scope();
  Faulty::plan({.at = 1, .error = EIO, .for_ever = true, .only = IoCall::read});
  const Range range{10, 20};
  reader.prefetch(scope, std::span(&range, 1));
  try {
    static_cast<void>(reader.view(scope, 10, 20));
    BOOST_ERROR("nothing was thrown");
  } catch (const Error& e) {
    BOOST_TEST((e.code() == Errc::io_error));
    BOOST_TEST(e.path().string().ends_with("seg-000001/a"));
  }
  Faulty::clear();
  BOOST_TEST(std::ranges::equal(reader.view(scope, 10, 20), ByteSpan(sample.bytes).subspan(10, 20)));
}

BOOST_AUTO_TEST_CASE(a_damaged_chunk_spoils_no_neighbour_that_was_fetched_with_it) {
  const auto sample = one_file(100'000);
  auto damaged = sample.bytes;
  damaged[3 * 4096] ^= std::byte{1};
  RecordingFileSystem::put("/store/seg-000001/a", damaged);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  auto scope = store.read_scope();
  const std::vector<Range> ranges{{2 * 4096, 10}, {4 * 4096, 10}};
  reader.prefetch(scope, ranges);
  for (const auto& range : ranges)
    BOOST_TEST(std::ranges::equal(reader.view(scope, range.offset, range.length),
                                  ByteSpan(sample.bytes).subspan(static_cast<std::size_t>(range.offset), range.length)));
  BOOST_CHECK_THROW(static_cast<void>(reader.view(scope, 2 * 4096, 3 * 4096)), Error);
}

BOOST_AUTO_TEST_CASE(a_file_that_shrinks_while_it_is_open_is_corruption) {
  const auto sample = one_file(100'000);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open("seg-000001/a", sample.identity);
  RecordingFileSystem::put("/store/seg-000001/a", Bytes(50'000));
  auto scope = store.read_scope();
  try {
    static_cast<void>(reader.view(scope, 60'000, 10));
    BOOST_ERROR("nothing was thrown");
  } catch (const Error& e) {
    BOOST_TEST((e.code() == Errc::corruption));
    BOOST_TEST(e.offset().has_value());
  }
}

BOOST_AUTO_TEST_CASE(buffers_that_were_given_back_are_used_again) {
  detail::ReadBuffers buffers;
  const auto owner = std::make_shared<int>(1);
  auto bytes = buffers.take(10'000);
  const auto* place = bytes.data();
  BOOST_TEST(buffers.hold(owner, 0, 10'000, std::move(bytes)) == place);
  BOOST_TEST(buffers.find(owner.get(), 9'000, 1000) == place + 9000);
  BOOST_TEST(buffers.find(owner.get(), 9'000, 1001) == nullptr);
  BOOST_TEST(buffers.find(&buffers, 0, 1) == nullptr);
  BOOST_TEST(owner.use_count() == 2);
  buffers.renew();
  BOOST_TEST(owner.use_count() == 1);
  BOOST_TEST(buffers.find(owner.get(), 0, 1) == nullptr);
  BOOST_TEST(buffers.take(5000).data() == place);
}

BOOST_AUTO_TEST_SUITE_END()
