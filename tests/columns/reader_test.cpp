#include <quiver/columns/reader.hpp>

#include <quiver/storage/file_read.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/test/unit_test.hpp>

#include "support/every_type.hpp"
#include "support/golden.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <numeric>

using namespace quiver;
using namespace quiver::detail;
using test::BytesReader;
using test::BytesScope;
using test::EveryTypeRows;

namespace {

using TestBlock = ScalarBlock<BytesReader>;

const auto schema = test::every_type_schema();

// Every cell of the rows given, each read in a scope that is renewed before it.
template <class Reader, class Scope>
void check_rows(const ScalarBlock<Reader>& block, Scope& scope, const EveryTypeRows& source, std::span<const std::uint64_t> rows) {
  for (const auto row : rows) {
    BOOST_TEST((block.key(scope, row) == source.key(row)));
    BOOST_TEST((block.doc_id(scope, row) == source.doc_id(row)));
    for (std::size_t column = 0; column < schema.fields().size(); ++column) BOOST_TEST(test::same(block.cell(scope, column, row), source.cell(column, row)));
  }
}

std::vector<std::uint64_t> numbers(std::uint64_t count) {
  std::vector<std::uint64_t> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), std::uint64_t{0});
  return all;
}
std::vector<std::size_t> all_columns() {
  std::vector<std::size_t> all(schema.fields().size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(columns_reader)

BOOST_AUTO_TEST_CASE(the_golden_block_is_read) {
  const auto bytes = test::repository_file("tests/golden/every_type.scalar");
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, test::every_type_block().second, schema);
  block.block().verify(scope);
  BOOST_REQUIRE(block.rows() == 23u);
  check_rows(block, scope, EveryTypeRows(23), numbers(23));
}

BOOST_AUTO_TEST_CASE(a_row_finds_its_group) {
  const auto [bytes, identity] = test::scalar_block(schema, EveryTypeRows(35), 10);
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  for (std::uint64_t row = 0; row < 35; ++row) BOOST_TEST(block.group_of(row) == row / 10);
}

BOOST_AUTO_TEST_CASE(a_row_finds_its_group_among_groups_of_any_lengths) {
  const EveryTypeRows source(200);
  // The first is where rows are thought to be: a long one, one as long as most, one that is left behind at once.
  for (const auto& lengths : std::vector<std::vector<std::uint64_t>>{{60, 20, 50, 1, 69}, {50, 50, 49, 51}, {1, 100, 99}}) {
    test::BytesDraft draft;
    ScalarBlockWriter writer(draft, schema);
    std::vector<std::size_t> expected;
    for (std::size_t g = 0; g < lengths.size(); ++g) {
      BOOST_REQUIRE(writer.append_group(source, expected.size(), lengths[g]) == lengths[g]);
      expected.insert(expected.end(), static_cast<std::size_t>(lengths[g]), g);
    }
    const auto identity = writer.finish();
    BytesScope scope;
    const TestBlock block(BytesReader(draft.bytes), scope, identity, schema);
    for (std::size_t row = 0; row < expected.size(); ++row) BOOST_TEST(block.group_of(row) == expected[row]);
    check_rows(block, scope, source, numbers(200));
  }
}

BOOST_AUTO_TEST_CASE(a_doc_id_finds_its_row_and_a_missing_one_none) {
  const EveryTypeRows source(203);
  for (const std::uint64_t group_rows : {1u, 10u, 1000u}) {
    const auto [bytes, identity] = test::scalar_block(schema, source, group_rows);
    BytesScope scope;
    const TestBlock block(BytesReader(bytes), scope, identity, schema);
    std::uint64_t row = 0;
    for (std::uint64_t id = 0; id < source.doc_id(202).value + 20; ++id) {
      const bool there = row < source.rows() && source.doc_id(row).value == id;
      BOOST_TEST((block.find_doc_id(scope, DocId{id}) == (there ? std::optional(row) : std::nullopt)), "id " << id);
      if (there) ++row;
    }
    BOOST_TEST(!block.find_doc_id(scope, DocId{~std::uint64_t{0}}));
  }
}

BOOST_AUTO_TEST_CASE(the_physical_schema_has_key_and_doc_id_first) {
  const auto [bytes, identity] = test::every_type_block();
  BytesScope scope;
  const TestBlock block(BytesReader(bytes), scope, identity, schema);
  const auto& columns = block.physical_schema();
  BOOST_REQUIRE(columns.size() == 2 + schema.fields().size());
  BOOST_TEST((columns[0].name == "_key" && columns[0].type == FieldType::string && !columns[0].nullable));
  BOOST_TEST((columns[1].name == "_doc_id" && columns[1].type == FieldType::uint64 && !columns[1].nullable));
  BOOST_TEST((columns[3].name == "maybe_boolean" && columns[3].type == FieldType::boolean && columns[3].nullable));
  BOOST_TEST((columns[4].name == "int32" && columns[4].indexed));
}

BOOST_AUTO_TEST_CASE(a_block_of_another_schema_is_corruption) {
  const auto [bytes, identity] = test::every_type_block();
  const auto refused = [&, &block_bytes = bytes, &block_identity = identity](std::vector<Field> fields) {
    BytesScope scope;
    BOOST_CHECK_EXCEPTION(TestBlock(BytesReader(block_bytes), scope, block_identity, Schema(std::move(fields), {})), Error,
                          [](const Error& e) { return e.code() == Errc::corruption && e.offset(); });
  };
  auto fields = schema.fields();
  fields.pop_back();
  refused(fields);
  fields.emplace_back("maybe_bytes", FieldType::bytes, false, false);
  refused(fields);
  fields.back() = Field("maybe_bytes", FieldType::string, true, false);
  refused(fields);
  refused({});
}

BOOST_AUTO_TEST_CASE(views_die_with_their_scope_and_values_do_not_need_them) {
  auto store = test::StrictPolicy::create_store({}, {});
  const EveryTypeRows source(100);
  auto draft = store.create("a");
  const auto identity = write_scalar_block(draft, schema, source, 0, source.rows(), 30);
  store.publish(std::move(draft));
  auto scope = store.read_scope();
  const ScalarBlock<test::StrictPolicy::Reader> block(store.open("a", identity), scope, identity, schema);
  const auto rows = numbers(100);
  for (const auto row : rows) {
    scope.renew();
    check_rows(block, scope, source, std::span(&row, 1));
  }
}

BOOST_AUTO_TEST_CASE(rows_that_were_read_ahead_are_the_same) {
  const test::TempFolder folder;
  const EveryTypeRows source(1000);
  FileIdentity identity;
  {
    auto store = MMapPolicy::create_store(folder.path() / "store", {});
    auto draft = store.create("a");
    identity = write_scalar_block(draft, schema, source, 0, source.rows(), 300);
    store.publish(std::move(draft));
  }
  const auto store = FileReadPolicy::open_store(folder.path() / "store", {}, OpenMode::read_only);
  auto scope = store.read_scope();
  const ScalarBlock<FileReadPolicy::Reader> block(store.open("a", identity), scope, identity, schema);
  for (const auto& rows : std::vector<std::vector<std::uint64_t>>{{}, {999}, {0, 1, 2, 3}, {7, 2, 7, 650, 299, 300, 301}, numbers(1000)}) {
    scope.renew();
    block.prefetch(scope, rows, all_columns());
    check_rows(block, scope, source, rows);
  }
}

BOOST_AUTO_TEST_SUITE_END()
