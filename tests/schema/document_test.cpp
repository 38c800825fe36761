#include <quiver/schema/document.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quiver;
using test::code_of;

static_assert(!std::is_convertible_v<const char*, Document>, "a key alone is not a document");
static_assert(std::is_nothrow_move_constructible_v<Document> && std::is_nothrow_move_assignable_v<Document>);

BOOST_AUTO_TEST_SUITE(document)

BOOST_AUTO_TEST_CASE(a_document_of_no_one_two_or_many_fields_holds_what_was_written) {
  const Document none{"k", {}};
  BOOST_TEST(none.key() == "k");
  BOOST_TEST(none.fields().empty());
  const Document bare("k");
  BOOST_TEST((bare == none));
  const Document one{"k", {{"title", "x"}}};
  BOOST_TEST(one.fields().size() == 1u);
  const Document two{"k", {{"a", "b"}, {"c", "d"}}};
  BOOST_TEST_REQUIRE(two.fields().size() == 2u);
  BOOST_TEST(*two.get<std::string>("a") == "b");
  BOOST_TEST(*two.get<std::string>("c") == "d");
  const Document many{
      "tt0111161",
      {{"title", "The Shawshank Redemption"}, {"year", 1994}, {"genres", {"Drama"}}, {"embedding", std::vector<float>(384, 0.1f)}, {"rating", nullptr}}};
  BOOST_TEST(*many.get<std::string>("title") == "The Shawshank Redemption");
  BOOST_TEST(*many.get<std::int32_t>("year") == 1994);
  BOOST_TEST(*many.get<Strings>("genres") == Strings{"Drama"});
  BOOST_TEST(many.get<std::vector<float>>("embedding")->size() == 384u);
  BOOST_TEST(!many.get<double>("rating").has_value());
  BOOST_TEST((many.id() == DocId{0}));
}

