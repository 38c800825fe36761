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

// A run whose two columns are what the test says, sorted or not, and whose tail is `base`.
template <class Id>
std::pair<Bytes, FileIdentity> forged(const std::vector<std::uint64_t>& fingerprints, const std::vector<Id>& ids, std::uint64_t base = 0,
                                      std::size_t tail_length = 8) {
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::id_run, FileId{1, 2});
  writer.begin_section(fingerprints_section);
  writer.append(as_bytes(std::span<const std::uint64_t>(fingerprints)));
  writer.end_section();
  writer.begin_section(doc_ids_section);
  writer.append(as_bytes(std::span<const Id>(ids)));
  writer.end_section();
  Bytes tail;
  append(tail, base);
  tail.resize(tail_length);
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
  BOOST_TEST(static_cast<double>(bytes.size()) / 1e6 <= 12.1);  // bytes per key

  std::size_t chunks = 0, most = 0;
  constexpr std::size_t lookups = 2000;
  for (std::size_t i = 0; i < lookups; ++i) {
    scope.chunks.clear();
    const auto ids = all_of(run, scope, entries[i * 499].first);
    BOOST_TEST((ids == std::vector<std::uint64_t>{i * 499}));
    chunks += scope.chunks.size();
    most = std::max(most, scope.chunks.size());
  }
  BOOST_TEST(static_cast<double>(chunks) / lookups < 3.5);  // of a million entries: about two for the fingerprint, one for the id
  BOOST_TEST(most <= 12u);
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

BOOST_AUTO_TEST_CASE(many_lookups_in_one_pass_hold_little_and_view_no_chunk_twice) {
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
  BOOST_TEST(scope.views <= 3u * 100'000 / 512);
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
    const auto [bytes, identity] = round % 4 < 2 ? forged(fingerprints, ids) : forged(fingerprints, offsets, random());
    CopyingScope scope;
    const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
    for (int lookup = 0; lookup < 200; ++lookup) {
      const auto fingerprint = lookup % 2 == 0 ? fingerprints[random() % size] : random();
      scope.views = 0;
      BOOST_TEST(all_of(run, scope, fingerprint).size() <= size);
      BOOST_TEST(scope.views <= 64 + 2 * size / 16 + 2);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_distribution_made_to_mislead_the_guess_costs_no_more_than_halving) {
  // Every guess but the last lands at one end.
  std::vector<std::uint64_t> fingerprints;
  for (std::uint64_t i = 0; i < 200'000; ++i) fingerprints.push_back(i < 199'990 ? i : largest - (200'000 - i) * (largest / 20));
  std::sort(fingerprints.begin(), fingerprints.end());
  const auto [bytes, identity] = forged(fingerprints, std::vector<std::uint64_t>(fingerprints.size()));
  CopyingScope scope;
  const IdRun<CopyingReader> run(CopyingReader{&bytes}, scope, identity);
  for (std::uint64_t i = 0; i < fingerprints.size(); i += 997) {
    scope.views = 0;
    BOOST_TEST(all_of(run, scope, fingerprints[i]).size() == 1u);
    BOOST_TEST(scope.views <= 6u + 18u + 3u);
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
    BOOST_TEST(run.block().section(doc_ids_section).length == entries.size() * c.width, "from " << c.least << " to " << c.most);
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
  const auto [bytes, identity] = forged({1, 2}, Narrow{0xFFFFFFFF, 3}, largest - 1);
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
  refused(forged({1}, Narrow{1}, 0, 0));
  refused(forged({1}, Narrow{1}, 0, 7));
  refused(forged({1}, Narrow{1}, 0, 9));
  refused(forged({1}, Wide{1}, 1));  // whole ids count from nothing
  BytesDraft draft;
  BlockWriter<BytesDraft> writer(draft, BlockKind::id_run);
  const Bytes base(8);
  for (const auto name : {fingerprints_section, doc_ids_section}) {
    writer.begin_section(name);
    writer.append(Bytes(12));
    writer.end_section();
  }
  const auto odd = writer.finish(base);
  refused({draft.bytes, odd});
  BytesDraft half;
  BlockWriter<BytesDraft> one(half, BlockKind::id_run);
  one.begin_section(fingerprints_section);
  one.end_section();
  const auto alone = one.finish(base);
  refused({half.bytes, alone});
  BytesDraft other;
  BlockWriter<BytesDraft> block(other, BlockKind::scalar);
  const auto scalar = block.finish();
  refused({other.bytes, scalar});
}

BOOST_AUTO_TEST_SUITE_END()
