#include <quiver/columns/column_builder.hpp>

#include <quiver/storage/anonymous_memory.hpp>

#include "support/error_code.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::detail;
using test::error_of;

namespace {

/// Two rows of one value, which is the key too.
struct TwoOfIt {
  Cell value;
  std::string_view name;

  [[nodiscard]] std::uint64_t rows() const { return 2; }
  [[nodiscard]] std::string_view key(std::uint64_t) const { return name; }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const { return {row}; }
  [[nodiscard]] Cell cell(std::size_t, std::uint64_t) const { return value; }
};

Error refused(FieldType type, const Cell& value) {
  ColumnBuilder builder;
  const PhysicalColumn column{"f", type, true, false};
  const auto error = error_of([&] { static_cast<void>(builder.fill(TwoOfIt{value, {}}, column, 0, 0, 2, ~std::uint64_t{0})); });
  BOOST_REQUIRE(error.has_value());
  BOOST_TEST(std::string(error->what()).find("'f'") != std::string::npos);
  return *error;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(columns_builder)

BOOST_AUTO_TEST_CASE(a_value_that_offsets_of_32_bits_cannot_reach_is_refused_before_it_is_copied) {
  const AnonymousMemory two_gibibytes(std::size_t{1} << 31);  // of which no page is touched
  const auto text = as_text(ByteSpan(two_gibibytes.data(), two_gibibytes.size()));
  BOOST_TEST(refused(FieldType::string, text).code() == Errc::invalid_argument);
  BOOST_TEST(refused(FieldType::bytes, text).code() == Errc::invalid_argument);
  BOOST_TEST(refused(FieldType::strings, std::vector<std::string_view>(1, text)).code() == Errc::invalid_argument);
  // Four bytes for each element count too.
  BOOST_TEST(refused(FieldType::strings, std::vector{text.substr(0, text.size() / 2), text.substr(8, text.size() / 2 - 8)}).code() == Errc::invalid_argument);
  ColumnBuilder builder;
  BOOST_TEST(test::code_of([&] { static_cast<void>(builder.fill_keys(TwoOfIt{{}, text}, {}, 0, 2, 100)); }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_column_of_no_known_type_is_refused) { BOOST_TEST(refused(static_cast<FieldType>(10), Cell(true)).code() == Errc::invalid_argument); }

BOOST_AUTO_TEST_CASE(types_of_fixed_width_have_four_bytes_or_eight_and_all_others_none) {
  for (const auto type : {FieldType::int32, FieldType::uint32, FieldType::float32}) BOOST_TEST(fixed_width(type) == 4u);
  for (const auto type : {FieldType::int64, FieldType::uint64, FieldType::float64}) BOOST_TEST(fixed_width(type) == 8u);
  for (const auto type : {FieldType::boolean, FieldType::string, FieldType::strings, FieldType::bytes, static_cast<FieldType>(10)})
    BOOST_TEST(fixed_width(type) == 0u);
}

BOOST_AUTO_TEST_SUITE_END()
