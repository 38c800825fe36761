#include <quiver/schema/bind.hpp>

#include "support/error_code.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

using namespace quiver;
using detail::bind_document;
using detail::BoundRow;
using test::code_of;
using test::error_of;

namespace {

Errc bind_code(const Schema& schema, const Document& document) {
  return code_of([&] {
    BoundRow row;
    bind_document(schema, document, row);
  });
}

// One scalar field of a type, one document that sets it.
Errc field_code(const Field& field, const Value& value) {
  Document document("k");
  document.set("f", value);
  return bind_code(Schema{field}, document);
}

Errc vector_code(const VectorField& field, std::vector<float> elements) {
  Document document("k");
  document.set("v", std::move(elements));
  return bind_code(Schema{field}, document);
}

constexpr float nan_float = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

}  // namespace

BOOST_AUTO_TEST_SUITE(bind)

BOOST_AUTO_TEST_CASE(a_document_is_resolved_by_the_schemas_order_whatever_its_own) {
  const Schema schema{Field::string("title"), VectorField("v", 2), Field::int32("year").nullable(), VectorField("w", 1), Field::boolean("seen")};
  BoundRow row;
  const Document forward{"k", {{"title", "x"}, {"v", {1.f, 2.f}}, {"year", 1994}, {"w", {3.f}}, {"seen", true}}};
  const Document backward{"k", {{"seen", false}, {"w", {6.f}}, {"v", {4.f, 5.f}}, {"title", "y"}}};
  for (int round = 0; round < 3; ++round) {
    bind_document(schema, forward, row);
    BOOST_TEST_REQUIRE(row.scalars.size() == 3u);
    BOOST_TEST_REQUIRE(row.vectors.size() == 2u);
    BOOST_TEST((*row.scalars[0] == Value("x")));
    BOOST_TEST((*row.scalars[1] == Value(1994)));
    BOOST_TEST((*row.scalars[2] == Value(true)));
    BOOST_TEST(detail::load_elements(Element::float32, row.vectors[0])[1] == 2.f);
    BOOST_TEST(detail::load_elements(Element::float32, row.vectors[1])[0] == 3.f);
    bind_document(schema, backward, row);
    BOOST_TEST((*row.scalars[0] == Value("y")));
    BOOST_TEST(row.scalars[1] == nullptr);
    BOOST_TEST((*row.scalars[2] == Value(false)));
    BOOST_TEST(detail::load_elements(Element::float32, row.vectors[0])[1] == 5.f);
    BOOST_TEST(detail::load_elements(Element::float32, row.vectors[1])[0] == 6.f);
  }
}

BOOST_AUTO_TEST_CASE(a_row_that_served_one_schema_serves_another) {
  BoundRow row;
  bind_document(Schema{Field::string("a"), Field::string("b"), Field::string("c")}, Document{"k", {{"c", "1"}, {"b", "2"}, {"a", "3"}}}, row);
  const Document other{"k", {{"c", "1"}}};
  bind_document(Schema{Field::string("c")}, other, row);
  BOOST_TEST_REQUIRE(row.scalars.size() == 1u);
  BOOST_TEST((*row.scalars[0] == Value("1")));
  const Document none{"k", {}};
  bind_document(Schema{}, none, row);
  BOOST_TEST(row.scalars.empty());
  BOOST_TEST(bind_code(Schema{}, Document{"k", {{"a", 1}}}) == Errc::schema_mismatch);
}

