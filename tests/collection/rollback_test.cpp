#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/numbered_documents.hpp"
#include "support/policies.hpp"

#include <boost/test/unit_test.hpp>

using namespace quiver;
using namespace quiver::test;

BOOST_AUTO_TEST_SUITE(rollback)

using namespace quiver::test::numbered_documents;
using Files = Collection<MMapPolicy>;

BOOST_AUTO_TEST_CASE_TEMPLATE(it_brings_back_what_a_version_held_and_can_be_undone, P, WritablePolicies) {
  const FreshFolder folder;
  auto c = Collection<P>::create(folder.path(), numbered_schema());
  auto held = fill(c);
  c.flush();
  const auto version = c.stats().version;
  const auto good = held;
  for (std::uint64_t i = 0; i < 200; i += 2)
    if (c.erase("k" + std::to_string(i))) held.erase(i);
  c.upsert(numbered(1, held[1] = 9));
  c.insert(numbered(777, held[777] = 9));  // not flushed, and with two versions retained a flush would push the good one out
  const auto next = c.fetch("k777")->id().value + 1;
  c.rollback_to(version);
  BOOST_TEST(holds(c, good));
  BOOST_TEST(c.verify().ok());
  const auto versions = c.versions();
  BOOST_TEST(versions.size() == 2u);
  BOOST_TEST(versions.back().number == version + 2);
  BOOST_TEST(versions.back().documents == good.size());
  BOOST_TEST(versions.front().documents == held.size());
  c.insert(numbered(888, 8));
  BOOST_TEST(c.fetch("k888")->id().value == next);
  c.erase("k888");
  c.close();
  auto again = Collection<P>::open(folder.path());
  BOOST_TEST(holds(again, good));
  again.rollback_to(again.versions().front().number);
  BOOST_TEST(!holds(again, held));  // close() had made a version of its own, and that is the one before now
  again.close();
}

BOOST_AUTO_TEST_CASE(a_version_is_not_pruned_by_the_flush_before_it_is_gone_back_to) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
  auto held = fill(c);
  c.flush();
  c.optimize();  // the oldest of two has files that no other version names
  const auto oldest = c.versions().front();
  c.insert(numbered(777, 9));
  c.rollback_to(oldest.number);
  BOOST_TEST(holds(c, held));
  c.close();
  BOOST_TEST(holds(Files::open(folder.path()), held));
  BOOST_TEST(Files::open(folder.path()).verify().ok());
}

BOOST_AUTO_TEST_CASE(going_back_and_back_again) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  auto held = fill(c);
  c.flush();
  const auto good = held;
  const auto version = c.stats().version;
  c.insert(numbered(777, held[777] = 9));
  c.rollback_to(version);
  BOOST_TEST(holds(c, good));
  c.rollback_to(c.versions().front().number);
  BOOST_TEST(holds(c, held));
  c.optimize();
  BOOST_TEST(holds(c, held));
  c.rollback_to(c.versions().front().number);
  BOOST_TEST(holds(c, held));
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_version_that_is_not_retained_is_not_found) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  const auto held = fill(c);
  const auto version = c.stats().version;
  BOOST_TEST((code_of([&] { c.rollback_to(1); }) == Errc::not_found));
  BOOST_TEST((code_of([&] { c.rollback_to(version + 100); }) == Errc::not_found));
  BOOST_TEST(holds(c, held));
  BOOST_TEST(c.stats().version == version);
  c.flush();
  const auto now = c.stats().version;
  c.rollback_to(now);  // it is there already
  BOOST_TEST(c.stats().version == now);
  BOOST_TEST(holds(c, held));
}

