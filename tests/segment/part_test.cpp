#include <quiver/segment/part.hpp>

#include <quiver/columns/writer.hpp>
#include <quiver/segment/merge.hpp>
#include <quiver/segment/segment.hpp>
#include <quiver/storage/memory.hpp>

#include "support/counting_policy.hpp"
#include "support/error_code.hpp"
#include "support/strict_policy.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::detail;
using test::code_of;
using test::error_of;

namespace {

using P = test::CountingPolicy<test::BasicStrictPolicy<MemoryPolicy>>;  // whose views end with their scope

/// A store in memory of one memtable's rows, written as one part.
struct Written {
  explicit Written(Schema of, std::uint64_t rows) : schema(std::move(of)), memtable(schema, DocId{100}) {
    for (std::uint64_t row = 0; row < rows; ++row) {
      Document document("key-" + std::to_string(row));
      for (const auto& field : schema.fields()) document.set(field.name(), static_cast<std::int32_t>(row));
      for (const auto& field : schema.vectors()) document.set(field.name(), std::vector<float>(field.dimension(), static_cast<float>(row) + 1));
      BoundRow bound;
      bind_document(schema, document, bound);
      memtable.append(document.key(), fingerprint(document.key()), bound);
    }
    auto draft = store.create("seg-000001/blk-000000.scalar");
    files.scalar = {"seg-000001/blk-000000.scalar", write_scalar_block(draft, schema, memtable, 0, rows)};
    store.publish(std::move(draft));
    for (std::size_t i = 0; i < schema.vectors().size(); ++i) {
      const auto& field = schema.vectors()[i];
      const auto name = "seg-000001/blk-00000" + std::to_string(i + 1) + ".vector_index";
      auto block = store.create(name);
      files.vectors.push_back({name, write_flat_block(block, field.metric(), {field.dimension(), field.element()}, rows,
                                                      [&](std::uint64_t row) { return memtable.vector(i, row).data(); })});
      store.publish(std::move(block));
    }
    files.graphs.resize(files.vectors.size());
    files.codes.resize(files.vectors.size());
    files.rows = rows;
    files.first = DocId{100};
    files.last = DocId{100 + rows - 1};
  }
  [[nodiscard]] std::shared_ptr<const Part<P>> part() const { return std::make_shared<Part<P>>(store, schema, files); }
  [[nodiscard]] Rows<P> rows(DeleteSet deletes = {}, std::uint64_t deleted = 0) const { return {{part()}, nullptr, {}, std::move(deletes), deleted}; }

  Schema schema;
  P::Store store = P::create_store({});
  Memtable memtable;
  PartFiles files;
};

Schema numbers_and_vectors() { return Schema{Field::int32("a"), Field::int32("b"), VectorField("v", 2), VectorField("w", 3)}; }

}  // namespace

BOOST_AUTO_TEST_SUITE(part)

BOOST_AUTO_TEST_CASE(fields_and_vectors_are_asked_for_by_name_each_once) {
  const auto schema = numbers_and_vectors();
  const Projection some(schema, {"w", "b", "w", "b"}, false);
  BOOST_TEST(some.scalars == std::vector<std::size_t>{1}, boost::test_tools::per_element());
  BOOST_TEST(some.vectors == std::vector<std::size_t>{1}, boost::test_tools::per_element());
  const Projection all(schema, {}, true);
  BOOST_TEST((all.scalars.size() == 2u && all.vectors.size() == 2u));
  const Projection scalars(schema, {}, false);
  BOOST_TEST((scalars.scalars.size() == 2u && scalars.vectors.empty()));
  const Projection none(schema, FieldNames::none(), true);
  BOOST_TEST((none.scalars.empty() && none.vectors.empty()));
  BOOST_TEST(code_of([&] { Projection(schema, {"v", "x"}, true); }) == Errc::invalid_argument);
}

BOOST_AUTO_TEST_CASE(a_part_gives_what_was_asked_for_and_no_more) {
  const Written written(numbers_and_vectors(), 5);
  const auto part = written.part();
  auto scope = written.store.read_scope();
  Document document("key-3");
  part->read(scope, written.schema, Projection(written.schema, {"w", "a"}, false), 3, document);
  BOOST_TEST((document == Document{"key-3", {{"a", 3}, {"w", {4.f, 4.f, 4.f}}}}));
}

BOOST_AUTO_TEST_CASE(a_block_of_other_rows_or_ids_than_the_manifest_names_is_corruption) {
  Written written(Schema{Field::int32("a")}, 5);
  BOOST_TEST(written.part()->rows() == 5u);
  const auto refused = [&](auto change) {
    auto files = written.files;
    change(files);
    const auto error = error_of([&] { Part<P>(written.store, written.schema, files); });
    BOOST_REQUIRE(error.has_value());
    BOOST_TEST(error->code() == Errc::corruption);
    BOOST_TEST(error->path() == files.scalar.name);
  };
  refused([](PartFiles& files) { files.rows = 4; });
  refused([](PartFiles& files) { files.rows = 6; });
  refused([](PartFiles& files) { ++files.first.value; });
  refused([](PartFiles& files) { ++files.last.value; });
  refused([](PartFiles& files) { files.scalar.name = "seg-000001/blk-000009.scalar"; });
}

