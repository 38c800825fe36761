#include <quiver/schema/field_names.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <string>
#include <string_view>
#include <vector>

using namespace quiver;

namespace {

struct Request {
  FieldNames fields = {};
};

Strings names_of(const FieldNames& fields) { return {fields.begin(), fields.end()}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(field_names)

BOOST_AUTO_TEST_CASE(nothing_given_is_empty_and_not_none) {
  const Request request;
  BOOST_TEST(request.fields.empty());
  BOOST_TEST(!request.fields.is_none());
  BOOST_TEST(!request.fields.contains("a"));
  BOOST_TEST(FieldNames({}).empty());
  BOOST_TEST(FieldNames(Strings{}).empty());
}

BOOST_AUTO_TEST_CASE(none_is_not_empty_and_holds_no_name) {
  const auto none = FieldNames::none();
  BOOST_TEST(!none.empty());
  BOOST_TEST(none.is_none());
  BOOST_TEST(none.size() == 0u);
  BOOST_TEST((none != FieldNames()));
}

BOOST_AUTO_TEST_CASE(braced_texts_are_names_with_one_or_two_pairs_of_braces) {
  const Strings expected{"a", "b"};
  BOOST_TEST(names_of(Request{.fields = {"a", "b"}}.fields) == expected);
  BOOST_TEST(names_of(Request{.fields = {{"a", "b"}}}.fields) == expected);
  BOOST_TEST(names_of(Request{.fields = {"a"}}.fields) == Strings{"a"});
}

BOOST_AUTO_TEST_CASE(ranges_of_texts_are_copied) {
  const Strings expected{"x", "yy"};
  FieldNames from_temporary(std::vector<std::string>{"x", "yy"});
  BOOST_TEST(names_of(from_temporary) == expected);
  const std::vector<std::string_view> views{"x", "yy"};
  const std::array<const char*, 2> pointers{"x", "yy"};
  BOOST_TEST(names_of(FieldNames(views)) == expected);
  BOOST_TEST(names_of(FieldNames(pointers)) == expected);
  BOOST_TEST(FieldNames(views).contains("yy"));
  BOOST_TEST(!FieldNames(views).contains("y"));
}

BOOST_AUTO_TEST_CASE(a_name_is_any_one_text) {
  const std::string text = "abc";
  BOOST_TEST(Name(text).view() == "abc");
  BOOST_TEST(Name(std::string_view("a\0b", 3)).view().size() == 3u);
  const char unterminated[] = {'a', 'b'};
  BOOST_TEST(Name(unterminated).view() == "ab");
  const char roomy[8] = "ab";
  BOOST_TEST(Name(roomy).view() == "ab");
  BOOST_TEST(Name(Name("x")).view() == "x");
}

BOOST_AUTO_TEST_CASE(a_null_pointer_is_not_a_name) {
  const char* nothing = nullptr;
  BOOST_TEST(test::code_of([&] { Name name(nothing); }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()