BOOST_AUTO_TEST_CASE(a_version_is_listed_until_it_is_neither_young_nor_among_the_newest) {
  using namespace quiver::detail;
  Version before, next;
  for (std::uint64_t number = 1; number <= 5; ++number)
    before.retained.push_back({number, static_cast<std::int64_t>(number) * 10'000'000, 0, number == 3});  // ten seconds from one to the next
  before.number = 6, before.time = 60'000'000;
  next.number = 7, next.time = 70'000'000;
  const auto kept = [&](std::uint64_t versions, std::int64_t age, std::uint64_t keep = 0) {
    next.retain_versions = versions, next.retain_age_seconds = age;
    std::vector<std::uint64_t> out;
    for (const auto& version : retained_after(before, next, keep)) out.push_back(version.number);
    return out;
  };
  using Numbers = std::vector<std::uint64_t>;
  BOOST_TEST((kept(1, 0) == Numbers{6}));
  BOOST_TEST((kept(2, 0) == Numbers{6}));
  BOOST_TEST((kept(3, 0) == Numbers{5, 6}));
  BOOST_TEST((kept(5, 0) == Numbers{2, 4, 5, 6}));  // 3 continues 2 and is no version of its own
  BOOST_TEST((kept(1, 20) == Numbers{6}));          // younger, so that one of 20 seconds goes
  BOOST_TEST((kept(1, 21) == Numbers{5, 6}));
  BOOST_TEST((kept(1, 41) == Numbers{4, 5, 6}));
  BOOST_TEST((kept(4, 21) == Numbers{4, 5, 6}));
  BOOST_TEST((kept(1, std::numeric_limits<std::int64_t>::max()) == Numbers{1, 2, 4, 5, 6}));
  BOOST_TEST((kept(1, 0, 2) == Numbers{2, 6}));
  // What a writer that took over published is kept beside the one before.
  before.continues = true;
  BOOST_TEST((kept(1, 0) == Numbers{5, 6}));
  BOOST_TEST((kept(3, 0) == Numbers{4, 5, 6}));
  before.continues = false;
  next.time = 0;  // a clock that went back makes nothing old
  BOOST_TEST((kept(1, 5) == Numbers{1, 2, 4, 5, 6}));
  next.time = 70'000'000, next.continues = true;
  BOOST_TEST((kept(2, 0) == Numbers{5, 6}));
}

BOOST_AUTO_TEST_CASE(the_version_before_can_be_gone_back_to_also_after_an_open) {
  const FreshFolder folder;
  const auto listed = [](const auto& c) {
    std::vector<std::uint64_t> out;
    for (const auto& version : c.versions()) out.push_back(version.number);
    return out;
  };
  std::uint64_t before = 0;
  {
    auto c = Files::create(folder.path(), numbered_schema(), {.retain = {.versions = 1}});
    c.insert(numbered(1, 1)), c.flush();
    c.insert(numbered(2, 2)), c.flush();
    before = c.stats().version;
    BOOST_TEST((listed(c) == std::vector<std::uint64_t>{before - 1, before}));
  }
  auto c = Files::open(folder.path());
  c.insert(numbered(3, 3));
  BOOST_TEST((listed(c) == std::vector<std::uint64_t>{before - 1, before}));
  BOOST_TEST(c.snapshot().version() == before);
  BOOST_TEST((code_of([&] { (void)Files::open(folder.path(), {.at_version = before + 1}); }) == Errc::not_found));  // the writer's own, listed nowhere
  c.flush();
  BOOST_TEST(listed(c).size() == 2u);
  BOOST_TEST(listed(c).front() == before);
  BOOST_TEST((holds(Files::open(folder.path(), {.at_version = before}), Held{{1, 1}, {2, 2}})));
  c.rollback_to(before);
  BOOST_TEST((holds(c, Held{{1, 1}, {2, 2}})));
}

BOOST_AUTO_TEST_CASE(a_snapshot_and_a_reader_keep_what_was_rolled_back) {
  const FreshFolder folder;
  auto c = Files::create(folder.path(), numbered_schema());
  auto held = fill(c);
  const auto good = held;
  c.flush();
  const auto version = c.stats().version;
  c.insert(numbered(777, held[777] = 9));
  const auto snapshot = c.snapshot();
  auto reader = Files::open(folder.path(), {.mode = OpenMode::read_only});
  c.rollback_to(version);
  c.insert(numbered(778, 1));
  for (int i = 0; i < 4; ++i) c.insert(numbered(800 + static_cast<std::uint64_t>(i), 1)), c.flush();
  BOOST_TEST(holds(snapshot, held));
  BOOST_TEST(holds(reader, held));
  reader.refresh();
  BOOST_TEST(reader.count() == good.size() + 5);
  BOOST_TEST(!reader.fetch("k777").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
