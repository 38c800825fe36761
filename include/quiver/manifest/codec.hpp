// A Version as the bytes of a manifest file, and back. README.md beside this file shows them byte by byte.
#pragma once

#include <quiver/core/checksum.hpp>
#include <quiver/manifest/archive.hpp>
#include <quiver/manifest/check.hpp>

#include <algorithm>
#include <bit>
#include <new>
#include <optional>
#include <stdexcept>

namespace quiver::detail {

inline constexpr std::uint64_t manifest_magic = 0x314E414D56495551ull;  // "QUIVMAN1"
inline constexpr std::uint32_t manifest_format_version =
    5;  // the newest that is read. 1: without a log, without deletes; 2: without indexes; 3: without codes; 4: floats
inline constexpr std::size_t manifest_frame_size = 40;  // magic, format version, three masks, length, checksum

// The fields of the schema as the manifest holds them.
struct FieldRecord {
  std::string name;
  FieldType type = FieldType::boolean;
  bool nullable = false;
  bool indexed = false;
};
struct VectorRecord {
  std::string name;
  std::uint32_t dimension = 0;
  Metric metric = Metric::l2;
};

// The index of a vector field that has one.
struct IndexRecord {
  std::uint32_t field = 0;  // its ordinal among the vector fields
  std::uint8_t type = 1;    // 1: Hnsw
  std::uint32_t m = 0, ef_construction = 0, ef = 0;
};
// The quantizer of a vector field that has one.
struct QuantizerRecord {
  std::uint32_t field = 0;  // its ordinal among the vector fields
  std::uint8_t type = 1;    // 1: Sq8, 2: Sq4, 3: Float16
};
// What a vector field stores that stores no float32.
struct ElementRecord {
  std::uint32_t field = 0;  // its ordinal among the vector fields
  Element element = Element::float16;
};
// The graph, or the codes, of a vector block that has them.
struct BesideRecord {
  std::uint32_t segment = 0, block = 0;  // where the block stands among the segments, and within its own
  FileRef file;
};

// The fewest bytes that each struct takes in a manifest, with every string and list in it empty.
inline constexpr std::size_t least_field = 8 + 3;
inline constexpr std::size_t least_vector = 8 + 4 + 1;
inline constexpr std::size_t least_file = 8 + 32;
inline constexpr std::size_t least_block = 1 + 8 + least_file + 24;
inline constexpr std::size_t least_segment = 8 + 1 + 8;
inline constexpr std::size_t least_retained = 24;
inline constexpr std::size_t least_index = 4 + 1 + 12;
inline constexpr std::size_t least_quantizer = 4 + 1;
inline constexpr std::size_t least_element = 4 + 1;
inline constexpr std::size_t least_beside = 8 + least_file;

template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, FieldRecord& field) {
  archive(field.name, enum_field(field.type, [](FieldType t) { return t <= FieldType::bytes; }), field.nullable, field.indexed);
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, VectorRecord& field) {
  archive(field.name, field.dimension, enum_field(field.metric, [](Metric m) { return m <= Metric::cosine; }));
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, FileRef& file) {
  archive(file.name, file.identity.id.low, file.identity.id.high, file.identity.length, file.identity.footer_checksum);
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, BlockRef& block) {
  archive(enum_field(block.type, known), block.field, block.file, block.rows, block.first.value, block.last.value);
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, SegmentRef& segment) {
  archive(segment.id.value, segment.sealed, list_field(segment.blocks, least_block));
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, RetainedVersion& version) {
  archive(version.number, version.time, version.documents);
}

template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, IndexRecord& index) {
  archive(index.field, index.type, index.m, index.ef_construction, index.ef);
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, QuantizerRecord& quantizer) {
  archive(quantizer.field, quantizer.type);
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, ElementRecord& element) {
  archive(element.field, enum_field(element.element, [](Element e) { return e <= Element::uint8; }));
}
template <class Archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, BesideRecord& beside) {
  archive(beside.segment, beside.block, beside.file);
}

/// The quantizer of a record's type; nothing where there is none of it.
[[nodiscard]] inline std::optional<QuantizerType> quantizer_of(std::uint8_t type) noexcept {
  switch (type) {
    case 1:
      return Sq8{};
    case 2:
      return Sq4{};
    case 3:
      return Float16{};
    default:
      return std::nullopt;
  }
}

