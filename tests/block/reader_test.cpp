#include <quiver/block/reader.hpp>

#include <quiver/storage/memory.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/sample_block.hpp"

using namespace quiver;
using namespace quiver::detail;
using test::BytesReader;
using test::BytesScope;

namespace {

const std::filesystem::path path = "store/a.block";

// The error that opening and verifying ends in.
std::optional<Error> failure(ByteSpan bytes, const FileIdentity& identity, BlockKind kind = BlockKind::vector_index) {
  try {
    BytesScope scope;
    const Block<BytesReader> block(BytesReader(bytes, path), scope, identity, kind);
    block.verify(scope);
    return std::nullopt;
  } catch (const Error& e) {
    return e;
  }
}

bool is(const std::optional<Error>& error, Errc code) { return error && error->code() == code && error->path() == path; }

}  // namespace

BOOST_AUTO_TEST_SUITE(block_reader)

BOOST_AUTO_TEST_CASE(the_golden_block_is_read) {
  const auto bytes = test::repository_file("tests/golden/sections.block");
  BytesScope scope;
  const Block<BytesReader> block(BytesReader(bytes, path), scope, test::sample_block().second, BlockKind::vector_index);
  block.verify(scope);
  BOOST_TEST(block.sections().size() == 2u);
  const auto first = block.section("first");
  BOOST_TEST(first.length == 12u);
  BOOST_TEST(load<std::uint32_t>(block.view(scope, first, 8, 4).data()) == 3u);
  BOOST_TEST((as_text(block.view(scope, block.section("second"), 0, 1)) == "q"));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_found) {
  const auto [bytes, identity] = test::sample_block();
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto error = failure(damaged, identity);
    BOOST_TEST((is(error, Errc::corruption) || is(error, Errc::version_mismatch)), "bit " << bit);
    if (error) BOOST_TEST(error->offset().has_value(), "bit " << bit);
  }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_behind_right_checksums_ends_well) {
  const auto [bytes, identity] = test::sample_block();
  std::size_t accepted = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    const auto error = failure(damaged, test::mend_checksums(damaged));
    if (!error) ++accepted;
    BOOST_TEST((!error || is(error, Errc::corruption) || is(error, Errc::version_mismatch)), "bit " << bit);
  }
  BOOST_TEST(accepted > 128 * 8u);  // the data, at least
}

BOOST_AUTO_TEST_CASE(every_truncation_is_found) {
  const auto [bytes, identity] = test::sample_block();
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    BOOST_TEST(is(failure(ByteSpan(bytes).first(length), identity), Errc::corruption), "length " << length);
    // Also where the manifest speaks of as many bytes as there are.
    auto shorter = identity;
    shorter.length = length;
    BOOST_TEST(is(failure(ByteSpan(bytes).first(length), shorter), Errc::corruption), "length " << length);
  }
}

BOOST_AUTO_TEST_CASE(another_file_in_its_place_is_found) {
  const auto [bytes, identity] = test::sample_block();
  auto other_id = identity;
  other_id.id.low ^= 1;
  BOOST_TEST(is(failure(bytes, other_id), Errc::corruption));
  auto other_footer = identity;
  other_footer.footer_checksum ^= 1;
  BOOST_TEST(is(failure(bytes, other_footer), Errc::corruption));
  auto other_length = identity;
  other_length.length += 1;
  BOOST_TEST(is(failure(bytes, other_length), Errc::corruption));
  BOOST_TEST(is(failure(bytes, identity, BlockKind::scalar), Errc::corruption));
}

BOOST_AUTO_TEST_CASE(a_newer_format_is_a_version_mismatch) {
  auto [bytes, identity] = test::sample_block();
  const auto at = static_cast<std::size_t>(locate_trailer(ByteSpan(bytes).last(10), bytes.size(), path));
  store(&bytes[at + 40], std::uint16_t{2});
  BOOST_TEST(is(failure(bytes, test::mend_checksums(bytes)), Errc::version_mismatch));
}

