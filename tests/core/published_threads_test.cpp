#include <quiver/core/published.hpp>

#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <vector>

using namespace quiver;

namespace {

std::atomic<std::int64_t> alive{0};

/// Says by its magic whether it still is one.
struct Thing : std::enable_shared_from_this<Thing> {
  explicit Thing(std::uint64_t n) : number(n) { ++alive; }
  Thing(const Thing&) = delete;
  Thing& operator=(const Thing&) = delete;
  ~Thing() {
    magic = 0;
    --alive;
  }
  /// Takes its time, so that whatever does not hold it meanwhile is found out.
  std::shared_ptr<const Thing> shared_from_this() const {
    if (number % 64 == 0) std::this_thread::yield();
    return std::enable_shared_from_this<Thing>::shared_from_this();
  }
  std::uint64_t magic = 0x1122334455667788ull;
  std::uint64_t number;
};

using Shelf = detail::Published<const Thing>;

}  // namespace

BOOST_AUTO_TEST_SUITE(published)

BOOST_AUTO_TEST_CASE(it_shows_the_last_that_was_set_and_keeps_no_other) {
  Shelf shelf;
  BOOST_TEST((shelf.get() == nullptr));
  const auto before = alive.load();
  const auto first = std::make_shared<const Thing>(1);
  shelf.set(first);
  BOOST_TEST((shelf.get() == first));
  shelf.set(std::make_shared<const Thing>(2));
  BOOST_TEST(first.use_count() == 1);
  BOOST_TEST(shelf.get()->number == 2u);
  const auto held = shelf.get();
  for (std::uint64_t i = 3; i < 500; ++i) shelf.set(std::make_shared<const Thing>(i));
  BOOST_TEST(alive.load() == before + 3);
  BOOST_TEST(held->number == 2u);
  shelf.set(nullptr);
  BOOST_TEST((shelf.get() == nullptr));
  BOOST_TEST(alive.load() == before + 2);
}

BOOST_AUTO_TEST_CASE(what_it_holds_goes_with_it) {
  const auto before = alive.load();
  {
    Shelf shelf;
    shelf.set(std::make_shared<const Thing>(1));
  }
  BOOST_TEST(alive.load() == before);
}

// More threads than there are slots take it as fast as they can: each sees living things only, and never an older one after a newer.
BOOST_AUTO_TEST_CASE(many_take_it_while_one_replaces_it) {
  const auto before = alive.load();
  {
    Shelf shelf;
    shelf.set(std::make_shared<const Thing>(0));
    const std::uint64_t sets = test::sanitized ? 20'000 : 200'000;
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> wrong{0}, looks{0};
    std::vector<std::thread> readers;
    for (int t = 0; t < 40; ++t)
      readers.emplace_back([&] {
        for (std::uint64_t last = 0; !done.load();) {
          const auto thing = shelf.get();
          if (thing->magic != 0x1122334455667788ull || thing->number < last) wrong.fetch_add(1);
          last = thing->number;
          looks.fetch_add(1);
        }
      });
    for (std::uint64_t i = 1; i <= sets; ++i) shelf.set(std::make_shared<const Thing>(i));
    done = true;
    for (auto& reader : readers) reader.join();
    BOOST_TEST(wrong == 0u);
    BOOST_TEST(looks >= 40u);
    BOOST_TEST(shelf.get()->number == sets);
  }
  BOOST_TEST(alive.load() == before);
}

BOOST_AUTO_TEST_SUITE_END()
