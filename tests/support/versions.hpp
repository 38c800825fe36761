// Versions with fixed ids and times, for tests of the manifest and its golden files.
#pragma once

#include <quiver/manifest/version.hpp>

#include <utility>

namespace quiver::test {

inline detail::FileRef file_ref(std::string name, std::uint64_t low, std::uint64_t length) {
  return {std::move(name), {FileId{low, 0xA0A1A2A3A4A5A6A7ull}, length, low * 0x0101010101010101ull}};
}

// One flush of `rows` documents from `first` on: the scalar block and one block per vector field, numbered from `block` on, which is advanced.
inline void add_flush(detail::Version& version, detail::SegmentRef& segment, std::uint64_t first, std::uint64_t rows) {
  const auto add = [&](detail::BlockType type, const std::string& field) {
    const auto number = version.next_block++;
    const detail::BlockName name{segment.id, number, type};
    segment.blocks.push_back({type, field, file_ref(detail::block_name(name), number + 1, 4096 * (number + 1)), rows, DocId{first}, DocId{first + rows - 1}});
  };
  add(detail::BlockType::scalar, {});
  for (const auto& vector : version.schema.vectors()) add(detail::BlockType::vector_index, vector.name());
  const auto run = version.next_run++;
  version.id_runs.push_back(file_ref(detail::run_name(run), 0x10000 + run, 1000 + run));
  version.next_doc_id = first + rows;
  version.documents += rows;
}

// One field, one vector field, one flush of three documents; no log, no deletes.
inline detail::Version small_version() {
  detail::Version v;
  v.number = 2;
  v.parent = 1;
  v.store_id = {0x1112131415161718ull, 0x2122232425262728ull};
  v.time = 1'700'000'000'000'000;
  v.schema = Schema({Field("year", FieldType::int32, true, false)}, {VectorField("v", 4).metric(Metric::cosine)});
  v.next_doc_id = 1;
  v.next_segment = 1;
  detail::SegmentRef segment{SegmentId{0}, false, {}};
  add_flush(v, segment, 1, 3);
  v.segments.push_back(std::move(segment));
  v.flush_bytes = 64 << 20;
  v.segment_rows = 1'000'000;
  v.retain_versions = 2;
  v.library_version = "0.1.0";
  v.retained = {{1, 1'699'999'999'000'000, 0}};
  return v;
}

// The collection of the README's worked example: as small_version(), under a log, with one of the three documents deleted.
inline detail::Version small_logged_version() {
  auto v = small_version();
  v.number = 3;
  v.parent = 2;
  v.time += 2'000'000;
  v.documents = 2;
  v.retained = {{1, 1'699'999'999'000'000, 0, false}, {2, 1'700'000'000'000'000, 0, true}};
  v.log = {3, {0x3132333435363738ull, 0x4142434445464748ull}};
  v.last_sequence = 5;
  v.durability = Durability::buffered;
  v.deletes = {file_ref(detail::deletes_name(1), 0x20001, 512), 1};
  v.next_deletes = 2;
  return v;
}

// Every field type, two vector fields, two segments, several flushes, a preferred policy; no log, no deletes.
inline detail::Version large_version() {
  detail::Version v;
  v.number = 42;
  v.parent = 41;
  v.store_id = {7, 9};
  v.time = 1'750'000'000'123'456;
  v.schema = Schema({Field("flag", FieldType::boolean, false, false), Field("i32", FieldType::int32, false, true), Field("i64", FieldType::int64, true, false),
                     Field("u32", FieldType::uint32, true, true), Field("u64", FieldType::uint64, false, false), Field("f32", FieldType::float32, false, false),
                     Field("f64", FieldType::float64, true, false), Field("title", FieldType::string, true, true),
                     Field("genres", FieldType::strings, false, true), Field("raw", FieldType::bytes, true, false)},
                    {VectorField("small", 1).metric(Metric::l2), VectorField("large", 65536).metric(Metric::inner_product)});
  v.next_segment = 9;
  detail::SegmentRef sealed{SegmentId{3}, true, {}};
  add_flush(v, sealed, 1, 100);
  add_flush(v, sealed, 101, 50);
  detail::SegmentRef writing{SegmentId{8}, false, {}};
  add_flush(v, writing, 151, 1);
  v.segments = {sealed, writing};
  v.next_doc_id = 200;
  v.flush_bytes = 1 << 20;
  v.segment_rows = 150;
  v.retain_versions = 3;
  v.retain_age_seconds = 3600;
  v.preferred_policy = "checked_mmap";
  v.library_version = "0.1.0";
  v.retained = {{38, -5, 100}, {41, 1'740'000'000'000'000, 150}};
  return v;
}

// As large_version(), continuing its parent under a log; numbers beyond six digits, and more than one retained version that continues.
inline detail::Version large_logged_version() {
  auto v = large_version();
  v.number = 43;
  v.parent = 42;
  v.time += 1;
  v.documents = 100;
  v.retained = {{38, -5, 100, false}, {40, 6, 120, true}, {41, 1'740'000'000'000'000, 150, false}, {42, 1'750'000'000'123'456, 100, true}};
  v.log = {1'000'012, {0x5152535455565758ull, 0}};
  v.last_sequence = 0x0102030405060708ull;
  v.durability = Durability::none;
  v.continues = true;
  v.deletes = {file_ref(detail::deletes_name(1'000'031), 0x30001, 8192), 51};
  v.next_deletes = 1'000'040;
  return v;
}

// As large_logged_version(), both vector fields with an index, and graphs of some of their blocks.
inline detail::Version indexed_version() {
  auto v = large_logged_version();
  v.number = 44;
  v.parent = 43;
  v.continues = false;
  auto vectors = v.schema.vectors();
  vectors[0].index(Hnsw{.m = 2, .ef_construction = 65'535, .ef = 1});
  vectors[1].index(Hnsw{.m = 128, .ef_construction = 1, .ef = 1'000'000});
  v.schema = Schema(v.schema.fields(), std::move(vectors));
  for (const auto& [segment, block] : {std::pair{0u, 1u}, {0u, 5u}, {1u, 2u}}) {
    auto& to = v.segments[segment];
    const auto number = v.next_block++;
    to.blocks[block].graph = file_ref(detail::block_name({to.id, number, detail::BlockType::vector_graph}), 0x40001 + number, 4096);
  }
  return v;
}

// As indexed_version(), the second vector field with a quantizer, and codes of one block that has a graph and of one that has none.
inline detail::Version quantized_version() {
  auto v = indexed_version();
  v.number = 45;
  v.parent = 44;
  auto vectors = v.schema.vectors();
  vectors[1].quantizer(Sq8{});
  v.schema = Schema(v.schema.fields(), std::move(vectors));
  for (const auto& [segment, block] : {std::pair{0u, 2u}, {0u, 5u}}) {
    auto& to = v.segments[segment];
    const auto number = v.next_block++;
    to.blocks[block].codes = file_ref(detail::block_name({to.id, number, detail::BlockType::vector_quant}), 0x50001 + number, 4096);
  }
  return v;
}

// As quantized_version(), of which the second vector field stores halves.
inline detail::Version halves_version() {
  auto v = quantized_version();
  v.number = 46;
  v.parent = 45;
  auto vectors = v.schema.vectors();
  vectors[1].element(Element::float16);
  v.schema = Schema(v.schema.fields(), std::move(vectors));
  return v;
}

}  // namespace quiver::test
