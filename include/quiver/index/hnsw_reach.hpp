// Which nodes of a graph's level walks can come to, and links to those that they cannot.
#pragma once

#include <quiver/index/hnsw_graph.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace quiver::detail {

/// The nodes of a level that can be come to from one of them, and for each a link through which. Memory of 8 bytes a node. One thread; nobody changes links
/// meanwhile.
class HnswReach {
 public:
  HnswReach(const HnswLevel& level, std::uint32_t root) : level_(level), from_(level.nodes, no_link) {
    open_.reserve(level.nodes);
    add(root, root);
  }

  [[nodiscard]] bool has(std::uint32_t node) const noexcept { return from_[node] != no_link; }
  /// True if without that link the other node might be out of reach.
  [[nodiscard]] bool hangs_on(std::uint32_t from, std::uint32_t node) const noexcept { return from_[node] == from; }
  /// The last node that was come to: no other hangs on it.
  [[nodiscard]] std::uint32_t last() const noexcept { return last_; }
  /// A node that there now is a link to, and all that can be come to from it. O(their links).
  void add(std::uint32_t from, std::uint32_t node) {
    from_[node] = from;
    open_.push_back(node);
    for (std::size_t at = 0; at < open_.size(); ++at) {
      last_ = open_[at];
      const auto* const links = level_.links_of(last_);
      for (std::size_t i = 0; i < level_.degree && links[i] < level_.nodes; ++i) {
        if (has(links[i])) continue;
        from_[links[i]] = last_;
        open_.push_back(links[i]);
      }
    }
    open_.clear();
  }

 private:
  HnswLevel level_;
  std::vector<std::uint32_t> from_, open_;
  std::uint32_t last_ = 0;
};

/// Links every node of a level that cannot be come to from `root` to one that can, as near a one by `apart` as a short walk finds, in the place of the link
/// that is the farthest by `space` of those that no other node hangs on. step() is called after each that had to be. One thread; the same links give the same
/// ones. Others may walk through what Links gives as atomic words.
template <class Links, class Space, class Step>
void connect(Links& links, std::size_t l, std::uint32_t root, const Space& space, const Space& apart, HnswScratch& scratch, Step&& step) {
  const HnswLevel level = links.level(l);
  HnswReach reach(level, root);
  std::uint64_t distances = 0;
  for (std::uint32_t node = 0; node < level.nodes; ++node) {
    if (reach.has(node)) continue;
    const auto query = apart.query(level.row(node));
    walk(level, query, root, level.degree, scratch, distances);  // comes to none but those that it can
    const auto place = [&](std::uint32_t from) {
      auto* const all = links.links_of(l, from);
      std::uint32_t* best = nullptr;
      float farthest = 0;
      const auto of_from = space.query(level.row(from));
      for (std::size_t i = 0; i < level.degree; ++i) {
        if (all[i] == no_link) return all + i;
        if (reach.hangs_on(from, all[i])) continue;
        const auto distance = of_from.at(level.row(all[i]));
        if (best == nullptr || distance > farthest) best = all + i, farthest = distance;
      }
      return best;
    };
    auto from = reach.last();
    std::uint32_t* to = nullptr;
    for (std::size_t i = 0; i < scratch.pool.size() && to == nullptr; ++i) {
      to = place(scratch.pool[i].node);
      if (to != nullptr) from = scratch.pool[i].node;
    }
    if (to == nullptr) to = place(from);
    __atomic_store_n(to, node, __ATOMIC_RELEASE);
    reach.add(from, node);
    step();
  }
}

}  // namespace quiver::detail
