// What every policy checks of a file before it serves a byte of it: that it is the file that is meant, and that its chunks are what was written.
#pragma once

#include <quiver/storage/policy.hpp>

#include <algorithm>

namespace quiver::detail {

/// Finds and checks the trailer of a file of `size` bytes. `at(offset, length)` gives bytes of it, good until its next call.
/// corruption: another length, another file, a footer that is not the recorded one. version_mismatch: written by a newer quiver.
template <class At>
[[nodiscard]] FileTrailer check_identity(At&& at, std::uint64_t size, const FileIdentity& identity, const std::filesystem::path& path) {
  if (size != identity.length)
    fail(Errc::corruption, path, std::min(size, identity.length),
         "the file has " + std::to_string(size) + " bytes, " + std::to_string(identity.length) + " are recorded; restore it from a copy");
  if (size < trailer_size + tail_frame_size)
    fail(Errc::corruption, path, size, "a file of " + std::to_string(size) + " bytes is too short to be one of a store");
  const auto offset = locate_trailer(at(size - tail_frame_size, tail_frame_size), size, path);
  const ByteSpan bytes = at(offset, trailer_size);
  if (load<std::uint64_t>(bytes.data()) == trailer_magic && load<std::uint16_t>(&bytes[40]) > block_format_version)
    fail(Errc::version_mismatch, path, offset + 40,
         "the file has format version " + std::to_string(load<std::uint16_t>(&bytes[40])) + ", this library reads up to " +
             std::to_string(block_format_version) + "; use a newer quiver");
  const auto trailer = parse_trailer(bytes, offset, size, path);
  if (trailer.format_version == 0) fail(Errc::corruption, path, offset + 40, "format version 0 was never written");
  if (trailer.id != identity.id)
    fail(Errc::corruption, path, offset + 8,
         "this is another file than the one recorded under its name; files were swapped or come from another store; restore the file from a backup");
  if (trailer.footer_checksum != identity.footer_checksum) fail(Errc::corruption, path, offset + 56, "the footer's checksum is not the recorded one");
  return trailer;
}

/// Checks the footer, the bytes from data_length to the end. REQUIRES: `footer` is all of it.
inline void check_footer(ByteSpan footer, const FileTrailer& trailer, const std::filesystem::path& path) {
  const auto field = static_cast<std::size_t>(trailer.trailer_offset() - trailer.data_length) + 56;
  if (!checksum_matches(trailer.footer_checksum, footer_checksum(trailer.id, footer, field)))
    fail(Errc::corruption, path, trailer.data_length,
         "the footer of " + std::to_string(footer.size()) + " bytes does not match its checksum; restore the file from a copy");
}

/// Checks whole chunks of the data; `data` begins at chunk `first`. REQUIRES: `footer` was checked; only the file's last chunk may be short.
inline void check_chunks(ByteSpan data, std::uint64_t first, ByteSpan footer, const FileTrailer& trailer, const std::filesystem::path& path) {
  const std::byte* recorded = footer.data() + trailer.directory_length;
  for (auto number = first; !data.empty(); ++number) {
    const auto chunk = data.first(std::min(chunk_size, data.size()));
    if (!checksum_matches(load<std::uint64_t>(recorded + number * 8), chunk_checksum(trailer.id, number, chunk)))
      fail(Errc::corruption, path, number * chunk_size,
           "the " + std::to_string(chunk.size()) + " bytes from here do not match their checksum; restore the file from a copy");
    data = data.subspan(chunk.size());
  }
}

}  // namespace quiver::detail

namespace quiver {

/// The checks that a policy's open() owes, for a file that is whole in memory. none: length, file id and format version; directory: the footer too;
/// full: every chunk of the data too. corruption or version_mismatch, with `path` and the offset. `path` is for messages.
inline void verify_file(ByteSpan file, const FileIdentity& identity, VerifyLevel level, const std::filesystem::path& path) {
  const auto trailer = detail::check_identity(
      [file](std::uint64_t offset, std::size_t length) { return file.subspan(static_cast<std::size_t>(offset), length); }, file.size(), identity, path);
  const auto footer = file.subspan(static_cast<std::size_t>(trailer.data_length));
  if (level != VerifyLevel::none) detail::check_footer(footer, trailer, path);
  if (level == VerifyLevel::full) detail::check_chunks(file.first(static_cast<std::size_t>(trailer.data_length)), 0, footer, trailer, path);
}

}  // namespace quiver
