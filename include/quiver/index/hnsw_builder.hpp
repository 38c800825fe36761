// Builds a hierarchical navigable small world graph over rows that are all there, on one thread or many.
#pragma once

#include <quiver/core/parallel.hpp>
#include <quiver/index/hnsw_reach.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace quiver::detail {

struct HnswBuildParameters {
  std::size_t m = 16;                 // links of a new node on each level; the ground has room for 2 m
  std::size_t ef_construction = 200;  // candidates that are looked at for them
  std::uint64_t seed = 100;           // of the levels
  std::uint32_t taken_out = 0;        // rows, since the graph was built anew
};

/// The levels that rows have, drawn before anything is linked: so every array has its size from the beginning, and a row its level whatever the number of
/// threads.
class HnswLevels {
 public:
  HnswLevels(std::uint32_t rows, const HnswBuildParameters& parameters) {
    for (std::uint32_t row = 0; row < rows; ++row) {
      const auto level = drawn(row, parameters);
      for (std::size_t l = 1; l <= level; ++l) {
        if (upper_.size() < l) upper_.emplace_back();
        upper_[l - 1].push_back(row);
      }
    }
  }
  /// `upper`: the rows of each level above the ground, the lowest first. REQUIRES: they ascend, are those of the level below or some of them, and are not none.
  explicit HnswLevels(std::vector<std::vector<std::uint32_t>> upper) noexcept : upper_(std::move(upper)) {}
  /// How many levels above the ground are drawn for a row.
  [[nodiscard]] static std::size_t drawn(std::uint32_t row, const HnswBuildParameters& parameters) noexcept {
    const double scale = 1 / std::log(static_cast<double>(parameters.m));
    return std::min(static_cast<std::size_t>(-std::log(uniform(parameters.seed, row)) * scale), most);
  }
  /// Levels above the ground.
  [[nodiscard]] std::size_t count() const noexcept { return upper_.size(); }
  /// The rows of a level above the ground, ascending. REQUIRES: 1 <= level <= count().
  [[nodiscard]] const std::vector<std::uint32_t>& rows(std::size_t level) const noexcept { return upper_[level - 1]; }
  /// The node of a row there. REQUIRES: it is there.
  [[nodiscard]] std::uint32_t node(std::size_t level, std::uint32_t row) const noexcept {
    if (level == 0) return row;
    return static_cast<std::uint32_t>(std::lower_bound(rows(level).begin(), rows(level).end(), row) - rows(level).begin());
  }
  [[nodiscard]] bool has(std::size_t level, std::uint32_t row) const noexcept {
    return level == 0 || std::binary_search(rows(level).begin(), rows(level).end(), row);
  }
  /// Levels above the ground that one of the first `rows` rows is on.
  [[nodiscard]] std::size_t reached(std::uint32_t rows) const noexcept {
    std::size_t levels = 0;
    while (levels < upper_.size() && upper_[levels].front() < rows) ++levels;
    return levels;
  }

 private:
  static constexpr std::size_t most = 15;

  // In (0, 1]; the finalizer of SplitMix64 (Steele, Lea, Flood 2014).
  [[nodiscard]] static double uniform(std::uint64_t seed, std::uint64_t row) noexcept {
    auto x = (seed * 0xD1B54A32D192ED03ull) ^ ((row + 1) * 0x9E3779B97F4A7C15ull);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    x ^= x >> 31;
    return static_cast<double>((x >> 11) + 1) * 0x1p-53;
  }

  std::vector<std::vector<std::uint32_t>> upper_;
};

