#include <quiver/ids/deletes.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>
#include <quiver/storage/mmap_read.hpp>

#include <boost/test/unit_test.hpp>

#include "support/error_code.hpp"
#include "support/golden.hpp"
#include "support/peak_memory.hpp"
#include "support/sample_deletes.hpp"
#include "support/sanitized.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <fstream>
#include <random>
#include <tuple>

using namespace quiver;
using namespace quiver::detail;
using test::BytesDraft;
using test::BytesReader;
using test::BytesScope;
using test::code_of;
using test::error_of;

namespace {

using File = std::pair<Bytes, FileIdentity>;
using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MMapReadPolicy, MemoryPolicy, FileReadPolicy, test::BasicStrictPolicy<MemoryPolicy>>;
constexpr std::string_view file_name = "deletes-000001";
constexpr std::uint64_t largest = ~std::uint64_t{0};

std::vector<std::uint64_t> ids_of(const DeleteSet& set) {
  std::vector<std::uint64_t> ids;
  set.for_each([&](DocId id) { ids.push_back(id.value); });
  return ids;
}

/// A store of one file, published under MMapPolicy.
struct Published {
  explicit Published(ByteSpan bytes) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(file_name);
    draft.append(bytes);
    store.publish(std::move(draft));
  }
  explicit Published(const DeleteSet& set) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(file_name);
    identity = write_deletes(draft, set);
    store.publish(std::move(draft));
  }
  template <class P>
  [[nodiscard]] DeleteSet read(const FileIdentity& as) const {
    const auto store = P::open_store(folder / "store", {}, OpenMode::read_only);
    auto scope = store.read_scope();
    return read_deletes(store.open(file_name, as), scope, as);
  }
  test::TempFolder folder;
  FileIdentity identity;
};

/// Reads bytes of memory as a plain mapping would: nothing is verified unless read_deletes does.
DeleteSet read(ByteSpan bytes, const FileIdentity& identity) {
  BytesScope scope;
  return read_deletes(BytesReader(bytes, "deletes-000001"), scope, identity);
}
DeleteSet read(const File& file) { return read(file.first, file.second); }

/// A file whose checksums are right, with the sections that the test says.
File forged(const std::vector<std::uint64_t>& numbers, const Bytes& bits, std::size_t extra = 0, std::string_view first = delete_pieces_section,
            std::string_view second = delete_bits_section, BlockKind kind = BlockKind::deletes) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, kind, FileId{1, 2});
  writer.begin_section(first);
  writer.append(as_bytes(std::span<const std::uint64_t>(numbers)));
  writer.append(Bytes(extra));
  writer.end_section();
  writer.begin_section(second);
  writer.append(bits);
  writer.end_section();
  const auto identity = writer.finish();
  return {std::move(draft.bytes), identity};
}
Bytes ones(std::size_t pieces) { return Bytes(pieces * DeletePiece::bytes, std::byte{1}); }

