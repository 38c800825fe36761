#include <quiver/schema/schema.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace quiver;
using test::code_of;
using test::error_of;

namespace {

Errc with_name(std::string_view name) {
  const auto scalar = code_of([&] { Schema{Field::int32(name)}; });
  const auto vector = code_of([&] { Schema{VectorField(name, 3)}; });
  BOOST_TEST(scalar == vector);
  return scalar;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(schema)

BOOST_AUTO_TEST_CASE(fields_keep_their_order_types_and_marks) {
  const Schema s{Field::string("title"),
                 Field::int32("year").indexed(),
                 Field::strings("genres").indexed().nullable(),
                 VectorField("embedding", 384).metric(Metric::cosine),
                 Field::float64("rating").nullable(),
                 VectorField("other", 1)};
  BOOST_TEST_REQUIRE(s.fields().size() == 4u);
  BOOST_TEST_REQUIRE(s.vectors().size() == 2u);
  BOOST_TEST(s.fields()[0].name() == "title");
  BOOST_TEST((s.fields()[0] == Field("title", FieldType::string, false, false)));
  BOOST_TEST((s.fields()[1] == Field("year", FieldType::int32, false, true)));
  BOOST_TEST((s.fields()[2] == Field("genres", FieldType::strings, true, true)));
  BOOST_TEST((s.fields()[3] == Field("rating", FieldType::float64, true, false)));
  BOOST_TEST((s.vectors()[0] == VectorField("embedding", 384, Metric::cosine)));
  BOOST_TEST((s.vectors()[1].metric() == Metric::l2));
}

BOOST_AUTO_TEST_CASE(each_factory_gives_its_type) {
  const std::pair<Field, FieldType> all[] = {{Field::boolean("f"), FieldType::boolean}, {Field::int32("f"), FieldType::int32},
                                             {Field::int64("f"), FieldType::int64},     {Field::uint32("f"), FieldType::uint32},
                                             {Field::uint64("f"), FieldType::uint64},   {Field::float32("f"), FieldType::float32},
                                             {Field::float64("f"), FieldType::float64}, {Field::string("f"), FieldType::string},
                                             {Field::strings("f"), FieldType::strings}, {Field::bytes("f"), FieldType::bytes}};
  for (const auto& [field, type] : all) {
    BOOST_TEST((field.type() == type));
    BOOST_TEST(!field.is_nullable());
    BOOST_TEST(!field.is_indexed());
  }
  BOOST_TEST(to_string(FieldType::bytes) == "bytes");
  BOOST_TEST(to_string(FieldType::boolean) == "boolean");
  BOOST_TEST(to_string(static_cast<FieldType>(99)) == "unknown");
  BOOST_TEST(to_string(Metric::inner_product) == "inner_product");
  BOOST_TEST(to_string(static_cast<Metric>(3)) == "unknown");
  BOOST_TEST(to_string(Element::float32) == "float32");
  BOOST_TEST(to_string(Element::uint8) == "uint8");
  BOOST_TEST(to_string(static_cast<Element>(4)) == "unknown");
}

BOOST_AUTO_TEST_CASE(marks_on_a_variable_change_it_and_marks_on_a_temporary_return_a_new_one) {
  auto f = Field::string("a");
  f.indexed().nullable();
  BOOST_TEST(f.is_indexed());
  BOOST_TEST(f.is_nullable());
  auto v = VectorField("v", 2);
  v.metric(Metric::inner_product);
  BOOST_TEST((v.metric() == Metric::inner_product));
  const auto g = Field::string("a").nullable().indexed();
  BOOST_TEST((f == g));
}

BOOST_AUTO_TEST_CASE(fields_are_found_by_name_and_by_kind) {
  std::vector<Field> fields;
  for (int i = 0; i < 100; ++i) fields.push_back(Field::int32("f" + std::to_string(i)));
  const Schema s(fields, {VectorField("v", 3), VectorField("a", 4)});
  for (std::size_t i = 0; i < 100; ++i) {
    BOOST_TEST(s.find("f" + std::to_string(i)) == &s.fields()[i]);
    BOOST_TEST(s.position("f" + std::to_string(i)) == i);
    BOOST_TEST(s.find_vector("f" + std::to_string(i)) == nullptr);
  }
  BOOST_TEST(s.find_vector("v") == &s.vectors()[0]);
  BOOST_TEST(s.find_vector("a") == &s.vectors()[1]);
  BOOST_TEST(s.position("a") == 101u);
  BOOST_TEST(s.name_at(101) == "a");
  BOOST_TEST(s.find("a") == nullptr);
  BOOST_TEST(s.find("") == nullptr);
  BOOST_TEST(s.find_vector("zzz") == nullptr);
  BOOST_TEST(s.position("zzz") == Schema::npos);
}

BOOST_AUTO_TEST_CASE(a_copy_finds_its_own_fields_and_is_equal) {
  auto original = std::make_unique<Schema>(Schema{Field::string("a"), VectorField("v", 3)});
  const Schema copy = *original;
  BOOST_TEST((copy == *original));
  const Schema moved = std::move(*original);
  original.reset();
  BOOST_TEST(copy.find("a") == &copy.fields()[0]);
  BOOST_TEST(copy.find_vector("v") == &copy.vectors()[0]);
  BOOST_TEST((moved == copy));
}

BOOST_AUTO_TEST_CASE(schemas_differ_by_order_mark_dimension_and_metric) {
  const Schema s{Field::string("a"), Field::string("b"), VectorField("v", 3)};
  BOOST_TEST((s != Schema{Field::string("b"), Field::string("a"), VectorField("v", 3)}));
  BOOST_TEST((s != Schema{Field::string("a"), Field::string("b").nullable(), VectorField("v", 3)}));
  BOOST_TEST((s != Schema{Field::string("a"), Field::string("b"), VectorField("v", 4)}));
  BOOST_TEST((s != Schema{Field::string("a"), Field::string("b"), VectorField("v", 3).metric(Metric::cosine)}));
  BOOST_TEST((s == Schema{VectorField("v", 3), Field::string("a"), Field::string("b")}));
}

BOOST_AUTO_TEST_CASE(a_schema_may_be_empty) {
  BOOST_TEST(Schema{}.fields().empty());
  BOOST_TEST((Schema{} == Schema(std::vector<Field>{}, {})));
  BOOST_TEST(Schema{}.find("a") == nullptr);
}

BOOST_AUTO_TEST_CASE(names_have_1_to_255_bytes_of_utf8_without_control_characters) {
  BOOST_TEST(with_name("a") == Errc::none);
  BOOST_TEST(with_name(std::string(255, 'a')) == Errc::none);
  BOOST_TEST(with_name("gr\xC3\xB6\xC3\x9F"
                       "e") == Errc::none);
  BOOST_TEST(with_name("two words, 'quotes'") == Errc::none);
  BOOST_TEST(with_name("") == Errc::invalid_argument);
  BOOST_TEST(with_name(std::string(256, 'a')) == Errc::invalid_argument);
  BOOST_TEST(with_name("a\xFF") == Errc::invalid_argument);
  BOOST_TEST(with_name("a\n") == Errc::invalid_argument);
  BOOST_TEST(with_name(std::string_view("a\0b", 3)) == Errc::invalid_argument);
  BOOST_TEST(with_name("\xC2\x85") == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(reserved_names_are_refused_and_their_likes_are_not) {
  BOOST_TEST(with_name("_key") == Errc::invalid_argument);
  BOOST_TEST(with_name("_doc_id") == Errc::invalid_argument);
  BOOST_TEST(with_name("_id") == Errc::none);
  BOOST_TEST(with_name("key") == Errc::none);
  BOOST_TEST(with_name("_KEY") == Errc::none);
}

BOOST_AUTO_TEST_CASE(a_name_used_twice_is_refused_within_and_across_the_kinds_and_the_message_says_which) {
  BOOST_TEST(code_of([] { Schema{Field::string("a"), Field::int32("b"), Field::string("a")}; }) == Errc::invalid_argument);
  BOOST_TEST(code_of([] { Schema{VectorField("a", 1), VectorField("a", 2)}; }) == Errc::invalid_argument);
  const auto error = error_of([] { Schema{Field::string("twin"), VectorField("twin", 2)}; });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(error->code() == Errc::invalid_argument);
  BOOST_TEST(std::string_view(error->what()).find("\"twin\"") != std::string_view::npos);
}

BOOST_AUTO_TEST_CASE(dimensions_are_1_to_65536) {
  const auto with_dimension = [](std::size_t dimension) { return code_of([&] { Schema{VectorField("v", dimension)}; }); };
  BOOST_TEST(with_dimension(0) == Errc::invalid_argument);
  BOOST_TEST(with_dimension(1) == Errc::none);
  BOOST_TEST(with_dimension(65'536) == Errc::none);
  BOOST_TEST(with_dimension(65'537) == Errc::invalid_argument);
  BOOST_TEST(with_dimension(static_cast<std::size_t>(-1)) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(there_are_at_most_65535_fields_of_both_kinds_together) {
  std::vector<Field> fields;
  for (int i = 0; i < 65'534; ++i) fields.push_back(Field::int32(std::to_string(i)));
  BOOST_TEST(code_of([&] { Schema(fields, {VectorField("v", 3)}); }) == Errc::none);
  BOOST_TEST(code_of([&] { Schema(fields, {VectorField("v", 3), VectorField("w", 3)}); }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(numbers_that_are_no_type_or_metric_are_refused) {
  BOOST_TEST(code_of([] { Schema({Field("a", static_cast<FieldType>(10), false, false)}, {}); }) == Errc::invalid_argument);
  BOOST_TEST(code_of([] { Schema(std::vector<Field>{}, {VectorField("v", 3, static_cast<Metric>(3))}); }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_SUITE_END()
