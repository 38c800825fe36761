// Strong ids, byte spans and the small public value types every room shares.
#pragma once

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

static_assert(std::endian::native == std::endian::little, "quiver runs on little-endian machines: its files are mapped as they are");

namespace quiver {

using Bytes = std::vector<std::byte>;
using ByteSpan = std::span<const std::byte>;
using Strings = std::vector<std::string>;

/// The number of a document: global in its collection, ascending in insertion order, never used again.
struct DocId {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const DocId&, const DocId&) = default;
};

/// The position of a row in one segment, from 0.
struct RowId {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const RowId&, const RowId&) = default;
};

/// The number of a segment in its collection.
struct SegmentId {
  std::uint64_t value = 0;
  friend constexpr auto operator<=>(const SegmentId&, const SegmentId&) = default;
};

/// An IEEE 754 half-precision number as its bits.
struct Half {
  std::uint16_t bits = 0;
  friend constexpr bool operator==(const Half&, const Half&) = default;
};

/// How the nearness of two vectors is measured. Smaller is nearer for each:
/// squared L2; 1 - inner product; 1 - cosine similarity.
enum class Metric : std::uint8_t { l2 = 0, inner_product = 1, cosine = 2 };

/// What the numbers of a stored vector are. Each converts to float exactly.
enum class Element : std::uint8_t { float32 = 0, float16 = 1, int8 = 2, uint8 = 3 };

/// What a write has reached when it returns: stable storage; the operating system, so that it survives the death of the process and not of the machine; nothing
/// yet. What survives is always a prefix of what was written, also where levels are mixed.
enum class Durability : std::uint8_t { sync, buffered, none };

/// A stretch of a file.
struct Range {
  std::uint64_t offset = 0;
  std::size_t length = 0;
};

}  // namespace quiver

namespace quiver::detail {

/// Bytes of one number. REQUIRES: one of the four.
[[nodiscard]] constexpr std::size_t element_bytes(Element element) noexcept { return element == Element::float32 ? 4 : element == Element::float16 ? 2 : 1; }

}  // namespace quiver::detail

template <>
struct std::hash<quiver::DocId> {
  std::size_t operator()(quiver::DocId id) const noexcept { return std::hash<std::uint64_t>{}(id.value); }
};
