#include <quiver/manifest/version.hpp>

#include <boost/test/unit_test.hpp>

using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(version)

BOOST_AUTO_TEST_CASE(a_version_that_continues_is_listed_as_the_last_before_it_that_does_not) {
  Version version;
  version.number = 7;
  version.retained = {{2, 0, 0, false}, {4, 0, 0, false}, {5, 0, 0, true}, {6, 0, 0, true}};
  BOOST_TEST(listed_number(version) == 7u);
  version.continues = true;
  BOOST_TEST(listed_number(version) == 4u);
  version.retained.erase(version.retained.begin() + 1);
  BOOST_TEST(listed_number(version) == 2u);
  // No such version is ever read; it is still a number.
  version.retained.erase(version.retained.begin());
  BOOST_TEST(listed_number(version) == 7u);
}

BOOST_AUTO_TEST_SUITE_END()
