#include <quiver/schema/value.hpp>

#include <quiver/schema/named_value.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <limits>
#include <list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

using namespace quiver;
using test::code_of;

namespace {

enum class Colour { red };
struct Opaque {};

// What a value is made from, and what it is not made from.
template <class... T>
inline constexpr bool all_values = (std::convertible_to<const T&, Value> && ...);
template <class... T>
inline constexpr bool no_values = (!std::convertible_to<const T&, Value> && ...);

static_assert(all_values<bool, signed char, unsigned char, short, unsigned short, int, unsigned, long, unsigned long, long long, unsigned long long, float,
                         double, long double>);
static_assert(all_values<std::string, std::string_view, const char*, char[4], Name, std::nullptr_t, std::nullopt_t>);
static_assert(all_values<Strings, std::vector<std::string_view>, std::list<std::string>, std::set<std::string>, std::array<const char*, 2>,
                         std::span<const std::string>>);
static_assert(all_values<Bytes, ByteSpan, std::array<std::byte, 2>, std::byte[3]>);
static_assert(all_values<std::vector<float>, std::span<float>, std::span<const float>, std::array<float, 3>, float[3], std::vector<Half>,
                         std::vector<std::int8_t>, std::vector<std::uint8_t>>);
static_assert(all_values<std::optional<int>, std::optional<std::string>, std::optional<std::vector<float>>, std::optional<std::optional<int>>>);
static_assert(no_values<char, wchar_t, char8_t, char16_t, char32_t, Colour, Opaque, int*, void*, std::byte, Half>);
static_assert(no_values<std::vector<double>, std::vector<int>, std::vector<char>, std::vector<bool>, std::vector<std::vector<float>>,
                        std::vector<std::optional<float>>, std::list<float>>);
static_assert(no_values<std::optional<char>, std::optional<Opaque>, std::pair<int, int>, std::filesystem::path>);
static_assert(std::is_nothrow_move_constructible_v<Value> && std::is_nothrow_move_assignable_v<Value> && std::is_nothrow_move_constructible_v<NamedValue>);

template <class T>
const T* held(const Value& value) {
  return std::get_if<T>(&value.storage());
}

template <class T>
std::optional<T> read(const Value& value) {
  T out{};
  return detail::convert(value, out) ? std::optional(out) : std::nullopt;
}

template <class T>
constexpr T highest = std::numeric_limits<T>::max();
template <class T>
constexpr T lowest = std::numeric_limits<T>::lowest();

}  // namespace

BOOST_AUTO_TEST_SUITE(value)

BOOST_AUTO_TEST_CASE(numbers_keep_their_kind) {
  BOOST_TEST(*held<std::int64_t>(Value(-3)) == -3);
  BOOST_TEST(*held<std::int64_t>(Value(std::int8_t{-3})) == -3);
  BOOST_TEST(*held<std::int64_t>(Value(lowest<std::int64_t>)) == lowest<std::int64_t>);
  BOOST_TEST(*held<std::uint64_t>(Value(3u)) == 3u);
  BOOST_TEST(*held<std::uint64_t>(Value(highest<std::uint64_t>)) == highest<std::uint64_t>);
  BOOST_TEST(*held<float>(Value(0.5f)) == 0.5f);
  BOOST_TEST(*held<double>(Value(0.5)) == 0.5);
  BOOST_TEST(*held<bool>(Value(true)));
  BOOST_TEST(*held<bool>(Value(std::vector<bool>{true}[0] == true)));
}

BOOST_AUTO_TEST_CASE(a_text_is_a_string_and_not_a_list_or_a_bool) {
  BOOST_TEST(*held<std::string>(Value{"x"}) == "x");
  BOOST_TEST(*held<std::string>(Value(std::string_view("a\0b", 3))) == std::string("a\0b", 3));
  const char* text = "pointer";
  BOOST_TEST(*held<std::string>(Value(text)) == "pointer");
  BOOST_TEST(*held<std::string>(Value(std::string(100, 'x'))) == std::string(100, 'x'));
}

BOOST_AUTO_TEST_CASE(a_null_pointer_to_text_is_refused_and_nullptr_is_null) {
  const char* nothing = nullptr;
  BOOST_TEST(code_of([&] { Value value(nothing); }) == Errc::invalid_argument);
  BOOST_TEST(Value(nullptr).is_null());
  BOOST_TEST(Value(std::nullopt).is_null());
  BOOST_TEST(Value().is_null());
}

