// A sequence of parts, and after them a memtable, read as one run of rows in doc-id order: what a segment, a snapshot and a collection search.
#pragma once

#include <quiver/core/parallel.hpp>
#include <quiver/ids/delete_set.hpp>
#include <quiver/segment/asked.hpp>
#include <quiver/segment/graph_search.hpp>
#include <quiver/segment/memtable.hpp>
#include <quiver/segment/memtable_graphs.hpp>

#include <algorithm>
#include <memory>
#include <optional>
#include <vector>

namespace quiver::detail {

/// Immutable; any number of threads. Ordinals count the rows of all parts in order, then those of the memtable, so ties by ordinal are ties by doc id.
template <StoragePolicy P>
class Rows {
 public:
  using Scope = typename P::ReadScope;
  using Parts = std::vector<std::shared_ptr<const Part<P>>>;

  /// `published`: how much of the memtable belongs to this moment; the memtable itself may grow meanwhile.
  /// `deleted` of the rows are in `deletes`, which may know documents besides that no row holds.
  Rows(Parts parts, std::shared_ptr<const Memtable> memtable, Memtable::Mark published, DeleteSet deletes, std::uint64_t deleted)
      : parts_(std::move(parts)),
        memtable_(std::move(memtable)),
        memtable_rows_(published.rows),
        memtable_bytes_(published.bytes),
        deletes_(std::move(deletes)),
        deleted_(deleted) {
    starts_.reserve(parts_.size() + 1);
    starts_.push_back(0);
    for (const auto& part : parts_) starts_.push_back(starts_.back() + part->rows());
  }

  [[nodiscard]] const Parts& parts() const noexcept { return parts_; }
  [[nodiscard]] const std::shared_ptr<const Memtable>& memtable() const noexcept { return memtable_; }
  [[nodiscard]] std::uint64_t memtable_rows() const noexcept { return memtable_rows_; }
  [[nodiscard]] std::uint64_t memtable_bytes() const noexcept { return memtable_bytes_; }
  /// Rows, deleted ones among them.
  [[nodiscard]] std::uint64_t size() const noexcept { return starts_.back() + memtable_rows_; }
  [[nodiscard]] std::uint64_t deleted() const noexcept { return deleted_; }
  [[nodiscard]] std::uint64_t documents() const noexcept { return size() - deleted_; }
  [[nodiscard]] const DeleteSet& deletes() const noexcept { return deletes_; }
  [[nodiscard]] bool is_live(Scope& scope, std::uint64_t ordinal) const { return deleted_ == 0 || !deletes_.contains(doc_id(scope, ordinal)); }

  /// The ordinal of a document, deleted or not, in O(log parts + log groups + log rows).
  [[nodiscard]] std::optional<std::uint64_t> find(Scope& scope, DocId id) const {
    if (memtable_rows_ != 0 && id >= memtable_->doc_id(0)) {
      const auto row = id.value - memtable_->doc_id(0).value;
      return row < memtable_rows_ ? std::optional(starts_.back() + row) : std::nullopt;
    }
    const auto part = std::partition_point(parts_.begin(), parts_.end(), [&](const auto& p) { return p->last() < id; });
    if (part == parts_.end() || id < (*part)->first()) return std::nullopt;
    const auto row = (*part)->find(scope, id);
    if (!row) return std::nullopt;
    return starts_[static_cast<std::size_t>(part - parts_.begin())] + *row;
  }
  [[nodiscard]] DocId doc_id(Scope& scope, std::uint64_t ordinal) const {
    const auto part = part_of(ordinal);
    return part == parts_.size() ? memtable_->doc_id(ordinal - starts_.back()) : parts_[part]->doc_id(scope, ordinal - starts_[part]);
  }
  /// The view lives until the scope is renewed.
  [[nodiscard]] std::string_view key(Scope& scope, std::uint64_t ordinal) const {
    const auto part = part_of(ordinal);
    return part == parts_.size() ? memtable_->key(ordinal - starts_.back()) : parts_[part]->scalars().key(scope, ordinal - starts_[part]);
  }

