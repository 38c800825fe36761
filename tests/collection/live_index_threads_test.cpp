#include <quiver/collection/live_index.hpp>

#include <quiver/collection/collection.hpp>

#include "support/clusters.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace live_index_threads {
namespace {

constexpr std::size_t dimension = 8, k = 7;

/// What the threads tell each other, and what was wrong.
struct Board {
  explicit Board(std::size_t rows) : erasing(std::make_unique<std::atomic<bool>[]>(rows)), erased(std::make_unique<std::atomic<bool>[]>(rows)) {}
  void complain(const std::string& what) {
    const std::lock_guard guard(mutex);
    wrong = what;
  }
  std::atomic<std::size_t> issued = 0, inserted = 0;  // rows before the call, and after it
  std::unique_ptr<std::atomic<bool>[]> erasing, erased;
  std::atomic<bool> done = false;
  std::atomic<std::size_t> answers = 0, asked_for_one = 0, missed = 0;
  std::mutex mutex;
  std::string wrong;
};

template <class C>
class Searcher {
 public:
  Searcher(const C& collection, const Clusters& data, Board& board) : c_(collection), data_(data), board_(board), gone_(data.size()) {}

  void run(std::size_t q, bool batches) {
    for (; !board_.done || board_.answers < 50; q += 3, ++board_.answers) {
      for (std::size_t i = 0; i < gone_.size(); ++i) gone_[i] = board_.erased[i];
      // The newest row that is there, or any.
      const std::size_t there = board_.inserted;
      const auto wanted = q % 2 == 0 ? there - 1 : q % there;
      const bool lives = !board_.erasing[wanted];
      if (batches) {
        std::vector<float> all;
        for (std::size_t i = 0; i < 9; ++i) append(all, i == 8 ? data_.row(wanted) : data_.query(q + i));
        const auto found = c_.search_batch({.field = "v", .queries = all, .k = k, .fields = FieldNames::none()});
        for (std::size_t i = 0; i < 9; ++i) check(i == 8 ? data_.row(wanted) : data_.query(q + i), found[i]);
        expect(wanted, lives, found[8]);
      } else {
        check(data_.query(q), c_.search({.field = "v", .query = data_.query(q), .k = k, .fields = FieldNames::none()}));
        const auto found = c_.search({.field = "v", .query = data_.row(wanted), .k = k, .fields = FieldNames::none()});
        check(data_.row(wanted), found);
        expect(wanted, lives, found);
      }
    }
  }

 private:
  static void append(std::vector<float>& to, std::span<const float> values) { to.insert(to.end(), values.begin(), values.end()); }
  /// Whole, in order, of rows that were there and not erased before the call, at their distances.
  void check(std::span<const float> query, const SearchResult& found) {
    if (found.size() != k) return board_.complain(std::to_string(found.size()) + " of " + std::to_string(k) + " were found");
    for (std::size_t i = 0; i < k; ++i) {
      const auto row = std::stoul(found[i].key);
      if (row >= board_.issued) return board_.complain("row " + found[i].key + " was not there yet");
      if (gone_[row]) return board_.complain("row " + found[i].key + " was erased");
      float distance = 0;
      for (std::size_t d = 0; d < dimension; ++d) distance += (query[d] - data_.row(row)[d]) * (query[d] - data_.row(row)[d]);
      if (std::abs(distance - found[i].distance) > 1e-4f * (1 + distance)) return board_.complain("row " + found[i].key + " is not that far away");
      if (i != 0 && (found[i - 1].distance > found[i].distance || found[i - 1].key == found[i].key)) return board_.complain("answers are out of order");
    }
  }
  void expect(std::size_t wanted, bool lived, const SearchResult& found) {
    if (!lived || board_.erasing[wanted] || found.empty()) return;
    ++board_.asked_for_one;
    if (found[0].key != std::to_string(wanted)) ++board_.missed;
  }

