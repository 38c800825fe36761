// The 64-byte trailer and the footer of a block file: what storage must know of a file to tell its identity and verify its chunks.
//
//   [data: chunks of 4 KiB under checksums][directory][checksum array][trailer 64][tail: foreign footer][tail length u32][end magic 6]
//
// `data_length` bytes of data, then the directory, then one u64 per chunk of data, then this trailer, then a tail (an Arrow footer, the base of an id
// run, or nothing), its length and six bytes of magic ("ARROW1" behind an Arrow footer, else "QUIVR1"). The footer is everything from `data_length` to the end.
#pragma once

#include <quiver/core/bytes.hpp>
#include <quiver/core/checksum.hpp>

#include <array>

namespace quiver {

/// What a manifest says of a file: a file that is longer, shorter, another, or damaged in its footer is recognized.
struct FileIdentity {
  FileId id;
  std::uint64_t length = 0;           // bytes of the whole file
  std::uint64_t footer_checksum = 0;  // XXH3-64 of the footer without its own field
  friend constexpr bool operator==(const FileIdentity&, const FileIdentity&) = default;
};

}  // namespace quiver

namespace quiver::detail {

/// A file as another file names it.
struct FileRef {
  std::string name;  // relative to the store, folders separated by '/'
  FileIdentity identity;
  friend bool operator==(const FileRef&, const FileRef&) = default;
};

inline constexpr std::uint64_t trailer_magic = 0x314C525452565551ull;  // "QUVRTRL1"
inline constexpr std::size_t trailer_size = 64;
inline constexpr std::size_t tail_frame_size = 10;  // u32 length and six bytes of magic
inline constexpr std::string_view plain_end_magic = "QUIVR1";
inline constexpr std::string_view arrow_end_magic = "ARROW1";
inline constexpr std::uint16_t block_format_version = 1;

/// The trailer's fields in their order on disk; written and read field by field.
struct FileTrailer {
  FileId id;                                            // at 8
  std::uint64_t data_length = 0;                        // at 24
  std::uint64_t directory_length = 0;                   // at 32; the checksum array follows the directory
  std::uint16_t format_version = block_format_version;  // at 40
  std::uint16_t file_kind = 0;                          // at 42; what the file is: a block type, an id run
  std::uint32_t reserved = 0;                           // at 44
  std::uint64_t file_length = 0;                        // at 48
  std::uint64_t footer_checksum = 0;                    // at 56

  [[nodiscard]] std::uint64_t chunks() const noexcept { return data_length / chunk_size + (data_length % chunk_size != 0); }
  [[nodiscard]] std::uint64_t checksums_offset() const noexcept { return data_length + directory_length; }
  [[nodiscard]] std::uint64_t trailer_offset() const noexcept { return checksums_offset() + chunks() * 8; }
};

/// Where the trailer begins, given the last ten bytes of a file of `length` bytes; Errc::corruption where there can be none.
[[nodiscard]] inline std::uint64_t locate_trailer(ByteSpan last_ten, std::uint64_t length, const std::filesystem::path& path) {
  const auto magic = as_text(last_ten.subspan(4, 6));
  if (magic != plain_end_magic && magic != arrow_end_magic)
    fail(Errc::corruption, path, length - 6, "the end mark of a quiver file is missing; restore the file from a backup");
  const std::uint64_t tail = load<std::uint32_t>(last_ten.data());
  if (tail > length - tail_frame_size || length - tail_frame_size - tail < trailer_size)
    fail(Errc::corruption, path, length - tail_frame_size, "the tail length does not fit the file");
  return length - tail_frame_size - tail - trailer_size;
}

[[nodiscard]] inline std::array<std::byte, trailer_size> encode_trailer(const FileTrailer& t) noexcept {
  std::array<std::byte, trailer_size> out{};
  store(&out[0], trailer_magic);
  store(&out[8], t.id.low);
  store(&out[16], t.id.high);
  store(&out[24], t.data_length);
  store(&out[32], t.directory_length);
  store(&out[40], t.format_version);
  store(&out[42], t.file_kind);
  store(&out[44], t.reserved);
  store(&out[48], t.file_length);
  store(&out[56], t.footer_checksum);
  return out;
}

/// Reads the 64 bytes found at `offset` of a file of `length` bytes and checks that every part lies within it.
[[nodiscard]] inline FileTrailer parse_trailer(ByteSpan bytes, std::uint64_t offset, std::uint64_t length, const std::filesystem::path& path) {
  Cursor in(bytes, path, offset);
  if (in.take<std::uint64_t>() != trailer_magic) fail(Errc::corruption, path, offset, "the trailer's magic is missing");
  FileTrailer t;
  t.id.low = in.take<std::uint64_t>();
  t.id.high = in.take<std::uint64_t>();
  t.data_length = in.take<std::uint64_t>();
  t.directory_length = in.take<std::uint64_t>();
  t.format_version = in.take<std::uint16_t>();
  t.file_kind = in.take<std::uint16_t>();
  t.reserved = in.take<std::uint32_t>();
  t.file_length = in.take<std::uint64_t>();
  t.footer_checksum = in.take<std::uint64_t>();
  if (t.file_length != length)
    fail(Errc::corruption, path, offset + 48, "the trailer speaks of " + std::to_string(t.file_length) + " bytes, the file has " + std::to_string(length));
  // Bounded by the file before anything is multiplied or added.
  if (t.data_length > offset || t.directory_length > offset - t.data_length || t.chunks() > (offset - t.data_length - t.directory_length) / 8 ||
      t.trailer_offset() != offset)
    fail(Errc::corruption, path, offset + 24, "data, directory and checksums do not add up to the trailer's place");
  return t;
}

/// The checksum of the footer: `footer` is the file from data_length to its end, `field` the place of the checksum field within it.
[[nodiscard]] inline std::uint64_t footer_checksum(FileId id, ByteSpan footer, std::size_t field) noexcept {
  const auto before = checksum(footer.first(field), chunk_seed(id, ~std::uint64_t{1}));
  return checksum(footer.subspan(field + 8), before ^ id.high);
}

}  // namespace quiver::detail