  /// The document at an ordinal, with the projected fields. Renews nothing.
  [[nodiscard]] Document read(Scope& scope, const Schema& schema, const Projection& fields, std::uint64_t ordinal) const {
    return read(scope, schema, fields, ordinal, key(scope, ordinal));
  }
  /// The same where its key is known.
  [[nodiscard]] Document read(Scope& scope, const Schema& schema, const Projection& fields, std::uint64_t ordinal, std::string_view key) const {
    Document document{key};
    DocumentAccess::set_id(document, doc_id(scope, ordinal));
    read_fields(scope, schema, fields, ordinal, document);
    return document;
  }
  void read_fields(Scope& scope, const Schema& schema, const Projection& fields, std::uint64_t ordinal, Document& to) const {
    const auto part = part_of(ordinal);
    if (part != parts_.size()) return parts_[part]->read(scope, schema, fields, ordinal - starts_[part], to);
    const auto row = ordinal - starts_.back();
    for (const auto i : fields.scalars) append_cell(to, schema.fields()[i], memtable_->cell(i, row));
    for (const auto i : fields.vectors) append_vector(to, schema.vectors()[i], memtable_->vector(i, row));
  }

  /// The nearest live rows: along the graphs of parts that have one and of the memtable, every row of the others and what is not linked yet. Renews the scope.
  [[nodiscard]] SearchResult search(const typename P::Store& store, Scope& scope, const Schema& schema, const SearchRequest& request) const {
    const auto field = vector_ordinal(schema, request.field);
    const auto& vector = schema.vectors()[field];
    check_query(vector, request.query.floats());
    const Projection fields(schema, request.fields, false);
    const AskedVectors asked(vector, request.query.floats());
    const FlatQuery query = asked.query(0);
    auto ids = deleted_ == 0 ? std::optional<Scope>() : std::optional<Scope>(store.read_scope());
    const auto accept = accept_live(ids);
    TopK best(std::min<std::uint64_t>(request.k, documents()), accept ? &accept : nullptr);
    SearchStats stats;
    if (best.k() != 0) {
      const auto effort = effort_of(vector, request.ef, request.refine, best.k());
      for (std::size_t i = 0; i < parts_.size(); ++i) search_part(scope, i, field, query, effort, accept, best, stats);
      search_memtable(field, vector, std::span(&query, 1), effort, accept, std::span(&best, 1), std::span(&stats, 1));
    }
    return answer(scope, schema, fields, best, stats);
  }

  /// As search() of each query, answer for answer the same; tiles of queries share a pass over what has no graph, tiles run on `threads` threads.
  [[nodiscard]] std::vector<SearchResult> search_batch(const typename P::Store& store, const Schema& schema, const SearchBatchRequest& request) const {
    const auto field = vector_ordinal(schema, request.field);
    const auto& vector = schema.vectors()[field];
    const auto all = request.queries.floats();
    if (all.size() % vector.dimension() != 0)
      fail(Errc::dimension_mismatch, "field '" + vector.name() + "' has " + std::to_string(vector.dimension()) + " dimensions, " + std::to_string(all.size()) +
                                         " numbers are no whole number of queries");
    const auto count = all.size() / vector.dimension();
    for (std::size_t i = 0; i < count; ++i) check_query(vector, all.subspan(i * vector.dimension(), vector.dimension()));
    const Projection fields(schema, request.fields, false);
    const AskedVectors asked(vector, all);

    std::vector<SearchResult> results(count);
    constexpr std::size_t tile = 32;
    const auto wanted = std::min<std::uint64_t>(request.k, documents());
    const auto effort = effort_of(vector, request.ef, request.refine, wanted);
    parallel_for((count + tile - 1) / tile, request.threads, [&](std::size_t t) {
      auto scope = store.read_scope();
      const auto first = t * tile;
      const auto here = std::min(tile, count - first);
      auto ids = deleted_ == 0 ? std::optional<Scope>() : std::optional<Scope>(store.read_scope());
      const auto accept = accept_live(ids);
      std::vector<FlatQuery> queries;
      std::vector<TopK> best;
      std::vector<SearchStats> stats(here);
      for (std::size_t i = 0; i < here; ++i) {
        queries.push_back(asked.query(first + i));
        best.emplace_back(wanted, accept ? &accept : nullptr);
      }
      if (wanted != 0) {
        for (std::size_t p = 0; p < parts_.size(); ++p) {
          if (parts_[p]->graph(field) != nullptr) {
            for (std::size_t i = 0; i < here; ++i) search_part(scope, p, field, queries[i], effort, accept, best[i], stats[i]);
          } else {
            parts_[p]->vectors(field).search_batch(scope, queries, starts_[p], best);
            for (auto& each : stats) looked_at(each, queries.front(), parts_[p]->rows());
          }
        }
        search_memtable(field, vector, queries, effort, accept, best, stats);
      }
      for (std::size_t i = 0; i < here; ++i) results[first + i] = answer(scope, schema, fields, best[i], stats[i]);
    });
    return results;
  }

