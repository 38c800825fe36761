#include <quiver/ids/delete_set.hpp>

#include <boost/test/unit_test.hpp>

#include "support/sanitized.hpp"

#include <atomic>
#include <mutex>
#include <thread>

using namespace quiver;
using namespace quiver::detail;

// One thread makes new sets from the last; others read and drop older copies. ThreadSanitizer watches.
BOOST_AUTO_TEST_CASE(readers_of_older_copies_see_what_these_held_while_new_sets_are_made) {
  constexpr std::uint64_t stride = 5003;
  // Version v holds the first v multiples of the stride.
  std::mutex mutex;
  DeleteSet newest;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> wrong{0}, looks{0};
  const std::uint64_t versions = test::slow ? 1'000 : 5'000;
  std::vector<std::thread> readers;
  for (std::uint64_t t = 0; t < 3; ++t)
    readers.emplace_back([&, t] {
      std::vector<DeleteSet> kept(4);
      for (std::uint64_t step = t; !done.load() || step < 100 + t; ++step) {
        {
          const std::lock_guard lock(mutex);
          kept[step % kept.size()] = newest;
        }
        const auto& set = kept[step * 7 % kept.size()];
        const auto n = set.size();
        const bool good = !set.contains(DocId{n * stride}) && (n == 0 || set.contains(DocId{(n - 1) * stride})) &&
                          (n == 0 || set.contains(DocId{step % n * stride})) && set.count(DocId{0}, DocId{n * stride}) == n &&
                          !set.any(DocId{n * stride}, DocId{~std::uint64_t{0}}) && (step % 16 != 0 || set.with(std::vector{DocId{1}}).size() == n + 1);
        if (!good) wrong.fetch_add(1);
        looks.fetch_add(1);
      }
    });
  DeleteSet mine;
  for (std::uint64_t v = 0; v < versions; ++v) {
    mine = mine.with(std::vector{DocId{v * stride}});
    const std::lock_guard lock(mutex);
    newest = mine;
  }
  done = true;
  for (auto& reader : readers) reader.join();
  BOOST_TEST(wrong == 0u);
  BOOST_TEST(looks >= 300u);
  BOOST_TEST(mine.size() == versions);
}
