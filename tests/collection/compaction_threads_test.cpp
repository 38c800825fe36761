#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/soon.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <thread>

using namespace quiver;
using namespace quiver::test;

namespace compaction_threads {
namespace {

Document numbered(std::uint64_t key, std::uint64_t value) {
  return Document{"k" + std::to_string(key), {{"n", value}, {"v", {static_cast<float>(value), 1.0f}}}};
}
Schema numbered_schema() { return Schema{Field::uint64("n"), VectorField("v", 2)}; }

}  // namespace
}  // namespace compaction_threads

BOOST_AUTO_TEST_SUITE(compaction_threads)

// A writer replaces each of its keys in turn, so at any moment every key is there once, with one of two neighbouring values; others look, and one merges.
BOOST_AUTO_TEST_CASE(readers_and_a_writer_go_on_while_segments_are_merged) {
  constexpr std::uint64_t keys = 40;
  const std::uint64_t rounds = sanitized ? 30 : 120;
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered, .flush_bytes = 4000, .segment_rows = 300});
  for (std::uint64_t i = 0; i < keys; ++i) c.insert(numbered(i, 0));
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0}, looks{0}, merges{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t step = t; !done.load(); ++step) try {
          const auto snapshot = c.snapshot();
          std::uint64_t least = ~std::uint64_t{0}, most = 0, seen = 0;
          for (const auto& d : snapshot.scan({.fields = {"n"}})) {
            const auto value = d.get<std::uint64_t>("n").value();
            least = std::min(least, value), most = std::max(most, value);
            ++seen;
          }
          const auto one = snapshot.fetch("k" + std::to_string(step % keys), {"n"});
          if (seen != keys || most - least > 1 || !one || snapshot.search({.field = "v", .query = {0.0f, 1.0f}, .k = keys + 1}).size() != keys)
            wrong.fetch_add(1);
          looks.fetch_add(1);
        } catch (const Error& e) {
          wrong.fetch_add(1);
          BOOST_TEST_MESSAGE(e.what());
        }
    });
  threads.emplace_back([&] {
    while (!done.load()) try {
        c.optimize();
        merges.fetch_add(1);
      } catch (const Error& e) {
        wrong.fetch_add(1);
        BOOST_TEST_MESSAGE(e.what());
      }
  });
  for (std::uint64_t round = 1; round <= rounds; ++round)
    for (std::uint64_t i = 0; i < keys; ++i) c.upsert(numbered(i, round));
  done = true;
  for (auto& thread : threads) thread.join();
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(looks >= 2u);
  BOOST_TEST(merges >= 2u);
  BOOST_TEST(c.verify().ok());
  c.close();
  const auto again = Collection<MMapPolicy>::open(folder.path());
  BOOST_TEST(again.count() == keys);
  for (std::uint64_t i = 0; i < keys; ++i) BOOST_TEST(again.fetch("k" + std::to_string(i))->get<std::uint64_t>("n").value() == rounds);
}

BOOST_AUTO_TEST_CASE(in_the_background_many_flushes_become_few_segments_and_deleted_rows_go) {
  const FreshFolder folder;
  auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered, .background_compaction = true});
  for (std::uint64_t i = 0; i < 40; ++i) {
    c.insert(numbered(i, i));
    c.flush();
  }
  for (std::uint64_t i = 0; i < 30; ++i) c.erase("k" + std::to_string(i));
  c.flush();
  const auto parts = [&] {
    const auto segments = c.segments();
    std::size_t sum = 0;
    for (const auto& segment : segments) sum += Segment<MMapPolicy>::open(folder.path(), segment.id).row_groups().size();
    return sum;
  };
  const auto settled = [&] {
    try {
      return c.stats().deleted == 0 && parts() < 8;
    } catch (const Error&) {
      return false;  // merged away between two looks
    }
  };
  BOOST_TEST(soon(settled));
  BOOST_TEST(c.count() == 10u);
  BOOST_TEST(c.verify().ok());
  c.close();
  BOOST_TEST(Collection<MMapPolicy>::open(folder.path()).count() == 10u);
}

BOOST_AUTO_TEST_CASE(closing_does_not_wait_for_a_long_merge_and_loses_nothing) {
  for (int round = 0; round < (sanitized ? 5 : 20); ++round) {
    const FreshFolder folder;
    {
      auto c = Collection<MMapPolicy>::create(folder.path(), numbered_schema(), {.durability = Durability::buffered});
      for (std::uint64_t i = 0; i < 12; ++i) c.insert(numbered(i, i)), c.flush();
    }
    {
      auto c = Collection<MMapPolicy>::open(folder.path(), {.background_compaction = true});
      if (round % 2 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300 * round));
      c.erase("k3");
      auto moved = std::move(c);
      moved.insert(numbered(100, 100));
    }
    auto c = Collection<MMapPolicy>::open(folder.path());
    BOOST_TEST(c.count() == 12u);
    BOOST_TEST(c.verify().ok());
  }
}

BOOST_AUTO_TEST_SUITE_END()
