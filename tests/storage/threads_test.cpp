#include <quiver/storage/policy.hpp>

#include "storage/conformance.hpp"

#include <atomic>
#include <thread>

// Stores and readers serve many threads, each with a scope of its own.

BOOST_AUTO_TEST_SUITE(storage_threads)

using namespace quiver;
using namespace quiver::test;

using Shared = std::tuple<MMapPolicy, CheckedMMapPolicy, MMapReadPolicy, MemoryPolicy, FileReadPolicy, my::ShelfPolicy, StrictPolicy>;

BOOST_AUTO_TEST_CASE_TEMPLATE(many_threads_read_one_reader_while_another_writes, P, Shared) {
  Place<P> place;
  const auto sample = place.add("seg-000001/a", 400'000);
  const auto store = place.open();
  const auto reader = store.open("seg-000001/a", sample.identity);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto scope = store.read_scope();
      std::uint64_t x = t + 1;
      for (int i = 0; i < 300; ++i) {
        x = x * 6364136223846793005ull + 1442695040888963407ull;
        const Range range{(x >> 20) % 390'000, 1 + static_cast<std::size_t>((x >> 10) % 9000)};
        if (i % 3 == 0) reader.prefetch(scope, std::span(&range, 1));
        if (!same(reader.view(scope, range.offset, range.length), ByteSpan(sample.bytes).subspan(static_cast<std::size_t>(range.offset), range.length)))
          ++wrong;
        if (i % 5 == 0) scope.renew();
        if (i % 50 == 0) {
          const auto own = store.open("seg-000001/a", sample.identity);
          if (own.size() != reader.size() || store.list().empty()) ++wrong;
        }
      }
    });
  for (std::size_t i = 0; i < 20; ++i) place.add("seg-000002/blk-" + std::to_string(i), 1000 + i);
  for (auto& thread : threads) thread.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_log_is_synced_and_read_beside_the_thread_that_appends, P, Shared) {
  Place<P> place;
  const auto all = sample_bytes(300'000);
  const auto store = place.open();
  auto log = place.writer.append_log("wal-000001", ByteSpan(all).first(100));
  std::atomic<std::size_t> appended{100};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    while (appended < all.size()) log.sync();
  });
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&, t] {
      const auto mine = store.read_log("wal-000001");
      for (std::size_t seen = 0; seen < all.size();) {
        seen = appended;
        const auto reader = t == 0 ? store.read_log("wal-000001") : place.open().read_log("wal-000001");
        Bytes found(seen);
        if (mine.size() < seen) ++wrong;
        mine.read(0, found);
        if (!same(found, ByteSpan(all).first(seen))) ++wrong;
        reader.read(seen / 2, std::span(found).first(seen - seen / 2));
        if (!same(ByteSpan(found).first(seen - seen / 2), ByteSpan(all).subspan(seen / 2, seen - seen / 2))) ++wrong;
      }
    });
  for (std::size_t at = 100; at < all.size(); at = appended) {
    const auto piece = ByteSpan(all).subspan(at, std::min<std::size_t>(1 + at % 1'500, all.size() - at));
    log.append(piece);
    appended = at + piece.size();
  }
  for (auto& thread : threads) thread.join();
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_SUITE_END()
