// The directory of a block file: named, 64-byte aligned sections. README.md beside this file shows the bytes.
#pragma once

#include <quiver/core/trailer.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace quiver::detail {

/// What a block file holds; the trailer's file_kind.
enum class BlockKind : std::uint16_t { scalar = 1, vector_index = 3, vector_quant = 4, id_run = 5, deletes = 6, vector_graph = 7 };

[[nodiscard]] constexpr std::string_view to_string(BlockKind kind) noexcept {
  switch (kind) {
    case BlockKind::scalar:
      return "scalar";
    case BlockKind::vector_index:
      return "vector_index";
    case BlockKind::vector_quant:
      return "vector_quant";
    case BlockKind::vector_graph:
      return "vector_graph";
    case BlockKind::deletes:
      return "deletes";
    case BlockKind::id_run:
      return "id_run";
  }
  return "unknown";
}

inline constexpr std::uint64_t section_alignment = 64;
inline constexpr std::size_t section_name_size = 32;
inline constexpr std::size_t directory_entry_size = section_name_size + 16;  // name, u64 offset, u64 length
inline constexpr std::size_t max_sections = 4096;

/// One entry of the directory.
struct Section {
  std::string name;  // 1 to 32 printable characters of ASCII
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

[[nodiscard]] inline bool valid_section_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= section_name_size && std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

inline void append_section(Bytes& to, const Section& section) {
  const auto at = to.size();
  to.resize(at + section_name_size);
  std::memcpy(to.data() + at, section.name.data(), section.name.size());
  append(to, section.offset);
  append(to, section.length);
}

/// Parses the directory that begins at `data_length` of the file. Afterwards every section lies within the data, aligned, in ascending order,
/// without overlap, under a name of its own; else Errc::corruption.
[[nodiscard]] inline std::vector<Section> parse_directory(ByteSpan bytes, std::uint64_t data_length, const std::filesystem::path& path) {
  const auto broken = [&](std::uint64_t at, const std::string& text) { fail(Errc::corruption, path, data_length + at, "block directory: " + text); };
  if (bytes.size() % directory_entry_size != 0) broken(0, std::to_string(bytes.size()) + " bytes are no whole number of entries");
  const std::size_t count = bytes.size() / directory_entry_size;
  if (count > max_sections) broken(0, std::to_string(count) + " entries, at most " + std::to_string(max_sections) + " are allowed");

  std::vector<Section> sections;
  sections.reserve(count);
  std::uint64_t end = 0;
  Cursor in(bytes, path, data_length);
  for (std::size_t i = 0; i < count; ++i) {
    const auto at = i * directory_entry_size;
    const auto padded = as_text(in.take(section_name_size));
    const auto name = padded.substr(0, padded.find('\0'));
    if (!valid_section_name(name) || padded.find_first_not_of('\0', name.size()) != std::string_view::npos)
      broken(at, "the name of entry " + std::to_string(i) + " is not 1 to 32 printable characters padded with zeros");
    const auto offset = in.take<std::uint64_t>();
    const auto length = in.take<std::uint64_t>();
    if (offset % section_alignment != 0)
      broken(at + section_name_size, "section '" + std::string(name) + "' begins at " + std::to_string(offset) + ", which is not a multiple of 64");
    if (!within(offset, length, data_length))
      broken(at + section_name_size, "section '" + std::string(name) + "' does not lie within the data of " + std::to_string(data_length) + " bytes");
    if (offset < end) broken(at + section_name_size, "section '" + std::string(name) + "' overlaps the one before it");
    end = offset + length;
    sections.push_back({std::string(name), offset, length});
  }
  std::vector<std::string_view> names;
  names.reserve(count);
  for (const auto& section : sections) names.push_back(section.name);
  std::sort(names.begin(), names.end());
  if (const auto twin = std::adjacent_find(names.begin(), names.end()); twin != names.end()) broken(0, "two sections are named '" + std::string(*twin) + "'");
  return sections;
}

}  // namespace quiver::detail
