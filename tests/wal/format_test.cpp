#include <quiver/wal/format.hpp>

#include <boost/test/unit_test.hpp>

#include "support/golden.hpp"
#include "wal/sample_log.hpp"

#include <chrono>
#include <functional>
#include <random>

using namespace quiver;
using namespace quiver::detail;
using test::LogBuilder;

namespace {

const std::filesystem::path path = "store/wal-000003";

// What came of reading a log: header, then records.
struct Outcome {
  Errc code = Errc::none;
  bool has_path = false;
  std::optional<std::uint64_t> offset;
  WalEnd end;
  std::vector<std::pair<std::uint64_t, Bytes>> batches;
};

Outcome scanned(ByteSpan file, const std::optional<WalHeader>& known = {}) {
  Outcome outcome;
  try {
    const auto header = known ? *known : decode_wal_header(file, path);
    outcome.end = scan_wal(file, header, path, [&](std::uint64_t sequence, ByteSpan payload) {
      BOOST_TEST((payload.empty() || (payload.data() >= file.data() && payload.data() + payload.size() <= file.data() + file.size())));
      outcome.batches.emplace_back(sequence, Bytes(payload.begin(), payload.end()));
    });
  } catch (const Error& e) {
    outcome.code = e.code();
    outcome.has_path = e.path() == path;
    outcome.offset = e.offset();
  }
  return outcome;
}

void expect_corruption(ByteSpan file, std::uint64_t offset, const std::string& what) {
  const auto found = scanned(file);
  BOOST_TEST(to_string(found.code) == to_string(Errc::corruption), what);
  BOOST_TEST(found.has_path, what);
  BOOST_REQUIRE_MESSAGE(found.offset.has_value(), what);
  BOOST_TEST(*found.offset == offset, what);
}

bool same(ByteSpan a, ByteSpan b, std::uint64_t from, std::uint64_t to) {
  if (from == to) return true;
  return to <= b.size() && std::memcmp(a.data() + from, b.data() + from, static_cast<std::size_t>(to - from)) == 0;
}

// What must come of `damaged`, which was `log` before: all the batches before the first record that changed; the end there, unless a later header that is as
// it was says that it had been synced. The header of the file must be as it was.
void expect_legal(const LogBuilder& log, ByteSpan damaged, const std::string& what) {
  const ByteSpan before(log.bytes());
  const auto& records = log.records();
  const auto header_intact = [&](const LogBuilder::Placed& r) { return same(before, damaged, r.offset, r.offset + wal_record_header_size); };
  const auto intact = [&](const LogBuilder::Placed& r) {
    if (!header_intact(r)) return false;
    const auto begin = r.offset + wal_record_header_size;
    return r.mark || (same(before, damaged, begin, begin + r.payload.size()) && same(before, damaged, r.end - 8, r.end));
  };
  std::size_t first = 0;
  while (first < records.size() && intact(records[first])) ++first;
  const auto x = first < records.size() ? records[first].offset : log.end();
  bool synced = false;
  for (std::size_t i = first; i < records.size(); ++i) synced = synced || (header_intact(records[i]) && records[i].durable > x);

  const auto found = scanned(damaged);
  std::size_t batches = 0;
  for (std::size_t i = 0; i < first; ++i) {
    if (records[i].mark) continue;
    BOOST_REQUIRE_MESSAGE(batches < found.batches.size(), what << ": a batch is missing");
    BOOST_REQUIRE_MESSAGE(found.batches[batches].first == records[i].sequence, what << ": a sequence changed");
    BOOST_REQUIRE_MESSAGE(found.batches[batches].second == records[i].payload, what << ": a payload changed");
    ++batches;
  }
  BOOST_REQUIRE_MESSAGE(found.batches.size() == batches, what << ": a batch too many");
  BOOST_REQUIRE_MESSAGE(found.code == (synced ? Errc::corruption : Errc::none), what << ": " << to_string(found.code));
  if (synced) {
    BOOST_REQUIRE_MESSAGE(found.has_path && found.offset == x, what << ": another path or offset");
    return;
  }
  const bool torn = std::any_of(damaged.begin() + static_cast<std::ptrdiff_t>(x), damaged.end(), [](std::byte b) { return b != std::byte{0}; });
  const auto last = batches == 0 ? log.header().first_sequence - 1 : found.batches.back().first;
  BOOST_REQUIRE_MESSAGE((found.end == WalEnd{x, last, torn}), what << ": another end");
}

Bytes text(std::size_t length) {
  Bytes bytes(length);
  for (std::size_t i = 0; i < length; ++i) bytes[i] = static_cast<std::byte>(1 + (i * 7 + length) % 255);
  return bytes;
}

// Nothing synced; synced after every batch; synced in groups, with records behind the last mark; a mark before any batch. Payloads of every padding.
std::vector<LogBuilder> small_logs() {
  std::vector<LogBuilder> logs(5);
  logs[0].batch(text(13)).batch(text(0)).batch(text(40)).batch(text(13));
  for (const std::size_t length : {1u, 2u, 8u, 21u}) logs[1].batch(text(length)).sync().mark();
  logs[2].batch(text(3)).batch(text(100)).sync().mark().batch(text(3)).batch(text(12)).batch(text(100)).sync().mark().batch(text(5)).batch(text(6)).zeros(64);
  logs[3].sync().mark().batch(text(7)).sync().batch(text(7)).batch(text(530)).batch(text(7)).zeros(13);
  logs[4].zeros(80);
  return logs;
}

std::string at(const char* what, std::size_t log, std::uint64_t place) { return "log " + std::to_string(log) + ", " + what + " " + std::to_string(place); }

template <class Change>
void for_each_log(Change&& change) {
  const auto logs = small_logs();
  for (std::size_t i = 0; i < logs.size(); ++i) change(i, logs[i]);
}

// A log of one batch, then the header of a record with this length and the first bytes of a payload.
Bytes with_hostile_length(std::uint64_t length, std::size_t behind) {
  LogBuilder log;
  log.batch(text(20));
  auto bytes = log.bytes();
  append_wal_record_header(bytes, log.header().id, bytes.size(), length, wal_batch_flag, 43, wal_header_size);
  append(bytes, ByteSpan(text(behind)));
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(format)

BOOST_AUTO_TEST_CASE(a_header_comes_back_as_it_was) {
  constexpr auto most = ~std::uint64_t{0};
  for (const auto& header : {test::sample_wal_header(), WalHeader{{1, 0}, {0, 1}, 0, 1}, WalHeader{{most, most}, {most, most}, most, most}}) {
    const auto bytes = encode_wal_header(header);
    BOOST_TEST(bytes.size() == wal_header_size);
    BOOST_TEST((decode_wal_header(bytes, path) == header));
    auto longer = bytes;
    longer.resize(100, std::byte{7});
    BOOST_TEST((decode_wal_header(longer, path) == header));
  }
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_and_every_truncation_of_a_header_is_corruption) {
  const auto bytes = encode_wal_header(test::sample_wal_header());
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    expect_corruption(damaged, bit < 64 ? 0 : 64, "bit " + std::to_string(bit));
  }
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    expect_corruption(ByteSpan(bytes).first(length), length, "length " + std::to_string(length));
    const auto found = scanned(ByteSpan(bytes).first(length), test::sample_wal_header());
    BOOST_TEST((found.code == Errc::corruption && found.offset == length));
  }
}

