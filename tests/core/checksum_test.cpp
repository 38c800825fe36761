#include <quiver/core/checksum.hpp>

#include <quiver/core/bytes.hpp>

#include <boost/test/unit_test.hpp>

#include <random>
#include <set>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(checksums)

BOOST_AUTO_TEST_CASE(it_is_xxh3_of_64_bits) {
  // The hash of nothing is published with the algorithm; another value here would be another file format.
  BOOST_TEST(checksum({}, 0) == 0x2D06800538D394C2ull);
  BOOST_TEST(fingerprint("") == 0x2D06800538D394C2ull);
  BOOST_TEST(fingerprint("quiver") == checksum(as_bytes("quiver"), 0));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_of_a_chunk_changes_its_checksum) {
  const FileId id{1, 2};
  for (const std::size_t size : {1u, 8u, 100u, 300u, 4096u}) {
    Bytes chunk(size);
    for (std::size_t i = 0; i < size; ++i) chunk[i] = static_cast<std::byte>(i * 7);
    const auto right = chunk_checksum(id, 3, chunk);
    std::size_t missed = 0;
    for (std::size_t bit = 0; bit < size * 8; ++bit) {
      chunk[bit / 8] ^= std::byte{1} << (bit % 8);
      missed += chunk_checksum(id, 3, chunk) == right ? 1 : 0;
      chunk[bit / 8] ^= std::byte{1} << (bit % 8);
    }
    BOOST_TEST(missed == 0u);
  }
}

BOOST_AUTO_TEST_CASE(the_same_bytes_elsewhere_or_in_another_file_have_another_checksum) {
  const Bytes chunk(4096);
  std::set<std::uint64_t> seen;
  std::mt19937_64 random(7);
  for (int file = 0; file < 100; ++file) {
    const FileId id{random(), random()};
    for (std::uint64_t number = 0; number < 100; ++number) seen.insert(chunk_checksum(id, number, chunk));
  }
  BOOST_TEST(seen.size() == 10'000u);
}

BOOST_AUTO_TEST_SUITE_END()
