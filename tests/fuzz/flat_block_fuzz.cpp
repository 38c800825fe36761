// Fuzzes opening a flat vector block and searching it. Two ways past the checksums: a build with FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and the
// mutator here mends those of most inputs. Starts from a sample of its own if the corpus is empty.
#include <quiver/index/flat_block.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;
using Flat = FlatBlock<test::BytesReader>;

constexpr std::size_t dimension = 3;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "flat_block_fuzz: %s\n", what);
  std::abort();
}

Bytes sample() {
  constexpr std::uint64_t rows = 70;
  std::vector<float> elements;
  for (std::uint64_t i = 0; i < rows * dimension; ++i) elements.push_back(static_cast<float>(i * 37 % 19) - 9);
  test::BytesDraft draft;
  static_cast<void>(write_flat_block(
      draft, Metric::cosine, dimension, rows, [&](std::uint64_t row) { return &elements[row * dimension]; }, FileId{1, 2}));
  return std::move(draft.bytes);
}

void ask(const Flat& flat, Metric metric, std::size_t file_size) {
  if (flat.rows() > file_size / (dimension * sizeof(float))) broken("more rows than the file has room for");
  test::BytesScope scope;
  // Distances of what is not a number have no order; what a writer refuses, a damaged file may hold.
  bool ordered = true;
  std::vector<float> elements;
  for (std::uint64_t row = 0; row < flat.rows(); ++row) {
    const auto stored = flat.row(scope, row);
    if (stored.size() != dimension * sizeof(float)) broken("a row of another size");
    for (std::size_t i = 0; i < dimension; ++i) {
      elements.push_back(load<float>(&stored[i * sizeof(float)]));
      ordered = ordered && std::abs(elements.back()) < 1e15f;
    }
  }
  const std::vector<float> queries{1, 0, 0, 0.5f, -2, 1};
  std::vector<FlatQuery> both;
  std::vector<TopK> best, alone;
  for (std::size_t q = 0; q < 2; ++q) {
    both.emplace_back(metric, std::span(queries).subspan(q * dimension, dimension));
    best.emplace_back(5);
    alone.emplace_back(5);
    flat.search(scope, both[q], 1, alone[q]);
  }
  flat.search_batch(scope, both, 1, best);
  for (std::size_t q = 0; q < 2; ++q) {
    const auto together = best[q].take_sorted(), single = alone[q].take_sorted();
    if (single.size() != std::min<std::uint64_t>(5, flat.rows()) && ordered && metric == Metric::l2) broken("a search finds fewer rows than there are");
    if (together.size() != single.size()) broken("a batch finds more or fewer than a search");
    for (std::size_t i = 0; i < single.size() && ordered; ++i)
      if (single[i].id == 0 || single[i].id > flat.rows()) broken("a row that is not there was found");
  }
  test::BytesDraft draft;
  const auto again = write_flat_block(
      draft, metric, dimension, flat.rows(), [&](std::uint64_t row) { return &elements[row * dimension]; }, FileId{1, 2});
  const Flat copy(test::BytesReader(draft.bytes, "copy"), scope, again, metric, dimension, flat.rows());
  for (std::uint64_t row = 0; row < flat.rows(); ++row)
    if (std::memcmp(copy.row(scope, row).data(), &elements[row * dimension], dimension * sizeof(float)) != 0)
      broken("what was read is written as something else");
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto fresh = sample();
  return fuzz::mutate_block(data, size, max_size, seed, fresh);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "blk-000001.vector_index";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  test::BytesScope scope;
  auto identity = test::claimed_identity(bytes);
  if (identity == FileIdentity{}) identity.length = size;
  // A manifest says how many rows there are: as many as the section holds, and others.
  std::uint64_t length = 70 * dimension * sizeof(float);
  try {
    length = Block<test::BytesReader>(test::BytesReader(bytes, path), scope, identity, BlockKind::vector_index).section(vectors_section).length;
  } catch (const Error&) {
    // Said again below.
  }
  const std::uint64_t rows = length / (dimension * sizeof(float));
  for (const auto metric : {Metric::l2, Metric::cosine})
    for (const auto told : {rows, rows - 1, rows + 1, ~std::uint64_t{0}}) {
      try {
        const Flat flat(test::BytesReader(bytes, path), scope, identity, metric, dimension, told);
        if (told != rows || length % (dimension * sizeof(float)) != 0) broken("another number of rows was taken");
        fuzz::accepted();
        ask(flat, metric, size);
      } catch (const Error& e) {
        if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
        if (e.path() != path) broken("an error without path");
      }
    }
  return 0;
}
