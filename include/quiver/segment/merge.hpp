// The rows of several parts that are not deleted, as one run of rows to write new blocks from.
#pragma once

#include <quiver/columns/cell.hpp>
#include <quiver/ids/delete_set.hpp>
#include <quiver/segment/part.hpp>

#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace quiver::detail {

/// Some of the live rows of some parts, which are numbered in their order.
struct LiveRange {
  std::uint64_t first = 0, rows = ~std::uint64_t{0};
  bool last = true;  // there are none behind them
};

/// Goes from one live row of a range to the next, in doc-id order. Refers to all it is given. One thread.
template <StoragePolicy P>
class LiveCursor {
 public:
  using Parts = std::span<const std::shared_ptr<const Part<P>>>;

  LiveCursor(const typename P::Store& store, Parts parts, const DeleteSet& deletes, const LiveRange& range = {})
      : parts_(parts), deletes_(&deletes), scope_(store.read_scope()) {
    enter();
    for (auto skipped = range.first; skipped != 0 && next(); --skipped) {
    }
    left_ = range.rows;
  }

  /// Moves to the next row, the first time to the first; false: there is none.
  bool next() {
    if (left_ == 0) return false;
    --left_;
    for (row_ = started_ ? row_ + 1 : 0, started_ = true; part_ < parts_.size(); ++part_, row_ = 0, enter()) {
      for (; row_ < parts_[part_]->rows(); ++row_) {
        if (!holes_) return true;
        scope_.renew();
        if (!deletes_->contains(parts_[part_]->doc_id(scope_, row_))) return true;
      }
    }
    return false;
  }
  // REQUIRES for both: next() was true.
  [[nodiscard]] const Part<P>& part() const noexcept { return *parts_[part_]; }
  [[nodiscard]] std::uint64_t row() const noexcept { return row_; }

 private:
  void enter() { holes_ = part_ < parts_.size() && deletes_->any(parts_[part_]->first(), parts_[part_]->last()); }

  Parts parts_;
  const DeleteSet* deletes_;
  typename P::ReadScope scope_;
  std::size_t part_ = 0;
  std::uint64_t row_ = 0, left_ = ~std::uint64_t{0};
  bool started_ = false;
  bool holes_ = false;  // in this part
};

/// A stretch of live rows at a time, as a column source for a writer that copies what it is given: what it hands out lives until it is asked again.
template <StoragePolicy P>
class LiveWindow {
 public:
  LiveWindow(const typename P::Store& store, typename LiveCursor<P>::Parts parts, const DeleteSet& deletes, const LiveRange& range = {})
      : cursor_(store, parts, deletes, range), scope_(store.read_scope()) {}

  /// Takes the next rows, up to `most`, in place of those before; false: there are no more.
  bool fill(std::uint64_t most) {
    places_.clear();
    while (places_.size() < most && cursor_.next()) places_.emplace_back(&cursor_.part(), cursor_.row());
    return !places_.empty();
  }

  [[nodiscard]] std::uint64_t rows() const noexcept { return places_.size(); }
  [[nodiscard]] std::string_view key(std::uint64_t row) const {
    return at(row, [this](const Part<P>& part, std::uint64_t r) { return part.scalars().key(scope_, r); });
  }
  [[nodiscard]] DocId doc_id(std::uint64_t row) const {
    return at(row, [this](const Part<P>& part, std::uint64_t r) { return part.doc_id(scope_, r); });
  }
  [[nodiscard]] Cell cell(std::size_t column, std::uint64_t row) const {
    return at(row, [&](const Part<P>& part, std::uint64_t r) { return part.scalars().cell(scope_, column, r); });
  }

 private:
  template <class Read>
  auto at(std::uint64_t row, Read&& read) const {
    const auto& [part, r] = places_[static_cast<std::size_t>(row)];
    scope_.renew();
    return read(*part, r);
  }

  LiveCursor<P> cursor_;
  mutable typename P::ReadScope scope_;
  std::vector<std::pair<const Part<P>*, std::uint64_t>> places_;
};

}  // namespace quiver::detail
