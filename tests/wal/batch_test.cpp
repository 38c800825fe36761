#include <quiver/wal/batch.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/peak_memory.hpp"
#include "support/replaced_new.hpp"
#include "wal/sample_log.hpp"

#include <bit>
#include <limits>

using namespace quiver;
using namespace quiver::detail;

namespace {

const std::filesystem::path path = "store/wal-000003";
constexpr std::uint64_t base = 112;

Schema every_type() {
  return Schema({Field("b", FieldType::boolean, true, false), Field("i32", FieldType::int32, true, false), Field("i64", FieldType::int64, true, false),
                 Field("u32", FieldType::uint32, true, false), Field("u64", FieldType::uint64, true, false), Field("f32", FieldType::float32, true, false),
                 Field("f64", FieldType::float64, true, false), Field("s", FieldType::string, true, false), Field("l", FieldType::strings, true, false),
                 Field("raw", FieldType::bytes, true, false)},
                {VectorField("v", 3), VectorField("w", 1).metric(Metric::cosine)});
}

struct Read {
  std::vector<Document> puts;
  std::vector<std::uint64_t> deletes;
};

Read decoded(ByteSpan payload, const Schema& schema) {
  Read read;
  decode_wal_batch(
      payload, schema, path, base,
      [&](DocId id, const Document& document) {
        BOOST_TEST((id == document.id()));
        BOOST_TEST(document.fields().size() == schema.fields().size() + schema.vectors().size());
        read.puts.push_back(document);
      },
      [&](DocId id) { read.deletes.push_back(id.value); });
  return read;
}

void put(WalBatch& batch, const Schema& schema, std::uint64_t id, const Document& document) {
  BoundRow row;
  bind_document(schema, document, row);
  batch.put(DocId{id}, document.key(), row);
}

// The payload that what was read is written as.
Bytes encoded(const Read& read, const Schema& schema) {
  WalBatch batch(schema);
  for (const auto& document : read.puts) put(batch, schema, document.id().value, document);
  for (const auto id : read.deletes) batch.erase(DocId{id});
  const auto bytes = batch.bytes();
  return Bytes(bytes.begin(), bytes.end());
}

// Documents of the every_type schema: row 0 is all null; the others hold what is at the ends of the ranges, empty and long texts.
Document document(std::uint64_t row) {
  Document d(row == 4 ? std::string(1024, 'k') : "key-" + std::to_string(row));
  d.set("v", std::vector<float>{-0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::lowest()});
  d.set("w", std::vector<float>{static_cast<float>(row) + 1});
  if (row == 0) return d;
  const bool top = row % 2 == 0;
  d.set("b", top);
  d.set("i32", top ? std::numeric_limits<std::int32_t>::max() : std::numeric_limits<std::int32_t>::min());
  d.set("i64", top ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int64_t>::min());
  d.set("u32", top ? std::numeric_limits<std::uint32_t>::max() : 0u);
  d.set("u64", top ? std::numeric_limits<std::uint64_t>::max() : std::uint64_t{0});
  d.set("f32", std::bit_cast<float>(top ? 0x7fc12345u : 0x80000000u));  // a NaN with a payload; -0
  d.set("f64", std::bit_cast<double>(top ? 0xfff8000000abcdefull : 0x8000000000000000ull));
  d.set("s", row == 1 ? std::string() : std::string("nul\0 gr\xc3\xbc\xc3\x9f", 11) + std::string(row * 40, 'x'));
  d.set("l", row == 1 ? Strings{} : Strings{"", "a", std::string(row, 'b'), ""});
  d.set("raw", row == 1 ? Bytes{} : Bytes(row * 3, std::byte{0xff}));
  return d;
}

template <class T>
void same_number(const Document& a, const Document& b, const char* name) {
  const auto x = a.get<T>(name), y = b.get<T>(name);
  BOOST_REQUIRE((x.has_value() && y.has_value()));
  BOOST_TEST((std::memcmp(&*x, &*y, sizeof(T)) == 0), name);  // bits: NaN equals itself, -0 is not 0
}
template <class T>
void same_value(const Document& a, const Document& b, const char* name) {
  BOOST_TEST((a.get<T>(name) == b.get<T>(name)), name);
  BOOST_TEST(b.get<T>(name).has_value(), name);
}

Error error_of(ByteSpan payload, const Schema& schema, const std::string& what) {
  const auto error = test::error_of([&] { static_cast<void>(decoded(payload, schema)); });
  BOOST_REQUIRE_MESSAGE(error.has_value(), what << " is accepted");
  return *error;
}
void expect_corruption(ByteSpan payload, const Schema& schema, const std::string& what) {
  const auto error = error_of(payload, schema, what);
  BOOST_TEST((error.code() == Errc::corruption), what << ": " << error.what());
  BOOST_TEST((error.path() == path), what);
  BOOST_REQUIRE_MESSAGE(error.offset().has_value(), what);
  BOOST_TEST((*error.offset() >= base && *error.offset() <= base + payload.size()), what);
}
void expect_corruption_at(std::uint64_t offset, ByteSpan payload, const Schema& schema, const std::string& what) {
  expect_corruption(payload, schema, what);
  BOOST_TEST(*error_of(payload, schema, what).offset() == base + offset, what);
}

Bytes every_type_payload() {
  const auto schema = every_type();
  WalBatch batch(schema);
  for (std::uint64_t row = 0; row < 3; ++row) put(batch, schema, 100 + row, document(row));
  batch.erase(DocId{5});
  batch.erase(DocId{~std::uint64_t{0}});
  const auto bytes = batch.bytes();
  return Bytes(bytes.begin(), bytes.end());
}

// One put, in pieces: the schema has one nullable field of that type and a vector of one element.
Schema one_field(FieldType type, bool nullable = true) { return Schema({Field("f", type, nullable, false)}, {VectorField("v", 1)}); }
Bytes one_put(std::string_view key, std::initializer_list<unsigned> field, float element = 1.0f) {
  Bytes bytes;
  append(bytes, std::uint32_t{1});
  append(bytes, std::uint32_t{0});
  append(bytes, std::uint64_t{7});
  append(bytes, static_cast<std::uint32_t>(key.size()));
  append(bytes, as_bytes(key));
  for (const auto byte : field) append(bytes, static_cast<std::uint8_t>(byte));
  append(bytes, element);
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(batch)

BOOST_AUTO_TEST_CASE(every_field_type_comes_back_bit_by_bit_and_null_stays_null) {
  const auto schema = every_type();
  WalBatch batch(schema);
  constexpr std::uint64_t rows = 6;
  for (std::uint64_t row = 0; row < rows; ++row) put(batch, schema, (std::uint64_t{1} << 40) + row, document(row));
  const auto read = decoded(batch.bytes(), schema);
  BOOST_REQUIRE(read.puts.size() == rows);
  BOOST_TEST(read.deletes.empty());
  for (std::uint64_t row = 0; row < rows; ++row) {
    const auto expected = document(row);
    const auto& found = read.puts[row];
    BOOST_TEST(found.key() == expected.key());
    BOOST_TEST(found.id().value == (std::uint64_t{1} << 40) + row);
    for (const char* name : {"v", "w"}) {
      const auto a = expected.get<std::span<const float>>(name), b = found.get<std::span<const float>>(name);
      BOOST_REQUIRE((a && b && a->size() == b->size()));
      BOOST_TEST((std::memcmp(a->data(), b->data(), a->size_bytes()) == 0));
    }
    if (row == 0) {
      for (const auto& field : schema.fields()) BOOST_TEST(!found.get<std::string>(field.name()).has_value(), field.name());
      continue;
    }
    same_value<bool>(expected, found, "b");
    same_value<std::int32_t>(expected, found, "i32");
    same_value<std::int64_t>(expected, found, "i64");
    same_value<std::uint32_t>(expected, found, "u32");
    same_value<std::uint64_t>(expected, found, "u64");
    same_number<float>(expected, found, "f32");
    same_number<double>(expected, found, "f64");
    same_value<std::string>(expected, found, "s");
    same_value<Strings>(expected, found, "l");
    same_value<Bytes>(expected, found, "raw");
  }
  BOOST_TEST((encoded(read, schema) == Bytes(batch.bytes().begin(), batch.bytes().end())));
}

BOOST_AUTO_TEST_CASE(numbers_given_as_another_type_are_written_as_the_fields_own) {
  const auto schema = every_type();
  Document given("k"), own("k");
  for (auto* d : {&given, &own}) {
    d->set("v", std::vector<float>{1, 2, 3});
    d->set("w", std::vector<float>{4});
  }
  given.set("i32", std::uint64_t{7});
  own.set("i32", std::int32_t{7});
  given.set("i64", std::uint8_t{8});
  own.set("i64", std::int64_t{8});
  given.set("u32", 9);
  own.set("u32", 9u);
  given.set("u64", 10);
  own.set("u64", std::uint64_t{10});
  given.set("f32", 0.1);
  own.set("f32", 0.1f);
  given.set("f64", -3);
  own.set("f64", -3.0);
  WalBatch a(schema), b(schema);
  put(a, schema, 1, given);
  put(b, schema, 1, own);
  BOOST_TEST(std::ranges::equal(a.bytes(), b.bytes()));
}

BOOST_AUTO_TEST_CASE(the_worked_example_of_the_readme_is_what_is_written) {
  const auto log = test::worked_example("include/quiver/wal/README.md");
  const auto payload = test::sample_wal_payload();
  BOOST_REQUIRE(log.size() > 112 + payload.size());
  BOOST_TEST((Bytes(log.begin() + 112, log.begin() + 112 + static_cast<std::ptrdiff_t>(payload.size())) == payload));
  const auto read = decoded(payload, test::sample_wal_schema());
  BOOST_REQUIRE(read.puts.size() == 1u);
  BOOST_TEST(read.puts[0].key() == "tt0111161");
  BOOST_TEST(read.puts[0].id().value == 7u);
  BOOST_TEST((read.puts[0].get<int>("year") == 1994));
  BOOST_TEST((read.puts[0].get<Strings>("genres") == Strings{"Drama", "War"}));
  BOOST_TEST((read.puts[0].get<std::vector<float>>("v") == std::vector<float>{0.5f, -1.0f}));
  BOOST_TEST((read.deletes == std::vector<std::uint64_t>{3}));
}

BOOST_AUTO_TEST_CASE(the_layout_is_the_one_of_the_table) {
  const auto schema = one_field(FieldType::boolean);
  WalBatch batch(schema);
  put(batch, schema, 7, Document("key", {{"f", true}, {"v", std::vector<float>{1}}}));
  BOOST_TEST(std::ranges::equal(batch.bytes(), one_put("key", {1, 1})));
  batch.clear();
  put(batch, schema, 7, Document("key", {{"v", std::vector<float>{1}}}));
  BOOST_TEST(std::ranges::equal(batch.bytes(), one_put("key", {0})));
}

BOOST_AUTO_TEST_CASE(vectors_are_in_it_as_their_fields_store_them) {
  const Schema schema{VectorField("halves", 2).element(Element::float16), VectorField("signed", 2).element(Element::int8),
                      VectorField("bytes", 2).element(Element::uint8)};
  WalBatch batch(schema);
  put(batch, schema, 7,
      Document("key", {{"halves", std::vector<float>{0.5f, -1}}, {"signed", std::vector<float>{-128, 127}}, {"bytes", std::vector<float>{1, 255}}}));
  const std::uint8_t right[] = {1,    0,    0,    0,    0,    0,    0,   0,  // puts: 1, deletes: 0
                                7,    0,    0,    0,    0,    0,    0,   0,  // document 7
                                3,    0,    0,    0,    'k',  'e',  'y',     // its key
                                0x00, 0x38, 0x00, 0xbc, 0x80, 0x7f, 1,   255};
  BOOST_TEST(std::ranges::equal(batch.bytes(), std::as_bytes(std::span(right))));
  const auto read = decoded(batch.bytes(), schema);
  BOOST_REQUIRE(read.puts.size() == 1u);
  BOOST_TEST((read.puts[0].get<std::vector<float>>("halves") == std::vector<float>{0.5f, -1}));
  BOOST_TEST((read.puts[0].get<std::vector<float>>("signed") == std::vector<float>{-128, 127}));
  BOOST_TEST((read.puts[0].get<std::vector<float>>("bytes") == std::vector<float>{1, 255}));
}

BOOST_AUTO_TEST_CASE(an_empty_batch_is_two_counts) {
  const auto schema = every_type();
  WalBatch batch(schema);
  BOOST_TEST((Bytes(batch.bytes().begin(), batch.bytes().end()) == Bytes(8)));
  const auto read = decoded(batch.bytes(), schema);
  BOOST_TEST((read.puts.empty() && read.deletes.empty()));
}

BOOST_AUTO_TEST_CASE(puts_and_deletes_in_any_order_are_the_same_batch_and_bytes_may_be_asked_for_at_any_time) {
  const auto schema = every_type();
  WalBatch mixed(schema);
  mixed.erase(DocId{5});
  put(mixed, schema, 100, document(0));
  BOOST_TEST(decoded(mixed.bytes(), schema).puts.size() == 1u);
  put(mixed, schema, 101, document(1));
  BOOST_TEST(decoded(mixed.bytes(), schema).deletes.size() == 1u);
  mixed.erase(DocId{~std::uint64_t{0}});
  put(mixed, schema, 102, document(2));
  BOOST_TEST(mixed.puts() == 3u);
  BOOST_TEST(mixed.deletes() == 2u);
  BOOST_TEST(std::ranges::equal(mixed.bytes(), every_type_payload()));
  BOOST_TEST(std::ranges::equal(mixed.bytes(), every_type_payload()));
}

BOOST_AUTO_TEST_CASE(a_cleared_batch_is_empty_and_keeps_its_buffer) {
  const auto schema = every_type();
  WalBatch batch(schema);
  for (std::uint64_t row = 0; row < 50; ++row) put(batch, schema, row, document(row));
  batch.erase(DocId{1});
  const auto* where = batch.bytes().data();
  batch.clear();
  BOOST_TEST((batch.puts() == 0u && batch.deletes() == 0u));
  BOOST_TEST((Bytes(batch.bytes().begin(), batch.bytes().end()) == Bytes(8)));
  for (std::uint64_t row = 0; row < 3; ++row) put(batch, schema, 100 + row, document(row));
  batch.erase(DocId{5});
  batch.erase(DocId{~std::uint64_t{0}});
  BOOST_TEST((batch.bytes().data() == where));
  BOOST_TEST(std::ranges::equal(batch.bytes(), every_type_payload()));
}

BOOST_AUTO_TEST_CASE(a_text_too_long_is_refused_and_the_batch_is_as_it_was) {
  BOOST_TEST(wal_length(0xffffffffu) == 0xffffffffu);
  BOOST_TEST((test::code_of([] { static_cast<void>(wal_length(std::size_t{1} << 32)); }) == Errc::invalid_argument));
  const auto schema = every_type();
  WalBatch batch(schema);
  put(batch, schema, 100, document(0));
  put(batch, schema, 101, document(1));
  const auto last = document(2);
  BoundRow row;
  bind_document(schema, last, row);
  // Its length is looked at before its bytes, of which there are three.
  const std::string_view endless("key", std::size_t{1} << 32);
  BOOST_TEST((test::code_of([&] { batch.put(DocId{9}, endless, row); }) == Errc::invalid_argument));
  BOOST_TEST(batch.puts() == 2u);
  BOOST_TEST(decoded(batch.bytes(), schema).puts.size() == 2u);
  BOOST_TEST((test::code_of([&] { batch.put(DocId{9}, endless, row); }) == Errc::invalid_argument));
  batch.put(DocId{102}, last.key(), row);
  batch.erase(DocId{5});
  batch.erase(DocId{~std::uint64_t{0}});
  BOOST_TEST(std::ranges::equal(batch.bytes(), every_type_payload()));
}

BOOST_AUTO_TEST_CASE(every_truncation_is_corruption) {
  const auto schema = every_type();
  const auto payload = every_type_payload();
  for (std::size_t length = 0; length < payload.size(); ++length)
    // A copy of its own length, for AddressSanitizer to watch its end.
    expect_corruption(Bytes(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(length)), schema, "length " + std::to_string(length));
}

BOOST_AUTO_TEST_CASE(bytes_behind_the_end_are_corruption) {
  auto payload = every_type_payload();
  const auto end = payload.size();
  for (std::size_t more = 1; more < 20; ++more) {
    payload.push_back(std::byte{0});
    expect_corruption_at(end, payload, every_type(), std::to_string(more) + " bytes more");
  }
  expect_corruption_at(8, Bytes(9), every_type(), "a byte behind an empty batch");
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_refused_or_another_batch_that_is_written_as_it_was_read) {
  const auto schema = every_type();
  auto payload = every_type_payload();
  std::size_t accepted = 0, refused = 0;
  for (std::size_t bit = 0; bit < payload.size() * 8; ++bit) {
    payload[bit / 8] ^= std::byte{1} << (bit % 8);
    std::optional<Read> read;
    const auto error = test::error_of([&] { read = decoded(payload, schema); });
    if (read) {
      ++accepted;
      BOOST_TEST((encoded(*read, schema) == payload), "bit " << bit);
    } else {
      ++refused;
      expect_corruption(payload, schema, "bit " + std::to_string(bit));
    }
    payload[bit / 8] ^= std::byte{1} << (bit % 8);
  }
  BOOST_TEST(accepted > 100u);
  BOOST_TEST(refused > 100u);
}

BOOST_AUTO_TEST_CASE(counts_that_cannot_fit_are_refused_before_anything_is_passed_on) {
  const auto schema = every_type();
  for (const std::uint32_t count : {1u << 20, 1u << 28, ~0u})
    for (const std::size_t place : {0u, 4u}) {
      auto payload = every_type_payload();
      store(&payload[place], count);
      std::size_t passed_on = 0;
      const auto error = test::error_of([&] {
        decode_wal_batch(
            payload, schema, path, base, [&](DocId, const Document&) { ++passed_on; }, [&](DocId) { ++passed_on; });
      });
      BOOST_REQUIRE(error.has_value());
      BOOST_TEST((error->code() == Errc::corruption));
      BOOST_TEST((error->offset() == base + 8));
      BOOST_TEST(passed_on == 0u);
    }
  // 2^31 puts of at least 2^33 bytes each: 2^64 in all, which is not 0.
  std::vector<VectorField> wide;
  for (std::size_t i = 0; i < 32'767; ++i) wide.emplace_back("v" + std::to_string(i), Schema::max_dimension);
  wide.emplace_back("last", Schema::max_dimension - 3);
  const Schema widest({}, std::move(wide));
  Bytes payload(20);
  store(payload.data(), 1u << 31);
  expect_corruption_at(8, payload, widest, "2^31 puts of 8 GiB");
  store(payload.data(), 0u);
  store(payload.data() + 4, ~0u);
  expect_corruption_at(8, payload, widest, "deletes that are not there");
}

BOOST_AUTO_TEST_CASE(a_flag_or_boolean_other_than_0_and_1_is_corruption_at_its_byte) {
  const auto schema = one_field(FieldType::boolean);
  const std::uint64_t field_at = 8 + 8 + 4 + 3;
  BOOST_TEST((decoded(one_put("key", {1, 0}), schema).puts.at(0).get<bool>("f") == false));
  for (const unsigned byte : {2u, 3u, 128u, 255u}) {
    expect_corruption_at(field_at, one_put("key", {byte, 0}), schema, "a flag");
    expect_corruption_at(field_at, one_put("key", {byte}), schema, "a flag without a value");
    expect_corruption_at(field_at + 1, one_put("key", {1, byte}), schema, "a boolean");
  }
}

BOOST_AUTO_TEST_CASE(hostile_lengths_within_a_put_cost_no_memory) {
  const auto check = [](const Bytes& payload, const Schema& schema, const char* what) {
    expect_corruption(payload, schema, what);
    const test::PeakMemory peak;
    static_cast<void>(test::code_of([&] {
      decode_wal_batch(
          payload, schema, path, base, [](DocId, const Document&) {}, [](DocId) {});
    }));
    BOOST_TEST(peak.bytes() <= 8 * payload.size() + (1u << 16), what);
  };
  for (const auto type : {FieldType::string, FieldType::bytes, FieldType::strings}) {
    check(one_put("key", {1, 0xff, 0xff, 0xff, 0xff}), one_field(type), "length 2^32 - 1");
    check(one_put("key", {1, 0, 0, 0, 0x10}), one_field(type), "length 2^28");
    check(one_put("key", {1, 5, 0, 0, 0}), one_field(type), "one more than there is");
  }
  // Two texts announced, room for two lengths, but the first one takes all.
  check(one_put("key", {1, 2, 0, 0, 0, 4, 0, 0, 0}), one_field(FieldType::strings), "a second text that is not there");
  auto payload = one_put("key", {0});
  store(&payload[16], ~0u);
  check(payload, one_field(FieldType::boolean), "a key of 2^32 - 1 bytes");
  // A million empty texts take four bytes each in the log, and a std::string each in memory.
  Bytes many = one_put("key", {1});
  many.resize(many.size() - 4);
  append(many, std::uint32_t{1'000'000});
  many.resize(many.size() + 4'000'000);
  append(many, 1.0f);
  const test::PeakMemory peak;
  std::size_t texts = 0;
  decode_wal_batch(
      many, one_field(FieldType::strings), path, base, [&](DocId, const Document& d) { texts = std::get<Strings>(d.fields()[0].value().storage()).size(); },
      [](DocId) {});
  BOOST_TEST(texts == 1'000'000u);
  BOOST_TEST(peak.bytes() <= 8 * many.size() + (1u << 20));
}

BOOST_AUTO_TEST_CASE(a_document_that_the_schema_does_not_accept_is_corruption_at_its_put) {
  const auto expect = [](const Bytes& payload, const Schema& schema, const char* what) { expect_corruption_at(8, payload, schema, what); };
  expect(one_put("", {0}), one_field(FieldType::boolean), "an empty key");
  expect(one_put(std::string(1025, 'k'), {0}), one_field(FieldType::boolean), "a long key");
  expect(one_put("k\xff", {0}), one_field(FieldType::boolean), "a key that is not UTF-8");
  expect(one_put("key", {0}), one_field(FieldType::boolean, false), "null where none may be");
  expect(one_put("key", {1, 1, 0, 0, 0, 0xff}), one_field(FieldType::string), "a text that is not UTF-8");
  expect(one_put("key", {1, 1, 0, 0, 0, 1, 0, 0, 0, 0xff}), one_field(FieldType::strings), "a list with a text that is not UTF-8");
  expect(one_put("key", {0}, std::numeric_limits<float>::infinity()), one_field(FieldType::boolean), "an element that is not finite");
  expect(one_put("key", {0}, std::numeric_limits<float>::quiet_NaN()), one_field(FieldType::boolean), "an element that is not a number");
  BOOST_TEST(decoded(one_put("key", {1, 1, 0, 0, 0, 0xff}), one_field(FieldType::bytes)).puts.size() == 1u);
}

BOOST_AUTO_TEST_CASE(what_the_callers_functions_throw_comes_through) {
  const auto payload = every_type_payload();
  const auto stop = [] { throw std::out_of_range("enough"); };
  BOOST_CHECK_THROW(decode_wal_batch(
                        payload, every_type(), path, base, [&](DocId, const Document&) { stop(); }, [](DocId) {}),
                    std::out_of_range);
  BOOST_CHECK_THROW(decode_wal_batch(
                        payload, every_type(), path, base, [](DocId, const Document&) {}, [&](DocId) { stop(); }),
                    std::out_of_range);
}

BOOST_AUTO_TEST_SUITE_END()