/// Corruption that names the file and an offset within it.
bool is_damage(const std::optional<Error>& error, std::size_t length) {
  return error && (error->code() == Errc::corruption || error->code() == Errc::version_mismatch) && !error->path().empty() && error->offset() &&
         *error->offset() < length;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(deletes)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_set_is_read_back_as_it_was_written, P, Policies) {
  std::mt19937_64 random(3);
  for (const std::size_t size : {0u, 1u, 100u, 20'000u}) {
    std::vector<DocId> ids;
    for (std::size_t i = 0; i < size; ++i) ids.push_back(DocId{i % 100 == 99 ? random() : random() % 10'000'000});
    if (size == 1) ids = {DocId{largest}};
    const auto set = DeleteSet().with(ids);
    const Published published(set);
    const auto found = published.read<P>(published.identity);
    BOOST_TEST(found.size() == set.size());
    BOOST_TEST((ids_of(found) == ids_of(set)));
    BOOST_TEST(found.count(DocId{0}, DocId{largest}) == set.size());
    BOOST_TEST(found.with(ids).size() == set.size());
  }
}

BOOST_AUTO_TEST_CASE(a_set_that_a_writer_published_in_memory_is_read_back_in_memory) {
  auto store = MemoryPolicy::create_store({}, {});
  auto draft = store.create(file_name);
  const auto identity = write_deletes(draft, test::sample_deletes());
  store.publish(std::move(draft));
  auto scope = store.read_scope();
  BOOST_TEST((ids_of(read_deletes(store.open(file_name, identity), scope, identity)) == ids_of(test::sample_deletes())));
}

BOOST_AUTO_TEST_CASE(the_golden_deletes_are_written_byte_for_byte_and_are_the_worked_example_of_the_readme) {
  const auto bytes = test::repository_file("tests/golden/deletes-000001");
  const auto [written, identity] = test::written_deletes(test::sample_deletes());
  BOOST_TEST((written == bytes));
  BOOST_TEST((test::worked_example("include/quiver/ids/README.md", 1) == bytes));
  const auto found = read(bytes, identity);
  BOOST_TEST((ids_of(found) == std::vector<std::uint64_t>{0, 9, 32'767, 3 * 32'768 + 64}));
  BOOST_TEST(found.size() == 4u);
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_is_damage_even_where_the_reader_verifies_nothing) {
  auto file = test::written_deletes(test::sample_deletes());
  auto& bytes = file.first;
  std::size_t missed = 0;
  for (std::size_t bit = 0; bit < bytes.size() * 8; bit += test::slow ? 7 : 1) {
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    if (!is_damage(error_of([&] { static_cast<void>(read(file)); }), bytes.size()) && missed++ < 10) BOOST_ERROR("bit " << bit);
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
  BOOST_TEST(missed == 0u);
  BOOST_TEST(read(file).size() == 4u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_damaged_byte_is_damage_under_every_policy, P, Policies) {
  const auto file = test::written_deletes(test::sample_deletes());
  const Published published(file.first);
  std::fstream on_disk(published.folder / "store" / file_name, std::ios::binary | std::ios::in | std::ios::out);
  BOOST_REQUIRE(on_disk.is_open());
  const auto put = [&](std::size_t at, std::byte byte) {
    on_disk.seekp(static_cast<std::streamoff>(at));
    on_disk.put(static_cast<char>(byte));
    on_disk.flush();
  };
  for (std::size_t at = 0; at < file.first.size(); at += at % 4096 < 256 || at > 8000 ? 1 : 101) {
    put(at, file.first[at] ^ static_cast<std::byte>(1u << at % 8));
    const auto error = error_of([&] { static_cast<void>(published.read<P>(file.second)); });
    if (!is_damage(error, file.first.size())) BOOST_ERROR("byte " << at << (error ? error->what() : ": no error"));
    put(at, file.first[at]);
  }
  BOOST_TEST(published.read<P>(file.second).size() == 4u);
}

BOOST_AUTO_TEST_CASE(a_file_cut_short_is_corruption_also_where_its_identity_speaks_of_that_length) {
  const auto file = test::written_deletes(test::sample_deletes());
  for (std::size_t length = 0; length<file.first.size(); length += length> 8200 ? 1 : 13) {
    auto identity = file.second;
    const auto cut = ByteSpan(file.first).first(length);
    BOOST_TEST(code_of([&] { static_cast<void>(read(cut, identity)); }) == Errc::corruption);
    identity.length = length;
    BOOST_TEST(code_of([&] { static_cast<void>(read(cut, identity)); }) == Errc::corruption);
  }
}

BOOST_AUTO_TEST_CASE(sections_that_do_not_fit_each_other_are_corruption) {
  const auto refused = [](const File& file, const char* what) {
    const auto error = error_of([&] { static_cast<void>(read(file)); });
    BOOST_TEST((error && error->code() == Errc::corruption && error->offset() && !error->path().empty()), what);
  };
  BOOST_TEST(read(forged({0, 7}, ones(2))).size() == 2 * DeletePiece::bytes);
  BOOST_TEST(read(forged({}, {})).empty());
  refused(forged({0}, ones(2)), "more bits than numbers");
  refused(forged({0, 1}, ones(1)), "more numbers than bits");
  refused(forged({}, ones(1)), "no number");
  refused(forged({0}, {}), "no bits");
  refused(forged({0}, Bytes(DeletePiece::bytes - 1, std::byte{1})), "bits cut short");
  refused(forged({0}, Bytes(DeletePiece::bytes + 1, std::byte{1})), "bits too long");
  refused(forged({0}, ones(1), 1), "numbers too long");
  refused(forged({0}, ones(1), 7), "numbers too long");
  refused(forged({0}, ones(1), 0, delete_bits_section, delete_pieces_section), "sections exchanged");
  refused(forged({0}, ones(1), 0, delete_pieces_section, "bit"), "bits missing");
  refused(forged({0}, ones(1), 0, "piece", delete_bits_section), "numbers missing");
  refused(forged({0}, ones(1), 0, delete_pieces_section, delete_bits_section, BlockKind::id_run), "another kind");
}

BOOST_AUTO_TEST_CASE(piece_numbers_that_do_not_ascend_or_end_beyond_the_largest_id_are_corruption_at_their_place) {
  const auto offset_of = [](const std::vector<std::uint64_t>& numbers) -> std::uint64_t {
    const auto error = error_of([&] { static_cast<void>(read(forged(numbers, ones(numbers.size())))); });
    return error && error->code() == Errc::corruption ? error->offset().value_or(largest) : largest;
  };
  BOOST_TEST(offset_of({1, 0}) == 8u);
  BOOST_TEST(offset_of({5, 5}) == 8u);
  BOOST_TEST(offset_of({1, 2, 3, 64, 63}) == 32u);
  BOOST_TEST(offset_of({largest}) == 0u);
  BOOST_TEST(offset_of({0, DeletePiece::last_number + 1}) == 8u);
  std::vector<std::uint64_t> many;
  for (std::uint64_t n = 0; n < 40; ++n) many.push_back(n);
  many[16] = 15;  // across two views
  BOOST_TEST(offset_of(many) == 16 * 8u);
  const auto last = read(forged({0, DeletePiece::last_number}, ones(2)));
  BOOST_TEST(last.contains(DocId{largest - 7}));
  BOOST_TEST(last.size() == 2 * DeletePiece::bytes);
}

BOOST_AUTO_TEST_CASE(a_piece_without_a_set_bit_is_corruption_at_its_place) {
  for (const std::size_t zero : {0u, 1u, 19u}) {
    std::vector<std::uint64_t> numbers(20);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = i * 3;
    auto bits = ones(numbers.size());
    const auto at = bits.begin() + static_cast<std::ptrdiff_t>(zero * DeletePiece::bytes);
    std::fill(at, at + DeletePiece::bytes, std::byte{0});
    const auto error = error_of([&] { static_cast<void>(read(forged(numbers, bits))); });
    BOOST_REQUIRE(error);
    BOOST_TEST(error->code() == Errc::corruption);
    BOOST_TEST((error->offset() == 192 + zero * DeletePiece::bytes));  // numbers up to 160, then a multiple of 64
  }
}

BOOST_AUTO_TEST_CASE(reading_holds_little_more_than_the_file_has_however_the_pieces_lie) {
  for (const std::uint64_t step : {std::uint64_t{1}, std::uint64_t{64}, DeletePiece::last_number / 1000}) {
    std::vector<std::uint64_t> numbers;
    for (std::uint64_t i = 0; i < 1000; ++i) numbers.push_back(i * step);
    const auto file = forged(numbers, ones(numbers.size()));
    const test::PeakMemory peak;
    BOOST_TEST(read(file).size() == 1000 * DeletePiece::bytes);
    BOOST_TEST(static_cast<double>(peak.bytes()) < 1.5 * static_cast<double>(file.first.size()) + (1 << 20));
  }
}

BOOST_AUTO_TEST_SUITE_END()