BOOST_AUTO_TEST_CASE(what_cannot_be_true_of_a_header_is_refused_under_a_valid_checksum) {
  const auto changed = [](std::size_t offset, auto value) {
    auto bytes = encode_wal_header(test::sample_wal_header());
    store(&bytes[offset], value);
    store(&bytes[64], checksum(ByteSpan(bytes).first(64), 0));
    return bytes;
  };
  const auto newer = scanned(changed(8, std::uint32_t{2}));
  BOOST_TEST((newer.code == Errc::version_mismatch && newer.has_path && newer.offset == 8u));
  expect_corruption(changed(8, std::uint32_t{0}), 8, "format version 0");
  expect_corruption(changed(12, std::uint32_t{1}), 12, "reserved");
  expect_corruption(changed(56, std::uint64_t{0}), 56, "first sequence 0");
  for (const std::size_t id : {16u, 32u}) {
    auto bytes = changed(id, std::uint64_t{0});
    store(&bytes[id + 8], std::uint64_t{0});
    store(&bytes[64], checksum(ByteSpan(bytes).first(64), 0));
    expect_corruption(bytes, id, "an id of zeros");
  }
  // Another number, store or id is another log, not a fault: the caller knows which one it wants.
  BOOST_TEST(decode_wal_header(changed(48, std::uint64_t{9}), path).number == 9u);
  expect_corruption(Bytes(4096), 0, "zeros");
}

