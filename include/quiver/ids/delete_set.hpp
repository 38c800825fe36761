// Which documents are deleted, as an immutable value.
#pragma once

#include <quiver/core/types.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace quiver::detail {

/// The bits of 32,768 neighbouring document ids. Id i of the piece is bit i % 64 of word i / 64: in bytes, bit i % 8 of byte i / 8, as in Arrow.
struct DeletePiece {
  static constexpr int shift = 15;
  static constexpr std::uint64_t ids = std::uint64_t{1} << shift;
  static constexpr std::size_t bytes = ids / 8;
  static constexpr std::uint64_t last_number = ~std::uint64_t{0} >> shift;  // of the piece that holds the largest id

  std::array<std::uint64_t, ids / 64> words{};
  std::uint64_t count = 0;  // of set bits

  [[nodiscard]] bool test(std::uint64_t i) const noexcept { return (words[static_cast<std::size_t>(i / 64)] >> (i % 64)) & 1u; }
  void set(std::uint64_t i) noexcept { words[static_cast<std::size_t>(i / 64)] |= std::uint64_t{1} << (i % 64); }
  void recount() noexcept {
    count = 0;
    for (const auto word : words) count += static_cast<std::uint64_t>(std::popcount(word));
  }

  /// Calls f(first id of the word, its bits between `low` and `high`) -> bool for the words that hold any, until it returns true; returns whether it did.
  template <class F>
  bool words_between(std::uint64_t low, std::uint64_t high, F&& f) const {
    for (auto w = low / 64; w <= high / 64; ++w) {
      auto word = words[static_cast<std::size_t>(w)];
      if (w == low / 64) word &= ~std::uint64_t{0} << (low % 64);
      if (w == high / 64) word &= ~std::uint64_t{0} >> (63 - high % 64);
      if (word != 0 && f(w * 64, word)) return true;
    }
    return false;
  }
};

/// Which document ids are deleted. An immutable value: a change makes a new set, which shares with the old one every piece that the change does not touch. A
/// copy is one pointer. Pieces of 32,768 ids hang in nodes of 64, nodes in a short root; pieces and nodes without a set bit do not exist, so memory follows the
/// ids that are set, whatever their values. Any number of threads may read one set; copies may be made, changed and dropped by any thread.
class DeleteSet {
 public:
  class Builder;

  /// The empty set.
  DeleteSet() noexcept = default;

  /// Whether the document is deleted. O(1) where the nodes from the first to this one are all there, else one binary search among the nodes.
  [[nodiscard]] bool contains(DocId id) const noexcept {
    if (!root_) return false;
    const auto* node = root_->find(id.value >> node_shift);
    if (node == nullptr) return false;
    const auto* piece = node->pieces[static_cast<std::size_t>((id.value >> DeletePiece::shift) % pieces_per_node)].get();
    return piece != nullptr && piece->test(id.value % DeletePiece::ids);
  }

  [[nodiscard]] bool empty() const noexcept { return !root_; }
  /// How many documents are deleted. O(1).
  [[nodiscard]] std::uint64_t size() const noexcept { return root_ ? root_->count : 0; }

  /// Whether any document from `first` to `last`, both included, is deleted. Skips what is not there.
  [[nodiscard]] bool any(DocId first, DocId last) const noexcept {
    for (const auto& entry : nodes_between(first, last))
      if (entry.within(first, last) || pieces_between(entry, first, last, [](std::uint64_t, const DeletePiece& piece, std::uint64_t low, std::uint64_t high) {
            return piece.words_between(low, high, [](std::uint64_t, std::uint64_t) { return true; });
          }))
        return true;
    return false;
  }

  /// How many documents from `first` to `last`, both included, are deleted. Looks at words only in the pieces at both ends.
  [[nodiscard]] std::uint64_t count(DocId first, DocId last) const noexcept {
    std::uint64_t sum = 0;
    for (const auto& entry : nodes_between(first, last)) {
      if (entry.within(first, last)) {
        sum += entry.node->count;
        continue;
      }
      pieces_between(entry, first, last, [&](std::uint64_t, const DeletePiece& piece, std::uint64_t low, std::uint64_t high) {
        if (low == 0 && high == DeletePiece::ids - 1) {
          sum += piece.count;
          return false;
        }
        return piece.words_between(low, high, [&](std::uint64_t, std::uint64_t word) {
          sum += static_cast<std::uint64_t>(std::popcount(word));
          return false;
        });
      });
    }
    return sum;
  }

