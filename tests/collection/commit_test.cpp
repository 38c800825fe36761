#include <quiver/collection/commit.hpp>

#include <quiver/storage/memory.hpp>

#include "support/error_code.hpp"
#include "support/versions.hpp"

#include <boost/test/unit_test.hpp>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace commit_queue {
namespace {

using Queue = quiver::detail::CommitQueue<MemoryPolicy>;
using View = Queue::ViewPointer;

/// Views that differ in nothing but who they are.
View some_view() {
  static const auto version = [] {
    auto out = std::make_shared<quiver::detail::OpenVersion<MemoryPolicy>>();
    out->manifest = small_version();
    return out;
  }();
  static const auto memtable = std::make_shared<const quiver::detail::Memtable>(version->manifest.schema, DocId{1});
  return std::make_shared<const View::element_type>(version, memtable);
}
std::vector<View> some_views(std::size_t count) {
  std::vector<View> out(count);
  for (auto& view : out) view = some_view();
  return out;
}

/// A sync that says when it has begun and returns when it is let go.
struct HeldSync {
  std::binary_semaphore began{0}, go{0};
  std::atomic<int> runs{0};
  auto callback() {
    return [this] {
      ++runs;
      began.release();
      go.acquire();
    };
  }
};

struct Counted {
  std::atomic<int> runs{0};
  auto callback() {
    return [this] { ++runs; };
  }
};

[[noreturn]] void broken_disk() { throw Error(Errc::io_error, "the disk broke"); }
void never() { BOOST_FAIL("nothing was to be synced"); }

}  // namespace
}  // namespace commit_queue

BOOST_AUTO_TEST_SUITE(commit_queue)

BOOST_AUTO_TEST_CASE(a_batch_that_needs_no_sync_is_seen_at_once) {
  Queue queue;
  const auto v = some_views(3);
  queue.show(v[0]);
  BOOST_TEST(queue.push(v[1], false) == 1u);
  BOOST_TEST((queue.visible() == v[1]));
  BOOST_TEST(queue.push(v[2], false) == 2u);
  BOOST_TEST((queue.visible() == v[2]));
  queue.wait(1, never);
  queue.wait(2, never);
  queue.drain(never);
}

BOOST_AUTO_TEST_CASE(a_batch_that_is_to_be_synced_is_seen_after_its_sync) {
  Queue queue;
  const auto v = some_views(2);
  queue.show(v[0]);
  const auto ticket = queue.push(v[1], true);
  BOOST_TEST((queue.visible() == v[0]));
  queue.wait(ticket, [&] { BOOST_TEST((queue.visible() == v[0])); });
  BOOST_TEST((queue.visible() == v[1]));
}

BOOST_AUTO_TEST_CASE(a_batch_that_needs_no_sync_waits_behind_one_that_does) {
  Queue queue;
  const auto v = some_views(4);
  queue.show(v[0]);
  const auto synced = queue.push(v[1], true);
  const auto buffered = queue.push(v[2], false);
  BOOST_TEST((queue.visible() == v[0]));
  Counted sync;
  queue.wait(buffered, sync.callback());  // nobody else is there to sync
  BOOST_TEST(sync.runs.load() == 1);
  BOOST_TEST((queue.visible() == v[2]));
  queue.wait(synced, never);
  static_cast<void>(queue.push(v[3], false));
  BOOST_TEST((queue.visible() == v[3]));
}

BOOST_AUTO_TEST_CASE(one_sync_covers_all_that_was_there_before_it_began) {
  Queue queue;
  const auto v = some_views(5);
  queue.show(v[0]);
  for (std::size_t i = 1; i < v.size(); ++i) static_cast<void>(queue.push(v[i], true));
  Counted sync;
  queue.wait(2, sync.callback());
  BOOST_TEST((queue.visible() == v[4]));
  for (std::uint64_t ticket = 1; ticket <= 4; ++ticket) queue.wait(ticket, never);
  BOOST_TEST(sync.runs.load() == 1);
}

