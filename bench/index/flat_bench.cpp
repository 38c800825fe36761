// The flat index by itself, over rows in memory: one pass of a single query against a plain sum of the words, and panels of queries against single ones.
#include "support/measure.hpp"

#include <quiver/index/flat_batch.hpp>

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;
using namespace bench;

struct Data {
  Data(std::size_t count, std::size_t dimension, unsigned seed, std::size_t query_count)
      : values(count * dimension), asked(query_count * dimension), rows_count(count), width(dimension) {
    std::mt19937_64 random(seed);
    const auto next = [&] { return static_cast<float>(random() >> 40) * 0x1p-24f; };
    for (auto& x : values) x = next();
    for (auto& x : asked) x = next();
    inverse_norms.reserve(count);
    for (std::size_t r = 0; r < count; ++r) inverse_norms.push_back(inverse_norm({&values[r * dimension], dimension}));
  }
  [[nodiscard]] FlatRows rows() const { return {values.data(), inverse_norms.data(), rows_count, width}; }
  [[nodiscard]] std::vector<FlatQuery> queries(Metric metric) const {
    std::vector<FlatQuery> all;
    for (std::size_t q = 0; q < asked.size() / width; ++q) all.emplace_back(metric, std::span(asked).subspan(q * width, width));
    return all;
  }

  std::vector<float> values, asked, inverse_norms;
  std::size_t rows_count, width;
};

constexpr std::size_t k = 10;

void scan_against_sum(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  const Data data(sized<std::size_t>(2'200'000'000, 10'000'000) / 4 / dimension, dimension, 1, 1);
  const auto queries = data.queries(Metric::l2);
  const auto scan = [&] {
    TopK best(k);
    flat_scan(queries[0], data.rows(), 0, best);
    benchmark::DoNotOptimize(best.take_sorted());
  };
  const auto sum = [&] {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i + 2 <= data.values.size(); i += 2) {
      std::uint64_t word;
      std::memcpy(&word, &data.values[i], sizeof word);
      all += word;
    }
    benchmark::DoNotOptimize(all);
  };
  Pair pair;
  for (auto _ : state) pair = interleave(sized<std::size_t>(11, 3), scan, sum);
  state.counters["scan_ms"] = 1000 * pair.first;
  state.counters["sum_ms"] = 1000 * pair.second;
  at_most(state, "flat scan of 2.2 GB in memory, " + std::to_string(dimension) + "-d, time / plain sum of the words", 1.3, pair.ratio);
}
BENCHMARK(scan_against_sum)->Arg(128)->Arg(784)->Unit(benchmark::kMillisecond)->Iterations(1);

template <Metric M>
void batch_against_single(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  const Data data(sized<std::size_t>(100'000'000, 1'000'000) / dimension, dimension, 2, 32);
  const auto queries = data.queries(M);
  const auto singles = [&] {
    for (const auto& query : queries) {
      TopK best(k);
      flat_scan(query, data.rows(), 0, best);
      benchmark::DoNotOptimize(best.take_sorted());
    }
  };
  const auto together = [&] {
    std::vector<TopK> best(queries.size(), TopK(k));
    flat_scan_batch(queries, data.rows(), 0, best);
    benchmark::DoNotOptimize(best.front().take_sorted());
  };
  Pair pair;
  for (auto _ : state) pair = interleave(sized<std::size_t>(7, 3), singles, together);
  state.counters["single_ms"] = 1000 * pair.first;
  state.counters["batch_ms"] = 1000 * pair.second;
  state.counters["ratio"] = pair.ratio;
  constexpr const char* names[] = {"l2", "inner product", "cosine"};
  if (dimension == 128)
    at_least(state, std::string("flat scan in memory, 128-d, ") + names[static_cast<std::size_t>(M)] + ", 32 queries at once, throughput / one after another",
             4, pair.ratio);
}
BENCHMARK(batch_against_single<Metric::l2>)->Arg(128)->Arg(25)->Arg(784)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(batch_against_single<Metric::inner_product>)->Arg(128)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK(batch_against_single<Metric::cosine>)->Arg(128)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