BOOST_AUTO_TEST_CASE(the_worked_example_of_the_readme_is_what_is_written) {
  const auto bytes = test::worked_example("include/quiver/wal/README.md");
  const auto log = test::sample_wal();
  BOOST_TEST((bytes == log.bytes()));
  const auto found = scanned(bytes);
  BOOST_TEST((found.code == Errc::none));
  BOOST_TEST((found.end == WalEnd{bytes.size(), 42, false}));
  BOOST_REQUIRE(found.batches.size() == 1u);
  BOOST_TEST(found.batches[0].first == 42u);
  BOOST_TEST((found.batches[0].second == test::sample_wal_payload()));
}

BOOST_AUTO_TEST_CASE(the_layout_of_a_record_is_the_one_of_the_table) {
  constexpr FileId id{5, 6};
  Bytes bytes(16, std::byte{9});  // what is there stays; the offset is another matter
  append_wal_record(bytes, id, 800, 11, 96, text(13));
  BOOST_TEST(bytes.size() == 16 + 40 + 16 + 8u);
  BOOST_TEST(wal_record_size(13) == 64u);
  const std::byte* record = bytes.data() + 16;
  BOOST_TEST(load<std::uint64_t>(record) == 13u);
  BOOST_TEST(load<std::uint32_t>(record + 8) == 0u);
  BOOST_TEST(load<std::uint32_t>(record + 12) == 0u);
  BOOST_TEST(load<std::uint64_t>(record + 16) == 11u);
  BOOST_TEST(load<std::uint64_t>(record + 24) == 96u);
  BOOST_TEST(load<std::uint64_t>(record + 32) == checksum({record, 32}, chunk_seed(id, 800)));
  BOOST_TEST((Bytes(record + 40, record + 53) == text(13)));
  BOOST_TEST((Bytes(record + 53, record + 56) == Bytes(3)));
  BOOST_TEST(load<std::uint64_t>(record + 56) == checksum({record + 40, 13}, chunk_seed(id, 840)));

  Bytes mark;
  append_wal_mark(mark, id, 864, 11, 864);
  BOOST_TEST(mark.size() == wal_mark_size);
  BOOST_TEST(load<std::uint64_t>(mark.data()) == 0u);
  BOOST_TEST(load<std::uint32_t>(mark.data() + 8) == 1u);
  BOOST_TEST(load<std::uint32_t>(mark.data() + 12) == 0u);
  BOOST_TEST(load<std::uint64_t>(mark.data() + 16) == 11u);
  BOOST_TEST(load<std::uint64_t>(mark.data() + 24) == 864u);
  BOOST_TEST(load<std::uint64_t>(mark.data() + 32) == checksum(ByteSpan(mark).first(32), chunk_seed(id, 864)));
}

BOOST_AUTO_TEST_CASE(batches_come_back_in_order_and_the_end_is_behind_the_last_record) {
  for_each_log([](std::size_t i, const LogBuilder& log) { expect_legal(log, log.bytes(), at("whole", i, 0)); });
  const auto found = scanned(small_logs()[2].bytes());
  BOOST_TEST(found.batches.size() == 7u);
  BOOST_TEST(found.end.last_sequence == 48u);
  BOOST_TEST(!found.end.torn);
}

