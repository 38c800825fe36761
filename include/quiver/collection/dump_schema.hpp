// schema.json, the file that makes a folder a dump: it is written last, and names all the others. formats/README.md says what stands in it.
#pragma once

#include <quiver/collection/dump_files.hpp>
#include <quiver/core/version.hpp>
#include <quiver/formats/binary_text.hpp>
#include <quiver/formats/json.hpp>
#include <quiver/manifest/check.hpp>
#include <quiver/schema/schema.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::detail {

inline constexpr std::string_view dump_format_name = "quiver-dump";
inline constexpr std::uint64_t dump_format_version = 1;
inline constexpr std::string_view dump_schema_name = "schema.json";
inline constexpr std::string_view dump_documents_name = "documents.jsonl";
inline constexpr std::array<std::string_view, 3> durability_names{"sync", "buffered", "none"};  // by number
inline constexpr std::array<std::string_view, 3> dumped_quantizers{"float16", "sq8", "sq4"};    // as they stand in QuantizerType, behind NoQuantizer

/// The file of vector field `ordinal`, vectors-000.npy: a field's own name may be none that a file system takes.
[[nodiscard]] inline std::string dump_vectors_name(std::size_t ordinal) {
  auto number = std::to_string(ordinal);
  if (number.size() < 3) number.insert(0, 3 - number.size(), '0');
  return "vectors-" + number + ".npy";
}

/// What stands in schema.json. Options that are not there are unset; no files: none were named.
struct DumpInfo {
  std::uint64_t documents = 0;
  Schema schema;
  std::optional<Durability> durability;
  std::optional<std::size_t> flush_bytes, segment_rows;
  std::optional<std::uint64_t> retain_versions;
  std::optional<std::int64_t> retain_age_seconds;
  std::optional<std::string> preferred_policy;
  std::vector<DumpedFile> files;  // documents.jsonl, then the vectors' in the schema's order
};

/// The bytes of the file. REQUIRES: every option is set.
[[nodiscard]] inline std::string encode_dump_info(const DumpInfo& info) {
  std::string out = "{\n";
  const auto text = [&out](std::string_view value) { append_json_string(out, value); };
  const auto key = [&](std::string_view name, std::string_view before = ", ") {
    out += before;
    text(name);
    out += ": ";
  };
  // Calls one(item, i) for each, a line each.
  const auto list = [&](std::string_view name, const auto& items, auto&& one) {
    key(name, "  ");
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      out += i == 0 ? "\n    " : ",\n    ";
      one(items[i], i);
      out += '}';
    }
    out += items.empty() ? "],\n" : "\n  ],\n";
  };
  const auto boolean = [&out](bool value) { out += value ? "true" : "false"; };
  const auto hex = [&out](std::uint64_t value) {
    out += '"';
    append_hex(out, value);
    out += '"';
  };

  key("format", "  "), text(dump_format_name);
  out += ",\n";
  key("version", "  "), append_json_number(out, dump_format_version);
  out += ",\n";
  key("library", "  "), text(library_version);
  out += ",\n";
  key("documents", "  "), append_json_number(out, info.documents);
  out += ",\n";
  list("fields", info.schema.fields(), [&](const Field& field, std::size_t) {
    key("name", "{"), text(field.name());
    key("type"), text(to_string(field.type()));
    key("nullable"), boolean(field.is_nullable());
    key("indexed"), boolean(field.is_indexed());
  });
  list("vectors", info.schema.vectors(), [&](const VectorField& field, std::size_t i) {
    key("name", "{"), text(field.name());
    key("dimension"), append_json_number(out, field.dimension());
    key("metric"), text(to_string(field.metric()));
    if (field.element() != Element::float32) key("element"), text(to_string(field.element()));
    if (const auto* hnsw = std::get_if<Hnsw>(&field.index())) {
      key("index"), key("m", "{"), append_json_number(out, hnsw->m);
      key("ef_construction"), append_json_number(out, hnsw->ef_construction);
      key("ef"), append_json_number(out, hnsw->ef);
      out += '}';
    }
    if (!std::holds_alternative<NoQuantizer>(field.quantizer())) key("quantizer"), text(dumped_quantizers[field.quantizer().index() - 1]);
    key("file"), text(dump_vectors_name(i));
  });
  key("options", "  ");
  key("durability", "{"), text(durability_names[static_cast<std::size_t>(info.durability.value())]);
  key("flush_bytes"), append_json_number(out, info.flush_bytes.value());
  key("segment_rows"), append_json_number(out, info.segment_rows.value());
  key("retain_versions"), append_json_number(out, info.retain_versions.value());
  key("retain_age_seconds"), append_json_number(out, info.retain_age_seconds.value());
  key("preferred_policy"), text(info.preferred_policy.value());
  out += "},\n";
  list("files", info.files, [&](const DumpedFile& file, std::size_t) {
    key("name", "{"), text(file.name);
    key("bytes"), append_json_number(out, file.bytes);
    key("xxh3_64"), hex(file.checksum);
  });
  out += "  ";
  const auto own = checksum(as_bytes(out), 0);
  key("checksum", ""), hex(own);
  return out + "\n}\n";
}

