#include <quiver/formats/json_document.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;
using namespace std::string_literals;

namespace {

const std::filesystem::path path = "x.json";

/// Reads any value; gives it back without blanks.
void copy(detail::JsonReader& json, std::string& to) {
  char before = 0;
  const auto comma = [&] {
    if (std::exchange(before, ',') != 0) to += ',';
  };
  switch (json.peek()) {
    case detail::JsonKind::null:
      json.null();
      to += "null";
      break;
    case detail::JsonKind::boolean:
      to += json.boolean() ? "true" : "false";
      break;
    case detail::JsonKind::number:
      to += json.number();
      break;
    case detail::JsonKind::string:
      detail::append_json_string(to, json.string());
      break;
    case detail::JsonKind::array:
      to += '[';
      json.array([&] {
        comma();
        copy(json, to);
      });
      to += ']';
      break;
    case detail::JsonKind::object:
      to += '{';
      json.object([&](std::string_view key) {
        comma();
        detail::append_json_string(to, key);
        to += ':';
        copy(json, to);
      });
      to += '}';
      break;
  }
}

std::string copy(const std::string& text) {
  detail::JsonReader json(text, path, 1000, 7);
  std::string out;
  copy(json, out);
  json.end();
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json)

BOOST_AUTO_TEST_CASE(what_is_json_is_read) {
  for (const std::string text : {"null", "true", "false", "0", "-0", "-1.5e+10", "1E5", "0.0", "\"\"", "[]", "{}", "[1,[2,[3]],{}]", R"({"a":1,"a":{"b":[]}})",
                                 "\"\xC3\xA9\xF0\x9F\x8E\xAC\x7F\""})
    BOOST_TEST(copy(text) == text);
  BOOST_TEST(copy(" \t\r\n[ 1 , { \"a\" : 2 } ] \n") == R"([1,{"a":2}])");
  BOOST_TEST(copy(R"("\uD7FF\uE000\uffFF")") == "\"\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\"");  // around the surrogates, and the last of four digits
  BOOST_TEST(copy(R"("\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83c\uDFAC\u0000")") ==
             "\"\\\"\\\\/\\u0008\\u000c\\n\\r\\tA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8E\xAC\\u0000\"");
}

BOOST_AUTO_TEST_CASE(what_is_not_json_is_corruption_at_its_offset) {
  const std::vector<std::pair<std::string, std::uint64_t>> wrong{{"", 0},
                                                                 {" ", 1},
                                                                 {"nul", 0},
                                                                 {"nulll", 4},
                                                                 {"True", 0},
                                                                 {"01", 1},
                                                                 {"-", 1},
                                                                 {"+1", 0},
                                                                 {".5", 0},
                                                                 {"1.", 2},
                                                                 {"1e", 2},
                                                                 {"1e+", 3},
                                                                 {"0x1", 1},
                                                                 {"NaN", 0},
                                                                 {"Infinity", 0},
                                                                 {"'a'", 0},
                                                                 {"[", 1},
                                                                 {"[1", 2},
                                                                 {"[1,", 3},
                                                                 {"[1,]", 3},
                                                                 {"[,1]", 1},
                                                                 {"[1 2]", 3},
                                                                 {"[1}", 2},
                                                                 {"]", 0},
                                                                 {"{", 1},
                                                                 {"{\"a\"", 4},
                                                                 {"{\"a\":", 5},
                                                                 {"{\"a\":1", 6},
                                                                 {"{\"a\":1,}", 7},
                                                                 {"{a:1}", 1},
                                                                 {"{\"a\" 1}", 5},
                                                                 {"{1:1}", 1},
                                                                 {"{\"a\":1]", 6},
                                                                 {"\"", 1},
                                                                 {"\"a", 2},
                                                                 {"\"\n\"", 1},
                                                                 {"\"\\x\"", 2},
                                                                 {"\"\\u12\"", 5},
                                                                 {"\"\\ud800\"", 7},
                                                                 {"\"\\udc00\"", 7},
                                                                 {"\"\\ud800\\u0041\"", 13},
                                                                 {"\"\\u12", 5},
                                                                 {"\"\\u00g0\"", 5},
                                                                 {"\"\\u00G0\"", 5},
                                                                 {"\"\\u00/0\"", 5},
                                                                 {"\"\\ud800\\ue000\"", 13},
                                                                 {"\"\\ud800\\ud800\"", 13},
                                                                 {"\"\\", 2},
                                                                 {"\"\xFF\"", 1},
                                                                 {"\"\xC3\"", 1},
                                                                 {"\"\xED\xA0\x80\"", 1},
                                                                 {"\"\xC0\x80\"", 1},
                                                                 {"1 2", 2},
                                                                 {"{} x", 3},
                                                                 {"\xEF\xBB\xBF{}", 0},
                                                                 {"/**/1", 0},
                                                                 {"\"a\0b\""s, 2},
                                                                 {"1\0"s, 1}};
  for (const auto& [text, offset] : wrong) {
    BOOST_TEST_CONTEXT(text) {
      const auto error = error_of([&text = text] { (void)copy(text); });
      BOOST_TEST_REQUIRE(error.has_value());
      BOOST_TEST(error->code() == Errc::corruption);
      BOOST_TEST(error->path() == path);
      BOOST_TEST(error->offset().value() == 1000 + offset);
      BOOST_TEST(std::string(error->what()).find("line 7") != std::string::npos);
    }
  }
}

BOOST_AUTO_TEST_CASE(depth_is_bounded) {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  BOOST_TEST(copy(nested(64)) == nested(64));
  BOOST_TEST(code_of([&] { (void)copy(nested(65)); }) == Errc::corruption);
  BOOST_TEST(code_of([&] { (void)copy(std::string(1'000'000, '[')); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(integers_are_whole_and_in_range) {
  const auto integer = [](const std::string& text, auto type) {
    detail::JsonReader json(text, path);
    return json.integer<decltype(type)>();
  };
  BOOST_TEST(integer("18446744073709551615", std::uint64_t{}) == ~std::uint64_t{0});
  BOOST_TEST(integer("-9223372036854775808", std::int64_t{}) == std::numeric_limits<std::int64_t>::min());
  for (const std::string text : {"18446744073709551616", "-1", "1.0", "1e2", "\"1\"", "99999999999999999999999999"})
    BOOST_TEST(code_of([&] { (void)integer(text, std::uint64_t{}); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(a_text_that_is_not_utf8_is_not_written) {
  std::string out;
  BOOST_TEST(code_of([&] { detail::append_json_string(out, "a\xFF"); }) == Errc::corruption);
}

BOOST_AUTO_TEST_CASE(a_document_without_a_field_of_the_schema_is_not_written) {
  const Schema schema{Field::int32("a").nullable(), Field::string("b").nullable()};
  const auto line = [&](const Document& document) {
    std::string out;
    detail::append_json_document(out, schema, document);
    return out;
  };
  BOOST_TEST(line(Document{"k", {{"a", 1}, {"b", nullptr}}}) == R"({"_key":"k","a":1,"b":null})");
  for (const auto& document : {Document("k"), Document{"k", {{"a", 1}}}, Document{"k", {{"b", "x"}}}, Document{"k", {{"b", "x"}, {"a", 1}}}}) {
    const auto error = error_of([&] { (void)line(document); });
    BOOST_TEST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::invalid_argument);
    BOOST_TEST(std::string(error->what()).find(document.fields().size() == 1 && document.has("a") ? "\"b\"" : "\"a\"") != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE(base64_has_one_spelling) {
  const std::vector<std::pair<std::string, std::string>> pairs{{"", ""},        {"f", "Zg=="},        {"fo", "Zm8="},
                                                               {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"\xFB\xFF\xFE", "+//+"}};
  Bytes bytes;
  for (const auto& [plain, coded] : pairs) {
    std::string out;
    detail::append_base64(out, detail::as_bytes(plain));
    BOOST_TEST(out == coded);
    BOOST_TEST(detail::parse_base64(coded, bytes));
    BOOST_TEST(detail::as_text(bytes) == plain);
  }
  for (const std::string wrong :
       {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "=", "====", "Z===", "Zg==Zg==", "Zm 9", "Zm9v\n", "Zm-_", "Zm{v", "Zm[v", "Zm:v", "Zm@v", "Zm`v", "=Zg="})
    BOOST_TEST(!detail::parse_base64(wrong, bytes), wrong);
}

BOOST_AUTO_TEST_CASE(hexadecimal_digits_come_highest_first_in_lower_case) {
  std::string out;
  detail::append_hex(out, std::uint32_t{0x7FC000A1});
  BOOST_TEST(out == "7fc000a1");
  std::uint32_t bits = 5;
  BOOST_TEST(detail::parse_hex("7fc000a1", bits));
  BOOST_TEST(bits == 0x7FC000A1u);
  for (const std::string wrong : {"", "7fc000a", "7fc000a10", "7FC000A1", "7fc000ag", " 7fc000a"}) BOOST_TEST(!detail::parse_hex(wrong, bits));
  BOOST_TEST(bits == 0x7FC000A1u);
}

BOOST_AUTO_TEST_SUITE_END()
