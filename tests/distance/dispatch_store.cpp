// A store that is filled, indexed, closed, opened and searched, its answers printed: .ci/run compares those of one processor with those of another. All numbers
// are whole and small, so every set of kernels computes the same distances, builds the same graph and finds the same documents.
// usage: dispatch_store <folder>. Exit status 1 where the graph misses too much of what an exact search finds, or backends differ.
#include <quiver/quiver.hpp>

#include <cstdio>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace quiver;

constexpr std::size_t documents = 1500, dimension = 40, queries = 25, k = 10;

// Whole numbers from 0 to 255 around 30 centres.
std::vector<std::vector<float>> vectors(std::size_t count, unsigned seed) {
  std::mt19937 centres(1), random(seed);
  std::vector<std::vector<float>> around(30, std::vector<float>(dimension)), out;
  for (auto& centre : around)
    for (float& x : centre) x = static_cast<float>(20 + centres() % 216);
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(around[random() % around.size()]);
    for (float& x : out.back()) x += static_cast<float>(random() % 41) - 20;
  }
  return out;
}

template <class Store>
std::vector<Strings> answers(const Store& store, bool exact) {
  std::vector<Strings> out;
  for (const auto& asked : vectors(queries, 3))
    for (const auto* field : {"squares", "products"}) {
      // A walk that keeps every document looks at every one that the graph leads to.
      const auto hits = store.search({.field = field, .query = asked, .k = k, .ef = exact ? documents : 60});
      Strings keys;
      for (const auto& hit : hits) keys.push_back(hit.key + "@" + std::to_string(static_cast<double>(hit.distance)));
      out.push_back(keys);
    }
  return out;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  const std::filesystem::path folder = words[1];
  std::filesystem::remove_all(folder);
  const Schema schema{VectorField("squares", dimension).index(Hnsw{.m = 12, .ef_construction = 80}).quantizer(Sq8{}),
                      VectorField("products", dimension).metric(Metric::inner_product).index(Hnsw{.m = 12, .ef_construction = 80}).quantizer(Sq8{})};
  const auto data = vectors(documents, 2);
  std::vector<Document> batch;
  for (std::size_t i = 0; i < documents; ++i) batch.push_back(Document("d" + std::to_string(i), {{"squares", data[i]}, {"products", data[i]}}));
  std::vector<Strings> exact;
  {
    auto store = Collection<MMapPolicy>::create(folder.string(), schema);
    store.insert(batch);
    exact = answers(store, true);  // no graph yet: every row is looked at
    store.optimize({.threads = 1});
    store.close();
  }
  const auto mapped = answers(Collection<MMapPolicy>::open(folder.string()), false);
  const auto in_memory = answers(Collection<MemoryPolicy>::open(folder.string()), false);
  std::size_t found = 0;
  for (std::size_t q = 0; q < exact.size(); ++q) {
    std::string line;
    for (const auto& key : mapped[q]) {
      line += key + " ";
      found += static_cast<std::size_t>(std::count(exact[q].begin(), exact[q].end(), key));
    }
    std::printf("%s\n", line.c_str());
  }
  std::printf("%zu of %zu found\n", found, exact.size() * k);
  std::fprintf(stderr, "kernels: %s\n", std::string(to_string(simd_level())).c_str());
  std::filesystem::remove_all(folder);
  return mapped == in_memory && found * 100 >= exact.size() * k * 95 ? 0 : 1;
}
