// Exact search through Collection: against the fastest way to touch every byte once, and many queries at once against one after another.
#include "support/stores.hpp"

#include <boost/interprocess/file_mapping.hpp>
#include <boost/interprocess/mapped_region.hpp>

namespace {

using namespace bench;

/// The vector blocks of a store, mapped by themselves.
class MappedWords {
 public:
  explicit MappedWords(const std::filesystem::path& store) {
    namespace ipc = boost::interprocess;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(store)) {
      if (!entry.is_regular_file() || entry.path().extension() != ".vector_index") continue;
      const ipc::file_mapping file(entry.path().c_str(), ipc::read_only);
      regions_.emplace_back(file, ipc::read_only);
    }
    if (regions_.empty()) throw std::runtime_error("no vector block was found in " + store.string());
  }

  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t all = 0;
    for (const auto& region : regions_) all += region.get_size();
    return all;
  }

  [[nodiscard]] std::uint64_t sum() const {
    std::uint64_t all = 0;
    for (const auto& region : regions_) {
      const auto* words = static_cast<const std::uint64_t*>(region.get_address());
      for (std::size_t i = 0; i < region.get_size() / sizeof(std::uint64_t); ++i) all += words[i];
    }
    return all;
  }

 private:
  std::vector<boost::interprocess::mapped_region> regions_;
};

void exact_against_sum(benchmark::State& state) {
  const std::size_t count = sized<std::size_t>(4'300'000, 20'000);  // 2.2 GB
  const ScratchFolder folder("exact");
  make_store(folder.path() / "store.qvr", count, 31);
  const auto collection = open_store<quiver::MMapPolicy>(folder.path() / "store.qvr");
  const MappedWords words(folder.path() / "store.qvr");
  const auto query = Rows(32).many(1);
  Pair pair;
  for (auto _ : state)
    pair = interleave(
        sized<std::size_t>(15, 3), [&] { benchmark::DoNotOptimize(collection.search(nearest(query))); }, [&] { benchmark::DoNotOptimize(words.sum()); });
  state.counters["search_ms"] = 1000 * pair.first;
  state.counters["sum_ms"] = 1000 * pair.second;
  state.counters["gb"] = static_cast<double>(words.bytes()) / 1e9;
  at_most(state, "exact search of " + std::to_string(count) + " x 128 under mmap, time / plain sum of the mapped words", 1.3, pair.ratio);
}
BENCHMARK(exact_against_sum)->Unit(benchmark::kMillisecond)->Iterations(1);

void batch_against_single(benchmark::State& state) {
  const std::size_t count = sized<std::size_t>(1'000'000, 5'000), batch = 32;
  const ScratchFolder folder("exact");
  make_store(folder.path() / "store.qvr", count, 33);
  const auto collection = open_store<quiver::MMapPolicy>(folder.path() / "store.qvr");
  const auto queries = Rows(34).many(batch);
  const auto singles = [&] {
    for (std::size_t i = 0; i < batch; ++i) benchmark::DoNotOptimize(collection.search(nearest(std::span(queries).subspan(i * dimension, dimension))));
  };
  const auto together = [&] {
    benchmark::DoNotOptimize(collection.search_batch({.field = "vector", .queries = queries, .k = 10, .fields = quiver::FieldNames::none(), .threads = 1}));
  };
  Pair pair;
  for (auto _ : state) pair = interleave(sized<std::size_t>(9, 3), singles, together);
  state.counters["single_qps"] = static_cast<double>(batch) / pair.first;
  state.counters["batch_qps"] = static_cast<double>(batch) / pair.second;
  at_least(state, "exact search of " + std::to_string(count) + " x 128, 32 queries at once, throughput / one after another", 4, pair.ratio);
}
BENCHMARK(batch_against_single)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