 private:
  [[nodiscard]] std::size_t part_of(std::uint64_t ordinal) const noexcept {
    return static_cast<std::size_t>(std::upper_bound(starts_.begin() + 1, starts_.end(), ordinal) - starts_.begin() - 1);
  }
  /// Keeps deleted rows out of an answer; empty where there are none. Reads through a scope of its own, for the scan renews the other.
  [[nodiscard]] TopK::Accept accept_live(std::optional<Scope>& ids) const {
    if (!ids) return {};
    return [this, &ids](std::uint64_t ordinal) {
      ids->renew();
      return !deletes_.contains(doc_id(*ids, ordinal));
    };
  }
  void search_part(Scope& scope, std::size_t i, std::size_t field, const FlatQuery& query, const WalkEffort& effort, const TopK::Accept& accept, TopK& best,
                   SearchStats& stats) const {
    const auto& part = *parts_[i];
    const auto live = part.rows() - (deleted_ == 0 ? 0 : deletes_.count(part.first(), part.last()));
    detail::search_part<P>(
        scope, part, field, query, starts_[i], effort, live, [&](std::uint32_t row) { return accept(starts_[i] + row); }, best, stats);
  }
  void search_memtable(std::size_t field, const VectorField& vector, std::span<const FlatQuery> queries, const WalkEffort& effort, const TopK::Accept& accept,
                       std::span<TopK> best, std::span<SearchStats> stats) const {
    if (memtable_rows_ == 0) return;
    const auto start = starts_.back();
    const auto deleted = [&](std::uint64_t rows) { return deleted_ == 0 ? 0 : deletes_.count(memtable_->doc_id(0), memtable_->doc_id(rows - 1)); };
    const MemtableWalk walk(*memtable_, field, vector, memtable_rows_, effort, deleted);
    const auto covered = walk.covered();
    for (std::size_t i = 0; i < queries.size() && covered != 0; ++i)
      if (!walk.search(
              queries[i], start, [&](std::uint32_t row) { return accept(start + row); }, best[i], stats[i]))
        scan_memtable(field, queries.subspan(i, 1), 0, covered, best.subspan(i, 1), stats.subspan(i, 1));
    if (covered != memtable_rows_) scan_memtable(field, queries, covered, memtable_rows_, best, stats);
  }
  /// Looks at rows [from, to) of the memtable one by one.
  void scan_memtable(std::size_t field, std::span<const FlatQuery> queries, std::uint64_t from, std::uint64_t to, std::span<TopK> best,
                     std::span<SearchStats> stats) const {
    memtable_->for_each_flat(field, to, [&](std::uint64_t first, const FlatRows& all) {
      if (first + all.count <= from) return;
      const auto skipped = static_cast<std::size_t>(std::max(first, from) - first);
      const auto rows = all.part(skipped, all.count - skipped);
      if (queries.size() == 1)
        flat_scan(queries.front(), rows, starts_.back() + first + skipped, best.front());
      else
        flat_scan_batch(queries, rows, starts_.back() + first + skipped, best);
    });
    for (auto& each : stats) looked_at(each, queries.front(), to - from);
  }
  [[nodiscard]] SearchResult answer(Scope& scope, const Schema& schema, const Projection& fields, TopK& best, const SearchStats& stats) const {
    const auto found = best.take_sorted();
    std::vector<Hit> hits;
    hits.reserve(found.size());
    for (const auto& candidate : found) {
      scope.renew();
      auto& hit = hits.emplace_back();
      hit.document = read(scope, schema, fields, candidate.id);
      hit.id = hit.document.id();
      hit.key = hit.document.key();
      hit.distance = candidate.distance;
    }
    scope.renew();
    return {std::move(hits), stats};
  }

  Parts parts_;
  std::vector<std::uint64_t> starts_;  // first ordinal of each part, then of the memtable
  std::shared_ptr<const Memtable> memtable_;
  std::uint64_t memtable_rows_, memtable_bytes_;
  DeleteSet deletes_;
  std::uint64_t deleted_;
};

}  // namespace quiver::detail
