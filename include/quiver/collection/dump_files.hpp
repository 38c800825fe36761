// The files of a dump's folder: written through drafts of a store's folder, read from the front, both with a checksum of what passed.
#pragma once

#include <quiver/core/checksum.hpp>
#include <quiver/storage/directory.hpp>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace quiver::detail {

/// What schema.json tells of another file. The checksum is XXH3-64 with seed 0, what `xxhsum -H3` prints.
struct DumpedFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

/// A draft that bytes are appended to in large pieces. Move-only. One thread.
template <FileSystem FS>
class DumpWriter {
 public:
  DumpWriter(Directory<FS>& folder, std::string name) : draft_(folder.create_draft(name)) { file_.name = std::move(name); }

  /// no_space, io_error: the draft is lost.
  void append(std::string_view text) {
    waiting_ += text;
    if (waiting_.size() >= piece) send();
  }
  /// Sends what waits. REQUIRES: no append() afterwards.
  [[nodiscard]] DumpedFile finish() {
    send();
    file_.checksum = checksum_.value();
    return file_;
  }
  [[nodiscard]] typename Directory<FS>::Draft& draft() noexcept { return draft_; }

 private:
  static constexpr std::size_t piece = 256 * 1024;

  void send() {
    checksum_.add(as_bytes(waiting_));
    draft_.append(as_bytes(waiting_));
    file_.bytes += waiting_.size();
    waiting_.clear();
  }

  typename Directory<FS>::Draft draft_;
  DumpedFile file_;
  RunningChecksum checksum_;
  std::string waiting_;
};

/// A file read from its beginning to its end, which is where it was when the file was opened. Move-only. One thread.
template <FileSystem FS>
class DumpReader {
 public:
  /// Errors as Directory::open_file(), but corruption for a file that is not there: schema.json says it is.
  DumpReader(const Directory<FS>& folder, const std::string& name) : file_(open(folder, name)) {}

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return file_.path; }
  [[nodiscard]] std::uint64_t size() const noexcept { return file_.size; }
  /// The offset of the next byte.
  [[nodiscard]] std::uint64_t position() const noexcept { return read_ - (buffer_.size() - at_); }
  /// At the end; then every byte was read.
  [[nodiscard]] bool done() const noexcept { return position() == file_.size; }

  /// The next `length` bytes, or fewer where the file ends before, and stays in front of them. Lives until the next call. Memory: twice the length.
  [[nodiscard]] ByteSpan peek(std::size_t length) {
    length = static_cast<std::size_t>(std::min<std::uint64_t>(length, file_.size - position()));
    while (buffer_.size() - at_ < length) fill(length);
    return ByteSpan(buffer_).subspan(at_, length);
  }
  void skip(std::size_t length) noexcept { at_ += length; }
  /// Exactly that many bytes into `to`; corruption where the file ends before.
  void read(std::span<std::byte> to) {
    const auto found = peek(to.size());
    if (found.size() != to.size()) fail(Errc::corruption, path(), position(), "the file ends here, within a row");
    std::memcpy(to.data(), found.data(), to.size());
    skip(to.size());
  }
  /// The next line without its end; nullopt at the end of the file. Lives until the next call.
  [[nodiscard]] std::optional<std::string_view> line() {
    if (done()) return std::nullopt;
    for (std::size_t looked = 0;;) {
      const auto there = as_text(ByteSpan(buffer_).subspan(at_));
      const auto end = there.find('\n', looked);
      if (end != std::string_view::npos) {
        skip(end + 1);
        return there.substr(0, end);
      }
      looked = there.size();
      if (read_ == file_.size) {
        skip(looked);
        return there;
      }
      fill(looked + 1);
    }
  }
  /// Compares with what schema.json tells; errors corruption. REQUIRES: done().
  void verify(const DumpedFile& expected) const {
    if (!checksum_matches(expected.checksum, checksum_.value()))
      fail(Errc::corruption, path(), "the file is damaged: its checksum is not the one that schema.json tells; dump the collection again");
  }

 private:
  static constexpr std::size_t piece = 256 * 1024;

  static OpenedFile<FS> open(const Directory<FS>& folder, const std::string& name) {
    try {
      return folder.open_file(name);
    } catch (const Error& e) {
      if (e.code() != Errc::not_found) throw;
      fail(Errc::corruption, folder.path() / name, "the file is missing; it is a part of the dump");
    }
  }
  /// Reads on, so that at least one byte more waits; room for `wanted` at the least.
  void fill(std::size_t wanted) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
    const auto before = buffer_.size();
    // Grows with what is there, so that a long line is not copied once per piece.
    const auto more = std::max({piece, wanted - std::min(wanted, before), before});
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(more, file_.size - read_));
    buffer_.resize(before + length);
    const auto to = std::span(buffer_).subspan(before);
    read_fully<FS>(file_.file, to, read_, path());
    checksum_.add(to);
    read_ += length;
  }

  OpenedFile<FS> file_;
  Bytes buffer_;
  std::size_t at_ = 0;
  std::uint64_t read_ = 0;
  RunningChecksum checksum_;
};

}  // namespace quiver::detail
