// Opening 1,000,000 x 128 flat under mmap, directories verified. Each opening is a process of its own, so that what one has read is not counted for the next;
// the files are in the page cache.
#include "support/stores.hpp"

#include <sys/wait.h>

#include <cstdio>
#include <iostream>

namespace {

using namespace bench;

[[nodiscard]] long resident_kib() {
  std::ifstream status("/proc/self/status");
  long sum = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:") || line.starts_with("RssFile:")) sum += std::stol(line.substr(8));
  return sum;
}

/// The child: opens, prints seconds and KiB.
int probe(const std::filesystem::path& store) {
  const long before = resident_kib();
  const double start = wall_seconds();
  const auto collection = quiver::Collection<quiver::MMapPolicy>::open(store, {.storage = {.verify = quiver::VerifyLevel::directory}});
  const double seconds = wall_seconds() - start;
  std::printf("%.9f %ld\n", seconds, resident_kib() - before);
  return 0;
}

struct Opening {
  double seconds = 0;
  double kib = 0;
};

[[nodiscard]] Opening open_in_child(const std::filesystem::path& store) {
  int ends[2];
  if (::pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  std::vector<std::string> words{"/proc/self/exe", "--probe", store.string()};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot start a process to measure in");
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execv(arguments.front(), arguments.data());
    ::_exit(127);
  }
  ::close(ends[1]);
  std::FILE* output = ::fdopen(ends[0], "r");
  Opening opening;
  const bool read = std::fscanf(output, "%lf %lf", &opening.seconds, &opening.kib) == 2;
  std::fclose(output);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!read || status != 0) throw std::runtime_error("the process that opens the store failed");
  return opening;
}

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

int main(int count, char** words) {
  if (count == 3 && std::string(words[1]) == "--probe") return probe(words[2]);
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