  const C& c_;
  const Clusters& data_;
  Board& board_;
  std::vector<bool> gone_;
};

template <class P, class... Where>
void run(const Where&... where) {
  const std::size_t rows = slow ? 3'000 : 12'000;
  const Clusters data(rows, dimension, 20, 3);
  const Hnsw index{.m = 6, .ef_construction = 30, .ef = 24};
  auto c = Collection<P>::create(where..., Schema{VectorField("v", dimension).index(index)}, {.durability = Durability::none});
  Board board(rows);
  const auto insert = [&](std::size_t count) {
    std::vector<Document> batch;
    const std::size_t first = board.inserted;
    for (std::size_t i = first; i < std::min(rows, first + count); ++i) batch.push_back(Document{std::to_string(i), {{"v", data.row(i)}}});
    board.issued = first + batch.size();
    c.insert(batch);
    board.inserted = first + batch.size();
  };
  insert(1'100);
  std::thread first([&] { Searcher(c, data, board).run(0, false); }), second([&] { Searcher(c, data, board).run(31, true); });
  std::thread eraser([&] {
    for (std::size_t i = 3; i < rows && !board.done; i += 5) {
      while (i >= board.inserted && !board.done) std::this_thread::yield();
      if (i >= board.inserted) break;
      board.erasing[i] = true;
      c.erase(std::to_string(i));
      board.erased[i] = true;
    }
  });
  std::thread builder([&] {
    for (std::size_t turn = 0; !board.done; ++turn) {
      std::this_thread::sleep_for(std::chrono::milliseconds(slow ? 120 : 60));
      if (turn % 4 == 0) c.flush();
      if (turn % 4 == 1)
        c.create_index("v", {.index = turn % 8 == 1 ? IndexType(Hnsw{.m = 5, .ef_construction = 30, .ef = 24}) : IndexType(Flat{})}, {.background = true});
      if (turn % 4 == 2) c.create_index("v", {.index = index}, {.background = true});
      if (turn % 4 == 3) c.optimize({.threads = 1});
    }
  });
  for (std::size_t step = 1; board.inserted < rows; step = step % 60 + 7) {
    insert(step);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // time in which some rows are linked, seldom all
  }
  board.done = true;
  for (auto* thread : {&first, &second, &eraser, &builder}) thread->join();
  BOOST_TEST(board.wrong == "");
  BOOST_TEST_MESSAGE(board.answers << " answers, " << board.missed << " of " << board.asked_for_one << " rows missed");
  BOOST_TEST(board.missed * 50 <= board.asked_for_one);
  BOOST_TEST(c.stats().background_error == "");
  BOOST_TEST(c.verify().ok());
}

}  // namespace
}  // namespace live_index_threads

BOOST_AUTO_TEST_SUITE(live_index_threads)

// One thread inserts, one erases, one flushes, merges and changes the index, two search; the collection's own link rows and build.
BOOST_AUTO_TEST_CASE(searches_are_right_while_rows_are_linked_erased_flushed_and_built) {
  run<MemoryPolicy>();
  const FreshFolder folder;
  run<MMapPolicy>(folder.path());
}

// Whoever stops the thread finds it at every stage of its work.
BOOST_AUTO_TEST_CASE(a_collection_closes_whatever_the_thread_is_at) {
  const Clusters data(1'500, dimension, 20, 4);
  for (int round = 0; round < (slow ? 6 : 30); ++round) {
    auto c = Collection<MemoryPolicy>::create(Schema{VectorField("v", dimension).index(Hnsw{.m = 6, .ef_construction = 30})});
    std::vector<Document> batch;
    for (std::size_t i = 0; i < data.size(); ++i) batch.push_back(Document{std::to_string(i), {{"v", data.row(i)}}});
    c.insert(batch);
    const auto held = c.snapshot();
    std::this_thread::sleep_for(std::chrono::milliseconds(round));
    c.close();
    BOOST_TEST(held.search({.field = "v", .query = data.query(0), .k = 5}).size() == 5u);
  }
}

BOOST_AUTO_TEST_SUITE_END()
