// Merging neighbouring segments without their deleted rows: what is to be merged, the new files, and the manifest that names them.
#pragma once

#include <quiver/collection/flush.hpp>
#include <quiver/collection/index_change.hpp>
#include <quiver/collection/metric_change.hpp>
#include <quiver/collection/progress.hpp>
#include <quiver/columns/writer.hpp>
#include <quiver/ids/merge.hpp>
#include <quiver/segment/graph_build.hpp>
#include <quiver/segment/graph_origin.hpp>
#include <quiver/segment/merge.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
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

/// Neighbouring segments of a version that become one, of the rows that live; or one segment that stays as it is and gets the norms, graphs and codes that its
/// blocks lack.
struct CompactionGroup {
  std::size_t segment = 0, segments = 0;  // the first and how many
  std::size_t part = 0, parts = 0;
  std::uint64_t rows = 0, live = 0;
  bool only_adds = false;
};

struct CompactionPlan {
  std::vector<CompactionGroup> groups;
  bool merge_runs = false;
  bool indexes = true;  // are built
  [[nodiscard]] bool empty() const noexcept { return groups.empty() && !merge_runs; }
};

/// What pays to be done so that the version fits `schema`, which differs in indexes and metrics at most. What pays to be merged: segments with many parts or
/// deleted rows, and neighbours that fit into one segment. Merging what was merged is nothing. REQUIRES: where a metric changes, `limits` merge nothing.
template <StoragePolicy P>
[[nodiscard]] CompactionPlan plan_compaction(const OpenVersion<P>& base, const Schema& schema, const CompactionLimits& limits) {
  const auto& manifest = base.manifest;
  std::vector<CompactionGroup> single;
  std::size_t part = 0;
  for (std::size_t i = 0; i < manifest.segments.size(); ++i) {
    const auto& blocks = manifest.segments[i].blocks;
    CompactionGroup group{i, 1, part, blocks.size() / (1 + manifest.schema.vectors().size()), manifest.segments[i].rows(), 0};
    group.live = group.rows - base.deletes.count(blocks.front().first, blocks.back().last);
    part += group.parts;
    single.push_back(group);
  }
  CompactionPlan plan;
  plan.indexes = limits.indexes;
  const auto only_adds = [](CompactionGroup group) {
    group.only_adds = true;
    return group;
  };
  bool drops = false;
  for (std::size_t i = 0; i < single.size();) {
    auto group = single[i++];
    for (; i < single.size() && group.live + single[i].live <= manifest.segment_rows; ++i) {
      ++group.segments;
      group.parts += single[i].parts;
      group.rows += single[i].rows;
      group.live += single[i].live;
    }
    const auto deleted = group.rows - group.live;
    if (group.parts < limits.parts && (deleted == 0 || limits.deleted_of == 0 || deleted < group.rows / limits.deleted_of)) {
      for (auto s = group.segment; s < group.segment + group.segments; ++s) {
        const auto& segment = manifest.segments[s];
        const auto parts = std::span(base.parts).subspan(single[s].part, single[s].parts);
        const bool norms = std::any_of(parts.begin(), parts.end(), [&](const auto& each) { return lacks_norms(*each, manifest.schema, schema); });
        const bool index = limits.indexes && (limits.flush || segment.sealed) && lacks_index(schema, fitted(segment, manifest.schema, schema));
        if (norms || index) plan.groups.push_back(only_adds(single[s]));
      }
      continue;
    }
    plan.groups.push_back(group);
    drops = drops || deleted != 0;
  }
  // Bits of rows that are dropped are cleared, so no run may name them any more.
  plan.merge_runs = drops || manifest.id_runs.size() >= limits.runs;
  return plan;
}

/// New files, and what they stand for.
template <StoragePolicy P>
struct Compaction {
  std::shared_ptr<const OpenVersion<P>> base;
  Schema schema;  // that there is afterwards: the base's, but for indexes and metrics
  CompactionPlan plan;
  DeleteSet dropped;                             // rows of the base that the new files do not hold any more
  std::vector<DocId> zeros;                      // deleted rows without a direction: they must stay deleted under cosine
  std::vector<SegmentRef> segments;              // per group; without blocks where no row was left
  std::optional<FileRef> run;                    // in the place of all runs of the base, if the plan says so; none where no row was left
  std::shared_ptr<const OpenVersion<P>> opened;  // the new files

  [[nodiscard]] bool changes_metric() const { return other_metric(base->manifest.schema, schema); }
};

