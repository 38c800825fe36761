// One exact scan through a backend, for callgrind: compare_row_loops.cmake counts the instructions of scan() under each.
// usage: row_loop raw|mmap|memory FOLDER
#include <quiver/index/flat_block.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <cstdio>
#include <filesystem>
#include <string_view>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;

constexpr std::size_t rows = 20'000, dimension = 100;
constexpr std::string_view file_name = "seg-000001/blk-000001.vector_index";

std::vector<float> make_values(std::size_t count) {
  std::vector<float> values(count);
  std::uint32_t state = 1;
  for (auto& x : values) x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-24f;
  return values;
}

/// The function that is counted: its name is what callgrind is told to collect.
template <class Scan>
[[gnu::noinline]] void counted_scan(const Scan& scan, TopK& best) {
  scan(best);
}

void print(TopK& best) {
  for (const auto& candidate : best.take_sorted())
    std::printf("%llu %a\n", static_cast<unsigned long long>(candidate.id), static_cast<double>(candidate.distance));
}

template <class P>
void through_policy(const std::filesystem::path& folder, const FileIdentity& identity, const FlatQuery& query) {
  const auto store = P::open_store(folder, {}, OpenMode::read_only);
  auto scope = store.read_scope();
  const FlatBlock<typename P::Reader> block(store.open(file_name, identity), scope, identity, Metric::l2, dimension, rows);
  TopK best(10);
  counted_scan([&](TopK& to) { block.search(scope, query, 0, to); }, best);
  print(best);
}

}  // namespace

int main(int count, char** words) {
  if (count != 3) return 2;
  const std::string_view backend = words[1];
  const std::filesystem::path folder = words[2];
  const auto values = make_values(rows * dimension), asked = make_values(dimension);
  const FlatQuery query(Metric::l2, asked);
  if (backend == "raw") {
    TopK best(10);
    counted_scan([&](TopK& to) { flat_scan(query, {values.data(), nullptr, rows, dimension}, 0, to); }, best);
    print(best);
    return 0;
  }
  std::filesystem::remove_all(folder);
  auto store = MMapPolicy::create_store(folder, {});
  auto draft = store.create(file_name);
  const auto identity =
      write_flat_block(draft, Metric::l2, dimension, rows, [&](std::uint64_t row) { return &values[static_cast<std::size_t>(row) * dimension]; });
  store.publish(std::move(draft));
  if (backend == "mmap") return through_policy<MMapPolicy>(folder, identity, query), 0;
  if (backend == "memory") return through_policy<MemoryPolicy>(folder, identity, query), 0;
  return 2;
}
