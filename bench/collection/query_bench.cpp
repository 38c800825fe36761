// What a query costs besides its distances, and what the backend adds to the row loop.
#include "support/stores.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

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
template <class First, class Second>
void same_rows(benchmark::State& state, const std::string& what, double most) {
  ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);  // pages of one size on both sides: a mapped file has small ones
  const std::size_t count = sized<std::size_t>(200'000, 2'000);
  const ScratchFolder folder("query");
  make_store(folder.path() / "store.qvr", count, 3);
  const auto first = open_store<First>(folder.path() / "store.qvr");
  const auto second = open_store<Second>(folder.path() / "store.qvr");
  const auto query = Rows(4).many(1);
  Pair pair;
  for (auto _ : state)
    pair = interleave(
        sized<std::size_t>(101, 3), [&] { benchmark::DoNotOptimize(first.search(nearest(query))); },
        [&] { benchmark::DoNotOptimize(second.search(nearest(query))); });
  state.counters[std::string(First::name) + "_ms"] = 1000 * pair.first;
  state.counters[std::string(Second::name) + "_ms"] = 1000 * pair.second;
  at_most(state, "exact search of " + std::to_string(count) + " x 128, " + what, most, pair.ratio);
}
void mmap_against_memory(benchmark::State& state) { same_rows<quiver::MMapPolicy, quiver::MemoryPolicy>(state, "time under mmap / under memory", 1.02); }
BENCHMARK(mmap_against_memory)->Unit(benchmark::kMillisecond)->Iterations(1);
/// What checksums cost where every chunk was looked at once.
void checked_mmap_against_mmap(benchmark::State& state) {
  same_rows<quiver::CheckedMMapPolicy, quiver::MMapPolicy>(state, "time under checked mmap after the first touch / under mmap", 1.05);
}
BENCHMARK(checked_mmap_against_mmap)->Unit(benchmark::kMillisecond)->Iterations(1);

/// Gives what the page cache has of a store back. REQUIRES: nobody has it mapped.
void evict(const std::filesystem::path& store) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(store)) {
    if (!entry.is_regular_file()) continue;
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || ::fdatasync(file) != 0 || ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0)
      throw std::runtime_error("cannot evict " + entry.path().string());
    ::close(file);
  }
}

/// What they cost where every byte comes from the device: an open and one exact search, by wall clock.
void checksums_of_what_the_device_reads(benchmark::State& state) {
  const std::size_t count = sized<std::size_t>(200'000, 2'000), rounds = sized<std::size_t>(21, 2);
  const ScratchFolder folder("query");
  const auto path = folder.path() / "store.qvr";
  make_store(path, count, 3);
  const auto query = Rows(4).many(1);
  const auto cold = [&]<class P>(std::type_identity<P>) {
    evict(path);
    const double start = wall_seconds();
    benchmark::DoNotOptimize(open_store<P>(path).search(nearest(query)));
    return wall_seconds() - start;
  };
  std::vector<double> plain, ratios;
  for (auto _ : state)
    for (std::size_t round = 0; round <= rounds; ++round) {
      double with = 0;
      if (round % 2 == 0) with = cold(std::type_identity<quiver::CheckedMMapPolicy>{});
      const double without = cold(std::type_identity<quiver::MMapPolicy>{});
      if (round % 2 != 0) with = cold(std::type_identity<quiver::CheckedMMapPolicy>{});
      if (round == 0) continue;
      plain.push_back(without);
      ratios.push_back(with / without);
    }
  state.counters["MB_per_second"] = static_cast<double>(count) * 128 * sizeof(float) / 1e6 / median(plain);
  at_most(state, "the same from the device, open included, time under checked mmap / under mmap", 1.03, median(ratios));
}
BENCHMARK(checksums_of_what_the_device_reads)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
