// A VECTOR_GRAPH block: the links of a graph over the rows of a VECTOR_INDEX block. README.md beside this file shows the bytes.
#pragma once

#include <quiver/block/reader.hpp>
#include <quiver/block/writer.hpp>
#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/idle_scratch.hpp>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

inline constexpr std::size_t graph_tail_size = 32;  // u32 m, u32 ef_construction, u64 seed, u64 rows, u32 levels above the ground, u32 taken out

/// "links", "rows" or "down" of a level; the ground has "links.0" alone.
[[nodiscard]] inline std::string graph_section(std::string_view what, std::size_t level) { return std::string(what) + '.' + std::to_string(level); }

/// Writes a graph. The draft is left finished, not published.
template <class Draft>
[[nodiscard]] FileIdentity write_hnsw_block(Draft& draft, const HnswGraph& graph, const HnswBuildParameters& parameters,
                                            std::optional<FileId> id = std::nullopt) {
  BlockWriter<Draft> writer(draft, BlockKind::vector_graph, id);
  const auto put = [&](std::string_view what, std::size_t level, const std::uint32_t* words, std::size_t count) {
    writer.begin_section(graph_section(what, level));
    writer.append(std::as_bytes(std::span(words, count)));
    writer.end_section();
  };
  put("links", 0, graph.ground.links, std::size_t{graph.ground.nodes} * graph.ground.degree);
  for (std::size_t l = 1; l <= graph.upper.size(); ++l) {
    const auto& level = graph.upper[l - 1];
    put("rows", l, level.rows, level.nodes);
    put("down", l, level.down, level.nodes);
    put("links", l, level.links, std::size_t{level.nodes} * level.degree);
  }
  Bytes tail;
  append(tail, static_cast<std::uint32_t>(parameters.m));
  append(tail, static_cast<std::uint32_t>(parameters.ef_construction));
  append(tail, parameters.seed);
  append(tail, std::uint64_t{graph.ground.nodes});
  append(tail, static_cast<std::uint32_t>(graph.upper.size()));
  append(tail, parameters.taken_out);
  return writer.finish(tail);
}

/// One open graph. Opening checks the levels above the ground, a few per cent of it, and copies the links where the reader is not memory. A damaged link
/// that no checksum caught leads to another node or nowhere. Owns its reader. Any number of threads.
template <class Reader>
class HnswBlock {
 public:
  /// corruption: not the file of `identity`, or its sections do not make a graph of `rows` rows.
  template <class Scope>
  HnswBlock(Reader reader, Scope& scope, const FileIdentity& identity, std::uint64_t rows)
      : block_(std::move(reader), scope, identity, BlockKind::vector_graph), idle_(std::make_unique<IdleScratch>()) {
    const auto tail = block_.tail(scope);
    if (tail.size() != graph_tail_size) broken(std::to_string(tail.size()) + " bytes of a tail");
    parameters_.m = load<std::uint32_t>(tail.data());
    parameters_.ef_construction = load<std::uint32_t>(tail.data() + 4);
    parameters_.seed = load<std::uint64_t>(tail.data() + 8);
    const auto nodes = load<std::uint64_t>(tail.data() + 16);
    const std::size_t upper = load<std::uint32_t>(tail.data() + 24);
    parameters_.taken_out = load<std::uint32_t>(tail.data() + 28);
    if (nodes != rows || rows == 0 || rows >= max_hnsw_rows || parameters_.m < 2 || parameters_.m > max_hnsw_m || upper > 64)
      broken("a graph of " + std::to_string(nodes) + " rows, m = " + std::to_string(parameters_.m) + " and " + std::to_string(upper) + " levels where " +
             std::to_string(rows) + " rows are");
    levels_.reserve(upper + 1);
    levels_.push_back({words(scope, "links", 0, rows * 2 * parameters_.m), nullptr, nullptr, static_cast<std::uint32_t>(rows),
                       static_cast<std::uint32_t>(2 * parameters_.m)});
    for (std::size_t l = 1; l <= upper; ++l) add_level(scope, l);
  }

  [[nodiscard]] const Block<Reader>& block() const noexcept { return block_; }
  [[nodiscard]] const HnswBuildParameters& parameters() const noexcept { return parameters_; }
  /// Bytes of links that were copied, because the reader is not memory.
  [[nodiscard]] std::uint64_t copied() const noexcept {
    std::uint64_t words = 0;
    for (const auto& copy : copies_) words += copy.size();
    return words * sizeof(std::uint32_t);
  }
  [[nodiscard]] HnswGraph graph() const noexcept { return {levels_.front(), std::span(levels_).subspan(1)}; }

  /// use(pool) with the rows nearest to the query, `ef` at most. Returns how many distances that took.
  template <HnswQuery Query, class Use>
  std::uint64_t search(const Query& query, std::size_t ef, Use&& use) const {
    auto scratch = idle_->take();
    std::uint64_t distances = 0;
    search_graph(graph(), query, ef, *scratch, distances);
    use(scratch->pool);
    idle_->give(std::move(scratch));
    return distances;
  }

 private:
  [[noreturn]] void broken(const std::string& what) const {
    fail(Errc::corruption, block_.path(), block_.trailer().data_length,
         what + "; restore the file from a backup, or repair() the collection, which costs no document and leaves the index to be built again");
  }
  template <class Scope>
  [[nodiscard]] const std::uint32_t* words(Scope& scope, std::string_view what, std::size_t level, std::uint64_t count) {
    const auto name = graph_section(what, level);
    const auto section = block_.section(name);
    if (section.length % 4 != 0 || section.length / 4 != count)
      broken("section '" + name + "' has " + std::to_string(section.length) + " bytes, which are not " + std::to_string(count) + " numbers");
    if constexpr (requires { block_.reader().data(); }) {
      return reinterpret_cast<const std::uint32_t*>(block_.reader().data() + section.offset);  // sections are 64-byte aligned
    } else {
      auto& copy = copies_.emplace_back(static_cast<std::size_t>(count));
      constexpr std::size_t piece = std::size_t{1} << 18;
      for (std::size_t at = 0; at < copy.size(); at += piece) {
        scope.renew();
        const auto length = std::min(piece, copy.size() - at);
        std::memcpy(&copy[at], block_.view(scope, section, at * 4, length * 4).data(), length * 4);
      }
      return copy.data();
    }
  }
  template <class Scope>
  void add_level(Scope& scope, std::size_t l) {
    const auto nodes = block_.section(graph_section("rows", l)).length / 4;
    const auto& below = levels_.back();
    if (nodes == 0 || nodes > below.nodes)
      broken("level " + std::to_string(l) + " has " + std::to_string(nodes) + " nodes, the one below " + std::to_string(below.nodes));
    HnswLevel level{words(scope, "links", l, nodes * parameters_.m), words(scope, "rows", l, nodes), words(scope, "down", l, nodes),
                    static_cast<std::uint32_t>(nodes), static_cast<std::uint32_t>(parameters_.m)};
    for (std::uint32_t node = 0; node < level.nodes; ++node)
      if (level.down[node] >= below.nodes || below.row(level.down[node]) != level.rows[node])
        broken("node " + std::to_string(node) + " of level " + std::to_string(l) + " is row " + std::to_string(level.rows[node]) + ", below it another");
    levels_.push_back(level);
  }

  Block<Reader> block_;
  HnswBuildParameters parameters_;
  std::vector<HnswLevel> levels_;                   // the ground first
  std::vector<std::vector<std::uint32_t>> copies_;  // of sections, where the reader is not memory
  std::unique_ptr<IdleScratch> idle_;
};

}  // namespace quiver::detail
