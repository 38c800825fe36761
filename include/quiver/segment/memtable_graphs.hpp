// The graphs of the vectors that are not flushed yet, and a search along them.
#pragma once

#include <quiver/index/live_graph.hpp>
#include <quiver/schema/schema.hpp>
#include <quiver/segment/graph_search.hpp>
#include <quiver/segment/memtable.hpp>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <variant>

namespace quiver::detail {

/// Distances from one vector to rows of a memtable, bit for bit those of a flat scan. A view; any number of threads.
class MemtableRowQuery {
 public:
  MemtableRowQuery(const Memtable& memtable, std::size_t field, const FlatQuery& query) noexcept
      : memtable_(&memtable), field_(field), query_(query), lines_(lines_to_fetch(query.dimension() * element_bytes(query.element()))) {}

  [[nodiscard]] float at(std::uint32_t row) const noexcept {
    const auto one = memtable_->one(field_, row);
    return query_.distance(query_.kernels().one(query_.asked(), one.rows, one.dimension), one, 0);
  }
  [[gnu::always_inline]] void fetch(std::uint32_t row) const noexcept {
    const auto one = memtable_->one(field_, row);
    fetch_lines(one.rows, lines_);
    if (one.inverse_norms != nullptr) __builtin_prefetch(one.inverse_norms);
  }
  [[nodiscard]] std::size_t ahead() const noexcept { return rows_ahead(lines_); }
  void each(std::span<const std::uint32_t> which, float* out) const noexcept {
    for (std::size_t i = 0; i < which.size(); ++i) {
      if (i + gather_ahead < which.size()) fetch(which[i + gather_ahead]);
      out[i] = at(which[i]);
    }
  }

 private:
  const Memtable* memtable_;
  std::size_t field_;
  FlatQuery query_;
  std::size_t lines_;
};

/// A vector field of a memtable, each row of which can be asked for its distances to others. A view.
class MemtableSpace {
 public:
  using Query = MemtableRowQuery;

  MemtableSpace(const Memtable& memtable, std::size_t field, Metric metric) noexcept : memtable_(&memtable), field_(field), metric_(metric) {}
  [[nodiscard]] Query query(std::uint32_t row) const noexcept { return {*memtable_, field_, FlatQuery::of_row(metric_, memtable_->one(field_, row), 0)}; }
  /// As FlatRowSpace::near_is_mutual().
  [[nodiscard]] bool near_is_mutual() const noexcept { return metric_ != Metric::inner_product; }
  /// As FlatRowSpace::apart().
  [[nodiscard]] MemtableSpace apart() const noexcept { return {*memtable_, field_, near_is_mutual() ? metric_ : Metric::l2}; }

 private:
  const Memtable* memtable_;
  std::size_t field_;
  Metric metric_;
};

using MemtableGraph = LiveGraph<MemtableSpace>;

/// For each vector field of a memtable its graph, or none. The memtable carries it. One thread at a time adds; any number search.
class MemtableGraphs {
 public:
  /// REQUIRES: the memtable was made for the schema, and outlives this.
  MemtableGraphs(const Memtable& memtable, const Schema& schema) {
    for (std::size_t i = 0; i < schema.vectors().size(); ++i) graphs_.emplace_back(MemtableSpace(memtable, i, schema.vectors()[i].metric()));
  }

  /// Null: there is none.
  [[nodiscard]] std::shared_ptr<const MemtableGraph::Stage> now(std::size_t field) const { return graphs_[field].now(); }
  /// How many of the first `rows` rows are in all graphs that their fields ask for; 0 where none does.
  [[nodiscard]] std::uint64_t linked(const Schema& schema, std::uint64_t rows) const {
    bool any = false;
    for (std::size_t i = 0; i < graphs_.size(); ++i) {
      const auto* const hnsw = std::get_if<Hnsw>(&schema.vectors()[i].index());
      if (hnsw == nullptr) continue;
      any = true;
      const auto now = graphs_[i].now();
      rows = std::min<std::uint64_t>(rows, now && fits(now->parameters(), *hnsw) ? now->covered() : 0);
    }
    return any ? rows : 0;
  }
  /// Memory that they take.
  [[nodiscard]] std::uint64_t bytes() const {
    std::uint64_t sum = 0;
    for (const auto& graph : graphs_)
      if (const auto now = graph.now()) sum += now->bytes();
    return sum;
  }

