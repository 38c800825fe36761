// The same exact searches by faiss' IndexFlatL2 as Debian ships it, with one OpenBLAS thread. Needs libfaiss-dev and libopenblas0-pthread; where faiss is
// missing this program is not built, and the report lacks its lines.
#include "support/stores.hpp"

#include <cblas.h>
#include <faiss/IndexFlat.h>
#include <omp.h>

#include <cmath>
#include <optional>

namespace {

using namespace bench;

struct Sides {
  explicit Sides(std::size_t count) : folder("faiss"), index(dimension) {
    ::omp_set_num_threads(1);
    ::openblas_set_num_threads(1);
    make_store(folder.path() / "store.qvr", count, 41);
    Rows rows(41);
    for (std::size_t first = 0; first < count; first += 1000) {
      const std::size_t some = std::min<std::size_t>(1000, count - first);
      index.add(static_cast<faiss::Index::idx_t>(some), rows.many(some).data());
    }
    collection.emplace(open_store<quiver::MMapPolicy>(folder.path() / "store.qvr"));
  }

  ScratchFolder folder;
  faiss::IndexFlatL2 index;
  std::optional<quiver::Collection<quiver::MMapPolicy>> collection;
};

constexpr std::size_t k = 10;

void against_faiss(benchmark::State& state, std::size_t batch) {
  const std::size_t count = sized<std::size_t>(1'000'000, 5'000);
  static const Sides sides(count);
  const auto queries = Rows(42).many(batch);
  std::vector<float> distances(batch * k);
  std::vector<faiss::Index::idx_t> found(batch * k);
  const auto theirs = [&] { sides.index.search(static_cast<faiss::Index::idx_t>(batch), queries.data(), k, distances.data(), found.data()); };
  const auto ours = [&] {
    if (batch == 1)
      benchmark::DoNotOptimize(sides.collection->search(nearest(queries, k)));
    else
      benchmark::DoNotOptimize(
          sides.collection->search_batch({.field = "vector", .queries = queries, .k = k, .fields = quiver::FieldNames::none(), .threads = 1}));
  };
  theirs();
  const auto nearest_of_first = sides.collection->search(nearest(std::span(queries).first(dimension), k));
  for (std::size_t i = 0; i < k; ++i)
    if (std::abs(nearest_of_first[i].distance - distances[i]) > 1e-4F * distances[i]) return state.SkipWithError("the two do not find the same distances");
  Pair pair;
  for (auto _ : state) pair = interleave(sized<std::size_t>(21, 3), theirs, ours);
  state.counters["faiss_qps"] = static_cast<double>(batch) / pair.first;
  state.counters["quiver_qps"] = static_cast<double>(batch) / pair.second;
  const std::string what =
      "exact search of " + std::to_string(count) + " x 128, " + (batch == 1 ? "single queries" : std::to_string(batch) + " queries at once");
  at_least(state, what + ", throughput / faiss IndexFlatL2", batch == 1 ? 1.0 : 0.8, pair.ratio);
}
BENCHMARK_CAPTURE(against_faiss, single, 1)->Unit(benchmark::kMillisecond)->Iterations(1);
BENCHMARK_CAPTURE(against_faiss, batch, 32)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