/// What travels apart from the version: the schema, and what an older format does not have.
struct VersionLists {
  std::vector<FieldRecord> fields;
  std::vector<VectorRecord> vectors;
  std::vector<std::uint64_t> continuing;
  std::vector<IndexRecord> indexes;
  std::vector<BesideRecord> graphs;
  std::vector<QuantizerRecord> quantizers;
  std::vector<BesideRecord> codes;
  std::vector<ElementRecord> elements;
};

[[nodiscard]] inline VersionLists lists_of(const Version& version) {
  VersionLists lists;
  for (const auto& f : version.schema.fields()) lists.fields.push_back({f.name(), f.type(), f.is_nullable(), f.is_indexed()});
  for (std::uint32_t i = 0; i < version.schema.vectors().size(); ++i) {
    const auto& f = version.schema.vectors()[i];
    lists.vectors.push_back({f.name(), static_cast<std::uint32_t>(f.dimension()), f.metric()});
    if (const auto* hnsw = std::get_if<Hnsw>(&f.index()))
      lists.indexes.push_back(
          {i, 1, static_cast<std::uint32_t>(hnsw->m), static_cast<std::uint32_t>(hnsw->ef_construction), static_cast<std::uint32_t>(hnsw->ef)});
    for (std::uint8_t type = 1; quantizer_of(type); ++type)
      if (f.quantizer() == *quantizer_of(type)) lists.quantizers.push_back({i, type});
    if (f.element() != Element::float32) lists.elements.push_back({i, f.element()});
  }
  for (const auto& kept : version.retained)
    if (kept.continues) lists.continuing.push_back(kept.number);
  for (std::uint32_t s = 0; s < version.segments.size(); ++s)
    for (std::uint32_t b = 0; b < version.segments[s].blocks.size(); ++b) {
      const auto& block = version.segments[s].blocks[b];
      if (block.graph != FileRef{}) lists.graphs.push_back({s, b, block.graph});
      if (block.codes != FileRef{}) lists.codes.push_back({s, b, block.codes});
    }
  return lists;
}

/// The format that a manifest is written in: the oldest that has room for it.
[[nodiscard]] inline std::uint32_t format_of(const VersionLists& lists) noexcept {
  if (!lists.elements.empty()) return 5;
  if (!lists.quantizers.empty() || !lists.codes.empty()) return 4;
  return lists.indexes.empty() && lists.graphs.empty() ? 2 : 3;
}

/// Gives blocks of a version the files that stand beside them; throws where they are not there, or not in order.
inline void take_beside(const std::vector<BesideRecord>& records, Version& version, FileRef BlockRef::*member) {
  const BesideRecord* before = nullptr;
  for (const auto& record : records) {
    const bool ascends = before == nullptr || before->segment < record.segment || (before->segment == record.segment && before->block < record.block);
    if (!ascends || record.segment >= version.segments.size() || record.block >= version.segments[record.segment].blocks.size() || record.file == FileRef{})
      throw std::invalid_argument("a file beside block " + std::to_string(record.block) + " of segment " + std::to_string(record.segment) +
                                  ", which is not there, or out of order");
    version.segments[record.segment].blocks[record.block].*member = record.file;
    before = &record;
  }
}