/// Reads schema.json, its members in any order. One use.
class DumpInfoParser {
 public:
  DumpInfoParser(std::string_view text, const std::filesystem::path& path) : json_(text, path), path_(path) {}

  /// corruption, with path and offset: no such file, a checksum that does not match, members missing, unknown or twice; version_mismatch: a newer format;
  /// invalid_argument: names and dimensions that no schema may have.
  [[nodiscard]] DumpInfo run() {
    Seen seen;
    bool format = false, ended = false;
    std::optional<std::uint64_t> documents;
    members(seen, [&](std::string_view name) {
      if (ended) json_.broken("the checksum covers what is before it and must come last");
      if (name == "format") {
        if (json_.string() != dump_format_name) json_.broken("this is not the schema.json of a quiver dump");
        format = true;
      } else if (name == "version") {
        version(json_.integer<std::uint64_t>());
      } else if (name == "library") {
        (void)json_.string();
      } else if (name == "documents") {
        documents = json_.integer<std::uint64_t>();
      } else if (name == "fields") {
        json_.array([&] { field(); });
      } else if (name == "vectors") {
        json_.array([&] { vector(); });
      } else if (name == "options") {
        options();
      } else if (name == "files") {
        json_.array([&] { file(); });
      } else if (name == "checksum") {
        ended = true;
        const auto own = checksum(as_bytes(json_.before(json_.key_position())), 0);
        if (!checksum_matches(hex(), own)) json_.broken("the file is damaged: this is not the checksum of what is before it");
      } else {
        return false;
      }
      return true;
    });
    json_.end();
    need(format, "format"), need(seen.contains("version"), "version"), need(documents.has_value(), "documents");
    need(seen.contains("fields"), "fields"), need(seen.contains("vectors"), "vectors");
    info_.documents = *documents;
    try {
      info_.schema = Schema(std::move(fields_), std::move(vectors_));
    } catch (const Error& e) {
      fail(e.code(), path_, e.what());
    }
    check_files(seen.contains("files"));
    return std::move(info_);
  }

 private:
  using Seen = std::set<std::string, std::less<>>;