/// Writes what a plan says. Every chunk that is read is compared with its checksum first, so that damage is never copied under a new one. Memory is bounded by
/// a group of 65,536 rows, by options.memory for the texts of such a group, and by the cursors; while a graph is built, by the links of its segment, and where
/// its rows are not one part in memory, by their vectors. `number(member)` gives the next number of a kind of file.
template <WritableStoragePolicy P, class Number>
class CompactionWriter {
 public:
  CompactionWriter(typename P::Store& store, Compaction<P>& to, Number number, const OptimizeOptions& options)
      : store_(store),
        to_(to),
        base_(*to.base),
        number_(std::move(number)),
        threads_(options.threads),
        text_bytes_(text_bytes_per_column(options.memory, schema())),
        ticker_(options.progress, store.path(), steps()) {}

  /// cancelled; corruption: an input is damaged. Either way the drafts go with this call, and nothing has happened.
  [[nodiscard]] std::vector<typename P::Draft> write() {
    for (const auto& group : to_.plan.groups) {
      verify(group);
      to_.segments.push_back(group.only_adds ? added_to(group) : merge(group));
    }
    to_.dropped = base_.deletes.filtered([&](DocId id) { return within_merged(id); });
    if (to_.plan.merge_runs && base_.manifest.documents != 0) merge_runs();
    ticker_.stage("publish");
    return std::move(drafts_);
  }

 private:
  using Parts = typename LiveCursor<P>::Parts;

  [[nodiscard]] const Schema& schema() const noexcept { return to_.schema; }
  [[nodiscard]] static std::uint64_t text_bytes_per_column(std::uint64_t memory, const Schema& schema) {
    const auto holds_text = [](const Field& field) {
      return field.type() == FieldType::string || field.type() == FieldType::strings || field.type() == FieldType::bytes;
    };
    const auto columns = 1 + std::count_if(schema.fields().begin(), schema.fields().end(), holds_text);  // the keys too
    // Columns grow by doubling, so half of what few of them may take is left free.
    return std::max<std::uint64_t>(1 << 16,
                                   (memory == 0 ? std::uint64_t{256} << 20 : memory) / static_cast<std::uint64_t>(std::max<std::ptrdiff_t>(4, columns)));
  }
  [[nodiscard]] std::uint64_t steps() const {
    std::uint64_t sum = 0;
    for (const auto& group : to_.plan.groups) {
      sum += group.rows + (group.only_adds ? 0 : group.live * (1 + schema().vectors().size()));
      for (std::size_t i = 0; group.only_adds && i < schema().vectors().size(); ++i)
        for (const auto& part : parts(group)) sum += lacks_norms(*part, base_.manifest.schema, schema(), i) ? part->rows() : 0;
      for (const auto& field : schema().vectors()) {
        const auto rows = group.only_adds ? group.rows : group.live;
        if (to_.plan.indexes) sum += (graph_of(field, rows) != nullptr ? rows : 0) + (with_codes(field, rows) ? rows : 0);
      }
    }
    if (to_.plan.merge_runs)
      for (const auto& run : base_.runs) sum += run->size() * 3;
    return sum;
  }
  [[nodiscard]] Parts parts(const CompactionGroup& group) const { return Parts(base_.parts).subspan(group.part, group.parts); }
  [[nodiscard]] bool within_merged(DocId id) const {
    return std::any_of(to_.plan.groups.begin(), to_.plan.groups.end(),
                       [&](const auto& group) { return !group.only_adds && parts(group).front()->first() <= id && id <= parts(group).back()->last(); });
  }

