#include <quiver/columns/group_table.hpp>

#include <quiver/columns/reader.hpp>

#include <boost/test/unit_test.hpp>

#include "support/every_type.hpp"

#include <functional>

using namespace quiver;
using namespace quiver::detail;
using test::BytesReader;
using test::BytesScope;

namespace {

const std::filesystem::path path = "store/a.scalar";

// Opens the block and reads every value; the error that it ends in.
std::optional<Error> failure(ByteSpan bytes, const FileIdentity& identity, const Schema& schema, bool verify = false) {
  try {
    BytesScope scope;
    const ScalarBlock<BytesReader> block(BytesReader(bytes, path), scope, identity, schema);
    if (verify) block.block().verify(scope);
    std::optional<Error> first;
    const auto attempt = [&](auto&& read) {
      try {
        read();
      } catch (const Error& e) {
        if (!first) first = e;
      }
    };
    std::vector<std::size_t> columns;
    for (std::size_t c = 0; c < schema.fields().size(); ++c) columns.push_back(c);
    // Every value is tried, also behind one that is damaged.
    for (std::uint64_t row = 0; row < block.rows(); ++row) {
      scope.renew();
      attempt([&] { block.prefetch(scope, std::span(&row, 1), columns); });
      attempt([&] { static_cast<void>(block.key(scope, row)); });
      attempt([&] { static_cast<void>(block.find_doc_id(scope, block.doc_id(scope, row))); });
      for (const auto c : columns)
        attempt([&] {
          const auto cell = block.cell(scope, c, row);
          std::size_t sum = 0;  // text is touched
          if (const auto* text = std::get_if<std::string_view>(&cell))
            for (const char letter : *text) sum += static_cast<unsigned char>(letter);
          if (const auto* list = std::get_if<std::vector<std::string_view>>(&cell))
            for (const auto element : *list)
              for (const char letter : element) sum += static_cast<unsigned char>(letter);
          static_cast<void>(sum);
        });
    }
    return first;
  } catch (const Error& e) {
    return e;
  }
}

bool sound(const std::optional<Error>& error) {
  return !error || ((error->code() == Errc::corruption || error->code() == Errc::version_mismatch) && error->path() == path);
}
bool corrupt(const std::optional<Error>& error) { return error && error->code() == Errc::corruption && error->path() == path && error->offset(); }

struct Sample {
  Schema schema = test::two_rows_schema();
  Bytes bytes;
  FileIdentity identity;
  std::size_t groups = 0;  // offset of the group table
  Sample() {
    std::tie(bytes, identity) = test::two_rows_block();
    BytesScope scope;
    groups = static_cast<std::size_t>(Block<BytesReader>(BytesReader(bytes, path), scope, identity, BlockKind::scalar).section("groups").offset);
  }
  // The error after `value` is stored at `at`, behind right checksums.
  template <class T>
  [[nodiscard]] std::optional<Error> with(std::size_t at, T value) const {
    auto damaged = bytes;
    store(&damaged[at], value);
    return failure(damaged, test::mend_checksums(damaged), schema);
  }
};

// Places in the group table of three columns, and of a chunk in it.
constexpr std::size_t columns_at = 16, group_at = columns_at + 3 * 8, chunk_at = group_at + 32;
constexpr std::size_t chunk_of(std::size_t column) { return chunk_at + column * column_chunk_size; }

}  // namespace

BOOST_AUTO_TEST_SUITE(columns_hostile)

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_found_by_verify) {
  const Sample sample;
  BOOST_TEST(!failure(sample.bytes, sample.identity, sample.schema, true));
  for (std::size_t bit = 0; bit < sample.bytes.size() * 8; ++bit) {
    auto damaged = sample.bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto error = failure(damaged, sample.identity, sample.schema, true);
    BOOST_TEST((error && sound(error)), "bit " << bit);
  }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_behind_right_checksums_ends_well) {
  const auto schema = test::every_type_schema();
  const auto [bytes, identity] = test::scalar_block(schema, test::EveryTypeRows(9), 5);
  const auto table = static_cast<std::size_t>(locate_trailer(ByteSpan(bytes).last(10), bytes.size(), path));
  std::size_t accepted = 0, refused = 0;
  for (std::size_t bit = 0; bit < table * 8; bit += bit < 2048 * 8 ? 97 : 13) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto error = failure(damaged, test::mend_checksums(damaged), schema);
    BOOST_TEST(sound(error), "bit " << bit);
    ++(error ? refused : accepted);
  }
  BOOST_TEST(accepted > 1000u);
  BOOST_TEST(refused > 1000u);
}