BOOST_AUTO_TEST_CASE(codes_stand_beside_the_vectors_that_have_them_and_are_of_the_same_rows) {
  for (const std::size_t rows : {5u, 4u}) {
    Written written(numbers_and_vectors(), 5);
    const std::vector<float> values{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5};
    auto& ref = written.files.codes[1];
    ref.name = "seg-000001/blk-000003.vector_quant";
    auto draft = written.store.create(ref.name);
    ref.identity = write_codes_block<Sq8Quantizer>(draft, Metric::l2, {values.data(), nullptr, rows, 3}, [](std::uint64_t) {});
    written.store.publish(std::move(draft));
    if (rows == 5) {
      const auto part = written.part();
      BOOST_TEST((part->codes(0) == nullptr && part->codes(1) != nullptr));
      BOOST_TEST((part->graph(0) == nullptr && part->graph(1) == nullptr));
      const auto query = part->codes(1)->prepare(FlatQuery(Metric::l2, std::span(values).first(3)));
      BOOST_REQUIRE(query.has_value());
      BOOST_TEST(std::visit([](const auto& one) { return one.at(4); }, *query) == 48.0f, boost::test_tools::tolerance(1e-3f));
    } else {
      const auto error = error_of([&] { static_cast<void>(written.part()); });
      BOOST_REQUIRE(error.has_value());
      BOOST_TEST(error->code() == Errc::corruption);
      BOOST_TEST(error->path() == ref.name);
    }
  }
}

BOOST_AUTO_TEST_CASE(live_rows_come_in_windows_of_at_most_the_size_asked_for) {
  const Written written(numbers_and_vectors(), 10);
  const auto deletes = DeleteSet().with(std::vector{DocId{100}, DocId{104}, DocId{109}});
  const std::vector parts{written.part()};
  for (const std::uint64_t most : {1u, 3u, 4u, 7u, 8u}) {
    LiveWindow<P> window(written.store, parts, deletes);
    std::vector<std::string> keys;
    std::vector<std::uint64_t> sizes;
    while (window.fill(most)) {
      sizes.push_back(window.rows());
      for (std::uint64_t row = 0; row < window.rows(); ++row) {
        keys.emplace_back(window.key(row));
        BOOST_TEST((window.cell(1, row) == Cell(static_cast<std::int64_t>(window.doc_id(row).value - 100))));
      }
    }
    BOOST_TEST(keys == (std::vector<std::string>{"key-1", "key-2", "key-3", "key-5", "key-6", "key-7", "key-8"}), boost::test_tools::per_element());
    for (std::size_t i = 0; i < sizes.size(); ++i) BOOST_TEST(sizes[i] == std::min<std::uint64_t>(most, 7 - i * most));
    BOOST_TEST(!window.fill(most));
  }
}

BOOST_AUTO_TEST_CASE(many_queries_for_nothing_and_queries_of_nothing_look_at_no_row) {
  const Written written(numbers_and_vectors(), 3);
  const std::vector<float> queries{1, 1, 2, 2, 3, 3};
  const auto search = [&](const Rows<P>& rows, std::size_t k) {
    P::counts.reset();
    const auto results = rows.search_batch(written.store, written.schema, {.field = "v", .queries = queries, .k = k});
    BOOST_TEST_REQUIRE(results.size() == 3u);
    for (const auto& result : results) BOOST_TEST(result.stats().rows_visited == (k == 0 || rows.documents() == 0 ? 0u : 3u));
    BOOST_TEST((P::counts.views == 0u) == (k == 0 || rows.documents() == 0));
    return results[1].size();
  };
  BOOST_TEST(search(written.rows(), 2) == 2u);
  BOOST_TEST(search(written.rows(), 0) == 0u);
  BOOST_TEST(search(written.rows(DeleteSet().with(std::vector{DocId{100}, DocId{101}, DocId{102}}), 3), 2) == 0u);
}

BOOST_AUTO_TEST_CASE(a_segment_of_no_parts_has_no_columns_rows_or_answers) {
  const auto schema = std::make_shared<const Schema>(numbers_and_vectors());
  const Segment<P> empty(std::make_shared<const P::Store>(P::create_store({})), schema, SegmentId{7}, Rows<P>({}, nullptr, {}, {}, 0));
  BOOST_TEST(empty.physical_schema().empty());
  BOOST_TEST(empty.row_groups().empty());
  BOOST_TEST(empty.rows() == 0u);
  BOOST_TEST(!empty.fetch(RowId{0}).has_value());
  BOOST_TEST(empty.search({.field = "v", .query = {1.0f, 2.0f}}).size() == 0u);
  const Written written(*schema, 2);
  const Segment<P> full(std::make_shared<const P::Store>(written.store), schema, SegmentId{7}, written.rows());
  BOOST_TEST(full.physical_schema().size() == 4u);
}

BOOST_AUTO_TEST_SUITE_END()