/// The links of a graph while it grows, and afterwards. Owns them; move-only. Walks may read what build() writes.
class HnswLinks {
 public:
  HnswLinks(HnswLinks&&) noexcept = default;
  HnswLinks& operator=(HnswLinks&&) noexcept = default;
  HnswLinks(std::uint32_t rows, const HnswBuildParameters& parameters) : HnswLinks(rows, parameters, HnswLevels(rows, parameters)) {}
  HnswLinks(std::uint32_t rows, const HnswBuildParameters& parameters, HnswLevels levels) : levels_(std::move(levels)) {
    links_.emplace_back(std::size_t{rows} * 2 * parameters.m, no_link);
    views_.push_back({links_[0].data(), nullptr, nullptr, rows, static_cast<std::uint32_t>(2 * parameters.m)});
    down_.resize(levels_.count());
    for (std::size_t level = 1; level <= levels_.count(); ++level) {
      const auto& here = levels_.rows(level);
      for (const auto row : here) down_[level - 1].push_back(levels_.node(level - 1, row));
      links_.emplace_back(here.size() * parameters.m, no_link);
      views_.push_back(
          {links_[level].data(), here.data(), down_[level - 1].data(), static_cast<std::uint32_t>(here.size()), static_cast<std::uint32_t>(parameters.m)});
    }
  }

  [[nodiscard]] const HnswLevels& levels() const noexcept { return levels_; }
  [[nodiscard]] const HnswLevel& level(std::size_t level) const noexcept { return views_[level]; }
  [[nodiscard]] HnswGraph graph() const noexcept { return {views_[0], std::span(views_).subspan(1)}; }
  /// The part of a level that the first rows are. REQUIRES: one of them is on it.
  [[nodiscard]] HnswLevel level_of_first(std::size_t level, std::uint32_t rows) const noexcept {
    auto part = views_[level];
    part.nodes = level == 0 ? rows : static_cast<std::uint32_t>(std::lower_bound(part.rows, part.rows + part.nodes, rows) - part.rows);
    return part;
  }
  [[nodiscard]] std::uint32_t* links_of(std::size_t level, std::uint32_t node) noexcept {
    return links_[level].data() + std::size_t{node} * views_[level].degree;
  }
  /// Copies the links between the first rows. REQUIRES: the same parameters, no more rows, and nobody links there meanwhile.
  void take(const HnswLinks& first) noexcept {
    for (std::size_t level = 0; level < first.links_.size(); ++level) std::copy(first.links_[level].begin(), first.links_[level].end(), links_[level].begin());
  }
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    std::uint64_t words = 0;
    for (const auto& links : links_) words += links.size();
    for (const auto& down : down_) words += 2 * down.size();
    return words * sizeof(std::uint32_t);
  }

 private:
  HnswLevels levels_;
  std::vector<std::vector<std::uint32_t>> links_, down_;  // by level; the views point into them, which a move leaves where they are
  std::vector<HnswLevel> views_;
};

/// Links the rows of a space: all of them by one build(), so that a walk comes to each if it only keeps enough in mind, or one after the other as they come.
/// Where near is not mutual, as under inner product, links to the nearest rows all lead to the same few, the longest, and none leads to most others. There a
/// row gets links to rows that lie beside it as well, with which the way does not end where these few are deleted.
template <class Space>
class HnswBuilder {
 protected:
  struct Near {
    float distance;
    std::uint32_t node;
  };

 public:
  using Query = typename Space::Query;

  /// What a thread needs to link rows.
  struct Worker {
    /// Room for what linking takes, so that a walk may fail for want of memory and nothing after it.
    Worker() {
      candidates.reserve(2 * max_hnsw_m + 1);
      beside.reserve(2 * max_hnsw_m + 1);
      kept.reserve(2 * max_hnsw_m);
    }
    HnswScratch scratch;
    std::vector<std::vector<Near>> chosen;  // by level: what the row will be linked to
    std::vector<Near> candidates, beside, kept;
  };

  /// REQUIRES: rows < max_hnsw_rows, 2 <= m <= max_hnsw_m, ef_construction > 0.
  HnswBuilder(Space space, const HnswBuildParameters& parameters) : HnswBuilder(space, parameters, HnswLinks(space.rows(), parameters)) {}

  /// `step()` is called after each row, and again after one that had to be linked twice, on any of the threads, and may throw, which ends it. With one thread
  /// the same rows give the same graph.
  template <class Step>
  [[nodiscard]] HnswLinks build(std::size_t threads, Step&& step) {
    const auto rows = space_.rows();
    if (rows == 0) return std::move(links_);
    // Where walks begin is there first.
    const auto top = links_.levels().count();
    const auto first = top == 0 ? 0 : links_.levels().rows(top).front();
    step();
    measure_rows();
    add_all(
        rows, [](std::uint32_t i) { return i; }, first, threads, step);
    return connected(step);
  }

