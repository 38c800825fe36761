#include <quiver/columns/materialize.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace quiver;
using namespace quiver::detail;

BOOST_AUTO_TEST_SUITE(columns_materialize)

BOOST_AUTO_TEST_CASE(a_cell_becomes_a_value_of_its_field) {
  Document document{"key"};
  {
    // What the cells view is gone when the document is looked at.
    const std::string text(100, 'x');
    const std::vector<std::string_view> list{std::string_view(text).substr(0, 2), ""};
    append_cell(document, Field::boolean("boolean"), true);
    append_cell(document, Field::int32("int32"), std::int64_t{-5});
    append_cell(document, Field::uint64("uint64"), std::numeric_limits<std::uint64_t>::max());
    append_cell(document, Field::float32("float32"), 1.5f);
    append_cell(document, Field::float64("float64"), 0.1);
    append_cell(document, Field::string("string"), std::string_view(text));
    append_cell(document, Field::strings("strings"), list);
    append_cell(document, Field::strings("empty"), std::vector<std::string_view>());
    append_cell(document, Field::bytes("bytes"), std::string_view(text).substr(0, 3));
    append_cell(document, Field::int32("null").nullable(), std::monostate());
  }
  BOOST_TEST((document.get<bool>("boolean") == true));
  BOOST_TEST((document.get<std::int32_t>("int32") == -5));
  BOOST_TEST((document.get<std::uint64_t>("uint64") == std::numeric_limits<std::uint64_t>::max()));
  BOOST_TEST((document.get<float>("float32") == 1.5f));
  BOOST_TEST((document.get<double>("float64") == 0.1));
  BOOST_TEST((document.get<std::string>("string") == std::string(100, 'x')));
  BOOST_TEST((document.get<Strings>("strings") == Strings{"xx", ""}));
  BOOST_TEST((document.get<Strings>("empty") == Strings{}));
  BOOST_TEST((document.get<Bytes>("bytes") == Bytes(3, std::byte{'x'})));
  BOOST_TEST(document.has("null"));
  BOOST_TEST(!document.get<std::int32_t>("null"));
}

BOOST_AUTO_TEST_SUITE_END()
