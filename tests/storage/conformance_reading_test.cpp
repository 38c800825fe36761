#include "storage/conformance.hpp"

#include <random>

BOOST_AUTO_TEST_SUITE(conformance_reading)

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_CASE_TEMPLATE(what_was_published_reads_back_byte_for_byte, P, AllPolicies) {
  Place<P> place;
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{4095}, std::size_t{4096}, std::size_t{4097}, std::size_t{300'001}}) {
    const auto name = "seg-000001/blk-" + std::to_string(size);
    const auto sample = place.add(name, size);
    const auto store = place.open();
    const auto reader = store.open(name, sample.identity);
    auto scope = store.read_scope();
    BOOST_TEST(reader.size() == sample.bytes.size());
    BOOST_TEST(same(reader.view(scope, 0, sample.bytes.size()), sample.bytes));
    BOOST_TEST(reader.path().string().find(name) != std::string::npos);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(any_part_of_a_file_can_be_viewed, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 50'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  const ByteSpan all(sample.bytes);
  std::mt19937_64 random(7);
  auto scope = store.read_scope();
  for (int i = 0; i < 500; ++i) {
    const auto offset = random() % all.size();
    const auto length = random() % std::min<std::uint64_t>(all.size() - offset, i % 2 ? 100 : 20'000);
    BOOST_REQUIRE(same(reader.view(scope, offset, length), all.subspan(offset, length)));
    if (i % 7 == 0) scope.renew();
  }
  // The places where something ends: chunks, the data, the file.
  for (const std::size_t edge :
       {std::size_t{0}, std::size_t{4096}, std::size_t{8192}, std::size_t{50'000}, static_cast<std::size_t>(sample.trailer_offset), all.size()})
    for (const std::size_t before : {0u, 1u, 63u, 5000u})
      for (const std::size_t after : {0u, 1u, 64u, 5000u}) {
        const auto begin = edge - std::min(edge, before);
        const auto end = std::min(all.size(), edge + after);
        BOOST_REQUIRE(same(reader.view(scope, begin, end - begin), all.subspan(begin, end - begin)));
      }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_view_is_aligned_to_64_where_its_offset_is, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 20'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  auto scope = store.read_scope();
  for (std::uint64_t offset = 0; offset + 64 <= reader.size(); offset += 64) {
    BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(reader.view(scope, offset, 64).data()) % 64 == 0);
    BOOST_REQUIRE(reinterpret_cast<std::uintptr_t>(reader.view(scope, offset, static_cast<std::size_t>(reader.size() - offset)).data()) % 64 == 0);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(all_views_of_a_scope_live_until_it_is_renewed, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 600'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  const ByteSpan all(sample.bytes);
  auto scope = store.read_scope();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::pair<Range, ByteSpan>> views;
    for (std::uint64_t offset = 0; offset + 9000 <= all.size(); offset += 7001) {
      const Range range{offset, 100 + static_cast<std::size_t>(offset % 8000)};
      views.emplace_back(range, reader.view(scope, range.offset, range.length));
    }
    for (const auto& [range, view] : views) BOOST_REQUIRE(same(view, all.subspan(static_cast<std::size_t>(range.offset), range.length)));
    scope.renew();
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(scopes_nest_and_do_not_disturb_each_other, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 100'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  const ByteSpan all(sample.bytes);
  auto outer = store.read_scope();
  const auto kept = reader.view(outer, 10'000, 9000);
  {
    auto inner = store.read_scope();
    for (int i = 0; i < 20; ++i) {
      BOOST_REQUIRE(same(reader.view(inner, 10'000, 9000), all.subspan(10'000, 9000)));
      inner.renew();
    }
    const auto inner_kept = reader.view(inner, 50'000, 9000);
    auto innermost = store.read_scope();
    static_cast<void>(reader.view(innermost, 50'000, 9000));
    innermost.renew();
    BOOST_TEST(same(inner_kept, all.subspan(50'000, 9000)));
  }
  BOOST_TEST(same(kept, all.subspan(10'000, 9000)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(views_survive_the_move_of_their_scope_and_reader, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 100'000);
  auto store = place.open();
  auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  const ByteSpan all(sample.bytes);
  auto scope = store.read_scope();
  const auto early = reader.view(scope, 30'000, 5000);
  auto moved_scope = std::move(scope);
  const auto moved_reader = std::move(reader);
  const auto moved_store = std::move(store);
  BOOST_TEST(same(early, all.subspan(30'000, 5000)));
  BOOST_TEST(same(moved_reader.view(moved_scope, 0, 5000), all.first(5000)));
  BOOST_TEST(same(early, all.subspan(30'000, 5000)));
  BOOST_TEST(!moved_store.list().empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_scope_serves_several_files, P, AllPolicies) {
  Place<P> place;
  const auto first = place.add("seg-000001/blk-000001.scalar", 20'000, 1);
  const auto second = place.add("seg-000001/blk-000002.scalar", 20'000, 2);
  const auto store = place.open();
  const auto a = store.open("seg-000001/blk-000001.scalar", first.identity);
  const auto b = store.open("seg-000001/blk-000002.scalar", second.identity);
  auto scope = store.read_scope();
  for (std::uint64_t offset = 0; offset + 500 <= 20'000; offset += 999) {
    const auto of_a = a.view(scope, offset, 500);
    const auto of_b = b.view(scope, offset, 500);
    BOOST_REQUIRE(same(of_a, ByteSpan(first.bytes).subspan(static_cast<std::size_t>(offset), 500)));
    BOOST_REQUIRE(same(of_b, ByteSpan(second.bytes).subspan(static_cast<std::size_t>(offset), 500)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(prefetch_changes_no_answer, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 3'000'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/blk-000001.scalar", sample.identity);
  const ByteSpan all(sample.bytes);
  auto scope = store.read_scope();
  reader.prefetch(scope, {});
  std::mt19937_64 random(11);
  for (int round = 0; round < 20; ++round) {
    std::vector<Range> ranges{{0, 0}, {all.size(), 0}, {all.size() - 20, 20}, {sample.data_length - 10, 40}};  // unordered, overlapping, empty, in the footer
    for (int i = 0; i < 40; ++i) {
      const auto offset = random() % (all.size() - 5000);
      ranges.push_back({offset, static_cast<std::size_t>(random() % 5000)});
    }
    if (round == 5) ranges.push_back({0, all.size()});
    const auto kept = reader.view(scope, 77, 999);
    reader.prefetch(scope, ranges);
    for (const auto& range : ranges)
      BOOST_REQUIRE(same(reader.view(scope, range.offset, range.length), all.subspan(static_cast<std::size_t>(range.offset), range.length)));
    BOOST_REQUIRE(same(kept, all.subspan(77, 999)));
    scope.renew();
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_reader_outlives_its_store_and_the_removal_of_its_file, P, AllPolicies) {
  Place<P> place;
  const auto sample = place.add("seg-000001/blk-000001.scalar", 100'000);
  std::optional<typename P::Store> store(place.open());
  const auto reader = store->open("seg-000001/blk-000001.scalar", sample.identity);
  auto scope = store->read_scope();
  store.reset();
  place.writer.remove("seg-000001/blk-000001.scalar");
  BOOST_TEST(same(reader.view(scope, 0, sample.bytes.size()), sample.bytes));
  BOOST_TEST((code_of([&] { return place.open().open("seg-000001/blk-000001.scalar", sample.identity); }) == Errc::not_found));
}

BOOST_AUTO_TEST_SUITE_END()
