#include <quiver/columns/writer.hpp>

#include <quiver/columns/reader.hpp>

#include <boost/test/unit_test.hpp>

#include "support/every_type.hpp"
#include "support/golden.hpp"

#include <functional>

using namespace quiver;
using namespace quiver::detail;
using test::BytesReader;
using test::BytesScope;
using test::EveryTypeRows;

namespace {

using TestBlock = ScalarBlock<BytesReader>;

// A source whose answers a test can choose.
struct Source {
  std::uint64_t count = 0;
  std::function<std::string(std::uint64_t)> key_of = [](std::uint64_t row) { return "k" + std::to_string(row); };
  std::function<std::uint64_t(std::uint64_t)> id_of = [](std::uint64_t row) { return row; };
  std::function<Cell(std::uint64_t)> cell_of = [](std::uint64_t) { return Cell(); };
  mutable std::string held = {};

  [[nodiscard]] std::uint64_t rows() const { return count; }
  [[nodiscard]] std::string_view key(std::uint64_t row) const { return held = key_of(row); }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const { return {id_of(row)}; }
  [[nodiscard]] Cell cell(std::size_t, std::uint64_t row) const { return cell_of(row); }
};

Schema one_field(FieldType type, bool nullable) { return Schema({Field("f", type, nullable, false)}, {}); }

Errc code_of(const Schema& schema, const Source& source) {
  try {
    static_cast<void>(test::scalar_block(schema, source, 10));
    return Errc::none;
  } catch (const Error& e) {
    return e.code();
  }
}

struct WithoutKeys {
  [[nodiscard]] std::uint64_t rows() const { return 0; }
  [[nodiscard]] DocId doc_id(std::uint64_t) const { return {}; }
  [[nodiscard]] Cell cell(std::size_t, std::uint64_t) const { return {}; }
};
static_assert(ColumnSource<Source> && ColumnSource<EveryTypeRows> && !ColumnSource<WithoutKeys>);

}  // namespace

BOOST_AUTO_TEST_SUITE(columns_writer)

BOOST_AUTO_TEST_CASE(every_type_is_read_back_from_groups_of_any_size) {
  const auto schema = test::every_type_schema();
  const EveryTypeRows source(200);
  for (const std::uint64_t group_rows : {1u, 7u, 8u, 9u, 64u, 65u, 199u, 200u, 65536u}) {
    const auto [bytes, identity] = test::scalar_block(schema, source, group_rows);
    BytesScope scope;
    const TestBlock block(BytesReader(bytes), scope, identity, schema);
    block.block().verify(scope);
    BOOST_REQUIRE(block.rows() == source.rows());
    BOOST_TEST(block.groups().size() == (source.rows() + group_rows - 1) / group_rows);
    for (std::uint64_t row = 0; row < source.rows(); ++row) {
      scope.renew();
      BOOST_TEST((block.key(scope, row) == source.key(row)));
      BOOST_TEST((block.doc_id(scope, row) == source.doc_id(row)));
      for (std::size_t column = 0; column < schema.fields().size(); ++column)
        BOOST_TEST(test::same(block.cell(scope, column, row), source.cell(column, row)),
                   "groups of " << group_rows << ", row " << row << ", column " << schema.fields()[column].name());
    }
  }
}

BOOST_AUTO_TEST_CASE(a_part_of_the_rows_is_written) {
  const auto schema = test::every_type_schema();
  const EveryTypeRows source(50);
  test::BytesDraft draft;
  const auto identity = write_scalar_block(draft, schema, source, 20, 25, 10);
  BytesScope scope;
  const TestBlock block(BytesReader(draft.bytes), scope, identity, schema);
  BOOST_REQUIRE(block.rows() == 25u);
  for (std::uint64_t row = 0; row < 25; ++row) BOOST_TEST((block.key(scope, row) == source.key(20 + row)));
  BOOST_TEST(block.groups()[2].rows == 5u);
  BOOST_TEST((block.groups()[1].first_doc_id == source.doc_id(30)));
  BOOST_TEST((block.groups()[1].last_doc_id == source.doc_id(39)));
  for (const auto& [first, rows, group_rows] : std::vector<std::array<std::uint64_t, 3>>{{40, 11, 10}, {51, 0, 10}, {0, 50, 0}, {0, 0, 0}})
    BOOST_CHECK_EXCEPTION(static_cast<void>(write_scalar_block(draft, schema, source, first, rows, group_rows)), Error,
                          [](const Error& e) { return e.code() == Errc::invalid_argument; });
}

