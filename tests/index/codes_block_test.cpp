#include <quiver/index/codes_block.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/test/unit_test.hpp>

#include "support/block_bytes.hpp"
#include "support/clusters.hpp"
#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <bit>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::detail;

namespace quiver::test::codes_block_tests {

constexpr std::string_view file_name = "seg-000001/blk-000001.vector_quant";
constexpr Metric all_metrics[] = {Metric::l2, Metric::inner_product, Metric::cosine};
constexpr auto no_steps = [](std::uint64_t) {};
constexpr float infinite = std::numeric_limits<float>::infinity();

/// A store of one file, written under MMapPolicy by write(draft) -> FileIdentity.
struct Written {
  explicit Written(const std::function<FileIdentity(MMapPolicy::Draft&)>& write) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(file_name);
    identity = write(draft);
    store.publish(std::move(draft));
  }
  Written(Metric metric, const FlatRows& rows) : Written([&](auto& draft) { return write_sq8_block(draft, metric, rows, no_steps); }) {}
  template <class P>
  [[nodiscard]] CodesBlock<typename P::Reader> open(Metric metric, std::size_t dimension, std::uint64_t rows) const {
    const auto store = P::open_store(folder / "store", {}, OpenMode::read_only);
    auto scope = store.read_scope();
    return {store.open(file_name, identity), scope, identity, metric, dimension, rows};
  }
  TempFolder folder;
  FileIdentity identity;
};

/// A codes block in memory, of which everything can be said as no writer would.
struct Forged {
  std::vector<float> offsets{1, 2, 3}, steps{0.5f, 0, 0.25f};
  Bytes codes = Bytes(2 * 4 + code_block, std::byte{5});
  Bytes terms = Bytes(2 * sizeof(float));
  std::uint32_t kind = 1, metric = 0;
  std::uint64_t rows = 2;
  std::uint32_t dimension = 3, stride = 4;
  std::size_t more_tail = 0, less_tail = 0;
  BlockKind block = BlockKind::vector_quant;
  std::string offsets_name{offsets_section}, steps_name{steps_section}, codes_name{codes_section}, terms_name{terms_section};

  [[nodiscard]] FileIdentity write(BytesDraft& draft) const {
    BlockWriter<BytesDraft> writer(draft, block, FileId{1, 2});
    const auto put = [&](const std::string& name, ByteSpan bytes) {
      writer.begin_section(name);
      writer.append(bytes);
      writer.end_section();
    };
    put(offsets_name, std::as_bytes(std::span(offsets)));
    put(steps_name, std::as_bytes(std::span(steps)));
    put(codes_name, codes);
    put(terms_name, terms);
    Bytes tail;
    append(tail, kind);
    append(tail, metric);
    append(tail, rows);
    append(tail, dimension);
    append(tail, stride);
    tail.resize(tail.size() + more_tail - less_tail);
    return writer.finish(tail);
  }
  /// What opening it as two rows of three dimensions under L2 throws, where that is an error with path and offset.
  [[nodiscard]] Errc open() const {
    BytesDraft draft;
    const auto identity = write(draft);
    const auto error = error_of([&] {
      BytesScope scope;
      const CodesBlock<BytesReader> opened(BytesReader(draft.bytes, "forged"), scope, identity, Metric::l2, 3, 2);
      const std::vector<float> query{1, 2, 3};
      if (const auto prepared = opened.prepare(FlatQuery(Metric::l2, query))) static_cast<void>(prepared->at(1));
    });
    if (error) BOOST_TEST((error->path() == "forged" && error->offset().has_value()));
    return error ? error->code() : Errc::none;
  }
};
Errc forged(const std::function<void(Forged&)>& change) {
  Forged forge;
  change(forge);
  return forge.open();
}

using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, FileReadPolicy, BasicStrictPolicy<MemoryPolicy>>;

