#include <quiver/core/bytes.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"

#include <limits>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(bytes)

BOOST_AUTO_TEST_CASE(zeros_are_told_from_anything_else) {
  BOOST_TEST(all_zero({}));
  for (std::size_t size = 1; size < 40; ++size) {
    Bytes some(size);
    BOOST_TEST(all_zero(some));
    for (auto& byte : some) {
      byte = std::byte{1};
      BOOST_TEST(!all_zero(some));
      byte = std::byte{0};
    }
  }
}

BOOST_AUTO_TEST_CASE(fields_are_little_endian_and_need_no_alignment) {
  Bytes out;
  append(out, std::uint8_t{1});
  append(out, std::uint32_t{0x05040302});
  append(out, as_bytes("\x06\x07"));
  const Bytes expected{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}, std::byte{6}, std::byte{7}};
  BOOST_TEST((out == expected));
  BOOST_TEST(load<std::uint32_t>(&out[1]) == 0x05040302u);
}

BOOST_AUTO_TEST_CASE(a_stretch_within_a_file_is_told_without_overflow) {
  constexpr auto most = std::numeric_limits<std::uint64_t>::max();
  static_assert(within(0, 0, 0) && within(0, 10, 10) && within(10, 0, 10) && within(3, 7, 10));
  static_assert(!within(0, 11, 10) && !within(11, 0, 10) && !within(4, 7, 10));
  static_assert(!within(most, 1, most - 1) && !within(1, most, 10) && !within(most, most, most - 1) && within(most, 0, most));
  static_assert(align_up(0, 64) == 0 && align_up(1, 64) == 64 && align_up(64, 64) == 64 && align_up(65, 64) == 128);
}

BOOST_AUTO_TEST_CASE(a_cursor_never_reads_past_its_bytes_and_says_where_it_stopped) {
  Bytes raw;
  append(raw, std::uint64_t{7});
  append(raw, std::uint16_t{9});
  const std::filesystem::path path = "some/file";
  Cursor in(raw, path, 1000);
  BOOST_TEST(in.take<std::uint64_t>() == 7u);
  BOOST_TEST(in.position() == 1008u);
  BOOST_TEST(in.left() == 2u);
  for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    const auto error = test::error_of([&] { (void)in.take(length); });
    BOOST_REQUIRE(error);
    BOOST_TEST(error->code() == Errc::corruption);
    BOOST_TEST(error->path() == path);
    BOOST_TEST(error->offset().value() == 1008u);
  }
  BOOST_TEST(test::code_of([&] { (void)in.take<std::uint32_t>(); }) == Errc::corruption);
  BOOST_TEST(test::code_of([&] { in.expect_end(); }) == Errc::corruption);
  BOOST_TEST(in.take<std::uint16_t>() == 9u);  // a refused read takes nothing
  BOOST_TEST(in.take(0).empty());
  in.expect_end();
}

BOOST_AUTO_TEST_SUITE_END()
