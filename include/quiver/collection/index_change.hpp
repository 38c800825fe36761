// What create_index() changes: the schema, and which graphs and codes still belong to it.
#pragma once

#include <quiver/collection/options.hpp>
#include <quiver/index/hnsw_graph.hpp>
#include <quiver/manifest/version.hpp>
#include <quiver/segment/part.hpp>

#include <algorithm>
#include <atomic>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace quiver::detail {

/// The graph that `rows` rows of a field are to have; null: none.
[[nodiscard]] inline const Hnsw* graph_of(const VectorField& field, std::uint64_t rows) noexcept {
  return rows < max_hnsw_rows ? std::get_if<Hnsw>(&field.index()) : nullptr;
}
/// True if they are to have codes.
[[nodiscard]] inline bool with_codes(const VectorField& field, std::uint64_t rows) noexcept {
  return graph_of(field, rows) != nullptr && !std::holds_alternative<NoQuantizer>(field.quantizer());
}
/// True if a block of the segment is to have a graph or codes and has none.
[[nodiscard]] inline bool lacks_index(const Schema& schema, const SegmentRef& segment) {
  return std::any_of(segment.blocks.begin(), segment.blocks.end(), [&](const BlockRef& block) {
    const auto* field = block.type == BlockType::vector_index ? schema.find_vector(block.field) : nullptr;
    if (field == nullptr) return false;
    return (block.graph.name.empty() && graph_of(*field, block.rows) != nullptr) || (block.codes.name.empty() && with_codes(*field, block.rows));
  });
}

/// A segment of a version with the schema `before`, without those graphs and codes that are not what `now` asks for. REQUIRES: the same fields in both.
[[nodiscard]] inline SegmentRef fitted(SegmentRef segment, const Schema& before, const Schema& now) {
  for (auto& block : segment.blocks) {
    if (block.type != BlockType::vector_index) continue;
    const auto* const old = before.find_vector(block.field);
    const auto* const field = now.find_vector(block.field);
    const auto* const was = std::get_if<Hnsw>(&old->index());
    const auto* const is = std::get_if<Hnsw>(&field->index());
    const bool same_rows = old->metric() == field->metric() && is != nullptr;
    if (!same_rows || was == nullptr || was->m != is->m || was->ef_construction != is->ef_construction) block.graph = {};
    if (!same_rows || old->quantizer() != field->quantizer()) block.codes = {};
  }
  return segment;
}

/// The schemas that a collection has had, of which references are out. One thread holds and uses, any number ask.
class SchemaHistory {
 public:
  explicit SchemaHistory(const Schema& first) : all_{first}, now_(&all_.back()) {}
  [[nodiscard]] const Schema& now() const noexcept { return *now_.load(std::memory_order_acquire); }
  /// Makes use() of this one possible.
  void hold(const Schema& next) {
    if (std::find(all_.begin(), all_.end(), next) == all_.end()) all_.push_back(next);
  }
  /// REQUIRES: it is held.
  void use(const Schema& next) noexcept {
    if (next != now()) now_.store(&*std::find(all_.begin(), all_.end(), next), std::memory_order_release);
  }

 private:
  std::deque<Schema> all_;
  std::atomic<const Schema*> now_;
};

/// A schema with index, quantizer or metric of one vector field changed. invalid_argument: there is no such field, or the schema refuses it.
[[nodiscard]] inline Schema with_index(const Schema& schema, std::string_view name, const IndexSpec& spec) {
  auto vectors = schema.vectors();
  auto* const field = &vectors[vector_ordinal(schema, name)];
  if (spec.metric) field->metric(*spec.metric);
  if (spec.index) field->index(*spec.index);
  if (spec.quantizer)
    field->quantizer(*spec.quantizer);
  else if (std::holds_alternative<Flat>(field->index()))
    field->quantizer(NoQuantizer{});  // codes are of no use without a graph
  return Schema(schema.fields(), std::move(vectors));
}

}  // namespace quiver::detail
