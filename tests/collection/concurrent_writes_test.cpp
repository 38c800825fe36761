#include <quiver/collection/collection.hpp>

#include "support/error_code.hpp"
#include "support/gated_file_system.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/store_files.hpp"

#include <boost/test/unit_test.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace concurrent_writes {
namespace {

using Gated = GatedFileSystem;
using GatedMMap = BasicMMapPolicy<Gated>;
using GatedCollection = Collection<GatedMMap>;

constexpr WriteOptions buffered{Durability::buffered};

Schema small_schema() { return Schema{Field::uint64("n"), Field::bytes("blob").nullable(), VectorField("v", 2)}; }
Document numbered(const std::string& key, std::uint64_t n) { return Document{key, {{"n", n}, {"v", {static_cast<float>(n), 1.0f}}}}; }
Document numbered(std::uint64_t n) { return numbered("k" + std::to_string(n), n); }

GatedCollection fresh(const FreshFolder& folder) {
  Gated::clear();
  Gated::log_syncs = Gated::made_meanwhile = 0;
  return GatedCollection::create(folder.path(), small_schema());
}
/// Returns when nobody is between the append of a batch and its place in line: this takes its turn among the writers, and is refused.
void after_the_writer(GatedCollection& c) {
  BOOST_TEST((code_of([&] { c.insert(Document{"nobody"}); }) == Errc::schema_mismatch));
}

void open_and_join(Gate& gate, std::vector<std::thread>& threads) {
  gate.open();
  for (auto& thread : threads) thread.join();
}

/// Batch `n` of writer `w` is two documents that say n, or the end of both.
std::array<std::string, 2> keys_of(int w) { return {"a" + std::to_string(w), "b" + std::to_string(w)}; }

}  // namespace
}  // namespace concurrent_writes

BOOST_AUTO_TEST_SUITE(concurrent_writes)

BOOST_AUTO_TEST_CASE(callers_that_come_during_a_sync_share_the_next_one_and_are_seen_after_it) {
  constexpr std::size_t others = 7;
  const FreshFolder folder;
  auto c = fresh(folder);
  Gated::syncs.hold();
  Gated::writes.count();
  std::vector<std::thread> threads;
  threads.emplace_back([&] { c.insert(numbered(0)); });
  Gated::syncs.await(1);
  for (std::uint64_t i = 1; i <= others; ++i) threads.emplace_back([&, i] { c.insert(numbered(i), i % 3 == 0 ? buffered : WriteOptions{}); });
  Gated::writes.await(1 + others);
  after_the_writer(c);
  BOOST_TEST(c.count() == 0u);
  BOOST_TEST(!c.fetch("k3").has_value());  // buffered, and behind what is not synced
  BOOST_TEST(c.search({.field = "v", .query = {1.0f, 1.0f}, .k = 3}).size() == 0u);
  BOOST_TEST((code_of([&] { c.insert(numbered(1)); }) == Errc::duplicate_key));
  open_and_join(Gated::syncs, threads);
  BOOST_TEST(c.count() == 1 + others);
  BOOST_TEST(Gated::log_syncs.load() == 2u);
  c.insert(numbered(100), buffered);  // nothing waits
  BOOST_TEST(c.count() == 2 + others);
  BOOST_TEST(Gated::log_syncs.load() == 2u);
}

