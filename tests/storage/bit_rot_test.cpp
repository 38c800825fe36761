#include <quiver/storage/verified_footer.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

#include "support/recording_file_system.hpp"
#include "support/sample_file.hpp"

#include <boost/test/unit_test.hpp>

// Every bit of a file flipped, every length cut off, files exchanged: an error with path and offset, never other bytes.

BOOST_AUTO_TEST_SUITE(bit_rot)

using namespace quiver;
using namespace quiver::test;

namespace {

const std::string name = "seg-000001/blk-000001.scalar";
const std::filesystem::path file = "/store/seg-000001/blk-000001.scalar";

enum class Outcome { same, reported, wrong };

template <class P>
typename P::Options thorough() {
  if constexpr (std::same_as<typename P::Options, MMapOptions>)
    return {.verify = VerifyLevel::full};
  else
    return {};
}

/// Opens the file and reads all of it, in pieces, by way of prefetch every other time.
template <class P>
Outcome outcome(const SampleFile& sample, const typename P::Options& options, bool ahead) {
  try {
    const auto store = P::open_store("/store", options, OpenMode::read_only);
    const auto reader = store.open(name, sample.identity);
    auto scope = store.read_scope();
    const Range all{0, static_cast<std::size_t>(reader.size())};
    if (ahead) reader.prefetch(scope, std::span(&all, 1));
    if (reader.size() != sample.bytes.size()) return Outcome::wrong;
    for (std::size_t at = 0; at < sample.bytes.size(); at += 1500) {
      const auto length = std::min<std::size_t>(1500, sample.bytes.size() - at);
      if (!std::ranges::equal(reader.view(scope, at, length), ByteSpan(sample.bytes).subspan(at, length))) return Outcome::wrong;
    }
    return Outcome::same;
  } catch (const Error& e) {
    const bool typed = e.code() == Errc::corruption || e.code() == Errc::version_mismatch;
    return typed && !e.path().empty() && e.offset() && *e.offset() <= sample.bytes.size() ? Outcome::reported : Outcome::wrong;
  }
}

SampleFile publish(std::size_t size, const std::string& as, std::uint64_t seed) {
  auto store = BasicMMapPolicy<RecordingFileSystem>::open_store("/store", {}, OpenMode::read_write);
  auto sample = make_sample(sample_bytes(size, seed));
  publish_sample(store, as, sample);
  return sample;
}

SampleFile fresh(std::size_t size) {
  RecordingFileSystem::reset();
  static_cast<void>(BasicMMapPolicy<RecordingFileSystem>::create_store("/store"));
  return publish(size, name, 1);
}

using Verifying = std::tuple<BasicMemoryPolicy<RecordingFileSystem>, BasicFileReadPolicy<RecordingFileSystem>, BasicCheckedMMapPolicy<RecordingFileSystem>,
                             BasicMMapPolicy<RecordingFileSystem>>;

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(every_flipped_bit_is_reported, P, Verifying) {
  const auto sample = fresh(4396);
  BOOST_REQUIRE((outcome<P>(sample, thorough<P>(), false) == Outcome::same));
  std::size_t silent = 0;
  for (std::size_t bit = 0; bit < sample.bytes.size() * 8; ++bit) {
    auto damaged = sample.bytes;
    damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
    RecordingFileSystem::put(file, std::move(damaged));
    if (outcome<P>(sample, thorough<P>(), bit % 2 == 0) != Outcome::reported) {
      BOOST_TEST_MESSAGE("bit " << bit);
      ++silent;
    }
  }
  BOOST_TEST(silent == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_other_length_is_reported, P, Verifying) {
  const auto sample = fresh(4396);
  for (std::size_t length = 0; length < sample.bytes.size(); length += length < 3000 ? 37 : 1) {
    RecordingFileSystem::put(file, Bytes(sample.bytes.begin(), sample.bytes.begin() + static_cast<std::ptrdiff_t>(length)));
    BOOST_REQUIRE((outcome<P>(sample, thorough<P>(), false) == Outcome::reported));
  }
  auto longer = sample.bytes;
  longer.push_back(std::byte{0});
  RecordingFileSystem::put(file, longer);
  BOOST_TEST((outcome<P>(sample, thorough<P>(), false) == Outcome::reported));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(exchanged_files_and_chunks_are_reported, P, Verifying) {
  const auto sample = fresh(20'000);
  const auto other = publish(20'000, "seg-000001/blk-000002.scalar", 2);
  RecordingFileSystem::put(file, other.bytes);
  BOOST_TEST((outcome<P>(sample, thorough<P>(), false) == Outcome::reported));
  for (const bool ahead : {false, true}) {
    auto swapped = sample.bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + 4096, swapped.begin() + 8192);
    RecordingFileSystem::put(file, swapped);
    BOOST_TEST((outcome<P>(sample, thorough<P>(), ahead) == Outcome::reported));
    auto foreign = sample.bytes;  // the same place of another file, with checksums that fit it there
    std::copy_n(other.bytes.begin(), 4096, foreign.begin());
    RecordingFileSystem::put(file, foreign);
    BOOST_TEST((outcome<P>(sample, thorough<P>(), ahead) == Outcome::reported));
  }
}

BOOST_AUTO_TEST_CASE(mmap_finds_damage_of_the_data_only_when_told_to_look_for_it) {
  using P = BasicMMapPolicy<RecordingFileSystem>;
  const auto sample = fresh(20'000);
  auto damaged = sample.bytes;
  damaged[12'345] ^= std::byte{4};
  RecordingFileSystem::put(file, damaged);
  BOOST_TEST((outcome<P>(sample, {.verify = VerifyLevel::none}, false) == Outcome::wrong));
  BOOST_TEST((outcome<P>(sample, {}, false) == Outcome::wrong));
  BOOST_TEST((outcome<P>(sample, {.verify = VerifyLevel::full}, false) == Outcome::reported));
  damaged = sample.bytes;
  damaged[20'010] ^= std::byte{4};  // the directory
  RecordingFileSystem::put(file, damaged);
  BOOST_TEST((outcome<P>(sample, {.verify = VerifyLevel::none}, false) == Outcome::wrong));
  BOOST_TEST((outcome<P>(sample, {}, false) == Outcome::reported));
  BOOST_TEST((outcome<BasicMMapReadPolicy<RecordingFileSystem>>(sample, {}, false) == Outcome::reported));
}

BOOST_AUTO_TEST_CASE(checked_mmap_names_the_chunk_and_serves_the_others) {
  using P = BasicCheckedMMapPolicy<RecordingFileSystem>;
  const auto sample = fresh(300 * 4096);
  auto damaged = sample.bytes;
  damaged[70 * 4096 + 5] ^= std::byte{1};
  RecordingFileSystem::put(file, damaged);
  const auto store = P::open_store("/store", {}, OpenMode::read_only);
  const auto reader = store.open(name, sample.identity);
  auto scope = store.read_scope();
  for (int twice = 0; twice < 2; ++twice) {
    BOOST_TEST(std::ranges::equal(reader.view(scope, 0, 70 * 4096), ByteSpan(sample.bytes).first(70 * 4096)));
    BOOST_TEST(std::ranges::equal(reader.view(scope, 71 * 4096, 100 * 4096), ByteSpan(sample.bytes).subspan(71 * 4096, 100 * 4096)));
    for (const auto& range : {Range{0, 200 * 4096}, Range{70 * 4096, 1}, Range{71 * 4096 - 1, 1}, Range{60 * 4096, 20 * 4096}}) {
      try {
        static_cast<void>(reader.view(scope, range.offset, range.length));
        BOOST_ERROR("the damage was not seen");
      } catch (const Error& e) {
        BOOST_TEST((e.code() == Errc::corruption));
        BOOST_TEST(e.offset().value() == 70u * 4096u);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(each_chunk_is_checked_once) {
  const detail::VerifiedChunks bits(200);
  std::vector<std::uint64_t> checked;
  const auto check = [&](std::uint64_t number) {
    checked.push_back(number);
    if (number == 130) throw std::runtime_error("damaged");
  };
  bits.ensure(3, 3, check);
  bits.ensure(0, 5, check);
  BOOST_TEST(checked == (std::vector<std::uint64_t>{3, 0, 1, 2, 4, 5}), boost::test_tools::per_element());
  checked.clear();
  bits.ensure(0, 129, check);
  BOOST_TEST(checked.size() == 124u);
  BOOST_CHECK_THROW(bits.ensure(0, 199, check), std::runtime_error);
  BOOST_CHECK_THROW(bits.ensure(130, 130, check), std::runtime_error);
  checked.clear();
  bits.ensure(131, 199, check);
  bits.ensure(131, 199, check);
  bits.ensure(0, 129, check);
  BOOST_TEST(checked.size() == 69u);
}

BOOST_AUTO_TEST_SUITE_END()
