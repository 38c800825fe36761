// Documents per second into a new collection: a flat field of 128 float32, two integer columns, batches of 1,000, one thread, every batch in the log
// (`buffered`), the last flush included. The documents are made beforehand: what is measured is insert() and flush() as a program sees them, on the disk that
// the current folder is on. Beside it zvec, where QUIVER_ZVEC_PYTHON names a Python that has it: peers/zvec_ingest.py.
#include "support/stores.hpp"

#include <cstdio>

namespace {

using namespace bench;
using Batches = std::vector<std::vector<quiver::Document>>;

constexpr std::size_t batch_size = 1000;

const Batches& prepared() {
  static const Batches all = [] {
    Rows rows(11);
    Batches batches;
    for (std::size_t i = 0; i < sized<std::size_t>(300, 3); ++i) batches.push_back(documents(rows, i * batch_size, batch_size));
    return batches;
  }();
  return all;
}

struct Rate {
  double wall = 0, cpu = 0;  // documents per second
};

Rate ingest_once() {
  const auto& batches = prepared();
  const ScratchFolder folder("ingest");
  const double wall = wall_seconds(), cpu = cpu_seconds();
  auto collection = quiver::Collection<quiver::MMapPolicy>::create(folder.path() / "new.qvr", flat_schema(), {.durability = quiver::Durability::buffered});
  for (const auto& batch : batches) collection.insert(batch);
  collection.flush();
  const double total = static_cast<double>(batches.size() * batch_size);
  return {total / (wall_seconds() - wall), total / (cpu_seconds() - cpu)};
}

void ingest(benchmark::State& state) {
  (void)prepared();
  std::vector<double> by_wall, by_cpu;
  for (auto _ : state) {
    const Rate rate = ingest_once();
    by_wall.push_back(rate.wall);
    by_cpu.push_back(rate.cpu);
    state.SetIterationTime(static_cast<double>(prepared().size() * batch_size) / rate.wall);
  }
  state.counters["docs_per_second"] = median(by_wall);
  state.counters["docs_per_cpu_second"] = median(by_cpu);
  at_least(state, "ingest, batches of 1,000, buffered, flush included, wall clock [documents/s]", 150'000, median(by_wall));
}
BENCHMARK(ingest)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

/// Documents per second by zvec, once; 0: the program failed.
double zvec_once(const std::string& python) {
  const ScratchFolder folder("zvec");
  const std::string command = "'" + python + "' '" QUIVER_SOURCE_DIR "/bench/peers/zvec_ingest.py' --runs 1 --batches " + std::to_string(prepared().size()) +
                              " --folder '" + folder.path().string() + "'";
  std::FILE* const output = ::popen(command.c_str(), "r");
  if (output == nullptr) return 0;
  double rate = 0;
  char line[256];
  while (std::fgets(line, sizeof line, output) != nullptr) (void)std::sscanf(line, "documents/s %lf", &rate);
  return ::pclose(output) == 0 ? rate : 0;
}

void ingest_against_zvec(benchmark::State& state) {
  const std::string what = "ingest as above, documents/s / those of zvec 0.8.0 with its own durability";
  const char* const python = std::getenv("QUIVER_ZVEC_PYTHON");
  std::vector<double> ratios, ours, theirs;
  for (auto _ : state)
    for (std::size_t round = 0; python != nullptr && round < sized<std::size_t>(3, 1); ++round) {
      const double mine = round % 2 == 0 ? ingest_once().wall : 0, other = zvec_once(python);
      if (other == 0) break;
      ours.push_back(mine != 0 ? mine : ingest_once().wall);
      theirs.push_back(other);
      ratios.push_back(ours.back() / other);
    }
  if (ratios.empty()) return not_measured(state, what, 2);
  state.counters["docs_per_second"] = median(ours);
  state.counters["zvec_docs_per_second"] = median(theirs);
  at_least(state, what, 2, median(ratios));
}
BENCHMARK(ingest_against_zvec)->Unit(benchmark::kMillisecond)->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