BOOST_AUTO_TEST_CASE(an_optional_is_its_content_or_null) {
  BOOST_TEST(Value(std::optional<int>()).is_null());
  BOOST_TEST((Value(std::optional<int>(7)) == Value(7)));
  BOOST_TEST((Value(std::optional<std::string>("x")) == Value("x")));
  BOOST_TEST(Value(std::optional<std::optional<int>>(std::optional<int>())).is_null());
}

BOOST_AUTO_TEST_CASE(ranges_become_lists_bytes_and_vectors) {
  BOOST_TEST(*held<Strings>(Value(std::set<std::string>{"b", "a"})) == (Strings{"a", "b"}));
  BOOST_TEST((*held<Bytes>(Value(std::array{std::byte{1}, std::byte{2}})) == Bytes{std::byte{1}, std::byte{2}}));
  const float c_array[] = {1, 2};
  BOOST_TEST(*held<std::vector<float>>(Value(c_array)) == (std::vector<float>{1, 2}));
  BOOST_TEST(*held<std::vector<float>>(Value(std::vector<std::uint8_t>{255})) == (std::vector<float>{255}));
}

BOOST_AUTO_TEST_CASE(a_temporary_vector_text_list_and_bytes_are_taken_over_without_a_copy) {
  std::vector<float> vector(1000, 1.f);
  const auto* floats = vector.data();
  Value value(std::move(vector));
  BOOST_TEST(held<std::vector<float>>(value)->data() == floats);
  std::string text(1000, 'x');
  const auto* characters = text.data();
  value = std::move(text);
  BOOST_TEST(held<std::string>(value)->data() == characters);
  Strings list(10);
  const auto* texts = list.data();
  value = std::move(list);
  BOOST_TEST(held<Strings>(value)->data() == texts);
  std::vector<float> kept(3, 1.f);
  value = Value(kept);
  BOOST_TEST(kept.size() == 3u);
}

BOOST_AUTO_TEST_CASE(a_braced_list_of_texts_is_a_list_and_one_of_numbers_a_vector) {
  const std::string a = "x";
  BOOST_TEST((NamedValue("f", {"Drama"}).value() == Value(Strings{"Drama"})));
  BOOST_TEST((NamedValue("f", {"Drama", "Crime"}).value() == Value(Strings{"Drama", "Crime"})));
  BOOST_TEST((NamedValue("f", {a, std::string_view("y"), "z"}).value() == Value(Strings{"x", "y", "z"})));
  BOOST_TEST((NamedValue("f", {0.5f, 2, 3u, 0.25}).value() == Value(std::vector<float>{0.5f, 2, 3, 0.25f})));
  BOOST_TEST((NamedValue("f", {}).value() == Value(Strings{})));
  BOOST_TEST((NamedValue("f", "Drama").value() == Value("Drama")));
}

