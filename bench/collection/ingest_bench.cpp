// Documents per second into a new collection: a flat field of 128 float32, two integer columns, batches of 1,000, one thread, the last flush included.
// The documents are made beforehand: what is measured is insert() and flush() as a program sees them, on the disk that the current folder is on.
#include "support/stores.hpp"

namespace {

using namespace bench;

void ingest(benchmark::State& state) {
  const std::size_t batches = sized<std::size_t>(300, 3), batch_size = 1000;
  Rows rows(11);
  std::vector<std::vector<quiver::Document>> prepared;
  for (std::size_t i = 0; i < batches; ++i) prepared.push_back(documents(rows, i * batch_size, batch_size));

  const double total = static_cast<double>(batches * batch_size);
  std::vector<double> by_wall, by_cpu;
  for (auto _ : state) {
    const ScratchFolder folder("ingest");
    const double wall = wall_seconds(), cpu = cpu_seconds();
    auto collection = quiver::Collection<quiver::MMapPolicy>::create(folder.path() / "new.qvr", flat_schema());
    for (const auto& batch : prepared) collection.insert(batch);
    collection.flush();
    const double seconds = wall_seconds() - wall;
    by_wall.push_back(total / seconds);
    by_cpu.push_back(total / (cpu_seconds() - cpu));
    state.SetIterationTime(seconds);
  }
  state.counters["docs_per_cpu_second"] = median(by_cpu);
  at_least(state, "ingest, batches of 1,000, flush included, wall clock [documents/s]", 200'000, median(by_wall));
}
BENCHMARK(ingest)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace

BENCHMARK_MAIN();
