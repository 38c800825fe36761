// Blocks of vectors and of graphs as they were released: their bytes never change. A failure here is an incompatible change, not an outdated file.
#include <quiver/index/flat_block.hpp>
#include <quiver/index/hnsw_block.hpp>
#include <quiver/schema/element.hpp>

#include "support/block_bytes.hpp"
#include "support/golden.hpp"

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::BytesDraft;
using test::BytesReader;
using test::BytesScope;

namespace golden_blocks {

constexpr FileId id{0x1716151413121110ull, 0x2726252423222120ull};
constexpr std::size_t rows = 2, dimension = 3;

/// What each kind of number is shown by: its ends, and what it is to keep apart.
std::vector<float> values(Element element) {
  switch (element) {
    case Element::int8:
      return {-128, 1, 127, 3, -1, 7};
    case Element::uint8:
      return {0, 1, 255, 3, 128, 7};
    default:
      return {0, -0.5f, 7, 3, 1.5f, -65504};
  }
}
std::string name(Element element, Metric metric) {
  const std::string of_element = element == Element::float32 ? "" : "_" + std::string(to_string(element));
  return "tests/golden/two_rows" + of_element + (metric == Metric::cosine ? "_cosine" : "") + ".vector_index";
}
Bytes written(Element element, Metric metric) {
  const auto numbers = values(element);
  const auto bytes = dimension * element_bytes(element);
  Bytes stored(rows * bytes);
  for (std::size_t row = 0; row < rows; ++row) store_elements(element, std::span(numbers).subspan(row * dimension, dimension), &stored[row * bytes]);
  BytesDraft draft;
  static_cast<void>(write_flat_block(
      draft, metric, {dimension, element}, rows, [&](std::uint64_t row) { return &stored[row * bytes]; }, id));
  return std::move(draft.bytes);
}

/// Four rows, of which the second and the last are on level 1 and the last on level 2.
struct Graph {
  static constexpr HnswBuildParameters parameters{.m = 2, .ef_construction = 200, .seed = 0x0807060504030201ull, .taken_out = 5};
  std::vector<std::uint32_t> ground{1, 2, no_link, no_link, 0, 2, 3, no_link, 3, no_link, no_link, no_link, 2, 1, no_link, no_link};
  std::vector<std::uint32_t> rows_1{1, 3}, down_1{1, 3}, links_1{1, no_link, 0, no_link}, rows_2{3}, down_2{1}, links_2{no_link, no_link};
  std::vector<HnswLevel> upper{{links_1.data(), rows_1.data(), down_1.data(), 2, 2}, {links_2.data(), rows_2.data(), down_2.data(), 1, 2}};
  [[nodiscard]] HnswGraph graph() const { return {{ground.data(), nullptr, nullptr, 4, 4}, upper}; }
};
Bytes written(const Graph& graph) {
  BytesDraft draft;
  static_cast<void>(write_hnsw_block(draft, graph.graph(), Graph::parameters, id));
  return std::move(draft.bytes);
}
bool same(const HnswLevel& a, const HnswLevel& b) {
  if (a.nodes != b.nodes || a.degree != b.degree) return false;
  for (std::uint32_t node = 0; node < a.nodes; ++node)
    if (a.row(node) != b.row(node) || !std::equal(a.links_of(node), a.links_of(node) + a.degree, b.links_of(node))) return false;
  return true;
}

}  // namespace golden_blocks

using namespace golden_blocks;

BOOST_AUTO_TEST_SUITE(golden_blocks_of_an_index)

BOOST_AUTO_TEST_CASE(vectors_of_every_element_are_read_and_written_byte_for_byte) {
  for (const auto element : {Element::float32, Element::float16, Element::int8, Element::uint8})
    for (const auto metric : {Metric::l2, Metric::cosine}) BOOST_TEST_CONTEXT(name(element, metric)) {
        const auto bytes = test::repository_file(name(element, metric));
        BOOST_TEST((written(element, metric) == bytes));
        BytesScope scope;
        const FlatBlock<BytesReader> block(BytesReader(bytes), scope, test::claimed_identity(bytes), metric, {dimension, element}, rows);
        block.block().verify(scope);
        BOOST_TEST(block.holds_norms() == (metric == Metric::cosine));
        const auto expected = values(element);
        for (std::size_t row = 0; row < rows; ++row) {
          const std::vector<float> right(expected.begin() + static_cast<std::ptrdiff_t>(row * dimension),
                                         expected.begin() + static_cast<std::ptrdiff_t>((row + 1) * dimension));
          BOOST_TEST(load_elements(element, block.row(scope, row)) == right);
          if (metric != Metric::cosine) continue;
          double square = 0;
          for (const auto x : right) square += static_cast<double>(x) * static_cast<double>(x);
          const auto norm = load<float>(block.block().view(scope, block.block().section("inverse_norms"), row * sizeof(float), sizeof(float)).data());
          BOOST_TEST(std::abs(static_cast<double>(norm) * std::sqrt(square) - 1) <= 1e-6, "1 / its length");
        }
      }
}

BOOST_AUTO_TEST_CASE(a_graph_is_read_and_written_byte_for_byte) {
  const Graph graph;
  const auto bytes = test::repository_file("tests/golden/four_rows.vector_graph");
  BOOST_TEST((written(graph) == bytes));
  BytesScope scope;
  const HnswBlock<BytesReader> block(BytesReader(bytes), scope, test::claimed_identity(bytes), 4);
  block.block().verify(scope);
  BOOST_TEST(block.parameters().m == Graph::parameters.m);
  BOOST_TEST(block.parameters().ef_construction == Graph::parameters.ef_construction);
  BOOST_TEST(block.parameters().seed == Graph::parameters.seed);
  BOOST_TEST(block.parameters().taken_out == Graph::parameters.taken_out);
  const auto found = block.graph();
  BOOST_TEST(same(found.ground, graph.graph().ground));
  BOOST_REQUIRE(found.upper.size() == 2u);
  for (std::size_t l = 0; l < 2; ++l) BOOST_TEST(same(found.upper[l], graph.upper[l]));
  BOOST_TEST(found.upper[1].down[0] == 1u);
}

BOOST_AUTO_TEST_SUITE_END()