  /// Links the row behind those that are linked. One thread; others may walk meanwhile. bad_alloc: nothing happened.
  /// REQUIRES: rows [0, row) are linked, no others, and row is one of the space.
  void append(std::uint32_t row, Worker& worker) {
    if (!to_self_.empty()) to_self_[row] = space_.query(row).at(row);
    add(row, links_.levels().reached(row), 0, worker);
  }
  /// Has all rows that are linked come to from where walks begin, on each level, as build() does in the end. One thread; others may walk meanwhile. bad_alloc:
  /// some are. O(their links). REQUIRES: rows [0, rows) are linked, no others, and rows is not 0.
  void connect_first(std::uint32_t rows, Worker& worker) {
    struct First {
      [[nodiscard]] HnswLevel level(std::size_t l) const noexcept { return all.level_of_first(l, rows); }
      [[nodiscard]] std::uint32_t* links_of(std::size_t l, std::uint32_t node) const noexcept { return all.links_of(l, node); }
      HnswLinks& all;
      std::uint32_t rows;
    } first{links_, rows};
    connect_from(first, links_.levels().reached(rows), worker.scratch, [] {});
  }
  [[nodiscard]] const HnswLinks& links() const noexcept { return links_; }
  /// Takes over the rows that another one has linked. REQUIRES: as HnswLinks::take, of rows of the same space.
  void take(const HnswBuilder& first) noexcept {
    links_.take(first.links_);
    std::copy(first.to_self_.begin(), first.to_self_.end(), to_self_.begin());
  }
  /// Memory that it takes.
  [[nodiscard]] std::uint64_t bytes() const noexcept { return links_.bytes() + space_.rows() + to_self_.size() * sizeof(float); }

 protected:
  HnswBuilder(Space space, const HnswBuildParameters& parameters, HnswLinks links)
      : space_(std::move(space)),
        parameters_(parameters),
        links_(std::move(links)),
        locks_(std::make_unique<std::atomic<bool>[]>(space_.rows())),
        to_self_(space_.near_is_mutual() ? 0 : space_.rows()) {}

  /// Before any of them is linked, where all rows are there: threads read what this writes. O(rows) distances.
  void measure_rows() {
    for (std::uint32_t row = 0; row < to_self_.size(); ++row) to_self_[row] = space_.query(row).at(row);
  }

  /// Links the rows row_at(0) to row_at(count - 1) but `first`, which is where walks begin.
  template <class RowAt, class Step>
  void add_all(std::uint32_t count, RowAt&& row_at, std::uint32_t first, std::size_t threads, Step&& step) {
    constexpr std::uint32_t alone = 256;  // rows to walk along before threads may miss each other's
    const auto top = links_.levels().count();
    Worker worker;
    const auto add_one = [&](std::uint32_t i, Worker& by) {
      const auto row = row_at(i);
      if (row == first) return;
      add(row, top, 0, by);
      step();
    };
    std::uint32_t done = 0;
    for (; done < std::min(count, alone); ++done) add_one(done, worker);
    std::vector<std::unique_ptr<Worker>> idle;
    std::mutex mutex;
    constexpr std::uint32_t batch = 64;
    const std::size_t batches = (count - done + batch - 1) / batch;
    parallel_for(batches, threads, [&](std::size_t i) {
      std::unique_ptr<Worker> mine;
      {
        const std::lock_guard guard(mutex);
        if (!idle.empty()) {
          mine = std::move(idle.back());
          idle.pop_back();
        }
      }
      if (!mine) mine = std::make_unique<Worker>();
      const auto begin = done + static_cast<std::uint32_t>(i) * batch;
      for (auto at = begin; at < std::min(count, begin + batch); ++at) add_one(at, *mine);
      const std::lock_guard guard(mutex);
      idle.push_back(std::move(mine));
    });
  }

