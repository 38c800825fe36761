// What is to be merged, and what is to get an index, within the memory that it may take.
#pragma once

#include <quiver/collection/index_change.hpp>
#include <quiver/collection/metric_change.hpp>
#include <quiver/collection/options.hpp>
#include <quiver/core/parallel.hpp>
#include <quiver/segment/graph_build.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

namespace quiver::detail {

/// When a segment is worth being written anew.
struct CompactionLimits {
  std::size_t parts;         // as many flushes in it, or
  std::uint64_t deleted_of;  // one deleted row in so many; 0: however many
  std::size_t runs;          // so many runs of the id map are merged even if no row is dropped
  bool flush;                // first
  bool indexes = true;       // are built where they are missing

  /// optimize(): whatever can be merged or dropped.
  [[nodiscard]] static constexpr CompactionLimits all() noexcept { return {2, ~std::uint64_t{0}, 2, true}; }
  /// In the background: what costs little for what it gives.
  [[nodiscard]] static constexpr CompactionLimits background() noexcept { return {8, 5, 16, false}; }
  /// Nothing but indexes that are missing, or, with false, nothing at all.
  [[nodiscard]] static constexpr CompactionLimits only_indexes(bool build) noexcept { return {~std::size_t{0}, 0, ~std::size_t{0}, build, build}; }
};

/// Neighbouring segments of a version that become one or, where the memory for an index bounds them, several pieces, of the rows that live; or one segment that
/// stays as it is and gets the norms, graphs and codes that its blocks lack.
struct CompactionGroup {
  std::size_t segment = 0, segments = 0;  // the first and how many
  std::size_t part = 0, parts = 0;
  std::uint64_t rows = 0, live = 0;
  bool only_adds = false;
  std::uint64_t pieces = 1;

  /// The rows of a piece; the pieces are of the same length but for one row.
  [[nodiscard]] LiveRange piece(std::uint64_t i) const noexcept {
    const auto longer = live % pieces;
    return {i * (live / pieces) + std::min(i, longer), live / pieces + (i < longer ? 1 : 0), i + 1 == pieces};
  }
};

struct CompactionPlan {
  std::vector<CompactionGroup> groups;
  bool merge_runs = false;
  bool indexes = true;  // are built
  [[nodiscard]] bool empty() const noexcept { return groups.empty() && !merge_runs; }
};

/// The memory that indexes of vectors are built in: one field of one segment after the other.
struct IndexMemory {
  std::uint64_t bytes = 0;  // 0: no bound
  std::size_t threads = 1;

  IndexMemory() = default;
  explicit IndexMemory(const OptimizeOptions& options) : bytes(options.memory), threads(threads_of(options.threads)) {}

  /// The rows whose index can be built at once; `copied(i)`: those of vector field i have to be copied for it.
  template <class Copied>
  [[nodiscard]] std::uint64_t rows(const Schema& schema, Copied&& copied) const {
    auto most = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t i = 0; bytes != 0 && i < schema.vectors().size(); ++i)
      if (const auto* const hnsw = std::get_if<Hnsw>(&schema.vectors()[i].index()))
        most = std::min(most, bytes / index_build_bytes(schema.vectors()[i], *hnsw, threads, copied(i)));
    return most;
  }
};

/// Plans for one version and one schema, which differs from the version's in indexes and metrics at most.
template <StoragePolicy P>
class CompactionPlanner {
 public:
  CompactionPlanner(const OpenVersion<P>& base, const Schema& schema, const CompactionLimits& limits, const IndexMemory& memory)
      : base_(base), schema_(schema), limits_(limits), memory_(memory) {
    if (!limits.indexes) memory_.bytes = 0;
  }

  /// What pays to be done. invalid_argument: an index that is missing cannot be built in that memory.
  [[nodiscard]] CompactionPlan plan() const {
    const auto single = segments();
    const auto most = std::min(base_.manifest.segment_rows, memory_.rows(schema_, [](std::size_t) { return true; }));
    CompactionPlan plan;
    plan.indexes = limits_.indexes;
    bool drops = false;
    for (std::size_t i = 0; i < single.size();) {
      auto group = single[i++];
      for (; i < single.size() && group.live + single[i].live <= most; ++i) {
        ++group.segments;
        group.parts += single[i].parts;
        group.rows += single[i].rows;
        group.live += single[i].live;
      }
      if (pays(group)) {
        plan.groups.push_back(in_pieces(group));
        drops = drops || group.rows != group.live;
        continue;
      }
      for (auto s = group.segment; s < group.segment + group.segments; ++s) {
        if (!lacks(single[s])) continue;
        plan.groups.push_back(added(single[s]));
        drops = drops || (!plan.groups.back().only_adds && single[s].rows != single[s].live);
      }
    }
    // Bits of rows that are dropped are cleared, so no run may name them any more.
    plan.merge_runs = drops || base_.manifest.id_runs.size() >= limits_.runs;
    return plan;
  }

