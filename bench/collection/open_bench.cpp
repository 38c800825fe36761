// Opening 1,000,000 x 128 flat under mmap, directories verified. Each opening is a process of its own, so that what one has read is not counted for the next;
// the files are in the page cache.
#include "support/opening.hpp"

namespace {

using namespace bench;

void open_flat(benchmark::State& state, bool memory) {
  const std::size_t count = sized<std::size_t>(1'000'000, 5'000);
  static const ScratchFolder folder("open");
  const auto store = folder.path() / "store.qvr";
  if (!std::filesystem::exists(store)) make_store(store, count, 21);
  std::vector<double> milliseconds, megabytes;
  for (auto _ : state) {
    const Opening opening = open_in_child(store);
    milliseconds.push_back(1000 * opening.seconds);
    megabytes.push_back(opening.kib * 1024 / 1e6);
    state.SetIterationTime(opening.seconds);
  }
  const std::string what = std::to_string(count) + " x 128 flat under mmap, directories verified";
  if (memory)
    at_most(state, "resident after the open of " + what + " [MB]", 5, median(megabytes));
  else
    at_most(state, "open of " + what + " [ms]", 10, median(milliseconds));
}
BENCHMARK_CAPTURE(open_flat, time, false)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(21);
BENCHMARK_CAPTURE(open_flat, memory, true)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(5);

}  // namespace

int main(int count, char** words) { return main_with_probe(count, words); }