BOOST_AUTO_TEST_CASE(an_empty_log_ends_behind_its_header) {
  const auto found = scanned(encode_wal_header(test::sample_wal_header()));
  BOOST_TEST((found.code == Errc::none));
  BOOST_TEST((found.end == WalEnd{72, 41, false}));
}

BOOST_AUTO_TEST_CASE(a_mark_may_come_before_the_first_batch_that_ever_was) {
  auto header = test::sample_wal_header();
  header.first_sequence = 1;
  LogBuilder log(header);
  log.sync().mark().batch("first");
  const auto found = scanned(log.bytes());
  BOOST_TEST((found.code == Errc::none));
  BOOST_TEST((found.end == WalEnd{log.end(), 1, false}));
}

BOOST_AUTO_TEST_CASE(every_flipped_bit_loses_nothing_that_was_synced_and_changes_nothing) {
  std::size_t reported = 0, shortened = 0;
  for_each_log([&](std::size_t i, const LogBuilder& log) {
    auto damaged = log.bytes();
    for (std::size_t bit = wal_header_size * 8; bit < damaged.size() * 8; ++bit) {
      damaged[bit / 8] ^= std::byte{1} << (bit % 8);
      expect_legal(log, damaged, at("bit", i, bit));
      const auto found = scanned(damaged);
      reported += found.code == Errc::corruption;
      shortened += found.code == Errc::none && found.end.offset < log.end();
      damaged[bit / 8] ^= std::byte{1} << (bit % 8);
    }
  });
  BOOST_TEST(reported > 1000u);
  BOOST_TEST(shortened > 1000u);
}

BOOST_AUTO_TEST_CASE(a_flipped_bit_of_the_padding_loses_nothing) {
  LogBuilder log;
  log.batch(text(3)).batch(text(4));
  for (std::size_t place = wal_header_size + wal_record_header_size + 3; place < wal_header_size + wal_record_header_size + 8; ++place) {
    auto damaged = log.bytes();
    damaged[place] = std::byte{0xff};
    BOOST_TEST((scanned(damaged).end == WalEnd{log.end(), 43, false}));
  }
}

BOOST_AUTO_TEST_CASE(every_truncation_leaves_the_records_that_are_whole) {
  for_each_log([](std::size_t i, const LogBuilder& log) {
    for (std::size_t length = wal_header_size; length < log.bytes().size(); ++length)
      // A copy of its own length, for AddressSanitizer to watch its end.
      expect_legal(log, Bytes(log.bytes().begin(), log.bytes().begin() + static_cast<std::ptrdiff_t>(length)), at("length", i, length));
  });
}

BOOST_AUTO_TEST_CASE(zeroed_filled_and_shifted_stretches_are_the_end_or_corruption) {
  for_each_log([](std::size_t i, const LogBuilder& log) {
    for (const std::size_t width : {1u, 8u, 64u, 200u, 512u})
      for (std::size_t from = wal_header_size; from < log.bytes().size(); ++from) {
        const auto to = std::min(from + width, log.bytes().size());
        auto damaged = log.bytes();
        const auto first = damaged.begin() + static_cast<std::ptrdiff_t>(from), last = damaged.begin() + static_cast<std::ptrdiff_t>(to);
        std::fill(first, last, std::byte{0});
        expect_legal(log, damaged, at("zeros", i, from));
        std::fill(first, last, std::byte{0xff});
        expect_legal(log, damaged, at("ones", i, from));
        std::copy(log.bytes().begin() + static_cast<std::ptrdiff_t>(from) - 1, log.bytes().begin() + static_cast<std::ptrdiff_t>(to) - 1, first);
        expect_legal(log, damaged, at("shifted", i, from));
      }
  });
}