BOOST_AUTO_TEST_CASE(get_tells_null_unknown_and_wrong_type_apart) {
  const Document d{"k", {{"title", "x"}, {"year", 1994}, {"rating", nullptr}}};
  BOOST_TEST(!d.get<double>("rating").has_value());
  BOOST_TEST(!d.get<Strings>("rating").has_value());
  BOOST_TEST(code_of([&] { (void)d.get<double>("votes"); }) == Errc::not_found);
  BOOST_TEST(code_of([&] { (void)d.get<int>("title"); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([&] { (void)d.get<std::string>("year"); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([&] { (void)d.get<std::int8_t>("year"); }) == Errc::type_mismatch);
  BOOST_TEST(*d.get<std::uint16_t>("year") == 1994);
  BOOST_TEST(*d.get<double>("year") == 1994.0);
}

BOOST_AUTO_TEST_CASE(errors_name_the_key_and_the_field) {
  const Document d{"tt42", {{"title", "x"}}};
  for (const auto& error : {test::error_of([&] { (void)d.get<int>("title"); }), test::error_of([&] { (void)d.get<int>("absent"); })}) {
    BOOST_TEST_REQUIRE(error.has_value());
    const std::string_view text = error->what();
    BOOST_TEST(text.find("\"tt42\"") != std::string_view::npos);
    BOOST_TEST((text.find("\"title\"") != std::string_view::npos || text.find("\"absent\"") != std::string_view::npos));
  }
}

BOOST_AUTO_TEST_CASE(has_is_true_for_null_and_false_for_unknown) {
  const Document d{"k", {{"a", nullptr}}};
  BOOST_TEST(d.has("a"));
  BOOST_TEST(!d.has("b"));
  BOOST_TEST(!d.has(""));
}

BOOST_AUTO_TEST_CASE(set_adds_replaces_and_understands_lists) {
  Document d("k");
  d.set("year", 1994);
  d.set("year", 1995);
  d.set("title", "x");
  d.set("genres", {"Drama"});
  d.set("vector", {1.f, 2.f});
  d.set("none", {});
  BOOST_TEST(d.fields().size() == 5u);
  BOOST_TEST(*d.get<int>("year") == 1995);
  BOOST_TEST(*d.get<Strings>("genres") == Strings{"Drama"});
  BOOST_TEST(*d.get<std::vector<float>>("vector") == (std::vector<float>{1, 2}));
  BOOST_TEST(d.get<Strings>("none")->empty());
  d.set("year", nullptr);
  BOOST_TEST(d.has("year"));
  BOOST_TEST(!d.get<int>("year").has_value());
}

BOOST_AUTO_TEST_CASE(set_takes_over_a_temporary_vector) {
  std::vector<float> vector(100, 1.f);
  const auto* floats = vector.data();
  Document d("k");
  d.set("v", std::move(vector));
  BOOST_TEST(d.get<std::span<const float>>("v")->data() == floats);
  const Document moved = std::move(d);
  BOOST_TEST(moved.get<std::span<const float>>("v")->data() == floats);
}

BOOST_AUTO_TEST_CASE(views_refer_to_the_document) {
  const Document d{"k", {{"title", "x"}, {"raw", Bytes{std::byte{7}}}, {"null", nullptr}}};
  BOOST_TEST(*d.get<std::string_view>("title") == "x");
  BOOST_TEST((d.get<ByteSpan>("raw")->front() == std::byte{7}));
  BOOST_TEST(!d.get<std::string_view>("null").has_value());
  BOOST_TEST(code_of([&] { (void)d.get<std::string_view>("raw"); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([&] { (void)d.get<ByteSpan>("title"); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([&] { (void)d.get<std::span<const float>>("title"); }) == Errc::type_mismatch);
}

BOOST_AUTO_TEST_CASE(a_field_given_twice_is_refused_among_few_and_among_many) {
  BOOST_TEST(code_of([] { Document{"k", {{"a", 1}, {"a", 1}}}; }) == Errc::invalid_argument);
  BOOST_TEST(code_of([] { Document{"k", {{"a", 1}, {"b", 1}, {"c", 1}, {"a", 1}}}; }) == Errc::invalid_argument);
  // Over the size at which names are sorted instead of compared pairwise.
  BOOST_TEST(code_of([] {
               Document{"k", {{"f0", 0},  {"f1", 0},  {"f2", 0},  {"f3", 0},  {"f4", 0},  {"f5", 0},  {"f6", 0},  {"f7", 0},  {"f8", 0},
                              {"f9", 0},  {"f10", 0}, {"f11", 0}, {"f12", 0}, {"f13", 0}, {"f14", 0}, {"f15", 0}, {"f16", 0}, {"f17", 0},
                              {"f18", 0}, {"f19", 0}, {"f20", 0}, {"f21", 0}, {"f22", 0}, {"f23", 0}, {"f24", 0}, {"f25", 0}, {"f26", 0},
                              {"f27", 0}, {"f28", 0}, {"f29", 0}, {"f30", 0}, {"f31", 0}, {"f32", 0}, {"f7", 0}}};
             }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(many_fields_of_different_names_are_taken) {
  const Document d{"k", {{"f0", 0},  {"f1", 0},  {"f2", 0},  {"f3", 0},  {"f4", 0},  {"f5", 0},  {"f6", 0},  {"f7", 0},  {"f8", 0},  {"f9", 0},  {"f10", 0},
                         {"f11", 0}, {"f12", 0}, {"f13", 0}, {"f14", 0}, {"f15", 0}, {"f16", 0}, {"f17", 0}, {"f18", 0}, {"f19", 0}, {"f20", 0}, {"f21", 0},
                         {"f22", 0}, {"f23", 0}, {"f24", 0}, {"f25", 0}, {"f26", 0}, {"f27", 0}, {"f28", 0}, {"f29", 0}, {"f30", 0}, {"f31", 0}, {"f32", 7}}};
  BOOST_TEST(d.fields().size() == 33u);
  BOOST_TEST(*d.get<int>("f32") == 7);
}

BOOST_AUTO_TEST_CASE(one_initializer_list_serves_two_documents) {
  const std::initializer_list<NamedValue> fields = {{"title", "a title too long for the small buffer"}, {"v", {1.f, 2.f}}};
  const Document first("a", fields);
  const Document second("b", fields);
  BOOST_TEST(*first.get<std::string>("title") == *second.get<std::string>("title"));
  BOOST_TEST(second.get<std::vector<float>>("v")->size() == 2u);
}

BOOST_AUTO_TEST_CASE(the_library_fills_documents_through_its_own_door) {
  Document d;
  detail::DocumentAccess::set_key(d, "k");
  detail::DocumentAccess::set_id(d, DocId{42});
  detail::DocumentAccess::reserve(d, 2);
  detail::DocumentAccess::append(d, "a", Value(1));
  detail::DocumentAccess::append(d, "b", Value());
  BOOST_TEST(d.key() == "k");
  BOOST_TEST((d.id() == DocId{42}));
  BOOST_TEST(*d.get<int>("a") == 1);
  BOOST_TEST(!d.get<int>("b").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