  void verify(const CompactionGroup& group) {
    ticker_.stage("verify");
    auto scope = store_.read_scope();
    for (const auto& part : parts(group)) {
      part->scalars().block().verify(scope);
      for (std::size_t i = 0; i < part->vector_fields(); ++i) {
        ticker_.step(0);
        part->vectors(i).block().verify(scope);
      }
      ticker_.step(part->rows());
    }
  }
  template <class Write>
  FileRef draft(std::string name, Write&& write) {
    drafts_.push_back(store_.create(name));
    auto identity = write(drafts_.back());
    return {std::move(name), identity};
  }
  [[nodiscard]] SegmentRef merge(const CompactionGroup& group) {
    SegmentRef segment{SegmentId{number_(&NextNumbers::segment)}, true, {}};
    if (group.live == 0) return segment;
    ticker_.stage("merge columns");
    BlockRef scalar{BlockType::scalar, {}, {}, group.live, {}, {}};
    scalar.file = draft(block_name({segment.id, number_(&NextNumbers::block), BlockType::scalar}), [&](auto& to) { return merge_scalars(to, group, scalar); });
    segment.blocks.push_back(scalar);
    ticker_.stage("merge vectors");
    for (std::size_t i = 0; i < schema().vectors().size(); ++i) {
      auto block = scalar;
      block.type = BlockType::vector_index;
      block.field = schema().vectors()[i].name();
      block.file =
          draft(block_name({segment.id, number_(&NextNumbers::block), BlockType::vector_index}), [&](auto& to) { return merge_vectors(to, group, i); });
      build_index(segment.id, i, block, parts(group), base_.deletes);
      segment.blocks.push_back(std::move(block));
    }
    return segment;
  }
  /// The segment with norms, a graph and codes for each block that is to have them.
  [[nodiscard]] SegmentRef added_to(const CompactionGroup& group) {
    auto segment = fitted(base_.manifest.segments[group.segment], base_.manifest.schema, schema());
    const auto all = parts(group);
    const auto step = 1 + schema().vectors().size();
    for (std::size_t p = 0; p < all.size(); ++p)
      for (std::size_t i = 0; i < schema().vectors().size(); ++i) {
        auto& block = segment.blocks[p * step + 1 + i];
        if (lacks_norms(*all[p], base_.manifest.schema, schema(), i)) {
          ticker_.stage("measure vectors");
          block.file = draft(block_name({segment.id, number_(&NextNumbers::block), BlockType::vector_index}), [&](auto& to) {
            return write_measured(to, store_, *all[p], schema().vectors()[i], i, base_.deletes, to_.zeros, [this] { ticker_.step(); });
          });
        }
        if (to_.plan.indexes) build_index(segment.id, i, block, all.subspan(p, 1), {});
      }
    return segment;
  }
  /// Gives a vector block the graph and the codes that it is to have and lacks. Its rows are those of the parts that are not in `deletes`.
  void build_index(SegmentId segment, std::size_t i, BlockRef& block, Parts parts, const DeleteSet& deletes) {
    const auto& field = schema().vectors()[i];
    const auto* const hnsw = block.graph.name.empty() ? graph_of(field, block.rows) : nullptr;
    const bool codes = block.codes.name.empty() && with_codes(field, block.rows);
    if (hnsw == nullptr && !codes) return;
    ticker_.stage("build index");
    const GraphRows<P> vectors(store_, field, i, parts, deletes, block.rows);
    const auto file = [&](BlockType type, auto&& write) {
      return draft(block_name({segment, number_(&NextNumbers::block), type}),
                   [&](auto& to) { return write(to, [&](std::uint64_t steps) { ticker_.step(steps); }); });
    };
    if (hnsw != nullptr) {
      HnswBuildParameters parameters{.m = hnsw->m, .ef_construction = hnsw->ef_construction};
      // Links by another metric lead astray.
      const bool same = base_.manifest.schema.vectors()[i].metric() == field.metric();
      const GraphOrigin<P> origin(store_, field, i, same ? parts : Parts(), deletes, block.rows, parameters);
      parameters.taken_out = origin.taken_out();
      block.graph = file(BlockType::vector_graph, [&](auto& to, auto step) { return write_graph(to, vectors, parameters, origin.get(), threads_, step); });
    }
    if (codes) block.codes = file(BlockType::vector_quant, [&](auto& to, auto step) { return write_codes(to, field.quantizer(), vectors, step); });
  }
  template <class Draft>
  [[nodiscard]] FileIdentity merge_scalars(Draft& to, const CompactionGroup& group, BlockRef& block) {
    LiveWindow<P> rows(store_, parts(group), base_.deletes);
    ScalarBlockWriter<Draft> writer(to, schema());
    for (bool first = true; rows.fill(default_group_rows); first = false) {
      if (first) block.first = rows.doc_id(0);
      block.last = rows.doc_id(rows.rows() - 1);
      for (std::uint64_t row = 0; row < rows.rows();) {
        const auto written = writer.append_group(rows, row, rows.rows() - row, std::min(text_bytes_, default_text_limit));
        ticker_.step(written);
        row += written;
      }
    }
    return writer.finish();
  }
  template <class Draft>
  [[nodiscard]] FileIdentity merge_vectors(Draft& to, const CompactionGroup& group, std::size_t field) {
    const auto& vector = schema().vectors()[field];
    std::optional<LiveCursor<P>> cursor;
    auto scope = store_.read_scope();
    std::uint64_t steps = 0;
    return write_flat_block(to, vector.metric(), {vector.dimension(), vector.element()}, group.live, [&](std::uint64_t row) {
      // Row after row, and for the norms from the start again.
      if (row == 0) cursor.emplace(store_, parts(group), base_.deletes);
      if (!cursor->next()) fail(Errc::corruption, store_.path(), "the segments hold fewer rows than the manifest says");
      scope.renew();  // before the caller's function runs
      if (++steps <= group.live) ticker_.step();
      return cursor->part().vectors(field).row(scope, cursor->row()).data();
    });
  }
  void merge_runs() {
    ticker_.stage("merge ids");
    auto scope = store_.read_scope();
    for (const auto& run : base_.runs) run->block().verify(scope);
    to_.run = draft(run_name(number_(&NextNumbers::run)), [&](auto& to) {
      return merge_id_runs(
          to, base_.runs, [&] { return store_.read_scope(); }, [&](DocId id) { return !to_.dropped.contains(id); }, [&] { ticker_.step(); });
    });
  }