/// Puts the lists where they belong. Throws what says that they belong nowhere: what was read is to be written again in the same bytes.
inline void take_lists(VersionLists& lists, Version& version) {
  // In the order of the retained ones and each once.
  auto kept = version.retained.begin();
  for (const auto number : lists.continuing) {
    kept = std::find_if(kept, version.retained.end(), [number](const auto& v) { return v.number == number; });
    if (kept == version.retained.end())
      throw std::invalid_argument("version " + std::to_string(number) + " continues another and is not retained, or is out of order");
    (kept++)->continues = true;
  }
  std::vector<Field> fields;
  fields.reserve(lists.fields.size());
  for (auto& f : lists.fields) fields.emplace_back(std::move(f.name), f.type, f.nullable, f.indexed);
  std::vector<VectorField> vectors;
  vectors.reserve(lists.vectors.size());
  for (const auto& f : lists.vectors) vectors.emplace_back(f.name, f.dimension, f.metric);
  std::uint64_t next = 0;
  for (const auto& index : lists.indexes) {
    if (index.field < next || index.field >= vectors.size() || index.type != 1)
      throw std::invalid_argument("an index of kind " + std::to_string(index.type) + " of vector field " + std::to_string(index.field) + ", or out of order");
    vectors[index.field].index(Hnsw{index.m, index.ef_construction, index.ef});
    next = std::uint64_t{index.field} + 1;
  }
  next = 0;
  for (const auto& quantizer : lists.quantizers) {
    const auto type = quantizer_of(quantizer.type);
    if (quantizer.field < next || quantizer.field >= vectors.size() || !type)
      throw std::invalid_argument("a quantizer of kind " + std::to_string(quantizer.type) + " of vector field " + std::to_string(quantizer.field) +
                                  ", or out of order");
    vectors[quantizer.field].quantizer(*type);
    next = std::uint64_t{quantizer.field} + 1;
  }
  next = 0;
  for (const auto& element : lists.elements) {
    if (element.field < next || element.field >= vectors.size() || element.element == Element::float32)
      throw std::invalid_argument("an element of kind " + std::to_string(static_cast<unsigned>(element.element)) + " of vector field " +
                                  std::to_string(element.field) + ", or out of order");
    vectors[element.field].element(element.element);
    next = std::uint64_t{element.field} + 1;
  }
  version.schema = Schema(std::move(fields), std::move(vectors));
  take_beside(lists.graphs, version, &BlockRef::graph);
  take_beside(lists.codes, version, &BlockRef::codes);
}

/// The payload in the order of the bytes.
template <class Archive, class V>
void transfer(Archive& archive, V& v, VersionLists& lists, std::uint32_t format) {
  archive(v.number, v.parent, v.store_id.low, v.store_id.high, v.time);
  archive(list_field(lists.fields, least_field), list_field(lists.vectors, least_vector));
  archive(list_field(v.segments, least_segment), list_field(v.id_runs, least_file));
  archive(v.next_doc_id, v.next_segment, v.next_block, v.next_run, v.documents);
  archive(v.flush_bytes, v.segment_rows, v.retain_versions, v.retain_age_seconds);
  archive(v.preferred_policy, v.library_version, list_field(v.retained, least_retained));
  if (format < 2) return;
  archive(v.log.number, v.log.id.low, v.log.id.high, v.last_sequence);
  archive(enum_field(v.durability, [](Durability d) { return d <= Durability::none; }), v.continues, list_field(lists.continuing, sizeof(std::uint64_t)));
  archive(v.deletes.file, v.deletes.count, v.next_deletes);
  if (format < 3) return;
  archive(list_field(lists.indexes, least_index), list_field(lists.graphs, least_beside));
  if (format < 4) return;
  archive(list_field(lists.quantizers, least_quantizer), list_field(lists.codes, least_beside));
  if (format < 5) return;
  archive(list_field(lists.elements, least_element));
}

/// The checksum of a whole manifest but its own field: the payload's, seeded with that of the frame before the field.
[[nodiscard]] inline std::uint64_t manifest_checksum(ByteSpan manifest) noexcept {
  return checksum(manifest.subspan(manifest_frame_size), checksum(manifest.first(manifest_frame_size - 8), 0));
}

/// The bytes of a manifest. invalid_argument: the version is one that decode_version would refuse.
[[nodiscard]] inline Bytes encode_version(const Version& version) {
  if (const auto fault = find_fault(version); !fault.empty()) fail(Errc::invalid_argument, "this version cannot be published: " + fault);
  auto lists = lists_of(version);
  ByteOutputArchive out;
  out.write(manifest_magic);
  out.write(format_of(lists));
  out.write(version.features.compat);
  out.write(version.features.ro_compat);
  out.write(version.features.incompat);
  out.write(std::uint64_t{0});
  out.write(std::uint64_t{0});
  transfer(out, version, lists, format_of(lists));
  auto bytes = out.take();
  store<std::uint64_t>(&bytes[24], bytes.size() - manifest_frame_size);
  store(&bytes[32], manifest_checksum(bytes));
  return bytes;
}