 private:
  using Parts = typename LiveCursor<P>::Parts;
  static constexpr std::uint64_t most_pieces = 256;  // each is searched by itself

  [[nodiscard]] std::vector<CompactionGroup> segments() const {
    std::vector<CompactionGroup> single;
    std::size_t part = 0;
    for (std::size_t i = 0; i < base_.manifest.segments.size(); ++i) {
      const auto& blocks = base_.manifest.segments[i].blocks;
      CompactionGroup group{i, 1, part, blocks.size() / (1 + schema_.vectors().size()), base_.manifest.segments[i].rows(), 0};
      group.live = group.rows - base_.deletes.count(blocks.front().first, blocks.back().last);
      part += group.parts;
      single.push_back(group);
    }
    return single;
  }
  [[nodiscard]] Parts parts(const CompactionGroup& group) const { return Parts(base_.parts).subspan(group.part, group.parts); }
  [[nodiscard]] bool pays(const CompactionGroup& group) const {
    const auto deleted = group.rows - group.live;
    return group.parts >= limits_.parts || (deleted != 0 && limits_.deleted_of != 0 && deleted >= group.rows / limits_.deleted_of);
  }
  /// True if a segment is to get norms or an index.
  [[nodiscard]] bool lacks(const CompactionGroup& group) const {
    const auto& segment = base_.manifest.segments[group.segment];
    const auto all = parts(group);
    return std::any_of(all.begin(), all.end(), [&](const auto& each) { return lacks_norms(*each, base_.manifest.schema, schema_); }) ||
           (limits_.indexes && (limits_.flush || segment.sealed) && lacks_index(schema_, fitted(segment, base_.manifest.schema, schema_)));
  }
  /// The rows of an index that is built at once over these parts, of whose rows those that are not in `deletes` are copied if they have to be.
  [[nodiscard]] std::uint64_t rows_within(Parts parts, const DeleteSet& deletes) const {
    return memory_.rows(schema_, [&](std::size_t i) { return !rows_in_place<P>(i, parts, deletes, {0, 0}); });
  }
  [[nodiscard]] CompactionGroup in_pieces(CompactionGroup group) const {
    const auto most = rows_within(parts(group), base_.deletes);
    if (group.live <= most) return group;
    if (most < (group.live + most_pieces - 1) / most_pieces) refuse(group);
    group.pieces = (group.live + most - 1) / most;
    return group;
  }
  /// A segment that gets what it lacks, block by block, or where one of these is too large is written anew.
  [[nodiscard]] CompactionGroup added(CompactionGroup group) const {
    const auto all = parts(group);
    for (std::size_t p = 0; p < all.size(); ++p)
      if (all[p]->rows() > rows_within(all.subspan(p, 1), {})) return in_pieces(group);
    group.only_adds = true;
    return group;
  }
  [[noreturn]] void refuse(const CompactionGroup& group) const {
    std::uint64_t each = 0;
    std::string name;
    for (const auto& field : schema_.vectors())
      if (const auto* const hnsw = std::get_if<Hnsw>(&field.index()))
        if (const auto bytes = index_build_bytes(field, *hnsw, memory_.threads, true); bytes > each) each = bytes, name = field.name();
    fail(Errc::invalid_argument, "memory of " + std::to_string(memory_.bytes) + " bytes is too little to build the index of vector field '" + name + "' over " +
                                     std::to_string(group.live) + " rows in " + std::to_string(most_pieces) + " segments; give " +
                                     std::to_string((group.live + most_pieces - 1) / most_pieces * each) + " or more, or 0 for no bound");
  }

  const OpenVersion<P>& base_;
  const Schema& schema_;
  CompactionLimits limits_;
  IndexMemory memory_;
};

/// What pays to be done so that the version fits `schema`, which differs in indexes and metrics at most. What pays to be merged: segments with many parts or
/// deleted rows, and neighbours that fit into one segment. Merging what was merged is nothing. invalid_argument: see CompactionPlanner.
/// REQUIRES: where a metric changes, `limits` merge nothing.
template <StoragePolicy P>
[[nodiscard]] CompactionPlan plan_compaction(const OpenVersion<P>& base, const Schema& schema, const CompactionLimits& limits, const IndexMemory& memory = {}) {
  return CompactionPlanner<P>(base, schema, limits, memory).plan();
}

/// invalid_argument: what the options say is too little to build the indexes of the schema that change(schema) makes of a version's.
template <StoragePolicy P, class Change>
void check_index_memory(const OpenVersion<P>& base, Change&& change, const IndexOptions& options) {
  const Schema schema = change(base.manifest.schema);
  (void)plan_compaction(base, schema, CompactionLimits::only_indexes(true), IndexMemory({.threads = options.threads, .memory = options.memory}));
}

}  // namespace quiver::detail
