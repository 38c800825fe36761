// What a distance costs by the kernels of each instruction set that this machine has: nanoseconds, and how many bytes of rows pass by in a second. The rows lie
// one behind the other, as in a scan, in the second-level cache or far beyond every cache.
#include <quiver/distance/dispatch.hpp>

#include <benchmark/benchmark.h>

#include "support/measure.hpp"

#include <cstdio>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;

enum class Work { l2, product, half_l2, half_product, byte_l2, byte_product, codes, nibbles };
constexpr const char* work_names[] = {"squared L2, float32", "inner product, float32", "squared L2, float16",      "inner product, float16",
                                      "squared L2, uint8",   "inner product, uint8",   "inner product, Sq8 codes", "inner product, Sq4 codes"};
constexpr Element element_of(Work work) {
  if (work == Work::byte_l2 || work == Work::byte_product || work == Work::codes || work == Work::nibbles) return Element::uint8;
  return work == Work::half_l2 || work == Work::half_product ? Element::float16 : Element::float32;
}
constexpr Metric metric_of(Work work) { return work == Work::l2 || work == Work::half_l2 || work == Work::byte_l2 ? Metric::l2 : Metric::inner_product; }
constexpr std::size_t some_dimensions[] = {128, 784, 1024};

/// Rows of any kind in one piece of memory: small floats, whose bytes are as good as any for others.
const std::vector<float>& memory() {
  static const std::vector<float> floats = [] {
    std::vector<float> out(bench::sized<std::size_t>(std::size_t{1} << 28, std::size_t{1} << 20));
    std::mt19937 random(1);
    for (float& x : out) x = static_cast<float>(random() % 1024) / 64;
    return out;
  }();
  return floats;
}

struct Figures {
  double nanoseconds = 0, gigabytes = 0;
};
// Of (work, dimension, beyond the caches) by set.
std::map<std::tuple<Work, std::size_t, bool>, std::map<SimdLevel, Figures>> measured;

void distances(benchmark::State& state, const KernelSet& set, Work work, std::size_t dimension, bool cached) {
  constexpr std::size_t at_once = 256;
  const auto& floats = memory();
  const std::size_t row_bytes = work == Work::nibbles ? dimension / 2 : dimension * element_bytes(element_of(work));
  const std::size_t bytes = cached ? std::size_t{1} << 18 : floats.size() * sizeof(float) - code_block;
  const std::size_t count = bytes / row_bytes;
  const std::vector<float> query(dimension, 1.5f);
  const std::vector<std::int16_t> weights((dimension + code_block - 1) / code_block * code_block, std::int16_t{100});
  const std::vector<std::int8_t> small_weights((dimension + 2 * code_block - 1) / (2 * code_block) * (2 * code_block), std::int8_t{100});
  std::vector<std::uint32_t> which(at_once);
  for (std::size_t i = 0; i < at_once; ++i) which[i] = static_cast<std::uint32_t>(i);
  float sums[at_once];
  std::int32_t products[at_once];
  const auto& kernels = set.rows(element_of(work), metric_of(work));
  std::size_t passes = 0;
  const double start = bench::cpu_seconds();
  for (auto _ : state) {
    for (std::size_t first = 0; first < count; first += at_once) {
      const auto some = std::min(at_once, count - first);
      const auto* const rows = reinterpret_cast<const std::byte*>(floats.data()) + first * row_bytes;
      if (work == Work::nibbles) {
        set.nibbles.gather(rows, row_bytes, small_weights.data(), small_weights.size() / 2, which.data(), some, products);
        benchmark::DoNotOptimize(products[0]);
      } else if (work == Work::codes) {
        set.codes.gather(rows, row_bytes, weights.data(), weights.size(), which.data(), some, products);
        benchmark::DoNotOptimize(products[0]);
      } else {
        kernels.many(query.data(), reinterpret_cast<const std::byte*>(floats.data()) + first * row_bytes, some, dimension, sums);
        benchmark::DoNotOptimize(sums[0]);
      }
    }
    ++passes;
  }
  const double seconds = (bench::cpu_seconds() - start) / static_cast<double>(passes) / static_cast<double>(count);
  const Figures figures{seconds * 1e9, static_cast<double>(row_bytes) / seconds * 1e-9};
  state.counters["ns"] = figures.nanoseconds;
  state.counters["GB/s"] = figures.gigabytes;
  measured[{work, dimension, !cached}][set.level] = figures;
}

void print_table() {
  if (measured.empty()) return;
  std::printf("\nns per distance, and GB/s of rows\n%-26s %5s %-10s", "what", "dim", "rows in");
  for (const auto& [level, unused] : measured.begin()->second) std::printf(" %18s", std::string(to_string(level)).c_str());
  std::printf("\n");
  for (const auto& [key, sets] : measured) {
    const auto& [work, dimension, beyond] = key;
    std::printf("%-26s %5zu %-10s", work_names[static_cast<std::size_t>(work)], dimension, beyond ? "memory" : "L2 cache");
    for (const auto& [level, figures] : sets) std::printf(" %8.1f ns %6.1f", figures.nanoseconds, figures.gigabytes);
    std::printf("\n");
  }
}

}  // namespace

int main(int count, char** words) {
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 1;
  for (const auto work : {Work::l2, Work::product, Work::half_l2, Work::half_product, Work::byte_l2, Work::byte_product, Work::codes, Work::nibbles})
    for (const auto dimension : some_dimensions)
      for (const bool cached : {true, false})
        for (const auto* set : unit_sets) {
          if (!machine_has(set->level)) continue;
          const auto name = std::string(work_names[static_cast<std::size_t>(work)]) + "/" + std::to_string(dimension) + "/" + (cached ? "cache" : "memory") +
                            "/" + std::string(to_string(set->level));
          benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
            distances(state, *set, work, dimension, cached);
          })->MinTime(bench::sized(0.15, 0.001));
        }
  benchmark::RunSpecifiedBenchmarks();
  print_table();
}