  /// The set with these ids added: in any order, repeated or deleted already. Copies each piece and node that gains a bit once, and the root; shares all if
  /// there is nothing new. O(n log n) in the ids. bad_alloc: nothing has changed.
  [[nodiscard]] DeleteSet with(std::span<const DocId> ids) const {
    std::vector<DocId> fresh;
    for (const auto id : ids)
      if (!contains(id)) fresh.push_back(id);
    if (fresh.empty()) return *this;
    std::sort(fresh.begin(), fresh.end());
    fresh.erase(std::unique(fresh.begin(), fresh.end()), fresh.end());

    const auto old = entries();
    auto root = std::make_shared<Root>();
    root->nodes.reserve(old.size() + 1);
    root->count = size() + fresh.size();
    auto next = old.begin();
    for (auto at = fresh.begin(); at != fresh.end();) {
      const auto number = at->value >> node_shift;
      while (next != old.end() && next->number < number) root->nodes.push_back(*next++);
      const bool known = next != old.end() && next->number == number;
      auto node = known ? std::make_shared<Node>(*next++->node) : std::make_shared<Node>();
      while (at != fresh.end() && at->value >> node_shift == number) {
        const auto piece_number = at->value >> DeletePiece::shift;
        auto& place = node->pieces[static_cast<std::size_t>(piece_number % pieces_per_node)];
        auto piece = place ? std::make_shared<DeletePiece>(*place) : std::make_shared<DeletePiece>();
        for (; at != fresh.end() && at->value >> DeletePiece::shift == piece_number; ++at) {
          piece->set(at->value % DeletePiece::ids);
          ++piece->count;
          ++node->count;
        }
        place = std::move(piece);
      }
      root->nodes.push_back({number, std::move(node)});
    }
    root->nodes.insert(root->nodes.end(), next, old.end());
    return DeleteSet(std::move(root));
  }

  /// The set of those ids for which keep(DocId) is true; keep is asked in ascending order. Shares the pieces that lose nothing, and all if none does.
  template <std::predicate<DocId> Keep>
  [[nodiscard]] DeleteSet filtered(Keep&& keep) const;

  /// The set without those of another.
  [[nodiscard]] DeleteSet without(const DeleteSet& other) const;

  /// Calls f(DocId) for every deleted document, in ascending order.
  template <std::invocable<DocId> F>
  void for_each(F&& f) const {
    for_each(DocId{0}, DocId{~std::uint64_t{0}}, f);
  }
  /// For those from `first` to `last`, both included.
  template <std::invocable<DocId> F>
  void for_each(DocId first, DocId last, F&& f) const {
    for (const auto& entry : nodes_between(first, last))
      pieces_between(entry, first, last, [&](std::uint64_t number, const DeletePiece& piece, std::uint64_t low, std::uint64_t high) {
        return piece.words_between(low, high, [&](std::uint64_t bit, std::uint64_t word) {
          for (; word != 0; word &= word - 1) f(DocId{(number << DeletePiece::shift) + bit + static_cast<std::uint64_t>(std::countr_zero(word))});
          return false;
        });
      });
  }

  /// Calls f(number, piece) for every piece, in ascending order; piece n holds the ids from n * 32,768 on.
  template <std::invocable<std::uint64_t, const std::shared_ptr<const DeletePiece>&> F>
  void for_each_piece(F&& f) const {
    for (const auto& [number, node] : entries())
      for (std::size_t i = 0; i < pieces_per_node; ++i)
        if (node->pieces[i]) f(number * pieces_per_node + i, node->pieces[i]);
  }

