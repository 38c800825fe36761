// Fuzzes opening a graph and walking it. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and the mutator here
// mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/index/hnsw_block.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;
using Graph = HnswBlock<test::BytesReader>;

constexpr std::size_t dimension = 2, rows = 90;
constexpr HnswBuildParameters parameters{.m = 3, .ef_construction = 8, .seed = 5};

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "hnsw_block_fuzz: %s\n", what);
  std::abort();
}

const std::vector<float>& elements() {
  static const auto all = [] {
    std::vector<float> values;
    for (std::size_t i = 0; i < rows * dimension; ++i) values.push_back(static_cast<float>(i * 37 % 101));
    return values;
  }();
  return all;
}
FlatRows flat_rows() { return {elements().data(), nullptr, rows, dimension}; }

Bytes sample() {
  test::BytesDraft draft;
  const auto links = HnswBuilder(FlatRowSpace(Metric::l2, flat_rows()), parameters).build(1, [] {});
  static_cast<void>(write_hnsw_block(draft, links.graph(), parameters, FileId{1, 2}));
  return std::move(draft.bytes);
}

void ask(const Graph& graph) {
  for (const std::size_t ef : {1u, 7u, 200u})
    for (std::size_t q = 0; q < rows; q += 31) {
      const FlatRowQuery query(flat_rows(), FlatQuery(Metric::l2, std::span(&elements()[q * dimension], dimension)));
      std::set<std::uint32_t> seen;
      const auto distances = graph.search(query, ef, [&](const CandidatePool& pool) {
        if (pool.size() == 0 || pool.size() > ef) broken("a walk kept nothing, or more than it was to keep");
        for (std::size_t i = 0; i < pool.size(); ++i) {
          if (pool[i].node >= rows) broken("a row that is not there was found");
          if (pool[i].distance != query.at(pool[i].node)) broken("a distance that is not the row's");
          if (!seen.insert(pool[i].node).second) broken("a row was found twice");
        }
      });
      if (distances < seen.size()) broken("fewer distances than rows");
    }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto fresh = sample();
  return fuzz::mutate_block(data, size, max_size, seed, fresh);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "blk-000001.vector_graph";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  auto identity = test::claimed_identity(bytes);
  if (identity == FileIdentity{}) identity.length = size;
  for (const std::uint64_t told : {std::uint64_t{rows}, std::uint64_t{rows - 1}, std::uint64_t{0}, max_hnsw_rows, ~std::uint64_t{0}}) {
    try {
      const Graph graph(test::BytesReader(bytes, path), scope, identity, told);
      if (graph.graph().ground.nodes != told) broken("another number of rows was taken");
      if (told != rows) continue;
      fuzz::accepted();
      ask(graph);
    } catch (const Error& e) {
      if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
      if (e.path() != path) broken("an error without path");
    }
  }
  return 0;
}