BOOST_AUTO_TEST_CASE(who_does_not_come_back_after_a_sync_is_not_waited_for) {
  Queue queue;
  const auto v = some_views(6);
  for (std::size_t i = 0; i < 4; ++i) static_cast<void>(queue.push(v[i], true));
  const auto sync = [] { std::this_thread::sleep_for(std::chrono::milliseconds(2)); };
  queue.wait(4, sync);
  queue.wait(queue.push(v[4], true), sync);
  BOOST_TEST((queue.visible() == v[4]));
  static_cast<void>(queue.push(v[5], true));
  queue.drain(sync);
  BOOST_TEST((queue.visible() == v[5]));
}

BOOST_AUTO_TEST_CASE(a_sync_covers_nothing_that_came_after_it_began) {
  Queue queue;
  const auto v = some_views(5);
  queue.show(v[0]);
  const auto first = queue.push(v[1], true);
  HeldSync held;
  std::thread leader([&] { queue.wait(first, held.callback()); });
  held.began.acquire();
  const auto behind = queue.push(v[2], false);
  const auto second = queue.push(v[3], true);
  const auto last = queue.push(v[4], false);
  BOOST_TEST((queue.visible() == v[0]));
  held.go.release();
  leader.join();
  BOOST_TEST(held.runs.load() == 1);
  BOOST_TEST((queue.visible() == v[2]));  // it only waited for what was before it
  queue.wait(behind, never);
  Counted sync;
  queue.wait(second, sync.callback());
  BOOST_TEST(sync.runs.load() == 1);
  BOOST_TEST((queue.visible() == v[4]));
  queue.wait(last, never);
}

// In many rounds, because nobody can tell from outside whether a follower sleeps yet.
BOOST_AUTO_TEST_CASE(those_who_come_during_a_sync_share_the_next_one) {
  constexpr std::size_t followers = 4;
  for (int round = 0; round < 100; ++round) {
    Queue queue;
    const auto v = some_views(2 + followers);
    queue.show(v[0]);
    HeldSync held;
    Counted next;
    std::vector<std::thread> threads;
    const auto first = queue.push(v[1], true);
    threads.emplace_back([&] { queue.wait(first, held.callback()); });
    held.began.acquire();
    std::counting_semaphore<> here{0};
    for (std::size_t i = 0; i < followers; ++i) {
      const auto ticket = queue.push(v[2 + i], true);
      threads.emplace_back([&, ticket] {
        here.release();
        queue.wait(ticket, next.callback());
      });
    }
    for (std::size_t i = 0; i < followers; ++i) here.acquire();
    held.go.release();
    for (auto& thread : threads) thread.join();
    BOOST_TEST(held.runs.load() == 1);
    BOOST_TEST(next.runs.load() == 1);
    BOOST_TEST((queue.visible() == v.back()));
  }
}

BOOST_AUTO_TEST_CASE(a_failed_sync_fails_all_that_it_did_not_cover_and_is_not_tried_again) {
  for (int round = 0; round < 50; ++round) {
    Queue queue;
    const auto v = some_views(6);
    queue.show(v[0]);
    const auto good = queue.push(v[1], true);
    queue.wait(good, [] {});
    HeldSync held;
    std::atomic<int> failed{0}, other_syncs{0};
    const auto wait_in_vain = [&](std::uint64_t ticket) { failed += code_of([&] { queue.wait(ticket, [&] { ++other_syncs; }); }) == Errc::io_error ? 1 : 0; };
    std::vector<std::thread> threads;
    const auto leading = queue.push(v[2], true);
    threads.emplace_back([&] {
      const auto sync = [&] {
        held.callback()();
        broken_disk();
      };
      failed += code_of([&] { queue.wait(leading, sync); }) == Errc::io_error ? 1 : 0;
    });
    held.began.acquire();
    std::counting_semaphore<> here{0};
    for (const bool synced : {true, false}) {
      const auto ticket = queue.push(v[synced ? 3 : 4], synced);
      threads.emplace_back([&, ticket] {
        here.release();
        wait_in_vain(ticket);
      });
    }
    here.acquire();
    here.acquire();
    held.go.release();
    for (auto& thread : threads) thread.join();
    BOOST_TEST(failed.load() == 3);
    BOOST_TEST((queue.visible() == v[1]));
    queue.wait(good, never);
    wait_in_vain(queue.push(v[5], false));
    BOOST_TEST(failed.load() == 4);
    BOOST_TEST(other_syncs.load() == 0);
    BOOST_TEST((code_of([&] { queue.drain(never); }) == Errc::io_error));
    BOOST_TEST((queue.visible() == v[1]));
    BOOST_TEST(queue.failed());
  }
}