  typename P::Store& store_;
  Compaction<P>& to_;
  const OpenVersion<P>& base_;
  Number number_;
  std::size_t threads_;
  std::uint64_t text_bytes_;
  Ticker ticker_;
  std::vector<typename P::Draft> drafts_;
};

/// Puts the merged files in the place of the base's in `next`, which begins as the version that is current now, with these `deletes`: flushes may have added to
/// it meanwhile. False, and `next` is to be thrown away: what was merged is not in it any more, or what was dropped or has no direction lives again. The
/// deletes are the caller's, and so are norms of what was flushed meanwhile.
template <StoragePolicy P>
[[nodiscard]] bool apply_compaction(const Compaction<P>& edit, const DeleteSet& deletes, Version& next) {
  const auto& old = edit.base->manifest;
  const auto step = 1 + old.schema.vectors().size();
  // Segments only grow at the end, the last one too, until somebody rolls back or compacts.
  const auto begins = [](const auto& all, const auto& with) { return all.size() >= with.size() && std::equal(with.begin(), with.end(), all.begin()); };
  if (next.schema != old.schema || next.segments.size() < old.segments.size() || !begins(next.id_runs, old.id_runs)) return false;
  for (std::size_t i = 0; i < old.segments.size(); ++i)
    if (!begins(next.segments[i].blocks, old.segments[i].blocks)) return false;
  if (!edit.dropped.without(deletes).empty()) return false;
  if (!std::all_of(edit.zeros.begin(), edit.zeros.end(), [&](DocId id) { return deletes.contains(id); })) return false;

  const auto kept = [&](SegmentRef segment) { return fitted(std::move(segment), old.schema, edit.schema); };
  std::vector<SegmentRef> segments;
  std::size_t i = 0;
  for (std::size_t g = 0; g < edit.plan.groups.size(); ++g) {
    const auto& group = edit.plan.groups[g];
    for (; i < group.segment; ++i) segments.push_back(kept(next.segments[i]));
    if (group.only_adds) {
      // Its files are those that it had; what was flushed into it meanwhile stays behind them.
      segments.push_back(kept(next.segments[i++]));
      const auto& built = edit.segments[g].blocks;
      std::copy(built.begin(), built.end(), segments.back().blocks.begin());
      continue;
    }
    if (!edit.segments[g].blocks.empty()) segments.push_back(edit.segments[g]);
    i += group.segments;
    // What was flushed into the last of them meanwhile stays where it is.
    auto rest = next.segments[i - 1];
    rest.blocks.erase(rest.blocks.begin(), rest.blocks.begin() + static_cast<std::ptrdiff_t>(old.segments[i - 1].blocks.size() / step * step));
    if (!rest.blocks.empty()) segments.push_back(kept(std::move(rest)));
  }
  for (; i < next.segments.size(); ++i) segments.push_back(kept(next.segments[i]));
  next.segments = std::move(segments);
  next.schema = edit.schema;
  if (edit.plan.merge_runs) {
    next.id_runs.erase(next.id_runs.begin(), next.id_runs.begin() + static_cast<std::ptrdiff_t>(old.id_runs.size()));
    if (edit.run) next.id_runs.insert(next.id_runs.begin(), *edit.run);
  }
  return true;
}

/// Opens the new files of a compaction, published or not named yet, for the version that will name them; where a metric changes, all files that it will name.
/// Null where that fails: perhaps somebody rolled back, and files of the base are there no more. Who publishes the edit finds that out, or the error.
template <StoragePolicy P>
[[nodiscard]] std::shared_ptr<const OpenVersion<P>> open_compacted(const std::shared_ptr<typename P::Store>& store, const Compaction<P>& edit) {
  Version files;
  files.schema = edit.schema;
  if (auto next = edit.base->manifest; edit.changes_metric() && apply_compaction(edit, edit.base->deletes, next)) {
    files.segments = std::move(next.segments);
  } else {
    for (const auto& segment : edit.segments)
      if (!segment.blocks.empty()) files.segments.push_back(segment);
  }
  if (edit.run) files.id_runs.push_back(*edit.run);
  try {
    return open_version<P>(store, std::move(files), 0, nullptr);
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace quiver::detail
