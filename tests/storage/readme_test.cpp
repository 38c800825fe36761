#include "storage/readme_policy.hpp"

#include "support/golden.hpp"

#include <boost/test/unit_test.hpp>

BOOST_AUTO_TEST_SUITE(storage_readme)

BOOST_AUTO_TEST_CASE(the_example_in_the_readme_is_the_policy_that_is_tested) {
  const auto text = [](const char* name) {
    const auto bytes = quiver::test::repository_file(name);
    return std::string(quiver::detail::as_text(bytes));
  };
  const auto readme = text("include/quiver/storage/README.md");
  const auto begin = readme.find("```cpp\n");
  BOOST_REQUIRE(begin != std::string::npos);
  const auto end = readme.find("```\n", begin + 7);
  BOOST_REQUIRE(end != std::string::npos);
  BOOST_TEST(readme.substr(begin + 7, end - begin - 7) == text("tests/storage/readme_policy.hpp"));
}

BOOST_AUTO_TEST_SUITE_END()