/// Checks the frame around a manifest before anything in it is believed, and returns the masks. The frame is the same in every format version.
[[nodiscard]] inline FeatureMasks check_frame(ByteSpan bytes, const std::filesystem::path& path) {
  if (bytes.empty()) fail(Errc::corruption, path, 0, "the manifest is empty; restore the file from a backup");
  if (bytes.size() < manifest_frame_size)
    fail(Errc::corruption, path, bytes.size(),
         "the manifest ends within its frame of " + std::to_string(manifest_frame_size) + " bytes; restore the file from a backup");
  Cursor in(bytes, path);
  if (in.take<std::uint64_t>() != manifest_magic)
    fail(Errc::corruption, path, 0, "this is not a manifest: its magic is missing; restore the file from a backup");
  const auto format = in.take<std::uint32_t>();
  FeatureMasks masks;
  masks.compat = in.take<std::uint32_t>();
  masks.ro_compat = in.take<std::uint32_t>();
  masks.incompat = in.take<std::uint32_t>();
  const auto length = in.take<std::uint64_t>();
  const auto sum = in.take<std::uint64_t>();
  if (length > in.left())
    fail(Errc::corruption, path, bytes.size(),
         "the manifest is cut short: " + std::to_string(length) + " bytes announced, " + std::to_string(in.left()) + " found");
  if (length < in.left())
    fail(Errc::corruption, path, manifest_frame_size + length,
         std::to_string(in.left() - length) + " bytes follow the end of the manifest; restore the file from a backup");
  if (!checksum_matches(manifest_checksum(bytes), sum))
    fail(Errc::corruption, path, 32, "the manifest does not match its checksum; restore the file from a backup");
  if (format == 0) fail(Errc::corruption, path, 8, "format version 0 cannot be");
  if (format > manifest_format_version)
    fail(Errc::version_mismatch, path, 8,
         "manifest format version " + std::to_string(format) + ", this quiver reads up to " + std::to_string(manifest_format_version) + "; use a newer quiver");
  if (const auto unknown = masks.incompat & ~known_features.incompat; unknown != 0)
    fail(Errc::version_mismatch, path, 20,
         "the collection uses feature bit " + std::to_string(std::countr_zero(unknown)) + " (incompat), which this quiver does not know; use a newer quiver");
  return masks;
}

/// A Version from the bytes of a manifest, every field of it checked. `path` is for messages; where its last part is a manifest's name, the number in it must
/// agree. corruption: with path and offset. version_mismatch: a newer quiver wrote it. Memory used is bounded by a small multiple of the bytes.
[[nodiscard]] inline Version decode_version(ByteSpan bytes, const std::filesystem::path& path) {
  const auto masks = check_frame(bytes, path);
  ByteInputArchive in(bytes.subspan(manifest_frame_size));
  const auto broken = [&](const std::string& text) { fail(Errc::corruption, path, manifest_frame_size + in.position(), "manifest: " + text); };
  Version version;
  try {
    VersionLists lists;
    const auto format = load<std::uint32_t>(&bytes[8]);
    transfer(in, version, lists, format);
    in.done();
    if (format > 2 && format != format_of(lists)) throw std::invalid_argument("format version " + std::to_string(format) + " where an older one would do");
    take_lists(lists, version);
  } catch (const std::bad_alloc&) {
    // Every length was bounded before it was used: this is the machine's fault, not the file's.
    fail(Errc::io_error, path, "not enough memory for a manifest of " + std::to_string(bytes.size()) + " bytes");
  } catch (const std::exception& e) {
    broken(e.what());
  }
  version.features = masks;
  if (const auto fault = find_fault(version); !fault.empty()) fail(Errc::corruption, path, manifest_frame_size, "manifest: " + fault);
  if (const auto number = parse_manifest_name(path.filename().string()); number && *number != version.number)
    fail(Errc::corruption, path, manifest_frame_size,
         "this is the manifest of version " + std::to_string(version.number) + " under another's name; restore the file from a backup");
  return version;
}

}  // namespace quiver::detail