  /// The links, through which every row can be come to from the one where walks begin, on each of its levels.
  template <class Step>
  [[nodiscard]] HnswLinks connected(Step&& step) {
    HnswScratch scratch;
    connect_from(links_, links_.levels().count(), scratch, step);
    return std::move(links_);
  }
  /// Walks begin at the first row of the highest level.
  template <class Links, class Step>
  void connect_from(Links& links, std::size_t top, HnswScratch& scratch, Step&& step) {
    const auto first = top == 0 ? 0 : links_.levels().rows(top).front();
    for (std::size_t level = 0; level <= top; ++level) connect(links, level, links_.levels().node(level, first), space_, space_.apart(), scratch, step);
  }

  /// Holds what may be linked to while a row's links are rewritten.
  class Lock {
   public:
    explicit Lock(std::atomic<bool>& lock) noexcept : lock_(lock) {
      while (lock_.exchange(true, std::memory_order_acquire)) lock_.wait(true, std::memory_order_relaxed);
    }
    ~Lock() {
      lock_.store(false, std::memory_order_release);
      lock_.notify_one();
    }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::atomic<bool>& lock_;
  };

  /// Links a row on its levels. The walk for it begins at `node` of level `top`; on levels above that it finds nobody. A row that is linked is linked anew.
  void add(std::uint32_t row, std::size_t top, std::uint32_t node, Worker& worker) {
    const auto query = space_.query(row);
    const auto& levels = links_.levels();
    std::size_t own = 0;
    while (own < levels.count() && levels.has(own + 1, row)) ++own;
    if (worker.chosen.size() <= levels.count()) worker.chosen.resize(levels.count() + 1);

    std::uint64_t distances = 0;
    for (auto level = top; level > own; --level) {
      node = descend(links_.level(level), query, node, worker.scratch, distances);
      node = links_.level(level).down[node];
    }
    for (auto level = top + 1; level <= own; ++level) worker.chosen[level].clear();
    for (auto level = std::min(own, top) + 1; level-- > 0;) {
      const auto& here = links_.level(level);
      walk(here, query, node, parameters_.ef_construction, worker.scratch, distances);
      auto& near = worker.candidates;
      near.clear();
      const auto self = levels.node(level, row);
      for (std::size_t i = 0; i < worker.scratch.pool.size(); ++i)
        if (worker.scratch.pool[i].node != self) near.push_back({worker.scratch.pool[i].distance, worker.scratch.pool[i].node});
      choose(here, near, parameters_.m, worker.chosen[level]);
      fill(here, row, near, here.degree / 2, worker.chosen[level], worker.beside);
      if (level != 0) node = here.down[near.empty() ? node : near.front().node];
    }
    // From the ground up: who finds the row on a level can go on below.
    for (std::size_t level = 0; level <= own; ++level) {
      const auto self = levels.node(level, row);
      {
        const Lock lock(locks_[row]);
        write(links_.links_of(level, self), links_.level(level).degree, worker.chosen[level]);
      }
      for (const auto& near : worker.chosen[level]) link(level, near, self, worker);
    }
  }

