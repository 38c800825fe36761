#include <quiver/schema/utf8.hpp>

#include <boost/test/unit_test.hpp>

#include <cstdint>
#include <string>
#include <vector>

using namespace quiver::detail;

namespace {

// An independent oracle: decodes by the definition and refuses what is not the shortest form of a scalar value.
bool decodes(const std::string& text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    std::uint32_t code = lead;
    if (lead >= 0x80) {
      length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
      if (lead < 0xC0 || lead >= 0xF8 || i + length > text.size()) return false;
      code = lead & (0x7Fu >> length);
      for (std::size_t j = 1; j < length; ++j) {
        const auto next = static_cast<unsigned char>(text[i + j]);
        if ((next & 0xC0) != 0x80) return false;
        code = code << 6 | (next & 0x3Fu);
      }
    }
    const std::size_t shortest = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (length != shortest || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out.push_back(static_cast<char>(value));
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(utf8)

BOOST_AUTO_TEST_CASE(every_sequence_of_one_and_two_bytes_is_judged_as_the_definition_says) {
  for (int a = 0; a < 256; ++a) {
    BOOST_REQUIRE_EQUAL(valid_utf8(bytes({a})), decodes(bytes({a})));
    for (int b = 0; b < 256; ++b) BOOST_REQUIRE_EQUAL(valid_utf8(bytes({a, b})), decodes(bytes({a, b})));
  }
}

BOOST_AUTO_TEST_CASE(every_sequence_of_three_and_four_bytes_at_the_edges_is_judged_as_the_definition_says) {
  const std::vector<int> edges{0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
                               0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xF7, 0xF8, 0xFF};
  for (int a = 0xC0; a < 256; ++a)
    for (const int b : edges)
      for (const int c : edges) {
        BOOST_REQUIRE_EQUAL(valid_utf8(bytes({a, b, c})), decodes(bytes({a, b, c})));
        for (const int d : edges) BOOST_REQUIRE_EQUAL(valid_utf8(bytes({a, b, c, d})), decodes(bytes({a, b, c, d})));
      }
}

BOOST_AUTO_TEST_CASE(over_long_forms_surrogates_and_values_beyond_the_last_are_refused) {
  BOOST_TEST(!valid_utf8(bytes({0xC0, 0x80})));
  BOOST_TEST(!valid_utf8(bytes({0xC1, 0xBF})));
  BOOST_TEST(!valid_utf8(bytes({0xE0, 0x9F, 0xBF})));
  BOOST_TEST(!valid_utf8(bytes({0xF0, 0x8F, 0xBF, 0xBF})));
  BOOST_TEST(!valid_utf8(bytes({0xED, 0xA0, 0x80})));
  BOOST_TEST(!valid_utf8(bytes({0xED, 0xBF, 0xBF})));
  BOOST_TEST(!valid_utf8(bytes({0xF4, 0x90, 0x80, 0x80})));
  BOOST_TEST(valid_utf8(bytes({0xF4, 0x8F, 0xBF, 0xBF})));
  BOOST_TEST(valid_utf8(bytes({0xED, 0x9F, 0xBF})));
  BOOST_TEST(valid_utf8(bytes({0xEE, 0x80, 0x80})));
}

BOOST_AUTO_TEST_CASE(a_bad_byte_is_found_at_every_place_of_a_long_text) {
  // Long enough for the words of eight bytes to begin at every phase.
  for (std::size_t size = 0; size < 40; ++size) {
    const std::string good(size, 'a');
    BOOST_REQUIRE(valid_utf8(good));
    for (std::size_t at = 0; at < size; ++at) {
      auto bad = good;
      bad[at] = static_cast<char>(0xFF);
      BOOST_REQUIRE(!valid_utf8(bad));
      auto cut = good.substr(0, at) + "\xE2\x82";
      BOOST_REQUIRE(!valid_utf8(cut));
      BOOST_REQUIRE(valid_utf8(cut + "\xAC" + good));
    }
  }
}

BOOST_AUTO_TEST_CASE(the_empty_text_and_a_text_with_zeros_are_valid) {
  BOOST_TEST(valid_utf8(""));
  BOOST_TEST(valid_utf8(std::string_view("a\0b", 3)));
}

BOOST_AUTO_TEST_CASE(control_characters_of_both_ranges_are_found) {
  BOOST_TEST(has_control_character("a\n"));
  BOOST_TEST(has_control_character(std::string_view("\0", 1)));
  BOOST_TEST(has_control_character("\x7F"));
  BOOST_TEST(has_control_character("\xC2\x80"));
  BOOST_TEST(has_control_character("\xC2\x9F"));
  BOOST_TEST(!has_control_character("\xC2\xA0 \xC3\x80 ~"));
}

BOOST_AUTO_TEST_CASE(a_quoted_text_is_short_printable_and_valid) {
  BOOST_TEST(quote("tt0111161") == "\"tt0111161\"");
  BOOST_TEST(quote("\xC3\xA9t\xC3\xA9") == "\"\xC3\xA9t\xC3\xA9\"");
  BOOST_TEST(quote("a\nb\xFF") == "\"a\\x0ab\\xff\"");
  BOOST_TEST(quote(std::string(64, 'x')).size() == 66u);
  BOOST_TEST(quote(std::string(1000, 'x')).ends_with("\"... (1000 bytes)"));
  // Cut between characters only.
  std::string euros;
  for (int i = 0; i < 100; ++i) euros += "\xE2\x82\xAC";
  BOOST_TEST(valid_utf8(quote(euros)));
}

BOOST_AUTO_TEST_SUITE_END()
