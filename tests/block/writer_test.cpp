#include <quiver/block/writer.hpp>

#include <quiver/block/reader.hpp>
#include <quiver/storage/anonymous_memory.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/sample_block.hpp"
#include "support/sample_file.hpp"

using namespace quiver;
using namespace quiver::detail;
using test::BytesDraft;
using test::BytesReader;
using test::BytesScope;
using test::code_of;

BOOST_AUTO_TEST_SUITE(block_writer)

BOOST_AUTO_TEST_CASE(sections_of_any_length_are_read_back) {
  for (const std::size_t length : {0u, 1u, 63u, 64u, 65u, 4095u, 4096u, 4097u, 262'143u, 262'144u, 262'145u, 1'000'003u}) {
    const auto data = test::sample_bytes(length);
    BytesDraft draft;
    BlockWriter<BytesDraft> writer(draft, BlockKind::id_run);
    writer.begin_section("small");
    writer.append(as_bytes(std::string_view("abc")));
    writer.end_section();
    writer.begin_section("data");
    writer.append(data);
    writer.end_section();
    const auto identity = writer.finish();
    BOOST_TEST(identity.length == draft.bytes.size());
    BOOST_TEST(draft.small_appends <= 2u);

    BytesScope scope;
    const Block<BytesReader> block(BytesReader(draft.bytes), scope, identity, BlockKind::id_run);
    block.verify(scope);
    const auto section = block.section("data");
    BOOST_TEST(section.offset % 64 == 0u);
    const auto view = block.view(scope, section, 0, section.length);
    BOOST_TEST((Bytes(view.begin(), view.end()) == data), "length " << length);
  }
}

BOOST_AUTO_TEST_CASE(the_bytes_do_not_depend_on_how_they_are_given) {
  const auto data = test::sample_bytes(700'001);
  Bytes first;
  for (const std::size_t step : {700'001u, 300'000u, 65'536u, 4'096u, 977u, 64u}) {
    BytesDraft draft;
    BlockWriter<BytesDraft> writer(draft, BlockKind::vector_index, FileId{1, 2});
    writer.begin_section("data");
    for (std::size_t at = 0; at < data.size(); at += step) writer.append(ByteSpan(data).subspan(at, std::min(step, data.size() - at)));
    writer.end_section();
    static_cast<void>(writer.finish());
    if (first.empty()) first = draft.bytes;
    BOOST_TEST((draft.bytes == first), "step " << step);
  }
}

BOOST_AUTO_TEST_CASE(a_file_without_sections_is_a_file) {
  BytesDraft draft;
  const auto identity = BlockWriter<BytesDraft>(draft, BlockKind::scalar).finish();
  BytesScope scope;
  const Block<BytesReader> block(BytesReader(draft.bytes), scope, identity, BlockKind::scalar);
  block.verify(scope);
  BOOST_TEST(block.sections().empty());
}

BOOST_AUTO_TEST_CASE(a_tail_of_another_format_ends_the_file) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::scalar);
  const auto tail = test::sample_bytes(123);
  const auto identity = writer.finish(tail, arrow_end_magic);
  BOOST_TEST((as_text(ByteSpan(draft.bytes).last(6)) == arrow_end_magic));
  const auto found = ByteSpan(draft.bytes).last(10 + tail.size()).first(tail.size());
  BOOST_TEST((Bytes(found.begin(), found.end()) == tail));
  BytesScope scope;
  Block<BytesReader>(BytesReader(draft.bytes), scope, identity, BlockKind::scalar).verify(scope);
}

BOOST_AUTO_TEST_CASE(every_file_gets_an_id_of_its_own) {
  BytesDraft draft;
  BOOST_TEST((BlockWriter<BytesDraft>(draft, BlockKind::scalar).id() != BlockWriter<BytesDraft>(draft, BlockKind::scalar).id()));
}

BOOST_AUTO_TEST_CASE(misuse_is_an_error) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::scalar);
  BOOST_TEST((code_of([&] { writer.end_section(); }) == Errc::invalid_argument));
  for (const auto* name : {"", "a b", "a name that is longer than thirty-two bytes"})
    BOOST_TEST((code_of([&] { writer.begin_section(name); }) == Errc::invalid_argument));
  writer.begin_section("a");
  BOOST_TEST((code_of([&] { writer.begin_section("b"); }) == Errc::invalid_argument));
  BOOST_TEST((code_of([&] { static_cast<void>(writer.finish()); }) == Errc::invalid_argument));
  writer.end_section();
  BOOST_TEST((code_of([&] { writer.begin_section("a"); }) == Errc::invalid_argument));
}

BOOST_AUTO_TEST_CASE(a_block_has_as_many_sections_as_its_directory_may_name_and_no_more) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::scalar);
  for (std::size_t i = 0; i < max_sections; ++i) {
    writer.begin_section(std::to_string(i));
    writer.end_section();
  }
  BOOST_TEST(code_of([&] { writer.begin_section("last"); }) == Errc::invalid_argument);
  const auto identity = writer.finish();
  BytesScope scope;
  BOOST_TEST(Block<BytesReader>(BytesReader(draft.bytes), scope, identity, BlockKind::scalar).sections().size() == max_sections);
}

BOOST_AUTO_TEST_CASE(an_end_that_does_not_fit_its_frame_is_refused_and_nothing_is_written) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::scalar);
  for (const auto* magic : {"", "ARROW", "ARROW12"}) BOOST_TEST(code_of([&] { static_cast<void>(writer.finish({}, magic)); }) == Errc::invalid_argument);
  const AnonymousMemory two_gibibytes(std::size_t{1} << 31);  // of which no page is touched
  BOOST_TEST(code_of([&] { static_cast<void>(writer.finish({two_gibibytes.data(), two_gibibytes.size()})); }) == Errc::invalid_argument);
  BOOST_TEST(draft.bytes.empty());
  const auto identity = writer.finish();
  BOOST_TEST(identity.length == draft.bytes.size());
}

BOOST_AUTO_TEST_CASE(the_golden_block_is_written_byte_for_byte_and_is_the_worked_example_of_the_readme) {
  const auto golden = test::repository_file("tests/golden/sections.block");
  BOOST_TEST((test::sample_block().first == golden));
  BOOST_TEST((test::worked_example("include/quiver/block/README.md") == golden));
}

BOOST_AUTO_TEST_SUITE_END()