BOOST_AUTO_TEST_CASE(keys_are_1_to_1024_bytes_of_utf8) {
  const auto with_key = [](std::string_view key) {
    const auto checked = code_of([&] { detail::check_key(key); });
    BOOST_TEST(bind_code(Schema{}, Document(key)) == checked);
    return checked;
  };
  BOOST_TEST(with_key("a") == Errc::none);
  BOOST_TEST(with_key(std::string(1024, 'a')) == Errc::none);
  BOOST_TEST(with_key("\xE2\x82\xAC") == Errc::none);
  BOOST_TEST(with_key("with space\n and \x01") == Errc::none);
  BOOST_TEST(with_key(std::string_view("\0", 1)) == Errc::none);
  BOOST_TEST(with_key("") == Errc::invalid_argument);
  BOOST_TEST(with_key(std::string(1025, 'a')) == Errc::invalid_argument);
  BOOST_TEST(with_key("\xFF") == Errc::invalid_argument);
  BOOST_TEST(with_key("\xED\xA0\x80") == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(unknown_missing_and_null_fields_are_schema_mismatches) {
  const Schema schema{Field::string("title"), Field::int32("year").nullable(), VectorField("v", 1)};
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}, {"v", {1.f}}}}) == Errc::none);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}, {"v", {1.f}}, {"year", nullptr}}}) == Errc::none);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}, {"v", {1.f}}, {"Year", 1}}}) == Errc::schema_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}, {"v", {1.f}}, {"_key", "y"}}}) == Errc::schema_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", {1.f}}}}) == Errc::schema_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", nullptr}, {"v", {1.f}}}}) == Errc::schema_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}}}) == Errc::schema_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"title", "x"}, {"v", nullptr}}}) == Errc::schema_mismatch);
}

BOOST_AUTO_TEST_CASE(a_field_that_the_library_appended_twice_is_refused) {
  Document document("k");
  detail::DocumentAccess::append(document, "a", Value(1));
  detail::DocumentAccess::append(document, "a", Value(1));
  BOOST_TEST(bind_code(Schema{Field::int32("a")}, document) == Errc::invalid_argument);
  Document nulls("k");
  detail::DocumentAccess::append(nulls, "a", Value());
  detail::DocumentAccess::append(nulls, "a", Value());
  BOOST_TEST(bind_code(Schema{Field::int32("a").nullable()}, nulls) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(integers_are_taken_where_they_fit_the_field) {
  constexpr auto low = std::numeric_limits<std::int64_t>::min();
  constexpr auto high = std::numeric_limits<std::uint64_t>::max();
  BOOST_TEST(field_code(Field::int32("f"), 2147483647LL) == Errc::none);
  BOOST_TEST(field_code(Field::int32("f"), 2147483648LL) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::int32("f"), -2147483648LL) == Errc::none);
  BOOST_TEST(field_code(Field::int32("f"), -2147483649LL) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::int32("f"), 7u) == Errc::none);
  BOOST_TEST(field_code(Field::int64("f"), low) == Errc::none);
  BOOST_TEST(field_code(Field::int64("f"), high) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::uint32("f"), 4294967295LL) == Errc::none);
  BOOST_TEST(field_code(Field::uint32("f"), 4294967296LL) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::uint32("f"), -1) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::uint64("f"), high) == Errc::none);
  BOOST_TEST(field_code(Field::uint64("f"), -1) == Errc::type_mismatch);
}

BOOST_AUTO_TEST_CASE(integer_fields_take_neither_floats_nor_bools_nor_texts) {
  for (const auto& field : {Field::int32("f"), Field::int64("f"), Field::uint32("f"), Field::uint64("f")}) {
    BOOST_TEST(field_code(field, 1.0) == Errc::type_mismatch);
    BOOST_TEST(field_code(field, 1.0f) == Errc::type_mismatch);
    BOOST_TEST(field_code(field, true) == Errc::type_mismatch);
    BOOST_TEST(field_code(field, "1") == Errc::type_mismatch);
    BOOST_TEST(field_code(field, std::vector<float>{1}) == Errc::type_mismatch);
    BOOST_TEST(field_code(field, nullptr) == Errc::schema_mismatch);
  }
}

BOOST_AUTO_TEST_CASE(float_fields_take_floats_and_integers_that_they_hold_exactly) {
  BOOST_TEST(field_code(Field::float64("f"), 9) == Errc::none);
  BOOST_TEST(field_code(Field::float64("f"), 9.3) == Errc::none);
  BOOST_TEST(field_code(Field::float64("f"), 9.3f) == Errc::none);
  BOOST_TEST(field_code(Field::float64("f"), (std::int64_t{1} << 53) + 1) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::float32("f"), 9.3) == Errc::none);
  BOOST_TEST(field_code(Field::float32("f"), 1e39) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::float32("f"), 16'777'217) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::float32("f"), nan_float) == Errc::none);
  BOOST_TEST(field_code(Field::float64("f"), std::numeric_limits<double>::infinity()) == Errc::none);
  BOOST_TEST(field_code(Field::float64("f"), true) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::float64("f"), "9.3") == Errc::type_mismatch);
}

