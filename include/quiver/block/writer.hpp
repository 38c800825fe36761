// Writes a block file front to back through a draft: sections, directory, checksums, trailer, tail.
#pragma once

#include <quiver/block/format.hpp>
#include <quiver/storage/process.hpp>

#include <optional>

namespace quiver::detail {

/// Writes one block file. Bytes reach the draft in pieces of at least 64 KiB (but the last two); checksums are taken as they pass, so memory is bounded by
/// the buffer and eight bytes per 4 KiB written. Does not own the draft. After an exception the draft is to be discarded. One thread.
template <class Draft>
class BlockWriter {
 public:
  /// `id`: the file's identity, a fresh random one if not given (golden files give it).
  BlockWriter(Draft& draft, BlockKind kind, std::optional<FileId> id = std::nullopt) : draft_(&draft), kind_(kind), id_(id ? *id : random_file_id()) {
    buffer_.reserve(buffer_size);
  }

  [[nodiscard]] FileId id() const noexcept { return id_; }
  /// Bytes appended so far: the offset in the file of the next one.
  [[nodiscard]] std::uint64_t position() const noexcept { return written_ + buffer_.size(); }

  /// Begins a section at the next multiple of 64. REQUIRES: none is open. invalid_argument: a name that is unfit or was used.
  void begin_section(std::string_view name) {
    if (open_ || !valid_section_name(name) || sections_.size() == max_sections ||
        std::any_of(sections_.begin(), sections_.end(), [name](const Section& s) { return s.name == name; }))
      fail(Errc::invalid_argument, "a block cannot begin a section named '" + std::string(name) +
                                       "' here: names are 1 to 32 printable characters, each used once, one section at a time");
    pad(section_alignment);
    sections_.push_back({std::string(name), position(), 0});
    open_ = true;
  }
  void end_section() {
    if (!open_) fail(Errc::invalid_argument, "a block has no open section to end");
    sections_.back().length = position() - sections_.back().offset;
    open_ = false;
  }

  /// Appends bytes to the open section. REQUIRES: one is open.
  void append(ByteSpan bytes) {
    while (!bytes.empty()) {
      if (buffer_.empty() && bytes.size() >= buffer_size) {
        const auto whole = bytes.first(bytes.size() / chunk_size * chunk_size);
        put(whole);
        bytes = bytes.subspan(whole.size());
        continue;
      }
      const auto part = bytes.first(std::min(bytes.size(), buffer_size - buffer_.size()));
      buffer_.insert(buffer_.end(), part.begin(), part.end());
      bytes = bytes.subspan(part.size());
      if (buffer_.size() == buffer_size) drain();
    }
  }
  /// Appends zeros up to a multiple of `step`, a power of two of at most 4096.
  void pad(std::uint64_t step) {
    static constexpr std::array<std::byte, 4096> zeros{};
    append(ByteSpan(zeros).first(static_cast<std::size_t>(align_up(position(), step) - position())));
  }

  /// Ends the file: directory, checksums, trailer, `tail`, its length, `end_magic` (six bytes). Nothing may be written afterwards.
  [[nodiscard]] FileIdentity finish(ByteSpan tail = {}, std::string_view end_magic = plain_end_magic) {
    if (open_ || end_magic.size() != 6 || tail.size() > 0x7FFFFFFF)
      fail(Errc::invalid_argument, "a block cannot be finished with an open section, a tail of 2 GiB or an end mark that is not six bytes");
    pad(section_alignment);
    drain();

    FileTrailer trailer;
    trailer.id = id_;
    trailer.data_length = written_;
    trailer.directory_length = sections_.size() * directory_entry_size;
    trailer.file_kind = static_cast<std::uint16_t>(kind_);
    trailer.file_length = trailer.trailer_offset() + trailer_size + tail.size() + tail_frame_size;

    Bytes footer;
    footer.reserve(static_cast<std::size_t>(trailer.file_length - trailer.data_length));
    for (const auto& section : sections_) append_section(footer, section);
    detail::append(footer, as_bytes(std::span<const std::uint64_t>(checksums_)));
    const auto trailer_at = footer.size();
    detail::append(footer, encode_trailer(trailer));
    detail::append(footer, tail);
    detail::append(footer, static_cast<std::uint32_t>(tail.size()));
    detail::append(footer, detail::as_bytes(end_magic));
    const auto field = trailer_at + 56;
    trailer.footer_checksum = footer_checksum(id_, footer, field);
    store(&footer[field], trailer.footer_checksum);
    draft_->append(footer);
    return {id_, trailer.file_length, trailer.footer_checksum};
  }

 private:
  static constexpr std::size_t buffer_size = 64 * chunk_size;

  // REQUIRES: the bytes begin at a chunk's beginning; only the last piece of the data may end within a chunk.
  void put(ByteSpan bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += chunk_size)
      checksums_.push_back(chunk_checksum(id_, checksums_.size(), bytes.subspan(at, std::min(chunk_size, bytes.size() - at))));
    draft_->append(bytes);
    written_ += bytes.size();
  }
  void drain() {
    if (!buffer_.empty()) put(buffer_);
    buffer_.clear();
  }

  Draft* draft_;
  BlockKind kind_;
  FileId id_;
  Bytes buffer_;
  std::uint64_t written_ = 0;
  std::vector<std::uint64_t> checksums_;
  std::vector<Section> sections_;
  bool open_ = false;
};

}  // namespace quiver::detail