BOOST_AUTO_TEST_CASE(swapped_records_do_not_verify) {
  std::size_t swaps = 0;
  for_each_log([&](std::size_t i, const LogBuilder& log) {
    const auto& records = log.records();
    for (std::size_t a = 0; a < records.size(); ++a)
      for (std::size_t b = a + 1; b < records.size(); ++b) {
        if (records[a].end - records[a].offset != records[b].end - records[b].offset) continue;
        auto damaged = log.bytes();
        const auto begin = damaged.begin();
        std::swap_ranges(begin + static_cast<std::ptrdiff_t>(records[a].offset), begin + static_cast<std::ptrdiff_t>(records[a].end),
                         begin + static_cast<std::ptrdiff_t>(records[b].offset));
        expect_legal(log, damaged, at("swap", i, a * 100 + b));
        ++swaps;
      }
  });
  BOOST_TEST(swaps > 3u);
}

BOOST_AUTO_TEST_CASE(payloads_of_equal_length_do_not_verify_in_each_others_place) {
  LogBuilder log;
  log.batch(text(24)).batch("another text of 24 bytes");
  auto damaged = log.bytes();
  // Payload and its checksum, behind a header that is as it was.
  const auto first = static_cast<std::ptrdiff_t>(log.records()[0].offset + 40), second = static_cast<std::ptrdiff_t>(log.records()[1].offset + 40);
  std::swap_ranges(damaged.begin() + first, damaged.begin() + first + 32, damaged.begin() + second);
  expect_legal(log, damaged, "swapped payloads");
}

BOOST_AUTO_TEST_CASE(records_of_another_log_do_not_verify) {
  auto other_header = test::sample_wal_header();
  for (auto* word : {&other_header.id.low, &other_header.id.high}) {
    ++*word;
    for_each_log([&](std::size_t i, const LogBuilder& log) {
      // A log under another id, of other batches: what verifies wrongly shows.
      LogBuilder other(other_header);
      for (const auto& record : log.records()) {
        if (record.durable == record.offset) other.sync();
        auto payload = record.payload;
        for (auto& byte : payload) byte ^= std::byte{1};
        record.mark ? other.mark() : other.batch(payload);
      }
      other.zeros(log.bytes().size() - log.end());
      BOOST_REQUIRE(other.bytes().size() == log.bytes().size());
      for (const auto& record : log.records()) {
        auto damaged = log.bytes();
        std::copy(other.bytes().begin() + static_cast<std::ptrdiff_t>(record.offset), other.bytes().begin() + static_cast<std::ptrdiff_t>(record.end),
                  damaged.begin() + static_cast<std::ptrdiff_t>(record.offset));
        expect_legal(log, damaged, at("foreign", i, record.offset));
        // Its payload alone, behind our header.
        damaged = log.bytes();
        std::copy(other.bytes().begin() + static_cast<std::ptrdiff_t>(record.offset + 40), other.bytes().begin() + static_cast<std::ptrdiff_t>(record.end),
                  damaged.begin() + static_cast<std::ptrdiff_t>(record.offset + 40));
        expect_legal(log, damaged, at("foreign payload", i, record.offset));
      }
      // Stale records of a log that had the place on the disk before, behind the end of this one.
      auto stale = log.bytes();
      stale.resize(static_cast<std::size_t>(log.end()));
      stale.insert(stale.end(), other.bytes().begin() + static_cast<std::ptrdiff_t>(wal_header_size), other.bytes().end());
      expect_legal(log, stale, at("stale", i, 0));
    });
  }
}

BOOST_AUTO_TEST_CASE(a_sequence_that_does_not_follow_is_corruption_at_its_record) {
  for (const std::uint64_t wrong : {41u, 43u, 1u}) {
    LogBuilder log;
    log.batch(text(9), wrong);
    expect_corruption(log.bytes(), wal_header_size, "first sequence " + std::to_string(wrong));
  }
  for (const std::uint64_t wrong : {42u, 44u, 41u}) {
    LogBuilder log;
    log.batch(text(9)).batch(text(9), wrong);
    expect_corruption(log.bytes(), log.records()[1].offset, "second sequence " + std::to_string(wrong));
    BOOST_TEST(scanned(log.bytes()).batches.size() == 1u);
  }
  for (const std::uint64_t wrong : {0u, 41u, 43u}) {
    LogBuilder log;
    log.batch(text(9)).mark(wrong);
    expect_corruption(log.bytes(), log.records()[1].offset, "mark " + std::to_string(wrong));
  }
  for (const std::uint64_t wrong : {0u, 40u, 42u}) {
    LogBuilder log;
    log.mark(wrong);
    expect_corruption(log.bytes(), wal_header_size, "mark before any batch " + std::to_string(wrong));
  }
}