BOOST_AUTO_TEST_CASE(other_fields_take_their_own_kind_only) {
  const Bytes raw{std::byte{0xFF}};
  BOOST_TEST(field_code(Field::boolean("f"), true) == Errc::none);
  BOOST_TEST(field_code(Field::boolean("f"), 1) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::string("f"), "") == Errc::none);
  BOOST_TEST(field_code(Field::string("f"), Strings{"x"}) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::string("f"), raw) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::string("f"), 1) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::strings("f"), Strings{}) == Errc::none);
  BOOST_TEST(field_code(Field::strings("f"), Strings{"", "x"}) == Errc::none);
  BOOST_TEST(field_code(Field::strings("f"), "x") == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::strings("f"), std::vector<float>{1}) == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::bytes("f"), raw) == Errc::none);
  BOOST_TEST(field_code(Field::bytes("f"), Bytes{}) == Errc::none);
  BOOST_TEST(field_code(Field::bytes("f"), "x") == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::bytes("f"), std::vector<std::uint8_t>{1}) == Errc::type_mismatch);
}

BOOST_AUTO_TEST_CASE(texts_that_are_not_utf8_are_type_mismatches) {
  BOOST_TEST(field_code(Field::string("f"), "a\xFF") == Errc::type_mismatch);
  BOOST_TEST(field_code(Field::string("f"), std::string_view("a\0b", 3)) == Errc::none);
  BOOST_TEST(field_code(Field::strings("f"), Strings{"fine", "\xC0\x80"}) == Errc::type_mismatch);
}

BOOST_AUTO_TEST_CASE(a_vector_has_the_dimension_of_its_field) {
  BOOST_TEST(vector_code(VectorField("v", 3), {1, 2, 3}) == Errc::none);
  BOOST_TEST(vector_code(VectorField("v", 3), {1, 2}) == Errc::dimension_mismatch);
  BOOST_TEST(vector_code(VectorField("v", 3), {1, 2, 3, 4}) == Errc::dimension_mismatch);
  BOOST_TEST(vector_code(VectorField("v", 3), {}) == Errc::dimension_mismatch);
  BOOST_TEST(bind_code(Schema{VectorField("v", 3)}, Document{"k", {{"v", {}}}}) == Errc::dimension_mismatch);
  BOOST_TEST(vector_code(VectorField("v", 65'536), std::vector<float>(65'536, 1.f)) == Errc::none);
}

BOOST_AUTO_TEST_CASE(a_vector_field_takes_vectors_only) {
  const Schema schema{VectorField("v", 2)};
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", "x"}}}) == Errc::type_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", 1}}}) == Errc::type_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", {"a", "b"}}}}) == Errc::type_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", Bytes(2)}}}) == Errc::type_mismatch);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", std::vector<std::int8_t>{1, 2}}}}) == Errc::none);
  BOOST_TEST(bind_code(schema, Document{"k", {{"v", std::vector<Half>(2)}}}) == Errc::none);
}

BOOST_AUTO_TEST_CASE(nan_and_infinity_are_invalid_vectors_under_every_metric) {
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
    for (const float bad : {nan_float, infinity, -infinity})
      for (std::size_t at = 0; at < 37; ++at) {
        std::vector<float> elements(37, 1.f);
        elements[at] = bad;
        BOOST_REQUIRE_EQUAL(vector_code(VectorField("v", 37, metric), elements), Errc::invalid_vector);
      }
  BOOST_TEST(bind_code(Schema{VectorField("v", 1)}, Document{"k", {{"v", std::vector<Half>{Half{0x7C00}}}}}) == Errc::invalid_vector);
}

BOOST_AUTO_TEST_CASE(a_vector_of_zeros_is_invalid_under_cosine_only) {
  for (const auto& zeros : {std::vector<float>(20, 0.f), std::vector<float>(20, -0.f)}) {
    BOOST_TEST(vector_code(VectorField("v", 20, Metric::cosine), zeros) == Errc::invalid_vector);
    BOOST_TEST(vector_code(VectorField("v", 20, Metric::l2), zeros) == Errc::none);
    BOOST_TEST(vector_code(VectorField("v", 20, Metric::inner_product), zeros) == Errc::none);
  }
  std::vector<float> nearly(20, 0.f);
  nearly[19] = 1e-30f;
  BOOST_TEST(vector_code(VectorField("v", 20, Metric::cosine), nearly) == Errc::none);
}