  /// Brings the graph of a field a row nearer to what the field's index asks for now: drops one that is of another kind, begins one, or appends a row. False:
  /// it is there, over the first `rows`. bad_alloc: all is as it was. REQUIRES: the rows stay, and this thread has seen their publication.
  [[nodiscard]] bool step(std::size_t field, const VectorField& asked, std::uint64_t rows) {
    auto& graph = graphs_[field];
    const auto* const hnsw = std::get_if<Hnsw>(&asked.index());
    const auto covered = graph.covered();
    if (covered && (hnsw == nullptr || !fits(graph.parameters(), *hnsw)))
      graph.drop();
    else if (hnsw == nullptr || covered.value_or(0) >= std::min(rows, max_hnsw_rows - 1))
      return false;
    else if (!covered)
      graph.begin({.m = hnsw->m, .ef_construction = hnsw->ef_construction});
    else
      graph.append();
    return true;
  }
  /// As LiveGraph::connect().
  void connect(std::size_t field) { graphs_[field].connect(); }
  /// How many of the first `rows` rows the graph that the field asks for lacks.
  [[nodiscard]] std::uint64_t lacking(std::size_t field, const VectorField& asked, std::uint64_t rows) const noexcept {
    const auto& graph = graphs_[field];
    const auto* const hnsw = std::get_if<Hnsw>(&asked.index());
    if (hnsw == nullptr) return 0;
    const auto covered = graph.covered();
    return covered && fits(graph.parameters(), *hnsw) ? rows - std::min<std::uint64_t>(rows, *covered) : rows;
  }
  /// The graph that the field asks for, if it is over these rows, neither more nor fewer; else null. For the thread that adds.
  [[nodiscard]] std::shared_ptr<const MemtableGraph::Stage> whole(std::size_t field, const VectorField& asked, std::uint64_t rows) const {
    auto now = std::holds_alternative<Hnsw>(asked.index()) && lacking(field, asked, rows) == 0 ? graphs_[field].now() : nullptr;
    return now && rows != 0 && now->covered() == rows ? now : nullptr;
  }

 private:
  [[nodiscard]] static bool fits(const HnswBuildParameters& parameters, const Hnsw& hnsw) noexcept {
    return parameters.m == hnsw.m && parameters.ef_construction == hnsw.ef_construction;
  }

  std::deque<MemtableGraph> graphs_;
};

/// The first rows of a memtable as a search sees them: how many it looks for along the graph, and the graph. Of one moment.
class MemtableWalk {
 public:
  /// `rows`: those that are published to the search. deleted(rows) -> of the first so many. A graph is used where the field's index asks for one, and where a
  /// walk pays, by the rules of search_part().
  template <class Deleted>
  MemtableWalk(const Memtable& memtable, std::size_t field, const VectorField& vector, std::uint64_t rows, const WalkEffort& effort, Deleted&& deleted)
      : memtable_(memtable), field_(field) {
    if (memtable.graphs() == nullptr || !std::holds_alternative<Hnsw>(vector.index())) return;
    stage_ = memtable.graphs()->now(field);
    if (!stage_) return;
    linked_ = stage_->covered();
    covered_ = std::min<std::uint64_t>(linked_, rows);
    live_ = covered_ == 0 ? 0 : covered_ - deleted(covered_);
    kept_ = effort.ef < live_ ? (std::uint64_t{effort.ef} * linked_ + live_ - 1) / live_ : most_kept + 1;
    limit_ = std::min<std::uint64_t>(most_kept, covered_ / rows_per_kept);  // as many one behind the other are looked at sooner
    if (kept_ > limit_) stage_ = nullptr;
    ef_ = effort.ef;
  }
  /// Rows that the graph stands for; the others are to be looked at one by one.
  [[nodiscard]] std::uint64_t covered() const noexcept { return stage_ ? covered_ : 0; }

  /// Offers rows near the query, row r as first_id + r. False: the walk met too few that live, and nothing was offered. REQUIRES: covered() is not 0.
  template <class IsLive>
  [[nodiscard]] bool search(const FlatQuery& query, std::uint64_t first_id, IsLive&& is_live, TopK& best, SearchStats& stats) const {
    const MemtableRowQuery row_query(memtable_, field_, query);
    std::uint64_t visited = 0;
    const auto met = walk_among_live(kept_ + linked_meanwhile, limit_ + linked_meanwhile, ef_, [&](std::size_t kept) {
      std::optional<Met> found;
      visited += stage_->search(linked_, row_query, kept, [&](const CandidatePool& pool) {
        found.emplace(pool, kept, false, kept, [&](std::uint32_t row) { return row < covered_ && (live_ == covered_ || is_live(row)); });
      });
      return *std::move(found);
    });
    looked_at(stats, query, visited);
    if (!met || met->size() < std::min<std::uint64_t>(best.k(), live_)) return false;
    met->offer_all(first_id, best);
    return true;
  }

 private:
  static constexpr std::uint64_t linked_meanwhile = 4;  // rows that may be in the way of others though they are not this moment's

  const Memtable& memtable_;
  std::size_t field_;
  std::shared_ptr<const MemtableGraph::Stage> stage_;
  std::uint32_t linked_ = 0;
  std::uint64_t covered_ = 0, live_ = 0, kept_ = 0, limit_ = 0;
  std::size_t ef_ = 0;
};

}  // namespace quiver::detail
