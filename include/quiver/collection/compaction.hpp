// Merging neighbouring segments without their deleted rows: the new files, and the manifest that names them.
#pragma once

#include <quiver/collection/compaction_plan.hpp>
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

/// New files, and what they stand for.
template <StoragePolicy P>
struct Compaction {
  std::shared_ptr<const OpenVersion<P>> base;
  Schema schema;  // that there is afterwards: the base's, but for indexes and metrics
  CompactionPlan plan;
  DeleteSet dropped;                             // rows of the base that the new files do not hold any more
  std::vector<DocId> zeros;                      // deleted rows without a direction: they must stay deleted under cosine
  std::vector<SegmentRef> segments;              // of each group as many as it has pieces; without blocks where no row was left
  std::optional<FileRef> run;                    // in the place of all runs of the base, if the plan says so; none where no row was left
  std::shared_ptr<const OpenVersion<P>> opened;  // the new files

  [[nodiscard]] bool changes_metric() const { return other_metric(base->manifest.schema, schema); }
};

/// Writes what a plan says. Every chunk that is read is compared with its checksum first, so that damage is never copied under a new one. Memory is bounded by
/// a group of 65,536 rows, by options.memory for the texts of such a group, and by the cursors; while an index is built, by what index_build_bytes() says of
/// the rows of a segment, which the plan bounds. `number(member)` gives the next number of a kind of file.
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
      if (group.only_adds) to_.segments.push_back(added_to(group));
      for (std::uint64_t piece = 0; !group.only_adds && piece < group.pieces; ++piece) to_.segments.push_back(merge(group, group.piece(piece)));
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
  [[nodiscard]] SegmentRef merge(const CompactionGroup& group, const LiveRange& range) {
    SegmentRef segment{SegmentId{number_(&NextNumbers::segment)}, true, {}};
    if (range.rows == 0) return segment;
    ticker_.stage("merge columns");
    BlockRef scalar{BlockType::scalar, {}, {}, range.rows, {}, {}};
    scalar.file =
        draft(block_name({segment.id, number_(&NextNumbers::block), BlockType::scalar}), [&](auto& to) { return merge_scalars(to, group, range, scalar); });
    segment.blocks.push_back(scalar);
    ticker_.stage("merge vectors");
    for (std::size_t i = 0; i < schema().vectors().size(); ++i) {
      auto block = scalar;
      block.type = BlockType::vector_index;
      block.field = schema().vectors()[i].name();
      block.file =
          draft(block_name({segment.id, number_(&NextNumbers::block), BlockType::vector_index}), [&](auto& to) { return merge_vectors(to, group, range, i); });
      build_index(segment.id, i, block, parts(group), base_.deletes, range);
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
        if (to_.plan.indexes) build_index(segment.id, i, block, all.subspan(p, 1), {}, {0, block.rows});
      }
    return segment;
  }
  /// Gives a vector block the graph and the codes that it is to have and lacks. Its rows are, of those of the parts that are not in `deletes`, the ones of the
  /// range.
  void build_index(SegmentId segment, std::size_t i, BlockRef& block, Parts parts, const DeleteSet& deletes, const LiveRange& range) {
    const auto& field = schema().vectors()[i];
    const auto* const hnsw = block.graph.name.empty() ? graph_of(field, block.rows) : nullptr;
    const bool codes = block.codes.name.empty() && with_codes(field, block.rows);
    if (hnsw == nullptr && !codes) return;
    ticker_.stage("build index");
    const GraphRows<P> vectors(store_, field, i, parts, deletes, range);
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
  [[nodiscard]] FileIdentity merge_scalars(Draft& to, const CompactionGroup& group, const LiveRange& range, BlockRef& block) {
    LiveWindow<P> rows(store_, parts(group), base_.deletes, {range.first, range.last ? ~std::uint64_t{0} : range.rows});
    ScalarBlockWriter<Draft> writer(to, schema());
    std::uint64_t seen = 0;
    for (; rows.fill(default_group_rows); seen += rows.rows()) {
      if (seen == 0) block.first = rows.doc_id(0);
      block.last = rows.doc_id(rows.rows() - 1);
      for (std::uint64_t row = 0; row < rows.rows();) {
        const auto written = writer.append_group(rows, row, rows.rows() - row, std::min(text_bytes_, default_text_limit));
        ticker_.step(written);
        row += written;
      }
    }
    if (seen != range.rows) fail(Errc::corruption, store_.path(), "the segments hold other rows than the manifest says");
    return writer.finish();
  }
  template <class Draft>
  [[nodiscard]] FileIdentity merge_vectors(Draft& to, const CompactionGroup& group, const LiveRange& range, std::size_t field) {
    const auto& vector = schema().vectors()[field];
    // What gets norms for the first time may have rows without a direction.
    const bool check = vector.metric() == Metric::cosine && base_.manifest.schema.vectors()[field].metric() != Metric::cosine;
    std::optional<LiveCursor<P>> cursor;
    auto scope = store_.read_scope();
    std::uint64_t steps = 0;
    std::vector<float> numbers;
    return write_flat_block(to, vector.metric(), {vector.dimension(), vector.element()}, range.rows, [&](std::uint64_t row) {
      // Row after row, and for the norms from the start again.
      if (row == 0) cursor.emplace(store_, parts(group), base_.deletes, range);
      if (!cursor->next()) fail(Errc::corruption, store_.path(), "the segments hold fewer rows than the manifest says");
      scope.renew();  // before the caller's function runs
      if (++steps <= range.rows) ticker_.step();
      const auto stored = cursor->part().vectors(field).row(scope, cursor->row());
      if (check && steps <= range.rows && is_zero(vector, stored, numbers)) refuse_zero(store_, cursor->part(), cursor->row(), vector);
      return stored.data();
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
  auto built = edit.segments.begin();
  for (const auto& group : edit.plan.groups) {
    for (; i < group.segment; ++i) segments.push_back(kept(next.segments[i]));
    if (group.only_adds) {
      // Its files are those that it had; what was flushed into it meanwhile stays behind them.
      segments.push_back(kept(next.segments[i++]));
      std::copy(built->blocks.begin(), built->blocks.end(), segments.back().blocks.begin());
      ++built;
      continue;
    }
    for (const auto end = built + static_cast<std::ptrdiff_t>(group.pieces); built != end; ++built)
      if (!built->blocks.empty()) segments.push_back(*built);
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
