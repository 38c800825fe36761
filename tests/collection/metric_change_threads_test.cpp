#include <quiver/collection/metric_change.hpp>

#include <quiver/collection/collection.hpp>

#include "support/clusters.hpp"
#include "support/error_code.hpp"
#include "support/policies.hpp"
#include "support/sanitized.hpp"
#include "support/soon.hpp"

#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace quiver;
using namespace quiver::test;

namespace metric_change_threads {
namespace {

constexpr std::size_t dimension = 8, k = 9;
constexpr Metric every_metric[] = {Metric::l2, Metric::inner_product, Metric::cosine};

/// What the threads tell each other, and what was wrong.
struct Board {
  explicit Board(std::size_t rows) : erasing(std::make_unique<std::atomic<bool>[]>(rows)) {}
  void complain(const std::string& what) {
    const std::lock_guard guard(mutex);
    if (wrong.empty()) wrong = what;
  }
  /// Something is wrong, or has been tried.
  [[nodiscard]] bool enough() {
    const std::lock_guard guard(mutex);
    const bool asked = std::all_of(std::begin(answers), std::end(answers), [](const auto& each) { return each > 30; });
    return !wrong.empty() || (changes > 8 && asked);
  }
  std::atomic<std::size_t> issued = 0, inserted = 0;  // rows before the call, and after it
  std::unique_ptr<std::atomic<bool>[]> erasing;
  std::atomic<bool> done = false;
  std::atomic<std::size_t> answers[3] = {}, refused = 0, ended = 0, changes = 0;
  std::mutex mutex;
  std::string wrong;
};

[[nodiscard]] double distance(Metric metric, std::span<const float> a, std::span<const float> b) { return detail::oracle_distance(metric, a, b); }

/// One moment: every answer goes by the metric that its schema names, and without an index nothing nearer is left out.
template <class C>
void check(const C& moment, const Clusters& data, std::span<const float> query, std::size_t there, Board& board) {
  const auto metric = moment.schema().vectors()[0].metric();
  const auto found = moment.search({.field = "v", .query = query, .k = k, .fields = FieldNames::none()});
  if (metric == Metric::cosine && moment.fetch("zero", FieldNames::none())) board.complain("a vector of zeros is there under cosine");
  if (found.size() != k) return board.complain(std::to_string(found.size()) + " of " + std::to_string(k) + " were found");
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < k; ++i) {
    if (i != 0 && found[i - 1].distance > found[i].distance) board.complain("answers are out of order");
    if (found[i].key == "zero") continue;
    rows.push_back(std::stoul(found[i].key));
    if (rows.back() >= board.issued) return board.complain("row " + found[i].key + " was not there yet");
    const double right = distance(metric, query, data.row(rows.back()));
    if (std::abs(right - static_cast<double>(found[i].distance)) > 1e-3 * (1 + std::abs(right)))
      return board.complain("row " + found[i].key + " is " + std::to_string(found[i].distance) + " away, under " + std::string(to_string(metric)) + " it is " +
                            std::to_string(right));
  }
  ++board.answers[static_cast<std::size_t>(metric)];
  if (!std::holds_alternative<Flat>(moment.schema().vectors()[0].index())) return;
  const double farthest = static_cast<double>(found[k - 1].distance);
  for (std::size_t row = 0; row < there; ++row)
    if (!board.erasing[row] && distance(metric, query, data.row(row)) < farthest - 1e-3 * (1 + std::abs(farthest)) &&
        std::find(rows.begin(), rows.end(), row) == rows.end())
      return board.complain("row " + std::to_string(row) + " is nearer under " + std::string(to_string(metric)) + " and was left out");
}

template <class P, class... Where>
void run(const IndexType& index, const Where&... where) {
  const std::size_t rows = slow ? 1'200 : 8'000;
  const Clusters data = [&] {
    Clusters out(rows, dimension, 20, 3);
    out.scale(3, 0.2f);
    return out;
  }();
  auto c = Collection<P>::create(where..., Schema{VectorField("v", dimension).index(index)}, {.durability = Durability::none, .segment_rows = 900});
  Board board(rows);
  const auto insert = [&](std::size_t count) {
    std::vector<Document> batch;
    const std::size_t first = board.inserted;
    for (std::size_t i = first; i < std::min(rows, first + count); ++i) batch.push_back(Document{std::to_string(i), {{"v", data.row(i)}}});
    board.issued = first + batch.size();
    c.insert(batch);
    board.inserted = first + batch.size();
  };
  insert(600);
  const auto searcher = [&](std::size_t q, const auto& moment) {
    for (; !board.done; q += 3) {
      const std::size_t there = board.inserted;
      check(moment(), data, q % 2 == 0 ? data.query(q) : data.row(q % there), there, board);
    }
  };
  std::vector<std::thread> threads;
  threads.emplace_back([&] { searcher(0, [&] { return c.snapshot(); }); });
  threads.emplace_back([&] { searcher(31, [&] { return c.snapshot(); }); });
  if constexpr (!std::same_as<P, MemoryPolicy>)
    threads.emplace_back([&] {
      auto reader = Collection<FileReadPolicy>::open(where...);
      while (!board.done) {
        const std::size_t there = board.inserted;
        c.flush();
        reader.refresh();
        check(reader, data, data.query(there), there, board);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
  threads.emplace_back([&] {
    for (std::size_t i = 3; i < rows && !board.done; i += 5) {
      while (i >= board.inserted && !board.done) std::this_thread::yield();
      if (i >= board.inserted) break;
      board.erasing[i] = true;
      c.erase(std::to_string(i));
    }
  });
  // Comes and goes: under cosine it is refused, and while it is there no field becomes one under cosine.
  threads.emplace_back([&] {
    const std::vector<float> zeros(dimension, 0.0f);
    while (!board.done) {
      const auto code = code_of([&] { c.upsert(Document{"zero", {{"v", zeros}}}); });
      if (code == Errc::invalid_vector) ++board.refused;
      if (code != Errc::none && code != Errc::invalid_vector) board.complain("a vector of zeros is refused as " + std::string(to_string(code)));
      std::this_thread::sleep_for(std::chrono::milliseconds(4));
      c.erase("zero");
      std::this_thread::sleep_for(std::chrono::milliseconds(15));
    }
  });
  threads.emplace_back([&] {
    for (std::size_t turn = 1; !board.done; ++turn) {
      const auto metric = every_metric[turn % 3 == 0 ? turn % 2 : turn % 3];
      IndexSpec spec{.metric = metric};
      if (turn % 4 == 1) spec.quantizer = std::holds_alternative<Flat>(index) ? QuantizerType(NoQuantizer{}) : QuantizerType(Sq8{});
      if (turn % 4 == 3) spec.quantizer = NoQuantizer{};
      const auto code = code_of([&] { c.create_index("v", spec, {.threads = 1, .background = turn % 5 == 0}); });
      if (code == Errc::none) ++board.changes;
      if (code == Errc::invalid_vector) ++board.ended;
      if (code != Errc::none && (code != Errc::invalid_vector || metric != Metric::cosine))
        board.complain("a change ends with " + std::string(to_string(code)));
      if (turn % 6 == 0) c.optimize({.threads = 1});
      std::this_thread::sleep_for(std::chrono::milliseconds(3));
    }
  });
  for (std::size_t step = 1; board.inserted < rows; step = step % 60 + 7) {
    insert(step);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const bool enough = soon([&] { return board.enough(); });
  board.done = true;
  for (auto& thread : threads) thread.join();
  BOOST_TEST(board.wrong == "");
  BOOST_TEST_MESSAGE(board.changes << " changes, " << board.ended << " ended by a vector of zeros, " << board.refused << " of which were refused; answers "
                                   << board.answers[0] << " l2, " << board.answers[1] << " inner product, " << board.answers[2] << " cosine");
  BOOST_TEST(enough);
  BOOST_TEST(c.stats().background_error == "");
  BOOST_TEST(c.verify().ok());
  c.erase("zero");
  for (const auto metric : every_metric) {
    c.create_index("v", {.index = Flat{}, .metric = metric});
    for (std::size_t q = 0; q < 9; ++q) check(c, data, data.query(q), rows, board);
  }
  BOOST_TEST(board.wrong == "");
}

}  // namespace
}  // namespace metric_change_threads

BOOST_AUTO_TEST_SUITE(metric_change_threads)

// One thread inserts, one erases, one brings a vector of zeros and takes it away, one changes the metric, two or three search.
BOOST_AUTO_TEST_CASE(no_search_sees_two_metrics_or_misses_a_row) {
  run<MemoryPolicy>(Flat{});
  const FreshFolder folder;
  run<MMapPolicy>(Flat{}, folder.path());
}
BOOST_AUTO_TEST_CASE(nor_does_one_along_graphs) {
  const Hnsw index{.m = 6, .ef_construction = 30, .ef = 24};
  run<MemoryPolicy>(index);
  const FreshFolder folder;
  run<MMapPolicy>(index, folder.path());
}

BOOST_AUTO_TEST_SUITE_END()