BOOST_AUTO_TEST_CASE(an_answer_that_rests_on_a_write_which_is_not_durable_yet_waits_for_it) {
  const FreshFolder folder;
  auto c = fresh(folder);
  c.insert(numbered(1));
  Gated::syncs.hold();
  std::vector<std::thread> threads;
  bool first = false, second = true, there = true;
  threads.emplace_back([&] { first = c.erase("k1"); });
  Gated::syncs.await(1);
  threads.emplace_back([&] {
    second = c.erase("k1", buffered);
    there = c.fetch("k1").has_value();
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // for an answer that does not wait; a right one takes as long as the gate
  open_and_join(Gated::syncs, threads);
  BOOST_TEST(first);
  BOOST_TEST(!second);
  BOOST_TEST(!there);
}

BOOST_AUTO_TEST_CASE(an_empty_batch_that_asks_for_a_sync_has_those_before_it_synced_and_asks_for_no_other) {
  const FreshFolder folder;
  auto c = fresh(folder);
  const auto syncs = [&] { return Gated::log_syncs.load(); };
  const auto nothing = [&] { c.insert(std::vector<Document>()); };
  nothing();
  BOOST_TEST(syncs() == 0u);
  c.insert(numbered(1), buffered);
  c.insert(numbered(2), {Durability::none});
  BOOST_TEST(!c.erase("k9", buffered));
  BOOST_TEST(syncs() == 0u);
  nothing();
  BOOST_TEST(syncs() == 1u);
  for (int i = 0; i < 3; ++i) nothing();
  BOOST_TEST(!c.erase("k9"));
  BOOST_TEST(!c.update("k9", {{"n", 7}}));
  BOOST_TEST(syncs() == 1u);
  c.insert(numbered(3));
  nothing();
  BOOST_TEST(syncs() == 2u);
  c.insert(numbered(4), buffered);
  c.flush();
  const auto flushed = syncs();
  nothing();
  BOOST_TEST(syncs() == flushed);
  BOOST_TEST(c.count() == 4u);
}

BOOST_AUTO_TEST_CASE(a_mark_does_not_vouch_for_what_came_during_the_sync) {
  const FreshFolder folder;
  auto c = fresh(folder);
  Gated::syncs.hold();
  Gated::writes.count();
  std::vector<std::thread> threads;
  threads.emplace_back([&] { c.insert(numbered("synced", 1)); });
  Gated::syncs.await(1);
  threads.emplace_back([&] { c.insert(numbered("meanwhile", 2), buffered); });
  Gated::writes.await(2);
  after_the_writer(c);
  open_and_join(Gated::syncs, threads);
  BOOST_TEST(Gated::log_syncs.load() == 1u);
  // A power cut may take any part of the second batch with it, and leave the mark behind it.
  const auto left = folder.path("left");
  copy_store(folder.path(), left);
  const auto log = names_with(left, "wal-").back();
  auto bytes = read_store(left).at(log);
  const auto at = bytes.find("meanwhile");
  BOOST_TEST_REQUIRE(at != std::string::npos);
  BOOST_TEST(bytes.find_last_not_of('\0') > at + 40);  // the mark
  bytes[at] ^= 1;
  put_file(left / log, bytes);
  const auto after = Collection<MMapPolicy>::open(left, {.mode = OpenMode::read_only});
  BOOST_TEST(after.count() == 1u);
  BOOST_TEST(after.fetch("synced").has_value());
}

BOOST_AUTO_TEST_CASE(a_compaction_shows_no_batch_that_is_not_durable_yet) {
  const FreshFolder folder;
  auto c = fresh(folder);
  for (std::uint64_t i = 0; i < 2; ++i) c.insert(numbered(i)), c.flush();
  std::thread writer;
  std::atomic<bool> merging = false;
  std::thread optimizer([&] {
    c.optimize({.progress = [&](const Progress&) {
      if (merging) return true;
      Gated::syncs.hold();
      writer = std::thread([&] { c.insert(numbered(2)); });
      Gated::syncs.await(1);
      merging = true;
      return true;
    }});
  });
  while (!merging) std::this_thread::yield();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));  // for a new version that does not wait; a right one takes as long as the gate
  BOOST_TEST(c.count() == 2u);
  BOOST_TEST(c.stats().segments == 1u);
  BOOST_TEST(!c.segments()[0].sealed);
  Gated::syncs.open();
  optimizer.join();
  writer.join();
  BOOST_TEST(c.count() == 3u);
  BOOST_TEST(c.segments()[0].sealed);
  BOOST_TEST(c.verify().ok());
}