BOOST_AUTO_TEST_CASE(no_rows_and_no_fields_are_a_block) {
  const Schema schema;
  for (const std::uint64_t rows : {0u, 3u}) {
    const Source source{.count = rows};
    const auto [bytes, identity] = test::scalar_block(schema, source, 2);
    BytesScope scope;
    const TestBlock block(BytesReader(bytes), scope, identity, schema);
    BOOST_TEST(block.rows() == rows);
    BOOST_TEST(block.physical_schema().size() == 2u);
    BOOST_TEST(!block.find_doc_id(scope, DocId{99}));
    if (rows != 0) BOOST_TEST((block.key(scope, 2) == "k2"));
  }
}

BOOST_AUTO_TEST_CASE(a_group_ends_before_its_text_passes_the_limit) {
  const std::string text(100, 'x');
  const std::vector<std::string_view> list(4, text);
  const auto check = [&](FieldType type, const Cell& cell, std::uint64_t rows_that_fit) {
    const auto schema = one_field(type, true);
    const Source source{.count = 100, .cell_of = [&](std::uint64_t row) { return row % 50 == 3 ? Cell() : cell; }};
    const auto [bytes, identity] = test::scalar_block(schema, source, 40, 1000);
    BytesScope scope;
    const TestBlock block(BytesReader(bytes), scope, identity, schema);
    BOOST_TEST(block.rows() == 100u);
    for (const auto& group : block.groups()) BOOST_TEST(group.rows <= rows_that_fit + 1);  // a null needs no room
    BOOST_TEST(block.groups().size() >= 100 / (rows_that_fit + 1));
    for (std::uint64_t row = 0; row < 100; ++row) {
      BOOST_TEST(test::same(block.cell(scope, 0, row), source.cell(0, row)), "row " << row);
      BOOST_TEST((block.key(scope, row) == source.key(row)));
      BOOST_TEST((block.doc_id(scope, row) == DocId{row}));
    }
  };
  check(FieldType::string, std::string_view(text), 10);
  check(FieldType::bytes, std::string_view(text), 10);
  check(FieldType::strings, list, 2);
}

BOOST_AUTO_TEST_CASE(one_text_longer_than_the_limit_has_a_group_of_its_own) {
  const std::string text(5000, 'x');
  const auto schema = one_field(FieldType::string, false);
  const Source source{.count = 4, .cell_of = [&](std::uint64_t row) { return Cell(std::string_view(text).substr(0, row == 2 ? 5000 : 10)); }};
  const auto [bytes, identity] = test::scalar_block(schema, source, 10, 1000);
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  BOOST_TEST(block.groups().size() == 3u);
  BOOST_TEST((std::get<std::string_view>(block.cell(scope, 0, 2)) == text));
}

BOOST_AUTO_TEST_CASE(one_list_longer_than_the_limit_has_a_group_of_its_own) {
  const std::string text(5000, 'x');
  const auto schema = one_field(FieldType::strings, false);
  const auto list = [&](std::uint64_t row) { return std::vector<std::string_view>{"a", std::string_view(text).substr(0, row % 2 == 0 ? 5000 : 10)}; };
  const Source source{.count = 4, .cell_of = [&](std::uint64_t row) { return Cell(list(row)); }};
  const auto [bytes, identity] = test::scalar_block(schema, source, 10, 1000);
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  BOOST_TEST(block.groups().size() == 4u);
  for (std::uint64_t row = 0; row < 4; ++row) {
    scope.renew();
    BOOST_TEST(test::same(block.cell(scope, 0, row), Cell(list(row))), "row " << row);
  }
}

