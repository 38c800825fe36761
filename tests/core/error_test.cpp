#include <quiver/core/error.hpp>

#include <boost/test/unit_test.hpp>

#include <set>

using namespace quiver;

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(the_message_begins_with_code_file_and_offset) {
  const Error bare(Errc::closed, "the collection was closed");
  BOOST_TEST(bare.what() == "closed: the collection was closed");
  BOOST_TEST(bare.path().empty());
  BOOST_TEST(!bare.offset());
  const Error full(Errc::corruption, "a checksum differs", "store/seg-000001/blk-000002.scalar", 4096);
  BOOST_TEST(full.what() == "corruption: store/seg-000001/blk-000002.scalar at offset 4096: a checksum differs");
  BOOST_TEST((full.code() == Errc::corruption));
  BOOST_TEST(full.offset().value() == 4096u);
}

BOOST_AUTO_TEST_CASE(every_code_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (int code = 0; code <= static_cast<int>(Errc::cancelled); ++code) names.insert(to_string(static_cast<Errc>(code)));
  BOOST_TEST(names.size() == static_cast<std::size_t>(Errc::cancelled) + 1);
  BOOST_TEST(names.contains("dimension_mismatch"));
  BOOST_TEST(!names.contains("unknown"));
  BOOST_TEST(to_string(static_cast<Errc>(1000)) == "unknown");
}

BOOST_AUTO_TEST_SUITE_END()
