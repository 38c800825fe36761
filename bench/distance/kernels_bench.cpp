// The kernels by themselves, for those who change them: nanoseconds per pair, on rows that stay in the second-level cache, and `gather` on rows that do not.
#include <quiver/distance/kernels.hpp>
#include <quiver/distance/panel.hpp>

#include <benchmark/benchmark.h>

#include <span>
#include <random>
#include <vector>

#include "support/measure.hpp"

namespace {

using namespace quiver;
using namespace quiver::detail;

constexpr std::size_t query_count = 32;

struct Data {
  explicit Data(std::size_t dimension)
      : count(std::max<std::size_t>(panel_rows, 65536 / dimension)), rows(count * dimension), queries(query_count * dimension), out(count * query_count) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (auto* values : {&rows, &queries})
      for (auto& x : *values) x = normal(random);
    for (std::size_t q = 0; q < query_count; ++q) {
      floats.push_back(&queries[q * dimension]);
      asked.push_back(&queries[q * dimension]);
    }
  }
  std::size_t count;
  std::vector<float> rows, queries, out;
  std::vector<const float*> floats;
  std::vector<const void*> asked;  // the same as kernels take them
};

void report(benchmark::State& state, std::size_t pairs, std::size_t dimension) {
  const auto all = static_cast<double>(state.iterations()) * static_cast<double>(pairs);
  state.counters["per_pair"] = benchmark::Counter(all, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["terms"] = benchmark::Counter(all * static_cast<double>(dimension), benchmark::Counter::kIsRate);
}

template <Metric M>
void one_to_one(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  Data data(dimension);
  for (auto _ : state) {
    for (std::size_t r = 0; r < data.count; ++r) data.out[r] = kernels_for(M).one(data.queries.data(), &data.rows[r * dimension], dimension);
    benchmark::ClobberMemory();
  }
  report(state, data.count, dimension);
}

template <Metric M>
void one_to_many(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  Data data(dimension);
  for (auto _ : state) {
    kernels_for(M).many(data.queries.data(), data.rows.data(), data.count, dimension, data.out.data());
    benchmark::ClobberMemory();
  }
  report(state, data.count, dimension);
}

template <Metric M>
void many_to_many(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  Data data(dimension);
  for (auto _ : state) {
    kernels_for(M).batch(data.asked.data(), query_count, data.rows.data(), data.count, dimension, data.out.data());
    benchmark::ClobberMemory();
  }
  report(state, data.count * query_count, dimension);
}

void panel(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  Data data(dimension);
  const auto packed = pack_panel(data.floats.data(), query_count, dimension);
  PanelThresholds thresholds;
  std::fill_n(thresholds.factor, panel_width, 0.0f);
  std::fill_n(thresholds.offset, panel_width, 1e30f);
  const std::vector<float> values(panel_rows);
  std::uint32_t interest[panel_rows];
  for (auto _ : state) {
    for (std::size_t r = 0; r < data.count; r += panel_rows)
      panel_kernels().select(packed.data(), query_count, &data.rows[r * dimension], std::min(panel_rows, data.count - r), dimension, thresholds, values.data(),
                             interest);
    benchmark::ClobberMemory();
  }
  report(state, data.count * query_count, dimension);
}

/// Rows anywhere in so many MB, 24 at a time, as a walk along a graph asks for them: "ratio" is the time of gather() over that of one row after another, whose
/// first lines are fetched beforehand on both sides. "ns_a_row" is what a walk cannot do without, whatever its graph.
void gather(benchmark::State& state) {
  const auto dimension = static_cast<std::size_t>(state.range(0));
  constexpr std::size_t together = 24;
  const std::size_t count = static_cast<std::size_t>(state.range(1)) * bench::sized<std::size_t>(1'000'000, 10'000) / sizeof(float) / dimension,
                    calls = bench::sized<std::size_t>(2'000, 20);
  std::vector<float> rows(count * dimension), query(dimension), out(together);
  std::vector<std::uint32_t> which(together * calls);
  std::mt19937 random(1);
  for (auto& x : rows) x = static_cast<float>(random() & 255);
  for (auto& x : which) x = static_cast<std::uint32_t>(random() % count);
  const auto row = [&](std::uint32_t r) { return &rows[r * dimension]; };
  const auto each = [&](auto&& compute) {
    for (std::size_t i = 0; i < which.size(); i += together) {
      const auto some = std::span(which).subspan(i, together);
      for (const auto r : some) fetch_lines(row(r), lines_to_fetch(dimension * sizeof(float)));
      compute(some);
      benchmark::ClobberMemory();
    }
  };
  bench::Pair pair;
  for (auto _ : state)
    pair = bench::interleave(
        9, [&] { each([&](auto some) { kernels_for(Metric::l2).gather(query.data(), rows.data(), dimension, some.data(), together, out.data()); }); },
        [&] {
          each([&](auto some) {
            for (std::size_t i = 0; i < together; ++i) out[i] = kernels_for(Metric::l2).one(query.data(), row(some[i]), dimension);
          });
        });
  state.counters["ratio"] = pair.ratio;
  state.counters["ns_a_row"] = pair.first * 1e9 / static_cast<double>(which.size());
}

void dimensions(benchmark::internal::Benchmark* bench) {
  for (const auto dimension : {3, 8, 25, 100, 128, 384, 784, 1536}) bench->Arg(dimension);
}

BENCHMARK(one_to_one<Metric::l2>)->Apply(dimensions);
BENCHMARK(one_to_one<Metric::inner_product>)->Apply(dimensions);
BENCHMARK(one_to_many<Metric::l2>)->Apply(dimensions);
BENCHMARK(one_to_many<Metric::inner_product>)->Apply(dimensions);
BENCHMARK(many_to_many<Metric::l2>)->Apply(dimensions);
BENCHMARK(many_to_many<Metric::inner_product>)->Apply(dimensions);
BENCHMARK(panel)->Apply(dimensions);
BENCHMARK(gather)
    ->ArgNames({"dim", "MB"})
    ->Args({128, 50})
    ->Args({128, 200})
    ->Args({128, 500})
    ->Args({256, 200})
    ->Args({784, 200})
    ->Args({1536, 200})
    ->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
