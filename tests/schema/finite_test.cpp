#include <quiver/schema/finite.hpp>

#include <boost/test/unit_test.hpp>

#include <bit>
#include <limits>
#include <vector>

using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(float_scan)

BOOST_AUTO_TEST_CASE(one_bad_element_is_found_at_every_place_of_every_length) {
  const float bad[] = {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::signaling_NaN(),
                       std::numeric_limits<float>::infinity(),  -std::numeric_limits<float>::infinity(),  std::bit_cast<float>(0x7F800001u),
                       std::bit_cast<float>(0xFFFFFFFFu)};
  for (std::size_t size = 1; size <= 70; ++size)
    for (std::size_t at = 0; at < size; ++at)
      for (const float value : bad) {
        std::vector<float> values(size, 1.0f);
        values[at] = value;
        BOOST_REQUIRE(!scan_floats(values).finite);
        BOOST_REQUIRE_EQUAL(first_not_finite(values), at);
      }
}

BOOST_AUTO_TEST_CASE(the_largest_smallest_and_subnormal_numbers_are_finite) {
  const std::vector<float> values{std::numeric_limits<float>::max(),
                                  std::numeric_limits<float>::lowest(),
                                  std::numeric_limits<float>::denorm_min(),
                                  -std::numeric_limits<float>::min(),
                                  0.0f,
                                  -0.0f};
  BOOST_TEST(scan_floats(values).finite);
  BOOST_TEST(!scan_floats(values).zero);
  BOOST_TEST(first_not_finite(values) == values.size());
}

BOOST_AUTO_TEST_CASE(two_bad_elements_do_not_cancel) {
  for (std::size_t other = 1; other < 40; ++other) {
    std::vector<float> values(40, 0.0f);
    values[0] = std::numeric_limits<float>::infinity();
    values[other] = -std::numeric_limits<float>::infinity();
    BOOST_REQUIRE(!scan_floats(values).finite);
  }
}

BOOST_AUTO_TEST_CASE(zeros_of_both_signs_are_zero_and_the_smallest_number_anywhere_is_not) {
  for (std::size_t size = 1; size <= 70; ++size) {
    std::vector<float> values(size, 0.0f);
    values[size / 2] = -0.0f;
    BOOST_REQUIRE(scan_floats(values).zero);
    for (std::size_t at = 0; at < size; ++at) {
      auto other = values;
      other[at] = std::numeric_limits<float>::denorm_min();
      BOOST_REQUIRE(!scan_floats(other).zero);
    }
  }
  BOOST_TEST(scan_floats({}).zero);
  BOOST_TEST(scan_floats({}).finite);
}

BOOST_AUTO_TEST_SUITE_END()
