// The one main() of every test program.
#define BOOST_TEST_MODULE quiver
#include <boost/test/included/unit_test.hpp>