/// Two rows of three dimensions: whole numbers, others, and one that never changes.
Bytes golden_block() {
  const std::vector<float> values{0, 0.5f, 7, 3, 1.5f, 7};
  BytesDraft draft;
  static_cast<void>(write_sq8_block(draft, Metric::l2, {values.data(), nullptr, 2, 3}, no_steps, FileId{0x1716151413121110ull, 0x2726252423222120ull}));
  return std::move(draft.bytes);
}

}  // namespace quiver::test::codes_block_tests

using namespace quiver::test::codes_block_tests;
using quiver::test::BytesDraft;
using quiver::test::BytesReader;
using quiver::test::BytesScope;
using quiver::test::Clusters;
using quiver::test::code_of;

BOOST_AUTO_TEST_SUITE(codes_block)

BOOST_AUTO_TEST_CASE_TEMPLATE(estimates_from_a_file_are_those_of_the_quantizer_in_memory, P, Policies) {
  const Clusters data(1500, 13, 9, 1);  // more than one batch of the writer
  for (const auto metric : all_metrics) {
    Sq8Quantizer::Trainer trainer(13);
    const auto seen = [&](std::size_t r) { return scaled(metric, data.row(r), data.rows().inverse_norms[r]); };
    for (std::size_t r = 0; r < data.size(); ++r) trainer.add(seen(r));
    const auto quantizer = trainer.finish(metric);
    const auto stride = quantizer.code_bytes();
    Bytes codes(data.size() * stride + code_block);
    std::vector<float> terms(data.size());
    for (std::size_t r = 0; r < data.size(); ++r) terms[r] = quantizer.encode(seen(r), &codes[r * stride]);
    const auto bytes_of_terms = quantizer.with_terms() ? terms.size() * sizeof(float) : 0;

    const Written written(metric, data.rows());
    const auto opened = written.open<P>(metric, 13, data.size());
    BOOST_TEST(opened.row_bytes() == stride + (quantizer.with_terms() ? sizeof(float) : 0));
    BOOST_TEST(opened.copied() == (requires(typename P::Reader reader) { reader.data(); } ? 0u : codes.size() + bytes_of_terms));
    BOOST_TEST(opened.block().sections().size() == (quantizer.with_terms() ? 4u : 3u));
    for (std::size_t q = 0; q < 5; ++q) {
      const FlatQuery query(metric, data.query(q));
      const auto expected = quantizer.prepare(scaled(metric, data.query(q), query.inverse_norm()), {codes.data(), terms.data()});
      const auto found = opened.prepare(query);
      BOOST_REQUIRE(found.has_value());
      std::size_t different = 0;
      for (std::uint32_t r = 0; r < data.size(); ++r)
        different += std::bit_cast<std::uint32_t>(found->at(r)) != std::bit_cast<std::uint32_t>(expected.at(r)) ? 1u : 0u;
      BOOST_TEST(different == 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(codes_of_more_than_a_megabyte_are_copied_whole, P, Policies) {
  const Clusters data(9000, 125, 5, 2);
  const Written written(Metric::l2, data.rows());
  const auto opened = written.open<P>(Metric::l2, 125, data.size());
  const auto query = opened.prepare(FlatQuery(Metric::l2, data.row(8999)));
  BOOST_REQUIRE(query.has_value());
  for (std::uint32_t r = 0; r < 9000; r += 13)
    BOOST_TEST(static_cast<double>(query->at(r)) == oracle_distance(Metric::l2, data.row(8999), data.row(r)), boost::test_tools::tolerance(0.05));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_whose_numbers_are_too_large_have_no_codes_and_a_block_all_the_same, P, Policies) {
  Clusters data(50, 4, 3, 3);
  data.scale(7, 1e20f);
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    std::uint64_t stepped = 0;
    const Written written([&](auto& draft) { return write_sq8_block(draft, metric, data.rows(), [&](std::uint64_t rows) { stepped += rows; }); });
    BOOST_TEST(stepped == 50u);
    const auto opened = written.open<P>(metric, 4, 50);
    BOOST_TEST(opened.row_bytes() == 0u);
    BOOST_TEST(opened.copied() == 0u);
    BOOST_TEST(opened.block().sections().empty());
    BOOST_TEST(!opened.prepare(FlatQuery(metric, data.query(0))).has_value());
    BOOST_TEST((code_of([&] { static_cast<void>(written.open<P>(metric, 4, 51)); }) == Errc::corruption));
  }
  const Written written(Metric::cosine, data.rows());  // under which they are directions
  BOOST_TEST(written.open<P>(Metric::cosine, 4, 50).prepare(FlatQuery(Metric::cosine, data.query(0))).has_value());
}

BOOST_AUTO_TEST_CASE(a_query_whose_numbers_are_too_large_is_not_prepared) {
  const Clusters data(50, 4, 3, 4);
  const Written written(Metric::l2, data.rows());
  const auto opened = written.open<MMapPolicy>(Metric::l2, 4, 50);
  for (const float x : {1e15f, std::numeric_limits<float>::max()}) {
    const std::vector<float> query{x, 0, 0, -x};
    BOOST_TEST(!opened.prepare(FlatQuery(Metric::l2, query)).has_value());
  }
  BOOST_TEST(opened.prepare(FlatQuery(Metric::l2, std::vector<float>{1e9f, 0, 0, -1e9f})).has_value());
}

BOOST_AUTO_TEST_CASE(every_row_is_told_to_the_step_once) {
  for (const std::size_t rows : {1u, 1023u, 1024u, 1025u, 2049u}) {
    const Clusters data(rows, 3, 2, 5);
    std::uint64_t sum = 0, most = 0;
    BytesDraft draft;
    static_cast<void>(write_sq8_block(draft, Metric::l2, data.rows(), [&](std::uint64_t step) { sum += step, most = std::max(most, step); }));
    BOOST_TEST((sum == rows && most <= 1024u));
    BOOST_CHECK_THROW(static_cast<void>(write_sq8_block(draft, Metric::l2, data.rows(), [](std::uint64_t) { throw std::runtime_error("enough"); })),
                      std::runtime_error);
  }
}

BOOST_AUTO_TEST_CASE(codes_of_other_rows_another_dimension_or_metric_are_corruption) {
  const Clusters data(300, 4, 3, 6);
  for (const auto metric : all_metrics) {
    const Written written(metric, data.rows());
    const auto open = [&](Metric as, std::size_t dimension, std::uint64_t rows) {
      return code_of([&] { static_cast<void>(written.open<MMapPolicy>(as, dimension, rows)); });
    };
    BOOST_TEST((open(metric, 4, 300) == Errc::none));
    for (const auto other : all_metrics)
      if (other != metric) BOOST_TEST((open(other, 4, 300) == Errc::corruption));
    for (const std::size_t dimension : {0u, 3u, 5u, 8u, 65'536u}) BOOST_TEST((open(metric, dimension, 300) == Errc::corruption));
    for (const std::uint64_t rows : {std::uint64_t{0}, std::uint64_t{299}, std::uint64_t{301}, ~std::uint64_t{0}})
      BOOST_TEST((open(metric, 4, rows) == Errc::corruption));
  }
}

// Bytes that every checksum agrees with, and that are no codes all the same.
BOOST_AUTO_TEST_CASE(what_cannot_be_codes_is_corruption) {
  BOOST_TEST((forged([](Forged&) {}) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { f.kind = 2; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.kind = ~0u; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.metric = 1; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.metric = 3; }) == Errc::corruption));
  for (const std::uint64_t rows : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, ~std::uint64_t{0}})
    BOOST_TEST((forged([&](Forged& f) { f.rows = rows; }) == Errc::corruption));
  for (const std::uint32_t dimension : {0u, 2u, 4u, ~0u}) BOOST_TEST((forged([&](Forged& f) { f.dimension = dimension; }) == Errc::corruption));
  for (const std::uint32_t stride : {0u, 1u, 2u, 3u, 5u, 8u, ~0u}) BOOST_TEST((forged([&](Forged& f) { f.stride = stride; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.more_tail = 1; }) == Errc::corruption));
  for (const std::size_t less : {1u, 4u, 23u, 24u}) BOOST_TEST((forged([&](Forged& f) { f.less_tail = less; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.block = BlockKind::vector_graph; }) == Errc::corruption));
  for (const auto section : {&Forged::offsets_name, &Forged::steps_name, &Forged::codes_name, &Forged::terms_name})
    BOOST_TEST((forged([&](Forged& f) { f.*section = "another"; }) == Errc::corruption));
  for (const std::size_t count : {0u, 2u, 4u})
    for (const auto section : {&Forged::offsets, &Forged::steps}) BOOST_TEST((forged([&](Forged& f) { (f.*section).resize(count); }) == Errc::corruption));
  // The codes of one row less and of one more, without what may be read behind them, with less of it, with a byte more, and none.
  for (const std::size_t size : {0u, 1u, 8u, 63u, 64u, 8u + 60u, 4u + 64u, 12u + 64u, 8u + 63u, 8u + 65u})
    BOOST_TEST((forged([&](Forged& f) { f.codes.resize(size); }) == Errc::corruption), size << " bytes of codes");
  for (const std::size_t size : {0u, 4u, 7u, 9u, 12u}) BOOST_TEST((forged([&](Forged& f) { f.terms.resize(size); }) == Errc::corruption), size << " of terms");
}

BOOST_AUTO_TEST_CASE(an_offset_or_a_step_that_is_no_number_or_too_large_is_corruption) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < 3; ++i) {
    for (const float x : {nan, -nan, infinite, -infinite, 1e13f, -1e13f, 3e38f}) {
      BOOST_TEST((forged([&](Forged& f) { f.offsets[i] = x; }) == Errc::corruption), x);
      BOOST_TEST((forged([&](Forged& f) { f.steps[i] = x; }) == Errc::corruption), x);
    }
    for (const float x : {-1.0f, -1e-45f}) BOOST_TEST((forged([&](Forged& f) { f.steps[i] = x; }) == Errc::corruption), x);
    BOOST_TEST((forged([&](Forged& f) { f.offsets[i] = -1e9f; }) == Errc::none));
    BOOST_TEST((forged([&](Forged& f) { f.steps[i] = -0.0f; }) == Errc::none));
  }
}

BOOST_AUTO_TEST_CASE(a_block_without_codes_says_nothing_of_their_size) {
  BOOST_TEST((forged([](Forged& f) { f.kind = 0, f.stride = 0; }) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { f.kind = 0; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.kind = 0, f.stride = 0, f.rows = 3; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.kind = 0, f.stride = 0, f.metric = 2; }) == Errc::corruption));
}

// The bytes of released formats never change: a failure here is an incompatible change, not an outdated file.
BOOST_AUTO_TEST_CASE(the_golden_block_is_the_worked_example_of_the_readme_and_written_byte_for_byte) {
  const auto bytes = quiver::test::repository_file("tests/golden/two_rows.vector_quant");
  BOOST_TEST((quiver::test::worked_example("include/quiver/index/README.md") == bytes));
  BOOST_TEST((golden_block() == bytes));
  BytesScope scope;
  const CodesBlock<BytesReader> opened(BytesReader(bytes), scope, quiver::test::claimed_identity(bytes), Metric::l2, 3, 2);
  opened.block().verify(scope);
  const std::vector<float> query{3, 0.5f, 7};
  const auto prepared = opened.prepare(FlatQuery(Metric::l2, query));
  BOOST_REQUIRE(prepared.has_value());
  BOOST_TEST(prepared->at(0) == 9.0f, boost::test_tools::tolerance(1e-3f));
  BOOST_TEST(prepared->at(1) == 1.0f, boost::test_tools::tolerance(1e-3f));
}

BOOST_AUTO_TEST_SUITE_END()
