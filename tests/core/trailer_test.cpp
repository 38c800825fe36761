#include <quiver/core/trailer.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"

#include <random>

using namespace quiver;
using namespace quiver::detail;
using test::code_of;

namespace {

const std::filesystem::path path = "a/file";

FileTrailer sample() {
  FileTrailer t;
  t.id = {3, 4};
  t.data_length = 10'000;  // three chunks
  t.directory_length = 100;
  t.file_kind = 2;
  t.file_length = 10'000 + 100 + 24 + trailer_size + 10;
  t.footer_checksum = 99;
  return t;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(trailer)

BOOST_AUTO_TEST_CASE(what_was_written_is_read) {
  const auto t = sample();
  BOOST_TEST(t.chunks() == 3u);
  BOOST_TEST(t.checksums_offset() == 10'100u);
  BOOST_TEST(t.trailer_offset() == 10'124u);
  const auto bytes = encode_trailer(t);
  const auto read = parse_trailer(bytes, 10'124, t.file_length, path);
  BOOST_TEST((read.id == t.id));
  BOOST_TEST(read.data_length == t.data_length);
  BOOST_TEST(read.directory_length == t.directory_length);
  BOOST_TEST(read.format_version == block_format_version);
  BOOST_TEST(read.file_kind == 2u);
  BOOST_TEST(read.footer_checksum == 99u);
}

BOOST_AUTO_TEST_CASE(lengths_that_do_not_add_up_are_corruption_whatever_they_are) {
  std::mt19937_64 random(1);
  const auto good = sample();
  std::size_t refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    auto t = good;
    auto& field = i % 3 == 0 ? t.data_length : i % 3 == 1 ? t.directory_length : t.file_length;
    const auto before = field;
    field = i % 2 == 0 ? random() >> (random() % 64) : field ^ (std::uint64_t{1} << (random() % 64));
    // Moving bytes between data and directory without a change of the number of chunks adds up; the footer's checksum is there for that.
    if (field == before) continue;
    BOOST_TEST(code_of([&] { (void)parse_trailer(encode_trailer(t), 10'124, good.file_length, path); }) == Errc::corruption);
    ++refused;
  }
  BOOST_TEST(refused > 19'000u);
  auto bytes = encode_trailer(good);
  bytes[0] ^= std::byte{1};
  BOOST_TEST(code_of([&] { (void)parse_trailer(bytes, 10'124, good.file_length, path); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(the_end_of_a_file_leads_to_its_trailer_or_is_corruption) {
  const auto end = [](std::uint32_t tail, std::string_view magic) {
    Bytes out;
    append(out, tail);
    append(out, as_bytes(magic));
    return out;
  };
  BOOST_TEST(locate_trailer(end(0, plain_end_magic), 1000, path) == 1000u - 10 - 64);
  BOOST_TEST(locate_trailer(end(26, arrow_end_magic), 1000, path) == 900u);
  BOOST_TEST(locate_trailer(end(926, arrow_end_magic), 1000, path) == 0u);
  for (const std::uint32_t tail : {927u, 990u, 991u, 5000u, ~0u})
    BOOST_TEST(code_of([&] { (void)locate_trailer(end(tail, arrow_end_magic), 1000, path); }) == Errc::corruption);
  BOOST_TEST(code_of([&] { (void)locate_trailer(end(0, "QUIVR2"), 1000, path); }) == Errc::corruption);
  for (std::uint64_t length = 10; length < 74; ++length)
    BOOST_TEST(code_of([&] { (void)locate_trailer(end(0, plain_end_magic), length, path); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(the_footer_s_checksum_covers_every_bit_but_its_own_field) {
  Bytes footer(200);
  for (std::size_t i = 0; i < footer.size(); ++i) footer[i] = static_cast<std::byte>(i);
  constexpr std::size_t field = 130;
  const auto right = footer_checksum({5, 6}, footer, field);
  BOOST_TEST(footer_checksum({5, 7}, footer, field) != right);
  BOOST_TEST(footer_checksum({4, 6}, footer, field) != right);
  for (std::size_t bit = 0; bit < footer.size() * 8; ++bit) {
    footer[bit / 8] ^= std::byte{1} << (bit % 8);
    const bool own = bit / 8 >= field && bit / 8 < field + 8;
    BOOST_TEST((footer_checksum({5, 6}, footer, field) == right) == own);
    footer[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

BOOST_AUTO_TEST_SUITE_END()
