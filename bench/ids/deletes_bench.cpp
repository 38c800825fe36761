// The set of deleted documents: what a candidate of a search pays to be asked for, and what one erase costs among many.
#include "support/measure.hpp"

#include <quiver/ids/delete_set.hpp>

#include <cstdint>
#include <random>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;
using namespace bench;

/// One id in `step`, up to `ids`.
DeleteSet every(std::uint64_t step, std::uint64_t ids) {
  std::vector<DocId> deleted;
  for (std::uint64_t id = 0; id < ids; id += step) deleted.push_back(DocId{id});
  return DeleteSet().with(deleted);
}

/// Candidates in random order, as a graph finds them, or ascending, as a scan does.
void contains(benchmark::State& state) {
  const auto ids = static_cast<std::uint64_t>(state.range(0));
  const bool hit = state.range(1) != 0, ascending = state.range(2) != 0;
  const auto set = every(10, ids);
  std::mt19937_64 random(1);
  std::vector<DocId> asked(1 << 16);
  for (std::size_t i = 0; i < asked.size(); ++i) asked[i] = DocId{(ascending ? i : random() % (ids / 10)) * 10 + (hit ? 0u : 3u)};
  for (auto _ : state)
    for (const auto id : asked) benchmark::DoNotOptimize(set.contains(id));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(asked.size()));
  state.SetLabel(std::string(hit ? "hit, " : "miss, ") + (ascending ? "ascending" : "random"));
}
BENCHMARK(contains)->ArgsProduct({{1'000'000, 100'000'000}, {0, 1}, {0, 1}});

void contains_in_an_empty_set(benchmark::State& state) {
  DeleteSet set;
  benchmark::DoNotOptimize(set);
  std::uint64_t id = 0;
  for (auto _ : state) benchmark::DoNotOptimize(set.contains(DocId{id++}));
}
BENCHMARK(contains_in_an_empty_set);

/// One erase: the older set is dropped, as when no reader holds it.
void with_one_id(benchmark::State& state) {
  const auto ids = static_cast<std::uint64_t>(state.range(0));
  const auto set = every(10, ids);
  std::mt19937_64 random(2);
  for (auto _ : state) {
    const DocId more[] = {DocId{random() % (ids / 10) * 10 + 1}};
    benchmark::DoNotOptimize(set.with(more));
  }
}
BENCHMARK(with_one_id)->Arg(1'000'000)->Arg(100'000'000);

void count_of_a_segment(benchmark::State& state) {
  const auto set = every(10, 100'000'000);
  for (auto _ : state) benchmark::DoNotOptimize(set.count(DocId{12'345'678}, DocId{22'345'677}));
}
BENCHMARK(count_of_a_segment);

}  // namespace