BOOST_AUTO_TEST_CASE(queries_are_checked_like_vectors) {
  const VectorField cosine("v", 2, Metric::cosine);
  const auto query_code = [](const VectorField& field, std::vector<float> query) { return code_of([&] { detail::check_query(field, query); }); };
  BOOST_TEST(query_code(cosine, {1, 2}) == Errc::none);
  BOOST_TEST(query_code(cosine, {1}) == Errc::dimension_mismatch);
  BOOST_TEST(query_code(cosine, {}) == Errc::dimension_mismatch);
  BOOST_TEST(query_code(cosine, {1, nan_float}) == Errc::invalid_vector);
  BOOST_TEST(query_code(cosine, {0, 0}) == Errc::invalid_vector);
  BOOST_TEST(query_code(VectorField("v", 2), {0, 0}) == Errc::none);
}

BOOST_AUTO_TEST_CASE(what_no_block_can_hold_is_refused, *boost::unit_test::enable_if<!test::sanitized>()) {
  BOOST_TEST(detail::value_bytes(Value("four")) == 4u);
  BOOST_TEST(detail::value_bytes(Value(Bytes(3))) == 3u);
  BOOST_TEST(detail::value_bytes(Value(Strings{"", "ab"})) == 4u + 4u + 2u);
  BOOST_TEST(detail::value_bytes(Value(7)) == 0u);
  Document document("k");
  document.set("f", Bytes(detail::max_value_bytes + 1));
  BOOST_TEST(bind_code(Schema{Field::bytes("f")}, document) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(every_error_names_the_key_and_the_field) {
  const Schema schema{Field::int32("year"), Field::string("title").nullable(), VectorField("v", 2, Metric::cosine)};
  const std::vector<std::pair<Document, std::string>> wrong{
      {Document{"tt7", {{"year", "x"}, {"v", {1, 2}}}}, "\"year\""},
      {Document{"tt7", {{"year", nullptr}, {"v", {1, 2}}}}, "\"year\""},
      {Document{"tt7", {{"v", {1, 2}}}}, "\"year\""},
      {Document{"tt7", {{"year", 1}}}, "\"v\""},
      {Document{"tt7", {{"year", 1}, {"v", {1}}}}, "\"v\""},
      {Document{"tt7", {{"year", 1}, {"v", {0, 0}}}}, "\"v\""},
      {Document{"tt7", {{"year", 1}, {"v", {1.f, nan_float}}}}, "element 1"},
      {Document{"tt7", {{"year", 1}, {"v", "x"}}}, "\"v\""},
      {Document{"tt7", {{"title", "\xFF"}}}, "\"title\""},
      {Document{"tt7", {{"colour", 1}}}, "\"colour\""},
  };
  for (const auto& [document, name] : wrong) {
    const auto error = error_of([&] {
      BoundRow row;
      bind_document(schema, document, row);
    });
    BOOST_TEST_REQUIRE(error.has_value());
    const std::string text = error->what();
    BOOST_TEST(text.find("\"tt7\"") != std::string::npos, text);
    BOOST_TEST(text.find(name) != std::string::npos, text);
  }
}

BOOST_AUTO_TEST_CASE(after_an_error_the_row_binds_the_next_document) {
  const Schema schema{Field::int32("a"), VectorField("v", 1)};
  BoundRow row;
  const Document good{"k", {{"a", 1}, {"v", {2.f}}}};
  BOOST_TEST(code_of([&] { bind_document(schema, Document{"k", {{"v", {1.f}}, {"a", "x"}}}, row); }) == Errc::type_mismatch);
  bind_document(schema, good, row);
  BOOST_TEST((*row.scalars[0] == Value(1)));
  BOOST_TEST(detail::load_elements(Element::float32, row.vectors[0])[0] == 2.f);
}

BOOST_AUTO_TEST_SUITE_END()
