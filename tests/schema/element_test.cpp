#include <quiver/schema/element.hpp>

#include <quiver/schema/bind.hpp>

#include <boost/test/unit_test.hpp>

#include "support/element_rows.hpp"
#include "support/error_code.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

using namespace quiver;
using test::code_of;

namespace {

constexpr float infinite = std::numeric_limits<float>::infinity();

[[nodiscard]] Schema of(Element element, Metric metric = Metric::l2) { return Schema{VectorField("v", 3, metric).element(element)}; }
[[nodiscard]] Errc bind(const Schema& schema, const std::vector<float>& numbers) {
  detail::BoundRow row;
  return code_of([&] { detail::bind_document(schema, Document{"k", {{"v", numbers}}}, row); });
}
[[nodiscard]] std::string message(const auto& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(elements)

BOOST_AUTO_TEST_CASE(a_field_says_what_it_stores_and_says_float32_if_nothing_else) {
  BOOST_TEST((VectorField("v", 3).element() == Element::float32));
  BOOST_TEST((VectorField("v", 3).element(Element::int8).metric(Metric::cosine).element() == Element::int8));
  VectorField field("v", 3);
  BOOST_TEST((field.element(Element::uint8).element() == Element::uint8));
  BOOST_TEST((field != VectorField("v", 3)));
  BOOST_TEST((field == VectorField("v", 3).element(Element::uint8)));
  BOOST_TEST((of(Element::float16) != of(Element::int8)));
  BOOST_TEST((code_of([] { Schema{VectorField("v", 3).element(static_cast<Element>(4))}; }) == Errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(every_number_of_every_kind_comes_back_from_its_bytes) {
  for (const auto element : test::all_elements) {
    std::vector<float> all;
    if (element == Element::int8)
      for (int x = -128; x < 128; ++x) all.push_back(static_cast<float>(x));
    else if (element == Element::uint8)
      for (int x = 0; x < 256; ++x) all.push_back(static_cast<float>(x));
    else
      all = {0, -0.0f, 1, -1, 65504, -65504, 0x1p-24f, -0x1p-14f, 0.333251953125f};
    BOOST_TEST(detail::first_not_fitting(element, all) == all.size());
    Bytes stored(all.size() * detail::element_bytes(element) + 1);
    detail::store_elements(element, all, stored.data() + 1);  // at any address
    BOOST_TEST((detail::load_elements(element, ByteSpan(stored).subspan(1)) == all));
    BOOST_TEST((test::stored_as(element, all) == Bytes(stored.begin() + 1, stored.end())));
  }
}

BOOST_AUTO_TEST_CASE(what_an_element_cannot_hold_is_told_with_its_place) {
  const auto refused = [](Element element, float x) {
    return bind(of(element), {1, 2, x}) == Errc::type_mismatch && bind(of(element), {x, 2, 1}) == Errc::type_mismatch;
  };
  for (const float x : {0.5f, -1.5f, -129.0f, 128.0f, 1e9f, -1e38f, 1e-30f, 3e9f}) BOOST_TEST(refused(Element::int8, x), x);
  for (const float x : {0.5f, -1.0f, -0x1p-149f, 256.0f, 255.5f, 1e20f}) BOOST_TEST(refused(Element::uint8, x), x);
  for (const float x : {65520.0f, -65520.0f, 1e6f, -3e38f}) BOOST_TEST(refused(Element::float16, x), x);
  for (const float x : {-128.0f, 127.0f, -0.0f}) BOOST_TEST((bind(of(Element::int8), {1, x, 3}) == Errc::none));
  for (const float x : {0.0f, 255.0f, -0.0f}) BOOST_TEST((bind(of(Element::uint8), {1, x, 3}) == Errc::none));
  for (const float x : {65519.9f, 1e-30f, 0.1f}) BOOST_TEST((bind(of(Element::float16), {1, x, 3}) == Errc::none));
  for (const auto element : test::all_elements) {
    for (const float x : {infinite, -infinite, std::nanf("")}) BOOST_TEST((bind(of(element), {1, x, 3}) == Errc::invalid_vector));
    BOOST_TEST((bind(of(element), {1, 2}) == Errc::dimension_mismatch));
    BOOST_TEST((bind(of(element), {0, 0, 0}) == Errc::none));
    BOOST_TEST((bind(of(element, Metric::cosine), {0, -0.0f, 0}) == Errc::invalid_vector));
  }
  // What is not zero and is stored as nothing but zeros.
  BOOST_TEST((bind(of(Element::float16, Metric::cosine), {0x1p-25f, 0, -1e-20f}) == Errc::invalid_vector));
  BOOST_TEST((bind(of(Element::float16, Metric::cosine), {0x1p-24f, 0, 0}) == Errc::none));
  BOOST_TEST((bind(of(Element::float16, Metric::l2), {0x1p-25f, 0, -1e-20f}) == Errc::none));
  detail::BoundRow row;
  const auto text = message([&] { detail::bind_document(of(Element::int8), Document{"key 7", {{"v", {1.f, 2.f, 128.5f}}}}, row); });
  for (const std::string part : {"key 7", "\"v\"", "int8", "element 2", "128.5", "-128 to 127"}) BOOST_TEST(text.find(part) != std::string::npos, text);
}

BOOST_AUTO_TEST_CASE(a_bound_row_holds_the_bytes_that_are_stored_and_serves_other_schemas) {
  const Schema both{VectorField("a", 2).element(Element::float16), VectorField("b", 3), VectorField("c", 4).element(Element::int8)};
  detail::BoundRow row;
  const Document document{"k", {{"c", {1.f, -2.f, 3.f, -128.f}}, {"b", {0.1f, 2.f, 3.f}}, {"a", {0.1f, 65519.f}}}};
  for (int round = 0; round < 2; ++round) {
    detail::bind_document(both, document, row);
    BOOST_TEST((detail::load_elements(Element::float16, row.vectors[0]) == std::vector<float>{0.0999755859375f, 65504.f}));
    BOOST_TEST((detail::load_elements(Element::float32, row.vectors[1]) == std::vector<float>{0.1f, 2.f, 3.f}));
    BOOST_TEST((row.vectors[2].size() == 4 && row.vectors[2][3] == std::byte{0x80}));
    detail::bind_document(of(Element::uint8), Document{"k", {{"v", {1.f, 2.f, 255.f}}}}, row);
    BOOST_TEST((row.vectors.size() == 1 && row.vectors[0].size() == 3 && row.vectors[0][2] == std::byte{0xFF}));
  }
}

BOOST_AUTO_TEST_CASE(queries_are_any_floats_where_rows_are_and_bytes_where_rows_are) {
  const auto ask = [](Element element, std::vector<float> query) {
    const VectorField field = VectorField("v", 3).element(element);
    return code_of([&] { detail::check_query(field, query); });
  };
  BOOST_TEST((ask(Element::float16, {0.1f, 1e30f, -3}) == Errc::none));
  BOOST_TEST((ask(Element::int8, {1, -128, 127}) == Errc::none));
  BOOST_TEST((ask(Element::int8, {1, -128, 127.5f}) == Errc::type_mismatch));
  BOOST_TEST((ask(Element::int8, {1, 200, 3}) == Errc::type_mismatch));
  BOOST_TEST((ask(Element::uint8, {1, 200, 3}) == Errc::none));
  BOOST_TEST((ask(Element::uint8, {1, -1, 3}) == Errc::type_mismatch));
  for (const auto element : test::all_elements) {
    BOOST_TEST((ask(element, {1, infinite, 3}) == Errc::invalid_vector));
    BOOST_TEST((ask(element, {1, 2, 3, 4}) == Errc::dimension_mismatch));
  }
}

BOOST_AUTO_TEST_CASE(vectors_are_read_as_every_type_that_holds_their_numbers) {
  const Document document{"k", {{"whole", {1.f, 127.f}}, {"large", {0.f, 255.f}}, {"half", {0.5f, -2.f}}, {"float", {0.1f, 1.f}}, {"none", nullptr}, {"n", 3}}};
  using Halves = std::vector<Half>;
  using Signed = std::vector<std::int8_t>;
  using Unsigned = std::vector<std::uint8_t>;
  BOOST_TEST((document.get<Signed>("whole") == Signed{1, 127}));
  BOOST_TEST((document.get<Unsigned>("whole") == Unsigned{1, 127}));
  BOOST_TEST((document.get<Unsigned>("large") == Unsigned{0, 255}));
  BOOST_TEST((document.get<Halves>("half") == Halves{Half{0x3800}, Half{0xC000}}));
  BOOST_TEST((document.get<std::vector<float>>("float") == std::vector<float>{0.1f, 1.f}));
  BOOST_TEST((document.get<Signed>("none") == std::nullopt));
  const auto refused = [&](auto type, const char* name) {
    return code_of([&] { static_cast<void>(document.get<typename decltype(type)::type>(name)); }) == Errc::type_mismatch;
  };
  BOOST_TEST(refused(std::type_identity<Signed>{}, "large"));
  BOOST_TEST(refused(std::type_identity<Signed>{}, "half"));
  BOOST_TEST(refused(std::type_identity<Unsigned>{}, "half"));
  BOOST_TEST(refused(std::type_identity<Halves>{}, "float"));
  BOOST_TEST(refused(std::type_identity<Halves>{}, "n"));
}

BOOST_AUTO_TEST_SUITE_END()
