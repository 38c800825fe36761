#include <quiver/manifest/codec.hpp>

#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "support/versions.hpp"

using namespace quiver;
using namespace quiver::detail;

// The bytes of released formats never change: a failure here is an incompatible change, not an outdated file.
BOOST_AUTO_TEST_SUITE(golden)

BOOST_AUTO_TEST_CASE(the_golden_manifests_are_read_and_written_byte_for_byte) {
  for (const auto& version : {test::small_version(), test::large_version()}) {
    const auto name = manifest_name(version.number);
    const auto bytes = test::repository_file("tests/golden/" + name);
    BOOST_TEST((encode_version(version) == bytes), name);
    const auto read = decode_version(bytes, "tests/golden/" + name);
    BOOST_TEST((encode_version(read) == bytes), name);
    BOOST_TEST((read.schema == version.schema), name);
    BOOST_TEST((read.segments == version.segments), name);
    BOOST_TEST((read.id_runs == version.id_runs), name);
    BOOST_TEST((read.retained == version.retained), name);
    BOOST_TEST(read.preferred_policy == version.preferred_policy);
    BOOST_TEST(read.documents == version.documents);
  }
}

BOOST_AUTO_TEST_CASE(the_worked_example_of_the_readme_is_the_golden_manifest) {
  const auto bytes = test::worked_example("include/quiver/manifest/README.md");
  BOOST_TEST((bytes == test::repository_file("tests/golden/MANIFEST_00000000000002")));
  const auto version = decode_version(bytes, "MANIFEST_00000000000002");
  BOOST_TEST(version.number == 2u);
  BOOST_REQUIRE(version.schema.find("year") != nullptr);
  BOOST_TEST((version.schema.find("year")->type() == FieldType::int32));
  BOOST_REQUIRE(version.schema.find_vector("v") != nullptr);
  BOOST_TEST(version.schema.find_vector("v")->dimension() == 4u);
  BOOST_TEST((version.schema.find_vector("v")->metric() == Metric::cosine));
  BOOST_REQUIRE(version.segments.size() == 1u);
  BOOST_TEST(version.segments[0].rows() == 3u);
  BOOST_TEST(version.documents == 3u);
}

BOOST_AUTO_TEST_SUITE_END()