  /// Memory in use, about; what other sets share is counted in each.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    constexpr std::uint64_t overhead = 32;  // of one allocation and the counters of its owners
    if (!root_) return 0;
    auto sum = sizeof(Root) + overhead + root_->nodes.capacity() * sizeof(Entry);
    for (const auto& entry : root_->nodes) {
      const auto& pieces = entry.node->pieces;
      const auto there = std::count_if(pieces.begin(), pieces.end(), [](const auto& piece) { return piece != nullptr; });
      sum += sizeof(Node) + overhead + static_cast<std::uint64_t>(there) * (sizeof(DeletePiece) + overhead);
    }
    return sum;
  }

 private:
  static constexpr std::size_t pieces_per_node = 64;
  static constexpr int node_shift = DeletePiece::shift + 6;

  struct Node {
    std::array<std::shared_ptr<const DeletePiece>, pieces_per_node> pieces;  // null: no bit is set
    std::uint64_t count = 0;                                                 // of set bits, at least one
  };
  struct Entry {
    std::uint64_t number;  // of the node: id >> node_shift
    std::shared_ptr<const Node> node;
    [[nodiscard]] std::uint64_t first() const noexcept { return number << node_shift; }
    [[nodiscard]] std::uint64_t last() const noexcept { return first() + ((std::uint64_t{1} << node_shift) - 1); }
    [[nodiscard]] bool within(DocId low, DocId high) const noexcept { return low.value <= first() && last() <= high.value; }
  };
  struct Root {
    std::vector<Entry> nodes;  // at least one; numbers ascend, none twice
    std::uint64_t count = 0;

    [[nodiscard]] const Node* find(std::uint64_t number) const noexcept {
      if (number < nodes.front().number) return nullptr;
      // Numbers ascend by at least one, so this one stands here if no node before it is missing, and further in front if one is.
      const auto here = number - nodes.front().number;
      if (here < nodes.size() && nodes[static_cast<std::size_t>(here)].number == number) return nodes[static_cast<std::size_t>(here)].node.get();
      const auto found = std::ranges::lower_bound(nodes, number, {}, &Entry::number);
      return found != nodes.end() && found->number == number ? found->node.get() : nullptr;
    }
  };

  explicit DeleteSet(std::shared_ptr<const Root> root) noexcept : root_(std::move(root)) {}

  [[nodiscard]] std::span<const Entry> entries() const noexcept { return root_ ? std::span<const Entry>(root_->nodes) : std::span<const Entry>(); }

  // The nodes that hold any id from `first` to `last`.
  [[nodiscard]] std::span<const Entry> nodes_between(DocId first, DocId last) const noexcept {
    const auto all = entries();
    if (first > last) return {};
    const auto begin = std::ranges::lower_bound(all, first.value >> node_shift, {}, &Entry::number);
    const auto end = std::ranges::upper_bound(begin, all.end(), last.value >> node_shift, {}, &Entry::number);
    return {begin, end};
  }

  // Calls f(number, piece, low, high) -> bool for the node's pieces that hold any id of the range, which within the piece reaches from `low` to `high`, until
  // it returns true; returns whether it did.
  template <class F>
  static bool pieces_between(const Entry& entry, DocId first, DocId last, F&& f) {
    const auto low = std::max(first.value, entry.first()), high = std::min(last.value, entry.last());
    const auto first_piece = low >> DeletePiece::shift, last_piece = high >> DeletePiece::shift;
    for (auto number = first_piece; number <= last_piece; ++number)
      if (const auto& piece = entry.node->pieces[static_cast<std::size_t>(number % pieces_per_node)])
        if (f(number, *piece, number == first_piece ? low % DeletePiece::ids : 0, number == last_piece ? high % DeletePiece::ids : DeletePiece::ids - 1))
          return true;
    return false;
  }

  std::shared_ptr<const Root> root_;  // null: nothing is deleted
};

/// Makes a set piece by piece. One thread.
class DeleteSet::Builder {
 public:
  /// Adds a piece. REQUIRES: numbers ascend, up to DeletePiece::last_number; the piece holds a bit, and its count is right.
  void append(std::uint64_t number, std::shared_ptr<const DeletePiece> piece) {
    if (!node_ || node_number_ != number / pieces_per_node) {
      end_node();
      node_ = std::make_shared<Node>();
      node_number_ = number / pieces_per_node;
    }
    node_->count += piece->count;
    root_.count += piece->count;
    node_->pieces[static_cast<std::size_t>(number % pieces_per_node)] = std::move(piece);
  }
  [[nodiscard]] DeleteSet finish() && {
    end_node();
    return root_.nodes.empty() ? DeleteSet() : DeleteSet(std::make_shared<const Root>(std::move(root_)));
  }

 private:
  void end_node() {
    if (node_) root_.nodes.push_back({node_number_, std::move(node_)});
    node_ = nullptr;
  }

  Root root_;
  std::shared_ptr<Node> node_;
  std::uint64_t node_number_ = 0;
};

template <std::predicate<DocId> Keep>
DeleteSet DeleteSet::filtered(Keep&& keep) const {
  Builder builder;
  bool changed = false;
  for_each_piece([&](std::uint64_t number, const std::shared_ptr<const DeletePiece>& piece) {
    std::shared_ptr<DeletePiece> copy;
    piece->words_between(0, DeletePiece::ids - 1, [&](std::uint64_t bit, std::uint64_t word) {
      for (auto left = word; left != 0; left &= left - 1) {
        const auto i = bit + static_cast<std::uint64_t>(std::countr_zero(left));
        if (keep(DocId{(number << DeletePiece::shift) + i})) continue;
        if (!copy) copy = std::make_shared<DeletePiece>(*piece);
        copy->words[static_cast<std::size_t>(i / 64)] &= ~(std::uint64_t{1} << (i % 64));
        --copy->count;
      }
      return false;
    });
    changed = changed || copy;
    if (!copy) builder.append(number, piece);
    if (copy && copy->count != 0) builder.append(number, std::move(copy));
  });
  return changed ? std::move(builder).finish() : *this;
}

inline DeleteSet DeleteSet::without(const DeleteSet& other) const {
  return filtered([&](DocId id) { return !other.contains(id); });
}

}  // namespace quiver::detail
