#include <quiver/ids/run.hpp>

#include <boost/test/unit_test.hpp>

#include "support/id_runs.hpp"

#include <limits>
#include <map>
#include <random>
#include <set>

using namespace quiver;
using namespace quiver::detail;

namespace {

using test::BytesDraft;

// Counts what is viewed. A view is a copy that dies when its scope is renewed, as with a reader that is not mapped.
struct CopyingScope {
  std::vector<Bytes> copies;
  std::set<std::uint64_t> chunks;
  std::size_t views = 0;
  void renew() noexcept { copies.clear(); }
};

struct CopyingReader {
  const Bytes* bytes;
  std::filesystem::path where = "idmap-000001";
  std::uint64_t size() const noexcept { return bytes->size(); }
  const std::filesystem::path& path() const noexcept { return where; }
  ByteSpan view(CopyingScope& scope, std::uint64_t offset, std::size_t length) const {
    BOOST_REQUIRE(within(offset, length, bytes->size()));
    ++scope.views;
    if (length > 0)
      for (auto chunk = offset / chunk_size; chunk <= (offset + length - 1) / chunk_size; ++chunk) scope.chunks.insert(chunk);
    return scope.copies.emplace_back(bytes->begin() + static_cast<std::ptrdiff_t>(offset), bytes->begin() + static_cast<std::ptrdiff_t>(offset + length));
  }
};

using Entries = std::vector<std::pair<std::uint64_t, DocId>>;

std::pair<Bytes, FileIdentity> written(Entries entries) {
  BytesDraft draft;
  const auto identity = write_id_run(draft, std::move(entries), FileId{1, 2});
  return {std::move(draft.bytes), identity};
}

// What a forged run says of itself; nothing: as a writer would.
struct Forged {
  std::uint64_t base = 0;
  std::optional<std::uint64_t> size = {};
  std::optional<std::vector<std::uint32_t>> starts = {};
  std::size_t tail_length = 16;
};

// A run whose entries are what the test says, sorted or not.
template <class Id>
std::pair<Bytes, FileIdentity> forged(const std::vector<std::uint64_t>& fingerprints, const std::vector<Id>& ids, const Forged& as = {}) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::id_run, FileId{1, 2});
  Bytes bytes;
  for (std::size_t i = 0; i < std::max(fingerprints.size(), ids.size()); ++i) {
    if (i < fingerprints.size()) append(bytes, fingerprints[i]);
    if (i < ids.size()) append(bytes, ids[i]);
  }
  writer.begin_section(entries_section);
  writer.append(bytes);
  writer.end_section();
  const RunBuckets buckets(fingerprints.size());
  std::vector<std::uint32_t> starts;
  for (std::uint64_t bucket = 0, at = 0; bucket <= buckets.count(); ++bucket) {
    while (bucket == buckets.count() ? at < fingerprints.size() : at < fingerprints.size() && buckets.of(fingerprints[at]) < bucket) ++at;
    starts.push_back(static_cast<std::uint32_t>(at));
  }
  writer.begin_section(starts_section);
  writer.append(as_bytes(std::span<const std::uint32_t>(as.starts ? *as.starts : starts)));
  writer.end_section();
  Bytes tail;
  append(tail, as.base);
  append(tail, as.size.value_or(fingerprints.size()));
  tail.resize(as.tail_length);
  const auto identity = writer.finish(tail);
  return {std::move(draft.bytes), identity};
}
using Wide = std::vector<std::uint64_t>;
using Narrow = std::vector<std::uint32_t>;

std::vector<std::uint64_t> all_of(const IdRun<CopyingReader>& run, CopyingScope& scope, std::uint64_t fingerprint) {
  std::vector<std::uint64_t> ids;
  BOOST_TEST(!run.find(scope, fingerprint, [&](DocId id) {
    ids.push_back(id.value);
    scope.renew();  // a callee may: the key that it compares is viewed through the same scope
    return false;
  }));
  scope.renew();
  return ids;
}

void expect_every_lookup(const Entries& entries, const std::vector<std::uint64_t>& absent) {
  std::map<std::uint64_t, std::multiset<std::uint64_t, std::greater<>>> oracle;
  for (const auto& [fingerprint, id] : entries) oracle[fingerprint].insert(id.value);
  const auto [bytes, identity] = written(entries);
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  BOOST_TEST(run.size() == entries.size());
  for (const auto& [fingerprint, ids] : oracle) {
    const auto found = all_of(run, scope, fingerprint);
    BOOST_TEST((found == std::vector<std::uint64_t>(ids.begin(), ids.end())), "fingerprint " << fingerprint << " of " << entries.size());
    for (const auto near : {fingerprint - 1, fingerprint + 1})
      if (!oracle.contains(near)) BOOST_TEST(all_of(run, scope, near).empty());
  }
  for (const auto fingerprint : absent)
    if (!oracle.contains(fingerprint)) BOOST_TEST(all_of(run, scope, fingerprint).empty());
}

constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();

}  // namespace

BOOST_AUTO_TEST_SUITE(id_run)

BOOST_AUTO_TEST_CASE(every_fingerprint_is_found_and_no_other) {
  std::mt19937_64 random(7);
  for (const std::size_t size : {0u, 1u, 2u, 3u, 504u, 505u, 511u, 512u, 513u, 1016u, 1017u, 5000u}) {
    Entries entries;
    for (std::size_t i = 0; i < size; ++i) entries.emplace_back(random(), DocId{i});
    expect_every_lookup(entries, {0, 1, largest / 2, largest});
  }
}

BOOST_AUTO_TEST_CASE(uneven_fingerprints_are_found_too) {
  for (const auto& value_of :
       {+[](std::uint64_t i) { return i; }, +[](std::uint64_t i) { return largest - i; }, +[](std::uint64_t i) { return std::uint64_t{1} << (i % 64); },
        +[](std::uint64_t i) { return i * i * i; }, +[](std::uint64_t i) { return i < 2500 ? i : largest - i; }, +[](std::uint64_t i) { return i / 700; }}) {
    Entries entries;
    for (std::uint64_t i = 0; i < 5000; ++i) entries.emplace_back(value_of(i), DocId{i});
    expect_every_lookup(entries, {0, largest, largest / 3});
  }
}

BOOST_AUTO_TEST_CASE(equal_fingerprints_come_newest_first_across_chunks) {
  Entries entries;
  for (std::uint64_t i = 0; i < 3000; ++i) entries.emplace_back(99, DocId{(i * 7919) % 3000});
  entries.emplace_back(0, DocId{5});
  entries.emplace_back(0, DocId{6});
  entries.emplace_back(largest, DocId{7});
  expect_every_lookup(entries, {1, 98, 100});

  const auto [bytes, identity] = written(entries);
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  std::uint64_t calls = 0;
  BOOST_TEST(run.find(scope, 99, [&](DocId id) {
    ++calls;
    return id.value == 2998;
  }));
  BOOST_TEST(calls == 2u);  // nothing is visited after the answer
}

BOOST_AUTO_TEST_CASE(opening_reads_no_entry_and_a_lookup_touches_few_chunks) {
  std::mt19937_64 random(11);
  Entries entries;
  for (std::uint64_t i = 0; i < 1'000'000; ++i) entries.emplace_back(random(), DocId{i});
  const auto [bytes, identity] = written(entries);
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  for (const auto chunk : scope.chunks) BOOST_TEST(chunk * chunk_size >= 12'000'000 / chunk_size * chunk_size);
  BOOST_TEST(static_cast<double>(bytes.size()) / 1e6 <= 13.1);  // bytes per key

  std::size_t chunks = 0, most = 0;
  constexpr std::size_t lookups = 2000;
  for (std::size_t i = 0; i < lookups; ++i) {
    scope.chunks.clear();
    const auto ids = all_of(run, scope, entries[i * 499].first);
    BOOST_TEST((ids == std::vector<std::uint64_t>{i * 499}));
    chunks += scope.chunks.size();
    most = std::max(most, scope.chunks.size());
  }
  BOOST_TEST(static_cast<double>(chunks) / lookups < 2.1);  // one of the starts, one of the entries
  BOOST_TEST(most <= 4u);
}