BOOST_AUTO_TEST_CASE(a_braced_list_that_mixes_is_refused_and_the_message_names_the_field) {
  BOOST_TEST(code_of([] { NamedValue("f", {"a", 1}); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([] { NamedValue("f", {1, "a"}); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([] { NamedValue("f", {nullptr}); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([] { NamedValue("f", {true, false}); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([] { NamedValue("f", {16'777'217}); }) == Errc::type_mismatch);
  BOOST_TEST(code_of([] { NamedValue("f", {1e300}); }) == Errc::type_mismatch);
  const auto error = test::error_of([] { NamedValue("genres", {"a", 1}); });
  BOOST_TEST_REQUIRE(error.has_value());
  BOOST_TEST(std::string_view(error->what()).find("\"genres\"") != std::string_view::npos);
}

BOOST_AUTO_TEST_CASE(integers_convert_exactly_when_they_fit) {
  BOOST_TEST(*read<std::int8_t>(-128) == -128);
  BOOST_TEST(!read<std::int8_t>(-129));
  BOOST_TEST(!read<std::int32_t>(std::int64_t{1} << 31));
  BOOST_TEST(*read<std::int32_t>(-(std::int64_t{1} << 31)) == lowest<std::int32_t>);
  BOOST_TEST(!read<std::uint32_t>(-1));
  BOOST_TEST(!read<std::uint64_t>(-1));
  BOOST_TEST(*read<std::uint64_t>(highest<std::uint64_t>) == highest<std::uint64_t>);
  BOOST_TEST(!read<std::int64_t>(highest<std::uint64_t>));
  BOOST_TEST(*read<std::int64_t>(std::uint64_t{1} << 62) == std::int64_t{1} << 62);
}

BOOST_AUTO_TEST_CASE(integers_become_floats_only_where_that_is_exact) {
  BOOST_TEST(*read<double>(9) == 9.0);
  BOOST_TEST(*read<double>((std::int64_t{1} << 53)) == 9007199254740992.0);
  BOOST_TEST(!read<double>((std::int64_t{1} << 53) + 1));
  BOOST_TEST(*read<double>(std::int64_t{1} << 62) == 4611686018427387904.0);
  BOOST_TEST(!read<double>(highest<std::int64_t>));
  BOOST_TEST(!read<double>(highest<std::uint64_t>));
  BOOST_TEST(*read<double>(lowest<std::int64_t>) == -9223372036854775808.0);
  BOOST_TEST(*read<double>(std::uint64_t{1} << 63) == 9223372036854775808.0);
  BOOST_TEST(*read<float>(16'777'216) == 16777216.f);
  BOOST_TEST(!read<float>(16'777'217));
}

BOOST_AUTO_TEST_CASE(floats_become_integers_only_where_that_is_exact) {
  BOOST_TEST(*read<int>(9.0) == 9);
  BOOST_TEST(*read<int>(-0.0) == 0);
  BOOST_TEST(!read<int>(9.5));
  BOOST_TEST(!read<int>(2147483648.0));
  BOOST_TEST(*read<int>(-2147483648.0) == lowest<int>);
  BOOST_TEST(!read<std::int64_t>(9223372036854775808.0));
  BOOST_TEST(*read<std::int64_t>(-9223372036854775808.0) == lowest<std::int64_t>);
  BOOST_TEST(!read<std::uint64_t>(18446744073709551616.0));
  BOOST_TEST(!read<std::uint64_t>(-1.0));
  BOOST_TEST(!read<std::uint64_t>(-0.5));
  BOOST_TEST(!read<int>(std::numeric_limits<double>::quiet_NaN()));
  BOOST_TEST(!read<int>(std::numeric_limits<double>::infinity()));
  BOOST_TEST(*read<std::uint8_t>(255.f) == 255);
  BOOST_TEST(!read<std::uint8_t>(256.f));
}

BOOST_AUTO_TEST_CASE(a_double_becomes_the_nearest_float_within_range) {
  BOOST_TEST(*read<float>(9.3) == 9.3f);
  BOOST_TEST(!read<float>(1e39));
  BOOST_TEST(!read<float>(-1e39));
  BOOST_TEST(*read<float>(std::numeric_limits<double>::infinity()) == std::numeric_limits<float>::infinity());
  BOOST_TEST(std::isnan(*read<float>(std::numeric_limits<double>::quiet_NaN())));
  BOOST_TEST(*read<double>(9.3f) == static_cast<double>(9.3f));
}

BOOST_AUTO_TEST_CASE(kinds_do_not_turn_into_each_other) {
  BOOST_TEST(!read<bool>(1));
  BOOST_TEST(!read<int>(true));
  BOOST_TEST(!read<int>("1"));
  BOOST_TEST(!read<std::string>(1));
  BOOST_TEST(!read<Strings>("a").has_value());
  BOOST_TEST(!read<std::string>(Strings{"a"}));
  BOOST_TEST(!read<std::vector<float>>(1.0f).has_value());
  BOOST_TEST(!read<Bytes>("a").has_value());
  BOOST_TEST(!read<int>(nullptr));
  BOOST_TEST(!read<std::string>(nullptr));
}

BOOST_AUTO_TEST_CASE(views_refer_to_the_value) {
  const Value text("abc");
  BOOST_TEST(read<std::string_view>(text)->data() == held<std::string>(text)->data());
  const Value vector(std::vector<float>{1, 2});
  BOOST_TEST(read<std::span<const float>>(vector)->data() == held<std::vector<float>>(vector)->data());
  const Value bytes(Bytes{std::byte{1}});
  BOOST_TEST(read<ByteSpan>(bytes)->data() == held<Bytes>(bytes)->data());
}

BOOST_AUTO_TEST_CASE(a_failed_conversion_leaves_the_target_alone) {
  int number = 7;
  BOOST_TEST(!detail::convert(Value(1e20), number));
  BOOST_TEST(!detail::convert(Value("x"), number));
  BOOST_TEST(number == 7);
}

BOOST_AUTO_TEST_SUITE_END()
