// What a change of metric makes of files: those without norms are written anew for cosine, under which no document may be without a direction.
#pragma once

#include <quiver/collection/flush.hpp>
#include <quiver/index/flat_block.hpp>
#include <quiver/schema/element.hpp>
#include <quiver/segment/part.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace quiver::detail {

/// True if a vector field has another metric in `now`. REQUIRES: the same fields in both.
[[nodiscard]] inline bool other_metric(const Schema& before, const Schema& now) {
  const auto same = [](const VectorField& a, const VectorField& b) { return a.metric() == b.metric(); };
  return !std::equal(before.vectors().begin(), before.vectors().end(), now.vectors().begin(), same);
}

/// True if vector field `i` of a part of a version with the schema `before` is to get norms for `now`.
template <StoragePolicy P>
[[nodiscard]] bool lacks_norms(const Part<P>& part, const Schema& before, const Schema& now, std::size_t i) {
  return now.vectors()[i].metric() == Metric::cosine && before.vectors()[i].metric() != Metric::cosine && !part.vectors(i).holds_norms();
}
/// True if any is.
template <StoragePolicy P>
[[nodiscard]] bool lacks_norms(const Part<P>& part, const Schema& before, const Schema& now) {
  for (std::size_t i = 0; i < now.vectors().size(); ++i)
    if (lacks_norms(part, before, now, i)) return true;
  return false;
}

/// True if a stored vector has no direction. `room` is overwritten.
[[nodiscard]] inline bool is_zero(const VectorField& field, ByteSpan stored, std::vector<float>& room) {
  room.resize(field.dimension());
  load_elements(field.element(), stored, room);
  return std::all_of(room.begin(), room.end(), [](float x) { return x == 0; });
}
/// Throws the error of a document that lives and has such a vector.
template <StoragePolicy P>
[[noreturn]] void refuse_zero(const typename P::Store& store, const Part<P>& part, std::uint64_t row, const VectorField& field) {
  auto scope = store.read_scope();
  fail(Errc::invalid_vector, store.path(),
       "document " + quote(part.scalars().key(scope, row)) + ": vector field " + quote(field.name()) +
           ": a vector of zeros has no direction, which cosine needs; erase or update the document and change the metric then, nothing was changed");
}

/// Writes vector field `i` of a part, all its rows, with norms. Rows of zeros that are in `deletes` are written like others, and their ids appended to `zeros`;
/// step() is called for each row. invalid_vector: there is one that lives. REQUIRES: the file matches its checksums.
template <class Draft, StoragePolicy P, class Step>
[[nodiscard]] FileIdentity write_measured(Draft& to, const typename P::Store& store, const Part<P>& part, const VectorField& field, std::size_t i,
                                          const DeleteSet& deletes, std::vector<DocId>& zeros, Step&& step) {
  auto scope = store.read_scope();
  std::vector<float> numbers;
  std::uint64_t checked = 0;
  return write_flat_block(to, Metric::cosine, {field.dimension(), field.element()}, part.rows(), [&](std::uint64_t row) {
    scope.renew();
    const auto stored = part.vectors(i).row(scope, row);
    // Every row is asked for twice, the second time for its norm.
    if (row < checked) return stored.data();
    checked = row + 1;
    step();
    if (!is_zero(field, stored, numbers)) return stored.data();
    const auto id = part.doc_id(scope, row);
    if (!deletes.contains(id)) refuse_zero<P>(store, part, row, field);
    zeros.push_back(id);
    return stored.data();
  });
}

/// Writes what was flushed while the rest of the change was made, too, and makes `next`, which the change was applied to, name it. What is read is compared
/// with its checksums first. invalid_vector as write_measured(). REQUIRES: nobody else takes numbers meanwhile.
template <WritableStoragePolicy P>
[[nodiscard]] std::vector<typename P::Draft> draft_measured(typename P::Store& store, const OpenVersion<P>& before, Version& next, NextNumbers& numbers) {
  const KeptNumbers kept(numbers, next);
  std::vector<typename P::Draft> drafts;
  std::vector<DocId> zeros;  // stay deleted: nobody writes meanwhile
  const auto step = 1 + next.schema.vectors().size();
  auto from = before.parts.begin();
  for (auto& segment : next.segments)
    for (std::size_t at = 0; at + step <= segment.blocks.size(); at += step) {
      const auto part = std::find_if(from, before.parts.end(), [&](const auto& each) { return each->files().scalar == segment.blocks[at].file; });
      if (part == before.parts.end()) continue;
      from = part;
      for (std::size_t i = 0; i + 1 < step; ++i) {
        auto& block = segment.blocks[at + 1 + i];
        if (block.file != (*part)->files().vectors[i] || !lacks_norms(**part, before.manifest.schema, next.schema, i)) continue;
        auto scope = std::as_const(store).read_scope();
        (*part)->vectors(i).block().verify(scope);
        auto name = block_name({segment.id, next.next_block++, BlockType::vector_index});
        drafts.push_back(store.create(name));
        block.file = {std::move(name), write_measured(drafts.back(), store, **part, next.schema.vectors()[i], i, before.deletes, zeros, [] {})};
      }
    }
  return drafts;
}

}  // namespace quiver::detail