BOOST_AUTO_TEST_CASE(sequences_reach_the_end_of_their_range_and_do_not_begin_again) {
  auto header = test::sample_wal_header();
  header.first_sequence = ~std::uint64_t{0};
  LogBuilder log(header);
  log.batch(text(1)).mark();
  const auto end = log.end();
  log.batch(text(1), 0);
  BOOST_TEST((scanned(log.bytes()).end == WalEnd{end, ~std::uint64_t{0}, true}));
}

BOOST_AUTO_TEST_CASE(headers_that_cannot_be_do_not_verify_and_are_no_evidence) {
  LogBuilder log;
  log.batch(text(20)).batch(text(20));
  const auto id = log.header().id;
  const auto x = log.end();
  const auto put = [&](std::uint64_t offset, std::uint64_t length, std::uint32_t flags, std::uint64_t sequence, std::uint64_t durable) {
    auto bytes = log.bytes();
    bytes.resize(static_cast<std::size_t>(offset));
    append_wal_record_header(bytes, id, offset, length, flags, sequence, durable);
    if (flags != wal_mark_flag && length == 0) append(bytes, wal_checksum(id, offset + 40, {}));
    bytes.resize(bytes.size() + 200);
    return scanned(bytes);
  };
  const auto end = WalEnd{x, 43, true};
  // In the place of the next record.
  BOOST_TEST((put(x, 0, wal_batch_flag, 44, 72).end == WalEnd{x + 48, 44, false}));
  BOOST_TEST((put(x, 0, wal_mark_flag, 43, x).end == WalEnd{x + 40, 43, false}));
  BOOST_TEST((put(x, 0, 2, 44, 72).end == end), "flags");
  BOOST_TEST((put(x, 8, wal_mark_flag, 43, 72).end == end), "a mark with a length");
  BOOST_TEST((put(x, 0, wal_batch_flag, 44, 71).end == end), "durable within the header");
  BOOST_TEST((put(x, 0, wal_batch_flag, 44, x + 8).end == end), "durable beyond the record");
  BOOST_TEST((put(x, 0, wal_mark_flag, 43, ~std::uint64_t{0}).end == end), "durable beyond everything");
  // Behind the end.
  const auto y = x + 64;
  BOOST_TEST((put(y, 0, wal_mark_flag, 43, y).code == Errc::corruption));
  BOOST_TEST((put(y, 0, wal_mark_flag, 99, x + 1).code == Errc::corruption), "whatever its sequence");
  BOOST_TEST((put(y, 1u << 28, wal_batch_flag, 44, x + 1).code == Errc::corruption), "whatever its payload");
  BOOST_TEST((put(y, 0, wal_mark_flag, 43, x).end == end), "durable up to the end, not beyond");
  BOOST_TEST((put(y, 0, 2, 43, y).end == end), "flags");
  BOOST_TEST((put(y, 0, wal_batch_flag, 0, y).end == end), "a batch of sequence 0");
  BOOST_TEST((put(y, 0, wal_mark_flag, 43, y + 8).end == end), "durable beyond the record");
  BOOST_TEST((put(y + 4, 0, wal_mark_flag, 43, y).end == end), "not aligned");
}

