#include <quiver/segment/memtable.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>

using namespace quiver;
using namespace quiver::detail;

namespace {

Schema schema() {
  return Schema({Field("b", FieldType::boolean, true, false), Field("i32", FieldType::int32, true, false), Field("i64", FieldType::int64, true, false),
                 Field("u32", FieldType::uint32, true, false), Field("u64", FieldType::uint64, true, false), Field("f32", FieldType::float32, true, false),
                 Field("f64", FieldType::float64, true, false), Field("s", FieldType::string, true, false), Field("l", FieldType::strings, true, false),
                 Field("raw", FieldType::bytes, true, false)},
                {VectorField("v", 3).metric(Metric::cosine), VectorField("w", 90)});
}

std::vector<float> vector(std::size_t dimension, std::uint64_t row) {
  std::vector<float> v(dimension);
  for (std::size_t i = 0; i < dimension; ++i) v[i] = static_cast<float>(row + 1) + static_cast<float>(i) * 0.5f;
  return v;
}

Document document(std::uint64_t row) {
  Document d("key-" + std::to_string(row));
  d.set("v", vector(3, row));
  d.set("w", vector(90, row));
  if (row % 3 == 0) return d;  // all null
  d.set("b", row % 2 == 0);
  d.set("i32", std::numeric_limits<std::int32_t>::min() + static_cast<std::int32_t>(row));
  d.set("i64", std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(row));
  d.set("u32", std::numeric_limits<std::uint32_t>::max() - static_cast<std::uint32_t>(row));
  d.set("u64", std::numeric_limits<std::uint64_t>::max() - row);
  d.set("f32", -static_cast<float>(row) / 3);
  d.set("f64", static_cast<double>(row) / 7);
  d.set("s", std::string(row % 5, 'x'));
  d.set("l", Strings(row % 4, "tag"));
  d.set("raw", Bytes(row % 6, std::byte{0}));
  return d;
}

struct Filled {
  explicit Filled(std::uint64_t rows) {
    for (std::uint64_t r = 0; r < rows; ++r) add(document(r));
  }
  void add(const Document& d) {
    bind_document(schema_, d, bound);
    table.append(d.key(), fingerprint(d.key()), bound);
  }
  Schema schema_ = schema();
  Memtable table{schema_, DocId{100}};
  BoundRow bound;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(memtable)

BOOST_AUTO_TEST_CASE(every_value_comes_back_bit_by_bit_and_null_is_neither_zero_nor_empty) {
  constexpr std::uint64_t rows = 2000;
  Filled filled(rows);
  const auto& t = filled.table;
  BOOST_TEST(t.rows() == rows);
  for (std::uint64_t r = 0; r < rows; ++r) {
    BOOST_REQUIRE(t.key(r) == "key-" + std::to_string(r));
    BOOST_REQUIRE(t.doc_id(r).value == 100 + r);
    BOOST_REQUIRE(std::ranges::equal(load_elements(Element::float32, t.vector(0, r)), vector(3, r)));
    BOOST_REQUIRE(std::ranges::equal(load_elements(Element::float32, t.vector(1, r)), vector(90, r)));
    if (r % 3 == 0) {
      for (std::size_t c = 0; c < 10; ++c) BOOST_REQUIRE((t.cell(c, r) == Cell{}));
      continue;
    }
    BOOST_REQUIRE((t.cell(0, r) == Cell{r % 2 == 0}));
    BOOST_REQUIRE((t.cell(1, r) == Cell{std::int64_t{std::numeric_limits<std::int32_t>::min()} + static_cast<std::int64_t>(r)}));
    BOOST_REQUIRE((t.cell(2, r) == Cell{std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(r)}));
    BOOST_REQUIRE((t.cell(3, r) == Cell{std::uint64_t{std::numeric_limits<std::uint32_t>::max()} - r}));
    BOOST_REQUIRE((t.cell(4, r) == Cell{std::numeric_limits<std::uint64_t>::max() - r}));
    BOOST_REQUIRE((t.cell(5, r) == Cell{-static_cast<float>(r) / 3}));
    BOOST_REQUIRE((t.cell(6, r) == Cell{static_cast<double>(r) / 7}));
    BOOST_REQUIRE((t.cell(7, r) == Cell{std::string_view("xxxxx").substr(0, r % 5)}));
    BOOST_REQUIRE((t.cell(8, r) == Cell{std::vector<std::string_view>(r % 4, "tag")}));
    BOOST_REQUIRE((t.cell(9, r) == Cell{std::string_view("\0\0\0\0\0\0", r % 6)}));
  }
}

BOOST_AUTO_TEST_CASE(a_key_is_found_only_among_the_rows_that_are_published) {
  Filled filled(100);
  const auto find = [&](const std::string& key, std::uint64_t rows) { return filled.table.find(key, fingerprint(key), rows); };
  BOOST_TEST(find("key-40", 100).value() == 40u);
  BOOST_TEST(find("key-40", 41).value() == 40u);
  BOOST_TEST(!find("key-40", 40).has_value());
  BOOST_TEST(!find("key-100", 100).has_value());
  BOOST_TEST(!filled.table.find("key-41", fingerprint("key-40"), 100).has_value());  // another key under its fingerprint
}

BOOST_AUTO_TEST_CASE(rows_of_a_log_are_found_once_their_keys_are_indexed) {
  Filled filled(10);
  const auto replay = [&](std::uint64_t first, std::uint64_t end) {
    for (std::uint64_t r = first; r < end; ++r) {
      const auto d = document(r);
      bind_document(filled.schema_, d, filled.bound);
      filled.table.append_unindexed(d.key(), filled.bound);
    }
  };
  const auto find = [&](std::uint64_t row) {
    const auto key = "key-" + std::to_string(row);
    return filled.table.find(key, fingerprint(key), filled.table.rows());
  };
  const auto mark = filled.table.mark();
  replay(10, 20);
  BOOST_TEST(!find(15).has_value());
  filled.table.truncate(mark);  // a call that failed
  replay(10, 3000);
  replay(5, 6);  // a newer row of that key
  filled.table.index_keys();
  std::size_t wrong = 0;
  for (std::uint64_t r = 0; r < 3000; ++r) wrong += find(r) == (r == 5 ? 3000 : r) ? 0 : 1;
  BOOST_TEST(wrong == 0u);
  filled.table.truncate({1500, 0});
  BOOST_TEST(find(1499).value() == 1499u);
  BOOST_TEST(find(5).value() == 5u);
  filled.add(document(2000));
  BOOST_TEST(find(2000).value() == 1500u);
}

BOOST_AUTO_TEST_CASE(a_batch_taken_back_leaves_no_trace_and_its_places_are_used_again) {
  Filled filled(50);
  const auto mark = filled.table.mark();
  const auto bytes = filled.table.bytes();
  for (std::uint64_t r = 50; r < 3000; ++r) filled.add(document(r));
  BOOST_TEST(filled.table.bytes() > bytes);
  filled.table.truncate(mark);
  BOOST_TEST(filled.table.rows() == 50u);
  BOOST_TEST(filled.table.bytes() == bytes);
  BOOST_TEST(!filled.table.find("key-50", fingerprint("key-50"), 3000).has_value());
  filled.add(document(1000));
  BOOST_TEST(filled.table.find("key-1000", fingerprint("key-1000"), 51).value() == 50u);
  BOOST_TEST(std::ranges::equal(load_elements(Element::float32, filled.table.vector(1, 50)), vector(90, 1000)));
  BOOST_TEST(std::ranges::equal(load_elements(Element::float32, filled.table.vector(1, 49)), vector(90, 49)));
}

BOOST_AUTO_TEST_CASE(vectors_are_handed_out_in_stretches_with_their_norms) {
  constexpr std::uint64_t rows = 9000;
  Filled filled(rows);
  for (const std::uint64_t wanted : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{5000}, rows})
    for (const std::size_t field : {0u, 1u}) {
      std::uint64_t next = 0;
      std::size_t wrong = 0;
      filled.table.for_each_flat(field, wanted, [&](std::uint64_t first, const FlatRows& flat) {
        wrong += first != next ? 1 : 0;
        for (std::size_t i = 0; i < flat.count; ++i) {
          const auto expected = vector(flat.dimension, first + i);
          wrong += !std::equal(expected.begin(), expected.end(), static_cast<const float*>(flat.row(i))) ? 1 : 0;
          if (field == 0) wrong += flat.inverse_norms[i] != inverse_norm(expected) ? 1 : 0;
        }
        wrong += (field == 1) != (flat.inverse_norms == nullptr) ? 1 : 0;
        next = first + flat.count;
      });
      BOOST_TEST(next == wanted);
      BOOST_TEST(wrong == 0u);
    }
}

BOOST_AUTO_TEST_SUITE_END()