BOOST_AUTO_TEST_CASE(long_keys_end_a_group_too) {
  const Schema schema;
  const Source source{.count = 10, .key_of = [](std::uint64_t row) { return std::string(400, static_cast<char>('a' + row)); }};
  const auto [bytes, identity] = test::scalar_block(schema, source, 10, 1000);
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  BOOST_TEST(block.groups().size() == 5u);
  for (std::uint64_t row = 0; row < 10; ++row) BOOST_TEST((block.key(scope, row) == source.key(row)));
}

BOOST_AUTO_TEST_CASE(what_a_block_cannot_hold_is_refused) {
  const auto number = [](std::uint64_t) { return Cell(std::int64_t{1}); };
  BOOST_TEST((code_of(one_field(FieldType::int32, false), {.count = 3, .cell_of = number}) == Errc::none));
  BOOST_TEST((code_of(one_field(FieldType::int32, false), {.count = 3}) == Errc::schema_mismatch));
  for (const auto type : {FieldType::boolean, FieldType::uint32, FieldType::uint64, FieldType::float32, FieldType::float64, FieldType::string,
                          FieldType::strings, FieldType::bytes})
    BOOST_TEST((code_of(one_field(type, true), {.count = 3, .cell_of = number}) == Errc::type_mismatch), to_string(type));
  const auto same_id = [](std::uint64_t) { return std::uint64_t{7}; };
  BOOST_TEST((code_of(Schema(), {.count = 2, .id_of = same_id}) == Errc::invalid_argument));
  BOOST_TEST((code_of(Schema(), {.count = 1, .id_of = same_id}) == Errc::none));
  // Within a group, and from one group to the next.
  BOOST_TEST((code_of(Schema(), {.count = 20, .id_of = [](std::uint64_t row) { return row == 10 ? 9 : row; }}) == Errc::invalid_argument));
  BOOST_TEST((code_of(Schema(), {.count = 20, .id_of = [](std::uint64_t row) { return row == 11 ? 10 : row; }}) == Errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(buffers_and_record_batches_begin_at_multiples_of_64) {
  const auto schema = test::every_type_schema();
  const auto [bytes, identity] = test::every_type_block();
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  const auto columns = physical_columns(schema);
  const auto section = block.block().section("groups");
  const auto table =
      GroupTableParser(block.block().view(scope, section, 0, section.length), section.offset, block.block().section("arrow"), columns, "a").parse();
  for (const auto& chunk : table.chunks)
    for (const auto& range : {chunk.validity, chunk.offsets, chunk.child_offsets, chunk.values}) BOOST_TEST(range.offset % 64 == 0u);
  BOOST_TEST((as_text(ByteSpan(bytes).first(8)) == arrow_begin_magic));
  BOOST_TEST((as_text(ByteSpan(bytes).last(6)) == arrow_end_magic));
}

BOOST_AUTO_TEST_CASE(the_golden_block_is_written_byte_for_byte) {
  BOOST_TEST((test::every_type_block().first == test::repository_file("tests/golden/every_type.scalar")));
}

BOOST_AUTO_TEST_CASE(the_worked_example_of_the_readme_is_the_group_table_of_its_block) {
  const auto [bytes, identity] = test::two_rows_block();
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, test::two_rows_schema());
  const auto section = block.block().section("groups");
  const auto view = block.block().view(scope, section, 0, section.length);
  BOOST_TEST((Bytes(view.begin(), view.end()) == test::worked_example("include/quiver/columns/README.md")));
  BOOST_TEST(section.offset == 0x700u);
}

BOOST_AUTO_TEST_SUITE_END()