BOOST_AUTO_TEST_CASE(many_lookups_in_one_pass_find_what_single_ones_find) {
  std::mt19937_64 random(17);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{600}, std::size_t{20'000}}) {
    Entries entries;
    for (std::size_t i = 0; i < size; ++i) entries.emplace_back(i % 3 == 0 ? random() % 50 : random(), DocId{i});
    const auto [bytes, identity] = written(entries);
    CopyingScope scope;
    const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
    std::vector<std::uint64_t> wanted{0, 0, 49, largest, largest};
    for (std::size_t i = 0; i < 1000; ++i) wanted.push_back(size != 0 && i % 2 == 0 ? entries[random() % size].first : random());
    std::sort(wanted.begin(), wanted.end());
    for (const bool stop : {false, true}) {
      std::vector<std::vector<std::uint64_t>> found(wanted.size());
      std::size_t most_held = 0;
      run.find_sorted(scope, wanted, [&](std::size_t i, DocId id) {
        found[i].push_back(id.value);
        most_held = std::max(most_held, scope.copies.size());
        if (id.value % 2 == 0) scope.renew();
        return stop;
      });
      BOOST_TEST(most_held <= 1200u);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        auto expected = all_of(run, scope, wanted[i]);
        if (stop && expected.size() > 1) expected.resize(1);
        BOOST_TEST((found[i] == expected), "lookup " << i << " of " << size);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(many_lookups_in_one_pass_hold_little_and_view_few_chunks_twice) {
  std::mt19937_64 random(19);
  Entries entries;
  for (std::size_t i = 0; i < 100'000; ++i) entries.emplace_back(random(), DocId{i});
  const auto [bytes, identity] = written(entries);
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  std::vector<std::uint64_t> absent(10'000);
  for (auto& f : absent) f = random();
  std::sort(absent.begin(), absent.end());
  scope.views = 0;
  run.find_sorted(scope, absent, [](std::size_t, DocId) { return true; });
  // Each chunk once, two again for each piece of the batch, and the one before where what is sought is likely to be at a chunk's begin and is not.
  BOOST_TEST(scope.views <= 100'000u * 12 / chunk_size * 5 / 4 + 3u * (10'000 / 256 + 1));
  BOOST_TEST(scope.copies.size() <= 8u);
}

BOOST_AUTO_TEST_CASE(entries_that_nobody_sorted_end_every_lookup_within_the_file) {
  std::mt19937_64 random(13);
  for (int round = 0; round < 50; ++round) {
    const std::size_t size = 1 + random() % 4000;
    Wide fingerprints(size), ids(size);
    Narrow offsets(size);
    for (auto& f : fingerprints) f = random() % 3 == 0 ? random() % 10 : random();
    for (auto& id : ids) id = random();
    for (auto& offset : offsets) offset = static_cast<std::uint32_t>(random());
    if (round % 2 == 0) std::sort(fingerprints.rbegin(), fingerprints.rend());
    Narrow starts(RunBuckets(size).count() + 1);
    for (auto& start : starts) start = static_cast<std::uint32_t>(random() % (size + 1));
    std::sort(starts.begin(), starts.end());
    Forged as;
    if (round % 3 == 0) as.starts = starts;
    if (round % 4 >= 2) as.base = random();
    const auto [bytes, identity] = round % 4 < 2 ? forged(fingerprints, ids, as) : forged(fingerprints, offsets, as);
    CopyingScope scope;
    const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
    for (int lookup = 0; lookup < 200; ++lookup) {
      const auto fingerprint = lookup % 2 == 0 ? fingerprints[random() % size] : random();
      scope.views = 0;
      BOOST_TEST(all_of(run, scope, fingerprint).size() <= size);
      BOOST_TEST(scope.views <= 16 + 2 * size / 16 + 2);
    }
  }
}

BOOST_AUTO_TEST_CASE(starts_that_do_not_ascend_within_the_run_are_corruption_where_they_are_asked) {
  Wide fingerprints;
  Narrow ids;
  for (std::uint32_t i = 0; i < 300; ++i) fingerprints.push_back(largest / 300 * i), ids.push_back(i);
  BOOST_REQUIRE(RunBuckets(ids.size()).count() == 2u);
  const auto refuses = [&](const Narrow& starts, std::uint64_t fingerprint) {
    const auto file = forged(fingerprints, ids, {.starts = starts});
    CopyingScope scope;
    const IdRun<CopyingReader> run(CopyingReader{&file.first}, scope, file.second);
    const auto refused = [&](auto&& look) {
      try {
        look();
        return false;
      } catch (const Error& e) {
        BOOST_TEST((e.code() == Errc::corruption));
        BOOST_TEST(!e.path().empty());
        return true;
      }
    };
    const bool one = refused([&] { run.find(scope, fingerprint, [](DocId) { return false; }); });
    BOOST_TEST(one == refused([&] { run.find_sorted(scope, std::span(&fingerprint, 1), [](std::size_t, DocId) { return false; }); }));
    return one;
  };
  for (const auto fingerprint : fingerprints) BOOST_TEST(!refuses({0, 150, 300}, fingerprint));
  BOOST_TEST(refuses({200, 150, 300}, 1));
  BOOST_TEST(!refuses({200, 150, 300}, largest));
  BOOST_TEST(refuses({0, 301, 301}, 1));
  BOOST_TEST(refuses({0, 301, 301}, largest));
  BOOST_TEST(refuses({0, 150, 301}, largest));
  BOOST_TEST(refuses({0, 150, 149}, largest));
}

BOOST_AUTO_TEST_CASE(fingerprints_made_to_share_a_bucket_cost_no_more_than_halving) {
  Wide fingerprints;
  for (std::uint64_t i = 0; i < 200'000; ++i) fingerprints.push_back(i);
  const auto [bytes, identity] = forged(fingerprints, Wide(fingerprints.size()));
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  for (std::uint64_t i = 0; i < fingerprints.size(); i += 997) {
    scope.views = 0;
    BOOST_TEST(all_of(run, scope, fingerprints[i]).size() == 1u);
    BOOST_TEST(scope.views <= 18u + 3u);
  }
}

BOOST_AUTO_TEST_CASE(ids_within_32_bits_of_each_other_take_four_bytes_and_others_eight) {
  constexpr std::uint64_t near = 0xFFFFFFFF;
  struct Case {
    std::uint64_t least, most, width;
  };
  for (const auto& c : {Case{0, 0, 4}, Case{5, 5, 4}, Case{largest, largest, 4}, Case{0, near, 4}, Case{0, near + 1, 8}, Case{77, 77 + near, 4},
                        Case{77, 78 + near, 8}, Case{largest - near, largest, 4}, Case{largest - near - 1, largest, 8}, Case{0, largest, 8}}) {
    const auto middle = c.least + (c.most - c.least) / 2;
    // The largest comes first, the smallest in the middle of the order.
    const Entries entries{{1, DocId{c.most}}, {2, DocId{c.least}}, {3, DocId{middle}}, {3, DocId{c.least}}, {3, DocId{c.most}}};
    const auto [bytes, identity] = written(entries);
    CopyingScope scope;
    const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
    BOOST_TEST(run.block().section(entries_section).length == entries.size() * (8 + c.width), "from " << c.least << " to " << c.most);
    expect_every_lookup(entries, {0, 4});
    Entries all(entries.size());
    run.read(scope, 0, all);
    BOOST_TEST((all == Entries{{1, DocId{c.most}}, {2, DocId{c.least}}, {3, DocId{c.most}}, {3, DocId{middle}}, {3, DocId{c.least}}}));
    Entries some(2);
    run.read(scope, 1, some);
    BOOST_TEST((some == Entries{{2, DocId{c.least}}, {3, DocId{c.most}}}));
  }
}

BOOST_AUTO_TEST_CASE(a_run_of_no_entries_finds_nothing) {
  const auto [bytes, identity] = written({});
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  BOOST_TEST(run.size() == 0u);
  BOOST_TEST(all_of(run, scope, 0).empty());
}

BOOST_AUTO_TEST_CASE(offsets_that_lead_past_the_largest_id_begin_again_at_the_smallest) {
  const auto [bytes, identity] = forged({1, 2}, Narrow{0xFFFFFFFF, 3}, {.base = largest - 1});
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  BOOST_TEST((all_of(run, scope, 1) == Wide{0xFFFFFFFD}));
  BOOST_TEST((all_of(run, scope, 2) == Wide{1}));
}

BOOST_AUTO_TEST_CASE(sections_that_do_not_fit_each_other_are_corruption) {
  const auto refused = [](const std::pair<Bytes, FileIdentity>& file) {
    CopyingScope scope;
    BOOST_CHECK_EXCEPTION((IdRun<CopyingReader>(CopyingReader{&file.first}, scope, file.second)), Error,
                          [](const Error& e) { return e.code() == Errc::corruption && !e.path().empty(); });
  };
  refused(forged({1, 2, 3}, Wide{1, 2}));
  refused(forged({1}, Wide{1, 2}));
  refused(forged({1, 2, 3}, Narrow{1, 2}));
  refused(forged({1, 2, 3}, Narrow{1, 2, 3, 4}));
  refused(forged({}, Narrow{1}));
  refused(forged({1, 2}, std::vector<std::uint16_t>{1, 2}));
  for (const std::size_t length : {0u, 8u, 15u, 17u, 24u}) refused(forged({1}, Narrow{1}, {.tail_length = length}));
  refused(forged({1}, Wide{1}, {.base = 1}));  // whole ids count from nothing
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{4}, largest, largest / 12})
    refused(forged({1, 2}, Narrow{1, 2}, {.size = size}));
  refused(forged({}, Narrow{}, {.size = 1}));
  for (const std::size_t count : {0u, 1u, 3u, 4u}) refused(forged({1, 2}, Narrow{1, 2}, {.starts = Narrow(count)}));
  for (const auto name : {entries_section, starts_section}) {
    BytesDraft half;
    BlockWriter<BytesDraft> one(half, BlockKind::id_run);
    one.begin_section(name);
    one.append(Bytes(name == starts_section ? 8 : 0));
    one.end_section();
    const auto alone = one.finish(Bytes(16));
    refused({half.bytes, alone});
  }
  BytesDraft other;
  BlockWriter<BytesDraft> block(other, BlockKind::scalar);
  const auto scalar = block.finish();
  refused({other.bytes, scalar});
}

BOOST_AUTO_TEST_SUITE_END()
