#include <quiver/index/codes_block.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/mp11/algorithm.hpp>
#include <boost/test/unit_test.hpp>

#include "support/block_bytes.hpp"
#include "support/clusters.hpp"
#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
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
  template <class Q = Sq8Quantizer>
  Written(Metric metric, const FlatRows& rows, std::type_identity<Q> = {})
      : Written([&](auto& draft) { return write_codes_block<Q>(draft, metric, rows, no_steps); }) {}
  template <class P>
  [[nodiscard]] CodesBlock<typename P::Reader> open(Metric metric, std::size_t dimension, std::uint64_t rows) const {
    const auto store = P::open_store(folder / "store", {}, OpenMode::read_only);
    auto scope = store.read_scope();
    return {store.open(file_name, identity), scope, identity, metric, dimension, rows};
  }
  TempFolder folder;
  FileIdentity identity;
};

[[nodiscard]] float estimate(const CodesQuery& query, std::uint32_t row) {
  return std::visit([row](const auto& one) { return one.at(row); }, query);
}

/// A codes block in memory, of which everything can be said as no writer would.
struct Forged {
  std::vector<float> offsets{1, 2, 3}, steps{0.5f, 0, 0.25f};
  std::vector<float> scale{4};
  Bytes codes = Bytes(2 * 4 + code_block, std::byte{5});
  Bytes terms = Bytes(2 * sizeof(float));
  std::uint32_t kind = 1, metric = 0;
  std::uint64_t rows = 2;
  std::uint32_t dimension = 3, stride = 4;
  std::size_t more_tail = 0, less_tail = 0;
  BlockKind block = BlockKind::vector_quant;
  std::string offsets_name{offsets_section}, steps_name{steps_section}, codes_name{codes_section}, terms_name{terms_section}, scale_name{scale_section};

  /// What it is where it is of this kind; the codes of one kind are as good as those of another.
  static Forged of(CodesKind kind) {
    Forged out;
    out.kind = static_cast<std::uint32_t>(kind);
    out.stride = kind == CodesKind::float16 ? 6 : 4;
    out.codes.resize(2 * out.stride + code_block, std::byte{5});
    return out;
  }

  [[nodiscard]] FileIdentity write(BytesDraft& draft) const {
    BlockWriter<BytesDraft> writer(draft, block, FileId{1, 2});
    const auto put = [&](const std::string& name, ByteSpan bytes) {
      writer.begin_section(name);
      writer.append(bytes);
      writer.end_section();
    };
    put(scale_name, std::as_bytes(std::span(scale)));
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
      if (const auto prepared = opened.prepare(FlatQuery(Metric::l2, query))) static_cast<void>(estimate(*prepared, 1));
    });
    if (error) BOOST_TEST((error->path() == "forged" && error->offset().has_value()));
    return error ? error->code() : Errc::none;
  }
};
Errc forged(const std::function<void(Forged&)>& change, CodesKind kind = CodesKind::sq8) {
  auto forge = Forged::of(kind);
  change(forge);
  return forge.open();
}

using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, FileReadPolicy, BasicStrictPolicy<MemoryPolicy>>;

using Quantizers = std::tuple<Sq8Quantizer, Sq4Quantizer, Float16Quantizer>;

