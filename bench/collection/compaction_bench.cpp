// What a search waits for while optimize() runs beside it: the 99th of 100 searches, against the same beside a thread that only counts. Each round has two
// stores with the same files: one is optimized once, in the other nobody writes.
#include "support/stores.hpp"

#include <atomic>
#include <thread>

namespace {

using namespace bench;
using Collection = quiver::Collection<quiver::MMapPolicy>;

/// A store of `flushes` parts, each with a segment of its own.
void make_parts(const std::filesystem::path& path, std::size_t flushes, std::size_t rows) {
  Rows vectors(51);
  auto collection = Collection::create(path, flat_schema(), {.durability = quiver::Durability::buffered});
  for (std::size_t i = 0; i < flushes; ++i) {
    collection.insert(documents(vectors, i * rows, rows));
    collection.flush();
  }
  collection.close();
}

/// A thread that does `work` for as long as this lives, or until it is done.
class Beside {
 public:
  template <class Work>
  explicit Beside(Work work)
      : thread_([this, work = std::move(work)] {
          work(ended_);
          done_ = true;
        }) {}
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside() {
    ended_ = true;
    thread_.join();
  }
  [[nodiscard]] bool done() const noexcept { return done_; }

 private:
  std::atomic<bool> ended_{false}, done_{false};
  std::thread thread_;
};

/// Of every search: what the caller waited, and the processor time of its thread.
struct Times {
  std::vector<double> wall, cpu;
  void add(const Times& more) {
    wall.insert(wall.end(), more.wall.begin(), more.wall.end());
    cpu.insert(cpu.end(), more.cpu.begin(), more.cpu.end());
  }
};

[[nodiscard]] double thread_seconds() {
  ::timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Searches for as long as `going()`.
template <class Going>
void search_while(const Collection& collection, std::span<const float> queries, Times& times, Going&& going) {
  const std::size_t count = queries.size() / dimension;
  for (std::size_t i = 0; going(); ++i) {
    const double start = wall_seconds(), cpu = thread_seconds();
    benchmark::DoNotOptimize(collection.search(nearest(queries.subspan(i % count * dimension, dimension))));
    times.wall.push_back(wall_seconds() - start);
    times.cpu.push_back(thread_seconds() - cpu);
  }
}

[[nodiscard]] double quantile(std::vector<double> values, double part) {
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(part * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

void search_beside_optimize(benchmark::State& state) {
  const std::size_t flushes = 8, rows = sized<std::size_t>(10'000, 500), rounds = sized<std::size_t>(20, 2);
  const ScratchFolder folder("compaction");
  make_parts(folder.path() / "parts.qvr", flushes, rows);
  const auto queries = Rows(52).many(100);
  Times beside_optimize, beside_counting;
  for (auto _ : state) {
    for (std::size_t round = 0; round < rounds; ++round) {
      const auto busy_path = folder.path() / ("busy-" + std::to_string(round)), quiet_path = folder.path() / ("quiet-" + std::to_string(round));
      {
        const auto parts = open_store<quiver::MMapPolicy>(folder.path() / "parts.qvr");
        parts.backup(busy_path);
        parts.backup(quiet_path);
      }
      auto busy = Collection::open(busy_path);
      const auto quiet = Collection::open(quiet_path);
      Times optimizing, counting;
      for (const auto* collection : {&std::as_const(busy), &quiet})
        for (int i = 0; i < 10; ++i) benchmark::DoNotOptimize(collection->search(nearest(std::span(queries).first(dimension))));
      const auto beside_busy = [&] {
        const Beside optimize([&](const std::atomic<bool>&) { busy.optimize(); });
        search_while(busy, queries, optimizing, [&] { return !optimize.done(); });
      };
      // As many as there were beside the other: half of the rounds before and half after it, which needs the number of the round before.
      const auto beside_quiet = [&](std::size_t wanted) {
        const Beside count([](const std::atomic<bool>& ended) {
          for (std::uint64_t i = 0; !ended; ++i) benchmark::DoNotOptimize(i);
        });
        search_while(quiet, queries, counting, [&] { return counting.wall.size() < wanted; });
      };
      if (round % 2 == 1) beside_quiet(beside_optimize.wall.size() / round);
      beside_busy();
      if (round % 2 == 0) beside_quiet(optimizing.wall.size());
      beside_optimize.add(optimizing);
      beside_counting.add(counting);
    }
  }
  const double p99 = quantile(beside_optimize.wall, 0.99), idle = quantile(beside_counting.wall, 0.99);
  state.counters["searches"] = static_cast<double>(beside_optimize.wall.size());
  for (const auto& [name, times] : {std::pair("optimize", &beside_optimize), {"counting", &beside_counting}})
    for (const auto& [part, label] : {std::pair(0.5, "p50"), {0.99, "p99"}, {1.0, "max"}}) {
      state.counters[std::string(name) + "_" + label + "_ms"] = 1000 * quantile(times->wall, part);
      state.counters[std::string(name) + "_" + label + "_cpu_ms"] = 1000 * quantile(times->cpu, part);
    }
  at_most(state, "exact search of " + std::to_string(flushes * rows) + " x 128 beside optimize, p99 / p99 beside a thread that counts", 1.5, p99 / idle);
}
BENCHMARK(search_beside_optimize)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