BOOST_AUTO_TEST_CASE(a_failed_sync_is_an_error_for_everyone_who_waited_and_ends_the_writing) {
  constexpr std::size_t others = 7;
  const FreshFolder folder;
  std::array<Errc, 1 + others> got{};
  {
    auto c = fresh(folder);
    c.insert({numbered(1000), numbered(1001)});
    Gated::syncs.hold();
    Gated::writes.count();
    std::vector<std::thread> threads;
    threads.emplace_back([&] { got[0] = code_of([&] { c.insert(numbered(0)); }); });
    Gated::syncs.await(1);
    for (std::uint64_t i = 1; i <= others; ++i)
      threads.emplace_back([&, i] { got[i] = code_of([&] { c.upsert(numbered(i), i % 3 == 0 ? buffered : WriteOptions{}); }); });
    Gated::writes.await(1 + others);
    after_the_writer(c);
    Gated::plan({.at = 1, .error = EIO, .only = quiver::test::IoCall::sync_file});
    open_and_join(Gated::syncs, threads);
    Gated::clear();
    for (const auto code : got) BOOST_TEST(code == Errc::io_error);
    BOOST_TEST(Gated::log_syncs.load() == 2u);  // the good one before, and the failed one
    BOOST_TEST(c.count() == 2u);
    BOOST_TEST(c.fetch("k1001")->get<std::uint64_t>("n").value() == 1001u);
    for (const auto& options : {WriteOptions{}, buffered, WriteOptions{Durability::none}}) {
      BOOST_TEST((code_of([&] { c.insert(numbered(200), options); }) == Errc::io_error));
      BOOST_TEST((code_of([&] { c.erase("k1000", options); }) == Errc::io_error));
    }
    BOOST_TEST((code_of([&] { c.flush(); }) == Errc::io_error));
    BOOST_TEST(c.count() == 2u);
    BOOST_TEST((code_of([&] { c.close(); }) == Errc::none));
  }
  // What nobody was told of may be there: a prefix of the batches, and in this case the system still had them all.
  auto c = GatedCollection::open(folder.path());
  BOOST_TEST(c.verify().ok());
  BOOST_TEST(c.count() == 2 + 1 + others);
  c.insert(numbered(200));
}

BOOST_AUTO_TEST_CASE(a_sync_that_fails_while_another_appends_is_not_forgotten) {
  const FreshFolder folder;
  auto c = fresh(folder);
  Gated::syncs.hold();
  Errc first{}, second{};
  std::thread leader([&] { first = code_of([&] { c.insert(numbered(0)); }); });
  Gated::syncs.await(1);
  Gated::writes.hold();
  std::thread appending([&] { second = code_of([&] { c.insert(numbered(1)); }); });
  Gated::writes.await(1);
  Gated::plan({.at = 1, .error = EIO, .only = quiver::test::IoCall::sync_file});
  Gated::syncs.open();
  leader.join();
  Gated::clear();
  Gated::writes.open();
  appending.join();
  BOOST_TEST(first == Errc::io_error);
  BOOST_TEST(second == Errc::io_error);
  BOOST_TEST(c.count() == 0u);
  BOOST_TEST((code_of([&] { c.close(); }) == Errc::none));  // no flush is tried any more; a write before this would have found the log broken
}

BOOST_AUTO_TEST_CASE(a_full_disk_refuses_one_batch_and_the_others_go_on) {
  const FreshFolder folder;
  {
    auto c = fresh(folder);
    c.insert(numbered(0));
    Gated::syncs.hold();
    Gated::writes.count();
    std::vector<std::thread> threads;
    threads.emplace_back([&] { c.insert(numbered(1)); });
    Gated::syncs.await(1);
    Gated::plan({.at = 1, .error = ENOSPC, .for_ever = true, .only = quiver::test::IoCall::allocate});
    auto large = numbered(2);
    large.set("blob", Bytes(1 << 20, std::byte{7}));
    std::array<Errc, 4> refused{};
    for (auto& code : refused) threads.emplace_back([&] { code = code_of([&] { c.insert(large, &code == &refused[0] ? buffered : WriteOptions{}); }); });
    for (; threads.size() > 1; threads.pop_back()) threads.back().join();  // while the first still waits
    for (const auto code : refused) BOOST_TEST(code == Errc::no_space);
    threads.emplace_back([&] { c.insert(numbered(3)); });  // there is room for a small one
    Gated::writes.await(2);
    Gated::clear();
    open_and_join(Gated::syncs, threads);
    BOOST_TEST(c.count() == 3u);
    c.insert(large);
    BOOST_TEST(c.count() == 4u);
  }
  auto c = GatedCollection::open(folder.path());
  BOOST_TEST(c.count() == 4u);
  BOOST_TEST(c.fetch("k2")->get<Bytes>("blob")->size() == 1u << 20);
}

