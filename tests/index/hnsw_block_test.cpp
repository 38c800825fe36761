#include <quiver/index/hnsw_block.hpp>
#include <quiver/index/hnsw_rows.hpp>

#include <quiver/storage/checked_mmap.hpp>
#include <quiver/storage/file_read.hpp>
#include <quiver/storage/memory.hpp>
#include <quiver/storage/mmap.hpp>

#include <boost/test/unit_test.hpp>

#include "support/clusters.hpp"
#include "support/error_code.hpp"
#include "support/strict_policy.hpp"
#include "support/temp_folder.hpp"

#include <functional>
#include <tuple>
#include <vector>

using namespace quiver;
using namespace quiver::detail;
using test::Clusters;
using test::code_of;

namespace {

constexpr std::string_view file_name = "seg-000001/blk-000001.vector_graph";
constexpr HnswBuildParameters small{.m = 4, .ef_construction = 30, .seed = 3, .taken_out = 0x01020304};

HnswLinks build(const Clusters& data) {
  return HnswBuilder(FlatRowSpace(Metric::l2, data.rows()), small).build(1, [] {});
}

/// A store of one file, written under MMapPolicy by write(draft) -> FileIdentity.
struct Written {
  explicit Written(const std::function<FileIdentity(MMapPolicy::Draft&)>& write) {
    auto store = MMapPolicy::create_store(folder / "store", {});
    auto draft = store.create(file_name);
    identity = write(draft);
    store.publish(std::move(draft));
  }
  template <class P>
  [[nodiscard]] HnswBlock<typename P::Reader> open(std::uint64_t rows) const {
    const auto store = P::open_store(folder / "store", {}, OpenMode::read_only);
    auto scope = store.read_scope();
    return {store.open(file_name, identity), scope, identity, rows};
  }
  test::TempFolder folder;
  FileIdentity identity;
};

/// The rows nearest to a query, with their distances.
std::vector<Candidate> answer(const auto& search, const Clusters& data, std::size_t q) {
  std::vector<Candidate> found;
  search(FlatRowQuery(data.rows(), FlatQuery(Metric::l2, data.query(q))), [&](const CandidatePool& pool) {
    for (std::size_t i = 0; i < pool.size(); ++i) found.push_back({pool[i].distance, pool[i].node});
  });
  return found;
}

using Policies = std::tuple<MMapPolicy, CheckedMMapPolicy, MemoryPolicy, FileReadPolicy, test::BasicStrictPolicy<MemoryPolicy>>;

}  // namespace

BOOST_AUTO_TEST_SUITE(hnsw_block)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_graph_is_walked_as_the_one_it_was_written_from, P, Policies) {
  const Clusters data(700, 9, 12, 4);
  const auto links = build(data);
  BOOST_REQUIRE(links.graph().upper.size() >= 2u);
  const Written written([&](auto& draft) { return write_hnsw_block(draft, links.graph(), small); });
  const auto block = written.open<P>(700);
  BOOST_TEST((block.parameters().m == 4u && block.parameters().ef_construction == 30u && block.parameters().seed == 3u &&
              block.parameters().taken_out == 0x01020304u));
  for (std::size_t q = 0; q < 20; ++q) {
    const auto expected = answer(
        [&](const auto& query, auto&& use) {
          HnswScratch scratch;
          std::uint64_t distances = 0;
          search_graph(links.graph(), query, 20, scratch, distances);
          use(scratch.pool);
        },
        data, q);
    BOOST_TEST(expected.size() == 20u);
    BOOST_TEST((answer([&](const auto& query, auto&& use) { BOOST_TEST(block.search(query, 20, use) >= 20u); }, data, q) == expected));
  }
}

BOOST_AUTO_TEST_CASE(a_graph_of_other_rows_or_none_is_corruption) {
  const Clusters data(300, 4, 3, 4);
  const auto links = build(data);
  const Written written([&](auto& draft) { return write_hnsw_block(draft, links.graph(), small); });
  BOOST_TEST(written.open<MMapPolicy>(300).graph().ground.nodes == 300u);
  for (const std::uint64_t rows : {0u, 299u, 301u}) BOOST_TEST((code_of([&] { static_cast<void>(written.open<MMapPolicy>(rows)); }) == Errc::corruption));
}

// Bytes that every checksum agrees with, and that make no graph all the same.
BOOST_AUTO_TEST_CASE(what_makes_no_graph_is_corruption_and_a_wrong_link_leads_nowhere) {
  const Clusters data(300, 4, 3, 4);
  const auto links = build(data);
  struct Forged {
    std::vector<std::vector<std::uint32_t>> words;
    std::vector<HnswLevel> levels;
    HnswBuildParameters parameters = small;
  };
  const auto forged = [&](const std::function<void(Forged&)>& change) {
    Forged forge;
    const auto copy = [&](const std::uint32_t* from, std::size_t count) {
      forge.words.emplace_back(from, from + count);
      return forge.words.back().data();
    };
    const auto graph = links.graph();
    forge.levels.push_back(graph.ground);
    forge.levels[0].links = copy(graph.ground.links, std::size_t{300} * 8);
    for (auto level : graph.upper) {
      level.links = copy(level.links, std::size_t{level.nodes} * 4);
      level.rows = copy(level.rows, level.nodes);
      level.down = copy(level.down, level.nodes);
      forge.levels.push_back(level);
    }
    change(forge);
    const Written written([&](auto& draft) { return write_hnsw_block(draft, {forge.levels[0], std::span(forge.levels).subspan(1)}, forge.parameters); });
    return code_of([&] {
      const auto block = written.open<MMapPolicy>(300);
      for (std::size_t q = 0; q < 5; ++q)
        for (const auto& found : answer([&](const auto& query, auto&& use) { static_cast<void>(block.search(query, 10, use)); }, data, q))
          BOOST_TEST(found.id < 300u);
    });
  };
  BOOST_REQUIRE(links.graph().upper.size() >= 2u);
  BOOST_TEST((forged([](Forged&) {}) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { std::fill(f.words[0].begin(), f.words[0].end(), 300u); }) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { std::fill(f.words[0].begin() + 8, f.words[0].end(), 7u); }) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { f.words[1].assign(f.words[1].size(), 0xFFFFFFFEu); }) == Errc::none));
  BOOST_TEST((forged([](Forged& f) { f.words[2][1] = 300; }) == Errc::corruption));  // the row of a node
  BOOST_TEST((forged([](Forged& f) { f.words[3][1] = 300; }) == Errc::corruption));  // where it leads
  BOOST_TEST((forged([](Forged& f) { f.words[6][0] += 1; }) == Errc::corruption));   // the same a level higher
  BOOST_TEST((forged([](Forged& f) { f.levels.back().nodes = 0; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.parameters.m = 5; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.parameters.m = 1; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.parameters.m = 1u << 30; }) == Errc::corruption));
  BOOST_TEST((forged([](Forged& f) { f.levels[0].degree = 7; }) == Errc::corruption));  // fewer links than the rows need
}

BOOST_AUTO_TEST_SUITE_END()
