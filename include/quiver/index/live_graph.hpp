// A graph that grows by a row at a time while others walk through it.
#pragma once

#include <quiver/core/published.hpp>
#include <quiver/index/hnsw_builder.hpp>
#include <quiver/index/idle_scratch.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace quiver::detail {

/// A graph over the first rows of a space, which others add to. Levels, links and distances are those of HnswBuilder, and the same rows give the same graph.
/// Where it has no more room, one with twice as much takes its place; who walks in the old one stays right, for that covers what it did. One thread at a time
/// begins, drops and appends; any number ask for now() and walk, without a lock. Nothing may go on while it is destroyed.
template <class Space>
class LiveGraph {
 public:
  /// The graph while it had room for so many rows. Outlives the LiveGraph, but not the space.
  class Stage : public std::enable_shared_from_this<Stage> {
   public:
    Stage(const Space& space, const HnswBuildParameters& parameters, std::uint32_t room)
        : parameters_(parameters), room_(room), builder_(Roomy{space, room}, parameters) {}

    [[nodiscard]] const HnswBuildParameters& parameters() const noexcept { return parameters_; }
    /// Rows that are linked, the first ones. What a walk meets besides was linked while it went on.
    [[nodiscard]] std::uint32_t covered() const noexcept { return covered_.load(std::memory_order_acquire); }
    /// Memory that it takes.
    [[nodiscard]] std::uint64_t bytes() const noexcept { return builder_.bytes(); }

    /// use(pool) with the rows nearest to the query, `ef` at most, some of which may not be among the first `covered`. Returns how many distances that took.
    /// REQUIRES: `covered` is what covered() said, and not 0; the rows that are linked meanwhile may be read by this thread.
    template <HnswQuery Query, class Use>
    std::uint64_t search(std::uint32_t covered, const Query& query, std::size_t ef, Use&& use) const {
      auto scratch = idle_.take();
      std::uint64_t distances = 0;
      auto all = builder_.links().graph();
      all.upper = all.upper.first(builder_.links().levels().reached(covered));
      search_graph(all, query, ef, *scratch, distances);
      use(scratch->pool);
      idle_.give(std::move(scratch));
      return distances;
    }
    /// use(HnswGraph) with the graph as it stands, to be written. REQUIRES: covered() is not 0, and nobody appends meanwhile.
    template <class Use>
    auto whole(Use&& use) const {
      const auto& links = builder_.links();
      const auto rows = covered();
      std::vector<HnswLevel> levels;
      for (std::size_t level = 0; level <= links.levels().reached(rows); ++level) levels.push_back(links.level_of_first(level, rows));
      return use(HnswGraph{levels.front(), std::span<const HnswLevel>(levels).subspan(1)});
    }

   private:
    friend class LiveGraph;
    /// The space with as many rows as there is room for.
    struct Roomy {
      using Query = typename Space::Query;
      Space space;
      std::uint32_t room;
      [[nodiscard]] std::uint32_t rows() const noexcept { return room; }
      [[nodiscard]] Query query(std::uint32_t row) const noexcept { return space.query(row); }
      [[nodiscard]] bool near_is_mutual() const noexcept { return space.near_is_mutual(); }
      [[nodiscard]] Roomy apart() const noexcept { return {space.apart(), room}; }
    };

    HnswBuildParameters parameters_;
    std::uint32_t room_;
    HnswBuilder<Roomy> builder_;
    std::atomic<std::uint32_t> covered_{0};
    mutable IdleScratch idle_;
  };

  explicit LiveGraph(Space space) : space_(std::move(space)) {}

  /// The graph of this moment; null: there is none.
  [[nodiscard]] std::shared_ptr<const Stage> now() const { return published_.get(); }

  /// Starts with an empty graph, in the place of the one that there was. bad_alloc: that one stays.
  void begin(const HnswBuildParameters& parameters) {
    parameters_ = parameters;
    publish(std::make_shared<Stage>(space_, parameters, least_room));
  }
  void drop() noexcept { publish(nullptr); }
  /// Rows that are linked; nothing: there is no graph. For the thread that appends.
  [[nodiscard]] std::optional<std::uint32_t> covered() const noexcept { return stage_ ? std::optional(stage_->covered()) : std::nullopt; }
  /// Of the graph that there is. REQUIRES: there is one.
  [[nodiscard]] const HnswBuildParameters& parameters() const noexcept { return parameters_; }
  /// Links the next row. O(ef_construction x m) distances, now and then a look at all links, or a copy of them. bad_alloc: the row is not linked.
  /// REQUIRES: there is a graph, and in the space the row, for good; covered() < max_hnsw_rows - 1.
  void append() {
    const auto row = stage_->covered();
    if (row != 0 && row % (stage_->room_ / 8) == 0) connect();
    if (row == stage_->room_) grow();
    stage_->builder_.append(row, worker_);
    stage_->covered_.store(row + 1, std::memory_order_release);
  }
  /// Has all rows that are linked come to by walks, as append() does whenever another eighth of the room is taken. O(links). bad_alloc: some may not be yet.
  void connect() {
    if (stage_ && stage_->covered() != 0) stage_->builder_.connect_first(stage_->covered(), worker_);
  }

 private:
  static constexpr std::uint32_t least_room = 1024;

  void grow() {
    const auto covered = stage_->covered();
    const auto room = static_cast<std::uint32_t>(std::min<std::uint64_t>(std::uint64_t{covered} * 2, max_hnsw_rows - 1));
    auto next = std::make_shared<Stage>(space_, parameters_, room);
    next->builder_.take(stage_->builder_);
    next->covered_.store(covered, std::memory_order_relaxed);
    publish(std::move(next));
  }
  void publish(std::shared_ptr<Stage> next) noexcept {
    published_.set(next);
    stage_ = std::move(next);
  }

  Space space_;
  HnswBuildParameters parameters_;
  std::shared_ptr<Stage> stage_;  // what now() gives
  Published<const Stage> published_;
  typename HnswBuilder<typename Stage::Roomy>::Worker worker_;
};

}  // namespace quiver::detail
