// What a query costs besides its distances, and what the backend adds to the row loop.
#include "support/stores.hpp"

#include <sys/prctl.h>

namespace {

using namespace bench;

/// 20 rows, k = 10, no fields: everything but the distances.
template <class P>
void fixed_cost(benchmark::State& state) {
  const ScratchFolder folder("query");
  make_store(folder.path() / "small.qvr", 20, 1);
  const auto collection = open_store<P>(folder.path() / "small.qvr");
  const auto query = Rows(2).many(1);
  const auto ask = [&] { benchmark::DoNotOptimize(collection.search(nearest(query))); };

  const std::size_t queries = sized<std::size_t>(20'000, 100);
  std::vector<double> costs;
  for (auto _ : state) {
    const double seconds = cpu_seconds_of([&] {
      for (std::size_t i = 0; i < queries; ++i) ask();
    });
    costs.push_back(1e6 * seconds / static_cast<double>(queries));
    state.SetIterationTime(seconds);
  }
  at_most(state, "a query through Collection, 20 rows, k 10, no fields, " + std::string(P::name) + " [us]", 2, median(costs));
}
BENCHMARK(fixed_cost<quiver::MMapPolicy>)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(21);
BENCHMARK(fixed_cost<quiver::MemoryPolicy>)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(21);

/// The same rows, resident, under both policies.
void mmap_against_memory(benchmark::State& state) {
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);  // pages of one size on both sides: a mapped file has small ones
  const std::size_t count = sized<std::size_t>(200'000, 2'000);
  const ScratchFolder folder("query");
  make_store(folder.path() / "store.qvr", count, 3);
  const auto mapped = open_store<quiver::MMapPolicy>(folder.path() / "store.qvr");
  const auto in_memory = open_store<quiver::MemoryPolicy>(folder.path() / "store.qvr");
  const auto query = Rows(4).many(1);
  Pair pair;
  for (auto _ : state)
    pair = interleave(
        sized<std::size_t>(101, 3), [&] { benchmark::DoNotOptimize(mapped.search(nearest(query))); },
        [&] { benchmark::DoNotOptimize(in_memory.search(nearest(query))); });
  state.counters["mmap_ms"] = 1000 * pair.first;
  state.counters["memory_ms"] = 1000 * pair.second;
  at_most(state, "exact search of " + std::to_string(count) + " x 128, time under mmap / under memory", 1.02, pair.ratio);
}
BENCHMARK(mmap_against_memory)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
