// Rows per second into a collection that does not flush meanwhile, until all of them are in its graph: 128 float32, clusters, m = 16, ef_construction = 200,
// batches of 1,000, buffered. Beside it the same rows linked by HnswBuilder on one thread, which has them all from the beginning: what the thread, the rows
// that lie in pieces and the room that doubles cost. hnswlib's addPoint of the same rows is what `make compare` measures; both are one thread's work.
#include "support/stores.hpp"

#include <quiver/index/hnsw_rows.hpp>

#include <chrono>
#include <random>
#include <thread>

namespace {

using namespace bench;

constexpr std::size_t dimension = 128, batch_size = 1000;
constexpr quiver::Hnsw index_type{.m = 16, .ef_construction = 200};

const std::vector<float>& vectors() {
  static const std::vector<float> all = [] {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    std::vector<float> centres(200 * dimension), out(sized<std::size_t>(60'000, 2'000) * dimension);
    for (auto& x : centres) x = 3 * normal(random);
    for (std::size_t i = 0; i < out.size(); i += dimension) {
      const auto centre = random() % 200 * dimension;
      for (std::size_t d = 0; d < dimension; ++d) out[i + d] = centres[centre + d] + normal(random);
    }
    return out;
  }();
  return all;
}

/// Seconds of the clock.
double live_once() {
  const auto rows = vectors().size() / dimension;
  const ScratchFolder folder("live");
  auto collection =
      quiver::Collection<quiver::MMapPolicy>::create(folder.path() / "new.qvr", quiver::Schema{quiver::VectorField("v", dimension).index(index_type)},
                                                     {.durability = quiver::Durability::buffered, .flush_bytes = std::size_t{1} << 40});
  std::vector<quiver::Document> batch;
  const double begin = wall_seconds();
  for (std::size_t i = 0; i < rows; i += batch_size) {
    batch.clear();
    for (std::size_t r = i; r < i + batch_size; ++r)
      batch.push_back(quiver::Document{std::to_string(r), {{"v", std::span(&vectors()[r * dimension], dimension)}}});
    collection.insert(batch);
  }
  while (collection.stats().memtable_linked < rows) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return wall_seconds() - begin;
}
double built_once() {
  const quiver::detail::FlatRows rows{vectors().data(), nullptr, vectors().size() / dimension, dimension};
  const double begin = wall_seconds();
  const auto links =
      quiver::detail::HnswBuilder(quiver::detail::FlatRowSpace(quiver::Metric::l2, rows), {.m = index_type.m, .ef_construction = index_type.ef_construction})
          .build(1, [] {});
  benchmark::DoNotOptimize(links.graph().ground.links);
  return wall_seconds() - begin;
}

void live_insertion(benchmark::State& state) {
  const auto rows = static_cast<double>(vectors().size() / dimension);
  std::vector<double> live, built, ratio;
  for (auto _ : state) {
    built.push_back(built_once());
    live.push_back(live_once());
    ratio.push_back(built.back() / live.back());
    state.SetIterationTime(live.back());
  }
  state.counters["rows_per_second"] = rows / median(live);
  state.counters["rows_per_second_built"] = rows / median(built);
  at_least(state, "insertion while all rows are linked, against a build on one thread [ratio]", 0.8, median(ratio));
}
BENCHMARK(live_insertion)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(sized<benchmark::IterationCount>(3, 1));

}  // namespace
