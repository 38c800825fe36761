// The names of a collection's files: made here, and recognized here, so that nothing else in a folder is ever taken for ours.
#pragma once

#include <quiver/core/types.hpp>

#include <charconv>
#include <optional>
#include <string>
#include <string_view>

namespace quiver::detail {

/// The types of block file that a manifest knows. The number is on disk.
enum class BlockType : std::uint8_t { scalar = 1, vector_index = 3, vector_quant = 4, vector_graph = 7 };

[[nodiscard]] constexpr bool known(BlockType type) noexcept { return type == BlockType::scalar || type == BlockType::vector_index; }
[[nodiscard]] constexpr std::string_view suffix(BlockType type) noexcept {
  switch (type) {
    case BlockType::scalar:
      return ".scalar";
    case BlockType::vector_index:
      return ".vector_index";
    case BlockType::vector_quant:
      return ".vector_quant";
    case BlockType::vector_graph:
      break;
  }
  return ".vector_graph";
}

inline constexpr std::string_view manifest_prefix = "MANIFEST_";
inline constexpr std::string_view segment_prefix = "seg-";
inline constexpr std::string_view block_prefix = "blk-";
inline constexpr std::string_view run_prefix = "idmap-";
inline constexpr std::string_view deletes_prefix = "deletes-";
inline constexpr std::string_view log_prefix = "wal-";

/// `number` in decimal, filled up with zeros to `width` digits; longer where it needs to be.
[[nodiscard]] inline std::string padded(std::uint64_t number, std::size_t width) {
  const auto digits = std::to_string(number);
  return digits.size() < width ? std::string(width - digits.size(), '0') + digits : digits;
}

/// The inverse of padded(): digits only, at least `width`, no zero in front of a longer number, within 64 bits.
[[nodiscard]] inline std::optional<std::uint64_t> parse_padded(std::string_view digits, std::size_t width) noexcept {
  if (digits.size() < width || (digits.size() > width && digits.front() == '0')) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

/// Cuts `prefix` off `name`; false, and `name` untouched, where it does not begin so.
[[nodiscard]] inline bool skip_prefix(std::string_view& name, std::string_view prefix) noexcept {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  return true;
}

/// "MANIFEST_00000000000042"
[[nodiscard]] inline std::string manifest_name(std::uint64_t number) { return std::string(manifest_prefix) + padded(number, 14); }
[[nodiscard]] inline std::optional<std::uint64_t> parse_manifest_name(std::string_view name) noexcept {
  return skip_prefix(name, manifest_prefix) ? parse_padded(name, 14) : std::nullopt;
}

/// "idmap-000009"
[[nodiscard]] inline std::string run_name(std::uint64_t number) { return std::string(run_prefix) + padded(number, 6); }
[[nodiscard]] inline std::optional<std::uint64_t> parse_run_name(std::string_view name) noexcept {
  return skip_prefix(name, run_prefix) ? parse_padded(name, 6) : std::nullopt;
}

/// "deletes-000031"
[[nodiscard]] inline std::string deletes_name(std::uint64_t number) { return std::string(deletes_prefix) + padded(number, 6); }
[[nodiscard]] inline std::optional<std::uint64_t> parse_deletes_name(std::string_view name) noexcept {
  return skip_prefix(name, deletes_prefix) ? parse_padded(name, 6) : std::nullopt;
}

/// "wal-000012"
[[nodiscard]] inline std::string log_name(std::uint64_t number) { return std::string(log_prefix) + padded(number, 6); }
[[nodiscard]] inline std::optional<std::uint64_t> parse_log_name(std::string_view name) noexcept {
  return skip_prefix(name, log_prefix) ? parse_padded(name, 6) : std::nullopt;
}

/// "seg-000007"
[[nodiscard]] inline std::string segment_folder(SegmentId segment) { return std::string(segment_prefix) + padded(segment.value, 6); }
[[nodiscard]] inline std::optional<SegmentId> parse_segment_folder(std::string_view name) noexcept {
  if (!skip_prefix(name, segment_prefix)) return std::nullopt;
  const auto number = parse_padded(name, 6);
  return number ? std::optional(SegmentId{*number}) : std::nullopt;
}

/// What the name of a block file says.
struct BlockName {
  SegmentId segment;
  std::uint64_t number = 0;
  BlockType type = BlockType::scalar;
  friend constexpr bool operator==(const BlockName&, const BlockName&) = default;
};

/// "seg-000007/blk-000003.scalar"
[[nodiscard]] inline std::string block_name(const BlockName& name) {
  return segment_folder(name.segment) + '/' + std::string(block_prefix) + padded(name.number, 6) + std::string(suffix(name.type));
}
[[nodiscard]] inline std::optional<BlockName> parse_block_name(std::string_view name) noexcept {
  const auto slash = name.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto segment = parse_segment_folder(name.substr(0, slash));
  name.remove_prefix(slash + 1);
  if (!segment || !skip_prefix(name, block_prefix)) return std::nullopt;
  for (const auto type : {BlockType::scalar, BlockType::vector_index, BlockType::vector_quant, BlockType::vector_graph}) {
    if (!name.ends_with(suffix(type))) continue;
    const auto number = parse_padded(name.substr(0, name.size() - suffix(type).size()), 6);
    if (number) return BlockName{*segment, *number, type};
  }
  return std::nullopt;
}

/// True for the files that a manifest names with id, length and checksum. A log is none: it grows.
[[nodiscard]] inline bool is_data_file_name(std::string_view name) noexcept {
  return parse_block_name(name) || parse_run_name(name) || parse_deletes_name(name);
}
/// Of a file that marks the folder in which a load builds a collection. It ends as drafts do, so that create() lets it stand.
inline constexpr std::string_view loading_mark_name = "LOADING.tmp";

/// True for the names that a draft of one of our files bears before it is published. A log is never a draft.
[[nodiscard]] inline bool is_temporary_name(std::string_view name) noexcept {
  constexpr std::string_view ending = ".tmp";
  if (!name.ends_with(ending)) return false;
  name.remove_suffix(ending.size());
  return is_data_file_name(name) || parse_manifest_name(name);
}
/// True for every name that a collection gives a file: manifests, blocks, id runs, deletes, their temporary names, logs, LOCK, and the mark of a load.
[[nodiscard]] inline bool is_own_name(std::string_view name) noexcept {
  return name == "LOCK" || name == loading_mark_name || is_data_file_name(name) || parse_manifest_name(name).has_value() || parse_log_name(name).has_value() ||
         is_temporary_name(name);
}

}  // namespace quiver::detail