/// Two rows of three dimensions: whole numbers, others, and one that never changes.
template <class Q>
Bytes golden_block(Metric metric = Metric::l2) {
  const std::vector<float> values{0, 0.5f, 7, 3, 1.5f, 7};
  const std::vector<float> inverse_norms{1.0f / 8, 1.0f / 4};  // not theirs, and whole
  BytesDraft draft;
  static_cast<void>(
      write_codes_block<Q>(draft, metric, {values.data(), inverse_norms.data(), 2, 3}, no_steps, FileId{0x1716151413121110ull, 0x2726252423222120ull}));
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

using PoliciesAndQuantizers = boost::mp11::mp_product<std::pair, Policies, Quantizers>;
BOOST_AUTO_TEST_CASE_TEMPLATE(estimates_from_a_file_are_those_of_the_quantizer_in_memory, Both, PoliciesAndQuantizers) {
  using P = typename Both::first_type;
  using Q = typename Both::second_type;
  const Clusters data(1500, 13, 9, 1);  // more than one batch of the writer
  for (const auto metric : all_metrics) {
    typename Q::Trainer trainer(13);
    const auto seen = [&](std::size_t r) { return scaled(metric, data.row(r), data.rows().inverse_norms[r]); };
    for (std::size_t r = 0; r < data.size(); ++r) trainer.add(seen(r));
    const auto quantizer = trainer.finish(metric);
    const auto stride = quantizer.code_bytes();
    Bytes codes(data.size() * stride + code_block);
    std::vector<float> terms(data.size());
    for (std::size_t r = 0; r < data.size(); ++r) terms[r] = quantizer.encode(seen(r), &codes[r * stride]);
    const auto bytes_of_terms = quantizer.with_terms() ? terms.size() * sizeof(float) : 0;

    const Written written(metric, data.rows(), std::type_identity<Q>{});
    const auto opened = written.template open<P>(metric, 13, data.size());
    BOOST_TEST(opened.row_bytes() == stride + (quantizer.with_terms() ? sizeof(float) : 0));
    BOOST_TEST(opened.copied() == (requires(typename P::Reader reader) { reader.data(); } ? 0u : codes.size() + bytes_of_terms));
    BOOST_TEST((opened.kind() == codes_kind_of<Q>));
    BOOST_TEST(opened.block().sections().size() == (std::is_same_v<Q, Float16Quantizer> ? 2u : quantizer.with_terms() ? 4u : 3u));
    for (std::size_t q = 0; q < 5; ++q) {
      const FlatQuery query(metric, data.query(q));
      const auto expected = quantizer.prepare(scaled(metric, data.query(q), query.inverse_norm()), {codes.data(), terms.data()});
      const auto found = opened.prepare(query);
      BOOST_REQUIRE((found.has_value() && std::holds_alternative<typename Q::Query>(*found)));
      std::size_t different = 0;
      for (std::uint32_t r = 0; r < data.size(); ++r)
        different += std::bit_cast<std::uint32_t>(estimate(*found, r)) != std::bit_cast<std::uint32_t>(expected.at(r)) ? 1u : 0u;
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
    BOOST_TEST(static_cast<double>(estimate(*query, r)) == oracle_distance(Metric::l2, data.row(8999), data.row(r)), boost::test_tools::tolerance(0.05));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_whose_numbers_are_too_large_have_no_codes_and_a_block_all_the_same, Both, PoliciesAndQuantizers) {
  using P = typename Both::first_type;
  using Q = typename Both::second_type;
  Clusters data(50, 4, 3, 3);
  data.scale(7, 1e20f);
  for (const auto metric : {Metric::l2, Metric::inner_product}) {
    std::uint64_t stepped = 0;
    const Written written([&](auto& draft) { return write_codes_block<Q>(draft, metric, data.rows(), [&](std::uint64_t rows) { stepped += rows; }); });
    BOOST_TEST(stepped == 50u);
    const auto opened = written.template open<P>(metric, 4, 50);
    BOOST_TEST(opened.row_bytes() == 0u);
    BOOST_TEST((opened.kind() == CodesKind::none));
    BOOST_TEST(opened.copied() == 0u);
    BOOST_TEST(opened.block().sections().empty());
    BOOST_TEST(!opened.prepare(FlatQuery(metric, data.query(0))).has_value());
    BOOST_TEST((code_of([&] { static_cast<void>(written.template open<P>(metric, 4, 51)); }) == Errc::corruption));
  }
  const Written written(Metric::cosine, data.rows(), std::type_identity<Q>{});  // under which they are directions
  BOOST_TEST(written.template open<P>(Metric::cosine, 4, 50).prepare(FlatQuery(Metric::cosine, data.query(0))).has_value());
}

// Where clusters lie so far apart that to the steps of a quantizer all rows of one are the same, an estimate says nothing.
BOOST_AUTO_TEST_CASE_TEMPLATE(codes_that_tell_no_rows_apart_are_left_out, Q, Quantizers) {
  const auto kind = [](Metric metric, const Clusters& data) {
    std::uint64_t stepped = 0;
    const Written written([&](auto& draft) { return write_codes_block<Q>(draft, metric, data.rows(), [&](std::uint64_t rows) { stepped += rows; }); });
    BOOST_TEST(stepped == data.size());
    const auto opened = written.template open<MMapPolicy>(metric, data.dimension(), data.size());
    BOOST_TEST(opened.prepare(FlatQuery(metric, data.query(0))).has_value() == (opened.kind() != CodesKind::none));
    return opened.kind();
  };
  const Clusters apart(2'000, 8, 10, 9, 1e5f), usual(2'000, 8, 10, 9), few(319, 8, 3, 9, 1e5f);
  Clusters same(2'000, 8, 10, 9);
  same.set_all(3.25f);
  BOOST_TEST((kind(Metric::l2, apart) == CodesKind::none));
  for (const auto metric : all_metrics) {
    BOOST_TEST((kind(metric, usual) == codes_kind_of<Q>), "metric " << static_cast<int>(metric));
    BOOST_TEST((kind(metric, few) == codes_kind_of<Q>), "metric " << static_cast<int>(metric));
    BOOST_TEST((kind(metric, same) == codes_kind_of<Q>), "metric " << static_cast<int>(metric));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_query_whose_numbers_are_too_large_is_not_prepared, Q, Quantizers) {
  const Clusters data(50, 4, 3, 4);
  const Written written(Metric::l2, data.rows(), std::type_identity<Q>{});
  const auto opened = written.open<MMapPolicy>(Metric::l2, 4, 50);
  for (const float x : {1e15f, std::numeric_limits<float>::max()}) {
    const std::vector<float> query{x, 0, 0, -x};
    BOOST_TEST(!opened.prepare(FlatQuery(Metric::l2, query)).has_value());
  }
  BOOST_TEST(opened.prepare(FlatQuery(Metric::l2, std::vector<float>{1e9f, 0, 0, -1e9f})).has_value());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_row_is_told_to_the_step_once, Q, Quantizers) {
  for (const std::size_t rows : {1u, 1023u, 1024u, 1025u, 2049u}) {
    const Clusters data(rows, 3, 2, 5);
    std::uint64_t sum = 0, most = 0;
    BytesDraft draft;
    static_cast<void>(write_codes_block<Q>(draft, Metric::l2, data.rows(), [&](std::uint64_t step) { sum += step, most = std::max(most, step); }));
    BOOST_TEST((sum == rows && most <= 1024u));
    BOOST_CHECK_THROW(static_cast<void>(write_codes_block<Q>(draft, Metric::l2, data.rows(), [](std::uint64_t) { throw std::runtime_error("enough"); })),
                      std::runtime_error);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(codes_of_other_rows_another_dimension_or_metric_are_corruption, Q, Quantizers) {
  const Clusters data(300, 4, 3, 6);
  for (const auto metric : all_metrics) {
    const Written written(metric, data.rows(), std::type_identity<Q>{});
    const auto open = [&](Metric as, std::size_t dimension, std::uint64_t rows) {
      return code_of([&] { static_cast<void>(written.template open<MMapPolicy>(as, dimension, rows)); });
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
  for (const auto kind : {CodesKind::sq8, CodesKind::sq4, CodesKind::float16}) BOOST_TEST_CONTEXT("kind " << static_cast<int>(kind)) {
      const auto is_corruption = [kind](auto&& change) { return forged(change, kind) == Errc::corruption; };
      BOOST_TEST((forged([](Forged&) {}, kind) == Errc::none));
      for (const std::uint32_t unknown : {4u, 5u, 256u, ~0u}) BOOST_TEST((forged([&](Forged& f) { f.kind = unknown; }, kind) == Errc::version_mismatch));
      for (const std::uint32_t metric : {1u, 2u, 3u, ~0u}) BOOST_TEST(is_corruption([&](Forged& f) { f.metric = metric; }));
      for (const std::uint64_t rows : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, ~std::uint64_t{0}})
        BOOST_TEST(is_corruption([&](Forged& f) { f.rows = rows; }));
      for (const std::uint32_t dimension : {0u, 2u, 4u, ~0u}) BOOST_TEST(is_corruption([&](Forged& f) { f.dimension = dimension; }));
      for (const std::uint32_t stride : {0u, 1u, 2u, 3u, 5u, 8u, ~0u}) BOOST_TEST(is_corruption([&](Forged& f) { f.stride = stride; }));
      BOOST_TEST(is_corruption([](Forged& f) { f.more_tail = 1; }));
      for (const std::size_t less : {1u, 4u, 23u, 24u}) BOOST_TEST(is_corruption([&](Forged& f) { f.less_tail = less; }));
      BOOST_TEST(is_corruption([](Forged& f) { f.block = BlockKind::vector_graph; }));
      // Each kind asks for its own sections, and for no other's.
      const bool halves = kind == CodesKind::float16;
      BOOST_TEST(is_corruption([](Forged& f) { f.codes_name = "another"; }));
      for (const auto section : {&Forged::offsets_name, &Forged::steps_name, &Forged::terms_name})
        BOOST_TEST(is_corruption([&](Forged& f) { f.*section = "another"; }) != halves);
      BOOST_TEST(is_corruption([](Forged& f) { f.scale_name = "another"; }) == halves);
      for (const std::size_t count : {0u, 2u, 4u}) {
        for (const auto section : {&Forged::offsets, &Forged::steps}) BOOST_TEST(is_corruption([&](Forged& f) { (f.*section).resize(count); }) != halves);
        BOOST_TEST(is_corruption([&](Forged& f) { f.scale.resize(count); }) == halves);
      }
      // The codes of one row less and of one more, without what may be read behind them, with less of it, with a byte more, and none.
      const std::size_t stride = halves ? 6 : 4, rows = 2 * stride;
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, rows, std::size_t{63}, std::size_t{64}, rows + 60, stride + 64, rows + stride + 64, rows + 63, rows + 65})
        BOOST_TEST(is_corruption([&](Forged& f) { f.codes.resize(size); }), size << " bytes of codes");
      for (const std::size_t size : {0u, 4u, 7u, 9u, 12u}) BOOST_TEST(is_corruption([&](Forged& f) { f.terms.resize(size); }) != halves, size << " of terms");
    }
  // Codes of another kind than they say have another length, unless that is the same.
  BOOST_TEST((forged([](Forged& f) { f.kind = 3; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.kind = 1; }, CodesKind::float16) == Errc::corruption));
}

BOOST_AUTO_TEST_CASE(a_scale_that_is_no_power_of_two_or_fits_nothing_is_corruption) {
  for (const float x : {0.0f, -4.0f, 3.0f, 0x1p64f, 0x1p-127f, 1.0000001f, infinite, -infinite, std::numeric_limits<float>::quiet_NaN(), 0x1p-30f})
    BOOST_TEST((forged([x](Forged& f) { f.scale[0] = x; }, CodesKind::float16) == Errc::corruption), x);
  for (const float x : {1.0f, 0x1p63f, 0x1p-20f}) BOOST_TEST((forged([x](Forged& f) { f.scale[0] = x; }, CodesKind::float16) == Errc::none), x);
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
  BOOST_TEST((golden_block<Sq8Quantizer>() == bytes));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(golden_blocks_of_every_kind_are_read_and_written_byte_for_byte, Q, Quantizers) {
  const std::string of_kind = std::is_same_v<Q, Sq8Quantizer> ? "" : std::is_same_v<Q, Sq4Quantizer> ? "_sq4" : "_float16";
  for (const auto metric : {Metric::l2, Metric::cosine}) {
    const auto bytes = quiver::test::repository_file("tests/golden/two_rows" + of_kind + (metric == Metric::cosine ? "_cosine" : "") + ".vector_quant");
    BOOST_TEST((golden_block<Q>(metric) == bytes));
    BytesScope scope;
    const CodesBlock<BytesReader> opened(BytesReader(bytes), scope, quiver::test::claimed_identity(bytes), metric, 3, 2);
    opened.block().verify(scope);
    // The rows, and under cosine what their inverse norms make of them.
    const std::vector<float> query{3, 0.5f, 7}, direction{3.0f / 4, 1.5f / 4, 7.0f / 4};
    const auto prepared = opened.prepare(metric == Metric::l2 ? FlatQuery(metric, query) : FlatQuery(metric, direction, 1.0f));
    BOOST_REQUIRE(prepared.has_value());
    const double expected[] = {metric == Metric::l2 ? 9.0 : oracle_l2(direction, std::vector{0.0f, 0.5f / 8, 7.0f / 8}) / 2, metric == Metric::l2 ? 1.0 : 0.0};
    for (std::uint32_t r = 0; r < 2; ++r) BOOST_TEST(std::abs(static_cast<double>(estimate(*prepared, r)) - expected[r]) <= 0.05, "row " << r);
  }
}

BOOST_AUTO_TEST_SUITE_END()