  /// Calls member(name) for each; false: it knows no such one.
  template <class Member>
  void members(Seen& seen, Member&& member) {
    json_.object([&](std::string_view name) {
      if (!seen.emplace(name).second) json_.broken("member " + quote(name) + " is there twice");
      if (!member(name)) json_.broken("unknown member " + quote(name));
    });
  }
  void need(bool there, const char* name) const {
    if (!there) json_.broken("member '" + std::string(name) + "' is missing");
  }
  void version(std::uint64_t found) const {
    if (found > dump_format_version)
      json_.refuse(Errc::version_mismatch, "a newer quiver wrote this dump, in version " + std::to_string(found) + " of its format; this one reads up to " +
                                               std::to_string(dump_format_version));
    if (found == 0) json_.broken("there is no version 0 of the format");
  }
  /// The place of a text among the names; corruption where it is none of them.
  template <class Names>
  [[nodiscard]] std::size_t one_of(const Names& names) {
    const auto text = json_.string();
    const auto at = std::find(names.begin(), names.end(), text);
    if (at == names.end()) json_.broken(quote(text) + " is not known here");
    return static_cast<std::size_t>(at - names.begin());
  }
  [[nodiscard]] std::uint64_t hex() {
    std::uint64_t value = 0;
    if (!parse_hex(json_.string(), value)) json_.broken("16 hexadecimal digits are expected");
    return value;
  }
  void field() {
    constexpr std::array types{to_string(FieldType::boolean), to_string(FieldType::int32),   to_string(FieldType::int64),   to_string(FieldType::uint32),
                               to_string(FieldType::uint64),  to_string(FieldType::float32), to_string(FieldType::float64), to_string(FieldType::string),
                               to_string(FieldType::strings), to_string(FieldType::bytes)};
    Seen seen;
    std::string own;
    std::size_t type = 0;
    bool nullable = false, indexed = false;
    members(seen, [&](std::string_view name) {
      if (name == "name") {
        json_.string(own);
      } else if (name == "type") {
        type = one_of(types);
      } else if (name == "nullable") {
        nullable = json_.boolean();
      } else if (name == "indexed") {
        indexed = json_.boolean();
      } else {
        return false;
      }
      return true;
    });
    need(seen.contains("name"), "name"), need(seen.contains("type"), "type");
    fields_.emplace_back(std::move(own), static_cast<FieldType>(type), nullable, indexed);
  }
  void vector() {
    constexpr std::array metrics{to_string(Metric::l2), to_string(Metric::inner_product), to_string(Metric::cosine)};
    constexpr std::array elements{to_string(Element::float32), to_string(Element::float16), to_string(Element::int8), to_string(Element::uint8)};
    Seen seen;
    std::string own;
    std::size_t dimension = 0, metric = 0, element = 0;
    IndexType index;
    QuantizerType quantizer;
    members(seen, [&](std::string_view name) {
      if (name == "name") {
        json_.string(own);
      } else if (name == "dimension") {
        dimension = json_.integer<std::size_t>();
      } else if (name == "metric") {
        metric = one_of(metrics);
      } else if (name == "element") {
        element = one_of(elements);
      } else if (name == "index") {
        index = hnsw();
      } else if (name == "quantizer") {
        constexpr std::array<QuantizerType, 3> types{Float16{}, Sq8{}, Sq4{}};
        quantizer = types[one_of(dumped_quantizers)];
      } else if (name == "file") {
        if (json_.string() != dump_vectors_name(vectors_.size())) json_.broken("the file of this field must be " + dump_vectors_name(vectors_.size()));
      } else {
        return false;
      }
      return true;
    });
    need(seen.contains("name"), "name"), need(seen.contains("dimension"), "dimension"), need(seen.contains("metric"), "metric");
    vectors_.emplace_back(own, dimension, static_cast<Metric>(metric));
    vectors_.back().element(static_cast<Element>(element)).index(index).quantizer(quantizer);
  }
  /// The numbers of an index; the schema judges them.
  [[nodiscard]] Hnsw hnsw() {
    Seen seen;
    Hnsw index;
    members(seen, [&](std::string_view name) {
      if (name == "m") {
        index.m = json_.integer<std::size_t>();
      } else if (name == "ef_construction") {
        index.ef_construction = json_.integer<std::size_t>();
      } else if (name == "ef") {
        index.ef = json_.integer<std::size_t>();
      } else {
        return false;
      }
      return true;
    });
    need(seen.contains("m"), "m"), need(seen.contains("ef_construction"), "ef_construction"), need(seen.contains("ef"), "ef");
    return index;
  }
  void options() {
    Seen seen;
    members(seen, [&](std::string_view name) {
      if (name == "durability") {
        info_.durability = static_cast<Durability>(one_of(durability_names));
      } else if (name == "flush_bytes") {
        info_.flush_bytes = json_.integer<std::size_t>();
      } else if (name == "segment_rows") {
        info_.segment_rows = json_.integer<std::size_t>();
      } else if (name == "retain_versions") {
        info_.retain_versions = json_.integer<std::uint64_t>();
      } else if (name == "retain_age_seconds") {
        info_.retain_age_seconds = json_.integer<std::int64_t>();
      } else if (name == "preferred_policy") {
        info_.preferred_policy = json_.string();
      } else {
        return false;
      }
      return true;
    });
    if (info_.segment_rows == 0u || info_.retain_versions == 0u || info_.retain_age_seconds.value_or(0) < 0 ||
        info_.preferred_policy.value_or("").size() > max_note_size)
      json_.broken("no collection has an option like one of these");
  }
  void file() {
    Seen seen;
    DumpedFile file;
    members(seen, [&](std::string_view name) {
      if (name == "name") {
        json_.string(file.name);
      } else if (name == "bytes") {
        file.bytes = json_.integer<std::uint64_t>();
      } else if (name == "xxh3_64") {
        file.checksum = hex();
      } else {
        return false;
      }
      return true;
    });
    need(seen.contains("name"), "name"), need(seen.contains("bytes"), "bytes"), need(seen.contains("xxh3_64"), "xxh3_64");
    info_.files.push_back(std::move(file));
  }
  /// The names are those that the schema gives, so that no path leads out of the folder.
  void check_files(bool listed) const {
    if (!listed) return;
    bool right = info_.files.size() == 1 + info_.schema.vectors().size() && info_.files.front().name == dump_documents_name;
    for (std::size_t i = 1; right && i < info_.files.size(); ++i) right = info_.files[i].name == dump_vectors_name(i - 1);
    if (!right) json_.broken("'files' must list documents.jsonl and a file for each vector field, in their order");
  }

  JsonReader json_;
  const std::filesystem::path& path_;
  DumpInfo info_;
  std::vector<Field> fields_;
  std::vector<VectorField> vectors_;
};

}  // namespace quiver::detail
