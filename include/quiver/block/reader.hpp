// Opens a block file through any storage policy's reader and finds its sections.
#pragma once

#include <quiver/block/format.hpp>

#include <concepts>
#include <utility>

namespace quiver::detail {

/// One open block file. Opening reads the last ten bytes, the trailer and the directory, and checks every bound of them; the sections' bytes are read when
/// viewed. Owns its reader. Any number of threads may use it, each with a scope of its own; views live until their scope is renewed.
template <class Reader>
class Block {
 public:
  /// corruption: the file is not what `identity` and `expected` say, or its trailer or directory is damaged. version_mismatch: written by a newer quiver.
  template <class Scope>
  Block(Reader reader, Scope& scope, const FileIdentity& identity, BlockKind expected) : reader_(std::move(reader)) {
    const auto length = reader_.size();
    if (length != identity.length || length < trailer_size + tail_frame_size)
      fail(Errc::corruption, path(), "the file has " + std::to_string(length) + " bytes, the manifest speaks of " + std::to_string(identity.length));
    const auto at = locate_trailer(reader_.view(scope, length - tail_frame_size, tail_frame_size), length, path());
    trailer_ = parse_trailer(reader_.view(scope, at, trailer_size), at, length, path());
    if (trailer_.id != identity.id)
      fail(Errc::corruption, path(), at + 8, "another file stands in this one's place: its id is not the one that the manifest names");
    if (trailer_.footer_checksum != identity.footer_checksum)
      fail(Errc::corruption, path(), at + 56, "the footer's checksum is not the one that the manifest names");
    if (trailer_.format_version != block_format_version)
      fail(Errc::version_mismatch, path(), at + 40,
           "block format version " + std::to_string(trailer_.format_version) + ", this quiver reads version " + std::to_string(block_format_version) +
               "; use a newer quiver");
    if (trailer_.file_kind != static_cast<std::uint16_t>(expected))
      fail(Errc::corruption, path(), at + 42,
           "a file of kind " + std::to_string(trailer_.file_kind) + " stands where a " + std::string(to_string(expected)) + " file belongs");
    sections_ = parse_directory(reader_.view(scope, trailer_.data_length, static_cast<std::size_t>(trailer_.directory_length)), trailer_.data_length, path());
  }

  [[nodiscard]] const Reader& reader() const noexcept { return reader_; }
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return reader_.path(); }
  [[nodiscard]] const FileTrailer& trailer() const noexcept { return trailer_; }
  [[nodiscard]] std::span<const Section> sections() const noexcept { return sections_; }

  /// The stretch of the file that a section covers; corruption if the file has none of that name.
  [[nodiscard]] Range section(std::string_view name) const {
    for (const auto& s : sections_)
      if (s.name == name) return {s.offset, static_cast<std::size_t>(s.length)};
    fail(Errc::corruption, path(), trailer_.data_length, "the block directory names no section '" + std::string(name) + "'");
  }

  /// What stands behind the trailer: the footer of a foreign format, or what a kind keeps where opening reads it. The view lives until the scope is renewed.
  template <class Scope>
  [[nodiscard]] ByteSpan tail(Scope& scope) const {
    const auto begin = trailer_.trailer_offset() + trailer_size;  // parse_trailer and locate_trailer have shown that it lies before the frame
    return reader_.view(scope, begin, static_cast<std::size_t>(trailer_.file_length - tail_frame_size - begin));
  }

  /// `length` bytes at `offset` of a section; corruption if the section does not hold them. The view lives until the scope is renewed.
  template <class Scope>
  [[nodiscard]] ByteSpan view(Scope& scope, const Range& section, std::uint64_t offset, std::size_t length) const {
    if (!within(offset, length, section.length)) [[unlikely]]
      fail(Errc::corruption, path(), section.offset,
           std::to_string(length) + " bytes at " + std::to_string(offset) + " do not lie within a section of " + std::to_string(section.length));
    return reader_.view(scope, section.offset + offset, length);
  }

  /// Has the processor fetch the byte at `offset` of a section, which will be viewed soon, while it goes on: a load that nobody waits for, because processors
  /// drop a prefetch whose page they would have to look up. Where views are not memory, and past the section's end: nothing.
  void touch(const Range& section, std::uint64_t offset) const noexcept {
    if constexpr (requires { reader_.data(); }) {
      if (offset >= section.length) return;
      const auto byte = reader_.data()[section.offset + offset];
      asm volatile("" : : "r"(byte));
    }
  }

  /// Reads the whole file and compares every chunk and the footer with their checksums; corruption with the offset of the first that differs. Renews the scope.
  template <class Scope>
  void verify(Scope& scope) const {
    verify(scope, [](ByteSpan) {});
  }
  /// The same, and calls visit(bytes) for one piece of the file after the other, from its first byte to its last, once the piece was compared. A piece of the
  /// data has a megabyte at most, the footer is one. `visit` may renew the scope when it is done with the bytes.
  template <class Scope, std::invocable<ByteSpan> Visit>
  void verify(Scope& scope, Visit&& visit) const {
    constexpr std::uint64_t batch = 256;  // chunks viewed at once
    for (std::uint64_t first = 0; first < trailer_.chunks(); first += batch) {
      scope.renew();
      const auto count = std::min(batch, trailer_.chunks() - first);
      const auto begin = first * chunk_size;
      const auto data = reader_.view(scope, begin, static_cast<std::size_t>(std::min(count * chunk_size, trailer_.data_length - begin)));
      const auto expected = reader_.view(scope, trailer_.checksums_offset() + first * 8, static_cast<std::size_t>(count * 8));
      for (std::uint64_t i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i * chunk_size);
        const auto chunk = data.subspan(at, std::min(chunk_size, data.size() - at));
        if (!checksum_matches(load<std::uint64_t>(&expected[static_cast<std::size_t>(i * 8)]), chunk_checksum(trailer_.id, first + i, chunk)))
          fail(Errc::corruption, path(), begin + at,
               "the chunk of " + std::to_string(chunk.size()) + " bytes does not match its checksum; restore the file from a backup");
      }
      visit(data);
    }
    scope.renew();
    const auto footer = reader_.view(scope, trailer_.data_length, static_cast<std::size_t>(trailer_.file_length - trailer_.data_length));
    const auto field = static_cast<std::size_t>(trailer_.trailer_offset() - trailer_.data_length + 56);
    if (!checksum_matches(trailer_.footer_checksum, footer_checksum(trailer_.id, footer, field)) ||
        load<std::uint64_t>(&footer[field]) != trailer_.footer_checksum)
      fail(Errc::corruption, path(), trailer_.data_length, "the footer does not match its checksum; restore the file from a backup");
    visit(footer);
    scope.renew();
  }

 private:
  Reader reader_;
  FileTrailer trailer_;
  std::vector<Section> sections_;
};

}  // namespace quiver::detail
