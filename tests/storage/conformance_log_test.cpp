#include "storage/conformance.hpp"

BOOST_AUTO_TEST_SUITE(conformance_log)

using namespace quiver;
using namespace quiver::test;

namespace {

constexpr auto log_name = "wal-000001";

template <class L>
Bytes read_part(const L& log, std::uint64_t offset, std::size_t length) {
  Bytes bytes(length, std::byte{0xEE});
  log.read(offset, bytes);
  return bytes;
}

/// The log is `bytes` and behind them nothing but zeros.
template <class L>
bool holds(const L& log, ByteSpan bytes) {
  const auto size = log.size();
  if (size < bytes.size()) return false;
  const auto all = read_part(log, 0, static_cast<std::size_t>(size));
  return same(ByteSpan(all).first(bytes.size()), bytes) &&
         std::all_of(all.begin() + static_cast<std::ptrdiff_t>(bytes.size()), all.end(), [](std::byte b) { return b == std::byte{0}; });
}

template <class Store>
std::optional<std::uint64_t> listed_size(const Store& store, std::string_view name) {
  for (const auto& file : store.list())
    if (file.name == name) return file.size;
  return std::nullopt;
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_is_read_while_it_grows, P, AllPolicies) {
  Place<P> place;
  auto all = sample_bytes(64);
  auto log = place.writer.append_log(log_name, all);
  const auto store = place.open();
  const auto early = store.read_log(log_name);
  BOOST_TEST(holds(early, all));
  for (std::size_t i = 0; i < 40; ++i) {
    const auto piece = sample_bytes(i * i * 40 + i, i + 2);
    log.append(piece);
    detail::append(all, piece);
    if (i % 7 == 0) log.sync();
    const auto before = early.size();
    BOOST_TEST(before >= all.size());
    BOOST_TEST(holds(early, all));
    BOOST_TEST(holds(place.writer.read_log(log_name), all));
    BOOST_TEST(holds(place.open().read_log(log_name), all));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_may_begin_with_nothing_and_take_nothing, P, AllPolicies) {
  Place<P> place;
  auto log = place.writer.append_log(log_name, {});
  const auto reader = place.open().read_log(log_name);
  BOOST_TEST(holds(reader, {}));
  log.append({});
  log.sync();
  BOOST_TEST(holds(reader, {}));
  log.append(sample_bytes(1));
  log.append({});
  log.append(sample_bytes(3, 2));
  auto all = sample_bytes(1);
  detail::append(all, sample_bytes(3, 2));
  BOOST_TEST(holds(reader, all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_takes_pieces_of_any_size, P, AllPolicies) {
  Place<P> place;
  Bytes all;
  auto log = place.writer.append_log(log_name, {});
  const auto add = [&](std::size_t size) {
    const auto piece = sample_bytes(size, all.size() + 1);
    log.append(piece);
    detail::append(all, piece);
  };
  for (int i = 0; i < 3000; ++i) add(static_cast<std::size_t>(i % 29));  // many small ones
  add(100'000);                                                          // more than a small log's step of growth
  add(16 << 10);
  add((16 << 10) - 1);
  add((5 << 20) + 1);  // more than any step
  add(1);
  BOOST_TEST(holds(place.open().read_log(log_name), all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_may_begin_with_more_than_a_step, P, AllPolicies) {
  Place<P> place;
  auto all = sample_bytes(70'001);
  auto log = place.writer.append_log(log_name, all);
  BOOST_TEST(holds(place.open().read_log(log_name), all));
  log.append(sample_bytes(10, 2));
  detail::append(all, sample_bytes(10, 2));
  BOOST_TEST(holds(place.open().read_log(log_name), all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_is_read_at_any_offset_and_not_past_its_end, P, AllPolicies) {
  Place<P> place;
  const auto all = sample_bytes(20'000);
  auto log = place.writer.append_log(log_name, ByteSpan(all).first(100));
  log.append(ByteSpan(all).subspan(100));
  const auto reader = place.open().read_log(log_name);
  for (const std::size_t offset : {0u, 1u, 99u, 100u, 4095u, 4096u, 19'999u})
    for (const std::size_t length : {0u, 1u, 2u, 5000u})
      if (offset + length <= all.size()) BOOST_TEST(same(read_part(reader, offset, length), ByteSpan(all).subspan(offset, length)));
  BOOST_TEST(read_part(reader, all.size(), 0).empty());
  const auto end = reader.size();
  for (const auto offset : {end - 1, end, end + 1, end + (1 << 20)})
    BOOST_TEST_CONTEXT("offset " << offset) BOOST_TEST((code_of([&] { return read_part(reader, offset, 2); }) == Errc::corruption));
  // Where the sum of offset and length wraps.
  BOOST_TEST((code_of([&] { return read_part(reader, ~std::uint64_t{0} - 3, 20); }) != Errc::none));
  BOOST_TEST(same(read_part(reader, 0, 20'000), all));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_that_is_not_there_is_not_found, P, AllPolicies) {
  Place<P> place;
  BOOST_TEST((code_of([&] { return place.open().read_log(log_name); }) == Errc::not_found));
  static_cast<void>(place.writer.append_log(log_name, {}));
  BOOST_TEST((code_of([&] { return place.open().read_log("wal-000002"); }) == Errc::not_found));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_listing_names_logs_and_their_size, P, AllPolicies) {
  Place<P> place;
  BOOST_TEST(!listed_size(place.open(), log_name).has_value());
  auto log = place.writer.append_log(log_name, sample_bytes(10));
  const auto reader = place.open().read_log(log_name);
  BOOST_TEST((listed_size(place.open(), log_name) == reader.size()));
  log.append(sample_bytes(200'000));
  BOOST_TEST((listed_size(place.open(), log_name) == reader.size()));
  BOOST_TEST(reader.size() >= 200'010u);
  BOOST_TEST(place.names().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_removed_log_is_gone_and_undisturbed_for_its_readers, P, AllPolicies) {
  Place<P> place;
  auto all = sample_bytes(100);
  std::optional log(place.writer.append_log(log_name, all));
  const auto reader = place.open().read_log(log_name);
  log->append(sample_bytes(30'000, 2));
  detail::append(all, sample_bytes(30'000, 2));
  log.reset();
  BOOST_TEST(holds(place.open().read_log(log_name), all));  // it stays when its writer goes
  place.writer.remove(log_name);
  BOOST_TEST((code_of([&] { return place.open().read_log(log_name); }) == Errc::not_found));
  BOOST_TEST(place.names().empty());
  BOOST_TEST(holds(reader, all));
  place.writer.remove(log_name);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_of_an_earlier_process_is_replaced_and_never_continued, P, WritablePolicies) {
  Place<P> place;
  const auto old = sample_bytes(50'000);
  static_cast<void>(place.writer.append_log(log_name, old));
  const auto reader = place.open().read_log(log_name);
  auto again = P::open_store(place.path, place.options, OpenMode::read_write);
  auto log = again.append_log(log_name, sample_bytes(7, 2));
  BOOST_TEST(holds(place.open().read_log(log_name), sample_bytes(7, 2)));
  log.append(sample_bytes(5, 3));
  auto all = sample_bytes(7, 2);
  detail::append(all, sample_bytes(5, 3));
  BOOST_TEST(holds(place.open().read_log(log_name), all));
  BOOST_TEST(holds(reader, old));  // whoever had the old one open reads on in it
  BOOST_TEST(place.names().size() == 1u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(logs_are_written_side_by_side_and_move, P, WritablePolicies) {
  Place<P> place;
  auto one = place.writer.append_log("wal-000001", sample_bytes(10, 1));
  auto two = place.writer.append_log("wal-000002", sample_bytes(10, 2));
  auto moved = std::move(one);
  moved.append(sample_bytes(20'000, 3));
  two.append(sample_bytes(20'000, 4));
  moved.sync();
  auto of_one = sample_bytes(10, 1), of_two = sample_bytes(10, 2);
  detail::append(of_one, sample_bytes(20'000, 3));
  detail::append(of_two, sample_bytes(20'000, 4));
  auto reader = place.open().read_log("wal-000001");
  const auto moved_reader = std::move(reader);
  BOOST_TEST(holds(moved_reader, of_one));
  BOOST_TEST(holds(place.open().read_log("wal-000002"), of_two));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_store_opened_read_only_begins_no_log, P, WritablePolicies) {
  Place<P> place;
  auto store = place.open();
  BOOST_TEST((code_of([&] { return store.append_log(log_name, {}); }) == Errc::read_only));
  BOOST_TEST(place.names().empty());
}

namespace {

using InFolders = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy>;

template <class P>
void reads_what_others_write(const std::filesystem::path& path, ByteSpan all) {
  BOOST_TEST_CONTEXT(P::name) BOOST_TEST(holds(P::open_store(path, {}, OpenMode::read_only).read_log(log_name), all));
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_of_one_policy_is_a_log_to_every_other, P, InFolders) {
  Place<P> place;
  auto all = sample_bytes(100);
  auto log = place.writer.append_log(log_name, all);
  for (int i = 0; i < 3; ++i) {
    reads_what_others_write<MMapPolicy>(place.path, all);
    reads_what_others_write<CheckedMMapPolicy>(place.path, all);
    reads_what_others_write<MMapReadPolicy>(place.path, all);
    reads_what_others_write<MemoryPolicy>(place.path, all);
    reads_what_others_write<FileReadPolicy>(place.path, all);
    log.append(sample_bytes(15'000));
    detail::append(all, sample_bytes(15'000));
  }
}

BOOST_AUTO_TEST_SUITE_END()
