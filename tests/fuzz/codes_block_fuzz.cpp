// Fuzzes opening a block of codes and walking a graph by them, copied and where they are in memory already. Two ways past the checksums: a build with
// FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION accepts any, and the mutator here mends those of most inputs. Starts from samples of its own if the corpus is empty.
#include <quiver/index/codes_block.hpp>
#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include "fuzz/accepted.hpp"
#include "fuzz/mutate_block.hpp"

#include <bit>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <set>
#include <vector>

namespace {

using namespace quiver;
using namespace quiver::detail;

constexpr std::size_t dimension = 3, rows = 90;

[[noreturn]] void broken(const char* what) {
  std::fprintf(stderr, "codes_block_fuzz: %s\n", what);
  std::abort();
}

/// Whose bytes are memory, as those of a mapping are.
struct MemoryReader : test::BytesReader {
  MemoryReader(ByteSpan bytes, std::filesystem::path path) : BytesReader(bytes, std::move(path)), bytes_(bytes) {}
  [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
  ByteSpan bytes_;
};

const std::vector<float>& elements() {
  static const auto all = [] {
    std::vector<float> values;
    for (std::size_t i = 0; i < rows * dimension; ++i) values.push_back(static_cast<float>(i * 37 % 101) / 7);
    return values;
  }();
  return all;
}
FlatRows flat_rows() {
  static const std::vector<float> inverse_norms(rows, 0.25f);
  return {elements().data(), inverse_norms.data(), rows, dimension};
}
const HnswLinks& links() {
  static const auto built = HnswBuilder(FlatRowSpace(Metric::l2, flat_rows()), {.m = 3, .ef_construction = 8, .seed = 5}).build(1, [] {});
  return built;
}

template <Quantizer Q>
Bytes sample(Metric metric) {
  test::BytesDraft draft;
  static_cast<void>(write_codes_block<Q>(
      draft, metric, flat_rows(), [](std::uint64_t) {}, FileId{1, 2}));
  return std::move(draft.bytes);
}

template <class Query>
void walk_by(const Query& query, bool numbers) {
  HnswScratch scratch;
  std::vector<std::uint32_t> all(rows);
  std::iota(all.begin(), all.end(), 0u);
  std::vector<float> together(rows);
  query.each(all, together.data());
  for (const auto row : all) {
    if (std::bit_cast<std::uint32_t>(query.at(row)) != std::bit_cast<std::uint32_t>(together[row])) broken("an estimate is another among others");
    if (numbers && !is_number(together[row])) broken("an estimate that is no number");
  }
  for (const std::size_t ef : {1u, 7u, 200u}) {
    std::uint64_t distances = 0;
    search_graph(links().graph(), query, ef, scratch, distances);
    std::set<std::uint32_t> seen;
    if (scratch.pool.size() == 0 || scratch.pool.size() > ef) broken("a walk kept nothing, or more than it was to keep");
    for (std::size_t i = 0; i < scratch.pool.size(); ++i) {
      const auto row = scratch.pool[i].node;
      if (row >= rows || !seen.insert(row).second) broken("a row was found that is not there, or twice");
      if (i != 0 && !(scratch.pool[i - 1].distance <= scratch.pool[i].distance)) broken("what a walk kept is not sorted");
    }
  }
}

template <class Codes>
void ask(const Codes& codes, Metric metric) {
  for (std::size_t q = 0; q < rows; q += 31) {
    const auto prepared = codes.prepare(FlatQuery(metric, std::span(&elements()[q * dimension], dimension)));
    // Terms may be anything, and so may halves.
    const bool numbers = metric == Metric::inner_product && codes.kind() != CodesKind::float16;
    if (prepared) std::visit([&](const auto& query) { walk_by(query, numbers); }, *prepared);
  }
}

template <class Reader>
bool open(ByteSpan bytes, const std::filesystem::path& path, const FileIdentity& identity, Metric metric, std::size_t width, std::uint64_t told) {
  try {
    test::BytesScope scope;
    const CodesBlock<Reader> codes(Reader(bytes, path), scope, identity, metric, width, told);
    const std::size_t term = metric != Metric::inner_product && codes.kind() != CodesKind::float16 ? sizeof(float) : 0;
    if (codes.row_bytes() != 0 && (codes.block().section(codes_section).length != told * (codes.row_bytes() - term) + code_block ||
                                   (term != 0 && codes.block().section(terms_section).length != told * term)))
      broken("another number of rows was taken");
    fuzz::accepted();
    if (told == rows && width == dimension) ask(codes, metric);
    return true;
  } catch (const Error& e) {
    if (e.code() != Errc::corruption && e.code() != Errc::version_mismatch) broken(e.what());
    if (e.path() != path) broken("an error without path");
    return false;
  }
}

}  // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  static const auto fresh = [] {
    std::vector<Bytes> out;
    for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
      for (auto&& one : {sample<Sq8Quantizer>(metric), sample<Sq4Quantizer>(metric), sample<Float16Quantizer>(metric)}) out.push_back(one);
    return out;
  }();
  return fuzz::mutate_block(data, size, max_size, seed, fresh[seed / 256 % fresh.size()]);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::filesystem::path path = "blk-000001.vector_quant";
  const ByteSpan bytes(reinterpret_cast<const std::byte*>(data), size);
  auto identity = test::claimed_identity(bytes);
  if (identity == FileIdentity{}) identity.length = size;
  for (const auto metric : {Metric::l2, Metric::inner_product, Metric::cosine})
    for (const std::size_t width : {dimension, dimension - 1, max_code_dimension})
      for (const std::uint64_t told : {std::uint64_t{rows}, std::uint64_t{rows - 1}, std::uint64_t{0}, ~std::uint64_t{0}})
        if (open<test::BytesReader>(bytes, path, identity, metric, width, told) != open<MemoryReader>(bytes, path, identity, metric, width, told))
          broken("one reader takes what the other refuses");
  return 0;
}