  /// Of the nearest first, those that are nearer to the query than to any that was taken before them: so that links lead into all directions. Of such as are
  /// all as near as the nearest, a quarter of the places: copies of one row would have no other links, and nobody would come to them from elsewhere.
  void choose(const HnswLevel& level, const std::vector<Near>& near, std::size_t most, std::vector<Near>& chosen) const {
    chosen.clear();
    choose(level, near, most, 0, chosen, [](float distance, std::uint32_t, std::uint32_t) { return distance; });
  }
  /// Up to `most` links to what lies beside a row, in addition to those that were chosen, where these are to the same few from all rows: as choose(), of the
  /// same candidates, by L2. That is 2 d(a, b) - d(a, a) - d(b, b), d being one less the inner product.
  void fill(const HnswLevel& level, std::uint32_t row, const std::vector<Near>& near, std::size_t most, std::vector<Near>& chosen,
            std::vector<Near>& beside) const {
    if (space_.near_is_mutual() || chosen.size() >= most) return;
    const auto apart = [&](float distance, std::uint32_t a, std::uint32_t b) { return number_or_far(2 * distance - to_self_[a] - to_self_[b]); };
    beside.clear();
    for (const auto& each : near) {
      const bool taken = std::any_of(chosen.begin(), chosen.end(), [&](const Near& other) { return other.node == each.node; });
      if (!taken) beside.push_back({apart(each.distance, row, level.row(each.node)), each.node});
    }
    const auto looked_at = std::min(beside.size(), 8 * most);  // of what is farther hardly any would be taken
    std::partial_sort(beside.begin(), beside.begin() + static_cast<std::ptrdiff_t>(looked_at), beside.end(), is_nearer);
    beside.resize(looked_at);
    choose(level, beside, most, chosen.size(), chosen, apart);
  }
  /// Adds to what was chosen until there are `most`, each tested against those from `first` on by measured(their distance, row, row).
  template <class Measured>
  void choose(const HnswLevel& level, const std::vector<Near>& near, std::size_t most, std::size_t first, std::vector<Near>& chosen,
              Measured&& measured) const {
    std::size_t copies = 0;
    for (const auto& candidate : near) {
      if (chosen.size() == most) break;
      if (candidate.distance <= near.front().distance && ++copies > std::max<std::size_t>((most - first) / 4, 1)) continue;
      const auto row = level.row(candidate.node);
      const auto query = space_.query(row);
      const bool apart = std::none_of(chosen.begin() + static_cast<std::ptrdiff_t>(first), chosen.end(), [&](const Near& taken) {
        const auto other = level.row(taken.node);
        return measured(query.at(other), row, other) < candidate.distance;
      });
      if (apart) chosen.push_back(candidate);
    }
  }
  [[nodiscard]] static bool is_nearer(const Near& a, const Near& b) noexcept {
    return a.distance < b.distance || (a.distance == b.distance && a.node < b.node);
  }
  static void write(std::uint32_t* links, std::size_t degree, const std::vector<Near>& nodes) noexcept {
    for (std::size_t i = 0; i < degree; ++i) __atomic_store_n(links + i, i < nodes.size() ? nodes[i].node : no_link, __ATOMIC_RELEASE);
  }
  /// A link from a node to a new one, in the place of another where there is no room.
  void link(std::size_t l, const Near& from, std::uint32_t to, Worker& worker) {
    auto& candidates = worker.candidates;
    const auto& level = links_.level(l);
    const auto row = level.row(from.node);
    const Lock lock(locks_[row]);
    auto* const links = links_.links_of(l, from.node);
    std::size_t used = 0;
    for (; used < level.degree && links[used] != no_link; ++used)
      if (links[used] == to) return;
    if (used < level.degree) {
      __atomic_store_n(links + used, to, __ATOMIC_RELEASE);
      return;
    }
    const auto query = space_.query(row);
    for (std::size_t i = 0; i < used; ++i) {
      query.fetch(level.row(links[i]));
      worker.scratch.nodes[i] = links[i];
    }
    worker.scratch.measure(level, query, worker.scratch.nodes, used);
    candidates.clear();
    candidates.push_back({from.distance, to});
    for (std::size_t i = 0; i < used; ++i) candidates.push_back({number_or_far(worker.scratch.distances[i]), links[i]});
    std::sort(candidates.begin(), candidates.end(), is_nearer);
    const std::size_t beside = space_.near_is_mutual() ? 0 : level.degree / 4;
    choose(level, candidates, level.degree - beside, worker.kept);
    fill(level, row, candidates, std::max<std::size_t>(level.degree / 2, worker.kept.size() + beside), worker.kept, worker.beside);
    write(links, level.degree, worker.kept);
  }

  Space space_;
  HnswBuildParameters parameters_;
  HnswLinks links_;
  std::unique_ptr<std::atomic<bool>[]> locks_;  // by row
  std::vector<float> to_self_;                  // by row, where near is not mutual: its distance to itself
};

}  // namespace quiver::detail
