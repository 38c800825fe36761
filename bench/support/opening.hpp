// Opening a store in a process of its own: how long it takes, and how much memory is resident after it.
#pragma once

#include "support/stores.hpp"

#include <sys/wait.h>

#include <cstdio>

namespace bench {

[[nodiscard]] inline long resident_kib() {
  std::ifstream status("/proc/self/status");
  long sum = 0;
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:") || line.starts_with("RssFile:")) sum += std::stol(line.substr(8));
  return sum;
}

/// The child: opens, prints seconds and KiB.
inline int probe(const std::filesystem::path& store) {
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

[[nodiscard]] inline Opening open_in_child(const std::filesystem::path& store) {
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

/// The main() of a program that opens stores so: the child is the same program.
inline int main_with_probe(int count, char** words) {
  if (count == 3 && std::string(words[1]) == "--probe") return probe(words[2]);
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace bench