BOOST_AUTO_TEST_CASE(verify_names_the_chunk_that_differs) {
  test::BytesDraft draft;
  BlockWriter<test::BytesDraft> writer(draft, BlockKind::vector_index);
  writer.begin_section("data");
  writer.append(Bytes(1'000'000));
  writer.end_section();
  const auto identity = writer.finish();
  for (const std::size_t chunk : {0u, 63u, 64u, 150u, 244u}) {
    auto damaged = draft.bytes;
    damaged[chunk * chunk_size + 5] ^= std::byte{1};
    const auto error = failure(damaged, identity);
    BOOST_REQUIRE(is(error, Errc::corruption));
    BOOST_TEST((error->offset() == chunk * chunk_size));
  }
}

BOOST_AUTO_TEST_CASE(a_checksum_of_the_footer_that_changed_since_opening_is_found) {
  auto [bytes, identity] = test::sample_block();
  const auto at = static_cast<std::size_t>(locate_trailer(ByteSpan(bytes).last(10), bytes.size(), path)) + 56;
  BytesScope scope;
  const Block<BytesReader> block(BytesReader(bytes, path), scope, identity, BlockKind::vector_index);
  bytes[at] ^= std::byte{1};  // which the checksum itself does not cover
  const auto error = test::error_of([&] { block.verify(scope); });
  BOOST_REQUIRE(is(error, Errc::corruption));
  BOOST_TEST((error->offset() == block.trailer().data_length));
  bytes[at] ^= std::byte{1};
  block.verify(scope);
}

BOOST_AUTO_TEST_CASE(chunks_that_change_places_are_found) {
  test::BytesDraft draft;
  BlockWriter<test::BytesDraft> writer(draft, BlockKind::vector_index);
  writer.begin_section("data");
  writer.append(Bytes(chunk_size, std::byte{1}));
  writer.append(Bytes(chunk_size, std::byte{2}));
  writer.end_section();
  const auto identity = writer.finish();
  auto damaged = draft.bytes;
  std::swap_ranges(damaged.begin(), damaged.begin() + chunk_size, damaged.begin() + chunk_size);
  BOOST_TEST(is(failure(damaged, identity), Errc::corruption));
}

BOOST_AUTO_TEST_CASE(a_section_that_is_missing_and_a_view_beyond_one_are_corruption) {
  const auto [bytes, identity] = test::sample_block();
  BytesScope scope;
  const Block<BytesReader> block(BytesReader(bytes, path), scope, identity, BlockKind::vector_index);
  const auto expect = [](auto&& f) {
    BOOST_CHECK_EXCEPTION(static_cast<void>(f()), Error, [](const Error& e) { return e.code() == Errc::corruption && e.path() == path && e.offset(); });
  };
  expect([&] { return block.section("third"); });
  const auto first = block.section("first");
  expect([&] { return block.view(scope, first, 9, 4); });
  expect([&] { return block.view(scope, first, 13, 0); });
  expect([&] { return block.view(scope, first, ~std::uint64_t{0}, 2); });
}

BOOST_AUTO_TEST_CASE(a_block_is_written_and_read_through_a_storage_policy) {
  auto store = MemoryPolicy::create_store({}, {});
  auto draft = store.create("seg-000001/blk-000001.vector_index");
  BlockWriter<MemoryPolicy::Draft> writer(draft, BlockKind::vector_index);
  writer.begin_section("data");
  writer.append(as_bytes(std::string_view("hello")));
  writer.end_section();
  const auto identity = writer.finish();
  store.publish(std::move(draft));
  auto scope = store.read_scope();
  const Block<MemoryPolicy::Reader> block(store.open("seg-000001/blk-000001.vector_index", identity), scope, identity, BlockKind::vector_index);
  block.verify(scope);
  BOOST_TEST((as_text(block.view(scope, block.section("data"), 0, 5)) == "hello"));
}

BOOST_AUTO_TEST_SUITE_END()
