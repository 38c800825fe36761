// How the benchmarks measure: clocks, interleaved pairs, and the counters that `report` reads a target from.
#pragma once

#include <benchmark/benchmark.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

namespace bench {

/// `report --short` sets this: small sizes that show that everything runs, figures that mean nothing.
[[nodiscard]] inline bool short_run() { return std::getenv("QUIVER_BENCH_SHORT") != nullptr; }

/// `full`, or the small size in a short run.
template <class T>
[[nodiscard]] T sized(T full, T small) {
  return short_run() ? small : full;
}

/// Seconds of processor time that this process has used, in all its threads.
[[nodiscard]] inline double cpu_seconds() {
  ::timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

[[nodiscard]] inline double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

[[nodiscard]] inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class Work>
[[nodiscard]] double cpu_seconds_of(Work&& work) {
  const double start = cpu_seconds();
  work();
  return cpu_seconds() - start;
}

/// Medians over the rounds: processor seconds of either side, and of the ratio first / second of a round. The ratio of two medians would compare moments
/// that have nothing to do with one another; on a busy machine only the two halves of one round do.
struct Pair {
  double first = 0, second = 0, ratio = 0;
};

/// Times the two in turn, in the order ABBAAB…, after one round of each that is not counted.
template <class First, class Second>
[[nodiscard]] Pair interleave(std::size_t rounds, First&& first, Second&& second) {
  first();
  second();
  std::vector<double> firsts, seconds, ratios;
  for (std::size_t round = 0; round < rounds; ++round) {
    double a = 0, b = 0;
    if (round % 2 == 0) {
      a = cpu_seconds_of(first);
      b = cpu_seconds_of(second);
    } else {
      b = cpu_seconds_of(second);
      a = cpu_seconds_of(first);
    }
    firsts.push_back(a);
    seconds.push_back(b);
    ratios.push_back(a / b);
  }
  return {median(std::move(firsts)), median(std::move(seconds)), median(std::move(ratios))};
}

/// A target and what was reached, as counters of the benchmark: `report` makes a line of its table of every benchmark that has them. The label says what is
/// measured and in which unit.
inline void at_least(benchmark::State& state, const std::string& what, double target, double reached) {
  state.counters["target"] = target;
  state.counters["reached"] = reached;
  state.counters["at_least"] = 1;
  state.SetLabel(what);
}

inline void at_most(benchmark::State& state, const std::string& what, double target, double reached) {
  state.counters["target"] = target;
  state.counters["reached"] = reached;
  state.counters["at_least"] = 0;
  state.SetLabel(what);
}

/// A line of the table for what this machine has not: it is counted as skipped, not as missed.
inline void not_measured(benchmark::State& state, const std::string& what, double target) {
  at_least(state, what, target, 0);
  state.counters["skipped"] = 1;
}

}  // namespace bench
