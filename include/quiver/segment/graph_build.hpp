// The vectors of rows that an index is built over, in memory, and the building.
#pragma once

#include <quiver/index/codes_block.hpp>
#include <quiver/index/hnsw_block.hpp>
#include <quiver/index/hnsw_merge.hpp>
#include <quiver/index/hnsw_rows.hpp>
#include <quiver/segment/merge.hpp>
#include <quiver/storage/anonymous_memory.hpp>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

namespace quiver::detail {

static_assert(Hnsw::max_m == max_hnsw_m);  // index/ does not know the schema

/// About the bytes that building the index of a field takes for each row: its links on all levels, a lock, what tells whether walks come to it and which row
/// of a graph that is gone on with it was, what each thread has seen, its norm or distance to itself, and where it is copied, the vector.
[[nodiscard]] constexpr std::uint64_t index_build_bytes(const VectorField& field, const Hnsw& hnsw, std::size_t threads, bool copied) noexcept {
  const auto above = (4 * hnsw.m + 16 + hnsw.m - 2) / (hnsw.m - 1);  // a row is on 1 / (m - 1) levels above the ground on average
  return 8 * hnsw.m + above + 32 + (threads + 4) / 5 + 4 + (copied ? field.dimension() * element_bytes(field.element()) : 0);
}

/// The rows of a field in a range of the live ones of some parts, if they are one behind the other in memory.
template <StoragePolicy P>
[[nodiscard]] std::optional<FlatRows> rows_in_place(std::size_t field, typename LiveCursor<P>::Parts parts, const DeleteSet& deletes, const LiveRange& range) {
  if (parts.size() != 1 || deletes.any(parts.front()->first(), parts.front()->last())) return {};
  const auto all = parts.front()->vectors(field).in_memory();
  if (!all || range.first > all->count || range.rows > all->count - range.first) return {};
  return all->part(static_cast<std::size_t>(range.first), static_cast<std::size_t>(range.rows));
}

/// One vector field of the rows of a range, dense and in their order: as they are where rows_in_place() has them, else a copy, of element_bytes x dimension a
/// row. Refers to the parts. Immutable.
template <StoragePolicy P>
class GraphRows {
 public:
  /// corruption: there are fewer rows.
  GraphRows(const typename P::Store& store, const VectorField& vector, std::size_t field, typename LiveCursor<P>::Parts parts, const DeleteSet& deletes,
            const LiveRange& range)
      : metric_(vector.metric()), element_(vector.element()), dimension_(vector.dimension()), rows_(static_cast<std::size_t>(range.rows)) {
    in_place_ = rows_in_place<P>(field, parts, deletes, range);
    std::vector<float> room;
    if (metric_ == Metric::cosine && !(in_place_ && in_place_->inverse_norms != nullptr)) inverse_norms_.resize(rows_);
    if (in_place_) {
      // Perhaps written under another metric.
      for (std::size_t row = 0; row < inverse_norms_.size(); ++row) inverse_norms_[row] = inverse_norm({in_place_->floats(row, 1, room), dimension_});
      return;
    }
    values_.resize(rows_ * dimension_ * element_bytes(element_));
    LiveCursor<P> cursor(store, parts, deletes, range);
    auto scope = store.read_scope();
    for (std::size_t row = 0; row < rows_; ++row) {
      if (!cursor.next()) fail(Errc::corruption, store.path(), "the segments hold fewer rows than the manifest says");
      scope.renew();
      const auto values = cursor.part().vectors(field).row(scope, cursor.row());
      std::copy(values.begin(), values.end(), values_.data() + row * values.size());
      if (metric_ == Metric::cosine) inverse_norms_[row] = inverse_norm({this->rows().floats(row, 1, room), dimension_});
    }
  }
  [[nodiscard]] Metric metric() const noexcept { return metric_; }
  [[nodiscard]] FlatRows rows() const noexcept {
    if (in_place_ && inverse_norms_.empty()) return *in_place_;
    return {in_place_ ? in_place_->rows : values_.data(), inverse_norms_.empty() ? nullptr : inverse_norms_.data(), rows_, dimension_, element_};
  }

 private:
  Metric metric_;
  Element element_;
  std::size_t dimension_, rows_;
  std::optional<FlatRows> in_place_;
  AnonymousMemory values_;
  std::vector<float> inverse_norms_;  // cosine only, where they are not in place too
};

/// Builds a graph over the rows, from `origin` if there is one, and writes it. step(rows) is called by this thread alone, and may throw, which ends it.
template <class Draft, StoragePolicy P, class Step>
[[nodiscard]] FileIdentity write_graph(Draft& draft, const GraphRows<P>& vectors, const HnswBuildParameters& parameters,
                                       const std::optional<HnswOrigin>& origin, std::size_t threads, Step&& step) {
  const auto self = std::this_thread::get_id();
  std::atomic<std::uint64_t> done{0};
  const auto each = [&] {
    done.fetch_add(1, std::memory_order_relaxed);
    if (std::this_thread::get_id() == self) step(done.exchange(0, std::memory_order_relaxed));
  };
  const FlatRowSpace space(vectors.metric(), vectors.rows());
  const auto links = origin ? HnswMerger(space, parameters, *origin).build(threads, each) : HnswBuilder(space, parameters).build(threads, each);
  step(done.load());
  return write_hnsw_block(draft, links.graph(), parameters);
}

/// Writes the codes of the rows. step(rows) may throw, which ends it. REQUIRES: a type that is not NoQuantizer.
template <class Draft, StoragePolicy P, class Step>
[[nodiscard]] FileIdentity write_codes(Draft& draft, const QuantizerType& type, const GraphRows<P>& vectors, Step&& step) {
  if (std::holds_alternative<Float16>(type)) return write_codes_block<Float16Quantizer>(draft, vectors.metric(), vectors.rows(), step);
  if (std::holds_alternative<Sq4>(type)) return write_codes_block<Sq4Quantizer>(draft, vectors.metric(), vectors.rows(), step);
  return write_codes_block<Sq8Quantizer>(draft, vectors.metric(), vectors.rows(), step);
}

}  // namespace quiver::detail
