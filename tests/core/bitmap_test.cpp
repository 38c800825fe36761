#include <quiver/core/bitmap.hpp>

#include <boost/test/unit_test.hpp>

#include <random>

using quiver::detail::Bitmap;
using quiver::detail::test_bit;

BOOST_AUTO_TEST_SUITE(bitmap)

BOOST_AUTO_TEST_CASE(bits_are_what_a_vector_of_bool_says) {
  std::mt19937 random(1);
  for (const std::size_t size : {0u, 1u, 7u, 8u, 63u, 64u, 65u, 1000u}) {
    std::vector<bool> model(size);
    Bitmap set(size), pushed;
    for (std::size_t i = 0; i < size * 3; ++i) {
      const auto at = random() % size;
      model[at] = random() % 2 == 0;
      model[at] ? set.set(at) : set.reset(at);
    }
    for (const bool bit : model) pushed.push_back(bit);
    std::size_t ones = 0;
    BOOST_REQUIRE(pushed.size() == size);
    for (std::size_t i = 0; i < size; ++i) {
      ones += model[i] ? 1 : 0;
      BOOST_TEST(set.test(i) == model[i]);
      BOOST_TEST(pushed.test(i) == model[i]);
      BOOST_TEST(test_bit(set.bytes(), i) == model[i]);  // as Arrow counts bits
    }
    BOOST_TEST(set.count() == ones);
    BOOST_TEST(pushed.count() == ones);
    BOOST_TEST(set.bytes().size() == (size + 7) / 8);
    BOOST_TEST(std::ranges::equal(set.bytes(), pushed.bytes()));
  }
}

BOOST_AUTO_TEST_CASE(unused_bits_are_zero_also_after_a_clear) {
  Bitmap bits;
  for (int i = 0; i < 100; ++i) bits.push_back(true);
  bits.clear();
  BOOST_TEST(bits.size() == 0u);
  BOOST_TEST(bits.bytes().empty());
  for (int i = 0; i < 3; ++i) bits.push_back(true);
  BOOST_TEST((bits.bytes()[0] == std::byte{7}));
}

BOOST_AUTO_TEST_SUITE_END()