BOOST_AUTO_TEST_CASE(a_flush_waits_for_what_is_being_synced) {
  for (int round = 0; round < 10; ++round) {
    const FreshFolder folder;
    auto c = fresh(folder);
    Gated::syncs.hold();
    std::vector<std::thread> threads;
    threads.emplace_back([&] { c.insert(numbered(0)); });
    Gated::syncs.await(1);
    std::atomic<bool> begun{false};
    threads.emplace_back([&] {
      begun = true;
      c.flush();
      BOOST_TEST(c.stats().memtable_documents == 0u);
    });
    while (!begun) std::this_thread::yield();
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();  // a flush that does not wait makes its files now
    open_and_join(Gated::syncs, threads);
    BOOST_TEST(Gated::made_meanwhile.load() == 0u);
    BOOST_TEST(c.count() == 1u);
    BOOST_TEST(c.stats().memtable_documents == 0u);
  }
}

// Every batch of a writer is two documents with the same number, or takes both away. A reader sees both or none, never an older number after a newer one, and
// at least what had been acknowledged before it looked.
BOOST_AUTO_TEST_CASE(readers_see_whole_batches_in_order_while_many_write_with_every_durability) {
  constexpr int writers = 8, readers = 2;
  const std::uint64_t batches = test::sanitized ? 40 : 150;
  const FreshFolder folder;
  std::atomic<std::uint64_t> wrong{0};
  Gated::made_meanwhile = 0;
  {
    auto c = GatedCollection::create(folder.path(), small_schema(), {.flush_bytes = 20'000});
    std::array<std::atomic<std::uint64_t>, writers> acknowledged{};
    std::atomic<bool> done{false};
    const auto write = [&](int w, std::uint64_t n) {
      constexpr std::array all{Durability::sync, Durability::buffered, Durability::none};
      const auto keys = keys_of(w);
      const WriteOptions options{all[(n + static_cast<std::uint64_t>(w)) % 3]};
      if (n % 5 == 0)
        c.erase(keys, options);
      else if (n % 5 == 1)
        c.insert({numbered(keys[0], n), numbered(keys[1], n)}, options);
      else
        c.upsert({numbered(keys[0], n), numbered(keys[1], n)}, options);
      acknowledged[static_cast<std::size_t>(w)] = n;
      if (n % 50 == static_cast<std::uint64_t>(w)) c.flush();
    };
    const auto look = [&](std::array<std::uint64_t, writers>& last) {
      for (int w = 0; w < writers; ++w) {
        const auto least = acknowledged[static_cast<std::size_t>(w)].load();
        const auto now = c.snapshot();
        const auto keys = keys_of(w);
        const auto a = now.fetch(keys[0]), b = now.fetch(keys[1]);
        bool good = a.has_value() == b.has_value();
        if (a && b) {
          const auto n = *a->get<std::uint64_t>("n");
          auto& before = last[static_cast<std::size_t>(w)];
          good = good && *b->get<std::uint64_t>("n") == n && n >= before && n >= least;
          before = n;
        }
        wrong += good ? 0 : 1;
      }
    };
    std::vector<std::thread> threads, looking;
    for (int w = 0; w < writers; ++w)
      threads.emplace_back([&, w] {
        for (std::uint64_t n = 1; n <= batches + 1; ++n) try {
            write(w, n);
          } catch (const Error& e) {
            ++wrong;
            BOOST_TEST_MESSAGE(e.what());
          }
      });
    for (int r = 0; r < readers; ++r)
      looking.emplace_back([&] {
        std::array<std::uint64_t, writers> last{};
        while (!done) look(last);
        look(last);
      });
    for (auto& thread : threads) thread.join();
    done = true;
    for (auto& thread : looking) thread.join();
    BOOST_TEST(wrong.load() == 0u);
    BOOST_TEST(Gated::made_meanwhile.load() == 0u);
    BOOST_TEST(c.count() == 2u * writers);
  }
  const auto c = GatedCollection::open(folder.path());
  BOOST_TEST(c.verify().ok());
  BOOST_TEST(c.count() == 2u * writers);
  for (int w = 0; w < writers; ++w)
    for (const auto& key : keys_of(w)) BOOST_TEST(c.fetch(key)->get<std::uint64_t>("n").value() == batches + 1);
}

BOOST_AUTO_TEST_SUITE_END()