BOOST_AUTO_TEST_CASE(every_truncation_is_found) {
  const Sample sample;
  for (std::size_t length = 0; length < sample.bytes.size(); ++length) {
    auto shorter = sample.identity;
    shorter.length = length;
    BOOST_TEST(corrupt(failure(ByteSpan(sample.bytes).first(length), shorter, sample.schema)) == (length >= 74), "length " << length);
    const auto error = failure(ByteSpan(sample.bytes).first(length), sample.identity, sample.schema);
    BOOST_TEST((error && error->code() == Errc::corruption), "length " << length);
  }
}

BOOST_AUTO_TEST_CASE(a_group_table_that_does_not_add_up_is_refused) {
  const Sample s;
  const auto at = [&](std::size_t place) { return s.groups + place; };
  constexpr auto huge = ~std::uint64_t{0};
  BOOST_TEST(corrupt(s.with(at(0), std::uint32_t{2})));  // columns
  BOOST_TEST(corrupt(s.with(at(4), std::uint32_t{0})));  // groups
  BOOST_TEST(corrupt(s.with(at(4), std::uint32_t{2})));
  BOOST_TEST(corrupt(s.with(at(4), ~std::uint32_t{0})));
  BOOST_TEST(corrupt(s.with(at(8), std::uint64_t{3})));              // rows
  BOOST_TEST(corrupt(s.with(at(columns_at), std::uint8_t{9})));      // type
  BOOST_TEST(corrupt(s.with(at(columns_at + 1), std::uint8_t{1})));  // nullable
  BOOST_TEST(corrupt(s.with(at(columns_at + 7), std::uint8_t{1})));  // zeros
  BOOST_TEST(corrupt(s.with(at(group_at), std::uint64_t{1})));       // first row
  for (const auto rows : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, huge, huge / 4, huge / 8 + 1})
    BOOST_TEST(corrupt(s.with(at(group_at + 8), rows)), "rows " << rows);
  BOOST_TEST(corrupt(s.with(at(group_at + 16), std::uint64_t{8})));  // first doc id
  BOOST_TEST(corrupt(s.with(at(group_at + 16), huge)));
  BOOST_TEST(corrupt(s.with(at(group_at + 24), std::uint64_t{7})));  // last doc id
}

BOOST_AUTO_TEST_CASE(buffers_that_do_not_fit_their_rows_are_refused) {
  const Sample s;
  constexpr auto huge = ~std::uint64_t{0};
  for (std::size_t column = 0; column < 3; ++column) {
    const auto chunk = s.groups + chunk_of(column);
    BOOST_TEST(corrupt(s.with(chunk, std::uint64_t{3})), "nulls of column " << column);
    BOOST_TEST(corrupt(s.with(chunk, huge)), "nulls of column " << column);
    BOOST_TEST(corrupt(s.with(chunk + 8, std::uint64_t{1})), "children of column " << column);
    BOOST_TEST(corrupt(s.with(chunk + 8, huge)), "children of column " << column);
    BOOST_TEST(corrupt(s.with(chunk + 8, huge / 4)), "children of column " << column);
    for (std::size_t buffer = 0; buffer < 4; ++buffer) {
      const auto range = chunk + 16 + buffer * 16;
      const auto what = "column " + std::to_string(column) + ", buffer " + std::to_string(buffer);
      const auto length = load<std::uint64_t>(&s.bytes[range + 8]);
      const bool text = buffer == 3 && column != 1;  // of any length
      for (const auto offset : {std::uint64_t{1}, std::uint64_t{0x580 + 8}, std::uint64_t{0x700}, std::uint64_t{1} << 40, huge - 63})
        BOOST_TEST(corrupt(s.with(range, offset)), what << ", offset " << offset);
      for (const auto wrong : {length + 1, length == 0 ? std::uint64_t{64} : std::uint64_t{0}, std::uint64_t{1} << 31, huge, huge - length})
        if (wrong != length && !(text && wrong < 1024)) BOOST_TEST(corrupt(s.with(range + 8, wrong)), what << ", length " << wrong);
    }
  }
}

