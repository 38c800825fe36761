#include <quiver/schema/half.hpp>

#include <boost/test/unit_test.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

using namespace quiver;

BOOST_AUTO_TEST_SUITE(half)

BOOST_AUTO_TEST_CASE(every_half_becomes_the_float_of_the_same_value) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const int exponent = static_cast<int>(bits >> 10 & 0x1F);
    const int fraction = static_cast<int>(bits & 0x3FF);
    const float got = detail::half_to_float(Half{static_cast<std::uint16_t>(bits)});
    BOOST_REQUIRE_EQUAL(std::signbit(got), (bits & 0x8000) != 0);
    if (exponent == 31) {
      BOOST_REQUIRE_EQUAL(std::isinf(got), fraction == 0);
      BOOST_REQUIRE_EQUAL(std::isnan(got), fraction != 0);
    } else {
      const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
      BOOST_REQUIRE_EQUAL(static_cast<double>(std::fabs(got)), magnitude);
    }
  }
}

BOOST_AUTO_TEST_CASE(every_byte_becomes_the_float_of_the_same_value) {
  for (int i = 0; i < 256; ++i) BOOST_REQUIRE_EQUAL(detail::to_float(static_cast<std::uint8_t>(i)), static_cast<float>(i));
  for (int i = -128; i < 128; ++i) BOOST_REQUIRE_EQUAL(detail::to_float(static_cast<std::int8_t>(i)), static_cast<float>(i));
}

BOOST_AUTO_TEST_CASE(ranges_of_each_element_become_floats) {
  const std::int8_t c_array[] = {-1, 0, 127};
  BOOST_TEST(detail::to_floats(c_array) == (std::vector<float>{-1, 0, 127}), boost::test_tools::per_element());
  BOOST_TEST(detail::to_floats(std::array<std::uint8_t, 2>{255, 1}) == (std::vector<float>{255, 1}), boost::test_tools::per_element());
  BOOST_TEST(detail::to_floats(std::vector<Half>{Half{0x3C00}, Half{0xC000}}) == (std::vector<float>{1, -2}), boost::test_tools::per_element());
  BOOST_TEST(detail::to_floats(std::vector<float>{}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