BOOST_AUTO_TEST_CASE(a_reserved_field_that_is_not_zero_does_not_verify) {
  LogBuilder log;
  log.batch(text(20)).batch(text(3));
  auto bytes = log.bytes();
  const auto offset = log.records()[1].offset;
  store(&bytes[static_cast<std::size_t>(offset) + 12], std::uint32_t{1});
  store(&bytes[static_cast<std::size_t>(offset) + 32], wal_checksum(log.header().id, offset, ByteSpan(bytes).subspan(static_cast<std::size_t>(offset), 32)));
  BOOST_TEST((scanned(bytes).end == WalEnd{offset, 42, true}));
}

BOOST_AUTO_TEST_CASE(hostile_lengths_are_a_torn_record) {
  constexpr std::size_t behind = 64;
  const auto x = wal_header_size + wal_record_size(20);
  constexpr auto most = ~std::uint64_t{0};
  for (const std::uint64_t length :
       {std::uint64_t{1} << 28, std::uint64_t{1} << 32, std::uint64_t{1} << 61, std::uint64_t{1} << 63, most, most - 7, most - 8, most - 40, most - 47,
        most - 48, most - x, most - x - 40, std::uint64_t{behind}, std::uint64_t{behind - 7}, std::uint64_t{behind - 8}, std::uint64_t{behind + 1}}) {
    const auto found = scanned(with_hostile_length(length, behind));
    BOOST_TEST((found.code == Errc::none), length);
    BOOST_TEST((found.end == WalEnd{x, 42, true}), length);
  }
  // In the middle of a log that was synced it is damage.
  LogBuilder log;
  log.batch(text(20)).sync().mark();
  for (const std::uint64_t length : {std::uint64_t{1} << 28, std::uint64_t{1} << 61, most}) {
    auto bytes = encode_wal_header(log.header());
    append_wal_record_header(bytes, log.header().id, wal_header_size, length, wal_batch_flag, 42, wal_header_size);
    bytes.insert(bytes.end(), log.bytes().begin() + static_cast<std::ptrdiff_t>(bytes.size()), log.bytes().end());
    expect_corruption(bytes, wal_header_size, "length " + std::to_string(length));
  }
}

BOOST_AUTO_TEST_CASE(preallocated_zeros_and_a_torn_payload_are_passed_fast) {
  LogBuilder log;
  log.batch(text(20)).sync().mark();
  const auto end = log.end();
  const auto seconds = [](auto&& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  auto bytes = log.bytes();
  bytes.resize(bytes.size() + (std::size_t{10} << 20));
  const auto zeros = seconds([&] { BOOST_TEST((scanned(bytes).end == WalEnd{end, 42, false})); });
  BOOST_TEST(zeros < 1.0);
  // One byte at the very end makes the difference between an end and a torn one.
  bytes.back() = std::byte{1};
  const auto nearly_zeros = seconds([&] { BOOST_TEST((scanned(bytes).end == WalEnd{end, 42, true})); });
  BOOST_TEST(nearly_zeros < 2.0);
  std::mt19937_64 random(1);
  for (std::size_t at = static_cast<std::size_t>(end); at + 8 <= bytes.size(); at += 8) store(&bytes[at], random());
  const auto noise = seconds([&] { BOOST_TEST((scanned(bytes).end == WalEnd{end, 42, true})); });
  BOOST_TEST(noise < 2.0);
  BOOST_TEST_MESSAGE("10 MiB: zeros " << zeros << " s, zeros and a byte " << nearly_zeros << " s, noise " << noise << " s");
  // And evidence at the far end of it is found.
  const auto far = align_up(bytes.size(), 8);
  bytes.resize(static_cast<std::size_t>(far));
  append_wal_mark(bytes, log.header().id, far, 50, far);
  expect_corruption(bytes, end, "a mark behind 10 MiB");
}

BOOST_AUTO_TEST_CASE(what_the_visitor_throws_comes_through) {
  const auto log = test::sample_wal();
  BOOST_CHECK_THROW(static_cast<void>(scan_wal(log.bytes(), log.header(), path, [](std::uint64_t, ByteSpan) { throw std::out_of_range("enough"); })),
                    std::out_of_range);
}

BOOST_AUTO_TEST_SUITE_END()
