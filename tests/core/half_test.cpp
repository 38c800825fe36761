#include <quiver/core/half.hpp>

#include <boost/test/unit_test.hpp>

#include <bit>
#include <cmath>
#include <limits>

using quiver::Half;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(half_precision)

BOOST_AUTO_TEST_CASE(every_half_comes_back_from_its_float) {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float number = half_to_float(half);
    const Half back = float_to_half(number);
    wrong += number != number ? half_to_float(back) == half_to_float(back) : back.bits != half.bits;
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(between_two_halves_the_nearer_one_is_taken_and_in_the_middle_the_even_one) {
  std::size_t wrong = 0;
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits)
    for (const std::uint32_t sign : {0u, 0x8000u}) {
      const Half below{static_cast<std::uint16_t>(sign | bits)}, above{static_cast<std::uint16_t>(sign | (bits + 1))};
      const float middle = (half_to_float(below) + half_to_float(above)) / 2;  // exact
      const Half even = (bits & 1) == 0 ? below : above;
      const float toward_zero = std::nextafter(middle, 0.0f), away = std::nextafter(middle, sign != 0 ? -1e30f : 1e30f);
      wrong += float_to_half(middle).bits != even.bits;
      wrong += float_to_half(toward_zero).bits != below.bits;
      wrong += float_to_half(away).bits != above.bits;
    }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(what_is_too_large_is_an_infinity_and_what_is_too_small_a_zero_of_its_sign) {
  BOOST_TEST(float_to_half(std::nextafter(65520.0f, 0.0f)).bits == 0x7BFFu);
  BOOST_TEST(float_to_half(65520.0f).bits == 0x7C00u);
  BOOST_TEST(float_to_half(-std::numeric_limits<float>::max()).bits == 0xFC00u);
  BOOST_TEST(float_to_half(-std::numeric_limits<float>::infinity()).bits == 0xFC00u);
  BOOST_TEST(float_to_half(0x1p-25f).bits == 0u);
  BOOST_TEST(float_to_half(std::nextafter(0x1p-25f, 1.0f)).bits == 1u);
  BOOST_TEST(float_to_half(-std::numeric_limits<float>::denorm_min()).bits == 0x8000u);
  BOOST_TEST(float_to_half(-0.0f).bits == 0x8000u);
}

BOOST_AUTO_TEST_SUITE_END()