BOOST_AUTO_TEST_CASE(whatever_a_sync_throws_nobody_waits_for_ever) {
  Queue queue;
  queue.show(some_view());
  const auto first = queue.push(some_view(), true);
  const auto second = queue.push(some_view(), false);
  BOOST_TEST((code_of([&] { queue.wait(first, [] { throw std::bad_alloc(); }); }) == Errc::io_error));
  BOOST_TEST(queue.failed());
  BOOST_TEST((code_of([&] { queue.wait(second, never); }) == Errc::io_error));
}

BOOST_AUTO_TEST_CASE(drain_returns_when_all_is_seen_and_no_sync_runs) {
  for (int round = 0; round < 50; ++round) {
    Queue queue;
    const auto v = some_views(4);
    queue.show(v[0]);
    HeldSync held;
    Counted rest;
    std::atomic<bool> running{false};
    const auto first = queue.push(v[1], true);
    std::thread leader([&] {
      queue.wait(first, [&] {
        running = true;
        held.callback()();
        running = false;
      });
    });
    held.began.acquire();
    static_cast<void>(queue.push(v[2], true));
    static_cast<void>(queue.push(v[3], false));
    std::binary_semaphore here{0};
    std::thread drainer([&] {
      here.release();
      queue.drain(rest.callback());
      BOOST_TEST(!running.load());
      BOOST_TEST((queue.visible() == v[3]));
    });
    here.acquire();
    held.go.release();
    leader.join();
    drainer.join();
    BOOST_TEST(rest.runs.load() == 1);
    queue.drain(never);
  }
}

BOOST_AUTO_TEST_CASE(many_threads_wait_and_each_returns_after_a_sync_that_covers_it) {
  constexpr int writers = 4, each = 300;
  Queue queue;
  const auto v = some_views(1 + writers * each);
  queue.show(v[0]);
  std::mutex writing;
  std::size_t next = 1;
  std::atomic<int> syncs{0}, overlaps{0}, running{0};
  std::atomic<std::uint64_t> pushed{0}, covered{0}, early{0};
  const auto sync = [&] {
    overlaps += running.fetch_add(1) != 0 ? 1 : 0;
    const auto upto = pushed.load();
    ++syncs;
    covered.store(upto);
    running.fetch_sub(1);
  };
  std::vector<std::thread> threads;
  for (int w = 0; w < writers; ++w)
    threads.emplace_back([&, w] {
      for (int i = 0; i < each; ++i) {
        const bool synced = (i + w) % 3 != 0;
        std::uint64_t ticket = 0;
        {
          const std::lock_guard guard(writing);
          pushed.store(next);  // what the log has; it gets there before the queue does
          ticket = queue.push(v[next], synced);
          ++next;
        }
        queue.wait(ticket, sync);
        early += synced && covered.load() < ticket ? 1 : 0;
      }
    });
  for (auto& thread : threads) thread.join();
  BOOST_TEST(early.load() == 0u);
  BOOST_TEST(overlaps.load() == 0);
  BOOST_TEST(syncs.load() <= writers * each);
  BOOST_TEST((queue.visible() == v.back()));
}

BOOST_AUTO_TEST_SUITE_END()