BOOST_AUTO_TEST_CASE(offsets_that_point_nowhere_are_corruption_where_they_lie) {
  const Sample s;
  struct Place {
    std::size_t column, buffer;
    std::uint32_t last;
  };
  for (const auto& [column, buffer, last] : {Place{0, 1, 18}, Place{2, 1, 2}, Place{2, 2, 10}}) {
    const auto range = s.groups + chunk_of(column) + 16 + buffer * 16;
    const auto begin = static_cast<std::size_t>(load<std::uint64_t>(&s.bytes[range]));
    for (std::size_t i = 0; i < 3; ++i)
      for (const auto value : {std::uint32_t{last + 1}, std::uint32_t{0x7FFFFFFF}, std::uint32_t{0x80000000}, ~std::uint32_t{0}}) {
        // The last offset of the list column belongs to a null, which is not looked at.
        if (column == 2 && buffer == 1 && i == 2) continue;
        const auto error = s.with(begin + i * 4, value);
        BOOST_TEST(corrupt(error), "column " << column << ", buffer " << buffer << ", offset " << i << " = " << value);
        if (error) BOOST_TEST((*error->offset() >= begin && *error->offset() < begin + 12));
      }
  }
}

BOOST_AUTO_TEST_CASE(a_buffer_before_the_record_batches_is_refused) {
  const Schema schema;
  const auto columns = physical_columns(schema);
  const auto parse = [&](std::uint64_t keys, std::uint64_t ids) {
    GroupTable table;
    table.rows = 2;
    table.groups = {{0, 2, DocId{5}, DocId{6}}};
    table.chunks = {{0, 0, {}, {keys, 12}, {}, {}}, {0, 0, {}, {}, {}, {ids, 16}}};
    const auto bytes = encode_group_table(table, columns);
    return GroupTableParser(bytes, 5000, Range{1024, 1024}, columns, path).parse().groups.size();
  };
  BOOST_TEST(parse(1024, 2048 - 64) == 1u);
  for (const auto& [keys, ids] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{1024 - 64, 1088}, {1024, 1024 - 64}, {1024, 2048}, {64, 1088}})
    BOOST_CHECK_EXCEPTION(static_cast<void>(parse(keys, ids)), Error, [](const Error& e) { return e.code() == Errc::corruption && *e.offset() >= 5000; });
}

BOOST_AUTO_TEST_CASE(a_doc_id_below_all_that_a_damaged_group_holds_is_not_found) {
  const auto schema = test::every_type_schema();
  const auto sound_block = test::scalar_block(schema, test::EveryTypeRows(9), 9);
  BytesScope scope;
  const auto opened = [&](const std::pair<Bytes, FileIdentity>& block) {
    return ScalarBlock<BytesReader>(BytesReader(block.first, path), scope, block.second, schema);
  };
  const auto first = opened(sound_block).groups().front().first_doc_id;
  BOOST_TEST((opened(sound_block).find_doc_id(scope, first) == std::uint64_t{0}));
  // The column of ids, found by its bytes.
  Bytes ids;
  for (std::uint64_t row = 0; row < 9; ++row) append(ids, test::EveryTypeRows(9).doc_id(row).value);
  auto damaged = sound_block;
  const auto at = std::search(damaged.first.begin(), damaged.first.end(), ids.begin(), ids.end());
  BOOST_REQUIRE((at != damaged.first.end()));
  store(&*at, first.value + 100);
  damaged.second = test::mend_checksums(damaged.first);
  const auto block = opened(damaged);
  BOOST_TEST(!block.find_doc_id(scope, first).has_value());
  BOOST_TEST((block.find_doc_id(scope, DocId{first.value + 1}) == std::uint64_t{1}));  // its neighbour is
}

BOOST_AUTO_TEST_CASE(doc_ids_of_neighbouring_groups_ascend) {
  const Schema schema;
  const auto columns = physical_columns(schema);
  const auto parse = [&](std::uint64_t last_of_first, std::uint64_t first_of_second) {
    GroupTable table;
    table.rows = 4;
    table.groups = {{0, 2, DocId{5}, DocId{last_of_first}}, {2, 2, DocId{first_of_second}, DocId{20}}};
    for (int i = 0; i < 2; ++i) {
      table.chunks.push_back({0, 0, {}, {0, 12}, {}, {}});
      table.chunks.push_back({0, 0, {}, {}, {}, {64, 16}});
    }
    const auto bytes = encode_group_table(table, columns);
    return GroupTableParser(bytes, 1000, Range{0, 1024}, columns, path).parse().groups.size();
  };
  BOOST_TEST(parse(6, 7) == 2u);
  BOOST_TEST(parse(10, 19) == 2u);
  for (const auto& [last, first] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{{5, 7}, {4, 7}, {6, 6}, {6, 5}, {6, 20}, {6, 21}})
    BOOST_CHECK_EXCEPTION(static_cast<void>(parse(last, first)), Error,
                          [](const Error& e) { return e.code() == Errc::corruption && e.path() == path && *e.offset() >= 1000; });
}

BOOST_AUTO_TEST_SUITE_END()
